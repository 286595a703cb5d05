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
use crate::proto::deflate::accept_offer;
use crate::proto::extension::extensions;
use crate::proto::frame::Role;
use crate::proto::handshake::error::{Field, HandshakeError};
use crate::proto::handshake::headers::{Headers, write_field};
use crate::proto::handshake::page::{PageRequest, is_for_websocket, is_get};
use crate::proto::handshake::refusal::Refusal;
use crate::proto::handshake::request::{Request, split_target, subprotocols};
use crate::proto::handshake::{deadline, exactly_once, lists, once};
use crate::proto::http::{Fields, Head, HeadScanner, RequestLine, is_token};
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
    /// What the client did wrong, if only that it asks for a page and not for WebSocket. It is
    /// final, and a server answers with its [refusal](HandshakeError::refusal).
    pub fn poll(&mut self, recv: &RecvBuffer) -> Result<Option<Upgrade>, HandshakeError> {
        match self.poll_incoming(recv)? {
            None => Ok(None),
            Some(Incoming::Upgrade(upgrade)) => Ok(Some(upgrade)),
            Some(Incoming::Page(page)) => {
                self.state = Err(page.lack());
                Err(page.lack())
            }
        }
    }

    /// As [`poll`](Self::poll), for a server that answers ordinary requests too.
    ///
    /// # Errors
    ///
    /// What the client did wrong, finally.
    pub fn poll_incoming(&mut self, recv: &RecvBuffer) -> Result<Option<Incoming>, HandshakeError> {
        let Some(scanner) = self.state.as_mut().map_err(|error| *error)? else {
            return Ok(None);
        };
        match read(scanner, recv.unparsed(), &self.config) {
            Ok(None) => Ok(None),
            Ok(Some((head, key))) => {
                self.state = Ok(None);
                Ok(Some(match key {
                    Some(key) => Incoming::Upgrade(Upgrade {
                        head,
                        key,
                        config: Arc::clone(&self.config),
                        deadline: self.deadline,
                    }),
                    None => Incoming::Page(PageRequest::new(head, recv.unparsed())),
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

/// A legal request that waits for its answer.
#[derive(Debug)]
pub enum Incoming {
    /// It asks for WebSocket.
    Upgrade(Upgrade),
    /// It asks for a page: GET or HEAD, and no body.
    Page(PageRequest),
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
    /// Declines the compression that [`Config::compression`] would agree to: for a client whose
    /// messages hold secrets beside what a stranger chooses.
    pub uncompressed: bool,
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
        Request::new(&self.head, recv.unparsed())
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
        let compression = self
            .config
            .compression
            .as_ref()
            .filter(|_| !acceptance.uncompressed)
            .and_then(|settings| accept_offer(settings, self.request(recv).extensions()));
        send.extend(b"HTTP/1.1 101 Switching Protocols\r\n");
        write_field(send, Field::Upgrade.name(), "websocket");
        write_field(send, Field::Connection.name(), "Upgrade");
        write_field(send, Field::Accept.name(), self.key.accept().as_bytes());
        if let Some(subprotocol) = subprotocol {
            write_field(send, Field::Protocol.name(), subprotocol);
        }
        if let Some(answer) = compression {
            write_field(send, Field::Extensions.name(), answer.to_string());
        }
        acceptance.headers.write(send);
        send.extend(b"\r\n");
        recv.consume(self.head.len());
        // A server does not mask, and so has no use for a seed (§5.1).
        let seed = [0; 32];
        let connection = Connection::established(Role::Server, self.config, now, seed);
        Ok(match compression {
            Some(answer) => connection.with_compression(answer.params),
            None => connection,
        })
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

/// A request that obeys every rule; without a key, it asks for a page.
type Judged = (Head<RequestLine>, Option<Key>);

/// Reads the request at the front of `bytes`, if it is whole.
fn read(
    scanner: &mut HeadScanner,
    bytes: &[u8],
    config: &Config,
) -> Result<Option<Judged>, HandshakeError> {
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
/// `None`: it does not ask for WebSocket, and obeys what is asked of any request.
fn judge(
    line: &RequestLine,
    fields: Fields<'_>,
    bytes: &[u8],
) -> Result<Option<Key>, HandshakeError> {
    // Item 1: a GET request, whose version was seen to by the parser. Who wants but a page may
    // ask for its head alone.
    let is_for_page = !is_for_websocket(fields);
    if !(is_get(line, bytes) || is_for_page && line.method.of_bytes(bytes) == b"HEAD") {
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
    if is_for_page {
        judge_origin(fields)?;
        return Ok(None);
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
    judge_origin(fields)?;
    judge_subprotocols(fields)?;
    judge_extensions(fields)?;
    Ok(Some(key))
}

/// Item 7. Who decides by the origin must not find it ambiguous, or missing when it is not.
fn judge_origin(fields: Fields<'_>) -> Result<(), HandshakeError> {
    let Some(origin) = once(fields, Field::Origin)? else {
        return Ok(());
    };
    let is_visible = |byte: &u8| matches!(byte, b' '..=b'~');
    match !origin.is_empty() && origin.iter().all(is_visible) {
        true => Ok(()),
        false => Err(HandshakeError::Invalid(Field::Origin)),
    }
}

/// Item 8, and §4.1, item 10: tokens that are all different.
fn judge_subprotocols(fields: Fields<'_>) -> Result<(), HandshakeError> {
    if fields.first(Field::Protocol.name()).is_none() {
        return Ok(());
    }
    let mut offers: Vec<_> = subprotocols(fields).collect();
    offers.sort_unstable();
    let are_different = offers.windows(2).all(|pair| pair[0] != pair[1]);
    let are_tokens = offers.iter().all(|offer| is_token(offer));
    match !offers.is_empty() && are_tokens && are_different {
        true => Ok(()),
        false => Err(HandshakeError::Invalid(Field::Protocol)),
    }
}

/// Item 9, and §9.1: a value that does not obey the grammar fails the handshake.
fn judge_extensions(fields: Fields<'_>) -> Result<(), HandshakeError> {
    for value in fields.all(Field::Extensions.name()) {
        let mut offers = extensions(value).peekable();
        if offers.peek().is_none() || offers.any(|offer| offer.is_err()) {
            return Err(HandshakeError::Invalid(Field::Extensions));
        }
    }
    Ok(())
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
