//! The start of a refusal's body ([RFC 9112 §6]).
//!
//! It is for people and logs, so the first [`BODY_SIZE_MAX`] bytes that travel are enough; a
//! chunked body is put together, for the chunks also say where it ends.
//!
//! [RFC 9112 §6]: https://www.rfc-editor.org/rfc/rfc9112#section-6

use crate::proto::handshake::error::{Field, HandshakeError};
use crate::proto::handshake::once;
use crate::proto::http::{Fields, elements};

/// The bytes of a refusal's body that a client reads: 4 KiB, more than an explanation takes.
pub(super) const BODY_SIZE_MAX: usize = 4 << 10;

/// A body that arrives little by little.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    /// How many bytes have been looked at, each once.
    scanned: usize,
    data: Vec<u8>,
}

/// How the end of the body is known (RFC 9112 §6.3), and what is yet to come.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(u64),
    Chunked(Chunk),
    UntilEnd,
}

/// Where we are in a chunked body (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug)]
enum Chunk {
    /// In the hexadecimal digits.
    Size(u64),
    /// Behind the digits, to the end of the line.
    Extension(u64),
    /// This much is left of the chunk.
    Data(u64),
    /// In the line end behind the data.
    End,
    /// Behind the last chunk, or behind what is none.
    Done,
}

impl Body {
    /// The body that the fields of a response announce.
    pub(super) fn new(status: u16, fields: Fields<'_>) -> Result<Self, HandshakeError> {
        let framing = match status {
            // RFC 9112 §6.3, item 1: these have none, whatever their fields say.
            204 | 304 => Framing::Length(0),
            _ => announced(fields)?,
        };
        Ok(Self {
            framing,
            scanned: 0,
            data: Vec::new(),
        })
    }

    /// Reads on; `bytes` are all behind the head, those of the last call and more.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(BODY_SIZE_MAX)];
        while self.scanned < bytes.len() && !self.is_done() {
            self.scanned += self.step(&bytes[self.scanned..]);
        }
    }

    /// Whether there is no more to come, or no more that we want.
    pub(super) fn is_done(&self) -> bool {
        let ended = matches!(
            self.framing,
            Framing::Length(0) | Framing::Chunked(Chunk::Done)
        );
        ended || self.scanned == BODY_SIZE_MAX
    }

    /// Waits for no more.
    pub(super) fn end(&mut self) {
        self.framing = Framing::Length(0);
    }

    /// What has come.
    pub(super) fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// Reads one byte of framing, or as much data as there is.
    fn step(&mut self, bytes: &[u8]) -> usize {
        match &mut self.framing {
            Framing::UntilEnd => {
                self.data.extend_from_slice(bytes);
                bytes.len()
            }
            Framing::Length(left) => take(&mut self.data, bytes, left),
            Framing::Chunked(chunk) => match chunk {
                Chunk::Data(left) => {
                    let n = take(&mut self.data, bytes, left);
                    if *left == 0 {
                        *chunk = Chunk::End;
                    }
                    n
                }
                _ => {
                    *chunk = chunk.after(bytes[0]);
                    1
                }
            },
        }
    }
}

impl Chunk {
    /// Where one byte of framing leads. Trailers are not waited for.
    fn after(self, byte: u8) -> Self {
        match (self, byte, char::from(byte).to_digit(16)) {
            (Self::Size(0) | Self::Extension(0), b'\n', _) => Self::Done,
            (Self::Size(size) | Self::Extension(size), b'\n', _) => Self::Data(size),
            (Self::Size(size), _, Some(digit)) => match size.checked_mul(16) {
                Some(size) => Self::Size(size | u64::from(digit)),
                None => Self::Done,
            },
            (Self::Size(size), b'\r' | b';' | b' ' | b'\t', _) => Self::Extension(size),
            (Self::Extension(_), _, _) => self,
            (Self::End, b'\r', _) => Self::End,
            (Self::End, b'\n', _) => Self::Size(0),
            _ => Self::Done,
        }
    }
}

/// Copies what is there, at most `left`, and counts it off.
fn take(data: &mut Vec<u8>, bytes: &[u8], left: &mut u64) -> usize {
    let n = usize::try_from(*left)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    data.extend_from_slice(&bytes[..n]);
    *left -= n as u64;
    n
}

/// RFC 9112 §6.3, items 3 to 8.
fn announced(fields: Fields<'_>) -> Result<Framing, HandshakeError> {
    let mut codings = fields
        .all("Transfer-Encoding")
        .flat_map(elements)
        .peekable();
    if codings.peek().is_some() {
        // Item 4: chunked if that is the last coding, else to the end of the connection.
        return Ok(match codings.last() {
            Some(last) if last.eq_ignore_ascii_case(b"chunked") => Framing::Chunked(Chunk::Size(0)),
            _ => Framing::UntilEnd,
        });
    }
    let Some(length) = once(fields, Field::ContentLength)? else {
        return Ok(Framing::UntilEnd);
    };
    let is_number = length.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(length)
        .ok()
        .filter(|_| is_number)
        .and_then(|length| length.parse().ok())
        .map(Framing::Length)
        .ok_or(HandshakeError::Invalid(Field::ContentLength))
}

#[cfg(test)]
mod tests {
    use super::{BODY_SIZE_MAX, Body, Chunk, Framing};

    /// Reads a body whole and one byte at a time: what it holds, and whether that is all.
    fn read(framing: Framing, bytes: &[u8]) -> (Vec<u8>, bool) {
        let new = || Body {
            framing,
            scanned: 0,
            data: Vec::new(),
        };
        let mut whole = new();
        whole.read(bytes);
        let mut one_at_a_time = new();
        for end in 0..=bytes.len() {
            one_at_a_time.read(&bytes[..end]);
        }
        let is_done = whole.is_done();
        assert_eq!(one_at_a_time.is_done(), is_done);
        assert_eq!(one_at_a_time.into_data(), whole.data);
        (whole.into_data(), is_done)
    }

    #[test]
    fn a_length_is_obeyed() {
        assert_eq!(read(Framing::Length(0), b"abc"), (b"".to_vec(), true));
        assert_eq!(read(Framing::Length(2), b"abc"), (b"ab".to_vec(), true));
        assert_eq!(read(Framing::Length(4), b"abc"), (b"abc".to_vec(), false));
        assert_eq!(
            read(Framing::Length(u64::MAX), b"abc"),
            (b"abc".to_vec(), false)
        );
    }

    #[test]
    fn without_a_length_only_the_limit_ends_it() {
        assert_eq!(read(Framing::UntilEnd, b"abc"), (b"abc".to_vec(), false));
        let long = vec![b'x'; BODY_SIZE_MAX + 1];
        assert!(!read(Framing::UntilEnd, &long[..BODY_SIZE_MAX - 1]).1);
        assert_eq!(read(Framing::UntilEnd, &long), (long[1..].to_vec(), true));
    }

    #[test]
    fn chunks_are_put_together() {
        for (bytes, data, is_done) in [
            ("3\r\nabc\r\n0\r\n\r\n", "abc", true),
            ("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x", "abcde", true),
            ("0A \r\n0123456789\r\n", "0123456789", false),
            ("0\r\n", "", true),
            ("3\r\na", "a", false),
            ("", "", false),
            ("x", "", true),                // no chunk
            ("3\r\nabcd\r\n", "abc", true), // longer than it says
            ("ffffffffffffffff\r\nabc", "abc", false),
            ("10000000000000000\r\nabc", "", true), // beyond 64 bits
        ] {
            let expected = (data.as_bytes().to_vec(), is_done);
            let chunked = Framing::Chunked(Chunk::Size(0));
            assert_eq!(read(chunked, bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
