//! Who compresses in truth: zlib-rs, and this file alone knows it.
//!
//! Another back end is a change to this file. It has streams of raw DEFLATE ([RFC 1951]) to
//! offer, taken in steps; what messages make of them is none of its business. zlib-rs is taken
//! as it is, without flate2 around it, which cannot set the memory level.
//!
//! [RFC 1951]: https://www.rfc-editor.org/rfc/rfc1951

use std::fmt;
use std::sync::{Mutex, PoisonError};

use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush, Status};

use crate::proto::deflate::params::WindowBits;
use crate::proto::deflate::settings::{Codec, Deflate};

/// How far a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The bytes of input taken.
    pub(super) consumed: usize,
    /// The bytes of output made.
    pub(super) produced: usize,
    /// Why it went no further.
    pub(super) stop: Stop,
}

/// What ends a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Input was lacking, or room; or it was told to stop between two blocks.
    Lack,
    /// A block with BFINAL was read to its end.
    Final,
    /// What follows is not DEFLATE.
    Corrupt,
}

/// A stream that is compressed.
pub(super) struct Deflater(Exclusive<zlib_rs::Deflate>);

impl Deflater {
    /// A stream that never reaches back further than `window_bits` allow.
    pub(super) fn new(settings: &Deflate, window_bits: WindowBits) -> Self {
        let Codec::ZlibRs = settings.codec;
        // zlib cannot do 8 bits and does 9 instead. But it keeps as many bytes of its window as
        // it looks ahead, 262, out of reach: with 9 bits it goes back 250 bytes at most, which
        // 8 bits allow. The tests hold what is sent against a decoder with just that window.
        let window_bits = window_bits.number().max(9);
        Self(Exclusive::new(zlib_rs::Deflate::new_with_config(
            DeflateConfig {
                level: i32::from(settings.level.number()),
                // Negative: without zlib's own header.
                window_bits: -i32::from(window_bits),
                mem_level: i32::from(settings.memory_level.number()),
                ..DeflateConfig::default()
            },
        )))
    }

    /// Compresses and flushes: the output is complete up to here when it does not fill `output`.
    pub(super) fn flush(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let stream = self.0.get_mut();
        let before = (stream.total_in(), stream.total_out());
        stream
            .compress(input, output, DeflateFlush::SyncFlush)
            .expect("a stream that is never finished takes whatever it is given");
        step(before, (stream.total_in(), stream.total_out()), Stop::Lack)
    }

    /// Forgets everything, so that what follows is a stream of its own.
    pub(super) fn reset(&mut self) {
        self.0.get_mut().reset();
    }
}

/// A stream that is read.
pub(super) struct Inflater(Exclusive<zlib_rs::Inflate>);

impl Inflater {
    /// A stream that may reach back as far as DEFLATE can: zlib-rs has room for that in any
    /// case, so a smaller window would save nothing.
    pub(super) fn new(settings: &Deflate) -> Self {
        let Codec::ZlibRs = settings.codec;
        let window_bits = WindowBits::MAX.number();
        Self(Exclusive::new(zlib_rs::Inflate::new(false, window_bits)))
    }

    /// Inflates until `input` is taken or `output` is full. After a block with BFINAL it goes
    /// no further until it is restarted.
    pub(super) fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        self.advance(input, output, InflateFlush::NoFlush)
    }

    /// The same, and it also stops between two blocks.
    pub(super) fn inflate_block(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        self.advance(input, output, InflateFlush::Block)
    }

    /// Forgets everything but that `window` are the last bytes that came out: what follows is a
    /// stream that may refer to them.
    pub(super) fn restart(&mut self, window: &[u8]) {
        let stream = self.0.get_mut();
        stream.reset(false);
        if !window.is_empty() {
            stream
                .set_dictionary(window)
                .expect("a raw stream takes any window");
        }
    }

    fn advance(&mut self, input: &[u8], output: &mut [u8], flush: InflateFlush) -> Step {
        let stream = self.0.get_mut();
        let before = (stream.total_in(), stream.total_out());
        let stop = match stream.decompress(input, output, flush) {
            Ok(Status::StreamEnd) => Stop::Final,
            Ok(Status::Ok | Status::BufError) => Stop::Lack,
            Err(_) => Stop::Corrupt,
        };
        step(before, (stream.total_in(), stream.total_out()), stop)
    }
}

#[allow(clippy::cast_possible_truncation)] // they differ by lengths of slices
fn step(before: (u64, u64), after: (u64, u64), stop: Stop) -> Step {
    Step {
        consumed: (after.0 - before.0) as usize,
        produced: (after.1 - before.1) as usize,
        stop,
    }
}

/// A value that is only ever looked at by who may change it.
///
/// zlib-rs's streams may move to another thread but not be shared by reference; nothing here
/// shares them, and what holds one should not lose `Sync` for it. The lock is never taken.
struct Exclusive<T>(Mutex<T>);

impl<T> Exclusive<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    #[inline]
    fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deflater")
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inflater")
    }
}
