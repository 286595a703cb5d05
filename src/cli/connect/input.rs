//! The input: standard input's lines when it is a pipe, or what is typed at the prompt.
//!
//! It runs in a thread of its own, since both block. The last that it has for the connection is
//! the Close frame.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, PoisonError};

use openline::net::{ConnectionId, OwnedMessage, Remote};
use openline::proto::CloseCode;

use crate::cli::connect::outbox::{Outbox, Over};
use crate::cli::values::Time;

/// The payload of the Ping that asks whether the peer has read all of the input.
pub(super) const END_OF_INPUT: &[u8] = b"end of input";

/// The way from the input to the connection.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) outbox: Arc<Outbox>,
    pub(super) remote: Remote,
    /// The connection, which another may take the place of.
    pub(super) line: Line,
}

/// Which connection there is.
pub(super) type Line = Arc<Mutex<ConnectionId>>;

impl Sender {
    /// Has `message` sent in its turn; waits while much is on its way.
    pub(super) fn send(&self, message: OwnedMessage) -> Result<(), Over> {
        if self.outbox.put(message)? {
            // A loop that is gone has told the outbox so.
            let id = *self.line.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = self.remote.call(id);
        }
        Ok(())
    }
}

/// How the input becomes messages, and what follows its end.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Whether lines are sent as binary messages.
    pub(super) is_binary: bool,
    /// The bytes of a line.
    pub(super) line_max: u64,
    /// How long the peer must be silent after the end before we close.
    pub(super) wait: Time,
    /// What our Close frame says.
    pub(super) close: (CloseCode, String),
}

/// Why the input could not be sent to its end.
#[derive(Debug)]
pub(super) enum InputError {
    Read(io::Error),
    NotText { line: u64 },
    LineTooLong { line: u64, max: u64 },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "standard input cannot be read: {error}"),
            Self::NotText { line } => write!(
                f,
                "line {line} of the input is not UTF-8, as text must be: --binary sends bytes"
            ),
            Self::LineTooLong { line, max } => write!(
                f,
                "line {line} of the input is longer than {max} bytes: --max-message allows more"
            ),
        }
    }
}

/// Where the input leaves what stopped it.
pub(super) type Failure = Arc<Mutex<Option<InputError>>>;

/// Sends every line of `input`, waits for the answers, and closes.
pub(super) fn run(input: impl BufRead, sender: &Sender, plan: &Plan, failure: &Failure) {
    let close = |(code, reason): (CloseCode, String)| {
        // Over already is as good.
        let _ = sender.send(OwnedMessage::Close(Some((code, reason))));
    };
    match send_lines(input, sender, plan) {
        Ok(Ok(())) => {
            // Zero is not to wait; the question would be in vain.
            if plan.wait != Time::Span(std::time::Duration::ZERO) {
                let _ = sender.send(OwnedMessage::Ping(END_OF_INPUT.to_owned()));
                sender.outbox.wait_quiet(match plan.wait {
                    Time::Span(time) => Some(time),
                    Time::Never => None,
                });
            }
            close(plan.close.clone());
        }
        Ok(Err(Over)) => {}
        Err(error) => {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            close((CloseCode::GOING_AWAY, String::new()));
        }
    }
}

fn send_lines(
    mut input: impl BufRead,
    sender: &Sender,
    plan: &Plan,
) -> Result<Result<(), Over>, InputError> {
    let mut number = 0;
    loop {
        number += 1;
        let Some(line) = read_line(&mut input, plan.line_max, number)? else {
            return Ok(Ok(()));
        };
        let message = match plan.is_binary {
            true => OwnedMessage::Binary(line),
            false => match String::from_utf8(line) {
                Ok(text) => OwnedMessage::Text(text),
                Err(_) => return Err(InputError::NotText { line: number }),
            },
        };
        if sender.send(message).is_err() {
            return Ok(Err(Over));
        }
    }
}

/// The next line without its line feed; the last need not have one. `None` at the end.
fn read_line(
    input: &mut impl BufRead,
    max: u64,
    number: u64,
) -> Result<Option<Vec<u8>>, InputError> {
    let mut line = Vec::new();
    let mut bounded = input.take(max.saturating_add(1));
    bounded
        .read_until(b'\n', &mut line)
        .map_err(InputError::Read)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 > max {
        return Err(InputError::LineTooLong { line: number, max });
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::{InputError, read_line};

    #[test]
    fn lines_lose_their_line_feed_and_nothing_else() {
        let mut input = Cursor::new(b"a\r\n\n b \nlast");
        let mut next = || read_line(&mut input, 100, 1).unwrap();
        assert_eq!(next().as_deref(), Some(&b"a\r"[..]));
        assert_eq!(next().as_deref(), Some(&b""[..]));
        assert_eq!(next().as_deref(), Some(&b" b "[..]));
        assert_eq!(next().as_deref(), Some(&b"last"[..]));
        assert_eq!(next(), None);
    }

    #[test]
    fn a_line_has_a_limit() {
        let read = |text: &str| read_line(&mut Cursor::new(text), 3, 7);
        assert!(read("abc\n").is_ok());
        assert!(read("abc").is_ok());
        let error = read("abcd\n").unwrap_err();
        assert!(matches!(error, InputError::LineTooLong { line: 7, max: 3 }));
        assert!(read("abcd").is_err());
    }
}
