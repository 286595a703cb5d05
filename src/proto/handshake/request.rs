//! A client's request as a server sees it ([RFC 6455 §4.2.1]).
//!
//! A [`Request`] obeys every rule of the section, or, if it is an ordinary one, those that are
//! not about WebSocket: what its methods return is legal.
//!
//! [RFC 6455 §4.2.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1

use std::fmt;

use crate::proto::extension::{Extension, extensions};
use crate::proto::handshake::error::Field;
use crate::proto::http::{Fields, Head, RequestLine, elements};

/// A legal request, for WebSocket or for a page, borrowed from the receive buffer.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    line: &'a RequestLine,
    bytes: &'a [u8],
    fields: Fields<'a>,
}

impl<'a> Request<'a> {
    /// The request whose head was parsed from `bytes`.
    pub(super) fn new(head: &'a Head<RequestLine>, bytes: &'a [u8]) -> Self {
        Self {
            line: &head.line,
            bytes,
            fields: head.fields(bytes),
        }
    }

    /// The method: GET, or HEAD where a page is asked for.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.line.method.of_str(self.bytes)
    }

    /// The target as it stands in the request line: visible ASCII, most often a path and query,
    /// rarely a whole URL.
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.line.target.of_str(self.bytes)
    }

    /// The path, as it was sent: it begins with `/`, and what is percent-encoded stays so.
    #[must_use]
    pub fn path(&self) -> &'a str {
        let (_, resource) = split_target(self.target());
        match resource.split_once('?').map_or(resource, |(path, _)| path) {
            "" => "/",
            path => path,
        }
    }

    /// The query behind the first `?`, as it was sent.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        let (_, resource) = split_target(self.target());
        resource.split_once('?').map(|(_, query)| query)
    }

    /// The host that the client means, and the port if it is not the default.
    #[must_use]
    pub fn host(&self) -> &'a str {
        // RFC 9112 §3.2.2: a URL in the request line goes before the Host field.
        match split_target(self.target()) {
            (Some(authority), _) => authority,
            (None, _) => self.header_str(Field::Host.name()).unwrap_or_default(),
        }
    }

    /// The origin of the page whose script opens the connection: browsers always send one.
    #[must_use]
    pub fn origin(&self) -> Option<&'a str> {
        self.header_str(Field::Origin.name())
    }

    /// The subprotocols that the client offers, the most preferred first; no two are the same.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        subprotocols(self.fields).filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// The extensions that the client offers, the most preferred first.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'a>> + use<'a> {
        let values = self.fields.all(Field::Extensions.name());
        values.flat_map(extensions).filter_map(Result::ok)
    }

    /// Every header field in its order: name, and value without the blanks around it.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.fields.iter()
    }

    /// The value of the first header field of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.first(name)
    }

    /// As [`header`](Self::header), if the value is UTF-8. To refuse what is not, look at
    /// `header`.
    #[must_use]
    pub fn header_str(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.header(name)?).ok()
    }
}

impl fmt::Debug for Request<'_> {
    /// The path and the names of the header fields: queries and values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("path", &self.path())
            .field("headers", &self.fields)
            .finish_non_exhaustive()
    }
}

/// The elements of every Sec-WebSocket-Protocol, not yet known to be tokens.
pub(super) fn subprotocols<'a>(fields: Fields<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    fields.all(Field::Protocol.name()).flat_map(elements)
}

/// Splits a target into the authority, if it is an absolute URL (RFC 9112 §3.2.2), and the rest.
pub(crate) fn split_target(target: &str) -> (Option<&str>, &str) {
    let url = target.split_once("://").filter(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    });
    match url {
        Some((_, rest)) => {
            let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority), resource)
        }
        None => (None, target),
    }
}
