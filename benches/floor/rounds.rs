//! Interleaved rounds: what makes a ratio of two timings hold on a noisy machine.
//!
//! In each round every contestant runs for about a millisecond, one right after another; a
//! ratio is taken within a round, and the median of the rounds' ratios is the figure.

use std::time::{Duration, Instant};

use super::calls;
use super::quartiles::quartiles;

/// Something to measure: a pass over its work, which returns the number of messages.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    pub(crate) pass: Box<dyn FnMut() -> usize + 'a>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: &'static str, pass: impl FnMut() -> usize + 'a) -> Self {
        Self {
            name,
            pass: Box::new(pass),
        }
    }

    /// Nanoseconds a message over `passes` passes, and calls a message.
    fn time(&mut self, passes: u32) -> (f64, f64) {
        let calls = calls::count();
        let start = Instant::now();
        let messages: usize = (0..passes).map(|_| (self.pass)()).sum();
        let nanoseconds = start.elapsed().as_nanos() as f64;
        let calls = (calls::count() - calls) as f64;
        (nanoseconds / messages as f64, calls / messages as f64)
    }
}

/// What the rounds came to for one contestant.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// The nanoseconds a message, round by round.
    times: Vec<f64>,
    /// Reads or writes a message.
    pub(crate) calls: f64,
}

impl Figure {
    /// The quartiles of the nanoseconds a message.
    pub(crate) fn nanoseconds(&self) -> [f64; 3] {
        quartiles(self.times.clone())
    }

    /// Adds the rounds of another for the same contestant.
    pub(crate) fn extend(&mut self, other: Self) {
        self.times.extend(other.times);
    }

    /// The quartiles of the ratio of its time to the other's in the same round.
    pub(crate) fn ratio_to(&self, other: &Self) -> [f64; 3] {
        let pairs = self.times.iter().zip(&other.times);
        quartiles(pairs.map(|(ours, theirs)| ours / theirs).collect())
    }
}

/// Lets the contestants run in turn.
pub(crate) fn compare(mut contestants: Vec<Contestant<'_>>, rounds: usize) -> Vec<Figure> {
    let passes: Vec<u32> = contestants.iter_mut().map(passes).collect();
    let count = contestants.len();
    let figure = |contestant: &Contestant<'_>| Figure {
        name: contestant.name,
        times: Vec::new(),
        calls: 0.0,
    };
    let mut figures: Vec<Figure> = contestants.iter().map(figure).collect();
    for round in 0..rounds {
        // Each goes first, and follows each other, equally often.
        for turn in 0..count {
            let turn = match round % 2 {
                0 => (round / 2 + turn) % count,
                _ => (round / 2 + count - 1 - turn) % count,
            };
            let (nanoseconds, calls) = contestants[turn].time(passes[turn]);
            figures[turn].times.push(nanoseconds);
            figures[turn].calls = calls;
        }
    }
    figures
}

/// How many passes take about a millisecond; warms up on the way.
fn passes(contestant: &mut Contestant<'_>) -> u32 {
    (contestant.pass)();
    let start = Instant::now();
    (contestant.pass)();
    let one = start.elapsed().max(Duration::from_nanos(1));
    let passes = Duration::from_millis(1).as_nanos().div_ceil(one.as_nanos());
    u32::try_from(passes).unwrap_or(u32::MAX)
}
