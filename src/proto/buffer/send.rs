//! The bytes to send: copies, that wait in one piece, and between them payloads by reference.
//!
//! ```text
//!             sent      first.at       second.at     end
//!              v            v              v          v
//! +------------+------------+--------------+----------+---------+
//! |    free    |   copies   |    copies    |  copies  |  room   |
//! +------------+------------+--------------+----------+---------+
//!                            \              \
//!                             first payload  second payload
//! ```
//!
//! A payload by reference goes out when all copies before its place have.

use std::collections::VecDeque;
use std::mem;

use bytes::{Buf, Bytes};

use crate::proto::copy::{copy, copy_pieces};
use crate::proto::deflate::Compressors;
use crate::proto::frame::{EncodedHeader, FIN, FrameHeader, LEN_16, MASK, Opcode, PADDED_SIZE};
use crate::proto::mask::{MaskingKey, PIECES_MAX};
use crate::rare::rare;

/// Bytes to send: the protocol appends to it, the transport drains it.
///
/// ```
/// use openline::proto::SendBuffer;
///
/// let send = SendBuffer::new();
/// assert_eq!(send.pending(), b""); // transport.write(send.pending())?; send.advance(n);
/// ```
#[derive(Debug, Default)]
pub struct SendBuffer {
    bytes: Vec<u8>,
    sent: usize,
    end: usize,
    /// The payloads by reference, in order.
    shared: VecDeque<SharedPayload>,
    /// How many bytes wait, copies and payloads: every message asks several times.
    len: usize,
    compressors: Compressors,
}

/// A payload by reference; it is never empty.
#[derive(Debug)]
struct SharedPayload {
    /// Where among the copies its place is.
    at: usize,
    payload: Bytes,
}

impl SendBuffer {
    /// An empty buffer; it allocates when bytes are first appended.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            sent: 0,
            end: 0,
            shared: VecDeque::new(),
            len: 0,
            compressors: Compressors::new(),
        }
    }

    /// The bytes that wait to be sent, in order: all of them, unless some wait by reference
    /// ([`Connection::send_shared`]). Then it is the first piece; the others are among the
    /// [`slices`](Self::slices).
    ///
    /// [`Connection::send_shared`]: crate::proto::Connection::send_shared
    #[inline]
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        match self.shared.front() {
            None => &self.bytes[self.sent..self.end],
            Some(first) => {
                rare();
                match first.at > self.sent {
                    true => &self.bytes[self.sent..first.at],
                    false => &first.payload,
                }
            }
        }
    }

    /// The pieces that wait to be sent, in order and none of them empty: for one vectored write.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = self.sent;
        let end = self.shared.back().map_or(self.sent, |last| last.at);
        self.shared
            .iter()
            .flat_map(move |shared| {
                let copies = &self.bytes[start..shared.at];
                start = shared.at;
                [copies, &shared.payload]
            })
            .chain([&self.bytes[end..self.end]])
            .filter(|slice| !slice.is_empty())
    }

    /// How many bytes wait.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no byte waits.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes of memory allocated.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Counts the first `n` pending bytes as sent.
    ///
    /// # Panics
    ///
    /// If fewer are pending.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.len, "no more is sent than was pending");
        self.len -= n;
        match self.shared.is_empty() {
            true => self.sent += n,
            false => {
                rare();
                self.advance_shared(n);
            }
        }
        if self.len == 0 {
            self.sent = 0;
            self.end = 0;
        }
    }

    /// Moves what waits into a buffer of just that size, and leaves this one empty.
    #[must_use]
    pub fn take_pending(&mut self) -> Self {
        let bytes = self.bytes[self.sent..self.end].to_vec();
        self.shift_shared();
        self.sent = 0;
        self.end = 0;
        Self {
            sent: 0,
            end: bytes.len(),
            bytes,
            shared: mem::take(&mut self.shared),
            len: mem::take(&mut self.len),
            compressors: Compressors::new(),
        }
    }

    /// Takes over the compressors of `other`: where one buffer takes the place of another.
    pub fn succeed(&mut self, other: &mut Self) {
        self.compressors.succeed(&mut other.compressors);
    }

    /// What the connections that send by this buffer compress with, as far as they share it.
    pub fn compressors(&mut self) -> &mut Compressors {
        &mut self.compressors
    }

    /// Makes room for `n` bytes behind those that wait, for the caller to fill.
    #[inline]
    pub(crate) fn append(&mut self, n: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < n {
            self.make_room(n);
        }
        let start = self.end;
        self.end += n;
        self.len += n;
        &mut self.bytes[start..self.end]
    }

    /// Appends a header and room for `n` bytes of payload, for the caller to fill.
    ///
    /// The header is copied with its padding, whatever its size: a copy whose length
    /// the compiler knows costs less than one whose length it must look up.
    #[inline(always)]
    pub(crate) fn append_frame(&mut self, header: &EncodedHeader, n: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < PADDED_SIZE + n {
            self.make_room(PADDED_SIZE + n);
        }
        let frame = &mut self.bytes[self.end..];
        frame[..PADDED_SIZE].copy_from_slice(header.padded());
        self.end += header.size() + n;
        self.len += header.size() + n;
        &mut frame[header.size()..][..n]
    }

    /// Appends a server's message in one frame. The places of a short one are looked up once.
    #[inline(always)]
    pub(crate) fn push_message(&mut self, opcode: Opcode, payload: &[u8]) {
        let n = payload.len();
        if n < PIECES_MAX
            && let Ok(len) = u8::try_from(n)
            && let Some(room) = self.bytes[self.end..].first_chunk_mut::<SHORT_FRAME_MAX>()
        {
            [room[0], room[1]] = [FIN | opcode as u8, len];
            copy_pieces(payload, &mut room[2..2 + n]);
            self.end += 2 + n;
            self.len += 2 + n;
            return;
        }
        self.push_medium_message(opcode, payload);
    }

    /// Appends a client's message in one frame, masked with `key`.
    #[inline(always)]
    pub(crate) fn push_masked(&mut self, opcode: Opcode, key: MaskingKey, payload: &[u8]) {
        let n = payload.len();
        if n < PIECES_MAX
            && let Ok(len) = u8::try_from(n)
            && let Some(room) = self.bytes[self.end..].first_chunk_mut::<SHORT_FRAME_MAX>()
        {
            [room[0], room[1]] = [FIN | opcode as u8, MASK | len];
            room[2..6].copy_from_slice(&key.to_bytes());
            key.copy_pieces(payload, &mut room[6..6 + n]);
            self.end += 6 + n;
            self.len += 6 + n;
            return;
        }
        self.push_medium_masked(opcode, key, payload);
    }

    /// Appends a message whose length takes 7 or 16 bits, for which there most often is room.
    #[inline(never)]
    fn push_medium_message(&mut self, opcode: Opcode, payload: &[u8]) {
        match self.medium_frame(opcode, 0, payload.len()) {
            Some(place) => copy(payload, place),
            None => self.push_long_message(opcode, None, payload),
        }
    }

    /// The same, masked.
    #[inline(never)]
    fn push_medium_masked(&mut self, opcode: Opcode, key: MaskingKey, payload: &[u8]) {
        match self.medium_frame(opcode, MASK, 4 + payload.len()) {
            Some(place) => {
                let (place_of_key, place) = place.split_at_mut(4);
                place_of_key.copy_from_slice(&key.to_bytes());
                key.copy(payload, place);
            }
            None => self.push_long_message(opcode, Some(key), payload),
        }
    }

    /// Appends a header up to its length, and room for the key and the payload, `n` bytes in all, if
    /// the length takes 7 or 16 bits and there is room.
    #[inline(always)]
    fn medium_frame(&mut self, opcode: Opcode, mask: u8, n: usize) -> Option<&mut [u8]> {
        let key_size = if mask == 0 { 0 } else { 4 };
        let len = u16::try_from(n - key_size).ok()?;
        let [high, low] = len.to_be_bytes();
        let rest = &mut self.bytes[self.end..];
        let (size, place) = if len < u16::from(LEN_16) {
            let (header, place) = rest.split_first_chunk_mut()?;
            let place = place.get_mut(..n)?;
            *header = [FIN | opcode as u8, mask | low];
            (2 + n, place)
        } else {
            let (header, place) = rest.split_first_chunk_mut()?;
            let place = place.get_mut(..n)?;
            *header = [FIN | opcode as u8, mask | LEN_16, high, low];
            (4 + n, place)
        };
        self.end += size;
        self.len += size;
        Some(place)
    }

    #[cold]
    #[inline(never)]
    fn push_long_message(&mut self, opcode: Opcode, key: Option<MaskingKey>, payload: &[u8]) {
        let header = FrameHeader {
            mask: key,
            ..FrameHeader::of_message(opcode, payload.len())
        };
        let place = self.append_frame(&header.encode(), payload.len());
        match key {
            Some(key) => key.copy(payload, place),
            None => copy(payload, place),
        }
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        copy(bytes, self.append(bytes.len()));
    }

    /// Appends what waits in another, by reference what waits there so.
    #[cfg(any(feature = "net", test))]
    pub(crate) fn load(&mut self, held: &Self) {
        let mut start = held.sent;
        for shared in &held.shared {
            self.extend(&held.bytes[start..shared.at]);
            self.share(shared.payload.clone());
            start = shared.at;
        }
        self.extend(&held.bytes[start..held.end]);
    }

    /// Appends `payload`, which is not empty, by reference.
    pub(crate) fn share(&mut self, payload: Bytes) {
        self.len += payload.len();
        self.shared.push_back(SharedPayload {
            at: self.end,
            payload,
        });
    }

    #[cold]
    fn advance_shared(&mut self, mut n: usize) {
        while let Some(first) = self.shared.front_mut() {
            let copies = n.min(first.at - self.sent);
            self.sent += copies;
            n -= copies;
            if n < first.payload.len() {
                first.payload.advance(n);
                return;
            }
            n -= first.payload.len();
            self.shared.pop_front();
        }
        self.sent += n;
    }

    /// Moves the places of the payloads by reference as the copies are moved to the front.
    fn shift_shared(&mut self) {
        for shared in &mut self.shared {
            shared.at -= self.sent;
        }
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self, n: usize) {
        let pending = self.end - self.sent;
        self.shift_shared();
        if self.bytes.len() - pending >= n && self.sent >= pending {
            self.bytes.copy_within(self.sent..self.end, 0);
        } else {
            let mut bytes = vec![0; (2 * self.bytes.len()).max(pending + n)];
            bytes[..pending].copy_from_slice(&self.bytes[self.sent..self.end]);
            self.bytes = bytes;
        }
        self.sent = 0;
        self.end = pending;
    }
}

/// The bytes of a frame whose payload goes in pieces, at most: it has a header, a key, and less than
/// [`PIECES_MAX`] of payload.
const SHORT_FRAME_MAX: usize = 2 + 4 + PIECES_MAX - 1;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::SendBuffer;

    #[test]
    fn pending_bytes_keep_their_order_through_growth_and_partial_writes() {
        let mut send = SendBuffer::new();
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for i in 0..250_u8 {
            let bytes = [i; 3];
            expected.extend_from_slice(&bytes);
            match i % 7 {
                // All that waits: in one piece, unless some of it waits by reference.
                0 => {
                    send.share(Bytes::copy_from_slice(&bytes));
                    assert_eq!(send.slices().map(<[u8]>::len).sum::<usize>(), send.len());
                }
                3 => {
                    let held = send.take_pending();
                    assert!(send.is_empty());
                    send.load(&held);
                    send.extend(&bytes);
                }
                _ => send.extend(&bytes),
            }
            let n = usize::from(i % 9).min(send.len());
            let all: Vec<u8> = send.slices().flatten().copied().collect();
            assert!(all.starts_with(send.pending()));
            sent.extend_from_slice(&all[..n]);
            send.advance(n);
        }
        while !send.is_empty() {
            let n = send.pending().len();
            sent.extend_from_slice(send.pending());
            send.advance(n);
        }
        assert_eq!(sent, expected);
        assert_eq!(send.slices().count(), 0);
    }
}
