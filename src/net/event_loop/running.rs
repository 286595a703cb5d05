//! Running a loop to its end: alone, or among those of a group of clients.
//!
//! There, one with nothing to do may be given a connection by the others' handlers; when the last
//! comes to rest, there is nobody left who would.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::net::connector::Wanted;
use crate::net::event_loop::EventLoop;
use crate::net::handler::Handler;
use crate::net::remote::Remote;

impl<H: Handler> EventLoop<H> {
    /// Runs until a [shutdown](Remote::shutdown) is complete, or there is neither a listener nor
    /// a connection left.
    ///
    /// # Errors
    ///
    /// When the operating system can no longer be asked which sockets are ready. No failure of
    /// one socket is an error here.
    pub fn run(&mut self) -> io::Result<()> {
        self.run_to_rest()?;
        self.refuse_letters();
        Ok(())
    }

    /// The same, but waits for more to do while others of its group have something to do.
    pub(in crate::net) fn run_among(&mut self, busy: &Busy) -> io::Result<()> {
        self.run_to_rest()?;
        while self.draining.is_none() && !busy.is_over() && !busy.rest(&self.cx.hub.remote) {
            while self.sessions.is_empty() && self.draining.is_none() && !busy.is_over() {
                self.turn(None)?;
            }
            busy.work();
            self.run_to_rest()?;
        }
        self.refuse_letters();
        Ok(())
    }

    /// Obeys these connectors too.
    pub(in crate::net) fn obey(&mut self, wanted: Wanted<H::Connection>) {
        self.wanted = wanted;
    }

    /// Runs until there is nothing left to do, or to listen at.
    fn run_to_rest(&mut self) -> io::Result<()> {
        self.begin_wanted();
        while !(self.sessions.is_empty() && self.listeners.is_empty()) {
            self.turn(None)?;
            if self.sessions.is_empty() {
                self.begin_wanted();
            }
        }
        Ok(())
    }
}

/// What the loops of a group tell each other.
#[derive(Debug)]
pub(in crate::net) struct Busy {
    working: AtomicUsize,
    is_over: AtomicBool,
}

impl Busy {
    /// As many loops, which all have something to do.
    pub(in crate::net) fn new(loops: usize) -> Self {
        Self {
            working: AtomicUsize::new(loops),
            is_over: AtomicBool::new(false),
        }
    }

    /// A loop has nothing to do any more; answers whether it was the last, which tells the others.
    pub(super) fn rest(&self, group: &Remote) -> bool {
        let was_last = self.working.fetch_sub(1, Ordering::SeqCst) == 1;
        if was_last {
            self.is_over.store(true, Ordering::SeqCst);
            group.wake();
        }
        was_last
    }

    /// A loop goes on: it was given something to do, or it ends.
    pub(super) fn work(&self) {
        self.working.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether the last has come to rest.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}
