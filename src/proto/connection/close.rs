//! The closing handshake ([RFC 6455 §7]).
//!
//! A Close frame is sent at most once and obeyed at most once. After both, or after a deadline,
//! or after the end of the peer's stream, only the transport remains to be closed.
//!
//! ```text
//!             close(), idle                their Close
//!    Open --------------------> Closing --------------------> Ended --> Over
//!     |                            |    deadline, end of file   ^  told by
//!     |                            +----------------------------+  Event::Closed
//!     |     their Close (answered), pong deadline, end of file  |
//!     +---------------------------------------------------------+
//!     |
//!     +-- the peer breaks the protocol (also from Closing) --> Err, for good
//! ```
//!
//! [RFC 6455 §7]: https://www.rfc-editor.org/rfc/rfc6455#section-7

use std::time::Instant;

use crate::proto::buffer::SendBuffer;
use crate::proto::close::{Close, CloseCode, REASON_MAX};
use crate::proto::connection::{Connection, Event};
use crate::proto::error::{ProtocolError, SendError};
use crate::proto::event::{Closed, ClosedWhy, Party};
use crate::proto::frame::Opcode;
use crate::proto::timer::Due;

/// Where the connection stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// Messages pass both ways.
    Open,
    /// Our Close is sent; theirs is awaited until the deadline, and messages still come.
    Closing {
        why: ClosedWhy,
        /// `None` is beyond the clock.
        deadline: Option<Instant>,
    },
    /// The end, to be told.
    Ended(Closed),
    /// The end, told.
    Over,
}

impl Connection {
    /// Begins the closing handshake; messages of the peer still come until its Close does.
    ///
    /// `None` sends a Close frame without a code. The end is told by
    /// [`Event::Closed`], after the peer's Close or [`Config::close_timeout`].
    ///
    /// [`Config::close_timeout`]: crate::proto::Config::close_timeout
    ///
    /// # Errors
    ///
    /// When the connection is closing or closed already, or with a reason above
    /// [`REASON_MAX`] bytes.
    pub fn close(
        &mut self,
        now: Instant,
        close: Option<Close<'_>>,
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let code = close.map(|close| close.code);
        self.begin_close(now, close, ClosedWhy::Handshake { code }, send)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
    ///
    /// Ask again after each call that takes `now`; a deadline that moved back may be noticed
    /// late, for an early call of `handle_timeout` does nothing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            Ok(State::Open) => {
                let message = self.reader.deadline(&self.config);
                let timers = self.timers.deadline(&self.config);
                [message, timers].into_iter().flatten().min()
            }
            Ok(State::Closing { deadline, .. }) => deadline,
            Ok(State::Ended(_) | State::Over) | Err(_) => None,
        }
    }

    /// Whether nothing waits for the peer but its next message: no part of one has come, no Ping
    /// is on its way, and nobody closes.
    ///
    /// As long as that is so, [`poll_timeout`](Self::poll_timeout) only moves back: who keeps
    /// deadlines need not ask for it after a turn before and after which it is.
    #[inline]
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        // No branches: a loop asks before and after every turn, and the answer is yes.
        self.is_open() & !self.reader.is_mid_message() & !self.timers.is_pinging()
    }

    /// Whether a Pong of the peer's may be on its way, which it owes to a Ping of ours even behind
    /// its own Close, unless it has read ours (§5.5.2).
    ///
    /// If not, a peer that keeps to the protocol sends nothing more once both Close frames were
    /// exchanged, and a server may close its socket at once: what comes to a closed socket is
    /// answered by a reset, which destroys what the peer has not read yet.
    #[must_use]
    pub fn may_be_owed_pong(&self) -> bool {
        self.timers.may_be_owed_pong()
    }

    /// Does what is due at `now`: a Ping, or the end. [`poll`](Self::poll) tells the end.
    pub fn handle_timeout(&mut self, now: Instant, send: &mut SendBuffer) {
        match self.state {
            Ok(State::Open) if self.is_message_overdue(now) => {
                let max = self.config.message_timeout.unwrap_or_default();
                self.fail(ProtocolError::MessageTooSlow { max }, send);
            }
            Ok(State::Open) => match self.timers.due(now, &self.config) {
                Due::Nothing => {}
                Due::Ping => self.queue(true, Opcode::Ping, b"", send),
                Due::IdleTimeout => {
                    let close = Close {
                        code: CloseCode::GOING_AWAY,
                        reason: "no message for too long",
                    };
                    let begun = self.begin_close(now, Some(close), ClosedWhy::IdleTimeout, send);
                    begun.expect("an open connection can begin to close, and the reason is short");
                }
                Due::PongTimeout => {
                    // Best effort: perhaps only the peer's direction is dead.
                    let close = Close {
                        code: CloseCode::INTERNAL_ERROR,
                        reason: "a ping was left unanswered",
                    };
                    self.queue_close(Some(close), send)
                        .expect("the reason is short");
                    self.end(Party::Peer, now, ClosedWhy::PongTimeout);
                }
            },
            Ok(State::Closing {
                deadline: Some(deadline),
                ..
            }) if deadline <= now => {
                self.end(Party::Peer, now, ClosedWhy::CloseTimeout);
            }
            _ => {}
        }
    }

    /// The transport took bytes that had waited for room: the peer's end has acknowledged others,
    /// which shows life as a byte received does. So a peer that reads slowly is not given up
    /// over a Ping that waits in the queue.
    #[inline]
    pub fn handle_progress(&mut self, now: Instant) {
        self.timers.received(now);
    }

    /// When the last Ping of [`handle_timeout`](Self::handle_timeout) went out, once, if the peer
    /// has shown life since: asked at a Pong, how long the round trip took.
    #[must_use]
    pub fn take_answered_ping(&mut self) -> Option<Instant> {
        self.timers.take_answered()
    }

    /// The peer's stream has ended: nothing more will be received.
    ///
    /// What was received before is still polled; then [`poll`](Self::poll) tells the end.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// Whether the end was told, or the peer broke the protocol: only the transport remains.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, Ok(State::Over) | Err(_))
    }

    /// Whether messages may be sent: no Close frame was sent, and no end has come.
    #[inline]
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, Ok(State::Open))
    }

    /// Obeys the peer's Close frame: §5.5.1, it is answered unless ours went first.
    pub(super) fn handle_close(
        &mut self,
        now: Instant,
        close: Option<Close<'_>>,
        send: &mut SendBuffer,
    ) {
        match self.state {
            Ok(State::Closing { why, .. }) => self.end(Party::Us, now, why),
            _ => {
                let code = close.map(|close| close.code);
                // §5.5.1: the reply echoes the code; the reason was for us.
                let reply = code.map(|code| Close { code, reason: "" });
                self.queue_close(reply, send)
                    .expect("an empty reason is short");
                self.end(Party::Peer, now, ClosedWhy::Handshake { code });
            }
        }
    }

    /// Fails the connection (§7.1.7): says why in a Close frame, unless one went out already.
    #[cold]
    pub(super) fn fail(&mut self, error: ProtocolError, send: &mut SendBuffer) -> ProtocolError {
        if self.is_open() {
            let reason = error.to_string();
            let close = Close {
                code: error.close_code(),
                reason: reason.get(..REASON_MAX).unwrap_or(&reason),
            };
            // A reason that cannot be told is no reason to stay silent.
            if self.queue_close(Some(close), send).is_err() {
                let silent = Close {
                    reason: "",
                    ..close
                };
                self.queue_close(Some(silent), send)
                    .expect("an empty reason is short");
            }
        }
        self.state = Err(error);
        self.find_short_ways();
        error
    }

    /// The end of the peer's stream, after all it sent was polled.
    #[cold]
    pub(super) fn end_of_file(&mut self, now: Instant, mid_frame: bool) {
        let mid_message = mid_frame || self.reader.is_mid_message();
        self.end(Party::Peer, now, ClosedWhy::EndOfFile { mid_message });
    }

    /// What a connection that is no longer polled for messages answers.
    #[cold]
    pub(super) fn poll_end<'b>(&mut self) -> Result<Option<Event<'b>>, ProtocolError> {
        match self.state {
            Ok(State::Ended(closed)) => {
                self.state = Ok(State::Over);
                Ok(Some(Event::Closed(closed)))
            }
            Err(error) => Err(error),
            Ok(_) => Ok(None),
        }
    }

    fn is_message_overdue(&self, now: Instant) -> bool {
        let deadline = self.reader.deadline(&self.config);
        deadline.is_some_and(|deadline| deadline <= now)
    }

    fn begin_close(
        &mut self,
        now: Instant,
        close: Option<Close<'_>>,
        why: ClosedWhy,
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(SendError::Closed);
        }
        self.queue_close(close, send)?;
        let deadline = now.checked_add(self.config.close_timeout);
        self.state = Ok(State::Closing { why, deadline });
        self.find_short_ways();
        Ok(())
    }

    fn queue_close(
        &mut self,
        close: Option<Close<'_>>,
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let (payload, len) = match close {
            Some(close) => close.encode()?,
            None => ([0; _], 0),
        };
        self.queue(true, Opcode::Close, &payload[..len], send);
        Ok(())
    }

    fn end(&mut self, by: Party, at: Instant, why: ClosedWhy) {
        self.state = Ok(State::Ended(Closed { by, at, why }));
        self.find_short_ways();
    }
}
