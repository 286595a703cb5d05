//! How a server says no ([RFC 6455 §4.2.2]): any status but 101, header fields and a body.
//!
//! A refusal always says `Connection: close` and how long its body is: nothing that follows on
//! the connection is read as another request.
//!
//! [RFC 6455 §4.2.2]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2

use crate::proto::buffer::SendBuffer;
use crate::proto::handshake::error::Field;
use crate::proto::handshake::headers::{Headers, write_field};

/// A status that ends a request: 200 to 599 (RFC 9110 §15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    /// 200: here is what was asked for.
    pub const OK: Self = Self(200);
    /// 302: the resource is elsewhere, as the field Location says.
    pub const FOUND: Self = Self(302);
    /// 307: as 302; the method stays.
    pub const TEMPORARY_REDIRECT: Self = Self(307);
    /// 400: the request is not a legal handshake.
    pub const BAD_REQUEST: Self = Self(400);
    /// 401: credentials are needed, as the field WWW-Authenticate says.
    pub const UNAUTHORIZED: Self = Self(401);
    /// 403: not for this client, or not from this origin.
    pub const FORBIDDEN: Self = Self(403);
    /// 404: there is nothing at this path.
    pub const NOT_FOUND: Self = Self(404);
    /// 405: another method is needed, as the field Allow says.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// 408: the request did not come in time.
    pub const REQUEST_TIMEOUT: Self = Self(408);
    /// 426: the request must ask for WebSocket, version 13.
    pub const UPGRADE_REQUIRED: Self = Self(426);
    /// 429: too many requests.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// 431: the head has too many bytes or fields.
    pub const FIELDS_TOO_LARGE: Self = Self(431);
    /// 500: a fault of ours.
    pub const INTERNAL_SERVER_ERROR: Self = Self(500);
    /// 503: not now.
    pub const SERVICE_UNAVAILABLE: Self = Self(503);
    /// 505: another version of HTTP is needed.
    pub const VERSION_NOT_SUPPORTED: Self = Self(505);

    /// The status of this number, if it may end a request.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            200..=599 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number as it stands in the status line.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The reason phrase of a status that has a constant here, else empty.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self.0 {
            200 => "OK",
            302 => "Found",
            307 => "Temporary Redirect",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            426 => "Upgrade Required",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            _ => "",
        }
    }

    /// Whether a response of this status has a body at all (RFC 9110 §15.3.5, §15.4.5).
    const fn has_body(self) -> bool {
        !matches!(self.0, 204 | 304)
    }
}

/// A server's answer to a request that it does not accept.
///
/// ```
/// use openline::proto::{Refusal, Status};
///
/// let mut refusal = Refusal::new(Status::UNAUTHORIZED).with_text("who are you?\n");
/// refusal.headers.push("WWW-Authenticate", "Bearer")?;
/// # Ok::<(), openline::proto::HeaderError>(())
/// ```
///
/// Connection and Content-Length are written for it; a 426 also says which upgrade is required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: Status,
    /// Header fields beside Connection and Content-Length.
    pub headers: Headers,
    /// The body; not sent with a status that has none, 204 and 304.
    pub body: Vec<u8>,
}

impl Refusal {
    /// A refusal of this status, without a body.
    #[must_use]
    pub const fn new(status: Status) -> Self {
        Self {
            status,
            headers: Headers::new(),
            body: Vec::new(),
        }
    }

    /// This refusal with a body for people to read.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        if !self.headers.contains(CONTENT_TYPE) {
            self.headers
                .push(CONTENT_TYPE, "text/plain; charset=utf-8")
                .expect("a legal field that is not the handshake's own");
        }
        self.body = text.as_bytes().to_owned();
        self
    }

    /// Appends the response to `send`. The connection is to be closed when that is sent.
    pub fn write(&self, send: &mut SendBuffer) {
        write_answer(self.status, &self.headers, &self.body, false, send);
    }
}

/// Appends a response that is the last on its connection.
pub(super) fn write_answer(
    status: Status,
    headers: &Headers,
    body: &[u8],
    to_head: bool,
    send: &mut SendBuffer,
) {
    let Status(number) = status;
    send.extend(format!("HTTP/1.1 {number} {}\r\n", status.reason()).as_bytes());
    if status == Status::UPGRADE_REQUIRED {
        // RFC 9110 §15.5.22 and §7.8: a 426 has an Upgrade field, and Connection names it.
        write_field(send, Field::Connection.name(), "close, Upgrade");
        write_field(send, Field::Upgrade.name(), "websocket");
        // §4.2.2, step 4: and the versions that the server is capable of.
        write_field(send, Field::Version.name(), "13");
    } else {
        write_field(send, Field::Connection.name(), "close");
    }
    if status.has_body() {
        write_field(send, Field::ContentLength.name(), body.len().to_string());
    }
    headers.write(send);
    send.extend(b"\r\n");
    // RFC 9110 §9.3.2: HEAD is told the length of what it does not get.
    if status.has_body() && !to_head {
        send.extend(body);
    }
}

pub(super) const CONTENT_TYPE: &str = "Content-Type";
