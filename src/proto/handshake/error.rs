//! Why an opening handshake failed, by the peer's fault ([RFC 6455 §4]).
//!
//! An error says which rule was broken and nothing of what was received, which may be a secret.
//! A server answers with the [refusal](HandshakeError::refusal) that the error deserves.
//!
//! [RFC 6455 §4]: https://www.rfc-editor.org/rfc/rfc6455#section-4

use std::error::Error;
use std::fmt;

use crate::proto::handshake::refusal::{Refusal, Status};
use crate::proto::http::HeadError;

/// The opening handshake failed by the peer's fault, or by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The head of the request or of the response cannot be read.
    Head(HeadError),
    /// The method is not GET (§4.2.1).
    Method,
    /// The target of the request is not a path, nor an `http` or `https` URL (§4.2.1).
    Target,
    /// A header field that there must be is missing.
    Missing(Field),
    /// A header field that may come once came again.
    Repeated(Field),
    /// A header field does not say what it must.
    Invalid(Field),
    /// The request has a body, or says that it has one: Content-Length is not 0, or there is a
    /// Transfer-Encoding.
    Body,
    /// The server chose a subprotocol that the client did not offer (§4.1).
    SubprotocolNotOffered,
    /// The server agreed to an extension that the client did not offer (§4.1).
    ExtensionNotOffered,
    /// The server agreed to compression with a parameter that is unknown, illegal or repeated, or
    /// without one that the client asked for (RFC 7692 §7.1).
    ExtensionParams,
    /// The server sent too many interim responses (1xx) before its answer.
    TooManyInterims,
    /// The handshake was not over in time.
    TimedOut,
    /// The request came in time and our decision about it did not.
    Undecided,
    /// The peer's bytes ended before the handshake did.
    EndOfFile,
}

/// The header fields that the handshake has rules for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// `Host`, the authority that the client means.
    Host,
    /// `Upgrade`, which says `websocket`.
    Upgrade,
    /// `Connection`, which says `Upgrade`.
    Connection,
    /// `Origin`, the page whose script opens the connection.
    Origin,
    /// `Content-Length`, of a refusal's body.
    ContentLength,
    /// `Sec-WebSocket-Key`, the client's nonce.
    Key,
    /// `Sec-WebSocket-Accept`, the server's proof.
    Accept,
    /// `Sec-WebSocket-Version`, which says 13.
    Version,
    /// `Sec-WebSocket-Protocol`, subprotocols offered or the one chosen.
    Protocol,
    /// `Sec-WebSocket-Extensions`, extensions offered or agreed to.
    Extensions,
}

impl Field {
    /// The name as it stands on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "Host",
            Self::Upgrade => "Upgrade",
            Self::Connection => "Connection",
            Self::Origin => "Origin",
            Self::ContentLength => "Content-Length",
            Self::Key => "Sec-WebSocket-Key",
            Self::Accept => "Sec-WebSocket-Accept",
            Self::Version => "Sec-WebSocket-Version",
            Self::Protocol => "Sec-WebSocket-Protocol",
            Self::Extensions => "Sec-WebSocket-Extensions",
        }
    }

    /// What is wrong with a value that is not as it must be.
    const fn fault(self) -> &'static str {
        match self {
            Self::Host => "is not a host and a port",
            Self::Upgrade => "does not say websocket",
            Self::Connection => "does not say Upgrade",
            Self::Origin => "is not visible ASCII",
            Self::ContentLength => "is not a number",
            Self::Key => "does not decode to 16 bytes",
            Self::Accept => "does not answer our Sec-WebSocket-Key",
            Self::Version => "is not 13",
            Self::Protocol => "is not a list of different tokens",
            Self::Extensions => "does not obey its grammar",
        }
    }

    /// The document and section that has the rule.
    const fn section(self) -> &'static str {
        match self {
            // The same rule for both sides, §4.1 and §4.2.1.
            Self::Upgrade | Self::Connection => "RFC 6455 §4",
            Self::Host => "RFC 9112 §3.2",
            Self::Origin => "RFC 6454 §7",
            Self::ContentLength => "RFC 9112 §6.2",
            Self::Key => "RFC 6455 §11.3.1",
            Self::Extensions => "RFC 6455 §9.1",
            Self::Accept => "RFC 6455 §11.3.3",
            Self::Protocol => "RFC 6455 §11.3.4",
            Self::Version => "RFC 6455 §11.3.5",
        }
    }
}

impl HandshakeError {
    /// The document and section that was broken, or that lets us refuse.
    #[must_use]
    pub const fn section(&self) -> &'static str {
        match self {
            Self::Head(error) => error.section(),
            Self::Missing(field) | Self::Repeated(field) | Self::Invalid(field) => field.section(),
            Self::Method | Self::Target => "RFC 6455 §4.2.1",
            Self::Body => "RFC 9110 §9.3.1",
            Self::SubprotocolNotOffered | Self::ExtensionNotOffered => "RFC 6455 §4.1",
            Self::ExtensionParams => "RFC 7692 §7.1",
            Self::TooManyInterims => "RFC 9110 §15.2",
            Self::TimedOut | Self::Undecided | Self::EndOfFile => "RFC 6455 §7.1.7",
        }
    }

    /// What a server answers a client that made this error.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let mut refusal = Refusal::new(self.status()).with_text(&format!("{self}\n"));
        if *self == Self::Method {
            // RFC 9110 §15.5.6: a 405 names the methods that there are.
            refusal
                .headers
                .push("Allow", "GET")
                .expect("a legal field that is not the handshake's own");
        }
        refusal
    }

    const fn status(&self) -> Status {
        match self {
            Self::Head(HeadError::TooLarge { .. } | HeadError::TooManyFields { .. }) => {
                Status::FIELDS_TOO_LARGE
            }
            Self::Head(HeadError::Version) => Status::VERSION_NOT_SUPPORTED,
            Self::Method => Status::METHOD_NOT_ALLOWED,
            // A request for a page, or for a version of WebSocket that we do not speak: the
            // answer names what we do (§4.2.2, step 4; RFC 9110 §15.5.22).
            Self::Missing(Field::Upgrade | Field::Connection | Field::Version)
            | Self::Invalid(Field::Upgrade | Field::Connection | Field::Version) => {
                Status::UPGRADE_REQUIRED
            }
            Self::TimedOut => Status::REQUEST_TIMEOUT,
            Self::Undecided => Status::SERVICE_UNAVAILABLE,
            _ => Status::BAD_REQUEST,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Method => f.write_str("the method is not GET"),
            Self::Target => f.write_str("the target is not a path, nor an http or https URL"),
            Self::Missing(field) => write!(f, "the header field {} is missing", field.name()),
            Self::Repeated(field) => {
                write!(f, "the header field {} came more than once", field.name())
            }
            Self::Invalid(field) => {
                write!(f, "the header field {} {}", field.name(), field.fault())
            }
            Self::Body => f.write_str("the request has a body"),
            Self::SubprotocolNotOffered => {
                f.write_str("the server chose a subprotocol that was not offered")
            }
            Self::ExtensionNotOffered => {
                f.write_str("the server agreed to an extension that was not offered")
            }
            Self::ExtensionParams => {
                f.write_str("the server agreed to compression with parameters that it may not")
            }
            Self::TooManyInterims => f.write_str("there are too many interim responses"),
            Self::TimedOut => f.write_str("the opening handshake took too long"),
            Self::Undecided => f.write_str("the decision about the request took too long"),
            Self::EndOfFile => f.write_str("the bytes ended before the opening handshake did"),
        }?;
        write!(f, " ({})", self.section())
    }
}

impl Error for HandshakeError {}

impl From<HeadError> for HandshakeError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}
