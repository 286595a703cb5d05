//! Interleaved rounds: what makes a ratio of two timings hold on a noisy machine.
//!
//! In each round every contestant runs for about a millisecond, one right after another; a
//! ratio is taken within a round, and the median of the rounds' ratios is the figure.

use std::time::{Duration, Instant};

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

    /// Nanoseconds a message over `passes` passes.
    fn time(&mut self, passes: u32) -> f64 {
        let start = Instant::now();
        let messages: usize = (0..passes).map(|_| (self.pass)()).sum();
        start.elapsed().as_nanos() as f64 / messages as f64
    }
}

/// What the rounds came to for one contestant.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// The median of the nanoseconds a message.
    pub(crate) nanoseconds: f64,
    /// The lower quartile, median and upper quartile of the ratio to the first contestant.
    pub(crate) ratio: [f64; 3],
}

/// Measures the contestants against the first of them.
pub(crate) fn compare(mut contestants: Vec<Contestant<'_>>, rounds: usize) -> Vec<Figure> {
    let passes: Vec<u32> = contestants.iter_mut().map(passes).collect();
    let count = contestants.len();
    let mut times = vec![Vec::new(); count];
    for round in 0..rounds {
        // Each goes first, and follows each other, equally often.
        for turn in 0..count {
            let turn = match round % 2 {
                0 => (round / 2 + turn) % count,
                _ => (round / 2 + count - 1 - turn) % count,
            };
            times[turn].push(contestants[turn].time(passes[turn]));
        }
    }
    let figure = |contestant: &Contestant<'_>, ours: &Vec<f64>| {
        let ratios = ours.iter().zip(&times[0]).map(|(ours, first)| ours / first);
        Figure {
            name: contestant.name,
            nanoseconds: quartiles(ours.clone())[1],
            ratio: quartiles(ratios.collect()),
        }
    };
    contestants
        .iter()
        .zip(&times)
        .map(|(c, t)| figure(c, t))
        .collect()
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
