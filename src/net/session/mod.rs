//! One connection in a loop, from its socket's first byte to the last.
//!
//! ```text
//!   server:  Accepted -> Handshaking ---+  (-> Deciding, if that takes another thread)
//!                                      +--> Open --> Lingering
//!   client:  Connecting -> Requested --+               ^
//!                |             |                       |  every failure
//!                +-------------+-----------------------+
//! ```
//!
//! [`Session::exchange`] is the one place that decides when to read, when to let the protocol
//! work, and when to write. The end is told to the handler on the way into Lingering, where only
//! the transport is left.

mod closing;
mod delivering;
mod ending;
mod opening;
mod passing;

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use mio::{Poll, Registry, Token};

use crate::net::buffers::{Buffers, Held};
use crate::net::config::LoopConfig;
use crate::net::connect::{Connecting, Plan};
use crate::net::handler::Handler;
use crate::net::hub::{Hub, Place};
use crate::net::peer::{ConnectionId, Link};
use crate::net::topics::Subscriptions;
use crate::net::transport::Transport;
use crate::proto::{Connection, HandshakeError, Role, ServerHandshake};
use crate::rare::rare;

use ending::Linger;
use opening::{Deciding, Requested};

/// The address of what has none yet.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
/// The reads for one connection in one turn, so that a flood from one peer does not keep the
/// others waiting: 256 KiB of small messages.
const READS_MAX: usize = 8;

/// A connection and its socket.
pub(super) struct Session<H: Handler> {
    transport: Transport,
    link: Link,
    standing: Standing,
    /// Whether a read may find something.
    readable: bool,
    /// Whether a write may find room.
    writable: bool,
    /// Whether the peer's end of file was announced, so that no short read is the last.
    hung_up: bool,
    /// Whether the peer's end of file was read.
    eof: bool,
    /// Whether the last write found no room for all it had.
    is_blocked: bool,
    /// Whether it stands in the loop's queue for the next turn.
    pub(super) queued: bool,
    /// Whether it was [at rest](Self::is_at_rest) when its last turn ended.
    was_at_rest: bool,
    held: Option<Box<Held>>,
    state: State<H::Connection>,
}

/// What a session does; the rare and large states are boxed, so that an idle one is small.
enum State<C> {
    /// A client that waits for the connection.
    Connecting(Box<Connecting<C>>),
    /// A client that waits for the answer.
    Requested(Box<Requested<C>>),
    /// A server that has received nothing.
    Accepted { since: Instant },
    /// A server that receives the request.
    Handshaking(Box<ServerHandshake>),
    /// A server whose handler decides about the request later.
    Deciding(Box<Deciding<C>>),
    /// Messages pass.
    Open(Connection, C),
    /// The end was told; the transport is taken down.
    Lingering(Linger),
}

/// What all sessions of a loop work with, one at a time. It is kept together, so that one address
/// is all that a session is told of it.
pub(super) struct Context<H: Handler> {
    pub(super) handler: H,
    pub(super) buffers: Buffers,
    pub(super) hub: Hub,
    pub(super) config: LoopConfig,
    pub(super) poll: Poll,
    /// Clients that are to connect again.
    pub(super) revivals: Vec<Revival<H::Connection>>,
}

/// A client that is to connect again, and when.
pub(super) struct Revival<C> {
    pub(super) plan: Plan,
    pub(super) data: C,
    pub(super) at: Instant,
}

/// What an event said of a socket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer sends no more, or the socket failed.
    pub(super) read_closed: bool,
}

/// What becomes of a session after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It waits for its socket or its deadline.
    Keep,
    /// It has more to do, and lets others go first.
    Again,
    /// It is over, and its socket is to be closed.
    Drop,
}

/// What a connection counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// One of our own making, as a client.
    Ours,
    /// One that the census counts for its address.
    Counted,
    /// One above a quota.
    TurnedAway,
}

/// How far the protocol got with what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The state has changed: go on with the next.
    Next,
    /// More bytes, please.
    More,
    /// Enough is queued: no more is parsed until that is written.
    Full,
    /// A message is to be sent back from where it lies ([`Buffers::answer`]), before anything else
    /// happens there.
    Answer,
    /// A decision is awaited: no more is read until it is made.
    Wait,
}

impl<H: Handler> Session<H> {
    /// A connection that was accepted.
    pub(super) fn accepted(
        transport: Transport,
        address: SocketAddr,
        place: Place,
        since: Instant,
        is_counted: bool,
    ) -> Self {
        let standing = match is_counted {
            true => Standing::Counted,
            false => Standing::TurnedAway,
        };
        let state = State::Accepted { since };
        Self::new(transport, address, place, standing, state)
    }

    /// A connection that is to be begun.
    pub(super) fn connecting(place: Place, connecting: Connecting<H::Connection>) -> Self {
        let state = State::Connecting(Box::new(connecting));
        Self::new(Transport::Absent, NOWHERE, place, Standing::Ours, state)
    }

    fn new(
        transport: Transport,
        address: SocketAddr,
        place: Place,
        standing: Standing,
        state: State<H::Connection>,
    ) -> Self {
        Self {
            transport,
            link: Link {
                address,
                place,
                subscriptions: Subscriptions::NONE,
                extras: None,
            },
            standing,
            readable: false,
            writable: false,
            hung_up: false,
            eof: false,
            is_blocked: false,
            queued: false,
            was_at_rest: false,
            held: None,
            state,
        }
    }

    fn id(&self, hub: &Hub) -> ConnectionId {
        hub.name(self.link.place)
    }

    /// What the loop counts it as.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// The address that it counts for.
    pub(super) fn address(&self) -> IpAddr {
        self.link.address.ip()
    }

    /// What we are in it.
    #[inline]
    fn role(&self) -> Role {
        match self.standing {
            Standing::Ours => Role::Client,
            Standing::Counted | Standing::TurnedAway => Role::Server,
        }
    }

    /// Whether messages pass.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(..))
    }

    /// Whether messages pass and [`deadline`](Self::deadline) only moves back as long as they do.
    #[inline]
    fn is_at_rest(&self) -> bool {
        match &self.state {
            State::Open(connection, _) => connection.is_at_rest(),
            _ => false,
        }
    }

    /// At the end of a turn: whether it went from rest to rest. Then the deadline has only moved back,
    /// if at all.
    #[inline]
    pub(super) fn stays_at_rest(&mut self) -> bool {
        let is_at_rest = self.is_at_rest();
        mem::replace(&mut self.was_at_rest, is_at_rest) && is_at_rest
    }

    /// Its place in the loop.
    pub(super) fn place(&self) -> Place {
        self.link.place
    }

    /// Has the socket's readiness told: once, for its whole life.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        self.transport
            .register(registry, Token(self.link.place.index as usize))
    }

    /// Begins what the log says of it.
    pub(super) fn trace(&mut self, hub: &Hub) {
        self.link.trace_handshake(self.id(hub), self.role());
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[inline]
    pub(super) fn deadline(&self, config: &LoopConfig) -> Option<Instant> {
        match &self.state {
            State::Open(connection, _) => connection.poll_timeout(),
            State::Connecting(connecting) => Some(connecting.deadline()),
            State::Requested(requested) => requested.handshake.poll_timeout(),
            State::Accepted { since } => since.checked_add(config.protocol.handshake_timeout),
            State::Handshaking(handshake) => handshake.poll_timeout(),
            State::Deciding(deciding) => deciding.upgrade.poll_timeout(),
            State::Lingering(linger) => Some(linger.deadline),
        }
    }

    /// The socket is ready for something.
    #[inline]
    pub(super) fn handle_ready(&mut self, ready: Readiness, cx: &mut Context<H>) -> Flow {
        if ready.read_closed {
            rare();
            self.hung_up = true;
        }
        self.readable |= (ready.readable || ready.read_closed) && !self.eof;
        self.writable |= ready.writable;
        self.work(cx, |_, _| false)
    }

    /// It asked for another turn.
    pub(super) fn handle_again(&mut self, cx: &mut Context<H>) -> Flow {
        self.work(cx, |_, _| false)
    }

    /// Looks at the clock.
    pub(super) fn handle_timeout(&mut self, cx: &mut Context<H>) -> Flow {
        if self
            .deadline(&cx.config)
            .is_none_or(|deadline| deadline > cx.hub.now)
        {
            return Flow::Keep;
        }
        self.work(cx, |session, cx| {
            match &mut session.state {
                State::Open(connection, _) => {
                    connection.handle_timeout(cx.hub.now, &mut cx.buffers.send);
                }
                // It looks at the clock by itself.
                State::Connecting(_) => {}
                State::Requested(_) => session.fail_handshake(HandshakeError::TimedOut, cx),
                State::Accepted { .. } | State::Handshaking(_) => {
                    session.fail_handshake(HandshakeError::TimedOut, cx);
                }
                State::Deciding(_) => session.fail_handshake(HandshakeError::Undecided, cx),
                State::Lingering(_) => session.give_up(),
            }
            true
        })
    }

    /// Does `first`, and then all that the socket allows. `first` says whether it may have queued
    /// something, or changed what the protocol has to say, without a byte received.
    #[inline]
    fn work(
        &mut self,
        cx: &mut Context<H>,
        first: impl FnOnce(&mut Self, &mut Context<H>) -> bool,
    ) -> Flow {
        // Who is not listened to has no extras, and pays for no more than that look.
        match self.link.extras.is_some() {
            true => {
                rare();
                self.work_seen(cx, first)
            }
            false => self.work_unseen(cx, first),
        }
    }

    /// As [`work`](Self::work), for who is or may be listened to.
    #[inline(never)]
    fn work_seen(
        &mut self,
        cx: &mut Context<H>,
        first: impl FnOnce(&mut Self, &mut Context<H>) -> bool,
    ) -> Flow {
        cx.hub.mark = cx.hub.counters.mark();
        let extras = self.link.extras.as_ref();
        let _entered = extras.and_then(|extras| extras.trace.enter());
        self.work_unseen(cx, first)
    }

    /// As [`work`](Self::work), within whatever span was entered.
    #[inline(always)]
    fn work_unseen(
        &mut self,
        cx: &mut Context<H>,
        first: impl FnOnce(&mut Self, &mut Context<H>) -> bool,
    ) -> Flow {
        let queued = self.queued();
        let was_lent = cx.buffers.lend(&mut self.held);
        let changed = first(self, cx) | was_lent;
        let flow = self.exchange(changed, cx);
        if flow == Flow::Drop {
            rare();
            cx.buffers.discard();
        }
        if self.held.is_some() || cx.buffers.are_in_use() {
            rare();
            self.settle(queued, cx);
        }
        if let Some(extras) = &mut self.link.extras {
            rare();
            extras.trace.add(cx.hub.passed());
        }
        flow
    }

    /// Keeps what is left in the buffers, of which `queued` bytes waited to be written before.
    #[inline(never)]
    fn settle(&mut self, queued: usize, cx: &mut Context<H>) {
        cx.buffers.settle(&mut self.held);
        cx.hub.counters.queue(queued, self.queued());
    }

    /// The bytes that wait to be written, between turns.
    #[inline]
    fn queued(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.queued())
    }

    /// Reads, has the protocol work, and writes, until the socket has nothing more to give or to
    /// take, or others are to have their turn.
    #[inline(never)]
    fn exchange(&mut self, changed: bool, cx: &mut Context<H>) -> Flow {
        // The error is handled here, so that what is returned fits a register.
        self.try_exchange(changed, cx)
            .unwrap_or_else(|error| self.break_off(error, cx))
    }

    #[inline(always)]
    fn try_exchange(&mut self, changed: bool, cx: &mut Context<H>) -> io::Result<Flow> {
        if !self.is_open() {
            rare();
            if !self.has_stream(cx)? {
                return Ok(Flow::Keep);
            }
        }
        // What waits goes first: it may be what keeps us from reading.
        if changed {
            rare();
            self.flush(cx)?;
        }
        let mut reads = 0;
        let mut pending = changed || self.eof;
        loop {
            if !pending {
                if !self.readable || reads == READS_MAX {
                    break;
                }
                reads += 1;
                if !self.receive(cx)? {
                    rare();
                    break;
                }
            }
            let step = match self.is_open() {
                true => self.converse(cx),
                false => {
                    rare();
                    self.open_or_end(cx)
                }
            };
            pending = step != Step::More;
            if pending {
                rare();
                if !self.act_on(step, cx)? {
                    break;
                }
            }
        }
        if !cx.buffers.send.is_empty() && self.writable {
            self.write_pending(cx)?;
            if !cx.buffers.send.is_empty() {
                rare();
                self.write_on(cx)?;
            }
        }
        if !self.is_open() {
            rare();
            if self.is_over(cx)? {
                return Ok(Flow::Drop);
            }
            if matches!(self.state, State::Connecting(_)) {
                return Ok(Flow::Again);
            }
        }
        let sendable = self.writable && !cx.buffers.send.is_empty();
        match sendable || reads == READS_MAX && self.readable {
            true => Ok(Flow::Again),
            false => Ok(Flow::Keep),
        }
    }

    /// Does what a step other than the last asks for; answers whether the protocol has more to do.
    #[inline(never)]
    fn act_on(&mut self, step: Step, cx: &mut Context<H>) -> io::Result<bool> {
        match step {
            Step::Full => self.flush(cx),
            Step::Answer => self.write_answer(cx).map(|()| true),
            Step::Next => Ok(true),
            Step::More | Step::Wait => Ok(false),
        }
    }

    /// Whether there is a stream by now that bytes can pass over.
    #[inline(never)]
    fn has_stream(&mut self, cx: &mut Context<H>) -> io::Result<bool> {
        if matches!(self.state, State::Connecting(_)) && !self.connect(cx) {
            return Ok(false);
        }
        if self.transport.is_opening() && !matches!(self.state, State::Lingering(_)) {
            if !self.transport.open(&mut cx.buffers.scratch)? {
                return Ok(false);
            }
            (self.readable, self.writable) = (true, true);
        }
        Ok(true)
    }

    /// What is received before messages pass, and after: apart from them, so that little of the
    /// program is passed through on their way.
    #[inline(never)]
    fn open_or_end(&mut self, cx: &mut Context<H>) -> Step {
        match &mut self.state {
            State::Open(..) => Step::Next,
            State::Accepted { since } => {
                let handshake = ServerHandshake::new(cx.config.protocol.clone(), *since);
                self.state = State::Handshaking(Box::new(handshake));
                Step::Next
            }
            State::Handshaking(_) => self.answer(cx),
            State::Deciding(_) => self.await_decision(cx),
            State::Requested(_) => self.hear(cx),
            State::Connecting(_) => Step::More,
            State::Lingering(linger) => {
                linger.drain(cx.buffers.discard_received());
                Step::More
            }
        }
    }
}
