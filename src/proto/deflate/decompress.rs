//! From compressed payloads to messages ([RFC 7692 §7.2.2]), never further than is allowed.
//!
//! Payload is inflated as it comes, into memory that grows with what comes out and never beyond
//! what the caller allows; when that is full, the rest waits.
//!
//! A block may be a stream's last (§7.2.1: BFINAL), and yet more follows, in this message and in
//! the next: the stream is then begun anew, with the window as it was. zlib does not give its
//! window away, so that is taken from what has come out; all of it is there but in one case, that
//! of a peer which after messages without such blocks sends one with, and refers beyond it to
//! those messages. Who makes such blocks by zlib's Z_FINISH never refers beyond them.
//!
//! [RFC 7692 §7.2.2]: https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2

use std::fmt;
use std::ops::Range;

use crate::proto::deflate::TAIL;
use crate::proto::deflate::codec::{Inflater, Stop};
use crate::proto::deflate::params::WindowBits;
use crate::proto::deflate::settings::Deflate;

/// Payload that is not what a message compresses to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// A stream of messages that are decompressed.
#[derive(Debug)]
pub(crate) struct Decompressor {
    stream: Inflater,
    /// The last bytes that came out: from the first final block on, or always where what comes
    /// out is given away in pieces.
    history: Option<Vec<u8>>,
    /// Whether the output was full, so that more may come out though no more goes in.
    full: bool,
    /// Of the present message: the bytes given away before the present output.
    pub(crate) given: u64,
    /// The bytes of payload at hand that are unmasked already, and not yet taken.
    pub(crate) unmasked: usize,
}

impl Decompressor {
    pub(crate) fn new(settings: &Deflate) -> Self {
        Self {
            stream: Inflater::new(settings),
            history: None,
            full: false,
            given: 0,
            unmasked: 0,
        }
    }

    /// Inflates `payload` until it is taken or `output` holds `max` bytes; answers how many
    /// bytes were taken. What came out before something was wrong is there nonetheless.
    ///
    /// Memory grows in larger steps than that, but to no more than `capacity_max`.
    pub(crate) fn inflate(
        &mut self,
        payload: &[u8],
        output: &mut Inflated,
        max: usize,
        capacity_max: usize,
    ) -> Result<usize, Corrupt> {
        let mut taken = 0;
        loop {
            let start = output.len;
            let room = output.room(max, capacity_max);
            let room_size = room.len();
            self.full = room_size == 0;
            if self.full {
                return Ok(taken);
            }
            let step = self.stream.inflate(&payload[taken..], room);
            taken += step.consumed;
            output.len += step.produced;
            if let Some(history) = &mut self.history {
                remember(history, &output.bytes[start..output.len]);
            }
            match step.stop {
                Stop::Corrupt => return Err(Corrupt),
                Stop::Final => self.begin_anew(output),
                Stop::Lack if step.produced < room_size => return Ok(taken),
                Stop::Lack => {}
            }
        }
    }

    /// Remembers what comes out from here on, for it will be given away before its message ends.
    pub(crate) fn keep_history(&mut self) {
        self.history.get_or_insert_default();
    }

    /// Whether more may come out though no more goes in.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Ends the message, all of whose payload was taken: the next may build on it.
    pub(crate) fn finish(&mut self, output: &Inflated) -> Result<(), Corrupt> {
        // §7.2.1: payload ends within an empty block that the tail completes. So nothing comes
        // out of the tail, and what would follow is another block. A payload that was cut short
        // takes the tail for something else.
        let followed = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0];
        let step = self.stream.inflate_block(&followed, &mut [0]);
        if step.stop != Stop::Lack || step.consumed != TAIL.len() || step.produced > 0 {
            return Err(Corrupt);
        }
        // Even that block may be a stream's last.
        if self.stream.inflate(&[], &mut [0]).stop == Stop::Final {
            self.begin_anew(output);
        }
        self.given = 0;
        self.unmasked = 0;
        Ok(())
    }

    /// Forgets the messages before, and what of one there is.
    pub(crate) fn reset(&mut self) {
        self.stream.restart(&[]);
        self.history = None;
        self.full = false;
        self.given = 0;
        self.unmasked = 0;
    }

    /// After a final block: the stream begins anew, with its window.
    fn begin_anew(&mut self, output: &Inflated) {
        let history = self.history.get_or_insert_with(|| {
            let mut history = Vec::new();
            remember(&mut history, output.bytes());
            history
        });
        self.stream.restart(history);
    }
}

/// Keeps the last bytes: as many as the largest window has.
fn remember(history: &mut Vec<u8>, bytes: &[u8]) {
    let size = WindowBits::MAX.size();
    let bytes = &bytes[bytes.len().saturating_sub(size)..];
    let excess = (history.len() + bytes.len()).saturating_sub(size);
    history.drain(..excess);
    history.extend_from_slice(bytes);
}

/// What was inflated of a message.
#[derive(Default)]
pub(crate) struct Inflated {
    bytes: Vec<u8>,
    len: usize,
}

impl Inflated {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            len: 0,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// What it holds.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// What it held before it was truncated last: still there until something is inflated.
    #[inline]
    pub(crate) fn truncated(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Copies in what another holds; this one is empty.
    pub(crate) fn load(&mut self, held: &Self) {
        self.reserve(held.len);
        self.bytes[..held.len].copy_from_slice(held.bytes());
        self.len = held.len;
    }

    /// Moves out what is held, into memory of just that size.
    pub(crate) fn take(&mut self) -> Self {
        let bytes = self.bytes().to_vec();
        self.len = 0;
        Self {
            len: bytes.len(),
            bytes,
        }
    }

    /// Room behind what it holds, which together are at most `max` bytes.
    fn room(&mut self, max: usize, capacity_max: usize) -> &mut [u8] {
        if self.len == self.bytes.len() {
            self.reserve((2 * self.len).max(GROWTH_MIN).min(capacity_max));
        }
        let end = self.bytes.len().min(max).max(self.len);
        &mut self.bytes[self.len..end]
    }

    fn reserve(&mut self, size: usize) {
        if self.bytes.len() < size {
            self.bytes.reserve_exact(size - self.bytes.len());
            self.bytes.resize(size, 0);
        }
    }
}

impl fmt::Debug for Inflated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inflated({} bytes)", self.len)
    }
}

/// The memory to begin with: as much as a message commonly has.
const GROWTH_MIN: usize = 16 << 10;
