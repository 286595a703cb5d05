//! Having a loop connect while it runs: from a handler, and from other threads.

use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::net::connect::{ConnectOptions, Plan};
use crate::net::remote::{Remote, RemoteError};
use crate::proto::ClientRequest;

/// Has one loop connect to servers: made by
/// [`EventLoop::connector`](crate::net::EventLoop::connector), and kept by a handler or sent to
/// another thread, if what is kept for a connection can be.
pub struct Connector<C> {
    wanted: Wanted<C>,
    remote: Remote,
    number: u16,
    wanted_max: usize,
}

/// The connections that a loop is to begin.
#[derive(Debug)]
pub(super) struct Wanted<C>(Arc<Mutex<Vec<(Plan, C)>>>);

impl<C> Connector<C> {
    pub(super) fn new(wanted: Wanted<C>, remote: Remote, number: u16, wanted_max: usize) -> Self {
        Self {
            wanted,
            remote,
            number,
            wanted_max,
        }
    }

    /// Has the loop connect, with `data` kept for the connection, which the handler is told the
    /// rest of.
    ///
    /// # Errors
    ///
    /// When the loop is gone, or has [too much](crate::net::LoopConfig::mailbox_max) to do; for
    /// `wss` URLs also when there are no authorities to trust, or no TLS in this build.
    pub fn connect(
        &self,
        request: ClientRequest,
        options: &ConnectOptions,
        data: C,
    ) -> io::Result<()> {
        let plan = Plan::new(request, options.clone())?;
        let put = self.remote.mailbox(self.number).put(|_| {
            let mut wanted = self.wanted.lock();
            if wanted.len() >= self.wanted_max {
                return Err(RemoteError::Full);
            }
            wanted.push((plan, data));
            Ok(())
        });
        put.map_err(io::Error::other)
    }
}

impl<C> Clone for Connector<C> {
    fn clone(&self) -> Self {
        Self {
            wanted: self.wanted.clone(),
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
