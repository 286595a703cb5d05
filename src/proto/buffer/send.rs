//! The bytes to send, those that wait in one piece.

use crate::proto::copy::copy;
use crate::proto::deflate::Compressors;
use crate::proto::frame::{EncodedHeader, PADDED_SIZE};

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
    compressors: Compressors,
}

impl SendBuffer {
    /// An empty buffer; it allocates when bytes are first appended.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            sent: 0,
            end: 0,
            compressors: Compressors::new(),
        }
    }

    /// The bytes that wait to be sent, in order.
    #[inline]
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.sent..self.end]
    }

    /// How many bytes wait.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.sent
    }

    /// Whether no byte waits.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent == self.end
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
        assert!(n <= self.len(), "no more is sent than was pending");
        self.sent += n;
        if self.sent == self.end {
            self.sent = 0;
            self.end = 0;
        }
    }

    /// Moves what waits into a buffer of just that size, and leaves this one empty.
    #[must_use]
    pub fn take_pending(&mut self) -> Self {
        let bytes = self.pending().to_vec();
        self.sent = 0;
        self.end = 0;
        Self {
            sent: 0,
            end: bytes.len(),
            bytes,
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
        &mut self.bytes[start..self.end]
    }

    /// Appends a header and room for `n` bytes of payload, for the caller to fill.
    ///
    /// The header is copied with its padding, whatever its size: a copy whose length
    /// the compiler knows costs less than one whose length it must look up.
    #[inline]
    pub(crate) fn append_frame(&mut self, header: &EncodedHeader, n: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < PADDED_SIZE + n {
            self.make_room(PADDED_SIZE + n);
        }
        let frame = &mut self.bytes[self.end..];
        frame[..PADDED_SIZE].copy_from_slice(header.padded());
        self.end += header.size() + n;
        &mut frame[header.size()..][..n]
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        copy(bytes, self.append(bytes.len()));
    }

    #[cold]
    fn make_room(&mut self, n: usize) {
        let pending = self.len();
        if self.bytes.len() - pending >= n && self.sent >= pending {
            self.bytes.copy_within(self.sent..self.end, 0);
        } else {
            let mut bytes = vec![0; (2 * self.bytes.len()).max(pending + n)];
            bytes[..pending].copy_from_slice(self.pending());
            self.bytes = bytes;
        }
        self.sent = 0;
        self.end = pending;
    }
}

#[cfg(test)]
mod tests {
    use super::SendBuffer;

    #[test]
    fn pending_bytes_keep_their_order_through_growth_and_partial_writes() {
        let mut send = SendBuffer::new();
        let mut sent = Vec::new();
        for i in 0..200_u8 {
            send.extend(&[i; 3]);
            let n = usize::from(i % 5).min(send.len());
            sent.extend_from_slice(&send.pending()[..n]);
            send.advance(n);
        }
        sent.extend_from_slice(send.pending());
        let expected: Vec<u8> = (0..200).flat_map(|i| [i; 3]).collect();
        assert_eq!(sent, expected);
    }
}
