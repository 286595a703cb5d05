//! What a connection tells its caller: messages, control frames, and the end.
//!
//! An event borrows only the receive buffer, so that its content can be sent on while it is
//! looked at.

use std::fmt;
use std::time::Instant;

use crate::proto::close::{Close, CloseCode};
use crate::proto::frame::Opcode;

/// Something that happened on a connection, in the order in which the peer made it happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// A whole text message (§5.6).
    Text(&'b str),
    /// A whole binary message (§5.6).
    Binary(&'b [u8]),
    /// A piece of a message, where [`Delivery::Chunks`](crate::proto::Delivery) is asked for.
    Chunk(Chunk<'b>),
    /// A Ping's payload; the Pong is queued already (§5.5.2).
    Ping(&'b [u8]),
    /// A Pong's payload, whether it was asked for or not (§5.5.3).
    Pong(&'b [u8]),
    /// The peer's Close frame; the reply is queued already (§5.5.1).
    Close(Option<Close<'b>>),
    /// The end of the connection, told once; only the transport remains to be closed.
    Closed(Closed),
}

/// What a data message is (§5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text: UTF-8.
    Text,
    /// Arbitrary bytes.
    Binary,
}

impl Kind {
    /// What a message's first frame is.
    #[inline]
    pub(crate) const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// A piece of a message, as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'b> {
    /// What the message is.
    pub kind: Kind,
    /// The bytes. Those of a text are UTF-8 as a whole: a character may be cut in two here.
    pub data: &'b [u8],
    /// Whether the message ends with this piece.
    pub last: bool,
}

/// How a connection ended that kept to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Who began the end.
    pub by: Party,
    /// When it was known.
    pub at: Instant,
    /// Why.
    pub why: ClosedWhy,
}

/// One of the two ends, seen from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// This end.
    Us,
    /// The other end.
    Peer,
}

/// Why a connection ended that kept to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClosedWhy {
    /// Both Close frames were exchanged (§7.1.4: cleanly).
    Handshake {
        /// The code of the Close frame that came first, if it had one.
        code: Option<CloseCode>,
    },
    /// No data message passed for [`Config::idle_timeout`](crate::proto::Config::idle_timeout).
    IdleTimeout,
    /// Nothing came after our Ping for
    /// [`Config::pong_timeout`](crate::proto::Config::pong_timeout).
    PongTimeout,
    /// No Close answered ours within
    /// [`Config::close_timeout`](crate::proto::Config::close_timeout).
    CloseTimeout,
    /// The peer's stream ended without a Close frame (§7.1.5: 1006).
    EndOfFile {
        /// Whether it ended within a frame or within a message.
        mid_message: bool,
    },
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.by {
            Party::Us => "we",
            Party::Peer => "the peer",
        };
        match self.why {
            ClosedWhy::Handshake { code: Some(code) } => write!(f, "{who} closed with {code}"),
            ClosedWhy::Handshake { code: None } => write!(f, "{who} closed without a code"),
            ClosedWhy::IdleTimeout => f.write_str("we closed: no message for too long"),
            ClosedWhy::PongTimeout => f.write_str("the peer left our ping unanswered"),
            ClosedWhy::CloseTimeout => f.write_str("the peer left our Close frame unanswered"),
            ClosedWhy::EndOfFile { mid_message: true } => {
                f.write_str("the peer's stream ended within a message")
            }
            ClosedWhy::EndOfFile { mid_message: false } => {
                f.write_str("the peer's stream ended without a Close frame")
            }
        }
    }
}
