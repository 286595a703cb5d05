//! From messages to their compressed payloads ([RFC 7692 §7.2.1]).
//!
//! Each fragment is flushed, so that its peer can read all of it at once. What is made ends with
//! an empty block, whose last four bytes are left out at the end of the message.
//!
//! [RFC 7692 §7.2.1]: https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1

use std::mem;

use crate::proto::deflate::TAIL;
use crate::proto::deflate::codec::Deflater;
use crate::proto::deflate::params::WindowBits;
use crate::proto::deflate::settings::{Deflate, Level, MemoryLevel};

/// A stream of messages that are compressed.
#[derive(Debug)]
pub(crate) struct Compressor {
    stream: Deflater,
    shape: Shape,
}

/// What two compressors have in common of which either will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    window_bits: WindowBits,
    level: Level,
    memory_level: MemoryLevel,
}

impl Compressor {
    /// Compresses the next piece of a message into the front of `output`, which grows if need
    /// be; answers how many bytes that is.
    pub(crate) fn compress(&mut self, piece: &[u8], output: &mut Vec<u8>, last: bool) -> usize {
        let (mut consumed, mut size) = (0, 0);
        loop {
            if output.len() - size < ROOM_MIN {
                let grown = (2 * output.len()).max(piece.len() / 2);
                output.resize(grown.max(2 * ROOM_MIN), 0);
            }
            let step = self.stream.flush(&piece[consumed..], &mut output[size..]);
            consumed += step.consumed;
            size += step.produced;
            // With room left over, the flush is complete.
            if size < output.len() {
                break;
            }
        }
        debug_assert_eq!(consumed, piece.len());
        debug_assert!(size == 0 || output[..size].ends_with(&TAIL));
        if !last {
            return size;
        }
        // Nothing came after the last flush, which makes no second one. §7.2.3.6: a message that
        // adds nothing is the first byte of an empty block.
        if size == 0 {
            output[0] = 0;
            return 1;
        }
        size - TAIL.len()
    }

    /// Forgets the messages before.
    pub(crate) fn reset(&mut self) {
        self.stream.reset();
    }
}

/// Compressors at rest, for whoever next sends a message that does not build on another, and the
/// memory they work in: what a loop's connections share.
#[derive(Debug, Default)]
pub struct Compressors {
    shared: Option<Box<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    idle: Vec<Compressor>,
    output: Vec<u8>,
    messages: u64,
}

impl Compressors {
    /// None yet: they are made when they are first needed.
    #[must_use]
    pub const fn new() -> Self {
        Self { shared: None }
    }

    /// How many messages were compressed here. One that many peers
    /// [share](crate::proto::Prepared) counts once.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.messages)
    }

    /// Takes over those of `other`, unless there are some here.
    pub(crate) fn succeed(&mut self, other: &mut Self) {
        if self.shared.is_none() {
            self.shared = other.shared.take();
        }
    }

    /// A compressor that remembers no message.
    pub(crate) fn take(&mut self, settings: &Deflate, window_bits: WindowBits) -> Compressor {
        let shape = Shape {
            window_bits,
            level: settings.level,
            memory_level: settings.memory_level,
        };
        let shared = self.shared.get_or_insert_default();
        let fits = |idle: &Compressor| idle.shape == shape;
        match shared.idle.iter().position(fits) {
            Some(index) => shared.idle.swap_remove(index),
            None => Compressor {
                stream: Deflater::new(settings, window_bits),
                shape,
            },
        }
    }

    /// Takes a compressor back.
    pub(crate) fn put(&mut self, mut compressor: Compressor) {
        compressor.reset();
        let shared = self.shared.get_or_insert_default();
        if shared.idle.len() < IDLE_MAX {
            shared.idle.push(compressor);
        }
    }

    /// Has the next piece of a message compressed, into memory that is to be
    /// [given back](Self::put_output), with how many bytes there are in it.
    pub(crate) fn compress(
        &mut self,
        compressor: &mut Compressor,
        piece: &[u8],
        last: bool,
    ) -> (Vec<u8>, usize) {
        let shared = self.shared.get_or_insert_default();
        shared.messages += u64::from(last);
        let mut output = mem::take(&mut shared.output);
        let size = compressor.compress(piece, &mut output, last);
        (output, size)
    }

    /// Takes that memory back.
    pub(crate) fn put_output(&mut self, output: Vec<u8>) {
        self.shared.get_or_insert_default().output = output;
    }
}

/// The room for output at least: a flush that fits leaves some of it over.
const ROOM_MIN: usize = 64;

/// The compressors at rest at most: one for each size of window.
const IDLE_MAX: usize = 8;
