//! The soak: `openline serve`, plain and TLS, under connections that come and go, half of them
//! badly, beside a few that behave and are measured. `tests/soak/run` runs it.
//!
//! Three laws. Descriptors and resident memory of the servers return to where they were: the
//! former in quiet, the latter after a storm of the same strength, so that what the loops'
//! pools keep for the next is no leak.
//! Every message of a peer that behaves comes back. And such a peer's 99th percentile stays within
//! three times its quiet value, or what this machine makes of a bare TCP echo in the same storm.

#![allow(clippy::unwrap_used, reason = "a soak that cannot go on says where")]

mod bad;
mod crowd;
mod good;
mod random;
mod server;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::bad::Mob;
use crate::crowd::{Crowd, Tally};
use crate::good::{Latency, Measured, Measuring};
use crate::server::{Footprint, Server, Trust};

/// What resident memory may grow by from storm to storm, beyond a tenth: the pools and arenas
/// that a longer one happens to touch.
const RESIDENT_SLACK: u64 = 8 << 20;
/// A 99th percentile below this is never too much: some handshakes of TLS, and a turn of others
/// on a core that is shared.
const P99_FLOOR: Duration = Duration::from_millis(25);
/// How long the servers have to let go of everyone: their deadlines, and a machine that is busy.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);
/// How long the crowd has to be there.
const GATHER_PATIENCE: Duration = Duration::from_secs(120);

/// Whether something holds, and by which figures.
type Verdict = (bool, String);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, openline, seconds, connections, seed] = arguments.as_slice() else {
        eprintln!("usage: soak OPENLINE SECONDS CONNECTIONS SEED");
        return ExitCode::from(2);
    };
    let seconds = seconds.parse().expect("a number of seconds");
    let connections = connections.parse().expect("a number of connections");
    let seed = seed.parse().expect("a number as the seed");
    println!("soak: {seconds} s, {connections} connections, seed {seed}");
    let verdicts = soak(openline, Duration::from_secs(seconds), connections, seed);
    let mut code = ExitCode::SUCCESS;
    for (holds, what) in verdicts {
        println!("{} {what}", if holds { "holds:" } else { "FAILS:" });
        if !holds {
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn soak(openline: &str, whole: Duration, connections: usize, seed: u64) -> Vec<Verdict> {
    let trust = Trust::new();
    let servers = [
        Server::start(openline, None),
        Server::start(openline, Some(&trust)),
    ];
    let start = servers.each_ref().map(Server::footprint);

    let measuring = Measuring::start(&servers, &trust);
    thread::sleep(whole / 10);
    let quiet = measuring.stop();
    println!("quiet:    {quiet}");
    let start_again = settle(&servers, &start);

    let first = storm(&servers, &trust, connections, seed, whole * 3 / 10);
    let before = settle(&servers, &start);
    let second = storm(
        &servers,
        &trust,
        connections,
        seed.wrapping_add(1),
        whole / 2,
    );
    let after = settle(&servers, &start);

    let mut verdicts = Vec::new();
    for (index, name) in ["plain", "TLS"].into_iter().enumerate() {
        let (start, before, after) = (start_again[index], before[index], after[index]);
        verdicts.push(descriptors(name, start, before, after));
        verdicts.push(resident(name, start, before, after));
    }
    verdicts.push(acknowledged(
        &[&quiet, &first.0, &second.0],
        &[&first.1, &second.1],
    ));
    let (good, _) = &second;
    for (name, quiet, stormy) in [
        ("plain", &quiet.plain, &good.plain),
        ("TLS", &quiet.tls, &good.tls),
    ] {
        verdicts.push(p99(name, quiet, stormy, &good.control));
    }
    verdicts.extend(servers.map(Server::stop));
    verdicts
}

/// So many connections open, some coming and going, while peers that behave are measured.
fn storm(
    servers: &[Server; 2],
    trust: &Trust,
    connections: usize,
    seed: u64,
    time: Duration,
) -> (Measured, Tally) {
    let mob = Mob::start(servers, trust, connections / 10, seed);
    let crowd = Crowd::start(servers, trust, connections - connections / 10, seed);
    let begun = Instant::now();
    while !crowd.is_gathered() {
        assert!(begun.elapsed() < GATHER_PATIENCE, "the crowd does not come");
        thread::sleep(Duration::from_millis(20));
    }
    let gathered = begun.elapsed();
    let measuring = Measuring::start(servers, trust);
    thread::sleep(time);
    let measured = measuring.stop();
    let [plain, tls] = servers.each_ref().map(Server::footprint);
    let misdeeds = mob.stop();
    let tally = crowd.stop();
    println!("storm:    {measured}");
    println!("          {tally}");
    println!("          {misdeeds}");
    println!(
        "          there in {:.1} s; descriptors {} + {}, resident {} + {} KiB",
        gathered.as_secs_f32(),
        plain.descriptors,
        tls.descriptors,
        plain.resident >> 10,
        tls.resident >> 10
    );
    (measured, tally)
}

/// What the servers hold when everyone has gone, or would not go.
fn settle(servers: &[Server; 2], start: &[Footprint; 2]) -> [Footprint; 2] {
    let begun = Instant::now();
    loop {
        let now = servers.each_ref().map(Server::footprint);
        let gone = now
            .iter()
            .zip(start)
            .all(|(now, start)| now.descriptors <= start.descriptors);
        if gone || begun.elapsed() > DRAIN_PATIENCE {
            return now;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn descriptors(name: &str, start: Footprint, before: Footprint, after: Footprint) -> Verdict {
    let [start, before, after] = [start, before, after].map(|print| print.descriptors);
    let what = format!("{name}: descriptors {start} in quiet, {before} and {after} after storms");
    (before == start && after == start, what)
}

fn resident(name: &str, start: Footprint, before: Footprint, after: Footprint) -> Verdict {
    let [start, before, after] = [start, before, after].map(|print| print.resident);
    let allowed = before + before / 10 + RESIDENT_SLACK;
    let what = format!(
        "{name}: resident {} KiB in quiet, {} and {} KiB after storms, {} allowed",
        start >> 10,
        before >> 10,
        after >> 10,
        allowed >> 10
    );
    (after <= allowed, what)
}

fn acknowledged(measured: &[&Measured; 3], tallies: &[&Tally; 2]) -> Verdict {
    let sent = tallies.iter().map(|tally| tally.sent).sum::<u64>()
        + measured.iter().map(|measured| measured.sent()).sum::<u64>();
    let lost: u64 = tallies.iter().map(|tally| tally.sent - tally.echoed).sum();
    let cut_off = tallies.iter().map(|tally| tally.cut_off).sum::<u64>()
        + measured
            .iter()
            .map(|measured| measured.cut_off)
            .sum::<u64>();
    let what = format!(
        "of {sent} messages of peers that behave {lost} were lost; {cut_off} such peers were \
         refused or cut off"
    );
    (sent > 0 && lost == 0 && cut_off == 0, what)
}

fn p99(name: &str, quiet: &Latency, stormy: &Latency, control: &Latency) -> Verdict {
    let [quiet, stormy, control] = [quiet, stormy, control].map(|latency| latency.quantile(0.99));
    let allowed = (quiet * 3).max(control * 3).max(P99_FLOOR);
    let what = format!(
        "{name}: 99th percentile {quiet:.2?} in quiet and {stormy:.2?} in the storm, where a bare \
         echo has {control:.2?}; {allowed:.2?} allowed"
    );
    (stormy <= allowed, what)
}
