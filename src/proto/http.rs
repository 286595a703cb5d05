//! The heads of HTTP requests and responses ([RFC 9112 §2.1]): a start line and header fields.
//!
//! A [`HeadScanner`] finds the end of the head. It looks at each byte once, however the bytes
//! arrive, and refuses what lenient parsers take and strict ones behind them read differently:
//! bare line ends, folded lines, control characters. A head that it has found is parsed once.
//! A [`Head`] knows where the parts lie and owns none of the bytes.
//!
//! [RFC 9112 §2.1]: https://www.rfc-editor.org/rfc/rfc9112#section-2.1

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
            Self::Version => "RFC 6455 §4.2.1",
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

    /// The header fields in the head that was found.
    fn fields(&self) -> usize {
        self.lines.saturating_sub(1)
    }
}

/// A head that was parsed: where its parts lie in its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Head<L> {
    /// The start line.
    pub(crate) line: L,
    len: usize,
    fields: Box<[FieldSpans]>,
}

/// The start line of a request, `method target HTTP/1.1`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLine {
    pub(crate) method: Span,
    pub(crate) target: Span,
}

/// The start line of a response, `HTTP/1.1 status reason`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusLine {
    /// Whether the version is 1.1, not 1.0.
    pub(crate) is_http_1_1: bool,
    pub(crate) status: u16,
    /// Empty when there is none or it is not ASCII.
    pub(crate) reason: Span,
}

/// A part of the head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug)]
struct FieldSpans {
    name: Span,
    value: Span,
}

impl Head<RequestLine> {
    /// Parses the bytes that `scanner` found to be a head.
    pub(crate) fn request(bytes: &[u8], scanner: &HeadScanner) -> Result<Self, HeadError> {
        let mut fields = vec![httparse::EMPTY_HEADER; scanner.fields()];
        let mut request = httparse::Request::new(&mut fields);
        let status = request.parse(bytes).map_err(head_error)?;
        let (Some(method), Some(target), Some(version)) =
            (request.method, request.path, request.version)
        else {
            return Err(HeadError::StartLine);
        };
        // §4.2.1: HTTP/1.1 or higher, and no version above it has this form. RFC 9112 §3.2:
        // the target is ASCII.
        if version != 1 {
            return Err(HeadError::Version);
        }
        if !target.is_ascii() {
            return Err(HeadError::StartLine);
        }
        let line = RequestLine {
            method: Span::of(method.as_bytes(), bytes),
            target: Span::of(target.as_bytes(), bytes),
        };
        Self::new(line, status, request.headers, bytes)
    }
}

impl Head<StatusLine> {
    /// Parses the bytes that `scanner` found to be a head.
    pub(crate) fn response(bytes: &[u8], scanner: &HeadScanner) -> Result<Self, HeadError> {
        let mut fields = vec![httparse::EMPTY_HEADER; scanner.fields()];
        let mut response = httparse::Response::new(&mut fields);
        let status = response.parse(bytes).map_err(head_error)?;
        // RFC 9110 §15: the first digit of a status is 1 to 5; those above are nobody's, and
        // none is below.
        let (Some(version), Some(code @ 100..)) = (response.version, response.code) else {
            return Err(HeadError::StartLine);
        };
        let line = StatusLine {
            is_http_1_1: version == 1,
            status: code,
            reason: Span::of(response.reason.unwrap_or_default().as_bytes(), bytes),
        };
        Self::new(line, status, response.headers, bytes)
    }
}

impl<L> Head<L> {
    fn new(
        line: L,
        status: httparse::Status<usize>,
        fields: &[httparse::Header<'_>],
        bytes: &[u8],
    ) -> Result<Self, HeadError> {
        // The scanner and the parser see the same end, or the head is not what it seems.
        if status != httparse::Status::Complete(bytes.len()) {
            return Err(HeadError::StartLine);
        }
        let fields = fields.iter().map(|field| FieldSpans {
            name: Span::of(field.name.as_bytes(), bytes),
            value: Span::of(field.value, bytes),
        });
        Ok(Self {
            line,
            len: bytes.len(),
            fields: fields.collect(),
        })
    }

    /// The bytes of the head, its empty line included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The header fields, in the bytes that this head was parsed from.
    pub(crate) fn fields<'a>(&'a self, bytes: &'a [u8]) -> Fields<'a> {
        Fields {
            spans: &self.fields,
            bytes,
        }
    }
}

impl Span {
    /// Where `part` lies in `whole`, of which it is a slice.
    fn of(part: &[u8], whole: &[u8]) -> Self {
        // An empty part may be a constant of the parser's, and is the same wherever it lies.
        if part.is_empty() {
            return Self::default();
        }
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        Self {
            start,
            end: start + part.len(),
        }
    }

    /// The bytes of this part.
    pub(crate) fn of_bytes(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start..self.end]
    }

    /// This part, if it is ASCII, as the parser saw to.
    pub(crate) fn of_str(self, bytes: &[u8]) -> &str {
        std::str::from_utf8(self.of_bytes(bytes)).expect("lines and names are ASCII")
    }
}

/// The header fields of a head, in the order in which they came.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    spans: &'a [FieldSpans],
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Names and values, blanks around a value taken off.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.spans.iter().map(move |field| {
            let name = field.name.of_str(self.bytes);
            (name, field.value.of_bytes(self.bytes))
        })
    }

    /// The value of the first field of this name, in any case.
    pub(crate) fn first(self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The values of every field of this name, in any case.
    pub(crate) fn all<'n>(self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.spans
            .iter()
            .filter(move |field| {
                let found = field.name.of_bytes(self.bytes);
                found.eq_ignore_ascii_case(name.as_bytes())
            })
            .map(move |field| field.value.of_bytes(self.bytes))
    }
}

impl fmt::Debug for Fields<'_> {
    /// Names only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), blanks around them taken off.
/// Empty ones do not count.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(trim_blanks)
        .filter(|element| !element.is_empty())
}

/// Takes off the spaces and tabs at both ends (RFC 9110 §5.6.3).
fn trim_blanks(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(is_text).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(is_text).map_or(start, |at| at + 1);
    &bytes[start..end]
}

/// Whether this is a token (RFC 9110 §5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// Whether this byte may stand in a token (RFC 9110 §5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether this may be the value of a header field (RFC 9110 §5.5): no control character but
/// the tab.
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| !byte.is_ascii_control() || *byte == b'\t')
}

fn head_error(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::Version => HeadError::Version,
        httparse::Error::HeaderName => HeadError::FieldName,
        httparse::Error::HeaderValue => HeadError::ControlCharacter,
        // The scanner has seen to line ends and counted the lines, so what is left is the
        // first line: also when there is more on it than a version.
        httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::NewLine
        | httparse::Error::TooManyHeaders => HeadError::StartLine,
    }
}
