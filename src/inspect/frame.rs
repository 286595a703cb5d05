//! A frame as it was seen on the wire, and the message that ends with it ([RFC 6455 §5]).
//!
//! Everything is kept that came, also of a frame that broke every rule: only payloads past
//! [`Limits`](crate::inspect::Limits) are kept in part.
//!
//! [RFC 6455 §5]: https://www.rfc-editor.org/rfc/rfc6455#section-5

use bytes::Bytes;

use crate::inspect::header::RawHeader;
use crate::inspect::violation::{Fault, Violation};
use crate::proto::{CloseCode, Kind, Opcode, Role};

/// One frame of one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Who sent it.
    pub sender: Role,
    /// Its place among the frames of its direction, from 1.
    pub number: u64,
    /// Where its first byte lies in the direction's stream.
    pub offset: u64,
    /// The header, bit by bit.
    pub header: RawHeader,
    /// The bytes of payload that came; those declared, unless the stream ended before.
    pub received: u64,
    /// How many of these were lost on the way to us: a capture can have gaps.
    pub missing: u64,
    /// The payload, unmasked: all that came, or as much as
    /// [`Limits::frame_kept_max`](crate::inspect::Limits::frame_kept_max).
    pub payload: Bytes,
    /// The place in its message of a frame that has one.
    pub part: Option<Part>,
    /// What its message is, also for a continuation.
    pub kind: Option<Kind>,
    /// Whether its message is compressed, as the RSV1 of the message's first frame says (RFC 7692
    /// §6): then [`payload`](Self::payload) is not what the message says.
    pub is_compressed: bool,
    /// How the text stands at the end of a frame of text; of a compressed one, what came out.
    pub text: Option<TextState>,
    /// What a Close frame says.
    pub close: Option<CloseBody>,
    /// The message that ends with this frame.
    pub message: Option<Message>,
    /// Every rule that this frame breaks, in the order of the offsets.
    pub violations: Vec<Violation>,
}

/// The place of a frame in its message (§5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The message is this one frame.
    Whole,
    /// More follow.
    First,
    /// More came, and more follow.
    Middle,
    /// The last of several.
    Last,
}

/// How a text stands where a frame ends (§8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextState {
    /// UTF-8, and the last character is complete.
    Complete,
    /// UTF-8 so far, cut within a character, as a fragment may be.
    MidCharacter,
    /// Not UTF-8, and what follows cannot mend it.
    Invalid,
    /// Nobody knows: some of it was lost on the way to us, or cannot be inflated.
    Unknown,
}

/// What a Close frame says, legal or not (§5.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseBody {
    /// The code, of a payload that has two bytes.
    pub code: Option<u16>,
    /// The bytes behind the code.
    pub reason: Bytes,
}

/// A message put together from its frames (§5.4), and inflated if it was compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What its first frame says that it is.
    pub kind: Kind,
    /// Where its first frame begins.
    pub offset: u64,
    /// How many frames it took.
    pub frames: u64,
    /// The bytes of payload in these frames.
    pub wire_len: u64,
    /// The bytes of the message.
    pub len: u64,
    /// The message: all of it, or as much as
    /// [`Limits::message_kept_max`](crate::inspect::Limits::message_kept_max).
    pub payload: Bytes,
    /// Whether it was compressed (RFC 7692).
    pub is_compressed: bool,
    /// Whether what it says is not known: then [`payload`](Self::payload) is at best its
    /// beginning, and [`len`](Self::len) a guess.
    pub is_unknown: bool,
}

impl Frame {
    pub(super) fn new(sender: Role, number: u64, offset: u64) -> Self {
        Self {
            sender,
            number,
            offset,
            header: RawHeader::default(),
            received: 0,
            missing: 0,
            payload: Bytes::new(),
            part: None,
            kind: None,
            is_compressed: false,
            text: None,
            close: None,
            message: None,
            violations: Vec::new(),
        }
    }

    /// Whether header and payload came whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.header.is_whole() && self.header.payload_len() == Some(self.received)
    }

    /// The bytes on the wire that came of it.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.header.as_bytes().len() as u64 + self.received
    }

    /// Where its payload begins in the direction's stream, once the header is whole.
    #[must_use]
    pub fn payload_offset(&self) -> Option<u64> {
        let size = self.header.size()?;
        self.header.is_whole().then(|| self.offset + size as u64)
    }

    /// Whether [`payload`](Self::payload) is all that came.
    #[must_use]
    pub fn is_payload_kept(&self) -> bool {
        self.payload.len() as u64 == self.received
    }

    /// The payload as it was on the wire: masked, if it was.
    #[must_use]
    pub fn wire_payload(&self) -> Vec<u8> {
        let mut payload = self.payload.to_vec();
        if let Some(key) = self.header.masking_key() {
            key.apply(&mut payload);
        }
        payload
    }

    /// The opcode in a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.header.opcode(), self.header.opcode_bits()) {
            (Some(Opcode::Continuation), _) => "continuation",
            (Some(Opcode::Text), _) => "text",
            (Some(Opcode::Binary), _) => "binary",
            (Some(Opcode::Close), _) => "close",
            (Some(Opcode::Ping), _) => "ping",
            (Some(Opcode::Pong), _) => "pong",
            (None, Some(_)) => "reserved",
            (None, None) => "nothing",
        }
    }

    /// The first violation for which the receiver fails the connection.
    #[must_use]
    pub fn failure(&self) -> Option<&Violation> {
        let fails = |violation: &&Violation| matches!(violation.fault, Fault::Protocol(_));
        self.violations.iter().find(fails)
    }
}

impl CloseBody {
    pub(super) fn new(payload: &Bytes) -> Self {
        match payload.split_first_chunk() {
            Some((code, _)) => Self {
                code: Some(u16::from_be_bytes(*code)),
                reason: payload.slice(2..),
            },
            None => Self {
                code: None,
                reason: Bytes::new(),
            },
        }
    }

    /// What the registry calls the code, also one that may not stand in a frame.
    #[must_use]
    pub fn code_name(&self) -> Option<&'static str> {
        match self.code? {
            1004 => Some("reserved"),
            1005 => Some("no status received"),
            1006 => Some("abnormal closure"),
            1015 => Some("TLS handshake"),
            code => CloseCode::new(code)?.name(),
        }
    }

    /// The reason, if it is UTF-8.
    #[must_use]
    pub fn reason_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.reason).ok()
    }
}

impl Message {
    /// Whether [`payload`](Self::payload) is the whole message.
    #[must_use]
    pub fn is_payload_kept(&self) -> bool {
        !self.is_unknown && self.payload.len() as u64 == self.len
    }

    /// The text of a text message, if it is UTF-8 and was kept whole.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self.kind {
            Kind::Text if self.is_payload_kept() => std::str::from_utf8(&self.payload).ok(),
            _ => None,
        }
    }
}
