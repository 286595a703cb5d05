//! A head of the opening handshake as it came ([RFC 6455 §4], RFC 9112 §2).
//!
//! Line by line, with what each means; broken ones too. What the strict half of the crate would
//! refuse is a violation here, and the reading goes on.
//!
//! [RFC 6455 §4]: https://www.rfc-editor.org/rfc/rfc6455#section-4

use std::borrow::Cow;

use bytes::Bytes;

use crate::inspect::violation::{Fault, Violation};
use crate::proto::{HandshakeError, HeadError, Role, is_token};

/// A request of a client, or a response of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Who sent it: a client its request, a server its response.
    pub sender: Role,
    /// Where its first byte lies in the direction's stream.
    pub offset: u64,
    /// All of it, the empty line at its end included.
    pub bytes: Bytes,
    /// Its lines, without the empty one: first the start line, then the header fields.
    pub lines: Vec<HeadLine>,
    /// Whether the empty line came.
    pub is_whole: bool,
    /// Every rule that it breaks, in the order of the offsets.
    pub violations: Vec<Violation>,
}

/// A line of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadLine {
    /// Where its first byte lies in the direction's stream.
    pub offset: u64,
    /// The line without its end.
    pub bytes: Bytes,
    /// What it means for the handshake, if it means anything.
    pub note: Option<Cow<'static, str>>,
}

impl HeadLine {
    /// The name and the value of a header field: what stands before and behind the first colon,
    /// blanks around the value taken off.
    #[must_use]
    pub fn field(&self) -> Option<(&[u8], &[u8])> {
        let colon = self.bytes.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&self.bytes[..colon], &self.bytes[colon + 1..]);
        (!is_blank(*name.first()?)).then(|| (name, trim(value)))
    }
}

impl Head {
    /// Reads the bytes of a head, or as many as came of it.
    pub(super) fn new(sender: Role, offset: u64, bytes: Bytes, is_whole: bool) -> Self {
        let mut head = Self {
            sender,
            offset,
            bytes,
            lines: Vec::new(),
            is_whole,
            violations: Vec::new(),
        };
        head.read();
        head
    }

    /// The parts of the start line between its first two spaces and behind them.
    pub(super) fn start_line(&self) -> [&[u8]; 3] {
        let line = self.lines.first().map_or(&b""[..], |line| &line.bytes);
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        std::array::from_fn(|_| parts.next().unwrap_or_default())
    }

    /// The status of a response, 100 to 999.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let [version, status, _] = self.start_line();
        let status = std::str::from_utf8(status).ok()?;
        let is_status = self.sender == Role::Server
            && version.starts_with(b"HTTP/")
            && status.len() == 3
            && status.bytes().all(|byte| byte.is_ascii_digit());
        status
            .parse()
            .ok()
            .filter(|status| is_status && *status >= 100)
    }

    /// The target of a request.
    #[must_use]
    pub fn target(&self) -> Option<&[u8]> {
        let [_, target, version] = self.start_line();
        (self.sender == Role::Client && !version.is_empty()).then_some(target)
    }

    /// The header fields: which line, name and value.
    pub(super) fn fields(&self) -> impl Iterator<Item = (usize, &[u8], &[u8])> {
        let lines = self.lines.iter().enumerate().skip(1);
        lines.filter_map(|(at, line)| line.field().map(|(name, value)| (at, name, value)))
    }

    /// The lines and values of every field of this name, in any case.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = (usize, &[u8])> {
        self.fields()
            .filter(move |(_, found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(at, _, value)| (at, value))
    }

    /// The value of the first field of this name, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next().map(|(_, value)| value)
    }

    /// Whether no rule is broken.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        self.is_whole && self.violations.is_empty()
    }

    pub(super) fn blame(
        &mut self,
        offset: u64,
        error: HandshakeError,
        expected: impl Into<Cow<'static, str>>,
    ) {
        let violation = Violation {
            offset,
            fault: Fault::Handshake(error),
            expected: expected.into(),
        };
        self.violations.push(violation);
        self.violations.sort_by_key(|violation| violation.offset);
    }

    /// Splits the bytes into lines, and names what is wrong with them as lines.
    fn read(&mut self) {
        let bytes = self.bytes.clone();
        let mut start = 0;
        while start < bytes.len() {
            let feed = bytes[start..].iter().position(|byte| *byte == b'\n');
            let (end, next) = match feed {
                Some(at) => (start + at, start + at + 1),
                None => (bytes.len(), bytes.len()),
            };
            let text = match bytes[start..end].strip_suffix(b"\r") {
                Some(text) => text.len(),
                None if feed.is_some() => {
                    let expected = "CR LF at the end of the line";
                    self.blame_head(end, HeadError::BareLineEnd, expected);
                    end - start
                }
                None => end - start,
            };
            let line = bytes.slice(start..start + text);
            if line.is_empty() && !self.lines.is_empty() && feed.is_some() {
                break;
            }
            self.look_at(start, &line, feed.is_some());
            self.lines.push(HeadLine {
                offset: self.offset + start as u64,
                bytes: line,
                note: None,
            });
            start = next;
        }
        if self.is_whole || self.lines.len() > 1 {
            self.look_at_start_line();
        }
    }

    /// Names what is wrong with one line, whatever it says.
    fn look_at(&mut self, start: usize, line: &[u8], has_end: bool) {
        for (at, byte) in line.iter().enumerate() {
            match byte {
                b'\r' => {
                    let expected = "a line feed behind the carriage return";
                    self.blame_head(start + at, HeadError::BareLineEnd, expected);
                }
                0..=8 | 10..=31 | 127 => {
                    let expected = "no control character but the tab";
                    self.blame_head(start + at, HeadError::ControlCharacter, expected);
                }
                _ => {}
            }
        }
        let is_first = self.lines.is_empty();
        let folded = line.first().is_some_and(|byte| is_blank(*byte));
        match (is_first, folded) {
            (true, true) => {
                self.blame_head(
                    start,
                    HeadError::StartLine,
                    "no blank before the start line",
                );
            }
            (false, true) => {
                self.blame_head(start, HeadError::FoldedLine, "each field on one line");
            }
            (false, false) => {
                let colon = line.iter().position(|byte| *byte == b':');
                // What was cut short may have become a field.
                if has_end && !colon.is_some_and(|colon| is_token(&line[..colon])) {
                    let expected = "a name, which is a token, and a colon at once behind it";
                    self.blame_head(start, HeadError::FieldName, expected);
                }
            }
            (true, false) => {}
        }
    }

    fn look_at_start_line(&mut self) {
        let [first, second, third] = self.start_line();
        let is_version = |version: &[u8]| version == b"HTTP/1.1" || version == b"HTTP/1.0";
        let (error, expected) = match self.sender {
            Role::Client => {
                let is_target = |byte: &u8| matches!(byte, b'!'..=b'~');
                let is_line = is_token(first) && !second.is_empty() && second.iter().all(is_target);
                match third {
                    b"HTTP/1.1" if is_line => return,
                    version if is_line && version.starts_with(b"HTTP/") => {
                        (HeadError::Version, "HTTP/1.1")
                    }
                    _ => (
                        HeadError::StartLine,
                        "GET, a path and HTTP/1.1, a space between them",
                    ),
                }
            }
            Role::Server if self.status().is_some() && is_version(first) => return,
            Role::Server if self.status().is_some() => (HeadError::Version, "HTTP/1.1"),
            Role::Server => (
                HeadError::StartLine,
                "HTTP/1.1, a status of three digits and words",
            ),
        };
        self.blame_head(0, error, expected);
    }

    fn blame_head(&mut self, at: usize, error: HeadError, expected: &'static str) {
        self.blame(
            self.offset + at as u64,
            HandshakeError::Head(error),
            expected,
        );
    }
}

/// Finds the end of a head in bytes that arrive little by little, each looked at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EndOfHead {
    scanned: usize,
    /// Whether the present line has a byte that is not of its end.
    has_text: bool,
    /// Whether a line before it had: empty lines before the start line end nothing.
    is_behind_text: bool,
}

impl EndOfHead {
    /// How many bytes of `bytes` are the head that they begin with, if its end has come. `bytes`
    /// are those of the last call, and more.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(byte) = bytes.get(self.scanned) {
            match byte {
                b'\n' => {}
                b'\r' => match bytes.get(self.scanned + 1) {
                    // Whether it is of the line's end, the next byte will tell.
                    None => return None,
                    Some(next) => {
                        self.has_text |= *next != b'\n';
                        self.scanned += 1;
                        continue;
                    }
                },
                _ => {
                    self.has_text = true;
                    self.scanned += 1;
                    continue;
                }
            }
            self.scanned += 1;
            if !self.has_text && self.is_behind_text {
                return Some(self.scanned);
            }
            self.is_behind_text |= self.has_text;
            self.has_text = false;
        }
        None
    }
}

/// Whether a stream that begins so begins with a head, and not with a frame; `None`: more bytes.
///
/// Read as a frame, each of these beginnings would have RSV1 set and FIN not.
pub(super) fn begins_head(bytes: &[u8]) -> Option<bool> {
    let mut undecided = false;
    for word in STARTS {
        let n = word.len().min(bytes.len());
        if bytes[..n] == word.as_bytes()[..n] {
            if n == word.len() {
                return Some(true);
            }
            undecided = true;
        }
    }
    (!undecided).then_some(false)
}

const STARTS: &[&str] = &[
    "GET ", "HTTP/", "POST ", "PUT ", "HEAD ", "OPTIONS ", "DELETE ", "CONNECT ", "PATCH ",
    "TRACE ", "PRI ",
];

/// Takes off the spaces and tabs at both ends.
fn trim(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !is_blank(*byte);
    let start = bytes.iter().position(is_text).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(is_text).map_or(start, |at| at + 1);
    &bytes[start..end]
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
