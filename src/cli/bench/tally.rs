//! What was counted: messages, their latencies, and what failed.
//!
//! A latency counts from the moment at which a message was to leave, not from when it did: a
//! server that stalls is charged for all who waited, and not for one of them.

use std::collections::BTreeMap;
use std::time::Instant;

use hdrhistogram::Histogram;
use openline::net::End;

use crate::cli::bench::shared::Window;

/// The longest latency that is told apart, in nanoseconds: an hour.
const LATENCY_MAX: u64 = 3_600_000_000_000;

/// What one thread counted, or all of them.
#[derive(Debug)]
pub(super) struct Tally {
    /// Echoes, deliveries or handshakes within the window.
    pub(super) messages: u64,
    /// The bytes of their payloads.
    pub(super) bytes: u64,
    /// In nanoseconds, of all that was to leave within the window.
    pub(super) latency: Histogram<u64>,
    /// What was sent and not answered.
    pub(super) unanswered: u64,
    /// What was to be sent within the window, and was not.
    pub(super) behind: u64,
    /// Publications that reached everyone, within the window.
    pub(super) publications: u64,
    /// Connections that agreed to compression.
    pub(super) compressed: u64,
    pub(super) opened: u64,
    pub(super) failures: BTreeMap<(Stage, &'static str), Failure>,
    /// The last answers, which are not among the above yet.
    alike: Alike,
}

/// Answers that came at one moment, to what was to leave at one: they have one latency, and are
/// recorded at once. With many messages in flight that is nearly all that a read brings.
#[derive(Clone, Copy, Debug)]
struct Alike {
    intended: Instant,
    came: Instant,
    count: u64,
    bytes: u64,
}

/// When a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Opening,
    Open,
}

/// Connections that failed alike.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) count: u64,
    /// What is said of the first.
    pub(super) said: String,
    /// Who ended it, if that can be told.
    pub(super) by: Option<openline::proto::Party>,
    /// What the program would exit with, were there nothing else.
    pub(super) exit: crate::cli::connect::Exit,
}

impl Tally {
    pub(super) fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX, 3);
        Self {
            messages: 0,
            bytes: 0,
            latency: latency.expect("the bounds are in order"),
            unanswered: 0,
            behind: 0,
            publications: 0,
            compressed: 0,
            opened: 0,
            failures: BTreeMap::new(),
            alike: Alike::none(Instant::now(), Instant::now()),
        }
    }

    /// So many answers came `now`, to what was to leave at `intended`, each of `size` bytes.
    ///
    /// They are counted when the next that is not like them comes, or by [`settle`](Self::settle).
    #[inline]
    pub(super) fn answer(
        &mut self,
        window: Window,
        (intended, now): (Instant, Instant),
        size: u32,
        count: u64,
    ) {
        if intended != self.alike.intended || now != self.alike.came {
            self.settle(window);
            self.alike = Alike::none(intended, now);
        }
        self.alike.count += count;
        self.alike.bytes += u64::from(size) * count;
    }

    /// Counts the last answers.
    pub(super) fn settle(&mut self, window: Window) {
        let Alike {
            intended,
            came,
            count,
            bytes,
        } = self.alike;
        self.alike = Alike::none(intended, came);
        if window.contains(came) {
            self.messages += count;
            self.bytes += bytes;
        }
        if window.contains(intended) {
            let latency = came.saturating_duration_since(intended).as_nanos();
            let latency = u64::try_from(latency).unwrap_or(u64::MAX);
            self.latency.saturating_record_n(latency, count);
        }
    }

    /// A connection, or an attempt at one, failed.
    #[cold]
    pub(super) fn fail(&mut self, stage: Stage, end: &End) {
        let failure = self.failures.entry((stage, end.why.label()));
        let failure = failure.or_insert_with(|| Failure {
            count: 0,
            said: end.why.to_string(),
            by: end.by(),
            exit: crate::cli::connect::Exit::of(end, stage == Stage::Open),
        });
        failure.count += 1;
    }

    /// Adds what another thread counted.
    pub(super) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        let added = self.latency.add(&other.latency);
        added.expect("all have the same bounds");
        self.unanswered += other.unanswered;
        self.behind += other.behind;
        self.publications += other.publications;
        self.compressed += other.compressed;
        self.opened += other.opened;
        for (key, failure) in other.failures {
            match self.failures.get_mut(&key) {
                Some(known) => known.count += failure.count,
                None => {
                    self.failures.insert(key, failure);
                }
            }
        }
    }

    /// How many connections failed at this stage.
    pub(super) fn failed(&self, stage: Stage) -> u64 {
        let failures = self.failures.iter().filter(|((at, _), _)| *at == stage);
        failures.map(|(_, failure)| failure.count).sum()
    }
}

impl Alike {
    fn none(intended: Instant, came: Instant) -> Self {
        Self {
            intended,
            came,
            count: 0,
            bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Tally, Window};

    #[test]
    fn what_waits_is_charged_from_when_it_was_to_leave() {
        let from = Instant::now();
        let at = |milliseconds| from + Duration::from_millis(milliseconds);
        let window = Window {
            from,
            until: at(1000),
        };
        let mut tally = Tally::new();
        // One a millisecond, and a server that answers none for 100 of them.
        for i in 0..100 {
            tally.answer(window, (at(i), at(100)), 10, 1);
        }
        tally.settle(window);
        let median = tally.latency.value_at_quantile(0.5);
        assert!((49_000_000..52_000_000).contains(&median), "{median}");
        assert_eq!((tally.messages, tally.bytes), (100, 1000));
    }

    #[test]
    fn an_answer_behind_the_end_has_a_latency_and_is_no_throughput() {
        let from = Instant::now();
        let at = |milliseconds| from + Duration::from_millis(milliseconds);
        let window = Window {
            from,
            until: at(10),
        };
        let mut tally = Tally::new();
        tally.answer(window, (at(9), at(20)), 1, 1);
        tally.settle(window);
        assert_eq!((tally.messages, tally.latency.len()), (0, 1));
    }

    #[test]
    fn what_is_alike_counts_one_by_one() {
        let from = Instant::now();
        let at = |milliseconds| from + Duration::from_millis(milliseconds);
        let window = Window {
            from: at(1),
            until: at(10),
        };
        let mut tally = Tally::new();
        for (intended, came) in [
            (0, 0),
            (0, 1),
            (0, 1),
            (1, 3),
            (1, 3),
            (1, 3),
            (2, 3),
            (1, 3),
        ] {
            tally.answer(window, (at(intended), at(came)), 10, 1);
        }
        tally.settle(window);
        tally.settle(window);
        assert_eq!((tally.messages, tally.bytes), (7, 70));
        // What was to leave before the window has no latency.
        assert_eq!(tally.latency.len(), 5);
        let below = tally.latency.count_between(0, 1_500_000);
        assert_eq!(below, 1, "one took a millisecond, the others two");
    }
}
