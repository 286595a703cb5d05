//! A loop's mailbox: what other threads have for it, bounded, and a waker that rings once a batch.
//!
//! A letter that finds it full is refused; a publication that does so is lost to the loop's
//! subscribers, and counted for each of them.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};

use crate::net::connect::Found;
use crate::net::metrics::Counters;
use crate::net::peer::ConnectionId;
use crate::net::remote::{OwnedMessage, RemoteError};
use crate::proto::Prepared;

/// What comes from another thread.
#[derive(Debug)]
pub(super) enum Item {
    Letter(Letter),
    /// To all who subscribe to a topic.
    News(Arc<str>, Prepared),
}

/// What is for one connection.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) id: ConnectionId,
    pub(super) content: Content,
}

impl Letter {
    /// Whether it is about a subscription.
    pub(super) fn is_of_topics(&self) -> bool {
        matches!(
            self.content,
            Content::Message(OwnedMessage::Subscribe(_) | OwnedMessage::Unsubscribe(_))
        )
    }
}

#[derive(Debug)]
pub(super) enum Content {
    Message(OwnedMessage),
    /// For [`Handler::called`](crate::net::Handler::called).
    Call,
    /// A [`Ticket`](crate::net::Ticket) has decided.
    Decided,
    /// A client's host was looked up.
    Found(Box<Found>),
}

/// What waits for the loop.
#[derive(Debug, Default)]
pub(super) struct Post {
    pub(super) items: Vec<Item>,
    pub(super) lost: Lost,
    /// How often shutdown was asked for.
    pub(super) shutdowns: u32,
    /// Whether the waker was rung for what waits.
    rung: bool,
    gone: bool,
}

/// The publications that found the mailbox full.
#[derive(Debug, Default)]
pub(super) struct Lost {
    pub(super) count: u64,
    /// How many of each topic; of as many topics as items may wait.
    pub(super) topics: HashMap<Arc<str>, u64>,
}

/// What a loop shares with its remotes.
#[derive(Debug)]
pub(super) struct Mailbox {
    post: Mutex<Post>,
    pub(super) items_max: usize,
    waker: Waker,
    pub(super) counters: Arc<Counters>,
}

impl Lost {
    #[cold]
    fn note(&mut self, news: &[(Arc<str>, Prepared)], topics_max: usize) {
        self.count += news.len() as u64;
        for (topic, _) in news {
            if self.topics.len() < topics_max || self.topics.contains_key(topic) {
                *self.topics.entry(Arc::clone(topic)).or_default() += 1;
            }
        }
    }
}

impl Mailbox {
    pub(super) fn new(registry: &Registry, token: Token, items_max: usize) -> io::Result<Self> {
        Ok(Self {
            post: Mutex::default(),
            items_max,
            waker: Waker::new(registry, token)?,
            counters: Arc::default(),
        })
    }

    /// Takes all that waits. `empty`, used before, gives its memory to what comes next.
    pub(super) fn take(&self, mut empty: Vec<Item>) -> Post {
        empty.clear();
        let mut post = self.lock();
        let next = Post {
            items: empty,
            ..Post::default()
        };
        mem::replace(&mut *post, next)
    }

    /// Refuses what comes from now on; returns what came before.
    pub(super) fn close(&self) -> Post {
        let mut post = self.lock();
        let gone = Post {
            gone: true,
            ..Post::default()
        };
        mem::replace(&mut *post, gone)
    }

    pub(super) fn put_news(&self, news: &[(Arc<str>, Prepared)]) -> Result<(), RemoteError> {
        self.put(|post| {
            if post.items.len() >= self.items_max {
                post.lost.note(news, self.items_max);
                return Err(RemoteError::Full);
            }
            let news = news.iter().cloned();
            post.items
                .extend(news.map(|(topic, message)| Item::News(topic, message)));
            Ok(())
        })
    }

    pub(super) fn put(
        &self,
        write: impl FnOnce(&mut Post) -> Result<(), RemoteError>,
    ) -> Result<(), RemoteError> {
        let mut post = self.lock();
        if post.gone {
            return Err(RemoteError::Gone);
        }
        write(&mut post)?;
        if !mem::replace(&mut post.rung, true) {
            drop(post);
            self.waker.wake().map_err(RemoteError::Wake)?;
        }
        Ok(())
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// A panic while the lock was held left nothing half-done: no step within can panic midway.
    fn lock(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
