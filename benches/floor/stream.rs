//! What all are measured on: payloads, and long streams of masked frames.

use std::fmt;

use bytes::Bytes;
use openline::proto::{FrameHeader, MaskingKey, Opcode, Role};

/// What whoever can be told asks a read for: what is read, and where to, then fit in a first-level
/// cache of 32 to 48 KiB.
pub(crate) const READ_SIZE: usize = 16 << 10;

/// The most that a read brings to whoever asks for more.
pub(crate) const READ_SIZE_MAX: usize = 64 << 10;

/// A send buffer that holds this much is drained, for the same reason.
pub(crate) const DRAIN_SIZE: usize = 16 << 10;

/// The payload lengths measured.
pub(crate) const SIZES: [usize; 5] = [16, 128, 1 << 10, 16 << 10, 1 << 20];

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Bytes of a binary message.
    Binary,
    /// Text of one byte a character.
    Ascii,
    /// Text of two to four bytes a character.
    MultiByte,
}

impl Content {
    pub(crate) const ALL: [Self; 3] = [Self::Binary, Self::Ascii, Self::MultiByte];

    /// A payload of `size` bytes.
    pub(crate) fn payload(self, size: usize) -> Vec<u8> {
        match self {
            Self::Binary => (0..=255).cycle().take(size).collect(),
            Self::Ascii => text("The quick brown fox jumps over the lazy dog. ", size),
            Self::MultiByte => text("Κόσμε, здравствуй! 你好世界 👋 ", size),
        }
    }

    pub(crate) fn opcode(self) -> Opcode {
        match self {
            Self::Binary => Opcode::Binary,
            Self::Ascii | Self::MultiByte => Opcode::Text,
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Binary => "binary",
            Self::Ascii => "ascii",
            Self::MultiByte => "multibyte",
        })
    }
}

/// Messages of one size, one frame each; masked as a client sends them, or not.
pub(crate) struct Stream {
    /// What a read is asked for by whoever can be told, and the most that it brings.
    pub(crate) read_size: usize,
    pub(crate) read_size_max: usize,
    masked: bool,
    header_size: usize,
    pub(crate) bytes: Bytes,
    pub(crate) messages: usize,
    /// The bytes of one frame, header included.
    pub(crate) frame_size: usize,
}

impl Stream {
    /// Some 4 MiB: more than the nearer caches hold, as bytes from a network are in none.
    pub(crate) fn new(sender: Role, content: Content, size: usize) -> Self {
        let payload = content.payload(size);
        let messages = (4 << 20) / (size + 8);
        let mut bytes = Vec::new();
        let mut key = 0x9e37_79b9_u32;
        for _ in 0..messages {
            key = key.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
            let mask = match sender {
                Role::Client => Some(MaskingKey::new(key.to_be_bytes())),
                Role::Server => None,
            };
            let header = FrameHeader {
                fin: true,
                rsv1: false,
                opcode: content.opcode(),
                mask,
                payload_len: size as u64,
            };
            bytes.extend_from_slice(header.encode().as_bytes());
            let start = bytes.len();
            bytes.extend_from_slice(&payload);
            if let Some(key) = mask {
                key.apply(&mut bytes[start..]);
            }
        }
        let frame_size = bytes.len() / messages;
        Self {
            read_size: READ_SIZE,
            read_size_max: READ_SIZE_MAX,
            masked: sender == Role::Client,
            header_size: frame_size - size,
            frame_size,
            bytes: bytes.into(),
            messages,
        }
    }

    /// What to ask the next read for, where of a frame `held` bytes are held and `lacking` lack.
    ///
    /// A read that ends where a long frame does, and a header like its own behind it, leaves nothing
    /// over that would have to be moved; and if more such frames follow, so does one that ends where
    /// they do, for fewer calls. What is masked is passed over once more, and better not far away.
    #[inline]
    pub(crate) fn next_read(&self, held: usize, lacking: usize) -> usize {
        if lacking == 0 || held.saturating_add(lacking) < self.read_size {
            return self.read_size;
        }
        let rest = lacking.saturating_add(self.header_size);
        let frame = rest.saturating_add(held);
        let room = match self.masked {
            true => self.read_size_max.min(3 * self.read_size),
            false => self.read_size_max,
        };
        let more = room.saturating_sub(rest) / frame * frame;
        rest.saturating_add(more).min(self.read_size_max)
    }
}

/// Copies as the transport does, in pieces: of one long copy some processors make up to twelve
/// times as much when the two places lie a few bytes apart within their pages, and chance would
/// decide who wins.
#[inline]
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    for (from, to) in from.chunks(512).zip(to.chunks_mut(512)) {
        to.copy_from_slice(from);
    }
}

/// `16 B`, `1 KiB`, `1 MiB`.
pub(crate) fn display(size: usize) -> String {
    match size {
        ..0x400 => format!("{size} B"),
        0x400..0x10_0000 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}

/// `sample` over and over, whole characters, filled up to `size` with spaces.
fn text(sample: &str, size: usize) -> Vec<u8> {
    let mut text = String::new();
    for character in sample.chars().cycle() {
        if text.len() + character.len_utf8() > size {
            break;
        }
        text.push(character);
    }
    let mut bytes = text.into_bytes();
    bytes.resize(size, b' ');
    bytes
}
