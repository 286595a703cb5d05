//! What a loop has in common for all its connections, and lends to each callback.

use std::time::Instant;

use crate::net::peer::ConnectionId;
use crate::net::remote::Remote;

/// A loop, as a callback sees it.
#[derive(Debug)]
pub(super) struct Hub {
    /// Which of its group the loop is.
    pub(super) number: u16,
    /// Reaches the group.
    pub(super) remote: Remote,
    /// When the present turn began.
    pub(super) now: Instant,
}

impl Hub {
    pub(super) fn new(number: u16, remote: Remote, now: Instant) -> Self {
        Self {
            number,
            remote,
            now,
        }
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
