//! The frame header ([RFC 6455 §5.2]): two to fourteen bytes, decoded and encoded.
//!
//! ```text
//!  0               1               2               3
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//! |I|S|S|S|  (4)  |A|     (7)     |  (16 or 64 bits, if the seven |
//! |N|V|V|V|       |S|             |        say 126 or 127)        |
//! | |1|2|3|       |K|             |                               |
//! +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
//! :            Masking-key (32 bits, if MASK is set)              :
//! +---------------------------------------------------------------+
//! ```
//!
//! What [`FrameHeader::decode`] returns obeys every rule that one header alone can break.
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use crate::proto::error::ProtocolError;
use crate::proto::mask::MaskingKey;

/// The bytes of the payload of a control frame at most (§5.5).
pub const CONTROL_PAYLOAD_MAX: usize = 125;

/// The bytes of a frame header at most: two, eight of length, four of masking key.
pub const HEADER_SIZE_MAX: usize = 14;

/// Which end of the connection: who sends masked frames, and who must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that opened the connection; it masks what it sends (§5.1).
    Client,
    /// The end that accepted it; it never masks.
    Server,
}

impl Role {
    /// The other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What a frame is (§5.2); the reserved opcodes have no value here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The closing handshake (§5.5.1).
    Close = 0x8,
    /// Asks for a Pong (§5.5.2).
    Ping = 0x9,
    /// Answers a Ping, or comes of its own accord (§5.5.3).
    Pong = 0xa,
}

impl Opcode {
    /// The opcode of these four bits, unless they are reserved (3 to 7, 11 to 15).
    #[inline]
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    /// Whether this is Close, Ping or Pong: the high bit of the four (§5.5).
    #[inline]
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// The header of one frame (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// FIN: the last, or the only, frame of its message.
    pub fin: bool,
    /// RSV1, which an extension may give a meaning (RFC 7692 does: compressed).
    pub rsv1: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub mask: Option<MaskingKey>,
    /// The bytes of payload that follow: at most 2^63 - 1.
    pub payload_len: u64,
}

impl FrameHeader {
    /// Reads the header at the front of `bytes`, which a peer in the role `sender` sent.
    ///
    /// Returns the header and its size in bytes, or `None` when more bytes are needed. What the
    /// first two bytes show to be wrong is refused at once, before the payload is there.
    ///
    /// # Errors
    ///
    /// RSV2 or RSV3, a reserved opcode, a fragmented or long control frame, the mask bit of the
    /// other role, a length that is not minimal or has its top bit set.
    #[inline]
    pub fn decode(bytes: &[u8], sender: Role) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        // §5.2: nonzero reserved bits fail the connection unless an extension defines them;
        // none defines RSV2 or RSV3.
        if first & (RSV2 | RSV3) != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        let opcode =
            Opcode::new(first & OPCODE).ok_or(ProtocolError::ReservedOpcode(first & OPCODE))?;
        let fin = first & FIN != 0;
        let rsv1 = first & RSV1 != 0;
        let short = second & PAYLOAD_LEN;
        if opcode.is_control() {
            // §5.5: control frames are never fragmented, so a Pong is always whole.
            if !fin {
                return Err(ProtocolError::FragmentedControl);
            }
            // §5.5: nor longer than 125 bytes, so that they never wait for a long length.
            if usize::from(short) > CONTROL_PAYLOAD_MAX {
                return Err(ProtocolError::ControlTooLong);
            }
        }
        // §5.1: a client masks every frame, a server none; the other end fails the connection.
        let masked = second & MASK != 0;
        match sender {
            Role::Client if !masked => return Err(ProtocolError::MissingMask),
            Role::Server if masked => return Err(ProtocolError::UnexpectedMask),
            _ => {}
        }
        let (payload_len, rest) = match short {
            LEN_16 => {
                let Some((len, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                let len = u64::from(u16::from_be_bytes(*len));
                // §5.2: the minimal number of bytes must be used to encode the length.
                if len < u64::from(LEN_16) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (len, rest)
            }
            LEN_64 => {
                let Some((len, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                let len = u64::from_be_bytes(*len);
                // §5.2: the most significant bit must be 0.
                if len >> 63 != 0 {
                    return Err(ProtocolError::LengthTopBit);
                }
                if len <= u64::from(u16::MAX) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (len, rest)
            }
            short => (u64::from(short), rest),
        };
        let (mask, rest) = if masked {
            let Some((key, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (Some(MaskingKey::new(*key)), rest)
        } else {
            (None, rest)
        };
        let header = Self {
            fin,
            rsv1,
            opcode,
            mask,
            payload_len,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// That of a message of `len` bytes in one frame, as a server sends it.
    #[inline]
    pub(crate) const fn of_message(opcode: Opcode, len: usize) -> Self {
        Self {
            fin: true,
            rsv1: false,
            opcode,
            mask: None,
            payload_len: len as u64,
        }
    }

    /// The bytes of this header.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> EncodedHeader {
        let mask_bit = if self.mask.is_some() { MASK } else { 0 };
        let first =
            if self.fin { FIN } else { 0 } | if self.rsv1 { RSV1 } else { 0 } | self.opcode as u8;
        // §5.2: the minimal number of bytes must be used to encode the length. The bytes are put
        // together in a register, the first lowest.
        let (second, extended, size) = if let Ok(short @ 0..LEN_16) = u8::try_from(self.payload_len)
        {
            (short, 0, 2)
        } else if let Ok(len) = u16::try_from(self.payload_len) {
            (LEN_16, u128::from(len.swap_bytes()), 4)
        } else {
            (LEN_64, u128::from(self.payload_len.swap_bytes()), 10)
        };
        let bits = u128::from(first) | u128::from(mask_bit | second) << 8 | extended << 16;
        let (bits, size) = match self.mask {
            None => (bits, size),
            Some(key) => {
                let key = u128::from(u32::from_le_bytes(key.to_bytes()));
                (bits | key << (8 * size), size + 4)
            }
        };
        EncodedHeader {
            bytes: bits.to_le_bytes(),
            size,
        }
    }
}

/// A header as it goes over the wire: two to fourteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedHeader {
    /// Zeros behind the header.
    bytes: [u8; PADDED_SIZE],
    size: usize,
}

impl EncodedHeader {
    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }

    /// How many they are.
    #[inline]
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The bytes, with the zeros behind them.
    #[inline]
    pub(crate) fn padded(&self) -> &[u8; PADDED_SIZE] {
        &self.bytes
    }
}

/// The bytes of a header with what pads it to a register's size.
pub(crate) const PADDED_SIZE: usize = 16;

pub(crate) const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const OPCODE: u8 = 0x0f;
pub(super) const MASK: u8 = 0x80;
const PAYLOAD_LEN: u8 = 0x7f;
/// The seven bits that say: the length is in the next two bytes.
pub(crate) const LEN_16: u8 = 126;
/// The seven bits that say: the length is in the next eight bytes.
const LEN_64: u8 = 127;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{FrameHeader, HEADER_SIZE_MAX, Opcode, Role};
    use crate::proto::error::ProtocolError::{
        ControlTooLong, FragmentedControl, LengthTopBit, MissingMask, NonMinimalLength,
        ReservedBits, ReservedOpcode, UnexpectedMask,
    };
    use crate::proto::mask::MaskingKey;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    #[test]
    fn the_examples_of_section_5_7() {
        let table: [(&[u8], Role, FrameHeader, usize); 4] = [
            (
                b"\x81\x05Hello",
                Role::Server,
                header(Opcode::Text, None, 5),
                2,
            ),
            (
                b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
                Role::Client,
                header(Opcode::Text, Some(MaskingKey::new(KEY)), 5),
                6,
            ),
            (
                b"\x82\x7e\x01\x00",
                Role::Server,
                header(Opcode::Binary, None, 256),
                4,
            ),
            (
                b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
                Role::Server,
                header(Opcode::Binary, None, 65_536),
                10,
            ),
        ];
        for (bytes, sender, header, size) in table {
            assert_eq!(FrameHeader::decode(bytes, sender), Ok(Some((header, size))));
            assert_eq!(header.encode().as_bytes(), &bytes[..size]);
            for cut in 0..size {
                assert_eq!(FrameHeader::decode(&bytes[..cut], sender), Ok(None));
            }
        }
    }

    #[test]
    fn what_the_first_two_bytes_show_is_refused_with_two_bytes() {
        for rsv in [0x10, 0x20, 0x30] {
            assert_eq!(refusal(&[0x81 | rsv, 0x80]), ReservedBits);
        }
        for opcode in (0x3..=0x7).chain(0xb..=0xf) {
            assert_eq!(refusal(&[0x80 | opcode, 0x80]), ReservedOpcode(opcode));
        }
        for opcode in 0x8..=0xa {
            assert_eq!(refusal(&[opcode, 0x80]), FragmentedControl);
            assert_eq!(refusal(&[0x80 | opcode, 0xfe]), ControlTooLong);
            assert_eq!(refusal(&[0x80 | opcode, 0xff]), ControlTooLong);
        }
        assert_eq!(refusal(&[0x81, 0x05]), MissingMask);
        assert_eq!(
            FrameHeader::decode(&[0x81, 0x85], Role::Server),
            Err(UnexpectedMask)
        );
    }

    #[test]
    fn lengths_are_minimal_and_keep_their_top_bit_clear() {
        assert_eq!(refusal(&[0x82, 0xfe, 0, 125]), NonMinimalLength);
        assert_eq!(len_of(&[0x82, 0xfe, 0, 126, 0, 0, 0, 0]), 126);
        let long = |len: u64| {
            let mut bytes = vec![0x82, 0xff];
            bytes.extend(len.to_be_bytes());
            bytes.extend([0; 4]);
            bytes
        };
        assert_eq!(refusal(&long(0)), NonMinimalLength);
        assert_eq!(refusal(&long(65_535)), NonMinimalLength);
        assert_eq!(len_of(&long(65_536)), 65_536);
        assert_eq!(len_of(&long((1 << 63) - 1)), (1 << 63) - 1);
        assert_eq!(refusal(&long(1 << 63)), LengthTopBit);
        assert_eq!(refusal(&long(u64::MAX)), LengthTopBit);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_and_not_before_its_last_byte(
            fin: bool,
            rsv1: bool,
            opcode in proptest::sample::select(vec![
                Opcode::Continuation, Opcode::Text, Opcode::Binary,
            ]),
            mask: Option<[u8; 4]>,
            payload_len in proptest::prop_oneof![
                0_u64..130, 65_530_u64..65_545, 0..=u64::MAX >> 1,
            ],
        ) {
            let mask = mask.map(MaskingKey::new);
            let sender = if mask.is_some() { Role::Client } else { Role::Server };
            let header = FrameHeader { fin, rsv1, opcode, mask, payload_len };
            let encoded = header.encode();
            let bytes = encoded.as_bytes();
            prop_assert_eq!(FrameHeader::decode(bytes, sender), Ok(Some((header, bytes.len()))));
            for cut in 0..bytes.len() {
                prop_assert_eq!(FrameHeader::decode(&bytes[..cut], sender), Ok(None));
            }
        }

        #[test]
        fn what_is_decoded_is_encoded_to_the_same_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..=HEADER_SIZE_MAX)
        ) {
            for sender in [Role::Client, Role::Server] {
                if let Ok(Some((header, size))) = FrameHeader::decode(&bytes, sender) {
                    prop_assert!(size <= bytes.len());
                    let encoded = header.encode();
                    prop_assert_eq!(encoded.as_bytes(), &bytes[..size]);
                }
            }
        }
    }

    fn header(opcode: Opcode, mask: Option<MaskingKey>, payload_len: u64) -> FrameHeader {
        FrameHeader {
            fin: true,
            rsv1: false,
            opcode,
            mask,
            payload_len,
        }
    }

    fn refusal(bytes: &[u8]) -> crate::proto::error::ProtocolError {
        FrameHeader::decode(bytes, Role::Client).unwrap_err()
    }

    fn len_of(bytes: &[u8]) -> u64 {
        let (header, _) = FrameHeader::decode(bytes, Role::Client).unwrap().unwrap();
        header.payload_len
    }
}
