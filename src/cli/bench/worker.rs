//! One thread of the generator: it opens its share of the connections, drives them, and closes
//! them.
//!
//! It waits in the operating system, but not for what is due within a millisecond, which that
//! would be late for: then it looks again and again.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use openline::net::{EventLoop, LoopConfig};

use crate::cli::bench::generator::{Client, Generator};
use crate::cli::bench::plan::{Mode, Plan};
use crate::cli::bench::shared::Shared;
use crate::cli::bench::tally::Tally;

/// The attempts at a connection that are under way at once: well below what a server's backlog
/// holds, so that none waits for a SYN to be sent again.
const OPENING_MAX: usize = 128;
/// How soon is noticed what the others say.
const ATTENTION: Duration = Duration::from_millis(20);
/// What the operating system may be late by.
const COARSE: Duration = Duration::from_millis(1);

/// One thread of the generator.
pub(super) struct Worker {
    number: usize,
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    event_loop: EventLoop<Generator>,
    /// The connection that is opened next; the threads take turns.
    next: usize,
    has_published: bool,
    was_over: bool,
}

impl Worker {
    pub(super) fn new(
        number: usize,
        plan: &Arc<Plan>,
        shared: &Arc<Shared>,
        config: LoopConfig,
    ) -> io::Result<Self> {
        let generator = Generator::new(Arc::clone(plan), Arc::clone(shared), number);
        let mut event_loop = EventLoop::new(generator, config)?;
        let connector = event_loop.connector();
        event_loop.handler_mut().connector = Some(connector);
        Ok(Self {
            number,
            plan: Arc::clone(plan),
            shared: Arc::clone(shared),
            event_loop,
            next: number,
            has_published: false,
            was_over: false,
        })
    }

    /// Runs until it is over; answers what it counted.
    pub(super) fn run(mut self) -> io::Result<Tally> {
        let driven = self.drive();
        if driven.is_err() {
            // The others need not go on without this one.
            self.shared.stop();
        }
        let counts = self.shared.counts(self.number);
        counts.is_done.store(true, Ordering::Relaxed);
        driven?;
        // Every connection is closed, and the server has a moment to agree. The loop is this one,
        // and not gone.
        let _ = self.event_loop.remote().shutdown();
        self.event_loop.run()?;
        Ok(self.event_loop.handler_mut().take_tally())
    }

    fn drive(&mut self) -> io::Result<()> {
        let remote = self.event_loop.remote();
        loop {
            let now = Instant::now();
            self.event_loop.handler_mut().look(now);
            let generator = self.event_loop.handler();
            let is_over = generator.is_over(now);
            // Not before what was due by then has had its turn.
            if is_over && mem::replace(&mut self.was_over, true) && self.is_drained(now) {
                return Ok(());
            }
            if !is_over {
                self.open(now)?;
                if let Some(publisher) = self.event_loop.handler().publisher()
                    && !mem::replace(&mut self.has_published, true)
                {
                    // It is in this thread, whose mailbox has room for it.
                    let _ = remote.call(publisher);
                }
                if !self.event_loop.handler().is_alive() && self.next >= self.plan.connections {
                    return Ok(());
                }
            }
            let due = self.event_loop.handler_mut().call_due(now, &remote);
            let until = match due {
                _ if self.plan.spins => now,
                Some(due) => (now + ATTENTION).min(due - COARSE),
                None => now + ATTENTION,
            };
            self.event_loop.turn(Some(until))?;
            self.event_loop.handler().report();
        }
    }

    /// Opens what may be opened.
    fn open(&mut self, now: Instant) -> io::Result<()> {
        let may = self.shared.may_open.load(Ordering::Relaxed);
        while self.next < may && self.event_loop.handler().opening < OPENING_MAX {
            let client = Box::new(Client::new(self.next, now));
            let request = self.plan.request.clone();
            self.event_loop
                .connect_with(request, &self.plan.options, client)?;
            self.event_loop.handler_mut().opening += 1;
            self.next += self.plan.threads;
        }
        Ok(())
    }

    /// Whether there is nothing to wait for any more, or for too long.
    fn is_drained(&self, now: Instant) -> bool {
        let generator = self.event_loop.handler();
        let patience = generator
            .window
            .is_some_and(|window| now < window.until + self.plan.timeout);
        let is_waiting = match self.plan.mode {
            Mode::Handshakes => generator.is_alive(),
            _ => generator.is_waiting(),
        };
        !(is_waiting && patience) || self.shared.is_stopped()
    }
}
