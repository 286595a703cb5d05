//! What a Close frame says: a code and a reason ([RFC 6455 §5.5.1], [§7.4]).
//!
//! A [`CloseCode`] holds only what may stand in a frame. 1005, 1006 and 1015 name what was
//! *not* said (§7.4.1), so they cannot be built, sent or received.
//!
//! [RFC 6455 §5.5.1]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
//! [§7.4]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4

use std::fmt;

use crate::proto::error::{ProtocolError, SendError};
use crate::proto::frame::CONTROL_PAYLOAD_MAX;

/// A status code that may stand in a Close frame (§7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server goes down, or a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that cannot be accepted.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: data that is not what its kind promises, as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: against the endpoint's policy, when no other code fits.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the server did not agree to an extension that the client needs.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: an unexpected condition on our side.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway had a bad answer from behind it (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code of this number, if it may stand in a Close frame.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            // §7.4.1: 1004 is reserved; 1005, 1006 and 1015 must not be set by an endpoint.
            // The IANA registry has 1012 to 1014. §7.4.2: 3000 to 3999 are for libraries and
            // frameworks, 4000 to 4999 for applications.
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number as it stands in the frame.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The name of a code that the registry knows, for people to read.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1007 => "invalid payload data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "mandatory extension",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            _ => return None,
        })
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The body of a Close frame that has one (§5.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a> {
    /// Why the connection ends.
    pub code: CloseCode,
    /// The same for people, or for logs: at most [`REASON_MAX`] bytes, often empty.
    pub reason: &'a str,
}

/// The bytes of a reason at most: a control frame's 125 less two for the code.
pub const REASON_MAX: usize = CONTROL_PAYLOAD_MAX - 2;

impl<'a> Close<'a> {
    /// Reads the payload of a Close frame; an empty one says nothing.
    ///
    /// # Errors
    ///
    /// A payload of one byte, a code that may not be sent, a reason that is not UTF-8.
    pub fn decode(payload: &'a [u8]) -> Result<Option<Self>, ProtocolError> {
        // §5.5.1: if there is a body, its first two bytes are the code.
        let Some((code, reason)) = payload.split_first_chunk() else {
            return match payload.is_empty() {
                true => Ok(None),
                false => Err(ProtocolError::CloseTooShort),
            };
        };
        let number = u16::from_be_bytes(*code);
        let code = CloseCode::new(number).ok_or(ProtocolError::InvalidCloseCode(number))?;
        let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
        Ok(Some(Self { code, reason }))
    }

    /// The payload that says this, and how many of its bytes count.
    ///
    /// # Errors
    ///
    /// [`SendError::ReasonTooLong`] past [`REASON_MAX`] bytes.
    pub fn encode(&self) -> Result<([u8; CONTROL_PAYLOAD_MAX], usize), SendError> {
        let mut payload = [0; CONTROL_PAYLOAD_MAX];
        let len = 2 + self.reason.len();
        payload
            .get_mut(2..len)
            .ok_or(SendError::ReasonTooLong)?
            .copy_from_slice(self.reason.as_bytes());
        payload[..2].copy_from_slice(&self.code.number().to_be_bytes());
        Ok((payload, len))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Close, CloseCode, REASON_MAX};
    use crate::proto::error::{ProtocolError, SendError};

    #[test]
    fn an_empty_body_says_nothing() {
        assert_eq!(Close::decode(b""), Ok(None));
    }

    #[test]
    fn a_body_of_one_byte_is_refused() {
        assert_eq!(Close::decode(b"\x03"), Err(ProtocolError::CloseTooShort));
    }

    #[test]
    fn the_codes_of_section_7_4_and_of_the_registry() {
        let legal = |n| matches!(n, 1000..=1003 | 1007..=1014 | 3000..=4999);
        for number in 0..=u16::MAX {
            assert_eq!(CloseCode::new(number).is_some(), legal(number), "{number}");
            let decoded = Close::decode(&number.to_be_bytes()).map(|_| ());
            let expected = match legal(number) {
                true => Ok(()),
                false => Err(ProtocolError::InvalidCloseCode(number)),
            };
            assert_eq!(decoded, expected);
        }
    }

    #[test]
    fn a_reason_is_utf8_and_fits_a_control_frame() {
        assert_eq!(
            Close::decode(b"\x03\xe8\xff"),
            Err(ProtocolError::InvalidCloseReason)
        );
        let at = |len| {
            let reason = "x".repeat(len);
            let code = CloseCode::NORMAL;
            let encoded = Close {
                code,
                reason: &reason,
            }
            .encode();
            encoded.map(|(_, len)| len)
        };
        assert_eq!(at(REASON_MAX - 1), Ok(124));
        assert_eq!(at(REASON_MAX), Ok(125));
        assert_eq!(at(REASON_MAX + 1), Err(SendError::ReasonTooLong));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(number in 3000_u16..5000, reason in "\\PC{0,30}") {
            let close = Close { code: CloseCode::new(number).unwrap(), reason: &reason };
            let (payload, len) = close.encode().unwrap();
            prop_assert_eq!(Close::decode(&payload[..len]), Ok(Some(close)));
        }
    }
}
