//! What a connection sent and what is to come back, in order.
//!
//! With many messages in flight, those that leave in one turn of the loop are alike but for their
//! places in the pattern, which follow upon each other. So they are kept as runs.

use std::collections::VecDeque;
use std::time::Instant;

/// Messages that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// None of them empty; the first is answered next.
    runs: VecDeque<Run>,
    /// The messages in all of them.
    len: usize,
}

/// Messages of one size that were to leave at one moment.
#[derive(Debug)]
struct Run {
    intended: Instant,
    size: u32,
    count: usize,
}

impl Waiting {
    /// How many wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// One more was sent, that was to leave at `intended`.
    #[inline]
    pub(super) fn push(&mut self, intended: Instant, size: u32) {
        self.len += 1;
        match self.runs.back_mut() {
            Some(run) if run.intended == intended && run.size == size => run.count += 1,
            _ => self.runs.push_back(Run {
                intended,
                size,
                count: 1,
            }),
        }
    }

    /// When the next to be answered was to leave, and its size.
    #[inline]
    pub(super) fn front(&self) -> Option<(Instant, u32)> {
        self.runs.front().map(|run| (run.intended, run.size))
    }

    /// The next was answered, if any waited.
    #[inline]
    pub(super) fn pop(&mut self) {
        if let Some(run) = self.runs.front_mut() {
            self.len -= 1;
            run.count -= 1;
            if run.count == 0 {
                self.runs.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::Waiting;

    proptest! {
        #[test]
        fn what_was_sent_comes_back_in_order(
            steps in proptest::collection::vec((any::<bool>(), 0..3_u64, 0..2_u32), 0..200),
        ) {
            let begun = Instant::now();
            let mut waiting = Waiting::default();
            let mut expected = VecDeque::new();
            for (sends, moment, size) in steps {
                if sends {
                    let intended = begun + Duration::from_millis(moment);
                    waiting.push(intended, size);
                    expected.push_back((intended, size));
                } else {
                    prop_assert_eq!(waiting.front(), expected.front().copied());
                    if expected.pop_front().is_some() {
                        waiting.pop();
                    }
                }
                prop_assert_eq!(waiting.len(), expected.len());
            }
            while let Some(next) = expected.pop_front() {
                prop_assert_eq!(waiting.front(), Some(next));
                waiting.pop();
            }
            prop_assert_eq!(waiting.front(), None);
        }
    }
}
