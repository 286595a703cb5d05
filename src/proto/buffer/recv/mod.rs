//! The bytes received, in one region with four cursors:
//!
//! ```text
//!          message.start    message.end      parsed          filled
//!                v               v              v               v
//! +--------------+---------------+--------------+---------------+-----------+
//! |     free     |   assembled   |     dead     |   unparsed    |   spare   |
//! |              |    message    |              |               |           |
//! +--------------+---------------+--------------+---------------+-----------+
//! ```
//!
//! The payload of a fragmented message is gathered, unmasked, in the assembled part; headers and
//! control frames between its fragments leave the dead part behind. A message that needs no
//! gathering is unmasked and delivered where it lies. Every byte of the region is initialised
//! once, when the region is allocated, so that a read needs no zeroing. Reads are placed at whole
//! lines of the cache: a copy, by the kernel or by us, to anywhere else writes every line twice.
//!
//! A compressed message is gathered in a region of its own, where it is inflated to.

#[cfg(feature = "net")]
mod answer;
#[cfg(feature = "net")]
mod foreseen;
mod text;

use std::ops::Range;

use crate::proto::deflate::{Corrupt, Decompressor, Inflated};
use crate::proto::mask::MaskingKey;
use crate::proto::message::Message;
use crate::proto::utf8::Validator;

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// Among the bytes received, in one piece or assembled.
    Received,
    /// Where it was inflated to.
    Inflated,
}

/// Bytes received: the transport fills it, the protocol consumes it.
///
/// ```
/// use openline::proto::RecvBuffer;
///
/// let mut recv = RecvBuffer::new();
/// let spare = recv.spare_mut(1024);
/// spare[..2].copy_from_slice(b"\x81\x00"); // in earnest: let n = transport.read(spare)?;
/// recv.commit(2);
/// assert_eq!(recv.len(), 2);
/// ```
#[derive(Debug, Default)]
pub struct RecvBuffer {
    bytes: Vec<u8>,
    /// Where the first whole line of the cache begins in `bytes`.
    front: usize,
    message: Range<usize>,
    parsed: usize,
    filled: usize,
    /// The first `checked` bytes of the message, assembled or inflated, were checked by `text`.
    text: Validator,
    checked: usize,
    inflated: Inflated,
    /// At rest, for the next compressed message that does not build on another.
    decompressor: Option<Box<Decompressor>>,
    /// At rest, for the next message that comes in pieces.
    spare_message: Option<Box<Message>>,
    /// How many bytes the frame in progress still lacks, as its header declared.
    lacking: u64,
}

impl RecvBuffer {
    /// An empty buffer; it allocates when bytes are first asked for.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            front: 0,
            message: 0..0,
            parsed: 0,
            filled: 0,
            text: Validator::new(),
            checked: 0,
            inflated: Inflated::new(),
            decompressor: None,
            spare_message: None,
            lacking: 0,
        }
    }

    /// The bytes held: assembled or inflated, and unparsed.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.received_len() + self.inflated.len()
    }

    /// Whether nothing is held, so that the buffer may serve another connection.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of memory allocated.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len() + self.inflated.capacity()
    }

    /// How many bytes the frame in progress still lacks, as its header declared: a hint how much
    /// is worth reading at once. 0 between frames.
    #[inline]
    #[must_use]
    pub fn lacking(&self) -> u64 {
        self.lacking
    }

    /// Room for the next `size` bytes, to be filled from the front and then [committed].
    ///
    /// Makes room by moving what is held to the front or, when that is not worth it, by growing:
    /// to twice what is held or by little more than `size`, never because of a length that a peer
    /// declared.
    ///
    /// [committed]: Self::commit
    #[inline]
    pub fn spare_mut(&mut self, size: usize) -> &mut [u8] {
        if self.is_empty() {
            self.rewind();
        }
        let room = self.bytes.len() - self.filled;
        if room < size || self.lacking > room as u64 {
            self.make_room(size);
        }
        &mut self.bytes[self.filled..self.filled + size]
    }

    /// Counts the first `n` bytes of the spare room as received.
    ///
    /// # Panics
    ///
    /// If `n` is more than the room there is.
    #[inline]
    pub fn commit(&mut self, n: usize) {
        assert!(
            n <= self.bytes.len() - self.filled,
            "no more is received than there was room for"
        );
        self.filled += n;
    }

    /// Takes `bytes` as received: for tests, and for bytes that come from elsewhere.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.spare_mut(bytes.len()).copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// Moves what is held into a buffer of just that size, and leaves this one empty.
    ///
    /// A loop reads into one large buffer for all connections; a connection whose message is not
    /// complete when the read ends keeps only the bytes that came.
    #[must_use]
    pub fn take_held(&mut self) -> Self {
        let mut bytes = Vec::with_capacity(self.received_len());
        bytes.extend_from_slice(&self.bytes[self.message.clone()]);
        bytes.extend_from_slice(&self.bytes[self.parsed..self.filled]);
        let held = Self {
            front: 0,
            message: 0..self.message.len(),
            parsed: self.message.len(),
            filled: bytes.len(),
            text: self.text,
            checked: self.checked,
            lacking: self.lacking,
            inflated: self.inflated.take(),
            decompressor: None,
            spare_message: None,
            bytes,
        };
        self.rewind();
        held
    }

    /// Moves what `held` holds into this buffer, which must be empty.
    ///
    /// # Panics
    ///
    /// If this buffer holds anything.
    pub fn put_held(&mut self, held: &Self) {
        assert!(
            self.is_empty(),
            "one connection's bytes in a buffer at a time"
        );
        self.rewind();
        let received = held.received_len();
        if self.bytes.len() < LINE + received {
            self.make_room(LINE + received);
        }
        let start = self.start_of(received);
        let place = &mut self.bytes[start..][..received];
        let (message, unparsed) = place.split_at_mut(held.message.len());
        message.copy_from_slice(&held.bytes[held.message.clone()]);
        unparsed.copy_from_slice(held.unparsed());
        self.inflated.load(&held.inflated);
        self.message = start..start + held.message.len();
        self.parsed = self.message.end;
        self.filled = start + received;
        self.text = held.text;
        self.checked = held.checked;
        self.lacking = held.lacking;
    }

    /// Takes over what `other` has at rest for those that share it: where one buffer takes the
    /// place of another, as a loop's does while a connection keeps the one that it was given.
    pub fn succeed(&mut self, other: &mut Self) {
        if self.decompressor.is_none() {
            self.decompressor = other.decompressor.take();
        }
        if self.spare_message.is_none() {
            self.spare_message = other.spare_message.take();
        }
    }

    /// The bytes not yet parsed.
    #[inline]
    pub(crate) fn unparsed(&self) -> &[u8] {
        &self.bytes[self.parsed..self.filled]
    }

    /// The last `n` of them, if there are as many, and any.
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn received_last(&self, n: usize) -> Option<&[u8]> {
        let unparsed = self.bytes.get(self.parsed..self.filled)?;
        let (_, last) = unparsed.split_at_checked(unparsed.len().checked_sub(n)?)?;
        (!last.is_empty()).then_some(last)
    }

    #[inline]
    pub(crate) fn unparsed_len(&self) -> usize {
        self.filled - self.parsed
    }

    #[inline]
    pub(crate) fn set_lacking(&mut self, lacking: u64) {
        self.lacking = lacking;
    }

    /// Passes over `n` unparsed bytes; returns where they lie.
    #[inline]
    pub(crate) fn consume(&mut self, n: usize) -> Range<usize> {
        let start = self.parsed;
        self.parsed += n;
        debug_assert!(
            self.parsed <= self.filled,
            "only what was received is consumed"
        );
        start..self.parsed
    }

    /// Passes over `n` unparsed bytes and unmasks them where they lie.
    #[inline]
    pub(crate) fn unmask(&mut self, n: usize, key: Option<MaskingKey>) -> Range<usize> {
        let range = self.consume(n);
        if let Some(key) = key {
            key.apply(&mut self.bytes[range.clone()]);
        }
        range
    }

    /// Passes over a message of `n` unparsed bytes that lies there whole, behind `header` others,
    /// and unmasks it where it lies.
    #[inline(always)]
    pub(crate) fn take_binary(
        &mut self,
        header: usize,
        n: usize,
        key: Option<MaskingKey>,
    ) -> &[u8] {
        // By way of what is unparsed, of which a caller has just seen that it is long enough:
        // then nothing is compared twice.
        let unparsed = &mut self.bytes[self.parsed..self.filled];
        let payload = &mut unparsed[header..][..n];
        self.parsed += header + n;
        if let Some(key) = key {
            key.apply(payload);
        }
        payload
    }

    /// The bytes at a range that `consume`, `unmask` or `finish` returned; valid until the next
    /// call of `spare_mut`.
    #[inline]
    pub(crate) fn at(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// The same, or the bytes at a range that `finish_inflated` returned; those are valid until
    /// the next call of `inflate`.
    #[inline]
    pub(crate) fn at_region(&self, region: Region, range: Range<usize>) -> &[u8] {
        match region {
            Region::Received => self.at(range),
            Region::Inflated => self.inflated.truncated(range),
        }
    }

    /// Moves the next `n` unparsed bytes, unmasked, to the end of the assembled message.
    #[inline]
    pub(crate) fn absorb(&mut self, n: usize, key: Option<MaskingKey>) {
        let piece = self.slide(n);
        if let Some(key) = key {
            key.apply(&mut self.bytes[piece]);
        }
    }

    /// Unmasks the next `n` unparsed bytes but for the first `done`.
    pub(crate) fn unmask_ahead(&mut self, done: usize, n: usize, key: Option<MaskingKey>) {
        if let Some(key) = key {
            key.apply(&mut self.bytes[self.parsed + done..self.parsed + n]);
        }
    }

    /// Inflates the next `n` unparsed bytes until they are taken or `max` bytes are inflated;
    /// passes over those taken, and answers how many that were. Memory for more than
    /// `capacity_max` is never taken.
    pub(crate) fn inflate(
        &mut self,
        n: usize,
        decompressor: &mut Decompressor,
        max: usize,
        capacity_max: usize,
    ) -> Result<usize, Corrupt> {
        let payload = &self.bytes[self.parsed..self.parsed + n];
        let taken = decompressor.inflate(payload, &mut self.inflated, max, capacity_max)?;
        self.parsed += taken;
        Ok(taken)
    }

    /// What is inflated.
    pub(crate) fn inflated(&self) -> &Inflated {
        &self.inflated
    }

    /// Keeps the first `len` bytes of what is inflated.
    pub(crate) fn truncate_inflated(&mut self, len: usize) {
        self.inflated.truncate(len);
    }

    /// Gives away what is inflated: returns how much that is, from the front of its region.
    pub(crate) fn finish_inflated(&mut self) -> Range<usize> {
        let len = self.inflated.len();
        self.inflated.truncate(0);
        self.text = Validator::new();
        self.checked = 0;
        0..len
    }

    /// The decompressor at rest, if there is one.
    pub(crate) fn take_decompressor(&mut self) -> Option<Box<Decompressor>> {
        self.decompressor.take()
    }

    /// Takes it back.
    pub(crate) fn put_decompressor(&mut self, decompressor: Box<Decompressor>) {
        self.decompressor = Some(decompressor);
    }

    /// What a message that comes in pieces is kept as, in memory that one before it has left here.
    pub(in crate::proto) fn begin_message(&mut self, message: Message) -> Box<Message> {
        match self.spare_message.take() {
            Some(mut place) => {
                *place = message;
                place
            }
            None => Box::new(message),
        }
    }

    /// Takes it back.
    pub(in crate::proto) fn end_message(&mut self, message: Option<Box<Message>>) {
        self.spare_message = message;
    }

    /// Ends the assembled message and returns where it lies.
    #[inline]
    pub(crate) fn finish(&mut self) -> Range<usize> {
        self.text = Validator::new();
        self.checked = 0;
        std::mem::take(&mut self.message)
    }

    /// Moves the next `n` unparsed bytes to the end of the assembled message.
    #[inline]
    fn slide(&mut self, n: usize) -> Range<usize> {
        let from = self.consume(n);
        if self.message.is_empty() {
            // Nothing to join: the message starts where its first bytes lie.
            self.message = from.start..from.start;
        }
        let to = self.message.end..self.message.end + n;
        if from.start != to.start {
            self.bytes.copy_within(from, to.start);
        }
        self.message.end = to.end;
        to
    }

    /// The bytes held among those received.
    #[inline]
    fn received_len(&self) -> usize {
        // Not the range's `len`, which looks whether it runs backwards: every turn asks.
        (self.message.end - self.message.start) + self.unparsed_len()
    }

    #[inline]
    fn rewind(&mut self) {
        self.message = 0..0;
        self.parsed = self.front;
        self.filled = self.front;
        // What was checked went with its message: the next one may be another connection's.
        self.text = Validator::new();
        self.checked = 0;
    }

    #[cold]
    fn make_room(&mut self, size: usize) {
        let held = self.received_len();
        let room = self.bytes.len() - self.filled;
        let start = self.start_of(held);
        let unused = self.bytes.len() - held;
        // Moving pays when it moves no more bytes than it frees: so work stays linear. It is
        // done before it must be when the frame in progress would not fit, while little is held.
        if unused >= start + size && unused - room >= start + held.max(1) {
            // Nothing is overwritten before it is moved: as much as `start` is free or dead.
            let message = start..start + self.message.len();
            self.bytes.copy_within(self.message.clone(), message.start);
            self.bytes
                .copy_within(self.parsed..self.filled, message.end);
            self.settle(message);
            return;
        }
        if room >= size {
            return;
        }
        // What a read leaves over is moved to the front before the next: it is little, and reads
        // that are placed where the last one was find their lines in the nearest cache.
        let doubled = (2 * held).max(held + size + size / 4);
        // A frame that is nearly there needs no more than what it lacks, and a read behind it:
        // the next message of that size then finds room, wherever in the buffer it begins.
        let enough = usize::try_from(self.lacking)
            .ok()
            .filter(|lacking| *lacking > 0)
            .map_or(doubled, |lacking| {
                held.saturating_add(lacking.max(size)).saturating_add(size)
            });
        let mut bytes = vec![0; LINE + doubled.min(enough)];
        self.front = bytes.as_ptr().align_offset(LINE);
        let start = self.start_of(held);
        let message = start..start + self.message.len();
        bytes[message.clone()].copy_from_slice(&self.bytes[self.message.clone()]);
        bytes[message.end..start + held].copy_from_slice(self.unparsed());
        self.bytes = bytes;
        self.settle(message);
    }

    /// Sets the cursors after all that is held was moved: the message to here, the rest behind it.
    fn settle(&mut self, message: Range<usize>) {
        self.filled = message.end + self.unparsed_len();
        self.parsed = message.end;
        self.message = message;
    }

    /// Where `held` bytes begin that end where a line begins.
    fn start_of(&self, held: usize) -> usize {
        self.front.wrapping_sub(held) % LINE
    }
}

/// The bytes of a line of the cache.
const LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::{LINE, RecvBuffer};
    use crate::proto::mask::MaskingKey;

    #[test]
    fn a_continuation_slides_over_its_header_and_is_unmasked_on_the_way() {
        let mut recv = RecvBuffer::new();
        recv.extend(b"HHabcHHefg..");
        recv.consume(2);
        recv.absorb(3, None);
        recv.consume(2);
        let key = MaskingKey::new([1, 1, 1, 1]);
        recv.absorb(3, Some(key));
        let message = recv.finish();
        assert_eq!(recv.at(message), b"abcdgf");
        assert_eq!(recv.unparsed(), b"..");
    }

    #[test]
    fn what_is_held_survives_every_way_of_making_room() {
        for size in [1, 7, 64, 5_000] {
            let mut recv = RecvBuffer::new();
            recv.extend(b"Habc");
            recv.consume(1);
            recv.absorb(3, None);
            for round in 0..200 {
                recv.extend(b"Hd");
                recv.consume(1);
                recv.absorb(1, None);
                recv.spare_mut(size);
                assert_eq!(recv.len(), 4 + round);
            }
            assert!(recv.capacity() <= 2 * recv.len() + 2 * size.max(2) + LINE);
            let message = recv.finish();
            assert_eq!(recv.at(message.clone())[..4], *b"abcd");
            assert!(recv.at(message)[4..].iter().all(|byte| *byte == b'd'));
        }
    }

    #[test]
    fn capacity_follows_what_came_not_what_was_declared() {
        const READ: usize = 4096;
        let mut recv = RecvBuffer::new();
        recv.set_lacking(u64::MAX >> 1);
        recv.spare_mut(READ);
        assert_eq!(recv.capacity(), READ + READ / 4 + LINE);
        recv.commit(READ);
        for _ in 0..4 {
            recv.spare_mut(READ);
            recv.commit(READ);
        }
        assert_eq!(recv.capacity(), 2 * 4 * READ + LINE);
    }

    #[test]
    fn whole_reads_are_placed_at_whole_lines() {
        const READ: usize = 1024;
        for (absorbed, left) in [(0, 0), (1, 0), (0, 1), (62, 3), (700, 65), (1024, 0)] {
            let mut recv = RecvBuffer::new();
            for round in 0..40 {
                assert_eq!(
                    recv.spare_mut(READ).as_ptr().align_offset(LINE),
                    0,
                    "{round}"
                );
                recv.extend(&[round; READ]);
                if round % 7 == 0 {
                    let message = recv.finish();
                    assert!(recv.at(message).is_sorted());
                }
                recv.absorb(absorbed.min(recv.unparsed_len()), None);
                recv.consume(recv.unparsed_len().saturating_sub(left));
            }
            let mut held = recv.take_held();
            let len = held.len();
            recv.put_held(&held);
            assert_eq!(recv.len(), len);
            assert_eq!(recv.spare_mut(READ).as_ptr().align_offset(LINE), 0);
            assert_eq!(recv.unparsed(), held.unparsed());
            let (message, same) = (recv.finish(), held.finish());
            assert_eq!(recv.at(message), held.at(same));
        }
    }

    #[test]
    fn held_bytes_move_between_buffers_unchanged() {
        let mut shared = RecvBuffer::new();
        shared.extend(b"HabcHxyz");
        shared.consume(1);
        shared.absorb(3, None);
        shared.consume(1);
        let held = shared.take_held();
        assert!(shared.is_empty());
        assert_eq!(held.capacity(), 6);
        shared.put_held(&held);
        assert_eq!(shared.unparsed(), b"xyz");
        let message = shared.finish();
        assert_eq!(shared.at(message), b"abc");
    }
}
