//! The opening handshake ([RFC 6455 §4]): an HTTP request, an answer, and then WebSocket.
//!
//! A server polls a [`ServerHandshake`] until it gives an [`Upgrade`], which accepts or refuses;
//! one that serves pages beside WebSocket polls for [`Incoming`].
//! A client polls a [`ClientHandshake`] until it gives an [`Answer`]. Both leave the bytes in
//! the receive buffer, and those behind the handshake are the connection's first.
//!
//! [RFC 6455 §4]: https://www.rfc-editor.org/rfc/rfc6455#section-4

mod body;
mod client;
mod client_request;
mod error;
mod headers;
mod page;
mod redirect;
mod refusal;
mod request;
mod response;
mod server;

use std::time::Instant;

pub use client::{Accepted, Answer, ClientHandshake, Refused};
pub use client_request::{ClientRequest, RequestError};
pub use error::{Field, HandshakeError};
pub use headers::{HeaderError, Headers};
pub use page::{Page, PageRequest};
pub use redirect::RedirectError;
pub use refusal::{Refusal, Status};
pub use request::Request;
pub(crate) use request::split_target;
pub use response::Response;
pub use server::{AcceptError, Acceptance, Incoming, ServerHandshake, Upgrade};

use crate::proto::config::Config;
use crate::proto::http::{Fields, elements};

/// When the handshake must be over; `None` if that is beyond the clock's range.
fn deadline(config: &Config, now: Instant) -> Option<Instant> {
    now.checked_add(config.handshake_timeout)
}

/// The value of a header field that must not come twice.
fn once<'a>(fields: Fields<'a>, field: Field) -> Result<Option<&'a [u8]>, HandshakeError> {
    let mut values = fields.all(field.name());
    let value = values.next();
    match values.next() {
        Some(_) => Err(HandshakeError::Repeated(field)),
        None => Ok(value),
    }
}

/// The value of a header field that must come exactly once.
fn exactly_once<'a>(fields: Fields<'a>, field: Field) -> Result<&'a [u8], HandshakeError> {
    once(fields, field)?.ok_or(HandshakeError::Missing(field))
}

/// Seeks a word in the lists of every field of this name.
fn lists(fields: Fields<'_>, field: Field, word: &[u8]) -> Result<(), HandshakeError> {
    let mut values = fields.all(field.name()).peekable();
    if values.peek().is_none() {
        return Err(HandshakeError::Missing(field));
    }
    match values
        .flat_map(elements)
        .any(|element| element.eq_ignore_ascii_case(word))
    {
        true => Ok(()),
        false => Err(HandshakeError::Invalid(field)),
    }
}
