//! The heads of HTTP requests and responses ([RFC 9112 §2.1]): a start line and header fields.
//!
//! A [`HeadScanner`] finds the end of a head, which is then parsed once, by httparse. A [`Head`]
//! knows where the parts lie and owns none of the bytes.
//!
//! [RFC 9112 §2.1]: https://www.rfc-editor.org/rfc/rfc9112#section-2.1

mod scanner;

use std::fmt;

pub use scanner::HeadError;
pub(crate) use scanner::HeadScanner;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{Head, HeadError, HeadScanner, elements, is_token};

    type Field = (String, Vec<u8>);

    /// The method and target of a request, and its fields.
    fn request(bytes: &[u8]) -> Result<(String, Vec<Field>), HeadError> {
        let mut scanner = HeadScanner::default();
        let size = scanner.scan(bytes, 1 << 20, 1 << 10)?;
        let bytes = &bytes[..size.expect("a whole head")];
        let head = Head::request(bytes, &scanner)?;
        assert_eq!(head.len(), bytes.len());
        let line = head.line.method.of_str(bytes).to_owned() + " " + head.line.target.of_str(bytes);
        let fields = head.fields(bytes).iter();
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok((line, fields.collect()))
    }

    #[test]
    fn a_request_is_split_into_its_parts() {
        let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_owned());
        let (line, fields) =
            request(b"GET /a?b HTTP/1.1\r\nA:b\r\na:  \t c\xff \t\r\nEmpty:\r\nE: \r\n\r\n")
                .unwrap();
        assert_eq!(line, "GET /a?b");
        let expected = [
            field("A", b"b"),
            field("a", b"c\xff"),
            field("Empty", b""),
            field("E", b""),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn request_lines_and_names_that_are_none() {
        for (head, error) in [
            ("GET / HTTP/1.0\r\n\r\n", HeadError::Version),
            ("GET / HTTP/2.0\r\n\r\n", HeadError::Version),
            ("PRI * HTTP/2.0\r\n\r\n", HeadError::Version),
            ("GET / http/1.1\r\n\r\n", HeadError::Version),
            ("GET / HTTP/1.1 \r\n\r\n", HeadError::StartLine),
            ("GET / HTTP/1.10\r\n\r\n", HeadError::StartLine),
            ("GET  / HTTP/1.1\r\n\r\n", HeadError::StartLine),
            ("GET /\r\n\r\n", HeadError::StartLine),
            ("GET\r\n\r\n", HeadError::StartLine),
            ("G@T / HTTP/1.1\r\n\r\n", HeadError::StartLine),
            ("GET /\u{e9} HTTP/1.1\r\n\r\n", HeadError::StartLine),
            ("GET /\t HTTP/1.1\r\n\r\n", HeadError::StartLine),
            ("GET / HTTP/1.1\r\nA : b\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nA\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\n: b\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nA\u{e9}: b\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nA B: b\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nA\": b\r\n\r\n", HeadError::FieldName),
        ] {
            assert_eq!(request(head.as_bytes()), Err(error), "{head:?}");
        }
    }

    #[test]
    fn status_lines() {
        let response = |line: &str| {
            let bytes = format!("{line}\r\n\r\n").into_bytes();
            let mut scanner = HeadScanner::default();
            scanner.scan(&bytes, 1 << 10, 0)?;
            let line = Head::response(&bytes, &scanner)?.line;
            let reason = line.reason.of_str(&bytes).to_owned();
            Ok((line.is_http_1_1, line.status, reason))
        };
        let reason = |reason: &str| reason.to_owned();
        assert_eq!(
            response("HTTP/1.1 101 Switching Protocols"),
            Ok((true, 101, reason("Switching Protocols")))
        );
        assert_eq!(
            response("HTTP/1.0 404 Not Found"),
            Ok((false, 404, reason("Not Found")))
        );
        assert_eq!(response("HTTP/1.1 999 "), Ok((true, 999, reason(""))));
        assert_eq!(response("HTTP/1.1 200"), Ok((true, 200, reason(""))));
        assert_eq!(response("HTTP/1.1 200 \u{fc}"), Ok((true, 200, reason(""))));
        assert_eq!(response("HTTP/2 200"), Err(HeadError::Version));
        assert_eq!(response("HTTP/1.1 099 x"), Err(HeadError::StartLine));
        assert_eq!(response("HTTP/1.1 20 x"), Err(HeadError::StartLine));
        assert_eq!(response("HTTP/1.1 2000"), Err(HeadError::StartLine));
        assert_eq!(response("ICY 200 OK"), Err(HeadError::Version));
    }

    #[test]
    fn a_list_is_split_at_commas_and_empty_elements_do_not_count() {
        let list = |value: &'static str| elements(value.as_bytes()).collect::<Vec<_>>();
        assert_eq!(list("a"), [b"a"]);
        assert_eq!(list(" a ,\tb\t,,, c , "), [b"a", b"b", b"c"]);
        assert_eq!(list("a b, c"), [&b"a b"[..], b"c"]);
        assert!(list(" ,\t, ").is_empty());
        assert!(list("").is_empty());
    }

    #[test]
    fn tokens_are_those_of_section_5_6_2() {
        let legal = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        for byte in 0..=u8::MAX {
            assert_eq!(
                is_token(&[byte]),
                legal.as_bytes().contains(&byte),
                "{byte:#x}"
            );
        }
        assert!(!is_token(b""));
    }

    proptest! {
        #[test]
        fn any_field_comes_out_as_it_went_in(
            name in "[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,20}",
            value in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let legal = |byte: &u8| !matches!(byte, 0..=32 | 127);
            let value: Vec<u8> = value.into_iter().filter(legal).collect();
            let head = [b"GET / HTTP/1.1\r\n", name.as_bytes(), b": ", &value, b"\r\n\r\n"].concat();
            let (_, fields) = request(&head).unwrap();
            prop_assert_eq!(fields, [(name, value)]);
        }
    }
}
