//! What a program brings: its answers to what happens on its connections.

use std::time::Duration;

use crate::net::decision::{Asking, Decision};
use crate::net::end::End;
use crate::net::incoming::Incoming;
use crate::net::peer::{ConnectionId, Peer};
use crate::net::remote::{OwnedMessage, Undelivered};
use crate::proto::{
    Acceptance, Chunk, Close, Kind, Page, Refusal, Request, Response, Role, SendError, Status,
};

/// The program's side of an event loop: called for everything that happens, in the loop's thread.
///
/// The order for one connection: [`request`](Self::request) (a server) or
/// [`response`](Self::response) (a client); [`open`](Self::open); messages and the like;
/// [`end`](Self::end), always, once, and last. What a callback sends leaves when the readiness
/// event that caused it has been handled, together with all else it led to. Any callback may
/// [close](Peer::close) the connection.
///
/// A closure over `(&mut Peer, Message)` is a handler that accepts every request.
pub trait Handler {
    /// What the program keeps for each connection. It lies within the loop's own table, so a
    /// large one is better boxed.
    type Connection;

    /// A client asks `request` of us as a server: whether it is accepted, and what is kept for
    /// its connection. Nothing has been answered yet, and it may be decided
    /// [later](Asking::later). The default is to refuse, with 404: so a handler of clients need
    /// not write it.
    ///
    /// # Errors
    ///
    /// The answer that refuses.
    fn request(
        &mut self,
        request: &Request<'_>,
        asking: &Asking<'_>,
    ) -> Result<Decision<Self::Connection>, Refusal> {
        let _ = (request, asking);
        Err(Refusal::new(Status::NOT_FOUND))
    }

    /// A client asks a page of us, by GET or HEAD, and not WebSocket: a health check, someone who
    /// reads metrics, a person with a browser. The connection ends behind the answer. The default
    /// is `None`: this server has no pages, and says with 426 what it has.
    fn page(&mut self, request: &Request<'_>, asking: &Asking<'_>) -> Option<Page> {
        let _ = (request, asking);
        None
    }

    /// A server answered the request of ours: with 101, or with what it says instead.
    fn response(&mut self, connection: &mut Self::Connection, response: &Response<'_>) {
        let _ = (connection, response);
    }

    /// The connection is open; from now on messages may be sent.
    fn open(&mut self, connection: &mut Self::Connection, peer: &mut Peer<'_>) {
        let _ = (connection, peer);
    }

    /// Bytes came, and the next of them that are not parsed begin a message, or what stands between
    /// two: a handler that knows which messages are to come, as a client does that is sent back what
    /// it sent, may [take](Incoming::take) them here. The default takes nothing, and costs nothing.
    #[inline]
    fn incoming(
        &mut self,
        connection: &mut Self::Connection,
        peer: &mut Peer<'_>,
        incoming: &mut Incoming<'_>,
    ) {
        let _ = (connection, peer, incoming);
    }

    /// A message, or a piece of one.
    ///
    /// # Errors
    ///
    /// What sending answered, passed on by `?`. [`SendError::Closed`] is nothing to do about;
    /// after any other the connection is closed with 1011, so a handler that knows better what
    /// to do about a [full queue](SendError::QueueFull) does it itself.
    fn message(
        &mut self,
        connection: &mut Self::Connection,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError>;

    /// A Ping came; its Pong is queued already.
    fn ping(&mut self, connection: &mut Self::Connection, peer: &mut Peer<'_>, payload: &[u8]) {
        let _ = (connection, peer, payload);
    }

    /// A Pong came.
    fn pong(&mut self, connection: &mut Self::Connection, peer: &mut Peer<'_>, payload: &[u8]) {
        let _ = (connection, peer, payload);
    }

    /// The peer's Close frame came; the reply is queued already.
    fn closing(
        &mut self,
        connection: &mut Self::Connection,
        peer: &mut Peer<'_>,
        close: Option<Close<'_>>,
    ) {
        let _ = (connection, peer, close);
    }

    /// All that was queued has gone to the operating system: the time to send the next part of
    /// something long.
    fn flushed(&mut self, connection: &mut Self::Connection, peer: &mut Peer<'_>) {
        let _ = (connection, peer);
    }

    /// Another thread [asked](crate::net::Remote::call) for this call.
    fn called(&mut self, connection: &mut Self::Connection, peer: &mut Peer<'_>) {
        let _ = (connection, peer);
    }

    /// A message that a [`Remote`](crate::net::Remote) accepted could not be queued.
    fn undelivered(&mut self, id: ConnectionId, message: OwnedMessage, why: Undelivered) {
        let _ = (id, message, why);
    }

    /// Bytes passed, as they are on the wire beneath the protocol (above TLS, where there is
    /// TLS): what the other end sent, before anything is unmasked, or what the operating system
    /// took of ours. For those who show or record a connection; it costs nothing unless written.
    ///
    /// It begins with the first byte of the opening handshake. A connection that asks for a page
    /// is no exception.
    #[inline]
    fn wire(&mut self, id: ConnectionId, sender: Role, bytes: &[u8]) {
        let _ = (id, sender, bytes);
    }

    /// A client's connection was lost, or an attempt failed, and its
    /// [`reconnect`](crate::net::ConnectOptions::reconnect) says that it is time to try again, in
    /// a while, after `delay`: whether to do so. If so, there is no [`end`](Self::end) yet, and the next
    /// connection, under another name, is told of by [`open`](Self::open): the place to subscribe
    /// anew to whatever was subscribed to. The default is to try again if that
    /// [may help](End::may_pass).
    fn lost(&mut self, connection: &mut Self::Connection, end: &End, delay: Duration) -> bool {
        let _ = (connection, delay);
        end.may_pass()
    }

    /// The end, of a connection or of an attempt at one.
    ///
    /// A server keeps nothing for a connection that it has not accepted: there `connection` is
    /// `None`.
    fn end(&mut self, connection: Option<Self::Connection>, end: &End) {
        let _ = (connection, end);
    }
}

/// A message, as a handler receives it and as a [`Peer`] sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A piece of a message: comes only where [`Delivery::Chunks`](crate::proto::Delivery) is
    /// asked for, and is sent as a fragment.
    Chunk(Chunk<'a>),
}

impl<'a> Message<'a> {
    /// Its bytes, or those of the piece.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        match *self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
            Self::Chunk(chunk) => chunk.data,
        }
    }

    /// Of which kind the message is that is all there with this; `None` if more pieces follow.
    pub(super) fn completes(&self) -> Option<Kind> {
        match self {
            Self::Text(_) => Some(Kind::Text),
            Self::Binary(_) => Some(Kind::Binary),
            Self::Chunk(chunk) => chunk.last.then_some(chunk.kind),
        }
    }
}

impl<F> Handler for F
where
    F: FnMut(&mut Peer<'_>, Message<'_>) -> Result<(), SendError>,
{
    type Connection = ();

    fn request(
        &mut self,
        _: &Request<'_>,
        _: &Asking<'_>,
    ) -> Result<Decision<Self::Connection>, Refusal> {
        Ok(Decision::Accept(Acceptance::default(), ()))
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        self(peer, message)
    }
}
