//! Frames as they lie on the wire, legal or not ([RFC 6455 §5.2]).
//!
//! What is written may break any rule, and what is read may break them too: a judge that parsed
//! as strictly as a connection could not say what the peer did wrong.
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use crate::proto::MaskingKey;

/// The header of a frame, with every field as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RawHeader {
    pub(super) fin: bool,
    /// RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub(super) rsv: u8,
    pub(super) opcode: u8,
    pub(super) key: Option<[u8; 4]>,
    /// The length that is declared.
    pub(super) length: u64,
    /// The bits of its form: 7, 16 or 64.
    pub(super) form: u8,
}

impl RawHeader {
    /// The shortest form for a length.
    pub(super) fn minimal_form(length: u64) -> u8 {
        match length {
            0..126 => 7,
            126..0x1_0000 => 16,
            _ => 64,
        }
    }

    /// The bytes; a length that its form cannot hold loses its upper bits.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mask_bit = if self.key.is_some() { 0x80 } else { 0 };
        let fin = if self.fin { 0x80 } else { 0 };
        let mut bytes = vec![fin | (self.rsv & 7) << 4 | self.opcode & 15];
        let length = self.length.to_be_bytes();
        match self.form {
            7 => bytes.push(mask_bit | length[7] & 0x7f),
            16 => {
                bytes.push(mask_bit | 126);
                bytes.extend(&length[6..]);
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend(length);
            }
        }
        bytes.extend(self.key.iter().flatten());
        bytes
    }

    /// Reads the header at the front of `bytes`, and its size; `None` asks for more.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (length, form, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), 16, rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), 64, rest)
            }
            length => (u64::from(length), 7, rest),
        };
        let (key, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => {
                let (key, rest) = rest.split_first_chunk()?;
                (Some(*key), rest)
            }
        };
        let header = Self {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 15,
            key,
            length,
            form,
        };
        Some((header, bytes.len() - rest.len()))
    }

    pub(super) fn is_control(&self) -> bool {
        self.opcode & 8 != 0
    }
}

/// Appends a payload, masked if there is a key.
pub(super) fn append(payload: &[u8], key: Option<[u8; 4]>, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(key) = key {
        MaskingKey::new(key).apply(&mut bytes[start..]);
    }
}

/// A frame as it was read, its payload unmasked.
#[derive(Debug)]
pub(super) struct RawFrame {
    pub(super) header: RawHeader,
    /// The bytes of the header.
    pub(super) head: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

/// Reads frames from bytes that come in any pieces.
///
/// It holds at most one frame of the size allowed, and what was given with its end.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    bytes: Vec<u8>,
    /// How many of them are behind us.
    read: usize,
}

/// A frame declares more than is allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge(pub(super) RawHeader);

impl FrameReader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.read == self.bytes.len() {
            self.bytes.clear();
            self.read = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes that no frame has taken yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.read..]
    }

    /// Takes bytes that are no frame.
    pub(super) fn take(&mut self, n: usize) -> Vec<u8> {
        let taken = self.rest()[..n].to_vec();
        self.read += n;
        taken
    }

    /// The next frame, if it is whole.
    pub(super) fn next(&mut self, payload_max: u64) -> Result<Option<RawFrame>, TooLarge> {
        let bytes = &self.bytes[self.read..];
        let Some((header, size)) = RawHeader::decode(bytes) else {
            return Ok(None);
        };
        let length = match usize::try_from(header.length) {
            Ok(length) if header.length <= payload_max => length,
            _ => return Err(TooLarge(header)),
        };
        let Some(payload) = bytes[size..].get(..length) else {
            // The bytes behind us are given up before more of a long frame come.
            if self.read > self.bytes.len() / 2 {
                self.bytes.drain(..self.read);
                self.read = 0;
            }
            return Ok(None);
        };
        let mut payload = payload.to_vec();
        if let Some(key) = header.key {
            MaskingKey::new(key).apply(&mut payload);
        }
        let head = bytes[..size].to_vec();
        self.read += size + length;
        Ok(Some(RawFrame {
            header,
            head,
            payload,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameReader, RawHeader, TooLarge, append};

    #[test]
    fn whatever_is_written_can_be_read() {
        for form in [7, 16, 64] {
            for key in [None, Some([1, 2, 3, 4])] {
                let header = RawHeader {
                    fin: false,
                    rsv: 5,
                    opcode: 11,
                    key,
                    length: 3,
                    form,
                };
                let mut bytes = header.encode();
                append(b"abc", key, &mut bytes);
                let mut reader = FrameReader::default();
                for byte in &bytes[..bytes.len() - 1] {
                    reader.push(&[*byte]);
                    assert!(reader.next(3).unwrap().is_none());
                }
                reader.push(&bytes[bytes.len() - 1..]);
                let frame = reader.next(3).unwrap().unwrap();
                assert_eq!((frame.header, &*frame.payload), (header, &b"abc"[..]));
                assert!(reader.rest().is_empty());
            }
        }
    }

    #[test]
    fn a_length_is_not_believed() {
        let mut reader = FrameReader::default();
        reader.push(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
        let TooLarge(header) = reader.next(1 << 20).unwrap_err();
        assert_eq!(header.length, u64::MAX);
    }
}
