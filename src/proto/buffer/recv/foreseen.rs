//! Messages that are known before they come: compared where they lie, instead of parsed.

use crate::proto::buffer::RecvBuffer;
use crate::proto::frame::{FIN, FrameHeader, Opcode};

/// The bytes that are not parsed yet, from where they are not passed over.
pub(crate) struct Ahead<'a> {
    rest: &'a [u8],
    len: usize,
}

impl RecvBuffer {
    /// The bytes that are not parsed; what is passed over of them is to be consumed.
    #[inline]
    pub(crate) fn ahead(&self) -> Ahead<'_> {
        let rest = self.unparsed();
        Ahead {
            rest,
            len: rest.len(),
        }
    }
}

impl Ahead<'_> {
    /// Passes over a message if it is what comes next: whole, in one frame that is not masked.
    #[inline(always)]
    pub(crate) fn pass_message(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        let len @ 0..=SHORT_MAX = payload.len() else {
            return self.pass_longer_message(opcode, payload);
        };
        match self.rest {
            [first, second, rest @ ..]
                if *first == FIN | opcode as u8
                    && usize::from(*second) == len
                    && rest.len() >= len
                    && is_same(&rest[..len], payload) =>
            {
                self.rest = &rest[len..];
                true
            }
            _ => false,
        }
    }

    #[inline(never)]
    fn pass_longer_message(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        let header = FrameHeader::of_message(opcode, payload.len()).encode();
        let payload_and_rest = self.rest.strip_prefix(header.as_bytes());
        match payload_and_rest.and_then(|bytes| bytes.strip_prefix(payload)) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// How many bytes were passed over.
    #[inline]
    pub(crate) fn passed(&self) -> usize {
        self.len - self.rest.len()
    }
}

/// The longest payload that is compared without a call.
const SHORT_MAX: usize = 32;

/// Whether two slices, as long as each other and no longer than [`SHORT_MAX`], have the same bytes:
/// by their two ends, which overlap.
#[inline(always)]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    match a.len() {
        16.. => ends::<16>(a) == ends(b),
        8.. => ends::<8>(a) == ends(b),
        4.. => ends::<4>(a) == ends(b),
        _ => a.iter().eq(b),
    }
}

#[inline(always)]
fn ends<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    bytes.first_chunk().zip(bytes.last_chunk())
}

#[cfg(test)]
mod tests {
    use super::{SHORT_MAX, is_same};
    use crate::proto::frame::{FrameHeader, Opcode};
    use crate::proto::{MaskingKey, RecvBuffer};

    /// A frame, and what follows it.
    fn frame(header: FrameHeader, payload: &[u8]) -> RecvBuffer {
        let mut recv = RecvBuffer::new();
        recv.extend(header.encode().as_bytes());
        recv.extend(payload);
        recv.extend(b"next");
        recv
    }

    fn passes(recv: &RecvBuffer, opcode: Opcode, payload: &[u8]) -> bool {
        let mut ahead = recv.ahead();
        let is_passed = ahead.pass_message(opcode, payload);
        assert_eq!(is_passed, ahead.passed() > 0);
        is_passed
    }

    #[test]
    fn only_what_is_foreseen_is_passed_over() {
        for len in [0, 1, 7, 8, 20, 33, 125, 126, 1_000, 0xffff, 0x10000] {
            let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
            let header = FrameHeader::of_message(Opcode::Binary, len);
            let recv = frame(header, &payload);
            assert!(!passes(&recv, Opcode::Text, &payload));
            for at in (0..len).step_by(1 + len / 1_000) {
                let mut other = payload.clone();
                other[at] ^= 1;
                assert!(!passes(&recv, Opcode::Binary, &other), "{len}, {at}");
            }
            let longer = [&payload[..], b"n"].concat();
            assert!(!passes(&recv, Opcode::Binary, &longer));
            assert!(len == 0 || !passes(&recv, Opcode::Binary, &payload[1..]));
            let mut ahead = recv.ahead();
            assert!(ahead.pass_message(Opcode::Binary, &payload), "{len}");
            assert_eq!(ahead.passed(), recv.len() - b"next".len());
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_be_parsed() {
        let header = FrameHeader::of_message(Opcode::Text, 2);
        let unusual = [
            FrameHeader {
                fin: false,
                ..header
            },
            FrameHeader {
                rsv1: true,
                ..header
            },
            FrameHeader {
                mask: Some(MaskingKey::new([0; 4])),
                ..header
            },
            FrameHeader {
                opcode: Opcode::Ping,
                ..header
            },
        ];
        for header in unusual {
            let recv = frame(header, b"ab");
            assert!(!passes(&recv, Opcode::Text, b"ab"), "{header:?}");
        }
        // Not all there yet.
        let mut recv = RecvBuffer::new();
        for byte in b"\x81\x02ab" {
            assert!(!passes(&recv, Opcode::Text, b"ab"));
            recv.extend(&[*byte]);
        }
        assert!(passes(&recv, Opcode::Text, b"ab"));
        // A length in more bytes than it takes.
        let mut recv = RecvBuffer::new();
        recv.extend(b"\x81\x7e\x00\x02ab");
        assert!(!passes(&recv, Opcode::Text, b"ab"));
    }

    #[test]
    fn every_byte_is_compared() {
        for len in 0..=SHORT_MAX {
            let bytes: Vec<u8> = (0..=255).take(len).collect();
            assert!(is_same(&bytes, &bytes.clone()));
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 0x80;
                assert!(!is_same(&bytes, &other), "{len}, {at}");
            }
        }
    }
}
