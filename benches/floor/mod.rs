//! The floor: the least that any implementation does for a message.
//!
//! [`Receiver`] copies a read in, finds the header, unmasks, checks text; [`Sender`] writes a
//! header and a payload. Neither refuses anything, has a state, a limit or a timer: what a real
//! implementation takes above it is the price of being one, and the ratio of the two holds on
//! any machine. Beside the floor stand the streams that all are measured on, our loops over the
//! same streams, and the rounds that compare them.

// Each bench uses its part of what is here.
#![allow(dead_code)]

pub(crate) mod calls;
pub(crate) mod ours;
pub(crate) mod quartiles;
pub(crate) mod rounds;
pub(crate) mod stream;

use std::hint::black_box;

use openline::proto::{MaskingKey, Role};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use stream::{Content, DRAIN_SIZE, Stream, copy};

/// Receives a stream of frames.
pub(crate) struct Receiver {
    buffer: Vec<u8>,
}

impl Receiver {
    /// With room for a read behind the part of a frame that the last read left.
    pub(crate) fn new(stream: &Stream) -> Self {
        Self {
            buffer: vec![0; stream.read_size_max + stream.frame_size],
        }
    }

    /// Takes the whole stream, read by read; returns the number of messages.
    pub(crate) fn pass(&mut self, stream: &Stream) -> usize {
        let buffer = &mut self.buffer[..];
        let (mut parsed, mut filled, mut messages) = (0, 0, 0);
        // How much of the payload at the front is unmasked already: it is done as it comes,
        // while it is in the nearest cache.
        let mut unmasked = 0;
        let mut lacking = 0;
        let mut rest = &stream.bytes[..];
        while !rest.is_empty() {
            let size = stream.next_read(filled - parsed, lacking);
            let read;
            (read, rest) = rest.split_at(size.min(rest.len()));
            calls::call();
            if parsed > 0 {
                buffer.copy_within(parsed..filled, 0);
                filled -= parsed;
                parsed = 0;
            }
            copy(read, &mut buffer[filled..filled + read.len()]);
            filled += read.len();
            while let Some(header) = Header::decode(&buffer[parsed..filled]) {
                let start = parsed + header.size;
                let end = start + header.payload_len;
                let arrived = end.min(filled);
                if let Some(key) = header.key {
                    let key = key.at(unmasked as u64);
                    key.apply(&mut buffer[start + unmasked..arrived]);
                }
                unmasked = arrived - start;
                lacking = end - arrived;
                if lacking > 0 {
                    break;
                }
                unmasked = 0;
                let payload = &buffer[start..end];
                if header.text {
                    assert!(simdutf8::basic::from_utf8(payload).is_ok());
                }
                black_box(payload);
                messages += 1;
                parsed = end;
            }
        }
        messages
    }
}

/// What has to be known of a header to deliver its frame.
struct Header {
    text: bool,
    key: Option<MaskingKey>,
    payload_len: usize,
    size: usize,
}

impl Header {
    #[inline]
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (payload_len, rest) = match second & 0x7f {
            126 => {
                let (len, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let (len, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*len), rest)
            }
            short => (u64::from(short), rest),
        };
        let (key, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => {
                let (key, rest) = rest.split_first_chunk()?;
                (Some(MaskingKey::new(*key)), rest)
            }
        };
        Some(Self {
            text: first & 0x0f == 1,
            key,
            payload_len: usize::try_from(payload_len).ok()?,
            size: bytes.len() - rest.len(),
        })
    }
}

/// Sends messages into a buffer that is drained whenever it holds [`DRAIN_SIZE`].
pub(crate) struct Sender {
    buffer: Vec<u8>,
    end: usize,
    first: u8,
    /// A client's masking keys, by the generator that ours draws them from.
    keys: Option<StdRng>,
}

impl Sender {
    pub(crate) fn new(role: Role, content: Content, payload_len: usize) -> Self {
        Self {
            buffer: vec![0; DRAIN_SIZE + 14 + payload_len],
            end: 0,
            first: 0x80 | content.opcode() as u8,
            keys: match role {
                Role::Server => None,
                Role::Client => Some(StdRng::from_seed([7; 32])),
            },
        }
    }

    /// Sends one message; `drain` gets the bytes when enough wait.
    #[inline]
    pub(crate) fn send(&mut self, payload: &[u8], drain: impl FnOnce(&[u8])) {
        let mask_bit = if self.keys.is_some() { 0x80 } else { 0 };
        let frame = &mut self.buffer[self.end..];
        frame[0] = self.first;
        let size = if let Ok(short @ 0..126) = u8::try_from(payload.len()) {
            frame[1] = mask_bit | short;
            2
        } else if let Ok(len) = u16::try_from(payload.len()) {
            frame[1] = mask_bit | 126;
            frame[2..4].copy_from_slice(&len.to_be_bytes());
            4
        } else {
            frame[1] = mask_bit | 127;
            frame[2..10].copy_from_slice(&(payload.len() as u64).to_be_bytes());
            10
        };
        let size = match &mut self.keys {
            None => {
                frame[size..size + payload.len()].copy_from_slice(payload);
                size
            }
            Some(keys) => {
                let key = keys.next_u32().to_ne_bytes();
                frame[size..size + 4].copy_from_slice(&key);
                let body = &mut frame[size + 4..size + 4 + payload.len()];
                MaskingKey::new(key).copy(payload, body);
                size + 4
            }
        };
        self.end += size + payload.len();
        if self.end >= DRAIN_SIZE {
            calls::call();
            drain(black_box(&self.buffer[..self.end]));
            self.end = 0;
        }
    }
}
