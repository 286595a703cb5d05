//! What a peer did wrong: where, against which rule, and what the rule asks for.
//!
//! A [`Violation`] carries the same error that the strict half of the crate gives for it, so
//! that the two cannot drift apart in words, sections or close codes.

use std::borrow::Cow;
use std::fmt;

use crate::proto::{CloseCode, HandshakeError, ProtocolError};

/// One rule broken at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The byte of the direction's stream at which it shows.
    pub offset: u64,
    /// The rule.
    pub fault: Fault,
    /// What should have been there instead.
    pub expected: Cow<'static, str>,
}

/// The rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// One of frames and messages: the connection fails.
    Protocol(ProtocolError),
    /// One of the opening handshake: there is no connection.
    Handshake(HandshakeError),
    /// A frame behind a Close frame, which ends what its sender may send (§5.5.1). The receiver
    /// does not look at it (§1.4), so that it deserves no close code.
    AfterClose,
}

impl Fault {
    /// The document and section, such as `RFC 6455 §5.2`.
    #[must_use]
    pub fn section(&self) -> String {
        match self {
            Self::Protocol(error) => format!("{} §{}", error.document(), error.section()),
            Self::Handshake(error) => error.section().to_owned(),
            Self::AfterClose => "RFC 6455 §5.5.1".to_owned(),
        }
    }

    /// The code with which the receiver fails the connection; `None` where it does not, or has
    /// none to fail.
    #[must_use]
    pub const fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Protocol(error) => Some(error.close_code()),
            Self::Handshake(_) | Self::AfterClose => None,
        }
    }

    /// What is wrong, without the section.
    #[must_use]
    pub fn what(&self) -> String {
        let (text, section) = match self {
            Self::Protocol(error) => (error.to_string(), error.section()),
            Self::Handshake(error) => (error.to_string(), error.section()),
            Self::AfterClose => ("a frame comes behind a Close frame".to_owned(), ""),
        };
        // The errors name their section at the end, in brackets.
        match text.rsplit_once(" (") {
            Some((what, tail)) if tail.contains(section) => what.to_owned(),
            _ => text,
        }
    }

    /// A name for programs, which stays the same when the words change.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Protocol(error) => protocol_name(error),
            Self::Handshake(error) => handshake_name(error),
            Self::AfterClose => "after-close",
        }
    }
}

const fn protocol_name(error: &ProtocolError) -> &'static str {
    match error {
        ProtocolError::ReservedBits => "reserved-bits",
        ProtocolError::ReservedOpcode(_) => "reserved-opcode",
        ProtocolError::FragmentedControl => "fragmented-control",
        ProtocolError::ControlTooLong => "control-too-long",
        ProtocolError::MissingMask => "missing-mask",
        ProtocolError::UnexpectedMask => "unexpected-mask",
        ProtocolError::NonMinimalLength => "non-minimal-length",
        ProtocolError::LengthTopBit => "length-top-bit",
        ProtocolError::UnexpectedContinuation => "unexpected-continuation",
        ProtocolError::ExpectedContinuation => "expected-continuation",
        ProtocolError::InvalidUtf8 => "invalid-utf8",
        ProtocolError::InvalidDeflate => "invalid-deflate",
        ProtocolError::CloseTooShort => "close-too-short",
        ProtocolError::InvalidCloseCode(_) => "invalid-close-code",
        ProtocolError::InvalidCloseReason => "invalid-close-reason",
        ProtocolError::FrameTooLarge { .. } => "frame-too-large",
        ProtocolError::MessageTooLarge { .. } => "message-too-large",
        ProtocolError::InflatedTooLarge { .. } => "inflated-too-large",
        ProtocolError::TooManyFragments { .. } => "too-many-fragments",
        ProtocolError::MessageTooSlow { .. } => "message-too-slow",
    }
}

const fn handshake_name(error: &HandshakeError) -> &'static str {
    match error {
        HandshakeError::Head(_) => "malformed-head",
        HandshakeError::Method => "method",
        HandshakeError::Target => "target",
        HandshakeError::Missing(_) => "missing-field",
        HandshakeError::Repeated(_) => "repeated-field",
        HandshakeError::Invalid(_) => "invalid-field",
        HandshakeError::Body => "body",
        HandshakeError::SubprotocolNotOffered => "subprotocol-not-offered",
        HandshakeError::ExtensionNotOffered => "extension-not-offered",
        HandshakeError::ExtensionParams => "extension-params",
        HandshakeError::TooManyInterims => "too-many-interims",
        HandshakeError::TimedOut | HandshakeError::Undecided => "timed-out",
        HandshakeError::EndOfFile => "end-of-file",
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what(), self.section())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}", self.offset, self.fault)?;
        if let Some(code) = self.fault.close_code() {
            write!(f, ", close code {code}")?;
        }
        match self.expected.is_empty() {
            true => Ok(()),
            false => write!(f, "; expected {}", self.expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Violation};
    use crate::proto::{Field, HandshakeError, HeadError, ProtocolError};

    #[test]
    fn a_violation_says_what_where_why_and_what_instead() {
        let violation = Violation {
            offset: 7,
            fault: Fault::Protocol(ProtocolError::NonMinimalLength),
            expected: "the 7-bit form for 5 bytes".into(),
        };
        assert_eq!(
            violation.to_string(),
            "at 7: a length takes more bytes than it needs (RFC 6455 §5.2), close code 1002 \
             (protocol error); expected the 7-bit form for 5 bytes"
        );
        for (fault, text) in [
            (
                Fault::Handshake(HandshakeError::Missing(Field::Key)),
                "the header field Sec-WebSocket-Key is missing (RFC 6455 §11.3.1)",
            ),
            (
                Fault::Handshake(HandshakeError::Head(HeadError::BareLineEnd)),
                "a line does not end in CR LF (RFC 9112 §2.2)",
            ),
            (
                Fault::AfterClose,
                "a frame comes behind a Close frame (RFC 6455 §5.5.1)",
            ),
        ] {
            assert_eq!(fault.to_string(), text);
            assert_eq!(fault.close_code(), None);
        }
    }
}
