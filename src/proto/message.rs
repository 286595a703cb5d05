//! A message that has begun and not ended: what is known of it beside its bytes.
//!
//! A connection has one while it is within a message, and none while it is idle; when the message is
//! over it is left with the receive buffer, for the next that comes in pieces, whosever that is.

use std::time::Instant;

use crate::proto::config::Config;
use crate::proto::error::ProtocolError;
use crate::proto::event::Kind;
use crate::proto::mask::MaskingKey;
use crate::proto::utf8::Validator;

/// A message that has begun and not ended.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) frame: Frame,
    /// The bytes that its frames so far declared.
    pub(super) declared: u64,
    pub(super) fragments: u32,
    /// When it was seen to be unfinished.
    pub(super) begun: Option<Instant>,
    /// Of a text that is delivered in chunks; the receive buffer checks one that is gathered.
    pub(super) utf8: Validator,
    /// What was found wrong, once the chunk before that was delivered.
    pub(super) refused: Option<Fault>,
    /// RFC 7692 §6: RSV1 was set on its first frame.
    pub(super) compressed: bool,
    /// More may come out of what was taken: the last bytes of a frame are not its end.
    pub(super) unfinished: bool,
}

impl Message {
    pub(super) fn new(kind: Kind, compressed: bool) -> Self {
        Self {
            kind,
            frame: Frame::default(),
            declared: 0,
            fragments: 0,
            begun: None,
            utf8: Validator::default(),
            refused: None,
            compressed,
            unfinished: false,
        }
    }

    pub(super) fn is_within_frame(&self) -> bool {
        self.frame.lacking > 0 || self.refused.is_some() || self.unfinished
    }
}

/// The frame whose payload is arriving, or the last one that did.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) fin: bool,
    /// The bytes of payload that have not come yet.
    pub(super) lacking: u64,
    /// Turned to the next byte's position.
    pub(super) key: Option<MaskingKey>,
}

/// What can be wrong behind a chunk that is right.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Utf8,
    Deflate,
    Size,
}

impl Fault {
    pub(super) fn error(self, config: &Config) -> ProtocolError {
        match self {
            Self::Utf8 => ProtocolError::InvalidUtf8,
            Self::Deflate => ProtocolError::InvalidDeflate,
            Self::Size => ProtocolError::InflatedTooLarge {
                max: config.message_size_max,
            },
        }
    }
}
