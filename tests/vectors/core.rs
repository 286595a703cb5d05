//! The verdicts on the core itself: every case, in both roles, cut in every way.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Instant, SystemTime};

use openline::conformance::{Case, Vectors};
use openline::proto::Role;

use crate::peer::Core;
use crate::replay::{Split, replay};

/// Chooses the random splits; by default each run has its own.
const SEED: &str = "OPENLINE_VECTORS_SEED";

#[test]
fn every_case_passes_in_both_roles_however_it_is_cut() {
    let seed = seed();
    println!("{SEED}={seed} makes the same random splits again");
    let mut jobs = Vec::new();
    for case in Vectors::embedded().cases() {
        for role in [Role::Server, Role::Client] {
            if case.suits(role) {
                for split in [Split::Whole, Split::Octets, Split::Random(seed)] {
                    jobs.push((case, role, split));
                }
            }
        }
    }
    let failures = play(&jobs);
    println!("{} replays", jobs.len());
    assert!(
        failures.is_empty(),
        "{} of {} replays failed; {SEED}={seed} makes the same random splits again\n\n{}",
        failures.len(),
        jobs.len(),
        failures.join("\n")
    );
}

fn play(jobs: &[(&Case, Role, Split)]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((case, role, split)) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let now = Instant::now();
                    let replay = replay(case, *role, *split, Core::new(*role, case, now), now);
                    if !replay.outcome.passed() {
                        let report = replay.report(case, *role, *split);
                        failures.lock().unwrap().push(report);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

fn seed() -> u64 {
    match std::env::var(SEED) {
        Ok(seed) => seed.parse().expect("the seed is a number"),
        Err(_) => SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(1, |time| time.as_nanos() as u64),
    }
}
