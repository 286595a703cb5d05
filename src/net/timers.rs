//! A timer wheel: one deadline for each connection, at O(1).
//!
//! A ring of slots, each the head of a list that runs through the connections' links. A deadline
//! that moves back, as it does with every message, touches nothing: its entry comes due early and
//! is put in again. So is one beyond the ring's horizon.
//!
//! ```text
//!            now
//!             v
//!  +---+---+---+---+---+---+---+---+
//!  |   |   |   | * |   |   | * |   |    SLOTS of TICK each
//!  +---+---+---+-|-+---+---+-|-+---+
//!                v           v
//!               #7          #2 <-> #9   connections, by their place in the loop's table
//! ```

use std::time::{Duration, Instant};

/// The ticks of a second. Deadlines are rounded up to the next, far below any timeout that makes
/// sense on a network.
const TICKS_PER_SECOND: u32 = 64;
/// The nanoseconds of a tick.
const TICK: u32 = 1_000_000_000 / TICKS_PER_SECOND;
/// A horizon of 16 s: connections that only wait for their next Ping are looked at that often.
const SLOTS: usize = 1024;
/// No connection.
const NONE: u32 = u32::MAX;

/// The deadlines of all connections of a loop.
#[derive(Debug)]
pub(super) struct Timers {
    start: Instant,
    /// Everything before this tick has come due.
    tick: u64,
    /// Before this, nothing comes due; `None` if nothing is armed. What is armed may come due
    /// later, for what was disarmed is not looked for.
    next: Option<Instant>,
    heads: Box<[u32; SLOTS]>,
    /// A bit for each slot that is not empty.
    occupied: [u64; SLOTS / 64],
    links: Vec<Link>,
}

/// A connection's place in the list of its slot.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// When its entry comes due; in no list if 0.
    tick: u64,
    next: u32,
    previous: u32,
}

impl Timers {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: now,
            tick: 1,
            next: None,
            heads: Box::new([NONE; SLOTS]),
            occupied: [0; SLOTS / 64],
            links: Vec::new(),
        }
    }

    /// Sees to it that `index` comes due at `deadline` at the latest, or sooner.
    #[inline]
    pub(super) fn arm(&mut self, index: u32, deadline: Instant) {
        let since = deadline.saturating_duration_since(self.start);
        let tick = whole_seconds(since) + u64::from(since.subsec_nanos().div_ceil(TICK));
        match self.links.get(index as usize) {
            // The usual case: it comes due early, and is then put in again.
            Some(link) if link.tick != 0 && link.tick <= tick => {}
            _ => self.insert(index, tick),
        }
    }

    /// Forgets `index`.
    pub(super) fn disarm(&mut self, index: u32) {
        if self
            .links
            .get(index as usize)
            .is_some_and(|link| link.tick != 0)
        {
            self.unlink(index);
        }
    }

    /// When to ask for what is [due](Self::due), if anything is armed.
    #[inline]
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Takes out one connection that is due at `now`; its deadline may lie later by now, and it
    /// is then to be armed again. To be asked until there is none.
    #[inline]
    pub(super) fn due(&mut self, now: Instant) -> Option<u32> {
        match self.next {
            Some(next) if now < next => None,
            _ => self.take_due(now),
        }
    }

    #[inline(never)]
    fn take_due(&mut self, now: Instant) -> Option<u32> {
        let elapsed = now.saturating_duration_since(self.start);
        let present = whole_seconds(elapsed) + u64::from(elapsed.subsec_nanos() / TICK);
        while self.tick <= present {
            let index = self.heads[slot(self.tick)];
            if index != NONE {
                self.unlink(index);
                return Some(index);
            }
            let ahead = self.next_occupied(slot(self.tick));
            self.tick = match ahead {
                Some(ahead) => (self.tick + ahead as u64).min(present + 1),
                None => present + 1,
            };
        }
        self.next = self
            .next_occupied(slot(self.tick))
            .map(|ahead| self.instant(self.tick + ahead as u64));
        None
    }

    /// When a tick begins.
    fn instant(&self, tick: u64) -> Instant {
        let second = u64::from(TICKS_PER_SECOND);
        let nanos = (tick % second) * u64::from(TICK);
        self.start + Duration::from_secs(tick / second) + Duration::from_nanos(nanos)
    }

    #[cold]
    fn insert(&mut self, index: u32, tick: u64) {
        if self.links.len() <= index as usize {
            let unarmed = Link {
                tick: 0,
                next: NONE,
                previous: NONE,
            };
            self.links.resize(index as usize + 1, unarmed);
        }
        self.disarm(index);
        // While due entries are taken out, the present slot is still being emptied.
        let tick = tick.clamp(self.tick + 1, self.tick + SLOTS as u64 - 1);
        let head = &mut self.heads[slot(tick)];
        let next = std::mem::replace(head, index);
        if next != NONE {
            self.links[next as usize].previous = index;
        }
        self.occupied[slot(tick) / 64] |= 1 << (slot(tick) % 64);
        let at = self.instant(tick);
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
        self.links[index as usize] = Link {
            tick,
            next,
            previous: NONE,
        };
    }

    fn unlink(&mut self, index: u32) {
        let link = self.links[index as usize];
        match link.previous {
            NONE => self.heads[slot(link.tick)] = link.next,
            previous => self.links[previous as usize].next = link.next,
        }
        if link.next != NONE {
            self.links[link.next as usize].previous = link.previous;
        }
        if self.heads[slot(link.tick)] == NONE {
            self.occupied[slot(link.tick) / 64] &= !(1 << (slot(link.tick) % 64));
        }
        self.links[index as usize].tick = 0;
    }

    /// How many slots from `from` on, going round, until one that is not empty.
    fn next_occupied(&self, from: usize) -> Option<usize> {
        let words = self.occupied.len();
        // The first word is looked at twice: from `from` on first, and its rest at last.
        (0..=words).find_map(|ahead| {
            let word = (from / 64 + ahead) % words;
            let mut bits = self.occupied[word];
            if ahead == 0 {
                bits &= u64::MAX << (from % 64);
            }
            let at = word * 64 + bits.trailing_zeros() as usize;
            (bits != 0).then(|| (at + SLOTS - from) % SLOTS)
        })
    }
}

/// The ticks in the whole seconds of `duration`.
#[inline]
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() * u64::from(TICKS_PER_SECOND)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "it is less than SLOTS")]
fn slot(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, proptest};

    use super::Timers;

    const TICK: Duration = Duration::from_nanos(super::TICK as u64);

    #[test]
    fn comes_due_at_its_deadline_and_once() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        assert_eq!(timers.next(), None);
        timers.arm(3, start + 10 * TICK);
        assert_eq!(timers.next(), Some(start + 10 * TICK));
        assert_eq!(timers.due(start + 9 * TICK), None);
        assert_eq!(timers.due(start + 10 * TICK), Some(3));
        assert_eq!(timers.due(start + 10 * TICK), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_deadline_that_moves_back_costs_nothing_and_one_that_moves_up_is_obeyed() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        timers.arm(0, start + 10 * TICK);
        timers.arm(0, start + 500 * TICK);
        assert_eq!(timers.next(), Some(start + 10 * TICK));
        timers.arm(0, start + 5 * TICK);
        assert_eq!(timers.next(), Some(start + 5 * TICK));
        assert_eq!(timers.due(start + 6 * TICK), Some(0));
        assert_eq!(timers.due(start + 600 * TICK), None);
    }

    #[test]
    fn what_is_armed_in_the_past_is_due_at_the_next_tick() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        assert_eq!(timers.due(start + 100 * TICK), None);
        timers.arm(7, start + TICK);
        assert_eq!(timers.due(start + 102 * TICK), Some(7));
    }

    #[test]
    fn beyond_the_horizon_it_comes_early_and_is_armed_again() {
        let start = Instant::now();
        let far = start + Duration::from_secs(3600);
        let mut timers = Timers::new(start);
        timers.arm(1, far);
        let mut now = start;
        while now < far {
            now = timers.next().unwrap();
            assert!(now <= far);
            while timers.due(now).is_some() {
                if now < far {
                    timers.arm(1, far);
                }
            }
        }
        assert!(now - start >= Duration::from_secs(3600));
        assert_eq!(timers.next(), None);
    }

    proptest! {
        /// Against the obvious: a deadline for each connection, and the least of them.
        #[test]
        fn as_a_naive_table(steps in vec((0_u32..8, 0_u64..3000, 0_u64..40), 1..200)) {
            let start = Instant::now();
            let mut timers = Timers::new(start);
            let mut naive = [None::<Instant>; 8];
            let mut now = start;
            for (index, after, passed) in steps {
                match after % 7 {
                    0 => {
                        timers.disarm(index);
                        naive[index as usize] = None;
                    }
                    _ => {
                        let deadline = now + TICK * u32::try_from(after).unwrap();
                        timers.arm(index, deadline);
                        naive[index as usize] = Some(deadline);
                    }
                }
                now += TICK * u32::try_from(passed).unwrap() / 2;
                let mut seen = 0;
                while let Some(index) = timers.due(now) {
                    match naive[index as usize] {
                        Some(deadline) if deadline > now => timers.arm(index, deadline),
                        _ => naive[index as usize] = None,
                    }
                    seen += 1;
                    prop_assert!(seen <= 8);
                }
                for deadline in naive.into_iter().flatten() {
                    prop_assert!(deadline + 2 * TICK > now, "overdue");
                    let next = timers.next().unwrap();
                    prop_assert!(next <= deadline.max(now) + 2 * TICK);
                }
                prop_assert!(timers.next().is_none_or(|next| next > now));
            }
        }
    }
}
