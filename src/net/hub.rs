//! What a loop has in common for all its connections, and lends to each callback.

use std::sync::Arc;
use std::time::Instant;

use crate::net::metrics::{Counters, Mark};
use crate::net::peer::{ConnectionId, Link};
use crate::net::remote::Remote;
use crate::net::topics::{SubscribeError, Topics};
use crate::proto::Prepared;

/// A loop, as a callback sees it.
#[derive(Debug)]
pub(super) struct Hub {
    /// Which of its group the loop is.
    pub(super) number: u16,
    /// Reaches the group.
    pub(super) remote: Remote,
    /// What the loop counts.
    pub(super) counters: Arc<Counters>,
    /// What it had counted when the present connection's turn began, if that is told.
    pub(super) mark: Mark,
    /// When the present turn began.
    pub(super) now: Instant,
    pub(super) topics: Topics,
    /// The subscriptions that a connection may have.
    pub(super) subscriptions_max: usize,
    /// What was published in this turn, for the other loops of the group.
    pub(super) abroad: Vec<(Arc<str>, Prepared)>,
    /// Whether the loop is shutting down.
    pub(super) is_draining: bool,
}

impl Hub {
    pub(super) fn new(number: u16, remote: Remote, now: Instant, subscriptions_max: usize) -> Self {
        Self {
            number,
            counters: Arc::clone(&remote.mailbox(number).counters),
            remote,
            mark: Mark::default(),
            now,
            topics: Topics::default(),
            subscriptions_max,
            abroad: Vec::new(),
            is_draining: false,
        }
    }

    pub(super) fn subscribe(
        &mut self,
        link: &mut Link,
        topic: &str,
    ) -> Result<bool, SubscribeError> {
        let (index, own) = (link.place.index, &mut link.subscriptions);
        self.topics
            .subscribe(index, own, topic, self.subscriptions_max)
    }

    /// Whether nothing was published that has not left.
    pub(super) fn is_quiet(&self) -> bool {
        self.topics.is_quiet() && self.abroad.is_empty()
    }

    /// Publishes to the subscribers of every loop, but for one of this loop's connections.
    pub(super) fn publish(&mut self, topic: &str, message: &Prepared, except: Option<u32>) {
        self.topics.publish(topic, message, except);
        if self.remote.is_group() {
            self.abroad.push((topic.into(), message.clone()));
        }
    }

    /// What the present connection's turn has added to the counts.
    pub(super) fn passed(&self) -> Mark {
        self.counters.mark() - self.mark
    }

    /// The name of the connection at a place in this loop's table.
    #[inline]
    pub(super) fn name(&self, place: Place) -> ConnectionId {
        ConnectionId {
            number: self.number,
            place,
        }
    }
}

/// A connection's place in its loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// Where in the loop's table: used again and again.
    pub(super) index: u32,
    /// Which of the connections there.
    pub(super) generation: u32,
}
