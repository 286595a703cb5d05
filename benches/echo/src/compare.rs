//! The comparison: every server in turn under every load, round after round.
//!
//! A ratio is taken within a round, server against bare echo, so that what the machine does to
//! both cancels; the figure is the median over the rounds that were not odd.

use std::error::Error;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::load::{Exchange, Generator, Load};
use crate::process::{Command, GENERATOR_CORE, Server, cache_line_round_trip, pin};
use crate::quartiles::quartiles;

/// What we hold ourselves to, load by load.
const LOADS: [(Load, f64); 4] = [
    (load(64, 1, 20), 1.03),
    (load(64, 1, 125), 1.03),
    (load(64, 1, 16 << 10), 1.07),
    (load(16, 64, 20), 1.26),
];

/// A load, what each server is sent under it, and the ratio that openline is to keep.
pub struct Case {
    pub load: Load,
    pub exchanges: Vec<Exchange>,
    pub target: Option<f64>,
}

/// How to measure, and how to say it.
pub struct Settings {
    pub rounds: usize,
    pub window: Duration,
    pub json: bool,
}

/// A round's measurements: the nanoseconds a message of each server, the bare echo first.
struct Round {
    cache_line: f64,
    nanoseconds: Vec<f64>,
}

/// Binary messages as they are.
pub fn plain(
    settings: &Settings,
    loads: Vec<Load>,
    others: Vec<Command>,
) -> Result<(), Box<dyn Error>> {
    let mut commands = vec![
        Command::builtin("raw", false)?,
        Command::builtin("floor", true)?,
        Command::builtin("openline", true)?,
    ];
    commands.extend(others);
    let servers = start(&commands)?;
    let loads = match loads.is_empty() {
        true => LOADS.map(|(load, _)| load).to_vec(),
        false => loads,
    };
    let cases = loads.into_iter().map(|load| Case {
        load,
        exchanges: (servers.iter())
            .map(|server| Exchange::binary(server, load.size))
            .collect(),
        target: (LOADS.iter().find(|(known, _)| *known == load)).map(|(_, target)| *target),
    });
    run(settings, &servers, cases)
}

/// The servers, started, and this thread on the core that is not theirs.
pub fn start(commands: &[Command]) -> Result<Vec<Server>, Box<dyn Error>> {
    pin(GENERATOR_CORE)?;
    commands.iter().map(Server::start).collect()
}

/// Measures the servers, of which the first is the bare echo, and prints what comes of it.
pub fn run(
    settings: &Settings,
    servers: &[Server],
    cases: impl IntoIterator<Item = Case>,
) -> Result<(), Box<dyn Error>> {
    let Settings { rounds, json, .. } = *settings;
    for case in cases {
        let load = case.load;
        let all: Vec<Round> = (0..rounds)
            .map(|number| round(servers, &case, settings.window, number))
            .collect::<Result<_, _>>()?;
        let kept = without_odd(&all);
        let column = |server: usize| kept.iter().map(move |round| round.nanoseconds[server]);
        let cache_line = quartiles(all.iter().map(|round| round.cache_line).collect());
        if !json {
            println!(
                "{load}: {} of {rounds} rounds kept; cache line {:.0} ns [{:.0} to {:.0}]",
                kept.len(),
                cache_line[1],
                cache_line[0],
                cache_line[2]
            );
        }
        for (i, server) in servers.iter().enumerate() {
            let nanoseconds = quartiles(column(i).collect());
            let ratio = quartiles(
                column(i)
                    .zip(column(0))
                    .map(|(ours, raw)| ours / raw)
                    .collect(),
            );
            let target = case.target.filter(|_| server.name == "openline");
            let echo_size = case.exchanges[i].echo.len();
            if json {
                let line = json!({
                    "connections": load.connections, "in_flight": load.in_flight,
                    "size": load.size, "echo_size": echo_size, "server": server.name,
                    "rounds_kept": kept.len(), "cache_line_ns": cache_line,
                    "cpu_ns": nanoseconds, "ratio": ratio, "target": target,
                });
                println!("{line}");
            } else {
                let [low, median, high] = ratio;
                let target = target.map_or(String::new(), |target| match median <= target {
                    true => format!("   target {target:.2}"),
                    false => format!("   target {target:.2} missed"),
                });
                println!(
                    "  {:<20} {echo_size:>6} B {:>9.0} ns   \
                     {median:.3} [{low:.3} to {high:.3}]{target}",
                    server.name, nanoseconds[1]
                );
            }
        }
    }
    Ok(())
}

fn round(
    servers: &[Server],
    case: &Case,
    window: Duration,
    number: usize,
) -> Result<Round, Box<dyn Error>> {
    let cache_line = cache_line_round_trip()?;
    let mut nanoseconds = vec![0.0; servers.len()];
    for turn in 0..servers.len() {
        // Each goes first equally often.
        let turn = (number + turn) % servers.len();
        nanoseconds[turn] = measure(&servers[turn], case.load, &case.exchanges[turn], window)
            .map_err(|error| format!("{}: {error}", servers[turn].name))?;
    }
    Ok(Round {
        cache_line,
        nanoseconds,
    })
}

/// The server's nanoseconds a message.
fn measure(
    server: &Server,
    load: Load,
    exchange: &Exchange,
    window: Duration,
) -> Result<f64, Box<dyn Error>> {
    let mut generator = Generator::open(server, load, exchange)?;
    generator.run(window / 5)?;
    thread::sleep(REST);
    let before = server.cpu_time()?;
    let messages = generator.run(window)?;
    thread::sleep(REST);
    let spent = server.cpu_time()? - before;
    Ok(spent as f64 / messages as f64)
}

/// Without the rounds in which the cores were far apart, or the bare echo far from its median:
/// something else ran then.
fn without_odd(rounds: &[Round]) -> Vec<&Round> {
    let [_, cache_line, _] = quartiles(rounds.iter().map(|round| round.cache_line).collect());
    let [_, raw, _] = quartiles(rounds.iter().map(|round| round.nanoseconds[0]).collect());
    let like = |value: f64, median: f64| value < 1.5 * median && value > median / 1.5;
    let odd =
        |round: &&Round| !like(round.cache_line, cache_line) || !like(round.nanoseconds[0], raw);
    rounds.iter().filter(|round| !odd(round)).collect()
}

const fn load(connections: usize, in_flight: usize, size: usize) -> Load {
    Load {
        connections,
        in_flight,
        size,
    }
}

/// Time for a server to fall asleep, so that the kernel has counted all it did.
const REST: Duration = Duration::from_millis(5);
