//! Who connects: accepted within a turn's bound, counted, and turned away above a quota.

use std::io;
use std::net::SocketAddr;

use mio::Token;
use tracing::warn;

use crate::net::end::EndWhy;
use crate::net::event_loop::{ALARM, EventLoop};
use crate::net::handler::Handler;
use crate::net::listener::Accept;
use crate::net::session::Session;
use crate::net::transport::Transport;

/// The connections accepted at once, so that a crowd does not keep those inside waiting.
const ACCEPTS_MAX: usize = 256;
/// The connections above a quota that are told so at once, each for as long as it takes them to
/// hear it; the others are dropped.
const TURNED_AWAY_MAX: usize = 64;

impl<H: Handler> EventLoop<H> {
    /// Which listener has this token.
    pub(super) fn listener(&self, token: Token) -> Option<usize> {
        let index = ALARM.0.checked_sub(1 + token.0)?;
        (index < self.listeners.len()).then_some(index)
    }

    pub(super) fn accept(&mut self, index: usize) {
        for _ in 0..ACCEPTS_MAX {
            let listener = &mut self.listeners[index];
            listener.retry_at = None;
            let accepted = match listener.accept() {
                Accept::Stream(transport, address) => self.admit(transport, address),
                Accept::WouldBlock => return,
                Accept::Failed(error) => Err(error),
            };
            if let Err(error) = accepted {
                self.cx.hub.counters.accept_failures.add(1);
                let listener = &mut self.listeners[index];
                let pause = self.cx.config.accept_pause;
                warn!(
                    target: "openline",
                    address = %listener.address(), %error, ?pause, "accepting pauses"
                );
                listener.retry_at = Some(self.cx.hub.now + pause);
                return;
            }
        }
        self.listeners[index].retry_at = Some(self.cx.hub.now);
    }

    fn admit(&mut self, transport: Transport, address: SocketAddr) -> io::Result<()> {
        self.cx.hub.counters.accepts.add(1);
        let place = self.next_place()?;
        let now = self.cx.hub.now;
        let admitted = self.census.enter(address.ip(), &self.cx.config);
        let mut session = Session::accepted(transport, address, place, now, admitted.is_ok());
        let Err(quota) = admitted else {
            let inserted = self.insert(session);
            if inserted.is_err() {
                self.census.leave(address.ip(), &self.cx.config);
            }
            return inserted;
        };
        if self.turned_away == TURNED_AWAY_MAX {
            // A crowd is not told why, lest the telling cost what the quota is to save.
            session.abandon(EndWhy::Quota(quota), &mut self.cx);
            return Ok(());
        }
        self.insert(session)?;
        self.turned_away += 1;
        self.visit(place.index, |session, cx| session.turn_away(quota, cx));
        Ok(())
    }
}
