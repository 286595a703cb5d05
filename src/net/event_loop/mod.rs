//! The loop: waits for sockets and deadlines, and gives each connection its turn.
//!
//! One turn: wait; handle every event; then those that asked for another turn; then the mailbox,
//! so that what other threads publish leaves after all that was readable was read; then the
//! deadlines. The clock is read once a turn.

mod accepting;
mod draining;
mod post;
mod running;
mod seed;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::net::{SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Token};
use slab::Slab;
use tracing::{error, info};

use crate::net::alarm::Alarm;
use crate::net::buffers::Buffers;
use crate::net::config::LoopConfig;
use crate::net::connect::{ConnectOptions, Connecting, Plan};
use crate::net::connector::{Connector, Wanted};
use crate::net::handler::{Handler, Message};
use crate::net::hub::{Hub, Place};
use crate::net::listener::Listener;
use crate::net::mailbox::{Item, Mailbox};
use crate::net::peer::{ConnectionId, Peer};
use crate::net::quota::Census;
use crate::net::remote::Remote;
use crate::net::session::{Context, Flow, Readiness, Revival, Session, Standing};
use crate::net::timers::Timers;
#[cfg(feature = "tls")]
use crate::net::tls::ServerTls;
use crate::net::topics::{Batch, Deliveries};
use crate::proto::{ClientRequest, SendError};
use crate::rare::rare;

use draining::Draining;
pub(super) use running::Busy;
pub(super) use seed::Seed;

/// The events taken at once; more wait for the next turn.
const EVENTS_MAX: usize = 1024;
/// The waker's token.
const WAKER: Token = Token(usize::MAX);
/// The alarm's. Listeners count down from the one before it, connections up from 0.
const ALARM: Token = Token(usize::MAX - 1);

/// An event loop: any number of listeners, and of connections of either role, in one thread.
pub struct EventLoop<H: Handler> {
    cx: Context<H>,
    events: Events,
    timers: Timers,
    alarm: Alarm,
    listeners: Vec<Listener>,
    sessions: Slab<Session<H>>,
    /// Of the next connection's id.
    generation: u32,
    /// Those that asked for another turn.
    again: VecDeque<u32>,
    /// What connectors asked for.
    wanted: Wanted<H::Connection>,
    census: Arc<Census>,
    /// How many connections above a quota are being told so.
    turned_away: usize,
    /// The memory of what was taken from the mailbox, and of what was published.
    items: Vec<Item>,
    deliveries: Deliveries,
    batch: Batch,
    /// Whether the last were delivered from the last subscriber to the first.
    goes_back: bool,
    /// Whether the last turn delivered to many, so that this one need not wait to see what has come
    /// meanwhile.
    has_delivered_much: bool,
    /// Whether it paid the last time to look for publications before others were delivered.
    gathers: bool,
    /// The last connections are closing.
    draining: Option<Draining>,
}

impl<H: Handler> EventLoop<H> {
    /// A loop with nothing in it yet.
    ///
    /// # Errors
    ///
    /// What the operating system says, such as that descriptors are used up.
    pub fn new(handler: H, config: LoopConfig) -> io::Result<Self> {
        let seed = Seed::group(1, &config)?.remove(0);
        Self::from_seed(seed, handler, config)
    }

    /// The loop that grows from `seed`, in the thread that it is to run in.
    pub(super) fn from_seed(seed: Seed, handler: H, config: LoopConfig) -> io::Result<Self> {
        let now = Instant::now();
        let hub = Hub::new(seed.number, seed.remote, now, config.subscriptions_max);
        let mut this = Self {
            cx: Context {
                handler,
                buffers: Buffers::default(),
                hub,
                config,
                poll: seed.poll,
                revivals: Vec::new(),
            },
            events: Events::with_capacity(EVENTS_MAX),
            timers: Timers::new(now),
            alarm: seed.alarm,
            listeners: Vec::new(),
            sessions: Slab::new(),
            generation: 0,
            again: VecDeque::new(),
            wanted: Wanted::default(),
            census: seed.census,
            turned_away: 0,
            items: Vec::new(),
            deliveries: Deliveries::default(),
            batch: Batch::default(),
            goes_back: false,
            has_delivered_much: false,
            gathers: false,
            draining: None,
        };
        for listener in seed.listeners {
            this.accept_from(listener)?;
        }
        Ok(this)
    }

    /// Listens at `address`, and serves who connects there; returns the address, with the port
    /// that was chosen if it asked for 0.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub fn listen(&mut self, address: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        let listener = Listener::bind(address, &self.cx.config)?;
        let address = listener.address();
        self.accept_from(listener)?;
        info!(target: "openline", %address, "listening");
        Ok(address)
    }

    /// The same for `wss`: who connects there speaks TLS.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    #[cfg(feature = "tls")]
    pub fn listen_tls(
        &mut self,
        address: impl ToSocketAddrs,
        tls: ServerTls,
    ) -> io::Result<SocketAddr> {
        let mut listener = Listener::bind(address, &self.cx.config)?;
        listener.tls = Some(tls);
        let address = listener.address();
        self.accept_from(listener)?;
        info!(target: "openline", %address, "listening for TLS");
        Ok(address)
    }

    /// The same at a Unix socket: `path` is made, and removed when the loop no longer listens.
    ///
    /// # Errors
    ///
    /// When somebody listens there already, or the file cannot be made.
    #[cfg(unix)]
    pub fn listen_unix(&mut self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        for listener in Listener::bind_unix(path, 1)? {
            self.accept_from(listener)?;
        }
        info!(target: "openline", path = %path.display(), "listening");
        Ok(())
    }

    fn accept_from(&mut self, mut listener: Listener) -> io::Result<()> {
        let token = Token(ALARM.0 - 1 - self.listeners.len());
        listener.register(self.cx.poll.registry(), token)?;
        self.listeners.push(listener);
        Ok(())
    }

    /// Begins to connect to a server, at whichever of its addresses answers first; `data` is kept for the
    /// connection. What comes of it is told to the handler when the loop runs.
    ///
    /// A host name is looked up in a thread of its own. While the loop runs, its
    /// [`connector`](Self::connector) does the same.
    ///
    /// # Errors
    ///
    /// For `wss` URLs, when there are no authorities to trust, or no TLS in this build.
    pub fn connect(
        &mut self,
        request: ClientRequest,
        data: H::Connection,
    ) -> io::Result<ConnectionId> {
        self.connect_with(request, &ConnectOptions::default(), data)
    }

    /// The same, with a say in how.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_with(
        &mut self,
        request: ClientRequest,
        options: &ConnectOptions,
        data: H::Connection,
    ) -> io::Result<ConnectionId> {
        let plan = Plan::new(request, options.clone())?;
        self.begin(plan, data, Instant::now())
    }

    /// Has the loop connect while it runs: for its handler, and for other threads.
    #[must_use]
    pub fn connector(&self) -> Connector<H::Connection> {
        let (number, remote) = (self.cx.hub.number, self.cx.hub.remote.clone());
        let loops = Arc::new([self.wanted.clone()]);
        Connector::new(loops, number, remote, self.cx.config.mailbox_max)
    }

    /// Adds a client that begins to connect at `at`.
    fn begin(&mut self, plan: Plan, data: H::Connection, at: Instant) -> io::Result<ConnectionId> {
        let place = self.next_place()?;
        let session = Session::connecting(place, Connecting::new(plan, data, at));
        self.insert(session)?;
        // Its turn comes without anything that happens to it.
        if let Some(session) = self.sessions.get_mut(place.index as usize) {
            session.queued = true;
            self.again.push_back(place.index);
        }
        Ok(self.cx.hub.name(place))
    }

    /// As [`begin`](Self::begin), where there is nobody to tell that it cannot be.
    fn begin_later(&mut self, plan: Plan, data: H::Connection, at: Instant) {
        if let Err(error) = self.begin(plan, data, at) {
            error!(target: "openline", %error, "a connection cannot be begun");
        }
    }

    /// Begins what connectors asked for.
    fn begin_wanted(&mut self) {
        for (plan, data) in self.wanted.take() {
            self.begin_later(plan, data, self.cx.hub.now);
        }
    }

    /// Adds the clients that are to connect again.
    #[cold]
    fn revive(&mut self) {
        while let Some(Revival { plan, data, at }) = self.cx.revivals.pop() {
            self.begin_later(plan, data, at);
        }
    }

    /// A handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.cx.hub.remote.clone()
    }

    /// The handler.
    #[must_use]
    pub fn handler(&self) -> &H {
        &self.cx.handler
    }

    /// The handler, to be changed between runs.
    pub fn handler_mut(&mut self) -> &mut H {
        &mut self.cx.handler
    }

    /// Whether there is a connection, or an attempt at one.
    pub(super) fn has_connections(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// One turn, which waits for something to do until `until` at most, or as long as it takes:
    /// for a program that has a clock of its own to keep to between turns.
    ///
    /// What the operating system measures in whole milliseconds may end the wait up to one late.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn turn(&mut self, until: Option<Instant>) -> io::Result<()> {
        let patience = self.patience(until);
        if let Err(error) = self.wait(patience)
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error);
        }
        self.cx.hub.now = Instant::now();
        // Only these: what asks again from here on has its turn in the next.
        let again = self.again.len();
        let woken = self.handle_events();
        for _ in 0..again {
            if let Some(index) = self.again.pop_front() {
                self.visit(index, |session, cx| {
                    session.queued = false;
                    session.handle_again(cx)
                });
            }
        }
        if woken {
            self.handle_mailbox();
            self.begin_wanted();
        }
        self.gather_publications();
        self.deliver_publications();
        self.handle_deadlines();
        self.cx.buffers.rest(self.cx.hub.now);
        self.cx.hub.counters.topics(self.cx.hub.topics.census());
        let compressed = self.cx.buffers.send.compressors().messages();
        self.cx.hub.counters.compressed(compressed);
        Ok(())
    }

    #[cfg(not(test))]
    fn wait(&mut self, patience: Option<Duration>) -> io::Result<()> {
        self.cx.poll.poll(&mut self.events, patience)
    }

    /// As a test has it, if it says so.
    #[cfg(test)]
    fn wait(&mut self, patience: Option<Duration>) -> io::Result<()> {
        self.events.clear();
        crate::net::faults::check(crate::net::faults::Call::Wait)?;
        self.cx.poll.poll(&mut self.events, patience)
    }

    /// How long there is nothing to do, unless a socket becomes ready, but not beyond `until`;
    /// `None`: until an event comes.
    fn patience(&mut self, until: Option<Instant>) -> Option<Duration> {
        let is_busy = !self.again.is_empty() || !self.cx.hub.is_quiet() || self.has_delivered_much;
        if is_busy || until.is_some_and(|until| until <= Instant::now()) {
            return Some(Duration::ZERO);
        }
        let draining = self.draining.as_ref().and_then(Draining::wake_at);
        let retries = self.listeners.iter().map(|listener| listener.retry_at);
        let ours = earlier(self.timers.next(), self.cx.buffers.rest_at());
        let next = earlier(earlier(ours, until), retries.fold(draining, earlier));
        self.alarm.patience(next?)
    }

    /// Answers whether the waker was among the events.
    fn handle_events(&mut self) -> bool {
        let mut woken = false;
        let events = mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let token = event.token();
            if let Ok(index) = u32::try_from(token.0) {
                let ready = Readiness {
                    readable: event.is_readable(),
                    writable: event.is_writable(),
                    read_closed: event.is_read_closed() || event.is_error(),
                };
                self.visit(index, |session, cx| session.handle_ready(ready, cx));
            } else {
                rare();
                woken |= self.handle_other(token);
            }
        }
        self.events = events;
        woken
    }

    /// Something is told of what is no connection; answers whether it is the waker.
    #[inline(never)]
    fn handle_other(&mut self, token: Token) -> bool {
        match token {
            WAKER => return true,
            ALARM => self.alarm.rang(),
            _ => {
                if let Some(listener) = self.listener(token) {
                    self.accept(listener);
                }
            }
        }
        false
    }

    /// The place that the next connection has.
    fn next_place(&mut self) -> io::Result<Place> {
        let index = u32::try_from(self.sessions.vacant_key())
            .map_err(|_| io::Error::other("the table of connections is full"))?;
        self.generation = self.generation.wrapping_add(1);
        Ok(Place {
            index,
            generation: self.generation,
        })
    }

    fn insert(&mut self, mut session: Session<H>) -> io::Result<()> {
        session.register(self.cx.poll.registry())?;
        session.trace(&self.cx.hub);
        let index = session.place().index;
        self.sessions.insert(session);
        self.arm(index);
        Ok(())
    }

    /// Sees to it that a connection's deadline is kept.
    fn arm(&mut self, index: u32) {
        if let Some(session) = self.sessions.get(index as usize)
            && let Some(deadline) = session.deadline(&self.cx.config)
        {
            self.timers.arm(index, deadline);
        }
    }

    /// Gives a connection its turn, if it is still there.
    #[inline]
    fn visit(&mut self, index: u32, turn: impl FnOnce(&mut Session<H>, &mut Context<H>) -> Flow) {
        let Some((session, cx)) = self.enter(index) else {
            return;
        };
        let flow = turn(session, cx);
        // If so, what is armed comes due before its deadline.
        let stays_at_rest = session.stays_at_rest();
        match flow {
            Flow::Keep => {}
            Flow::Again => {
                rare();
                if !mem::replace(&mut session.queued, true) {
                    self.again.push_back(index);
                }
            }
            Flow::Drop => {
                rare();
                self.remove(index);
                return self.revive();
            }
        }
        if !stays_at_rest {
            rare();
            self.arm(index);
        }
        if !self.cx.revivals.is_empty() {
            self.revive();
        }
    }

    #[cold]
    fn remove(&mut self, index: u32) {
        self.timers.disarm(index);
        let session = self.sessions.remove(index as usize);
        match session.standing() {
            Standing::Counted => self.census.leave(session.address(), &self.cx.config),
            Standing::TurnedAway => self.turned_away -= 1,
            Standing::Ours => {}
        }
    }

    /// A connection, if it is still there, and what it works with.
    #[inline]
    fn enter(&mut self, index: u32) -> Option<(&mut Session<H>, &mut Context<H>)> {
        Some((self.sessions.get_mut(index as usize)?, &mut self.cx))
    }

    fn handle_deadlines(&mut self) {
        for index in 0..self.listeners.len() {
            if self.listeners[index]
                .retry_at
                .is_some_and(|at| at <= self.cx.hub.now)
            {
                self.accept(index);
            }
        }
        while let Some(index) = self.timers.due(self.cx.hub.now) {
            self.visit(index, Session::handle_timeout);
            // What was due is no longer armed.
            self.arm(index);
        }
        if self.draining.is_some() {
            self.drain();
        }
    }

    fn indices(&self) -> Vec<u32> {
        self.sessions
            .iter()
            .map(|(_, session)| session.place().index)
            .collect()
    }

    fn mailbox(&self) -> &Mailbox {
        self.cx.hub.remote.mailbox(self.cx.hub.number)
    }
}

impl<H: Handler> Drop for EventLoop<H> {
    fn drop(&mut self) {
        self.mailbox().close();
    }
}

impl<H: Handler> fmt::Debug for EventLoop<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("listeners", &self.listeners)
            .field("connections", &self.sessions.len())
            .field("draining", &self.draining)
            .finish_non_exhaustive()
    }
}

/// The earlier of two moments, if there are any.
#[inline]
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Serves at `address`, in this thread, with a closure that is called for each message, until
/// the process ends: the shortest way to a server. Whatever else a server wants, it takes an
/// [`EventLoop`].
///
/// # Errors
///
/// When the address cannot be had.
pub fn serve(
    address: impl ToSocketAddrs,
    on_message: impl FnMut(&mut Peer<'_>, Message<'_>) -> Result<(), SendError>,
) -> io::Result<()> {
    let mut server = EventLoop::new(on_message, LoopConfig::default())?;
    server.listen(address)?;
    server.run()
}
