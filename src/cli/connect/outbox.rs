//! What the input has for the connection, on its way between their two threads.
//!
//! Bounded: the input waits while as much as [`SIZE_MAX`] is on its way. Messages keep their
//! order, and each is either taken for sending or still here when the connection ends.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openline::net::OwnedMessage;

/// The bytes of messages that may wait. 1 MiB keeps a fast line busy.
const SIZE_MAX: usize = 1 << 20;
/// What a message counts beside its payload, so that empty ones are bounded too.
const MESSAGE_COST: usize = 64;

/// Shared between the input, which fills it, and the connection, which empties it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<OwnedMessage>,
    size: usize,
    /// The connection takes no more.
    is_over: bool,
    /// The input has come to its end.
    is_finishing: bool,
    /// When the peer was last heard of, once it is known to have read all.
    quiet_since: Option<Instant>,
}

/// The connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over;

impl Outbox {
    /// Adds a message, as soon as there is room. Answers whether the connection must be told:
    /// it takes messages until there are none, and then has to be called again.
    pub(super) fn put(&self, message: OwnedMessage) -> Result<bool, Over> {
        let mut state = self.lock();
        while state.size >= SIZE_MAX && !state.is_over {
            state = self.wait(state, None);
        }
        if state.is_over {
            return Err(Over);
        }
        let was_empty = state.messages.is_empty();
        state.size += cost(&message);
        state.messages.push_back(message);
        Ok(was_empty)
    }

    /// Takes the next message to send.
    pub(super) fn take(&self) -> Option<OwnedMessage> {
        let mut state = self.lock();
        let message = state.messages.pop_front()?;
        state.size -= cost(&message);
        self.changed.notify_all();
        Some(message)
    }

    /// Nothing can be sent any more. Answers how many messages were left.
    pub(super) fn end(&self) -> usize {
        let mut state = self.lock();
        state.is_over = true;
        state.size = 0;
        self.changed.notify_all();
        let is_data = |message: &OwnedMessage| {
            matches!(message, OwnedMessage::Text(_) | OwnedMessage::Binary(_))
        };
        state.messages.drain(..).filter(is_data).count()
    }

    /// The peer has read all that was sent before now.
    pub(super) fn caught_up(&self, now: Instant) {
        self.lock().quiet_since = Some(now);
        self.changed.notify_all();
    }

    /// Whether all that there will be has been taken, and the input waits for the peer.
    pub(super) fn is_finishing(&self) -> bool {
        self.lock().is_finishing
    }

    /// A message came from the peer.
    pub(super) fn heard(&self, now: Instant) {
        let mut state = self.lock();
        if let Some(since) = &mut state.quiet_since {
            *since = now;
        }
    }

    /// Waits until the peer has caught up and then said nothing for `time`, or until the
    /// connection has ended; that alone, if there is no `time`.
    pub(super) fn wait_quiet(&self, time: Option<Duration>) {
        let mut state = self.lock();
        state.is_finishing = true;
        while !state.is_over {
            let left = match (state.quiet_since, time) {
                (Some(since), Some(time)) => Some(time.saturating_sub(since.elapsed())),
                _ => None,
            };
            if left == Some(Duration::ZERO) {
                return;
            }
            state = self.wait(state, left);
        }
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        left: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match left {
            None => self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let waited = self.changed.wait_timeout(state, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// No step under the lock can panic midway, so a poisoned one is as good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(message: &OwnedMessage) -> usize {
    let payload = match message {
        OwnedMessage::Text(text) => text.len(),
        OwnedMessage::Binary(data) | OwnedMessage::Ping(data) => data.len(),
        _ => 0,
    };
    payload + MESSAGE_COST
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use openline::net::OwnedMessage;

    use super::{Outbox, Over, SIZE_MAX};

    fn text(len: usize) -> OwnedMessage {
        OwnedMessage::Text("x".repeat(len))
    }

    #[test]
    fn the_connection_is_told_once_for_each_time_it_has_emptied_the_box() {
        let outbox = Outbox::default();
        assert_eq!(outbox.put(text(1)), Ok(true));
        assert_eq!(outbox.put(text(2)), Ok(false));
        assert_eq!(outbox.take(), Some(text(1)));
        assert_eq!(outbox.put(text(3)), Ok(false));
        assert_eq!(outbox.take(), Some(text(2)));
        assert_eq!(outbox.take(), Some(text(3)));
        assert_eq!(outbox.take(), None);
        assert_eq!(outbox.put(text(4)), Ok(true));
    }

    #[test]
    fn what_is_left_at_the_end_is_counted() {
        let outbox = Outbox::default();
        assert_eq!(outbox.put(text(1)), Ok(true));
        assert_eq!(outbox.put(OwnedMessage::Close(None)), Ok(false));
        assert_eq!(outbox.end(), 1);
        assert_eq!(outbox.put(text(1)), Err(Over));
    }

    #[test]
    fn a_full_box_has_the_input_wait() {
        let outbox = Arc::new(Outbox::default());
        // The bound is looked at before a message, so that one of any size fits.
        outbox.put(text(2 * SIZE_MAX)).unwrap();
        let (send, recv) = mpsc::channel();
        let theirs = Arc::clone(&outbox);
        let input = thread::spawn(move || send.send(theirs.put(text(1))));
        let early = recv.recv_timeout(Duration::from_millis(50));
        assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
        assert_eq!(outbox.take(), Some(text(2 * SIZE_MAX)));
        assert_eq!(recv.recv_timeout(Duration::from_secs(10)), Ok(Ok(true)));
        input.join().unwrap().unwrap();
    }

    #[test]
    fn the_end_frees_an_input_that_waits() {
        let outbox = Arc::new(Outbox::default());
        outbox.put(text(SIZE_MAX)).unwrap();
        let theirs = Arc::clone(&outbox);
        let input = thread::spawn(move || theirs.put(text(1)));
        outbox.end();
        assert_eq!(input.join().unwrap(), Err(Over));
        outbox.wait_quiet(None);
    }

    #[test]
    fn quiet_counts_from_the_last_that_was_heard() {
        let outbox = Outbox::default();
        let begin = Instant::now();
        let later = begin + Duration::from_millis(40);
        outbox.heard(begin + Duration::from_secs(1000));
        outbox.caught_up(begin);
        outbox.heard(later);
        outbox.wait_quiet(Some(Duration::from_millis(20)));
        assert!(Instant::now() >= later + Duration::from_millis(20));
    }
}
