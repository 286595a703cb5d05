//! The server's side of the opening handshake ([RFC 6455 §4.2]).
//!
//! The request is read and judged first, and decided afterwards, at once or later: an
//! [`Upgrade`] is a request that obeys every rule and that has not been answered. It is answered
//! exactly once, since accepting and refusing consume it.
//!
//! [RFC 6455 §4.2]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::proto::accept::Key;
use crate::proto::buffer::{RecvBuffer, SendBuffer};
use crate::proto::config::Config;
use crate::proto::connection::Connection;
use crate::proto::extension::{Extension, extensions};
use crate::proto::frame::Role;
use crate::proto::handshake::error::{Field, HandshakeError};
use crate::proto::handshake::headers::{Headers, write_field};
use crate::proto::handshake::refusal::Refusal;
use crate::proto::handshake::{deadline, exactly_once, lists, once};
use crate::proto::http::{Fields, Head, HeadScanner, RequestLine, elements, is_token};
use crate::proto::url::parse_authority;

/// Reads a client's request.
#[derive(Debug)]
pub struct ServerHandshake {
    config: Arc<Config>,
    deadline: Option<Instant>,
    /// The request as far as it has come; `None` once it was given away as an [`Upgrade`].
    state: Result<Option<HeadScanner>, HandshakeError>,
}

impl ServerHandshake {
    /// Begins to wait for a request; the handshake's deadline counts from `now`.
    #[must_use]
    pub fn new(config: Arc<Config>, now: Instant) -> Self {
        Self {
            deadline: deadline(&config, now),
            config,
            state: Ok(Some(HeadScanner::default())),
        }
    }

    /// Reads what `recv` holds, and consumes none of it. `None` asks for more bytes; once it
    /// gave an [`Upgrade`] it has no more to give.
    ///
    /// # Errors
    ///
    /// What the client did wrong. It is final, and a server answers with its
    /// [refusal](HandshakeError::refusal).
    pub fn poll(&mut self, recv: &RecvBuffer) -> Result<Option<Upgrade>, HandshakeError> {
        let Some(scanner) = self.state.as_mut().map_err(|error| *error)? else {
            return Ok(None);
        };
        match read(scanner, recv.unparsed(), &self.config) {
            Ok(None) => Ok(None),
            Ok(Some((head, key))) => {
                self.state = Ok(None);
                Ok(Some(Upgrade {
                    head,
                    key,
                    config: Arc::clone(&self.config),
                    deadline: self.deadline,
                }))
            }
            Err(error) => {
                self.state = Err(error);
                Err(error)
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            Ok(Some(_)) => self.deadline,
            _ => None,
        }
    }

    /// Looks at the clock.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::TimedOut`] when the deadline has come, and what failed before that.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.state = Err(HandshakeError::TimedOut);
        }
        self.state.as_ref().map(|_| ()).map_err(|error| *error)
    }
}

/// A legal request for WebSocket that waits for its answer.
#[derive(Debug)]
pub struct Upgrade {
    head: Head<RequestLine>,
    key: Key,
    config: Arc<Config>,
    deadline: Option<Instant>,
}

/// What a server adds to its consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    /// The subprotocol chosen, one of those offered; `None` chooses none.
    pub subprotocol: Option<String>,
    /// Header fields beside the handshake's own, such as Set-Cookie.
    pub headers: Headers,
}

/// The caller accepts what it cannot.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The subprotocol chosen is none that the client offered (§4.2.2). The request still waits
    /// for an answer.
    SubprotocolNotOffered(Box<Upgrade>),
}

impl Upgrade {
    /// The request, to decide upon.
    ///
    /// # Panics
    ///
    /// If `recv` is not the buffer that the request was read from.
    #[must_use]
    pub fn request<'a>(&'a self, recv: &'a RecvBuffer) -> Request<'a> {
        Request {
            line: &self.head.line,
            bytes: recv.unparsed(),
            fields: self.head.fields(recv.unparsed()),
        }
    }

    /// Agrees: appends the response to `send` and passes over the request. The bytes behind it
    /// are the connection's first.
    ///
    /// # Errors
    ///
    /// [`AcceptError`] if the acceptance does not fit the request; the request can still be
    /// accepted otherwise, or refused.
    ///
    /// # Panics
    ///
    /// If `recv` is not the buffer that the request was read from.
    pub fn accept(
        self,
        now: Instant,
        recv: &mut RecvBuffer,
        acceptance: &Acceptance,
        send: &mut SendBuffer,
    ) -> Result<Connection, AcceptError> {
        let subprotocol = acceptance.subprotocol.as_deref();
        // §4.2.2: the subprotocol chosen is one of the client's.
        let offered = |chosen| self.request(recv).subprotocols().any(|name| name == chosen);
        if !subprotocol.is_none_or(offered) {
            return Err(AcceptError::SubprotocolNotOffered(Box::new(self)));
        }
        send.extend(b"HTTP/1.1 101 Switching Protocols\r\n");
        write_field(send, Field::Upgrade.name(), "websocket");
        write_field(send, Field::Connection.name(), "Upgrade");
        write_field(send, Field::Accept.name(), self.key.accept().as_bytes());
        if let Some(subprotocol) = subprotocol {
            write_field(send, Field::Protocol.name(), subprotocol);
        }
        acceptance.headers.write(send);
        send.extend(b"\r\n");
        recv.consume(self.head.len());
        // A server does not mask, and so has no use for a seed (§5.1).
        let seed = [0; 32];
        Ok(Connection::established(
            Role::Server,
            self.config,
            now,
            seed,
        ))
    }

    /// Refuses: appends the response to `send`. The connection is to be closed when that is
    /// sent, and what the client sends meanwhile is not to be read.
    pub fn refuse(self, refusal: &Refusal, send: &mut SendBuffer) {
        refusal.write(send);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called: the handshake's
    /// deadline is also the decision's.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Looks at the clock.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Undecided`] when the deadline has come.
    pub fn handle_timeout(&self, now: Instant) -> Result<(), HandshakeError> {
        match self.deadline.is_some_and(|deadline| deadline <= now) {
            true => Err(HandshakeError::Undecided),
            false => Ok(()),
        }
    }
}

/// A legal request for WebSocket, borrowed from the receive buffer.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    line: &'a RequestLine,
    bytes: &'a [u8],
    fields: Fields<'a>,
}

impl<'a> Request<'a> {
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

impl AcceptError {
    /// The request, which still waits for its answer.
    #[must_use]
    pub fn into_upgrade(self) -> Upgrade {
        match self {
            Self::SubprotocolNotOffered(upgrade) => *upgrade,
        }
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubprotocolNotOffered(_) => {
                f.write_str("the subprotocol chosen was not offered (RFC 6455 §4.2.2)")
            }
        }
    }
}

impl Error for AcceptError {}

/// Reads the request at the front of `bytes`, if it is whole.
fn read(
    scanner: &mut HeadScanner,
    bytes: &[u8],
    config: &Config,
) -> Result<Option<(Head<RequestLine>, Key)>, HandshakeError> {
    let size = scanner.scan(bytes, config.handshake_size_max, config.headers_max)?;
    let Some(size) = size else {
        return Ok(None);
    };
    let bytes = &bytes[..size];
    let head = Head::request(bytes, scanner)?;
    let key = judge(&head.line, head.fields(bytes), bytes)?;
    Ok(Some((head, key)))
}

/// Tests the request against §4.2.1, in the order that gives the client the most telling answer.
fn judge(line: &RequestLine, fields: Fields<'_>, bytes: &[u8]) -> Result<Key, HandshakeError> {
    // Item 1: a GET request, whose version was seen to by the parser.
    if line.method.of_bytes(bytes) != b"GET" {
        return Err(HandshakeError::Method);
    }
    let (authority, resource) = split_target(line.target.of_str(bytes));
    if !is_target(authority, resource) {
        return Err(HandshakeError::Target);
    }
    // Item 2, and RFC 9112 §3.2: Host, well-formed, and not twice.
    let host = exactly_once(fields, Field::Host)?;
    if !std::str::from_utf8(host).is_ok_and(|host| parse_authority(host).is_ok()) {
        return Err(HandshakeError::Invalid(Field::Host));
    }
    // Where a body ends is where request smuggling begins; a GET has no use for one.
    let mut lengths = fields.all(Field::ContentLength.name());
    if !lengths.all(|length| length == b"0") || fields.first("Transfer-Encoding").is_some() {
        return Err(HandshakeError::Body);
    }
    // Items 3 and 4: lists that have these words, in any case.
    lists(fields, Field::Upgrade, b"websocket")?;
    lists(fields, Field::Connection, b"upgrade")?;
    // Item 6: before the key, which other versions do not have.
    if exactly_once(fields, Field::Version)? != b"13" {
        return Err(HandshakeError::Invalid(Field::Version));
    }
    // Item 5.
    let key = exactly_once(fields, Field::Key)?;
    let key = Key::parse(key).ok_or(HandshakeError::Invalid(Field::Key))?;
    // Item 7. Who decides by the origin must not find it ambiguous, or missing when it is not.
    if let Some(origin) = once(fields, Field::Origin)? {
        let is_visible = |byte: &u8| matches!(byte, b' '..=b'~');
        if origin.is_empty() || !origin.iter().all(is_visible) {
            return Err(HandshakeError::Invalid(Field::Origin));
        }
    }
    judge_subprotocols(fields)?;
    judge_extensions(fields)?;
    Ok(key)
}

/// Item 8, and §4.1, item 10: tokens that are all unique.
fn judge_subprotocols(fields: Fields<'_>) -> Result<(), HandshakeError> {
    let mut offered: Vec<_> = subprotocols(fields).collect();
    let is_offer = fields.first(Field::Protocol.name()).is_some();
    offered.sort_unstable();
    let are_unique = offered.is_sorted_by(|one, next| one != next);
    match offered.is_empty() == is_offer || !are_unique || !offered.iter().all(|p| is_token(p)) {
        true => Err(HandshakeError::Invalid(Field::Protocol)),
        false => Ok(()),
    }
}

/// Item 9, and §9.1: a value that does not obey the grammar fails the handshake.
fn judge_extensions(fields: Fields<'_>) -> Result<(), HandshakeError> {
    let invalid = HandshakeError::Invalid(Field::Extensions);
    for value in fields.all(Field::Extensions.name()) {
        let mut offers = extensions(value).peekable();
        // A list of one or more.
        offers.peek().ok_or(invalid)?;
        offers
            .try_for_each(|offer| offer.map(|_| ()))
            .map_err(|_| invalid)?;
    }
    Ok(())
}

fn subprotocols<'a>(fields: Fields<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    fields.all(Field::Protocol.name()).flat_map(elements)
}

/// Splits a target into the authority, if it is an absolute URL (RFC 9112 §3.2.2), and the rest.
fn split_target(target: &str) -> (Option<&str>, &str) {
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

/// Item 1: a resource name (§3), or an http or https URL that has one. Browsers leave some
/// characters in a query that RFC 3986 would have encoded, so all that are visible pass.
fn is_target(authority: Option<&str>, resource: &str) -> bool {
    let resource_fits = match authority {
        Some(authority) => parse_authority(authority).is_ok(),
        None => resource.starts_with('/'),
    };
    resource_fits && !resource.contains('#')
}
