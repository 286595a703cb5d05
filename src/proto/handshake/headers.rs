//! Header fields that we send beside the handshake's own.
//!
//! [`Headers`] holds only what may be sent: no name that is not a token, no value that could end
//! its line, no field that the handshake writes itself.

use std::error::Error;
use std::fmt;

use crate::proto::buffer::SendBuffer;
use crate::proto::http::{is_field_value, is_token};

/// Header fields to add to a request, an acceptance or a refusal, in the order in which they
/// are sent.
///
/// ```
/// use openline::proto::{HeaderError, Headers};
///
/// let mut headers = Headers::new();
/// headers.push("Server", "openline")?;
/// assert_eq!(headers.push("X-A", "1\r\nX-B: 2"), Err(HeaderError::Value));
/// assert_eq!(headers.push("Upgrade", "h2c"), Err(HeaderError::Reserved));
/// # Ok::<(), HeaderError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<(String, Vec<u8>)>,
}

/// Why a header field cannot be sent: the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is not a token (RFC 9110 §5.6.2).
    Name,
    /// The value has a control character, such as the end of a line (RFC 9110 §5.5).
    Value,
    /// The handshake writes this field itself: Host, Connection, Upgrade, Content-Length,
    /// Transfer-Encoding and all that begin with Sec-WebSocket.
    Reserved,
}

impl Headers {
    /// No header fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { fields: Vec::new() }
    }

    /// Adds a field.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] if it must not be sent; nothing is added then.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        let value = value.as_ref();
        if !is_token(name.as_bytes()) {
            return Err(HeaderError::Name);
        }
        if !is_field_value(value) {
            return Err(HeaderError::Value);
        }
        if is_reserved(name) {
            return Err(HeaderError::Reserved);
        }
        self.fields.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let fields = self.fields.iter();
        fields.map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Whether there is a field of this name, in any case.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// Those whose names are to be kept.
    pub(crate) fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept = self.fields.iter().filter(|(name, _)| keep(name));
        Self {
            fields: kept.cloned().collect(),
        }
    }

    pub(crate) fn write(&self, send: &mut SendBuffer) {
        for (name, value) in self.iter() {
            write_field(send, name, value);
        }
    }
}

/// Appends the line of one header field.
pub(crate) fn write_field(send: &mut SendBuffer, name: &str, value: impl AsRef<[u8]>) {
    send.extend(name.as_bytes());
    send.extend(b": ");
    send.extend(value.as_ref());
    send.extend(b"\r\n");
}

fn is_reserved(name: &str) -> bool {
    let own = [
        "Host",
        "Connection",
        "Upgrade",
        "Content-Length",
        "Transfer-Encoding",
    ];
    let prefix = name.get(..SEC_WEBSOCKET.len()).unwrap_or_default();
    prefix.eq_ignore_ascii_case(SEC_WEBSOCKET)
        || own.iter().any(|own| own.eq_ignore_ascii_case(name))
}

const SEC_WEBSOCKET: &str = "Sec-WebSocket-";

impl fmt::Debug for Headers {
    /// Names only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of a header field is not a token (RFC 9110 §5.6.2)",
            Self::Value => "the value of a header field has a control character (RFC 9110 §5.5)",
            Self::Reserved => "the handshake writes this header field itself",
        })
    }
}

impl Error for HeaderError {}
