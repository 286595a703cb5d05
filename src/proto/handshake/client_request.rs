//! What a client asks for ([RFC 6455 §4.1]): a URL, subprotocols, header fields.
//!
//! A [`ClientRequest`] holds only what may be sent, so that to write it cannot fail.
//!
//! [RFC 6455 §4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.1

use std::error::Error;
use std::fmt;

use crate::proto::accept::Key;
use crate::proto::buffer::SendBuffer;
use crate::proto::deflate::{Deflate, offers};
use crate::proto::handshake::error::Field;
use crate::proto::handshake::headers::{HeaderError, Headers, write_field};
use crate::proto::http::is_token;
use crate::proto::url::Url;

/// A client's request for WebSocket.
///
/// ```
/// use openline::proto::ClientRequest;
///
/// let request = ClientRequest::new("wss://user:secret@example.com/chat".parse()?)
///     .subprotocol("chat.v2")?
///     .subprotocol("chat.v1")?
///     .header("Cookie", "session=1")?;
/// assert_eq!(request.url().host(), "example.com");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    url: Url,
    subprotocols: Vec<String>,
    headers: Headers,
}

/// Why a request cannot be made: the caller's fault. Says nothing of what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The header field must not be sent.
    Header(HeaderError),
    /// A field that may come once is there already: Origin, or Authorization, which user
    /// information in the URL also makes.
    Repeated,
    /// The name of the subprotocol is not a token (§4.1, item 10).
    Subprotocol,
    /// The subprotocol is offered already (§4.1, item 10).
    SubprotocolRepeated,
    /// The bearer token has a character that none has (RFC 6750 §2.1).
    BearerToken,
}

impl ClientRequest {
    /// A request for this URL. User information in it becomes Basic authentication.
    #[must_use]
    pub fn new(url: Url) -> Self {
        let mut headers = Headers::new();
        if let Some(credentials) = url.basic_credentials() {
            headers
                .push(AUTHORIZATION, format!("Basic {credentials}"))
                .expect("Base64 has no control characters");
        }
        Self {
            url,
            subprotocols: Vec::new(),
            headers,
        }
    }

    /// Offers one more subprotocol, less preferred than those before it.
    ///
    /// # Errors
    ///
    /// [`RequestError::Subprotocol`], [`RequestError::SubprotocolRepeated`].
    pub fn subprotocol(mut self, name: impl Into<String>) -> Result<Self, RequestError> {
        let name = name.into();
        if !is_token(name.as_bytes()) {
            return Err(RequestError::Subprotocol);
        }
        if self.subprotocols.contains(&name) {
            return Err(RequestError::SubprotocolRepeated);
        }
        self.subprotocols.push(name);
        Ok(self)
    }

    /// Adds a header field, such as Cookie or User-Agent.
    ///
    /// # Errors
    ///
    /// [`RequestError::Header`], [`RequestError::Repeated`].
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, RequestError> {
        let is_single = [AUTHORIZATION, Field::Origin.name()]
            .iter()
            .any(|single| single.eq_ignore_ascii_case(name));
        if is_single && self.headers.contains(name) {
            return Err(RequestError::Repeated);
        }
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// Says from which page the request comes, as browsers do: `https://example.com`.
    ///
    /// # Errors
    ///
    /// As [`header`](Self::header).
    pub fn origin(self, origin: &str) -> Result<Self, RequestError> {
        self.header(Field::Origin.name(), origin)
    }

    /// Authenticates with a bearer token (RFC 6750 §2.1).
    ///
    /// # Errors
    ///
    /// [`RequestError::BearerToken`], and as [`header`](Self::header).
    pub fn bearer(self, token: &str) -> Result<Self, RequestError> {
        // RFC 6750 §2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
        let is_legal = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
        };
        let text = token.trim_end_matches('=');
        if text.is_empty() || !text.bytes().all(is_legal) {
            return Err(RequestError::BearerToken);
        }
        self.header(AUTHORIZATION, format!("Bearer {token}"))
    }

    /// The URL that is asked for.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The subprotocols offered, the most preferred first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.subprotocols.iter().map(String::as_str)
    }

    /// The header fields beside the handshake's own.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter()
    }

    /// The same to another URL, with the header fields that are to be kept.
    pub(super) fn with_url(&self, url: Url, keep: impl Fn(&str) -> bool) -> Self {
        Self {
            url,
            subprotocols: self.subprotocols.clone(),
            headers: self.headers.filtered(keep),
        }
    }

    /// Appends the request with this key, and with the compression offered (§4.1, the second
    /// list).
    pub(super) fn write(&self, key: &Key, compression: Option<&Deflate>, send: &mut SendBuffer) {
        send.extend(b"GET ");
        send.extend(self.url.resource_name().as_bytes());
        send.extend(b" HTTP/1.1\r\n");
        write_field(send, Field::Host.name(), self.url.authority());
        write_field(send, Field::Upgrade.name(), "websocket");
        write_field(send, Field::Connection.name(), "Upgrade");
        write_field(send, Field::Key.name(), key.as_bytes());
        write_field(send, Field::Version.name(), "13");
        if !self.subprotocols.is_empty() {
            write_field(send, Field::Protocol.name(), self.subprotocols.join(", "));
        }
        if let Some(settings) = compression {
            write_field(send, Field::Extensions.name(), offers(settings));
        }
        self.headers.write(send);
        send.extend(b"\r\n");
    }
}

const AUTHORIZATION: &str = "Authorization";

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Repeated => f.write_str("Origin or Authorization is given twice"),
            Self::Subprotocol => {
                f.write_str("the name of a subprotocol is not a token (RFC 6455 §4.1)")
            }
            Self::SubprotocolRepeated => {
                f.write_str("a subprotocol is offered twice (RFC 6455 §4.1)")
            }
            Self::BearerToken => {
                f.write_str("the bearer token has a character that none has (RFC 6750 §2.1)")
            }
        }
    }
}

impl Error for RequestError {}

impl From<HeaderError> for RequestError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}
