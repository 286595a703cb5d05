//! A handle on one connection, for any thread and for as long as one likes: it may outlive its
//! connection, and then says so.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::net::peer::ConnectionId;
use crate::net::remote::{OwnedMessage, Remote, RemoteError};
use crate::proto::CloseCode;

/// Reaches one connection from any thread, also when it is over: then every call answers
/// [`RemoteError::Ended`].
///
/// A connection costs nothing for the handles that it might have; it begins to with the first
/// call of [`Peer::handle`](crate::net::Peer::handle).
#[derive(Clone)]
pub struct Handle {
    id: ConnectionId,
    remote: Remote,
    life: Life,
}

impl Handle {
    pub(super) fn new(id: ConnectionId, remote: Remote, life: Life) -> Self {
        Self { id, remote, life }
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whether the connection has ended, so far as its loop has noticed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.life.has_ended()
    }

    /// Has `message` sent. Messages keep their order.
    ///
    /// # Errors
    ///
    /// When the connection has ended, the mailbox is full, or the loop is gone. What was taken
    /// and finds the connection ended comes to
    /// [`Handler::undelivered`](crate::net::Handler::undelivered).
    pub fn send(&self, message: OwnedMessage) -> Result<(), RemoteError> {
        match self.has_ended() {
            true => Err(RemoteError::Ended),
            false => self.remote.send(self.id, message),
        }
    }

    /// Has [`Handler::called`](crate::net::Handler::called) called, in the loop's thread.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn call(&self) -> Result<(), RemoteError> {
        match self.has_ended() {
            true => Err(RemoteError::Ended),
            false => self.remote.call(self.id),
        }
    }

    /// Has the connection subscribe to a topic.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn subscribe(&self, topic: &str) -> Result<(), RemoteError> {
        self.send(OwnedMessage::Subscribe(topic.to_owned()))
    }

    /// Has a subscription of the connection end.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn unsubscribe(&self, topic: &str) -> Result<(), RemoteError> {
        self.send(OwnedMessage::Unsubscribe(topic.to_owned()))
    }

    /// Has the closing handshake begun.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), RemoteError> {
        self.send(OwnedMessage::Close(Some((code, reason.to_owned()))))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.id)
            .field("ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

/// Whether a connection has ended: written once, by its loop.
#[derive(Clone, Debug, Default)]
pub(super) struct Life(Arc<AtomicBool>);

impl Life {
    pub(super) fn end(&self) {
        // Nothing else is told by it, so that nothing has to be ordered with it.
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
