//! A client that blocks: for scripts, tests, and threads that have nothing else to wait for.
//!
//! It is an event loop with one connection, which runs while a call lasts, in the caller's thread.
//! So pings are answered, and what a slow caller has not fetched stays where it bounds the server,
//! in the socket; but between calls nothing happens. Who is to stay connected while doing something
//! else calls [`receive_timeout`](Client::receive_timeout) now and then, or has an
//! [`EventLoop`] of its own.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::net::config::LoopConfig;
use crate::net::connect::ConnectOptions;
use crate::net::end::{End, EndWhy};
use crate::net::event_loop::EventLoop;
use crate::net::handler::{Handler, Message};
use crate::net::peer::{ConnectionId, Peer};
use crate::net::remote::{OwnedMessage, RemoteError, Undelivered};
use crate::proto::{ClientRequest, CloseCode, ClosedWhy, Response, SendError, UrlError};

/// How long a server may take to close its side when all is said.
const PARTING: Duration = Duration::from_secs(1);

/// A connection to a server, for a thread of its own.
///
/// ```no_run
/// use openline::net::{Client, OwnedMessage};
///
/// let mut client = Client::connect("wss://example.com/chat")?;
/// client.send_text("hello")?;
/// while let Some(message) = client.receive()? {
///     if let OwnedMessage::Text(text) = message {
///         println!("{text}");
///     }
/// }
/// # Ok::<(), openline::net::ClientError>(())
/// ```
#[derive(Debug)]
pub struct Client {
    event_loop: EventLoop<Inbox>,
}

/// What a blocking client could not do.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL cannot be read.
    Url(UrlError),
    /// There was no connection, or it ended otherwise than by the closing handshake. The end is
    /// there once; [`Client::is_open`] says so afterwards.
    Ended(Box<End>),
    /// The connection has ended before.
    Closed,
    /// It took too long. The connection is as it was.
    TimedOut,
    /// The message cannot be sent.
    Send(SendError),
    /// The operating system is at its end.
    Io(io::Error),
}

impl Client {
    /// Connects, with all that is left open as it is by default.
    ///
    /// # Errors
    ///
    /// [`ClientError::Url`], and [`ClientError::Ended`] when there is no connection.
    pub fn connect(url: &str) -> Result<Self, ClientError> {
        let url = url.parse().map_err(ClientError::Url)?;
        let request = ClientRequest::new(url);
        Self::connect_with(request, &ConnectOptions::default(), LoopConfig::default())
    }

    /// The same, with a say in all of it. It does not connect again by itself; the first attempt
    /// may take as long as the options and the configuration let it.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_with(
        request: ClientRequest,
        options: &ConnectOptions,
        config: LoopConfig,
    ) -> Result<Self, ClientError> {
        let options = ConnectOptions {
            reconnect: None,
            ..options.clone()
        };
        let mut event_loop = EventLoop::new(Inbox::default(), config)?;
        event_loop.connect_with(request, &options, ())?;
        let mut client = Self { event_loop };
        client.wait(None, |inbox| inbox.open.is_some())?;
        Ok(client)
    }

    /// The subprotocol that the server chose.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.event_loop.handler().subprotocol.as_deref()
    }

    /// Whether there is a connection, as far as is known since the last call.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.event_loop.handler().open.is_some()
    }

    /// Sends a text message, and returns when the operating system has it all.
    ///
    /// # Errors
    ///
    /// When the connection has ended, or ends over it.
    pub fn send_text(&mut self, text: &str) -> Result<(), ClientError> {
        self.send(OwnedMessage::Text(text.to_owned()))
    }

    /// Sends a binary message, and returns when the operating system has it all.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub fn send_binary(&mut self, data: &[u8]) -> Result<(), ClientError> {
        self.send(OwnedMessage::Binary(data.to_owned()))
    }

    /// Sends a Ping and waits for its Pong; returns how long that took.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text), and [`ClientError::TimedOut`].
    pub fn ping(&mut self, timeout: Duration) -> Result<Duration, ClientError> {
        let start = Instant::now();
        let pongs = self.event_loop.handler().pongs;
        self.send(OwnedMessage::Ping(Vec::new()))?;
        self.wait(Some(start + timeout), |inbox| inbox.pongs > pongs)?;
        Ok(start.elapsed())
    }

    /// The next message, text or binary; waits until there is one. `None` once the connection is
    /// closed in order.
    ///
    /// # Errors
    ///
    /// When the connection ends otherwise.
    pub fn receive(&mut self) -> Result<Option<OwnedMessage>, ClientError> {
        self.receive_until(None)
    }

    /// The same, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive), and [`ClientError::TimedOut`].
    pub fn receive_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<OwnedMessage>, ClientError> {
        self.receive_until(Some(Instant::now() + timeout))
    }

    /// Closes with this code and reason, and waits for the server to agree; messages that come
    /// before that can still be [received](Self::receive).
    ///
    /// # Errors
    ///
    /// When the connection ends otherwise; not when it has been closed before.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), ClientError> {
        if let Some(id) = self.event_loop.handler().open {
            let close = OwnedMessage::Close(Some((code, reason.to_owned())));
            self.post(id, close)?;
        }
        let closed = match self.wait(None, |_| false) {
            Err(ClientError::Closed) => Ok(()),
            closed => closed,
        };
        // The server is to close its side first, and has a moment for it.
        let until = Instant::now() + PARTING;
        while self.event_loop.has_connections() && Instant::now() < until {
            self.event_loop.turn(Some(until))?;
        }
        closed
    }

    fn receive_until(
        &mut self,
        until: Option<Instant>,
    ) -> Result<Option<OwnedMessage>, ClientError> {
        let waited = self.wait(until, |inbox| !inbox.messages.is_empty());
        let message = self.event_loop.handler_mut().messages.pop_front();
        match (message, waited) {
            (Some(message), _) => Ok(Some(message)),
            (None, Err(ClientError::Closed)) => Ok(None),
            (None, waited) => waited.map(|()| None),
        }
    }

    fn send(&mut self, message: OwnedMessage) -> Result<(), ClientError> {
        let id = self.event_loop.handler().open.ok_or(ClientError::Closed)?;
        self.event_loop.handler_mut().flushed = false;
        self.post(id, message)?;
        self.wait(None, |inbox| inbox.flushed || inbox.refused.is_some())?;
        match self.event_loop.handler_mut().refused.take() {
            None => Ok(()),
            Some(Undelivered::Send(error)) => Err(ClientError::Send(error)),
            Some(_) => Err(ClientError::Closed),
        }
    }

    fn post(&self, id: ConnectionId, message: OwnedMessage) -> Result<(), ClientError> {
        let posted = self.event_loop.remote().send(id, message);
        posted.map_err(|error| match error {
            RemoteError::Wake(error) => ClientError::Io(error),
            error => ClientError::Io(io::Error::other(error)),
        })
    }

    /// Runs the loop until `is_done`, or until there is no connection.
    fn wait(
        &mut self,
        until: Option<Instant>,
        is_done: impl Fn(&Inbox) -> bool,
    ) -> Result<(), ClientError> {
        while !is_done(self.event_loop.handler()) {
            let inbox = self.event_loop.handler_mut();
            if inbox.has_ended {
                return match inbox.end.take() {
                    Some(end) if !is_orderly(&end) => Err(ClientError::Ended(Box::new(end))),
                    _ => Err(ClientError::Closed),
                };
            }
            self.event_loop.turn(until)?;
            if until.is_some_and(|until| until <= Instant::now())
                && !is_done(self.event_loop.handler())
            {
                return Err(ClientError::TimedOut);
            }
        }
        Ok(())
    }
}

fn is_orderly(end: &End) -> bool {
    let EndWhy::Closed(closed) = &end.why else {
        return false;
    };
    matches!(closed.why, ClosedWhy::Handshake { .. })
}

/// What has come, and not been fetched.
#[derive(Debug, Default)]
struct Inbox {
    messages: VecDeque<OwnedMessage>,
    /// While there is a connection.
    open: Option<ConnectionId>,
    subprotocol: Option<String>,
    pongs: u64,
    flushed: bool,
    refused: Option<Undelivered>,
    has_ended: bool,
    /// How, until it was told.
    end: Option<End>,
}

impl Handler for Inbox {
    type Connection = ();

    fn response(&mut self, (): &mut (), response: &Response<'_>) {
        let subprotocol = response.header_str("Sec-WebSocket-Protocol");
        self.subprotocol = subprotocol.map(str::to_owned);
    }

    fn open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.open = Some(peer.id());
    }

    fn message(
        &mut self,
        (): &mut (),
        _: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        self.messages.push_back(match message {
            Message::Text(text) => OwnedMessage::Text(text.to_owned()),
            Message::Binary(data) => OwnedMessage::Binary(data.to_owned()),
            Message::Chunk(chunk) => OwnedMessage::Binary(chunk.data.to_owned()),
        });
        Ok(())
    }

    fn pong(&mut self, (): &mut (), _: &mut Peer<'_>, _: &[u8]) {
        self.pongs += 1;
    }

    fn flushed(&mut self, (): &mut (), _: &mut Peer<'_>) {
        self.flushed = true;
    }

    fn undelivered(&mut self, _: ConnectionId, _: OwnedMessage, why: Undelivered) {
        self.refused = Some(why);
    }

    fn end(&mut self, _: Option<()>, end: &End) {
        self.open = None;
        self.has_ended = true;
        self.end = Some(end.duplicate());
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Ended(end) => end.why.fmt(f),
            Self::Closed => f.write_str("the connection has ended"),
            Self::TimedOut => f.write_str("it took too long"),
            Self::Send(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::Ended(end) => Some(&end.why),
            Self::Send(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Closed | Self::TimedOut => None,
        }
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
