//! An ordinary request beside WebSocket, such as a health check's, and its answer ([RFC 9110
//! §9.3.1], §9.3.2).
//!
//! A [`PageRequest`] is answered once, and the connection is closed behind the answer: what
//! follows the request is never read as another.
//!
//! [RFC 9110 §9.3.1]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.1

use crate::proto::buffer::{RecvBuffer, SendBuffer};
use crate::proto::handshake::error::{Field, HandshakeError};
use crate::proto::handshake::headers::{HeaderError, Headers};
use crate::proto::handshake::lists;
use crate::proto::handshake::refusal::{CONTENT_TYPE, Refusal, Status, write_answer};
use crate::proto::handshake::request::Request;
use crate::proto::http::{Fields, Head, RequestLine};

/// A legal GET or HEAD request that does not ask for WebSocket and that waits for its answer.
#[derive(Debug)]
pub struct PageRequest {
    head: Head<RequestLine>,
    /// What makes it no request for WebSocket.
    lack: HandshakeError,
}

impl PageRequest {
    /// A request that was judged in all that ordinary ones have to obey.
    pub(super) fn new(head: Head<RequestLine>, bytes: &[u8]) -> Self {
        let lack = match is_get(&head.line, bytes) {
            true => lists(head.fields(bytes), Field::Upgrade, b"websocket")
                .err()
                .unwrap_or(HandshakeError::Missing(Field::Upgrade)),
            false => HandshakeError::Method,
        };
        Self { head, lack }
    }

    /// The request, to answer.
    ///
    /// # Panics
    ///
    /// If `recv` is not the buffer that the request was read from.
    #[must_use]
    pub fn request<'a>(&'a self, recv: &'a RecvBuffer) -> Request<'a> {
        Request::new(&self.head, recv.unparsed())
    }

    /// Answers: appends the response to `send`, without the body if the request is HEAD. The
    /// connection is to be closed when that is sent, and what the client sends meanwhile is not
    /// to be read.
    pub fn answer(self, page: &Page, send: &mut SendBuffer) {
        write_answer(page.status, &page.headers, &page.body, self.is_head(), send);
    }

    /// Refuses, as one who serves nothing but WebSocket: appends the response to `send`, and
    /// returns what the request lacks.
    pub fn refuse(self, send: &mut SendBuffer) -> HandshakeError {
        let refusal = self.lack.refusal();
        let (status, headers) = (refusal.status, &refusal.headers);
        write_answer(status, headers, &refusal.body, self.is_head(), send);
        self.lack
    }

    /// What makes it no request for WebSocket.
    #[must_use]
    pub fn lack(&self) -> HandshakeError {
        self.lack
    }

    fn is_head(&self) -> bool {
        self.lack == HandshakeError::Method
    }
}

/// Whether a request means to open a WebSocket: it says so, or a proxy took away the field that
/// said so, and who sent it is better told than given a page.
pub(super) fn is_for_websocket(fields: Fields<'_>) -> bool {
    lists(fields, Field::Upgrade, b"websocket").is_ok()
        || fields.first(Field::Key.name()).is_some()
        || fields.first(Field::Version.name()).is_some()
}

pub(super) fn is_get(line: &RequestLine, bytes: &[u8]) -> bool {
    line.method.of_bytes(bytes) == b"GET"
}

/// What a server answers to an ordinary request.
///
/// ```
/// use openline::proto::{Page, Status};
///
/// let health = Page::text("alive\n");
/// assert_eq!(health.status, Status::OK);
/// let metrics = Page::new("text/plain; version=0.0.4", "connections 3\n")?;
/// # Ok::<(), openline::proto::HeaderError>(())
/// ```
///
/// Connection and Content-Length are written for it. There is no Date: the core has no clock
/// (RFC 9110 §6.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: Status,
    /// Header fields beside Connection and Content-Length.
    pub headers: Headers,
    /// The body; not sent to a HEAD request, nor with a status that has none, 204 and 304.
    pub body: Vec<u8>,
}

impl Page {
    /// A page of this media type, with status 200.
    ///
    /// # Errors
    ///
    /// If the type cannot be a header field's value.
    pub fn new(content_type: &str, body: impl Into<Vec<u8>>) -> Result<Self, HeaderError> {
        let mut headers = Headers::new();
        headers.push(CONTENT_TYPE, content_type)?;
        Ok(Self {
            status: Status::OK,
            headers,
            body: body.into(),
        })
    }

    /// A text for people, with status 200.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Refusal::new(Status::OK).with_text(text).into()
    }
}

/// An answer other than 101 is one to any request.
impl From<Refusal> for Page {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: refusal.status,
            headers: refusal.headers,
            body: refusal.body,
        }
    }
}
