//! The buffers of a loop: one pair that every connection works in, and what is kept between turns.
//!
//! A connection that has nothing half-received and nothing half-sent holds no buffer. A small
//! remainder is kept in bytes of just its size; a large one keeps the buffer that it lies in, and
//! the loop takes another: from a pool, since the first touch of fresh memory costs more than
//! anything that is done to a message in it. What lay in the pool unused for a while goes back to
//! the system.

use std::mem;
use std::time::{Duration, Instant};

use crate::net::transport::Scratch;
use crate::proto::{Kind, RecvBuffer, SendBuffer};
use crate::rare::rare;

/// How much is read at once: it fits a first-level cache, with room for the replies.
pub(super) const READ_SIZE: usize = 32 << 10;
/// How much is read at once while a large message is coming in.
pub(super) const READ_SIZE_MAX: usize = 256 << 10;
/// A remainder of this many bytes keeps its buffer; a smaller one is copied.
const LARGE: usize = 16 << 10;
/// The bytes that each pool may hold: a few large messages.
const POOL_SIZE_MAX: usize = 16 << 20;
/// How long what is not used is kept for another rush: longer than the pauses within one.
const REST: Duration = Duration::from_secs(10);

/// The working pair, empty but while a connection is being handled.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) recv: RecvBuffer,
    pub(super) send: SendBuffer,
    /// What transports work in.
    pub(super) scratch: Scratch,
    /// What is to be answered next.
    pub(super) answer: Option<Answer>,
    spare_recv: Pool<RecvBuffer>,
    spare_send: Pool<SendBuffer>,
    /// When to look for what is not used, if there is anything to give back.
    rest_at: Option<Instant>,
}

/// A message that is answered by itself, and is not lent any more.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) kind: Kind,
    pub(super) address: usize,
    pub(super) len: usize,
}

impl Answer {
    pub(super) fn new(kind: Kind, message: &[u8]) -> Self {
        Self {
            kind,
            address: message.as_ptr().addr(),
            len: message.len(),
        }
    }
}

/// What a connection keeps between turns, if anything.
#[derive(Debug, Default)]
pub(super) struct Held {
    recv: RecvBuffer,
    send: SendBuffer,
}

impl Held {
    /// The bytes that wait to be sent.
    pub(super) fn queued(&self) -> usize {
        self.send.len()
    }
}

impl Buffers {
    /// Lays what a connection kept into the working pair; answers whether that is anything.
    #[inline]
    pub(super) fn lend(&mut self, held: &mut Option<Box<Held>>) -> bool {
        let Some(held) = held else {
            return false;
        };
        rare();
        self.lend_held(held);
        true
    }

    #[inline(never)]
    fn lend_held(&mut self, held: &mut Held) {
        lend(&mut self.recv, &mut held.recv);
        lend(&mut self.send, &mut held.send);
    }

    /// Whether anything is left in the working pair.
    #[inline]
    pub(super) fn are_in_use(&self) -> bool {
        !self.recv.is_empty() || !self.send.is_empty()
    }

    /// Empties the working pair: what is left in it, the connection keeps.
    pub(super) fn settle(&mut self, held: &mut Option<Box<Held>>) {
        let kept = held.get_or_insert_default();
        settle(&mut self.recv, &mut kept.recv, &mut self.spare_recv);
        settle(&mut self.send, &mut kept.send, &mut self.spare_send);
        if kept.recv.is_empty() && kept.send.is_empty() {
            *held = None;
        }
    }

    /// Throws away what is received, assembled or not; returns how much that was.
    pub(super) fn discard_received(&mut self) -> usize {
        let discarded = self.recv.len();
        self.recv.finish();
        self.recv.finish_inflated();
        self.recv.consume(self.recv.unparsed_len());
        discarded
    }

    /// When [`rest`](Self::rest) has something to do.
    #[inline]
    pub(super) fn rest_at(&self) -> Option<Instant> {
        self.rest_at
    }

    /// Gives back what has not been used for a while; the working pair is empty.
    #[inline]
    pub(super) fn rest(&mut self, now: Instant) {
        match self.rest_at {
            None if self.has_spare() => self.rest_at = Some(now + REST),
            Some(at) if at <= now => self.trim(now),
            _ => {}
        }
    }

    fn has_spare(&self) -> bool {
        let is_large = self.recv.capacity().max(self.send.capacity()) > READ_SIZE_MAX;
        is_large || self.spare_recv.size + self.spare_send.size > 0
    }

    #[cold]
    fn trim(&mut self, now: Instant) {
        trim(&mut self.recv, &mut self.spare_recv);
        trim(&mut self.send, &mut self.spare_send);
        self.rest_at = self.has_spare().then(|| now + REST);
    }

    /// Throws away all that the working pair holds.
    pub(super) fn discard(&mut self) {
        self.discard_received();
        self.send.advance(self.send.len());
    }
}

/// Buffers that wait to be used again.
#[derive(Debug, Default)]
struct Pool<B> {
    buffers: Vec<B>,
    /// The bytes of them all.
    size: usize,
    /// How many there were at least since the pool was last trimmed: so many were not used.
    least: usize,
}

impl<B: Buffer> Pool<B> {
    fn take(&mut self) -> B {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.size -= buffer.capacity();
        self.least = self.least.min(self.buffers.len());
        buffer
    }

    /// Frees those that were not used since this was last done.
    fn trim(&mut self) {
        let unused = self.buffers.drain(..self.least);
        self.size -= unused.map(|buffer| buffer.capacity()).sum::<usize>();
        self.buffers.shrink_to_fit();
        self.least = self.buffers.len();
    }

    fn put(&mut self, buffer: B) {
        if buffer.capacity() >= LARGE && self.size + buffer.capacity() <= POOL_SIZE_MAX {
            self.size += buffer.capacity();
            self.buffers.push(buffer);
        }
    }
}

/// Frees what is not used of a pool, and a working buffer that a large message has left behind.
fn trim<B: Buffer>(working: &mut B, spare: &mut Pool<B>) {
    spare.trim();
    if working.capacity() > READ_SIZE_MAX {
        let mut large = mem::take(working);
        working.succeed(&mut large);
    }
}

/// A large buffer trades places with the working one; a small one is copied.
fn lend<B: Buffer>(working: &mut B, held: &mut B) {
    if held.len() >= LARGE {
        mem::swap(working, held);
        working.succeed(held);
    } else if held.len() > 0 {
        working.load(held);
        *held = B::default();
    }
}

/// Undoes [`lend`]: `held` is nothing now, or the loop's own buffer, which waits to be back.
fn settle<B: Buffer>(working: &mut B, held: &mut B, spare: &mut Pool<B>) {
    let waits = held.capacity() > 0;
    if working.len() >= LARGE {
        let own = match waits {
            true => mem::take(held),
            false => spare.take(),
        };
        *held = mem::replace(working, own);
        working.succeed(held);
        return;
    }
    let remainder = match working.len() {
        0 => B::default(),
        _ => working.take_remainder(),
    };
    let own = mem::replace(held, remainder);
    if waits {
        let mut emptied = mem::replace(working, own);
        working.succeed(&mut emptied);
        spare.put(emptied);
    }
}

/// What the two kinds of buffer have in common here.
trait Buffer: Default {
    fn len(&self) -> usize;
    fn capacity(&self) -> usize;
    /// Copies in what another holds; this one is empty.
    fn load(&mut self, held: &Self);
    /// Moves out what is held, into a buffer of just that size.
    fn take_remainder(&mut self) -> Self;
    /// Takes over the codecs that another has for all connections: those stay with the loop.
    fn succeed(&mut self, other: &mut Self);
}

impl Buffer for RecvBuffer {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn capacity(&self) -> usize {
        Self::capacity(self)
    }

    fn load(&mut self, held: &Self) {
        // Room for one read behind what is held, lest each remainder, a little longer than the
        // last, has the buffer grow by that little.
        self.spare_mut(LARGE + READ_SIZE);
        self.put_held(held);
    }

    fn take_remainder(&mut self) -> Self {
        self.take_held()
    }

    fn succeed(&mut self, other: &mut Self) {
        Self::succeed(self, other);
    }
}

impl Buffer for SendBuffer {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn capacity(&self) -> usize {
        Self::capacity(self)
    }

    fn load(&mut self, held: &Self) {
        Self::load(self, held);
    }

    fn take_remainder(&mut self) -> Self {
        self.take_pending()
    }

    fn succeed(&mut self, other: &mut Self) {
        Self::succeed(self, other);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Buffers, LARGE, POOL_SIZE_MAX, REST};

    #[test]
    fn a_connection_that_has_nothing_left_over_holds_nothing() {
        let (mut buffers, mut held) = (Buffers::default(), None);
        buffers.lend(&mut held);
        buffers.recv.extend(b"abc");
        buffers.send.extend(b"abc");
        buffers.discard();
        buffers.settle(&mut held);
        assert!(held.is_none());
    }

    #[test]
    fn remainders_of_every_size_come_back_whole_and_leave_the_working_pair_empty() {
        for size in [1, LARGE - 1, LARGE, 5 * LARGE] {
            let (mut buffers, mut held) = (Buffers::default(), None);
            let mut bytes = Vec::new();
            for round in 0..3_u8 {
                buffers.lend(&mut held);
                assert_eq!(buffers.recv.unparsed(), bytes);
                assert_eq!(buffers.send.pending(), bytes);
                bytes.extend(vec![round; size]);
                buffers.recv.extend(&vec![round; size]);
                buffers.send.extend(&vec![round; size]);
                buffers.settle(&mut held);
                assert!(buffers.recv.is_empty() && buffers.send.is_empty());
                let kept = held.as_ref().map(|held| held.send.len());
                assert_eq!(kept, Some(bytes.len()));
            }
        }
    }

    #[test]
    fn large_buffers_are_used_again_within_bounds() {
        let mut buffers = Buffers::default();
        let mut all = Vec::new();
        for _ in 0..40 {
            let mut held = None;
            buffers.recv.extend(&vec![1; 1 << 20]);
            buffers.settle(&mut held);
            all.push(held);
        }
        for mut held in all {
            buffers.lend(&mut held);
            buffers.discard();
            buffers.settle(&mut held);
        }
        let pooled: usize = buffers
            .spare_recv
            .buffers
            .iter()
            .map(|b| b.capacity())
            .sum();
        assert_eq!(pooled, buffers.spare_recv.size);
        assert!((1 << 20..=POOL_SIZE_MAX).contains(&pooled), "{pooled}");

        // One of them is used once more; then none is.
        let mut now = Instant::now();
        buffers.rest(now);
        for left in [buffers.spare_recv.buffers.len(), 1, 0] {
            assert_eq!(buffers.rest_at(), Some(now + REST));
            if left == 1 {
                let used = buffers.spare_recv.take();
                buffers.spare_recv.put(used);
            }
            buffers.rest(now + REST / 2);
            now += REST;
            buffers.rest(now);
            assert_eq!(buffers.spare_recv.buffers.len(), left);
        }
        assert_eq!(buffers.spare_recv.size + buffers.recv.capacity(), 0);
        assert_eq!(buffers.rest_at(), None);
    }
}
