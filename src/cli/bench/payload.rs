//! What is sent, and whether that is what came back.
//!
//! Every payload is a piece of one pattern, from a place that differs from message to message: so
//! an echo of another message is noticed, and nothing is made or remembered for each.

use std::fmt;
use std::time::Instant;

use openline::net::{Message, Peer};
use openline::proto::SendError;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::cli::bench::size::Sizes;

/// How many places a payload may begin at.
const PLACES: u32 = 64;

/// A message that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// When it was to leave: later, where the generator or the server did not keep up.
    pub(super) intended: Instant,
    pub(super) size: u32,
    place: u32,
}

/// What payloads are made of.
#[derive(Debug)]
pub(super) enum Pattern {
    /// Words, as compressible as text is.
    Text(String),
    /// Random bytes.
    Binary(Vec<u8>),
}

/// Something else came than what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    Kind { sent_text: bool },
    Size { sent: u32, came: usize },
    Byte { at: usize, sent: u8, came: u8 },
    Unasked,
}

impl Pattern {
    /// For messages up to the largest of `sizes`.
    pub(super) fn new(sizes: &Sizes, is_text: bool) -> Self {
        let len = sizes.max() as usize + PLACES as usize;
        // Always the same, so that two runs are alike.
        let mut random = StdRng::seed_from_u64(0x6f70_656e);
        if !is_text {
            let mut bytes = vec![0; len];
            random.fill_bytes(&mut bytes);
            return Self::Binary(bytes);
        }
        let mut text = String::with_capacity(len + 16);
        while text.len() < len {
            let word = random.next_u32() as usize % WORDS.len();
            text.push_str(WORDS[word]);
            text.push(' ');
            // A number now and then, as logs and prices have them.
            if word == 0 {
                text += &random.next_u32().to_string();
            }
        }
        Self::Text(text)
    }

    /// A message of this size, the `number`th of its connection.
    #[inline]
    pub(super) fn message(&self, intended: Instant, size: u32, number: u64) -> Sent {
        let place = number % u64::from(PLACES);
        Sent {
            intended,
            size,
            place: u32::try_from(place).expect("it is below 64"),
        }
    }

    /// Queues it.
    #[inline]
    pub(super) fn send(&self, sent: Sent, peer: &mut Peer<'_>) -> Result<(), SendError> {
        match self {
            Self::Text(text) => peer.send_text(&text[sent.range()]),
            Self::Binary(bytes) => peer.send_binary(&bytes[sent.range()]),
        }
    }

    /// Whether `came` is what was `sent`.
    #[inline]
    pub(super) fn check(&self, sent: Sent, came: Message<'_>) -> Result<(), Mismatch> {
        let (expected, came) = match (self, came) {
            (Self::Text(text), Message::Text(came)) => (text.as_bytes(), came.as_bytes()),
            (Self::Binary(bytes), Message::Binary(came)) => (bytes.as_slice(), came),
            _ => {
                let sent_text = matches!(self, Self::Text(_));
                return Err(Mismatch::Kind { sent_text });
            }
        };
        let expected = &expected[sent.range()];
        match expected == came {
            true => Ok(()),
            false => Err(differ(expected, came, sent.size)),
        }
    }
}

impl Sent {
    #[inline]
    fn range(self) -> std::ops::Range<usize> {
        let start = self.place as usize;
        start..start + self.size as usize
    }
}

#[cold]
fn differ(expected: &[u8], came: &[u8], sent: u32) -> Mismatch {
    let mut pairs = expected.iter().zip(came);
    match pairs.position(|(sent, came)| sent != came) {
        Some(at) if expected.len() == came.len() => Mismatch::Byte {
            at,
            sent: expected[at],
            came: came[at],
        },
        _ => Mismatch::Size {
            sent,
            came: came.len(),
        },
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { sent_text: true } => f.write_str("text was sent, and binary came back"),
            Self::Kind { sent_text: false } => f.write_str("binary was sent, and text came back"),
            Self::Size { sent, came } => {
                write!(f, "{sent} bytes were sent, and {came} came back")
            }
            Self::Byte { at, sent, came } => write!(
                f,
                "byte {at} was sent as {sent:#04x}, and came back as {came:#04x}"
            ),
            Self::Unasked => f.write_str("a message came that answers none"),
        }
    }
}

const WORDS: [&str; 16] = [
    "number", "the", "line", "is", "open", "and", "a", "message", "comes", "from", "far", "away",
    "with", "little", "to", "say",
];

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use openline::net::Message;

    use super::{Mismatch, Pattern};

    #[test]
    fn an_echo_is_told_from_all_else() {
        let pattern = Pattern::new(&"100".parse().unwrap(), false);
        let Pattern::Binary(bytes) = &pattern else {
            panic!("it is binary");
        };
        let sent = pattern.message(Instant::now(), 100, 5);
        let check = |came: &[u8]| pattern.check(sent, Message::Binary(came));
        assert_eq!(check(&bytes[5..105]), Ok(()));
        assert_eq!(
            check(&bytes[5..104]),
            Err(Mismatch::Size {
                sent: 100,
                came: 99
            })
        );
        let mut changed = bytes[5..105].to_vec();
        changed[70] ^= 1;
        assert!(matches!(
            check(&changed),
            Err(Mismatch::Byte { at: 70, .. })
        ));
        // The message before it.
        assert!(matches!(check(&bytes[4..104]), Err(Mismatch::Byte { .. })));
        assert!(matches!(
            pattern.check(sent, Message::Text("a")),
            Err(Mismatch::Kind { sent_text: false })
        ));
    }
}
