//! A server's response as a client sees it ([RFC 6455 §4.1]).
//!
//! [RFC 6455 §4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.1

use std::fmt;

use crate::proto::http::{Fields, Head, StatusLine};

/// A server's response, borrowed from the receive buffer.
#[derive(Clone, Copy)]
pub struct Response<'a> {
    line: &'a StatusLine,
    bytes: &'a [u8],
    fields: Fields<'a>,
    body: &'a [u8],
}

impl<'a> Response<'a> {
    /// The response whose head was parsed from `bytes`.
    pub(super) fn new(head: &'a Head<StatusLine>, bytes: &'a [u8], body: &'a [u8]) -> Self {
        Self {
            line: &head.line,
            bytes,
            fields: head.fields(bytes),
            body,
        }
    }

    /// The status, 100 to 999; 101 if the server agreed.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.line.status
    }

    /// The words behind the status: empty if there are none or they are not ASCII.
    #[must_use]
    pub fn reason(&self) -> &'a str {
        self.line.reason.of_str(self.bytes)
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

    /// As [`header`](Self::header), if the value is UTF-8.
    #[must_use]
    pub fn header_str(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// The start of a refusal's body; empty if the server agreed.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }
}

impl fmt::Debug for Response<'_> {
    /// The status and the names of the header fields: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status())
            .field("headers", &self.fields)
            .finish_non_exhaustive()
    }
}
