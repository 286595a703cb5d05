//! The rules that one frame can break ([RFC 6455 §5], §7.4), each told with what it asks for.
//!
//! The strict half of the crate stops at the first; here all are named that the bytes show.
//!
//! [RFC 6455 §5]: https://www.rfc-editor.org/rfc/rfc6455#section-5

use std::borrow::Cow;

use crate::inspect::header::{LengthForm, RawHeader};
use crate::proto::{CONTROL_PAYLOAD_MAX, Close, ProtocolError, Role};

/// A rule broken: at which byte of the frame, which, and what was expected.
pub(super) type Broken = (usize, ProtocolError, Cow<'static, str>);

/// What the first two bytes show.
pub(super) fn first_two(header: &RawHeader, sender: Role) -> Vec<Broken> {
    let mut broken: Vec<Broken> = Vec::new();
    if header.rsv2() == Some(true) || header.rsv3() == Some(true) {
        let expected = "RSV2 and RSV3 to be 0, for no extension uses them";
        broken.push((0, ProtocolError::ReservedBits, expected.into()));
    }
    if let (Some(bits), None) = (header.opcode_bits(), header.opcode()) {
        let expected = match bits & 0x8 {
            0 => "0x0 continuation, 0x1 text or 0x2 binary",
            _ => "0x8 close, 0x9 ping or 0xa pong",
        };
        broken.push((0, ProtocolError::ReservedOpcode(bits), expected.into()));
    }
    if header.opcode().is_some_and(|opcode| opcode.is_control()) {
        if header.fin() == Some(false) {
            let expected = "FIN to be 1, for a control frame is always whole";
            broken.push((0, ProtocolError::FragmentedControl, expected.into()));
        }
        let too_long = |short: u8| usize::from(short) > CONTROL_PAYLOAD_MAX;
        if header.short_length().is_some_and(too_long) {
            let expected = "at most 125 bytes, whose length fits seven bits";
            broken.push((1, ProtocolError::ControlTooLong, expected.into()));
        }
    }
    match (sender, header.masked()) {
        (Role::Client, Some(false)) => {
            let expected = "MASK to be 1, for a client masks every frame";
            broken.push((1, ProtocolError::MissingMask, expected.into()));
        }
        (Role::Server, Some(true)) => {
            let expected = "MASK to be 0, for a server masks no frame";
            broken.push((1, ProtocolError::UnexpectedMask, expected.into()));
        }
        _ => {}
    }
    broken
}

/// What the extended length shows, once it is there.
pub(super) fn extended_length(header: &RawHeader) -> Option<Broken> {
    let (form, len) = (header.length_form()?, header.payload_len()?);
    if form == LengthForm::SixtyFour && len >> 63 != 0 {
        let expected = "a length below 2^63, its top bit 0";
        return Some((2, ProtocolError::LengthTopBit, expected.into()));
    }
    let minimal = LengthForm::minimal(len);
    if minimal == form {
        return None;
    }
    let expected = format!(
        "the form of {} bits, which is enough for {len}",
        minimal.bits()
    );
    Some((2, ProtocolError::NonMinimalLength, expected.into()))
}

/// RSV1, where no extension gave it a meaning, or on a frame for which it has none.
pub(super) fn rsv1(header: &RawHeader, means_compressed: bool) -> Option<Broken> {
    if header.rsv1() != Some(true) {
        return None;
    }
    let expected = match (means_compressed, header.opcode_bits()?) {
        (true, 1 | 2) => return None,
        // RFC 7692 §6.1: the bit is set on the first frame of a message, and on no other.
        (true, 0) => {
            "RSV1 to be 0, for only the first frame of a message says that it is compressed"
        }
        (true, _) => "RSV1 to be 0, for only messages of data are compressed",
        (false, _) => "RSV1 to be 0, for no extension was agreed to that uses it",
    };
    Some((0, ProtocolError::ReservedBits, expected.into()))
}

/// The payload of a Close frame.
pub(super) fn close(payload: &[u8], payload_at: usize) -> Option<Broken> {
    let error = Close::decode(payload).err()?;
    let (at, expected) = match error {
        ProtocolError::CloseTooShort => {
            (0, "no payload, or a code of two bytes and a reason".into())
        }
        ProtocolError::InvalidCloseCode(number) => (0, allowed_code(number)),
        _ => {
            let reason = payload.get(2..).unwrap_or_default();
            let valid =
                std::str::from_utf8(reason).map_or_else(|error| error.valid_up_to(), str::len);
            (2 + valid, "a reason in UTF-8".into())
        }
    };
    Some((payload_at + at, error, expected))
}

fn allowed_code(number: u16) -> Cow<'static, str> {
    match number {
        1005 => "no payload at all: 1005 names a Close frame that has no code".into(),
        1006 => "another code: 1006 names an end without a Close frame".into(),
        1015 => "another code: 1015 names a TLS handshake that failed".into(),
        _ => "1000 to 1003, 1007 to 1014, or 3000 to 4999".into(),
    }
}
