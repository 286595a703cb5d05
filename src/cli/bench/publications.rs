//! The publications that are on their way to subscribers.

use std::collections::VecDeque;

use openline::net::ConnectionId;

use crate::cli::bench::payload::Sent;

/// The publications that not everyone has.
#[derive(Debug, Default)]
pub(super) struct Publications {
    pub(super) publisher: Option<ConnectionId>,
    /// Each with how many are still to get it.
    under_way: VecDeque<(Sent, u64)>,
    /// How many there were before those.
    complete: u64,
}

impl Publications {
    /// How many are under way.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// How many there were, in all.
    pub(super) fn count(&self) -> u64 {
        self.complete + self.under_way.len() as u64
    }

    /// One more, for so many subscribers.
    pub(super) fn publish(&mut self, sent: Sent, subscribers: u64) {
        self.under_way.push_back((sent, subscribers));
    }

    /// The publication of this number, if there is one that not everyone has.
    #[inline]
    pub(super) fn at(&self, number: u64) -> Option<Sent> {
        let (sent, _) = self.under_way.get(self.position(number)?)?;
        Some(*sent)
    }

    /// One subscriber has it; answers how many publications are complete by that.
    #[inline]
    pub(super) fn delivered(&mut self, number: u64) -> u64 {
        let position = self.position(number);
        if let Some((_, lacking)) = position.and_then(|at| self.under_way.get_mut(at)) {
            *lacking -= 1;
        }
        self.settle()
    }

    /// A subscriber that has had so many is gone; answers how many it did not get.
    pub(super) fn leave(&mut self, received: u64) -> u64 {
        let Some(position) = self.position(received) else {
            return 0;
        };
        let mut missed = 0;
        for (_, lacking) in self
            .under_way
            .range_mut(position.min(self.under_way.len())..)
        {
            *lacking -= 1;
            missed += 1;
        }
        self.settle();
        missed
    }

    #[inline]
    fn settle(&mut self) -> u64 {
        let before = self.complete;
        while let Some((_, 0)) = self.under_way.front() {
            self.under_way.pop_front();
            self.complete += 1;
        }
        self.complete - before
    }

    #[inline]
    fn position(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.complete)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Publications, Sent};

    #[test]
    fn complete_when_everyone_who_is_there_has_it() {
        let sent = Sent {
            intended: Instant::now(),
            size: 10,
            count: 1,
        };
        let mut publications = Publications::default();
        publications.publish(sent, 3);
        publications.publish(sent, 3);
        assert_eq!(publications.delivered(0), 0);
        assert_eq!(publications.delivered(0), 0);
        assert_eq!(publications.delivered(1), 0);
        assert_eq!(publications.delivered(1), 0);
        // The third leaves, and has had none.
        assert_eq!(publications.leave(0), 2);
        assert_eq!((publications.len(), publications.count()), (0, 2));
        assert!(publications.at(2).is_none());
    }
}
