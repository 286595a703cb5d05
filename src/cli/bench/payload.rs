//! What is sent, and whether that is what came back.
//!
//! Every payload is a piece of one pattern, from a place that differs from message to message: so
//! an echo of another message is noticed, and nothing is made or remembered for each.

use std::fmt;
use std::ops::Range;
use std::time::Instant;

use openline::net::{Incoming, Message, Peer};
use openline::proto::{Data, SendError};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::cli::bench::size::Sizes;

/// How many places a payload may begin at.
const PLACES: u32 = 64;

/// Messages of one size that were sent one after the other, and were to leave at one moment: with
/// many in flight most are alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// When they were to leave: later, where the generator or the server did not keep up.
    pub(super) intended: Instant,
    pub(super) size: u32,
    pub(super) count: u64,
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
    Size { sent: usize, came: usize },
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

    /// The message of this size that is the `number`th of its connection.
    pub(super) fn message(&self, number: u64, size: u32) -> Data<'_> {
        let range = place(number, size);
        match self {
            Self::Text(text) => Data::Text(&text[range]),
            Self::Binary(bytes) => Data::Binary(&bytes[range]),
        }
    }

    /// Sends as many messages of this size as there are `numbers`.
    #[inline]
    pub(super) fn send(
        &self,
        numbers: Range<u64>,
        size: u32,
        peer: &mut Peer<'_>,
    ) -> Result<(), SendError> {
        let places = numbers.map(|number| place(number, size));
        match self {
            Self::Text(text) => peer.send_all(places.map(|place| Data::Text(&text[place]))),
            Self::Binary(bytes) => peer.send_all(places.map(|place| Data::Binary(&bytes[place]))),
        }
    }

    /// Takes what comes next as long as it is these messages; answers how many it was.
    #[inline]
    pub(super) fn take(&self, numbers: Range<u64>, size: u32, incoming: &mut Incoming<'_>) -> u64 {
        let places = numbers.map(|number| place(number, size));
        match self {
            Self::Text(text) => incoming.take(places.map(|place| Data::Text(&text[place]))),
            Self::Binary(bytes) => incoming.take(places.map(|place| Data::Binary(&bytes[place]))),
        }
    }
}

/// Where the payload of this size begins and ends that is the `number`th of its connection.
#[inline(always)]
fn place(number: u64, size: u32) -> Range<usize> {
    let start = usize::try_from(number % u64::from(PLACES)).expect("it is below 64");
    start..start + size as usize
}

/// Whether what `came` is what was `sent`.
pub(super) fn check(sent: Data<'_>, came: Message<'_>) -> Result<(), Mismatch> {
    let (sent, came) = match (sent, came) {
        (Data::Text(sent), Message::Text(came)) => (sent.as_bytes(), came.as_bytes()),
        (Data::Binary(sent), Message::Binary(came)) => (sent, came),
        _ => {
            let sent_text = matches!(sent, Data::Text(_));
            return Err(Mismatch::Kind { sent_text });
        }
    };
    match sent == came {
        true => Ok(()),
        false => Err(differ(sent, came)),
    }
}

#[cold]
fn differ(sent: &[u8], came: &[u8]) -> Mismatch {
    let mut pairs = sent.iter().zip(came);
    match pairs.position(|(sent, came)| sent != came) {
        Some(at) if sent.len() == came.len() => Mismatch::Byte {
            at,
            sent: sent[at],
            came: came[at],
        },
        _ => Mismatch::Size {
            sent: sent.len(),
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
    use openline::net::Message;
    use openline::proto::Data;

    use super::{Mismatch, Pattern, check};

    #[test]
    fn an_echo_is_told_from_all_else() {
        let pattern = Pattern::new(&"100".parse().unwrap(), false);
        let Pattern::Binary(bytes) = &pattern else {
            panic!("it is binary");
        };
        let sent = pattern.message(5, 100);
        assert_eq!(sent, Data::Binary(&bytes[5..105]));
        let check = |came: &[u8]| check(sent, Message::Binary(came));
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
            super::check(sent, Message::Text("a")),
            Err(Mismatch::Kind { sent_text: false })
        ));
    }
}
