//! What a connection sent and what is to come back, in order.
//!
//! With many messages in flight, those that leave in one turn of the loop are alike but for their
//! places in the pattern, which follow upon each other. So they are kept as runs: one that is being
//! answered, one that is being sent, and between them as many as there are.

use std::collections::VecDeque;
use std::time::Instant;

/// Messages that wait for their answers.
#[derive(Debug)]
pub(super) struct Waiting {
    first: Run,
    between: VecDeque<Run>,
    last: Run,
    len: usize,
}

/// Messages of one size that were to leave at one moment.
#[derive(Clone, Copy, Debug)]
struct Run {
    intended: Instant,
    size: u32,
    count: usize,
}

impl Waiting {
    /// None; `now` is any moment.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            first: Run::of(now, 0, 0),
            between: VecDeque::new(),
            last: Run::of(now, 0, 0),
            len: 0,
        }
    }

    /// How many wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// One more was sent, that was to leave at `intended`.
    #[inline]
    pub(super) fn push(&mut self, intended: Instant, size: u32) {
        self.len += 1;
        if self.last.intended == intended && self.last.size == size {
            self.last.count += 1;
        } else {
            self.begin(intended, size);
        }
    }

    /// When the next to be answered was to leave, and its size.
    #[inline]
    pub(super) fn front(&mut self) -> Option<(Instant, u32)> {
        if self.first.count == 0 {
            self.turn_to_next()?;
        }
        Some((self.first.intended, self.first.size))
    }

    /// What [`front`](Self::front) said was answered.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.first.count -= 1;
        self.len -= 1;
    }

    #[inline(never)]
    fn begin(&mut self, intended: Instant, size: u32) {
        if self.last.count > 0 {
            self.between.push_back(self.last);
        }
        self.last = Run::of(intended, size, 1);
    }

    #[inline(never)]
    fn turn_to_next(&mut self) -> Option<()> {
        self.first = match self.between.pop_front() {
            Some(run) => run,
            None => {
                let run = self.last;
                self.last.count = 0;
                run
            }
        };
        (self.first.count > 0).then_some(())
    }
}

impl Run {
    fn of(intended: Instant, size: u32, count: usize) -> Self {
        Self {
            intended,
            size,
            count,
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
            let mut waiting = Waiting::new(begun);
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
