//! An open connection, driven by waiting: what happens next, until a deadline.

use std::fmt;
use std::time::{Duration, Instant};

use openline::proto::{
    Close, CloseCode, ClosedWhy, Connection, Event, ProtocolError, RecvBuffer, SendBuffer,
    SendError,
};

use crate::cli::diagnose::ask::Accepted;
use crate::cli::diagnose::finding::shorten;
use crate::cli::diagnose::wire::Wire;

/// A connection and its wire.
#[derive(Debug)]
pub(super) struct Open {
    wire: Wire,
    connection: Connection,
    recv: RecvBuffer,
    send: SendBuffer,
    timeout: Duration,
    /// What the peer's Close frame said, once it came.
    close: Option<(Option<CloseCode>, String)>,
    end: Option<End>,
    /// When bytes last passed, either way.
    passed: Instant,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A message, as a line that describes it.
    Message(String),
    Ping,
    Pong(Vec<u8>),
    Ended(End),
    /// Nothing, until the deadline.
    Quiet,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By a Close frame of the peer's, ours being first or not.
    Closed(Option<CloseCode>, String),
    /// The stream ended without one.
    Dropped { mid_message: bool },
    /// The same, by force.
    Reset(String),
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// Our Close frame was not answered.
    CloseTimeout,
}

impl Open {
    pub(super) fn new(accepted: Accepted, timeout: Duration) -> Self {
        Self {
            wire: accepted.wire,
            connection: accepted.connection,
            recv: accepted.recv,
            send: accepted.send,
            timeout,
            close: None,
            end: None,
            passed: Instant::now(),
        }
    }

    /// The next thing that happens before `deadline`. After the end, the end.
    pub(super) fn next(&mut self, deadline: Instant) -> Heard {
        loop {
            if let Some(end) = &self.end {
                return Heard::Ended(end.clone());
            }
            match self.poll() {
                Some(Heard::Ended(end)) => {
                    // The last words: a Close frame that answers.
                    let _ = self.flush();
                    self.end = Some(end);
                    continue;
                }
                Some(heard) => return heard,
                None => {}
            }
            if let Err(reset) = self.flush() {
                self.end = Some(reset);
                continue;
            }
            let timer = self.connection.poll_timeout();
            let until = timer.map_or(deadline, |timer| timer.min(deadline));
            let mut bytes = [0; READ_SIZE];
            match self.wire.read(&mut bytes, until) {
                Ok(Some(0)) => self.connection.handle_eof(),
                Ok(Some(n)) => {
                    self.passed = Instant::now();
                    self.recv.extend(&bytes[..n]);
                }
                Ok(None) => {
                    let now = Instant::now();
                    self.connection.handle_timeout(now, &mut self.send);
                    if now >= deadline && self.connection.poll_timeout() == timer {
                        return Heard::Quiet;
                    }
                }
                Err(error) => self.end = Some(End::Reset(error.to_string())),
            }
        }
    }

    fn poll(&mut self) -> Option<Heard> {
        let now = Instant::now();
        loop {
            let event = match self.connection.poll(now, &mut self.recv, &mut self.send) {
                Ok(event) => event?,
                Err(error) => return Some(Heard::Ended(End::Protocol(error))),
            };
            return Some(match event {
                Event::Text(text) => Heard::Message(describe(text)),
                Event::Binary(data) => Heard::Message(format!("binary, {} bytes", data.len())),
                // Messages are taken whole.
                Event::Chunk(_) => continue,
                Event::Ping(_) => Heard::Ping,
                Event::Pong(payload) => Heard::Pong(payload.to_owned()),
                Event::Close(close) => {
                    self.close = Some(match close {
                        Some(Close { code, reason }) => (Some(code), reason.to_owned()),
                        None => (None, String::new()),
                    });
                    continue;
                }
                Event::Closed(closed) => Heard::Ended(match (closed.why, self.close.take()) {
                    (ClosedWhy::Handshake { .. }, Some((code, reason))) => {
                        End::Closed(code, reason)
                    }
                    (ClosedWhy::EndOfFile { mid_message }, _) => End::Dropped { mid_message },
                    _ => End::CloseTimeout,
                }),
            });
        }
    }

    fn flush(&mut self) -> Result<(), End> {
        if self.send.is_empty() {
            return Ok(());
        }
        let written = self.wire.write(self.send.pending(), self.timeout);
        let n = self.send.len();
        self.send.advance(n);
        self.passed = Instant::now();
        match written {
            Ok(()) => Ok(()),
            // What the peer said before it hung up is still to be read.
            Err(error) => match self.last_words() {
                Some(end) => Err(end),
                None => Err(End::Reset(error.to_string())),
            },
        }
    }

    /// What had been received before writing failed.
    fn last_words(&mut self) -> Option<End> {
        let mut bytes = [0; READ_SIZE];
        let soon = Instant::now() + Duration::from_millis(50);
        while let Ok(Some(n)) = self.wire.read(&mut bytes, soon) {
            match n {
                0 => self.connection.handle_eof(),
                n => self.recv.extend(&bytes[..n]),
            }
            loop {
                match self.poll() {
                    Some(Heard::Ended(end)) => return Some(end),
                    Some(_) => {}
                    None => break,
                }
            }
            if n == 0 {
                break;
            }
        }
        None
    }

    pub(super) fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.connection.send_text(text, &mut self.send)
    }

    pub(super) fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.connection.send_ping(payload, &mut self.send)
    }

    /// Begins the closing handshake.
    pub(super) fn close(&mut self) {
        let close = Close {
            code: CloseCode::NORMAL,
            reason: "",
        };
        // One that is closing already goes on with that.
        let _ = self
            .connection
            .close(Instant::now(), Some(close), &mut self.send);
    }

    /// Whether the peer closes the TCP connection by `deadline`.
    pub(super) fn peer_hangs_up(&mut self, deadline: Instant) -> bool {
        let mut bytes = [0; READ_SIZE];
        loop {
            match self.wire.read(&mut bytes, deadline) {
                Ok(Some(0)) | Err(_) => return true,
                Ok(Some(_)) => {}
                Ok(None) => return false,
            }
        }
    }

    /// When bytes last passed, either way.
    pub(super) fn passed(&self) -> Instant {
        self.passed
    }

    /// Leaves a connection that was closed.
    pub(super) fn hang_up(mut self) {
        self.wire.close();
    }

    /// Leaves with a Close frame, without waiting for the answer.
    pub(super) fn leave(mut self) {
        self.close();
        // One that is gone needs no good-bye.
        let _ = self.flush();
        self.wire.close();
    }
}

const READ_SIZE: usize = 4 << 10;

fn describe(text: &str) -> String {
    let beginning = shorten(text, 80);
    match beginning.len() == text.len() {
        true => format!("text: {text}"),
        false => format!("text, {} bytes: {beginning}", text.len()),
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(None, _) => f.write_str("a Close frame without a code"),
            Self::Closed(Some(code), reason) if reason.is_empty() => {
                write!(f, "a Close frame: {code}")
            }
            Self::Closed(Some(code), reason) => write!(f, "a Close frame: {code}, {reason:?}"),
            Self::Dropped { mid_message: true } => {
                f.write_str("the stream ended within a message, without a Close frame")
            }
            Self::Dropped { mid_message: false } => {
                f.write_str("the stream ended without a Close frame (clients say 1006)")
            }
            Self::Reset(error) => write!(f, "the connection was cut: {error} (clients say 1006)"),
            Self::Protocol(error) => error.fmt(f),
            Self::CloseTimeout => f.write_str("our Close frame was left unanswered"),
        }
    }
}
