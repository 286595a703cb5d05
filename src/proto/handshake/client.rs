//! The client's side of the opening handshake ([RFC 6455 §4.1]).
//!
//! The request goes out first, whole; then the answer is read and held against it. The server
//! either agrees, to the letter, or refuses with any other status, which is no error: its
//! response is given to the caller.
//!
//! [RFC 6455 §4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.1

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::proto::accept::{Accept, Key, NONCE_SIZE};
use crate::proto::buffer::{RecvBuffer, SendBuffer};
use crate::proto::config::Config;
use crate::proto::connection::Connection;
use crate::proto::deflate::{DeflateParams, ParamsError, verify_answer};
use crate::proto::extension::extensions;
use crate::proto::frame::Role;
use crate::proto::handshake::body::Body;
use crate::proto::handshake::client_request::ClientRequest;
use crate::proto::handshake::error::{Field, HandshakeError};
use crate::proto::handshake::response::Response;
use crate::proto::handshake::{deadline, exactly_once, lists, once};
use crate::proto::http::{Fields, Head, HeadError, HeadScanner, StatusLine};

/// Waits for a server's answer.
#[derive(Debug)]
pub struct ClientHandshake {
    config: Arc<Config>,
    deadline: Option<Instant>,
    /// What answers our key.
    accept: Accept,
    /// What we offered.
    subprotocols: Vec<String>,
    seed: Seed,
    /// How many interim responses have been passed over.
    interims: usize,
    state: Result<State, HandshakeError>,
}

#[derive(Debug)]
enum State {
    /// The head is yet to end.
    Head(HeadScanner),
    /// The server refused, and its body is yet to end.
    Body(Head<StatusLine>, Body),
    /// The answer was given away.
    Spent,
}

/// What the server said.
#[derive(Debug)]
pub enum Answer {
    /// It agreed.
    Accepted(Accepted),
    /// It answered otherwise: a redirect, a demand for credentials, a fault.
    Refused(Refused),
}

/// The server agreed, and its response obeys every rule.
#[derive(Debug)]
pub struct Accepted {
    head: Head<StatusLine>,
    subprotocol: Option<String>,
    compression: Option<DeflateParams>,
    seed: Seed,
    config: Arc<Config>,
}

/// The server answered otherwise than by 101.
#[derive(Debug)]
pub struct Refused {
    head: Head<StatusLine>,
    body: Vec<u8>,
}

impl ClientHandshake {
    /// Appends the request to `send` and begins to wait for the answer; the handshake's deadline
    /// counts from `now`.
    ///
    /// The nonce and every masking key come from `seed`: it must be unpredictable, and a new one
    /// for each connection (§5.3, §10.3).
    #[must_use]
    pub fn start(
        request: &ClientRequest,
        config: Arc<Config>,
        now: Instant,
        seed: [u8; 32],
        send: &mut SendBuffer,
    ) -> Self {
        // One generator draws both, so that the nonce, which all may see, and the seed of the
        // masking keys are different parts of one stream.
        let mut generator = StdRng::from_seed(seed);
        let mut nonce = [0; NONCE_SIZE];
        generator.fill_bytes(&mut nonce);
        let mut seed = Seed([0; 32]);
        generator.fill_bytes(&mut seed.0);

        let key = Key::new(nonce);
        request.write(&key, config.compression.as_ref(), send);
        Self {
            deadline: deadline(&config, now),
            config,
            accept: key.accept(),
            subprotocols: request.subprotocols().map(str::to_owned).collect(),
            seed,
            interims: 0,
            state: Ok(State::Head(HeadScanner::default())),
        }
    }

    /// Reads what `recv` holds. `None` asks for more bytes; once it gave an [`Answer`] it has no
    /// more to give. Interim responses, any 1xx but 101, are passed over.
    ///
    /// A refusal is given with its body: when that has ended, or 4 KiB of it have come.
    ///
    /// # Errors
    ///
    /// What the server did wrong. It is final, and the connection is to be closed.
    pub fn poll(&mut self, recv: &mut RecvBuffer) -> Result<Option<Answer>, HandshakeError> {
        let answer = self.advance(recv);
        if let Err(error) = answer {
            self.state = Err(error);
        }
        answer
    }

    /// The server's bytes have ended, which may be how a refusal's body ends.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll), and [`HandshakeError::EndOfFile`] before there is an answer.
    pub fn handle_eof(&mut self, recv: &mut RecvBuffer) -> Result<Option<Answer>, HandshakeError> {
        match self.poll(recv)? {
            None if matches!(self.state, Ok(State::Head(_))) => {
                self.state = Err(HandshakeError::EndOfFile);
                Err(HandshakeError::EndOfFile)
            }
            None => Ok(self.refused()),
            answer => Ok(answer),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            Ok(State::Head(_)) => self.deadline,
            Ok(State::Body(_, body)) if !body.is_done() => self.deadline,
            _ => None,
        }
    }

    /// Looks at the clock. A refusal whose body is late is given by the next
    /// [`poll`](Self::poll) with what has come of it.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::TimedOut`] when the deadline has come, and what failed before that.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        let is_due = self.poll_timeout().is_some_and(|deadline| deadline <= now);
        match &mut self.state {
            Ok(State::Body(_, body)) if is_due => body.end(),
            Ok(State::Head(_)) if is_due => self.state = Err(HandshakeError::TimedOut),
            _ => {}
        }
        self.state.as_ref().map(|_| ()).map_err(|error| *error)
    }

    fn advance(&mut self, recv: &mut RecvBuffer) -> Result<Option<Answer>, HandshakeError> {
        loop {
            match &mut self.state {
                Err(error) => return Err(*error),
                Ok(State::Spent) => return Ok(None),
                Ok(State::Head(scanner)) => {
                    let (size_max, fields_max) =
                        (self.config.handshake_size_max, self.config.headers_max);
                    let size = scanner.scan(recv.unparsed(), size_max, fields_max)?;
                    let Some(size) = size else {
                        return Ok(None);
                    };
                    let bytes = &recv.unparsed()[..size];
                    let head = Head::response(bytes, scanner)?;
                    let fields = head.fields(bytes);
                    match head.line.status {
                        101 => {
                            let (compression, subprotocol) = self.verify(&head.line, fields)?;
                            self.state = Ok(State::Spent);
                            return Ok(Some(Answer::Accepted(Accepted {
                                subprotocol,
                                compression,
                                head,
                                seed: self.seed,
                                config: Arc::clone(&self.config),
                            })));
                        }
                        // RFC 9110 §15.2: a client must be able to read past interim responses.
                        100..=199 if self.interims < INTERIMS_MAX => {
                            self.interims += 1;
                            recv.consume(size);
                            self.state = Ok(State::Head(HeadScanner::default()));
                        }
                        100..=199 => return Err(HandshakeError::TooManyInterims),
                        status => {
                            let body = Body::new(status, fields)?;
                            self.state = Ok(State::Body(head, body));
                        }
                    }
                }
                Ok(State::Body(head, body)) => {
                    body.read(&recv.unparsed()[head.len()..]);
                    return Ok(match body.is_done() {
                        true => self.refused(),
                        false => None,
                    });
                }
            }
        }
    }

    /// Gives the refusal away with what has come of its body.
    fn refused(&mut self) -> Option<Answer> {
        match mem::replace(&mut self.state, Ok(State::Spent)) {
            Ok(State::Body(head, body)) => {
                let body = body.into_data();
                Some(Answer::Refused(Refused { head, body }))
            }
            state => {
                self.state = state;
                None
            }
        }
    }

    /// Holds a 101 against §4.1, the last list; gives the compression and the subprotocol chosen.
    fn verify(
        &self,
        line: &StatusLine,
        fields: Fields<'_>,
    ) -> Result<(Option<DeflateParams>, Option<String>), HandshakeError> {
        // RFC 9110 §7.8: there is no Upgrade in HTTP/1.0.
        if !line.is_http_1_1 {
            return Err(HandshakeError::Head(HeadError::Version));
        }
        // Item 2: exactly this value, while a request may list more.
        if !exactly_once(fields, Field::Upgrade)?.eq_ignore_ascii_case(b"websocket") {
            return Err(HandshakeError::Invalid(Field::Upgrade));
        }
        // Item 3.
        lists(fields, Field::Connection, b"upgrade")?;
        // Item 4: the proof that the server read this request, and as WebSocket.
        if exactly_once(fields, Field::Accept)? != self.accept.as_bytes() {
            return Err(HandshakeError::Invalid(Field::Accept));
        }
        // Item 5: no extension that was not offered.
        let compression = once(fields, Field::Extensions)?
            .map(|value| self.verify_extensions(value))
            .transpose()?;
        // Item 6: no subprotocol that was not offered, and names are told apart by case.
        let Some(chosen) = once(fields, Field::Protocol)? else {
            return Ok((compression, None));
        };
        let mut offered = self.subprotocols.iter();
        match offered.find(|name| name.as_bytes() == chosen) {
            Some(name) => Ok((compression, Some(name.clone()))),
            None => Err(HandshakeError::SubprotocolNotOffered),
        }
    }

    /// What the server agreed to: compression is all that we may have offered, and once.
    fn verify_extensions(&self, value: &[u8]) -> Result<DeflateParams, HandshakeError> {
        let mut answers = extensions(value);
        let Some(Ok(answer)) = answers.next() else {
            return Err(HandshakeError::Invalid(Field::Extensions));
        };
        let Some(settings) = &self.config.compression else {
            return Err(HandshakeError::ExtensionNotOffered);
        };
        let params = verify_answer(settings, &answer).map_err(|error| match error {
            ParamsError::NotOffered => HandshakeError::ExtensionNotOffered,
            ParamsError::Illegal => HandshakeError::ExtensionParams,
        })?;
        match answers.next() {
            None => Ok(params),
            Some(Ok(_)) => Err(HandshakeError::ExtensionNotOffered),
            Some(Err(_)) => Err(HandshakeError::Invalid(Field::Extensions)),
        }
    }
}

impl Accepted {
    /// The server's response.
    ///
    /// # Panics
    ///
    /// If `recv` is not the buffer that the response was read from.
    #[must_use]
    pub fn response<'a>(&'a self, recv: &'a RecvBuffer) -> Response<'a> {
        Response::new(&self.head, recv.unparsed(), &[])
    }

    /// The subprotocol that the server chose, one of those offered.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The compression that was agreed to, if any was.
    #[must_use]
    pub fn compression(&self) -> Option<&DeflateParams> {
        self.compression.as_ref()
    }

    /// Passes over the response. The bytes behind it are the connection's first.
    ///
    /// # Panics
    ///
    /// If `recv` is not the buffer that the response was read from.
    #[must_use]
    pub fn open(self, now: Instant, recv: &mut RecvBuffer) -> Connection {
        recv.consume(self.head.len());
        let connection = Connection::established(Role::Client, self.config, now, self.seed.0);
        match self.compression {
            Some(params) => connection.with_compression(params),
            None => connection,
        }
    }
}

impl Refused {
    /// The server's response, and the start of its body.
    ///
    /// # Panics
    ///
    /// If `recv` is not the buffer that the response was read from.
    #[must_use]
    pub fn response<'a>(&'a self, recv: &'a RecvBuffer) -> Response<'a> {
        Response::new(&self.head, recv.unparsed(), &self.body)
    }
}

/// What the masking keys are drawn from: shown to nobody.
#[derive(Clone, Copy)]
struct Seed([u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// The interim responses at most: servers send one, for early hints, or two.
const INTERIMS_MAX: usize = 8;
