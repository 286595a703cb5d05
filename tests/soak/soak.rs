//! The soak: `openline serve`, plain and TLS, with a crowd that is open, comes and goes, beside as
//! many who come and go badly, and a few that behave and are measured. `tests/soak/run` runs it.
//!
//! Three laws. Descriptors and resident memory of the servers return to where they were: the
//! former exactly, the latter but for tables that have grown, and after a second storm to where
//! it was after the first. Every message of a peer that behaves comes back. And such a peer's 99th percentile stays
//! within three times its quiet value, where quiet means the same crowd and as many who come and
//! go as in a storm, all of whom behave: quiet and storm take turns, so that a machine that has
//! something else to do is slow in both, and of the windows of each kind the median counts.

#![allow(clippy::unwrap_used, reason = "a soak that cannot go on says where")]

mod bad;
mod crowd;
mod door;
mod good;
mod mob;
mod random;
mod server;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::{Crowd, Tally};
use crate::good::{Latency, Measured, Measuring};
use crate::mob::{Came, Mob, Mood};
use crate::server::{Footprint, Server, Trust};

/// What of resident memory may stay after the first storm for each connection that there was
/// room for: places in tables, and what lies scattered over pages.
const KEPT_MAX: u64 = 4 << 10;
/// And what more may stay after the second: what allocators happen to keep.
const RESIDENT_SLACK: u64 = 2 << 20;
/// How much of a soak is the first storm.
const FIRST_SHARE: u32 = 4;
/// How long it is quiet, or stormy, before the other's turn, and how much of that is not
/// measured: what the other left behind goes first.
const WINDOW: Duration = Duration::from_secs(3);
const TRANSITION: Duration = Duration::from_millis(500);
/// A 99th percentile below this is never too much: a slice of a scheduler, which whoever shares a
/// core with the load's generator waits for.
const P99_FLOOR: Duration = Duration::from_millis(3);
/// How many of those who come in storms are to be bad, in percent.
const BAD_SHARE_MIN: u64 = 48;
/// How long the servers have to let go of everyone: their deadlines, and a machine that is busy.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);
/// And until they have given back what they kept for another rush.
const REST: Duration = Duration::from_secs(25);
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

    let first_time = whole / FIRST_SHARE;
    let first = storm(
        &servers,
        &trust,
        connections,
        seed,
        first_time,
        &[Mood::Bad],
    );
    let before = settle(&servers, &start);
    let second = storm(
        &servers,
        &trust,
        connections,
        seed.wrapping_add(1),
        whole - first_time,
        &[Mood::Good, Mood::Bad],
    );
    let after = settle(&servers, &start);

    let mut verdicts = Vec::new();
    for (index, name) in ["plain", "TLS"].into_iter().enumerate() {
        let (start, before, after) = (start[index], before[index], after[index]);
        verdicts.push(descriptors(name, start, before, after));
        verdicts.push(resident(name, connections, start, before, after));
    }
    verdicts.push(acknowledged(&[&first, &second]));
    verdicts.push(half_badly(&[&first, &second]));
    verdicts.push(p99("plain", &second, &second.measured.plain));
    verdicts.push(p99("TLS", &second, &second.measured.tls));
    verdicts.extend(servers.map(Server::stop));
    verdicts
}

/// What a storm came to.
struct Storm {
    measured: Measured,
    /// Whether each window was quiet or not.
    moods: Vec<Mood>,
    tally: Tally,
    came: Came,
}

/// So many connections open, some coming and going, and as many again in each mood by turns,
/// while peers that behave are measured.
fn storm(
    servers: &[Server; 2],
    trust: &Trust,
    connections: usize,
    seed: u64,
    time: Duration,
    moods: &[Mood],
) -> Storm {
    let crowd = Crowd::start(servers, trust, connections, seed);
    let begun = Instant::now();
    while !crowd.is_gathered() {
        assert!(begun.elapsed() < GATHER_PATIENCE, "the crowd does not come");
        thread::sleep(Duration::from_millis(20));
    }
    let gathered = begun.elapsed();
    let mob = Mob::start(servers, trust, connections / 10, seed, crowd.pace());
    let measuring = Measuring::start(servers, trust);
    let begun = Instant::now();
    let mut had = Vec::new();
    // Whole windows only, and at least one of each.
    while had.len() < moods.len() || begun.elapsed() + WINDOW <= time {
        let mood = moods[had.len() % moods.len()];
        mob.change_to(mood);
        thread::sleep(TRANSITION);
        measuring.record(Some(had.len()));
        thread::sleep(WINDOW - TRANSITION);
        measuring.record(None);
        had.push(mood);
    }
    let [plain, tls] = servers.each_ref().map(Server::footprint);
    let came = mob.stop();
    let measured = measuring.stop();
    let tally = crowd.stop();
    println!("storm of {} windows:", had.len());
    println!("    {tally}");
    println!("    {came}");
    println!(
        "    there in {:.1} s; descriptors {} + {}, resident {} + {} KiB",
        gathered.as_secs_f32(),
        plain.descriptors,
        tls.descriptors,
        plain.resident >> 10,
        tls.resident >> 10
    );
    Storm {
        measured,
        moods: had,
        tally,
        came,
    }
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
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    thread::sleep(REST);
    servers.each_ref().map(Server::footprint)
}

fn descriptors(name: &str, start: Footprint, before: Footprint, after: Footprint) -> Verdict {
    let [start, before, after] = [start, before, after].map(|print| print.descriptors);
    let what = format!("{name}: descriptors {start} in quiet, {before} and {after} after storms");
    (before == start && after == start, what)
}

fn resident(
    name: &str,
    connections: usize,
    start: Footprint,
    before: Footprint,
    after: Footprint,
) -> Verdict {
    let [start, before, after] = [start, before, after].map(|print| print.resident);
    let kept = start + connections as u64 * KEPT_MAX + RESIDENT_SLACK;
    let allowed = before + RESIDENT_SLACK;
    let what = format!(
        "{name}: resident {} KiB in quiet, {} and {} KiB after storms; {} and {} allowed",
        start >> 10,
        before >> 10,
        after >> 10,
        kept >> 10,
        allowed >> 10
    );
    (before <= kept && after <= allowed, what)
}

fn acknowledged(storms: &[&Storm; 2]) -> Verdict {
    let sum = |count: fn(&Storm) -> u64| storms.iter().map(|storm| count(storm)).sum::<u64>();
    let sent = sum(|storm| storm.tally.sent + storm.measured.sent + storm.came.sent);
    let lost = sum(|storm| storm.tally.sent - storm.tally.echoed);
    let cut_off = sum(|storm| storm.tally.cut_off + storm.measured.cut_off + storm.came.cut_off);
    let what = format!(
        "of {sent} messages of peers that behave {lost} were lost; {cut_off} such peers were \
         refused or cut off"
    );
    (sent > 0 && lost == 0 && cut_off == 0, what)
}

/// Of those who came while the mob was in a bad mood.
fn half_badly(storms: &[&Storm; 2]) -> Verdict {
    let bad: u64 = storms.iter().map(|storm| storm.came.bad()).sum();
    let good: u64 = storms.iter().map(|storm| storm.came.beside_bad).sum();
    let share = bad * 100 / (bad + good).max(1);
    let what = format!("of those who came and went in storms {share} % did it badly: {bad}");
    (share >= BAD_SHARE_MIN, what)
}

fn p99(name: &str, storm: &Storm, windows: &[Latency]) -> Verdict {
    let of = |windows, mood| median(storm, windows, mood, 0.99);
    let [quiet, stormy] = [Mood::Good, Mood::Bad].map(|mood| of(windows, mood));
    let control = [Mood::Good, Mood::Bad].map(|mood| of(&storm.measured.control, mood));
    let allowed = (quiet * 3).max(P99_FLOOR);
    let what = format!(
        "{name}: 99th percentile {quiet:.2?} in quiet and {stormy:.2?} in storms, {allowed:.2?} \
         allowed; of a bare echo {:.2?} and {:.2?}",
        control[0], control[1]
    );
    (quiet > Duration::ZERO && stormy <= allowed, what)
}

/// Of the quantiles of all windows in this mood.
fn median(storm: &Storm, windows: &[Latency], mood: Mood, quantile: f64) -> Duration {
    let moods = storm.moods.iter().zip(windows);
    let of_mood = moods.filter(|(of, _)| **of == mood);
    let mut quantiles: Vec<_> = of_mood
        .map(|(_, latency)| latency.quantile(quantile))
        .collect();
    quantiles.sort_unstable();
    quantiles
        .get(quantiles.len() / 2)
        .copied()
        .unwrap_or_default()
}
