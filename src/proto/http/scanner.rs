//! Where a head ends ([RFC 9112 §2.2]), found in bytes that arrive little by little.
//!
//! Each byte is looked at once, however the bytes arrive. What lenient parsers take and strict
//! ones behind them read differently is refused: bare line ends, folded lines, control
//! characters.
//!
//! [RFC 9112 §2.2]: https://www.rfc-editor.org/rfc/rfc9112#section-2.2

use std::error::Error;
use std::fmt;

/// Why the head of a request or response cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// More bytes than our limit.
    TooLarge {
        /// The limit in force,
        /// [`Config::handshake_size_max`](crate::proto::Config::handshake_size_max).
        max: usize,
    },
    /// More header fields than our limit.
    TooManyFields {
        /// The limit in force, [`Config::headers_max`](crate::proto::Config::headers_max).
        max: usize,
    },
    /// A carriage return without a line feed, or a line feed without a carriage return.
    BareLineEnd,
    /// A control character: NUL, DEL or any other but the tab.
    ControlCharacter,
    /// A line that begins with a blank, to continue the one before it.
    FoldedLine,
    /// A first line that is not that of a request, or of a response.
    StartLine,
    /// A header field whose name is not a token, or that has no colon behind it.
    FieldName,
    /// A version of HTTP that is not `HTTP/1.1`.
    Version,
}

impl HeadError {
    /// The document and section that was broken, or that lets us refuse.
    #[must_use]
    pub const fn section(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::TooManyFields { .. } => "RFC 6455 §10.4",
            Self::BareLineEnd => "RFC 9112 §2.2",
            Self::Version => "RFC 6455 §4",
            Self::ControlCharacter => "RFC 9110 §5.5",
            Self::FoldedLine => "RFC 9112 §5.2",
            Self::StartLine => "RFC 9112 §2.1",
            Self::FieldName => "RFC 9112 §5.1",
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { max } => write!(f, "the head is larger than {max} bytes"),
            Self::TooManyFields { max } => write!(f, "there are more than {max} header fields"),
            Self::BareLineEnd => f.write_str("a line does not end in CR LF"),
            Self::ControlCharacter => f.write_str("the head has a control character"),
            Self::FoldedLine => f.write_str("a header field is folded over lines"),
            Self::StartLine => f.write_str("the first line is malformed"),
            Self::FieldName => f.write_str("the name of a header field is malformed"),
            Self::Version => f.write_str("the version of HTTP is not 1.1"),
        }
    }
}

impl Error for HeadError {}

/// Finds the end of a head in bytes that arrive little by little.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadScanner {
    /// How many bytes have been looked at, each once.
    scanned: usize,
    /// The lines that are complete, the start line among them.
    lines: usize,
    line_len: usize,
    after_cr: bool,
}

impl HeadScanner {
    /// The length of the head that `bytes` begins with, its empty line included; `None` when
    /// its end is yet to come. `bytes` are those of the last call, and more.
    pub(crate) fn scan(
        &mut self,
        bytes: &[u8],
        size_max: usize,
        fields_max: usize,
    ) -> Result<Option<usize>, HeadError> {
        while let Some(&byte) = bytes.get(self.scanned) {
            // Our limits: tested at each byte, so that the split of the bytes changes nothing.
            if self.scanned >= size_max {
                return Err(HeadError::TooLarge { max: size_max });
            }
            self.scanned += 1;
            match byte {
                b'\n' if self.after_cr => {
                    self.after_cr = false;
                    match (self.lines, self.line_len) {
                        // RFC 9112 §2.2 would have us pass over an empty line before a request,
                        // for the sake of clients that send one after a body. Nothing comes
                        // before an opening handshake.
                        (0, 0) => return Err(HeadError::StartLine),
                        (_, 0) => return Ok(Some(self.scanned)),
                        _ => self.lines += 1,
                    }
                    if self.lines - 1 > fields_max {
                        return Err(HeadError::TooManyFields { max: fields_max });
                    }
                    self.line_len = 0;
                }
                // RFC 9112 §2.2: a bare CR is invalid; a bare LF may be taken for a line end,
                // or, as here, not.
                _ if self.after_cr => return Err(HeadError::BareLineEnd),
                b'\n' => return Err(HeadError::BareLineEnd),
                b'\r' => self.after_cr = true,
                // RFC 9112 §5.2: a server refuses folded lines.
                b' ' | b'\t' if self.line_len == 0 => {
                    return Err(match self.lines {
                        0 => HeadError::StartLine,
                        _ => HeadError::FoldedLine,
                    });
                }
                // RFC 9110 §5.5: NUL is dangerous, the others invalid.
                0..=8 | 11..=31 | 127 => return Err(HeadError::ControlCharacter),
                _ => self.line_len += 1,
            }
        }
        Ok(None)
    }

    /// How many header fields the head that was found has.
    pub(super) fn fields(&self) -> usize {
        self.lines.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::{HeadError, HeadScanner};

    /// Scans the bytes whole and one at a time, which must be the same.
    fn scan(bytes: &[u8], size_max: usize, fields_max: usize) -> Result<Option<usize>, HeadError> {
        let whole = HeadScanner::default().scan(bytes, size_max, fields_max);
        let mut scanner = HeadScanner::default();
        let mut one_at_a_time = Ok(None);
        for end in 0..=bytes.len() {
            one_at_a_time = scanner.scan(&bytes[..end], size_max, fields_max);
            if one_at_a_time != Ok(None) {
                break;
            }
        }
        assert_eq!(one_at_a_time, whole, "{:?}", bytes.escape_ascii());
        whole
    }

    #[test]
    fn the_head_ends_at_the_first_empty_line() {
        let none = 1 << 10;
        assert_eq!(scan(b"GET / HTTP/1.1\r\n\r\n", none, 0), Ok(Some(18)));
        assert_eq!(scan(b"GET / HTTP/1.1\r\n\r\n\0\n\r", none, 0), Ok(Some(18)));
        assert_eq!(scan(b"G\r\nA: b\r\n\r\nX\r\n\r\n", none, 1), Ok(Some(11)));
        assert_eq!(scan(b"G\r\nA: b\r\n\r", none, 1), Ok(None));
        assert_eq!(scan(b"", none, 1), Ok(None));
    }

    #[test]
    fn what_lenient_parsers_take_is_refused() {
        for (bytes, error) in [
            (&b"G\nA: b\r\n\r\n"[..], HeadError::BareLineEnd),
            (b"G\r\nA: b\n\n", HeadError::BareLineEnd),
            (b"G\r\nA: b\rC: d\r\n\r\n", HeadError::BareLineEnd),
            (b"G\r\nA: b\r\r\n\r\n", HeadError::BareLineEnd),
            (b"G\r\nA: b\r\n\rX", HeadError::BareLineEnd),
            (b"\n", HeadError::BareLineEnd),
            (b"G\r\nA: b\r\n c\r\n\r\n", HeadError::FoldedLine),
            (b"G\r\nA: b\r\n\tc\r\n\r\n", HeadError::FoldedLine),
            (b"G\r\n A: b\r\n\r\n", HeadError::FoldedLine),
            (b" G\r\n\r\n", HeadError::StartLine),
            (b"\r\nG\r\n\r\n", HeadError::StartLine),
            (b"\r\n\r\n", HeadError::StartLine),
            (b"G\0", HeadError::ControlCharacter),
            (b"G\r\nA: \x0b", HeadError::ControlCharacter),
            (b"G\r\nA: \x7f", HeadError::ControlCharacter),
            (b"\x16\x03\x01", HeadError::ControlCharacter), // TLS, to a port without it
        ] {
            assert_eq!(
                scan(bytes, 1 << 10, 10),
                Err(error),
                "{:?}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn the_size_at_its_limit_and_around_it() {
        let head = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
        let too_large = |max| Err(HeadError::TooLarge { max });
        assert_eq!(scan(head, head.len() + 1, 1), Ok(Some(head.len())));
        assert_eq!(scan(head, head.len(), 1), Ok(Some(head.len())));
        assert_eq!(scan(head, head.len() - 1, 1), too_large(head.len() - 1));
        // One endless line fails as soon as it is too long, and not before.
        assert_eq!(scan(&[b'x'; 100], 100, 1), Ok(None));
        assert_eq!(scan(&[b'x'; 101], 100, 1), too_large(100));
    }

    #[test]
    fn the_number_of_fields_at_its_limit_and_around_it() {
        let head = |fields| format!("G\r\n{}\r\n", "A: b\r\n".repeat(fields));
        let len = |fields| Ok(Some(head(fields).len()));
        assert_eq!(scan(head(9).as_bytes(), 1 << 10, 10), len(9));
        assert_eq!(scan(head(10).as_bytes(), 1 << 10, 10), len(10));
        let too_many = Err(HeadError::TooManyFields { max: 10 });
        assert_eq!(scan(head(11).as_bytes(), 1 << 10, 10), too_many);
    }

    #[test]
    fn no_byte_is_looked_at_twice() {
        let head = [&b"GET / HTTP/1.1\r\n"[..], &b"A: b\r\n".repeat(2_000)].concat();
        let mut scanner = HeadScanner::default();
        let mut bytes = Vec::new();
        for byte in head {
            // What was looked at is put out of the way of whoever looks again.
            bytes.fill(0);
            bytes.push(byte);
            assert_eq!(scanner.scan(&bytes, 1 << 20, 2_000), Ok(None));
            assert_eq!(scanner.scanned, bytes.len());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_scanned_alike_whole_and_one_at_a_time(
            lines in proptest::collection::vec("[ \t:A-c\r\n\0\u{e9}]{0,8}(\r\n)?", 0..8),
            size_max in 0..60_usize,
            fields_max in 0..5_usize,
        ) {
            let _ = scan(lines.concat().as_bytes(), size_max, fields_max);
        }
    }
}
