//! A session after the end of its connection: the last bytes, and then the socket ([RFC 6455
//! §7.1.1]).
//!
//! A socket that is closed while input waits in it resets the connection, and the reset destroys
//! what the peer has not read yet; so does input that comes afterwards. So a server first ends its
//! sending direction, and reads on, within bounds, until the peer has closed too: unless both Close
//! frames were exchanged, nothing waits, and the peer owes no Pong. Then nothing more can come, and
//! the socket is closed with the last byte. A client waits for the server to close first: who closes
//! first holds the address for a while, and servers have but one.
//!
//! [RFC 6455 §7.1.1]: https://www.rfc-editor.org/rfc/rfc6455#section-7.1.1

use std::io;
use std::mem;
use std::time::Instant;

use rand::TryRng;
use rand::rngs::SysRng;
use tracing::{Level, debug, enabled, info};

use crate::net::config::LoopConfig;
use crate::net::connect::Plan;
use crate::net::end::{End, EndWhy};
use crate::net::handler::Handler;
use crate::net::session::{Context, Flow, Revival, Session, State};
use crate::net::trace::Trace;
use crate::net::transport::Transport;
use crate::proto::{CloseCode, ClosedWhy, Role};

/// What is left of a session.
#[derive(Debug)]
pub(super) struct Linger {
    /// When the socket is closed whatever is left.
    pub(super) deadline: Instant,
    next: Next,
    /// How many bytes are still read and thrown away.
    drain_max: usize,
    /// Whether the time starts anew as long as the peer reads.
    is_patient: bool,
}

/// What is next for the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// To be closed, whether or not the last bytes could be written.
    Close,
    /// To be closed when they are written, for the peer sends nothing more.
    CloseWritten,
    /// To end its sending direction when they are written.
    HalfClose,
    /// To see the peer close.
    Await,
}

impl Linger {
    /// The last bytes are on their way: the time starts anew.
    pub(super) fn renew(&mut self, now: Instant, config: &LoopConfig) {
        if self.is_patient {
            self.deadline = now + config.linger_timeout;
        }
    }

    /// `n` bytes were received and thrown away.
    pub(super) fn drain(&mut self, n: usize) {
        if n > 0 && self.next == Next::CloseWritten {
            // It does send more.
            self.next = Next::HalfClose;
        }
        match self.drain_max.checked_sub(n) {
            Some(left) => self.drain_max = left,
            None => self.next = Next::Close,
        }
    }
}

impl<H: Handler> Session<H> {
    /// The end of the connection, or of the attempt at one: tells the handler, unless that has
    /// been done, and leaves the rest to the transport.
    #[cold]
    pub(super) fn finish(&mut self, why: EndWhy, cx: &mut Context<H>) {
        if matches!(self.state, State::Lingering(_)) {
            return;
        }
        let next = match self.transport.is_opening() {
            true => Next::Close,
            false => self.next(&why),
        };
        let linger = State::Lingering(Linger {
            deadline: cx.hub.now + cx.config.linger_timeout,
            next,
            drain_max: cx.config.linger_size_max,
            // A reader that was too slow is no longer waited for than anyone.
            is_patient: !matches!(why, EndWhy::SlowReader { .. }),
        });
        let why = self.transport.verdict(why);
        // Nothing can be sent over a stream that never opened, or that failed.
        if self.transport.is_opening() || is_tls(&why) {
            cx.buffers.send.advance(cx.buffers.send.len());
        }
        let mut extras = self.link.extras.take();
        let plan = extras.as_mut().and_then(|extras| extras.plan.take());
        let (opened, data, plan) = match mem::replace(&mut self.state, linger) {
            State::Open(_, data) => (true, Some(data), plan),
            State::Connecting(connecting) => {
                let plan = (connecting.plan, cx.hub.now);
                (false, Some(connecting.data), Some(plan))
            }
            State::Requested(requested) => {
                let plan = (requested.plan, cx.hub.now);
                (false, Some(requested.data), Some(plan))
            }
            State::Accepted { .. }
            | State::Handshaking(_)
            | State::Deciding(_)
            | State::Lingering(_) => (false, None, None),
        };
        let end = End {
            id: self.id(&cx.hub),
            role: self.role(),
            address: self.link.address,
            at: cx.hub.now,
            dropped: extras.as_ref().map_or(0, |extras| extras.dropped),
            why,
        };
        cx.hub.topics.leave(&mut self.link.subscriptions);
        cx.hub.counters.ended(&end, opened);
        let (life, mut trace) =
            extras.map_or_else(Default::default, |extras| (extras.life, extras.trace));
        if let Some(life) = life {
            life.end();
        }
        trace.add(cx.hub.passed());
        tell(&end, opened, &trace);
        let data = match (data, plan) {
            (Some(data), Some((plan, since))) => match revive(plan, since, data, &end, cx) {
                Some(data) => Some(data),
                // It is to connect again.
                None => return,
            },
            (data, _) => data,
        };
        cx.handler.end(data, &end);
    }

    /// The transport failed. That is the end, but for an alert of TLS's, which is not lost to a
    /// reset either.
    #[cold]
    pub(super) fn break_off(&mut self, error: io::Error, cx: &mut Context<H>) -> Flow {
        if matches!(self.state, State::Lingering(_)) {
            return Flow::Drop;
        }
        self.finish(EndWhy::from_io(error), cx);
        match self.is_over(cx) {
            Ok(false) => Flow::Keep,
            Ok(true) | Err(_) => Flow::Drop,
        }
    }

    /// After the end: nothing more is waited for.
    pub(super) fn give_up(&mut self) {
        if let State::Lingering(linger) = &mut self.state {
            linger.next = Next::Close;
        }
    }

    /// After the end: takes the transport down as far as it is time to. Answers whether the
    /// socket can be closed.
    #[inline(never)]
    pub(super) fn is_over(&mut self, cx: &Context<H>) -> io::Result<bool> {
        let State::Lingering(linger) = &mut self.state else {
            return Ok(false);
        };
        if linger.next == Next::Close {
            return Ok(true);
        }
        if !cx.buffers.send.is_empty() {
            return Ok(false);
        }
        if self.eof {
            return Ok(true);
        }
        match linger.next {
            Next::CloseWritten if !self.readable => return Ok(true),
            Next::CloseWritten | Next::HalfClose => match self.transport.half_close()? {
                true => linger.next = Next::Await,
                false => self.writable = false,
            },
            Next::Close | Next::Await => {}
        }
        Ok(false)
    }

    /// What is next for the socket after this end.
    fn next(&self, why: &EndWhy) -> Next {
        match why {
            EndWhy::Closed(closed) => match closed.why {
                ClosedWhy::PongTimeout | ClosedWhy::CloseTimeout => Next::Close,
                // §7.1.1: a client waits for the server to close first.
                _ if self.role() == Role::Client => Next::Await,
                ClosedWhy::Handshake { .. } if self.has_heard_all() => Next::CloseWritten,
                _ => Next::HalfClose,
            },
            // §7.1.7: a client that fails the connection need not wait.
            EndWhy::Protocol(_) | EndWhy::SlowReader { .. } => Next::HalfClose,
            #[cfg(feature = "tls")]
            EndWhy::Tls(_) => Next::HalfClose,
            EndWhy::Refused { .. }
            | EndWhy::Page { .. }
            | EndWhy::Quota(_)
            | EndWhy::Handshake(_)
            | EndWhy::Shutdown => match self.role() {
                Role::Server => Next::HalfClose,
                Role::Client => Next::Close,
            },
            EndWhy::Connect(_) | EndWhy::Reset | EndWhy::Io(_) | EndWhy::Abandoned => Next::Close,
        }
    }

    /// Whether a peer that keeps to the protocol sends nothing after its Close: over TLS it sends
    /// an alert.
    fn has_heard_all(&self) -> bool {
        match (&self.transport, &self.state) {
            (Transport::Plain(_), State::Open(connection, _)) => !connection.may_be_owed_pong(),
            _ => false,
        }
    }
}

/// Has a client connect again, if it is to; gives its data back if not.
fn revive<H: Handler>(
    mut plan: Plan,
    since: Instant,
    mut data: H::Connection,
    end: &End,
    cx: &mut Context<H>,
) -> Option<H::Connection> {
    let is_ours = matches!(end.why, EndWhy::Shutdown | EndWhy::Abandoned);
    let backoff = plan.options.reconnect.as_mut();
    let (Some(backoff), false) = (backoff, is_ours || cx.hub.is_draining) else {
        return Some(data);
    };
    backoff.lost(end.at.saturating_duration_since(since));
    // Without entropy it is the middle.
    let random = SysRng.try_next_u32().unwrap_or(u32::MAX / 2);
    let Some(delay) = backoff.next(random) else {
        return Some(data);
    };
    if !cx.handler.lost(&mut data, end, delay) {
        return Some(data);
    }
    let Ok(plan) = plan.again() else {
        return Some(data);
    };
    info!(target: "openline", connection = %end.id, ?delay, "connecting again");
    let at = cx.hub.now + delay;
    cx.revivals.push(Revival { plan, data, at });
    None
}

/// Says in the log how a connection ended, or that there never was one.
fn tell(end: &End, opened: bool, trace: &Trace) {
    // Health checks come by the second.
    if let EndWhy::Page { status } = end.why {
        let (id, peer) = (end.id, end.address);
        debug!(target: "openline", connection = %id, %peer, status, "page sent");
        return;
    }
    if !enabled!(target: "openline", Level::INFO) {
        return;
    }
    let passed = trace.passed();
    info!(
        target: "openline",
        connection = %end.id,
        peer = %end.address,
        role = ?end.role,
        subject = trace.note.subject(),
        lasted = trace.lasted(end.at).map(tracing::field::display),
        messages_received = passed.map(|passed| passed.messages_received),
        messages_sent = passed.map(|passed| passed.messages_sent),
        bytes_received = passed.map(|passed| passed.bytes_received),
        bytes_sent = passed.map(|passed| passed.bytes_sent),
        verdict = end.why.label(),
        by = end.by().map(tracing::field::debug),
        code = end.code().map(CloseCode::number),
        dropped = (end.dropped > 0).then_some(end.dropped),
        refused = trace.note.reason().map(tracing::field::display),
        why = %end.why,
        "{}",
        match opened {
            true => "connection ended",
            false => "handshake failed",
        }
    );
}

#[cfg(feature = "tls")]
fn is_tls(why: &EndWhy) -> bool {
    matches!(why, EndWhy::Tls(_))
}

#[cfg(not(feature = "tls"))]
fn is_tls(_: &EndWhy) -> bool {
    false
}
