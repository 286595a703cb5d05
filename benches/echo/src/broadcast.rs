//! Publications: what one connection sends comes to all.
//!
//! The first connection publishes, and keeps a number of publications under way: the next leaves
//! as soon as everyone has one, each in a write of its own, as it would from publishers who do not
//! know of each other. How many of them a server delivers in one write is its own doing then; if
//! those that complete together left together, whoever once had them all at once, by chance, would
//! have them so for ever.

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use mio::Events;

use crate::builtin::Builtin;
use crate::load::{Exchange, Generator, Load, await_events};
use crate::process::{Command, raise_file_limit};
use crate::rounds::{self, Begin, Case, Goal, Settings, What, Work};

/// What we hold ourselves to, with so many subscribers and publications under way: the ratio to the
/// floor.
const GOALS: [(Load, f64); 2] = [
    (Load::new(1000, 1, 128), 1.0),
    (Load::new(1000, 8, 128), 0.65),
];

pub fn run(
    settings: &Settings,
    loads: Vec<Load>,
    others: Vec<Command>,
) -> Result<(), Box<dyn Error>> {
    raise_file_limit()?;
    let mut commands = vec![
        Command::builtin(Builtin::FloorBroadcast)?,
        Command::builtin(Builtin::OpenlineBroadcast)?,
    ];
    commands.extend(others);
    let servers = rounds::start(&commands)?;
    let loads = match loads.is_empty() {
        true => GOALS.map(|(load, _)| load).to_vec(),
        false => loads,
    };
    let cases = loads.into_iter().map(|load| {
        let goal = GOALS.iter().find(|(known, _)| *known == load);
        let exchange = Exchange::binary(&servers[0], load.size);
        let size = exchange.echo.len();
        let begin: Box<Begin<'_>> = Box::new(move |_, server| {
            let generator = Generator::open(server, load, &exchange)?;
            Ok(Box::new(Subscribers(generator)))
        });
        Case {
            what: What::Delivery,
            load,
            sizes: vec![size; servers.len()],
            begin,
            goal: Goal {
                ratio: goal.map(|(_, ratio)| *ratio),
                user: None,
            },
        }
    });
    rounds::run(settings, &servers, cases)
}

struct Subscribers(Generator);

impl Work for Subscribers {
    /// Answers the number of deliveries.
    fn run(&mut self, window: Duration) -> Result<u64, Box<dyn Error>> {
        let Self(generator) = self;
        let end = Instant::now() + window;
        let subscribers = generator.connections.len();
        let mut events = Events::with_capacity(1024);
        let mut under_way = UnderWay::new(subscribers);
        for _ in 0..generator.in_flight {
            under_way.publish();
            generator.publish()?;
        }
        let mut deliveries = 0;
        while under_way.count() > 0 {
            await_events(&mut generator.poll, &mut events)
                .map_err(|error| format!("a publication does not come: {error}"))?;
            let more = Instant::now() < end;
            for event in &events {
                let number = event.token().0;
                if number == 0 {
                    generator.flush_publisher()?;
                }
                let come = generator.receive(number)?;
                deliveries += come as u64;
                let complete = under_way.deliver(number, come)?;
                for _ in 0..if more { complete } else { 0 } {
                    under_way.publish();
                    generator.publish()?;
                }
            }
        }
        Ok(deliveries)
    }
}

/// The publications that not everyone has.
struct UnderWay {
    /// For each, how many lack it.
    lacking: VecDeque<usize>,
    /// How many there were before.
    complete: u64,
    /// How many each subscriber has had.
    had: Vec<u64>,
}

impl UnderWay {
    fn new(subscribers: usize) -> Self {
        Self {
            lacking: VecDeque::new(),
            complete: 0,
            had: vec![0; subscribers],
        }
    }

    fn count(&self) -> usize {
        self.lacking.len()
    }

    fn publish(&mut self) {
        self.lacking.push_back(self.had.len());
    }

    /// The subscriber of this number has got so many; answers how many everyone has by that.
    fn deliver(&mut self, number: usize, count: usize) -> Result<usize, Box<dyn Error>> {
        for _ in 0..count {
            let position = usize::try_from(self.had[number] - self.complete)?;
            let lacking = self.lacking.get_mut(position);
            *lacking.ok_or("more came than was published")? -= 1;
            self.had[number] += 1;
        }
        let before = self.complete;
        while let Some(0) = self.lacking.front() {
            self.lacking.pop_front();
            self.complete += 1;
        }
        Ok(usize::try_from(self.complete - before)?)
    }
}

#[cfg(test)]
mod tests {
    use super::UnderWay;

    #[test]
    fn a_publication_is_complete_when_everyone_has_it() {
        let mut under_way = UnderWay::new(2);
        under_way.publish();
        under_way.publish();
        assert_eq!(under_way.deliver(0, 2).unwrap(), 0);
        assert_eq!(under_way.deliver(1, 1).unwrap(), 1);
        assert_eq!(under_way.deliver(1, 1).unwrap(), 1);
        assert_eq!(under_way.count(), 0);
        assert!(under_way.deliver(0, 1).is_err());
    }
}
