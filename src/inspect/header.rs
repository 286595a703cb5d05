//! A frame header as it came, every bit of it ([RFC 6455 §5.2]).
//!
//! [`FrameHeader`](crate::proto::FrameHeader) holds only what is legal; a [`RawHeader`] holds
//! whatever two to fourteen bytes say, and also the beginning of one that never ended.
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use crate::proto::{HEADER_SIZE_MAX, MaskingKey, Opcode};

/// The header of one frame, legal or not, whole or cut short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawHeader {
    bytes: [u8; HEADER_SIZE_MAX],
    len: u8,
}

/// How a frame says how long its payload is (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthForm {
    /// In the seven bits of the second byte: 0 to 125.
    Seven,
    /// These say 126, and the length is in the next two bytes.
    Sixteen,
    /// These say 127, and the length is in the next eight bytes.
    SixtyFour,
}

impl LengthForm {
    /// How many bits hold the length.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Seven => 7,
            Self::Sixteen => 16,
            Self::SixtyFour => 64,
        }
    }

    /// The bytes of length behind the first two of the header.
    #[must_use]
    pub const fn extended_size(self) -> usize {
        match self {
            Self::Seven => 0,
            Self::Sixteen => 2,
            Self::SixtyFour => 8,
        }
    }

    /// The form that a payload of this length must have: the shortest.
    #[must_use]
    pub const fn minimal(payload_len: u64) -> Self {
        match payload_len {
            0..126 => Self::Seven,
            126..=0xffff => Self::Sixteen,
            _ => Self::SixtyFour,
        }
    }
}

impl RawHeader {
    /// The header at the front of `bytes`, or as much of it as they are.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut header = Self::default();
        for byte in bytes {
            if header.is_whole() {
                break;
            }
            header.push(*byte);
        }
        header
    }

    /// Takes the next byte of a header that is not whole yet.
    pub(super) fn push(&mut self, byte: u8) {
        self.bytes[usize::from(self.len)] = byte;
        self.len += 1;
    }

    /// The bytes, as they came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether there is no byte yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes that the header has when it is whole; `None` before its second byte has come.
    #[must_use]
    pub fn size(&self) -> Option<usize> {
        let key = if self.masked()? { 4 } else { 0 };
        Some(2 + self.length_form()?.extended_size() + key)
    }

    /// Whether all of it has come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.size() == Some(usize::from(self.len))
    }

    /// FIN: the last, or the only, frame of its message.
    #[must_use]
    pub fn fin(&self) -> Option<bool> {
        self.bit(0, 0x80)
    }

    /// RSV1, which says "compressed" where permessage-deflate was agreed to (RFC 7692 §6).
    #[must_use]
    pub fn rsv1(&self) -> Option<bool> {
        self.bit(0, 0x40)
    }

    /// RSV2, which no extension has given a meaning.
    #[must_use]
    pub fn rsv2(&self) -> Option<bool> {
        self.bit(0, 0x20)
    }

    /// RSV3, which no extension has given a meaning.
    #[must_use]
    pub fn rsv3(&self) -> Option<bool> {
        self.bit(0, 0x10)
    }

    /// The four bits of the opcode.
    #[must_use]
    pub fn opcode_bits(&self) -> Option<u8> {
        Some(self.as_bytes().first()? & 0x0f)
    }

    /// The opcode, unless it is reserved.
    #[must_use]
    pub fn opcode(&self) -> Option<Opcode> {
        Opcode::new(self.opcode_bits()?)
    }

    /// Whether the opcode is one of control frames, known or reserved: its high bit (§5.5).
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.opcode_bits().is_some_and(|bits| bits & 0x8 != 0)
    }

    /// MASK: the payload is masked, and the header has a key.
    #[must_use]
    pub fn masked(&self) -> Option<bool> {
        self.bit(1, 0x80)
    }

    /// The seven bits of length in the second byte.
    #[must_use]
    pub fn short_length(&self) -> Option<u8> {
        Some(self.as_bytes().get(1)? & 0x7f)
    }

    /// How the length is written.
    #[must_use]
    pub fn length_form(&self) -> Option<LengthForm> {
        Some(match self.short_length()? {
            126 => LengthForm::Sixteen,
            127 => LengthForm::SixtyFour,
            _ => LengthForm::Seven,
        })
    }

    /// The bytes of the extended length that have come; empty for the short form.
    #[must_use]
    pub fn extended_length(&self) -> &[u8] {
        let size = self.length_form().map_or(0, LengthForm::extended_size);
        let behind = self.as_bytes().get(2..).unwrap_or_default();
        &behind[..size.min(behind.len())]
    }

    /// The payload's length, once all of its bytes have come; the top bit counts if it is set.
    #[must_use]
    pub fn payload_len(&self) -> Option<u64> {
        let extended = self.extended_length();
        match self.length_form()? {
            LengthForm::Seven => self.short_length().map(u64::from),
            LengthForm::Sixteen => Some(u16::from_be_bytes(extended.try_into().ok()?).into()),
            LengthForm::SixtyFour => Some(u64::from_be_bytes(extended.try_into().ok()?)),
        }
    }

    /// Where the masking key begins, if the header says that there is one.
    #[must_use]
    pub fn masking_key_at(&self) -> Option<usize> {
        let size = self.size()?;
        self.masked()?.then(|| size - 4)
    }

    /// The masking key, once it has come.
    #[must_use]
    pub fn masking_key(&self) -> Option<MaskingKey> {
        let bytes = self.as_bytes().get(self.masking_key_at()?..)?;
        Some(MaskingKey::new(bytes.try_into().ok()?))
    }

    fn bit(&self, byte: usize, mask: u8) -> Option<bool> {
        Some(self.as_bytes().get(byte)? & mask != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{LengthForm, RawHeader};
    use crate::proto::{MaskingKey, Opcode};

    #[test]
    fn every_bit_of_the_hello_of_section_5_7() {
        let header = RawHeader::new(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f");
        assert!(header.is_whole());
        assert_eq!(header.as_bytes(), b"\x81\x85\x37\xfa\x21\x3d");
        assert_eq!(header.fin(), Some(true));
        assert_eq!(
            (header.rsv1(), header.rsv2(), header.rsv3()),
            (Some(false), Some(false), Some(false))
        );
        assert_eq!(header.opcode(), Some(Opcode::Text));
        assert_eq!(header.masked(), Some(true));
        assert_eq!(header.length_form(), Some(LengthForm::Seven));
        assert_eq!(header.payload_len(), Some(5));
        let key = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(header.masking_key(), Some(key));
    }

    #[test]
    fn what_has_not_come_is_not_made_up() {
        let header = RawHeader::new(b"");
        assert_eq!((header.fin(), header.opcode_bits()), (None, None));
        let header = RawHeader::new(b"\x7f");
        assert_eq!((header.fin(), header.rsv1()), (Some(false), Some(true)));
        assert_eq!((header.opcode_bits(), header.opcode()), (Some(15), None));
        assert_eq!((header.size(), header.masked()), (None, None));
        let header = RawHeader::new(b"\x82\xff\0\0\0\0\0\x01\0");
        assert_eq!((header.size(), header.payload_len()), (Some(14), None));
        let header = RawHeader::new(b"\x82\xff\0\0\0\0\0\x01\0\0\x01\x02\x03");
        assert_eq!(header.payload_len(), Some(65_536));
        assert_eq!((header.is_whole(), header.masking_key()), (false, None));
    }

    #[test]
    fn lengths_that_are_wrong_are_still_lengths() {
        let header = RawHeader::new(b"\x82\x7e\x00\x05");
        assert_eq!(header.payload_len(), Some(5));
        assert_eq!(LengthForm::minimal(5), LengthForm::Seven);
        let header = RawHeader::new(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(header.payload_len(), Some(u64::MAX));
    }
}
