//! The end of a loop: nobody is let in any more, and those inside are closed, spread over a window
//! so that they do not all come back at once; whoever is left at the deadline is dropped.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::net::end::EndWhy;
use crate::net::event_loop::EventLoop;
use crate::net::handler::Handler;
use crate::net::session::{Flow, Session};

/// How often some connections are closed within the window.
const STEP: Duration = Duration::from_millis(10);

/// A loop that ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draining {
    begun: Instant,
    /// The places in the table that are to be closed, and the first that was not.
    places: u32,
    next: u32,
    /// When some are closed next.
    step_at: Option<Instant>,
    /// When those that are left are dropped; `None` is beyond the clock.
    deadline: Option<Instant>,
}

impl Draining {
    /// When there is something to do, whatever the sockets say.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        [self.step_at, self.deadline].into_iter().flatten().min()
    }

    /// How many of the places are to have been closed at `now`.
    fn due(&self, now: Instant, window: Duration) -> u32 {
        let passed = now.saturating_duration_since(self.begun);
        if passed >= window {
            return self.places;
        }
        let share = u128::from(self.places) * passed.as_nanos() / window.as_nanos();
        u32::try_from(share).unwrap_or(self.places)
    }
}

impl<H: Handler> EventLoop<H> {
    /// Begins to end; asked a second time, drops everyone.
    pub(super) fn shut_down(&mut self) {
        self.listeners.clear();
        if self.draining.is_some() {
            return self.abandon_all();
        }
        let window = self.cx.config.shutdown_window;
        info!(target: "openline", connections = self.sessions.len(), ?window, "shutting down");
        self.cx.hub.is_draining = true;
        let indices = self.indices();
        let places = indices.iter().max().map_or(0, |last| last + 1);
        let now = self.cx.hub.now;
        self.draining = Some(Draining {
            begun: now,
            places,
            next: 0,
            step_at: Some(now),
            deadline: now
                .checked_add(window)
                .and_then(|end| end.checked_add(self.cx.config.shutdown_timeout)),
        });
        // Whoever is still at the door has nothing to lose.
        for index in indices {
            if self
                .sessions
                .get(index as usize)
                .is_some_and(|session| !session.is_open())
            {
                self.visit(index, Session::shut_down);
            }
        }
        self.drain();
    }

    /// Closes those whose time has come.
    pub(super) fn drain(&mut self) {
        let (now, window) = (self.cx.hub.now, self.cx.config.shutdown_window);
        let Some(draining) = &mut self.draining else {
            return;
        };
        if draining.deadline.is_some_and(|deadline| deadline <= now) {
            return self.abandon_all();
        }
        let due = draining.due(now, window);
        let places = draining.next..due.max(draining.next);
        draining.next = places.end;
        draining.step_at = (places.end < draining.places).then(|| now + STEP);
        for index in places {
            self.visit(index, Session::shut_down);
        }
    }

    fn abandon_all(&mut self) {
        warn!(target: "openline", connections = self.sessions.len(), "connections are dropped");
        for index in self.indices() {
            self.visit(index, |session, cx| {
                session.abandon(EndWhy::Shutdown, cx);
                Flow::Drop
            });
        }
    }
}
