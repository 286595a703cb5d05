//! Having loops connect while they run: from a handler, and from other threads.

use std::fmt;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::net::connect::{ConnectOptions, Plan};
use crate::net::remote::{Remote, RemoteError};
use crate::proto::ClientRequest;

/// Has loops connect to servers: made by [`EventLoop::connector`] for one, and by
/// [`ClientThreads::connector`] for all of a group, which then take turns. A handler keeps it, or
/// another thread does, if what is kept for a connection can be sent there.
///
/// [`EventLoop::connector`]: crate::net::EventLoop::connector
/// [`ClientThreads::connector`]: crate::net::ClientThreads::connector
pub struct Connector<C> {
    loops: Arc<[Wanted<C>]>,
    /// The number of the first of these loops in its group.
    first: u16,
    /// The loop that is always meant, if it is one.
    only: Option<usize>,
    /// Whose turn it is among several.
    turn: Arc<AtomicUsize>,
    remote: Remote,
    wanted_max: usize,
}

/// The connections that a loop is to begin.
#[derive(Debug)]
pub(super) struct Wanted<C>(Arc<Mutex<Vec<(Plan, C)>>>);

impl<C> Connector<C> {
    /// For loops whose numbers in their group follow each other.
    pub(super) fn new(
        loops: Arc<[Wanted<C>]>,
        first: u16,
        remote: Remote,
        wanted_max: usize,
    ) -> Self {
        Self {
            loops,
            first,
            only: None,
            turn: Arc::default(),
            remote,
            wanted_max,
        }
    }

    /// The same for one loop of the group only, by the number that its handler was made with: the
    /// group's first for a number that no loop has.
    #[must_use]
    pub fn only(&self, number: usize) -> Self {
        let number = if number < self.loops.len() { number } else { 0 };
        Self {
            only: Some(number),
            ..self.clone()
        }
    }

    /// Has a loop connect, with `data` kept for the connection, which the loop's handler is told
    /// the rest of. Of several loops it is each one's turn, unless that is gone or has too much to
    /// do; then it is the next one's.
    ///
    /// # Errors
    ///
    /// When the loops are gone, or have [too much](crate::net::LoopConfig::mailbox_max) to do; for
    /// `wss` URLs also when there are no authorities to trust, or no TLS in this build.
    pub fn connect(
        &self,
        request: ClientRequest,
        options: &ConnectOptions,
        data: C,
    ) -> io::Result<()> {
        let mut wanted = Some((Plan::new(request, options.clone())?, data));
        let (first, count) = match self.only {
            Some(number) => (number, 1),
            None => (self.turn.fetch_add(1, Ordering::Relaxed), self.loops.len()),
        };
        let mut refused = RemoteError::Gone;
        for n in 0..count {
            match self.offer(first.wrapping_add(n) % self.loops.len(), &mut wanted) {
                Ok(()) => return Ok(()),
                // One that has too much to do may have less later.
                Err(error) if !matches!(error, RemoteError::Gone) => refused = error,
                Err(_) => {}
            }
            if wanted.is_none() {
                break;
            }
        }
        Err(io::Error::other(refused))
    }

    /// Leaves what is wanted to a loop, if that takes it.
    fn offer(&self, index: usize, wanted: &mut Option<(Plan, C)>) -> Result<(), RemoteError> {
        let number = self.first + u16::try_from(index).map_err(|_| RemoteError::Gone)?;
        self.remote.mailbox(number).put(|_| {
            let mut all = self.loops[index].lock();
            if all.len() >= self.wanted_max {
                return Err(RemoteError::Full);
            }
            all.extend(wanted.take());
            Ok(())
        })
    }
}

impl<C> Clone for Connector<C> {
    fn clone(&self) -> Self {
        Self {
            loops: Arc::clone(&self.loops),
            turn: Arc::clone(&self.turn),
            remote: self.remote.clone(),
            ..*self
        }
    }
}

impl<C> fmt::Debug for Connector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl<C> Wanted<C> {
    /// Takes all that is wanted.
    pub(super) fn take(&self) -> Vec<(Plan, C)> {
        mem::take(&mut *self.lock())
    }

    /// A panic while the lock was held left nothing half-done.
    fn lock(&self) -> MutexGuard<'_, Vec<(Plan, C)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Clone for Wanted<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Default for Wanted<C> {
    fn default() -> Self {
        Self(Arc::default())
    }
}
