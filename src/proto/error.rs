//! Whose fault it was: the peer's ([`ProtocolError`]) or the caller's ([`SendError`]).
//!
//! "More bytes, please" is neither and is no error: it is `Ok(None)`. A [`ProtocolError`]
//! knows the close code it deserves ([RFC 6455 §7.4.1]) and the section that was broken.
//!
//! [RFC 6455 §7.4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::proto::close::{CloseCode, REASON_MAX};
use crate::proto::frame::CONTROL_PAYLOAD_MAX;

/// The peer broke the protocol, or one of our limits; the connection has failed (§7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// RSV1, RSV2 or RSV3 is set and no agreed extension gives it a meaning (§5.2).
    ReservedBits,
    /// An opcode from 3 to 7 or from 11 to 15 (§5.2).
    ReservedOpcode(u8),
    /// A control frame without FIN (§5.5).
    FragmentedControl,
    /// A control frame whose payload is longer than 125 bytes (§5.5).
    ControlTooLong,
    /// A frame of a client that is not masked (§5.1).
    MissingMask,
    /// A frame of a server that is masked (§5.1).
    UnexpectedMask,
    /// A length in more bytes than it needs (§5.2).
    NonMinimalLength,
    /// A 64-bit length with its most significant bit set (§5.2).
    LengthTopBit,
    /// A continuation without a message to continue (§5.4).
    UnexpectedContinuation,
    /// A new message before the last one was finished (§5.4).
    ExpectedContinuation,
    /// A text that is not, or can no longer become, UTF-8 (§8.1).
    InvalidUtf8,
    /// A compressed message that is not what a message compresses to (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A Close frame with a payload of one byte (§5.5.1).
    CloseTooShort,
    /// A Close frame with a code that may not be sent (§7.4).
    InvalidCloseCode(u16),
    /// A Close frame whose reason is not UTF-8 (§5.5.1).
    InvalidCloseReason,
    /// A frame declared longer than our limit (§10.4).
    FrameTooLarge {
        /// The bytes of payload declared.
        declared: u64,
        /// The limit in force, [`Config::frame_size_max`](crate::proto::Config::frame_size_max).
        max: u64,
    },
    /// A message whose frames together declare more than our limit (§10.4).
    MessageTooLarge {
        /// The bytes declared so far.
        declared: u64,
        /// The limit in force,
        /// [`Config::message_size_max`](crate::proto::Config::message_size_max).
        max: u64,
    },
    /// A compressed message that inflates to more than our limit (§10.4).
    InflatedTooLarge {
        /// The limit in force,
        /// [`Config::message_size_max`](crate::proto::Config::message_size_max).
        max: u64,
    },
    /// A message in more fragments than our limit (§10.4).
    TooManyFragments {
        /// The limit in force, [`Config::fragments_max`](crate::proto::Config::fragments_max).
        max: u32,
    },
    /// A message that was not finished in time (§10.4).
    MessageTooSlow {
        /// The limit in force,
        /// [`Config::message_timeout`](crate::proto::Config::message_timeout).
        max: Duration,
    },
}

impl ProtocolError {
    /// The code that our Close frame tells the peer (§7.4.1).
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::InvalidDeflate | Self::InvalidCloseReason => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::FrameTooLarge { .. }
            | Self::MessageTooLarge { .. }
            | Self::InflatedTooLarge { .. }
            | Self::TooManyFragments { .. } => CloseCode::MESSAGE_TOO_BIG,
            Self::MessageTooSlow { .. } => CloseCode::POLICY_VIOLATION,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The document that has the rule.
    #[must_use]
    pub const fn document(&self) -> &'static str {
        match self {
            Self::InvalidDeflate => "RFC 7692",
            _ => "RFC 6455",
        }
    }

    /// The section of it that was broken, or that lets us refuse.
    #[must_use]
    pub const fn section(&self) -> &'static str {
        match self {
            Self::InvalidDeflate => "7.2.2",
            Self::MissingMask | Self::UnexpectedMask => "5.1",
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::NonMinimalLength
            | Self::LengthTopBit => "5.2",
            Self::UnexpectedContinuation | Self::ExpectedContinuation => "5.4",
            Self::FragmentedControl | Self::ControlTooLong => "5.5",
            Self::CloseTooShort | Self::InvalidCloseReason => "5.5.1",
            Self::InvalidCloseCode(_) => "7.4",
            Self::InvalidUtf8 => "8.1",
            Self::FrameTooLarge { .. }
            | Self::MessageTooLarge { .. }
            | Self::InflatedTooLarge { .. }
            | Self::TooManyFragments { .. }
            | Self::MessageTooSlow { .. } => "10.4",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("a reserved bit is set that no extension defines"),
            Self::ReservedOpcode(bits) => write!(f, "the opcode {bits:#x} is reserved"),
            Self::FragmentedControl => f.write_str("a control frame is fragmented"),
            Self::ControlTooLong => {
                write!(
                    f,
                    "a control frame is longer than {CONTROL_PAYLOAD_MAX} bytes"
                )
            }
            Self::MissingMask => f.write_str("a frame of the client is not masked"),
            Self::UnexpectedMask => f.write_str("a frame of the server is masked"),
            Self::NonMinimalLength => f.write_str("a length takes more bytes than it needs"),
            Self::LengthTopBit => f.write_str("a 64-bit length has its top bit set"),
            Self::UnexpectedContinuation => {
                f.write_str("a continuation comes without a message to continue")
            }
            Self::ExpectedContinuation => {
                f.write_str("a new message begins before the last is finished")
            }
            Self::InvalidUtf8 => f.write_str("a text is not UTF-8"),
            Self::InvalidDeflate => f.write_str("a compressed message is not sound DEFLATE"),
            Self::CloseTooShort => f.write_str("a Close frame has a payload of one byte"),
            Self::InvalidCloseCode(number) => {
                write!(f, "the close code {number} may not be sent")
            }
            Self::InvalidCloseReason => f.write_str("the reason of a Close frame is not UTF-8"),
            Self::FrameTooLarge { declared, max } => {
                write!(
                    f,
                    "a frame declares {declared} bytes, more than the limit of {max}"
                )
            }
            Self::MessageTooLarge { declared, max } => {
                write!(
                    f,
                    "a message declares {declared} bytes, more than the limit of {max}"
                )
            }
            Self::InflatedTooLarge { max } => {
                write!(
                    f,
                    "a message inflates to more than the limit of {max} bytes"
                )
            }
            Self::TooManyFragments { max } => {
                write!(f, "a message has more fragments than the limit of {max}")
            }
            Self::MessageTooSlow { max } => {
                write!(f, "a message was not finished within {max:?}")
            }
        }?;
        write!(f, " ({} section {})", self.document(), self.section())
    }
}

impl Error for ProtocolError {}

/// The caller asked for something that may not be sent; nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Nothing may follow a Close frame, or the end of the connection (§5.5.1).
    Closed,
    /// A message in fragments is not finished yet (§5.4).
    MessageUnfinished,
    /// As many bytes wait to be sent as [`Config::send_queue_max`] allows.
    ///
    /// [`Config::send_queue_max`]: crate::proto::Config::send_queue_max
    QueueFull {
        /// The bytes that wait.
        queued: usize,
    },
    /// A Ping or Pong whose payload is longer than 125 bytes (§5.5).
    ControlTooLong,
    /// A close reason longer than 123 bytes (§5.5).
    ReasonTooLong,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection is closing or closed"),
            Self::MessageUnfinished => {
                f.write_str("a message in fragments must be finished before the next")
            }
            Self::QueueFull { queued } => {
                write!(
                    f,
                    "{queued} bytes wait to be sent already: the peer reads too slowly"
                )
            }
            Self::ControlTooLong => {
                write!(
                    f,
                    "a ping or pong carries at most {CONTROL_PAYLOAD_MAX} bytes"
                )
            }
            Self::ReasonTooLong => write!(f, "a close reason has at most {REASON_MAX} bytes"),
        }
    }
}

impl Error for SendError {}
