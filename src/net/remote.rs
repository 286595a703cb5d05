//! Reaching loops from other threads.
//!
//! Nothing is lost in silence: a full mailbox and a loop that is gone are answered at once, and
//! what can no longer be delivered comes to
//! [`Handler::undelivered`](crate::net::Handler::undelivered).

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::net::mailbox::{Content, Item, Letter, Mailbox};
use crate::net::metrics::{Counters, Metrics};
use crate::net::peer::ConnectionId;
use crate::net::topics::SubscribeError;
use crate::proto::{CloseCode, Prepared, SendError};

/// A message on its way from another thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnedMessage {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A message that was encoded once for many.
    Prepared(Prepared),
    /// A Ping.
    Ping(Vec<u8>),
    /// No message, but a subscription of the connection to this topic.
    Subscribe(String),
    /// No message, but the end of a subscription.
    Unsubscribe(String),
    /// The closing handshake's beginning; without a code, if there is none to give.
    Close(Option<(CloseCode, String)>),
}

/// Reaches an event loop, or all loops of a [group](crate::net::Threads), from any thread.
#[derive(Clone, Debug)]
pub struct Remote {
    group: Arc<[Mailbox]>,
}

impl Remote {
    /// Has `message` sent to the connection `id`. Messages to one connection keep their order.
    ///
    /// # Errors
    ///
    /// When the mailbox is full, or the loop is gone.
    pub fn send(&self, id: ConnectionId, message: OwnedMessage) -> Result<(), RemoteError> {
        self.post(id, Content::Message(message))
    }

    /// Has [`Handler::called`](crate::net::Handler::called) called for the connection `id`, in
    /// the loop's thread, if it is open by then: for those who keep their messages themselves
    /// and have them fetched as fast as the peer reads.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn call(&self, id: ConnectionId) -> Result<(), RemoteError> {
        self.post(id, Content::Call)
    }

    fn post(&self, id: ConnectionId, content: Content) -> Result<(), RemoteError> {
        let mailbox = self.mailbox_of(id)?;
        mailbox.put(|post| {
            if post.items.len() >= mailbox.items_max {
                return Err(RemoteError::Full);
            }
            post.items.push(Item::Letter(Letter { id, content }));
            Ok(())
        })
    }

    /// Posts what is bounded otherwise, as decisions are by the connections that await them.
    pub(super) fn post_always(&self, letter: Letter) -> Result<(), RemoteError> {
        self.mailbox_of(letter.id)?.put(|post| {
            post.items.push(Item::Letter(letter));
            Ok(())
        })
    }

    /// The mailbox of the loop that has this connection; a name from another group may have none.
    fn mailbox_of(&self, id: ConnectionId) -> Result<&Mailbox, RemoteError> {
        self.group
            .get(usize::from(id.number))
            .ok_or(RemoteError::Gone)
    }

    /// Has the closing handshake with the connection `id` begun.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn close(
        &self,
        id: ConnectionId,
        code: CloseCode,
        reason: &str,
    ) -> Result<(), RemoteError> {
        self.send(id, OwnedMessage::Close(Some((code, reason.to_owned()))))
    }

    /// Has a message sent to everyone who subscribes to `topic`, in every loop. It leaves together
    /// with all else that is published in the same turn of its loop.
    ///
    /// # Errors
    ///
    /// When a mailbox is full, or every loop is gone. The loops whose mailboxes are not full
    /// have it all the same; for the subscribers of the others it [counts](crate::net::End::dropped)
    /// as dropped.
    pub fn publish(&self, topic: &str, message: &Prepared) -> Result<(), RemoteError> {
        let topic: Arc<str> = topic.into();
        let mut result = Err(RemoteError::Gone);
        for mailbox in &*self.group {
            let news = [(Arc::clone(&topic), message.clone())];
            match mailbox.put_news(&news) {
                Err(RemoteError::Gone) => {}
                Ok(()) if result.is_ok() || matches!(result, Err(RemoteError::Gone)) => {
                    result = Ok(());
                }
                Ok(()) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Has the loops stop: no connection is accepted any more, those that are open are closed with
    /// 1001, and [`run`](crate::net::EventLoop::run) returns when they are gone or
    /// [`shutdown_timeout`](crate::net::LoopConfig::shutdown_timeout) has passed.
    ///
    /// Asked a second time, it drops them at once.
    ///
    /// # Errors
    ///
    /// When the loop, or every loop of the group, is gone already.
    pub fn shutdown(&self) -> Result<(), RemoteError> {
        let mut result = Err(RemoteError::Gone);
        for mailbox in &*self.group {
            let told = mailbox.put(|post| {
                post.shutdowns = post.shutdowns.saturating_add(1);
                Ok(())
            });
            if !matches!(told, Err(RemoteError::Gone)) {
                result = told;
            }
        }
        result
    }

    /// Passes on what one loop published to the others. A full mailbox counts what it has no room
    /// for, and loops that are gone have no subscribers.
    pub(super) fn pass_on(&self, number: u16, news: &[(Arc<str>, Prepared)]) {
        for (other, mailbox) in self.group.iter().enumerate() {
            if other != usize::from(number) {
                let _ = mailbox.put_news(news);
            }
        }
    }

    /// Wakes every loop that is there.
    pub(super) fn wake(&self) {
        for mailbox in &*self.group {
            // One that is gone need not wake.
            let _ = mailbox.put(|_| Ok(()));
        }
    }

    /// Whether there are several loops.
    pub(super) fn is_group(&self) -> bool {
        self.group.len() > 1
    }

    /// What the loops count.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::new(self.clone())
    }

    /// What each loop counts, and the letters that wait for it.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&Counters, usize)> {
        let mailboxes = self.group.iter();
        mailboxes.map(|mailbox| (&*mailbox.counters, mailbox.len()))
    }

    /// Those whose mailboxes these are.
    pub(super) fn new(group: Vec<Mailbox>) -> Self {
        Self {
            group: group.into(),
        }
    }

    /// The mailbox of the loop of this number.
    pub(super) fn mailbox(&self, number: u16) -> &Mailbox {
        &self.group[usize::from(number)]
    }
}

/// Why a [`Remote`] could not take a message.
#[derive(Debug)]
#[non_exhaustive]
pub enum RemoteError {
    /// As many messages wait as [`mailbox_max`](crate::net::LoopConfig::mailbox_max) allows.
    Full,
    /// The connection has ended: only a [`Handle`](crate::net::Handle) knows that at once.
    Ended,
    /// The loop is gone.
    Gone,
    /// The loop could not be woken; it finds the message when it next wakes.
    Wake(io::Error),
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many messages wait for the event loop"),
            Self::Ended => f.write_str("the connection has ended"),
            Self::Gone => f.write_str("the event loop is gone"),
            Self::Wake(error) => write!(f, "the event loop could not be woken: {error}"),
        }
    }
}

impl Error for RemoteError {}

/// Why a message that a [`Remote`] took was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undelivered {
    /// The connection has ended.
    Ended,
    /// Its opening handshake is not over yet.
    NotOpen,
    /// It would not take the message.
    Send(SendError),
    /// It may not have the subscription.
    Subscribe(SubscribeError),
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the connection has ended"),
            Self::NotOpen => f.write_str("the connection is not open yet"),
            Self::Send(error) => error.fmt(f),
            Self::Subscribe(error) => error.fmt(f),
        }
    }
}

impl Error for Undelivered {}
