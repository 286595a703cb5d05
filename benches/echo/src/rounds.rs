//! Every server in turn under every load, round after round.
//!
//! A ratio is taken within a round, server against ruler, so that what the machine does to both
//! cancels; the figure is the median over the rounds that were not odd. Rounds are added until
//! enough are kept, or a bound is reached.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::builtin::Builtin;
use crate::load::Load;
use crate::modes::{Modes, Seen};
use crate::network;
use crate::process::{Command, GENERATOR_CORE, Server, cache_line_round_trip, pin};
use crate::quartiles::quartiles;

/// How to measure, and how to say it.
pub struct Settings {
    /// How many rounds are to be kept.
    pub rounds: usize,
    pub window: Duration,
    pub json: bool,
}

/// A load, and what openline is to keep under it.
pub struct Case<'a> {
    pub what: What,
    pub load: Load,
    /// The bytes that each server sends for each thing that is counted.
    pub sizes: Vec<usize>,
    /// Puts the load on the server of this number.
    pub begin: Box<Begin<'a>>,
    pub goal: Goal,
}

pub type Begin<'a> = dyn Fn(usize, &Server) -> Result<Box<dyn Work>, Box<dyn Error>> + 'a;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    Echo,
    Compressed,
    Delivery,
    Handshake,
}

/// The most that openline may take, where that is said.
#[derive(Clone, Copy, Default)]
pub struct Goal {
    /// As a ratio to the ruler.
    pub ratio: Option<f64>,
    /// In user mode, as a ratio to the floor.
    pub user: Option<f64>,
}

/// A load that has begun, at rest between two runs.
pub trait Work {
    /// Goes on for about `window` and comes to rest; answers how much was done.
    fn run(&mut self, window: Duration) -> Result<u64, Box<dyn Error>>;
}

/// A round's measurements, the ruler's first.
struct Round {
    cache_line: f64,
    figures: Vec<Figure>,
}

struct Figure {
    count: u64,
    elapsed: Duration,
    /// The nanoseconds that the server ran.
    spent: u64,
    seen: Seen,
}

/// The servers, started, and this thread on the core that is not theirs, all in a network where
/// nothing is paced.
pub fn start(commands: &[Command]) -> Result<Vec<Server>, Box<dyn Error>> {
    network::enter();
    pin(GENERATOR_CORE)?;
    commands.iter().map(Server::start).collect()
}

/// Measures the servers, of which the first is the ruler, and prints what comes of it.
pub fn run<'a>(
    settings: &Settings,
    servers: &[Server],
    cases: impl IntoIterator<Item = Case<'a>>,
) -> Result<(), Box<dyn Error>> {
    let mut modes = Modes::new()
        .inspect_err(|error| {
            eprintln!(
                "note: time in user mode is not told, which takes root or CAP_PERFMON: {error}"
            );
        })
        .ok();
    for case in cases {
        let mut all: Vec<Round> = Vec::new();
        let most = settings.rounds * ROUNDS_FACTOR;
        loop {
            let kept = without_odd(&all).len();
            if all.len() == most || kept >= settings.rounds {
                break;
            }
            progress(&format!("round {}, {kept} kept", all.len() + 1));
            let round = round(servers, &case, settings.window, all.len(), modes.as_mut())?;
            all.push(round);
        }
        progress("");
        print(settings, servers, &case, &all);
    }
    Ok(())
}

/// Says how far it is, to whoever looks at a terminal.
fn progress(what: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[K{what}");
    }
}

fn round(
    servers: &[Server],
    case: &Case<'_>,
    window: Duration,
    number: usize,
    mut modes: Option<&mut Modes>,
) -> Result<Round, Box<dyn Error>> {
    let cache_line = cache_line_round_trip()?;
    let mut figures: Vec<Option<Figure>> = servers.iter().map(|_| None).collect();
    for turn in 0..servers.len() {
        // Each goes first equally often.
        let turn = (number + turn) % servers.len();
        let server = &servers[turn];
        let modes = modes.as_deref_mut();
        let measured =
            (case.begin)(turn, server).and_then(|work| measure(server, work, window, modes));
        let measured = measured.map_err(|error| format!("{}: {error}", server.name))?;
        figures[turn] = Some(measured);
    }
    Ok(Round {
        cache_line,
        figures: figures.into_iter().flatten().collect(),
    })
}

fn measure(
    server: &Server,
    mut work: Box<dyn Work>,
    window: Duration,
    modes: Option<&mut Modes>,
) -> Result<Figure, Box<dyn Error>> {
    // To look costs time, so it is done before what is timed.
    let warm_up = window / 2;
    let seen = match modes {
        Some(modes) => {
            modes.begin()?;
            work.run(warm_up)?;
            modes.end(server.id())?
        }
        None => {
            work.run(warm_up)?;
            Seen::default()
        }
    };
    thread::sleep(REST);
    let before = server.spent()?;
    let begun = Instant::now();
    let count = work.run(window)?;
    let elapsed = begun.elapsed();
    thread::sleep(REST);
    if count == 0 {
        return Err("nothing came back".into());
    }
    Ok(Figure {
        count,
        elapsed,
        spent: server.spent()? - before,
        seen,
    })
}

/// Without the rounds in which the cores were far apart, or the ruler far from its median:
/// something else ran then.
fn without_odd(rounds: &[Round]) -> Vec<&Round> {
    if rounds.is_empty() {
        return Vec::new();
    }
    let [_, cache_line, _] = quartiles(rounds.iter().map(|round| round.cache_line).collect());
    let [_, ruler, _] = quartiles(rounds.iter().map(Round::ruler).collect());
    let like = |value: f64, median: f64| value < 1.5 * median && value > median / 1.5;
    let odd = |round: &&Round| !like(round.cache_line, cache_line) || !like(round.ruler(), ruler);
    rounds.iter().filter(|round| !odd(round)).collect()
}

impl Round {
    fn ruler(&self) -> f64 {
        self.figures[0].nanoseconds()
    }
}

impl Figure {
    /// Of each thing that is counted.
    fn nanoseconds(&self) -> f64 {
        self.spent as f64 / self.count as f64
    }
}

/// A figure, and its standard error.
#[derive(Clone, Copy)]
struct Estimate {
    value: f64,
    error: f64,
}

impl Estimate {
    fn to(self, other: Self) -> Self {
        let value = self.value / other.value;
        let error = value * (self.error / self.value).hypot(other.error / other.value);
        Self { value, error }
    }
}

/// The nanoseconds in user mode of each thing that is counted.
///
/// The kernel counts exactly how long a server runs; what part of it is in user mode is what it was
/// seen in. A round sees too little to tell that from chance: all are taken together, and how far
/// they differ says how good that is.
fn user(rounds: &[&Round], server: usize) -> Option<Estimate> {
    let figures = || rounds.iter().map(|round| &round.figures[server]);
    let user: u64 = figures().map(|figure| figure.seen.user).sum();
    let total: u64 = figures().map(|figure| figure.seen.total).sum();
    // Not at all is too seldom to tell.
    if user == 0 || rounds.len() < 2 {
        return None;
    }
    let part = user as f64 / total as f64;
    let [_, nanoseconds, _] = quartiles(figures().map(Figure::nanoseconds).collect());
    // Of a sum of n the deviations add up to n times the variance of one.
    let squares: f64 = figures()
        .map(|figure| (figure.seen.user as f64 - part * figure.seen.total as f64).powi(2))
        .sum();
    let n = rounds.len() as f64;
    let error = (squares * n / (n - 1.0)).sqrt() / total as f64;
    Some(Estimate {
        value: part * nanoseconds,
        error: error * nanoseconds,
    })
}

fn print(settings: &Settings, servers: &[Server], case: &Case<'_>, all: &[Round]) {
    let Case {
        what, load, goal, ..
    } = case;
    let kept = without_odd(all);
    let cache_line = quartiles(all.iter().map(|round| round.cache_line).collect());
    if !settings.json {
        let [low, median, high] = cache_line;
        println!(
            "{}: {} of {} rounds kept{}; cache line {median:.0} ns [{low:.0} to {high:.0}]",
            what.describe(load),
            kept.len(),
            all.len(),
            match kept.len() < settings.rounds {
                true => ", fewer than wanted: the machine was not quiet",
                false => "",
            },
        );
    }
    let floor = Builtin::Floor.label();
    let floor = servers.iter().position(|server| server.name == floor);
    let floor = floor.and_then(|floor| user(&kept, floor));
    for (i, server) in servers.iter().enumerate() {
        let column = || kept.iter().map(|round| round.figures[i].nanoseconds());
        let nanoseconds = quartiles(column().collect());
        let ratio = column().zip(kept.iter().map(|round| round.ruler()));
        let ratio = quartiles(ratio.map(|(ours, ruler)| ours / ruler).collect());
        let rates = kept.iter().map(|round| {
            let figure = &round.figures[i];
            figure.count as f64 / figure.elapsed.as_secs_f64()
        });
        let [_, rate, _] = quartiles(rates.collect());
        let user = user(&kept, i);
        let user_ratio = user.zip(floor).map(|(user, floor)| user.to(floor));
        let goal = match server.name == "openline" {
            true => *goal,
            false => Goal::default(),
        };
        if settings.json {
            let line = json!({
                "what": what.name(), "connections": load.connections,
                "in_flight": load.in_flight, "size": load.size, "echo_size": case.sizes[i],
                "server": server.name, "ruler": servers[0].name,
                "rounds_kept": kept.len(), "rounds_measured": all.len(),
                "rounds_wanted": settings.rounds, "cache_line_ns": cache_line,
                "cpu_ns": nanoseconds, "ratio": ratio, "goal": goal.ratio,
                "user_ns": user.map(|user| user.value),
                "user_error_ns": user.map(|user| user.error),
                "user_ratio": user_ratio.map(|ratio| ratio.value),
                "user_ratio_error": user_ratio.map(|ratio| ratio.error),
                "user_goal": goal.user, "per_second": rate,
            });
            println!("{line}");
            continue;
        }
        let [low, median, high] = ratio;
        let mut line = format!(
            "  {:<18} {:>10.0} ns   {median:.3} [{low:.3} to {high:.3}]",
            server.name, nanoseconds[1]
        );
        if let Some(Estimate { value, error }) = user {
            line += &format!("   user {value:.0} ±{error:.0} ns");
        }
        if let Some(Estimate { value, error }) = user_ratio {
            line += &format!(", {value:.2} ±{error:.2} of floor");
        }
        match what {
            What::Compressed => line += &format!("   {} B", case.sizes[i]),
            What::Handshake => line += &format!("   {rate:.0}/s"),
            What::Echo | What::Delivery => {}
        }
        if let Some(goal) = goal.ratio {
            line += &format!("   goal {goal:.2}{}", missed(median, goal));
        }
        if let (Some(goal), Some(ratio)) = (goal.user, user_ratio) {
            line += &format!("   user goal {goal:.2}{}", missed(ratio.value, goal));
        }
        println!("{line}");
    }
}

fn missed(value: f64, goal: f64) -> &'static str {
    match value <= goal {
        true => "",
        false => " missed",
    }
}

impl What {
    /// Its name in JSON.
    fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Compressed => "compressed",
            Self::Delivery => "broadcast",
            Self::Handshake => "handshakes",
        }
    }

    fn describe(self, load: &Load) -> String {
        let Load {
            connections,
            in_flight,
            size,
        } = load;
        match self {
            Self::Echo => load.to_string(),
            Self::Compressed => format!("{load} of JSON, compressed"),
            Self::Delivery => {
                format!("{connections} subscribers, {in_flight} publications of {size} B in flight")
            }
            Self::Handshake => format!("{connections} connections at a time, opened and closed"),
        }
    }
}

/// Time for a server to fall asleep, so that the kernel has counted all it did.
const REST: Duration = Duration::from_millis(5);
/// How many times as many rounds as are wanted are measured at most.
const ROUNDS_FACTOR: usize = 4;
