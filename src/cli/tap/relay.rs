//! One tapped connection: bytes from the client to the target and back.
//!
//! They pass as they came, before anything is made of them. Only who asks for rules has frames
//! held until they are whole, so that one can be dropped, delayed or put between two others; and
//! the head of the request is held when the target needs another host in it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use openline::inspect::{Conversation, Frame, Item, Limits, Sides, Start};
use openline::proto::{Role, Url};
use rand::Rng;
use rand::rngs::StdRng;

use crate::cli::tap::inject::Injection;
use crate::cli::tap::rewrite::rewrite;
use crate::cli::tap::rule::Counted;
use crate::cli::tap::screen::Screen;
use crate::cli::wire::{Received, Wire};

/// What is done to what passes.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) drop: Vec<Counted>,
    pub(super) delay: Vec<(Duration, Counted)>,
    pub(super) inject: Vec<Injection>,
    /// The target whose host the request is to name.
    pub(super) rewrite: Option<Url>,
}

impl Rules {
    /// Whether frames must be held until they are whole.
    fn hold_frames(&self) -> bool {
        !(self.drop.is_empty() && self.delay.is_empty() && self.inject.is_empty())
    }
}

/// One direction.
struct Way {
    /// What waits to be written, and when it may be.
    queue: VecDeque<(Instant, Vec<u8>)>,
    queued: usize,
    /// How much of the first in the queue is written.
    written: usize,
    /// What came and is held until it is known what it is.
    held: Vec<u8>,
    /// Whether bytes pass at once.
    passes: bool,
    /// How much of the item to come was passed on already, for it was too large to hold.
    ahead: u64,
    /// What comes later goes later.
    not_before: Instant,
    eof: bool,
    half_closed: bool,
}

pub(super) struct Relay {
    connection: usize,
    screen: Arc<Screen>,
    rules: Rules,
    conversation: Conversation,
    /// By who sends: the client's, the server's.
    ways: [Way; 2],
    /// The ends themselves, in the same order.
    wires: [Wire; 2],
    /// What is yet to be injected: when, and which.
    pending: Vec<(Instant, usize)>,
    is_open: bool,
    keys: StdRng,
}

const fn index(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}

impl Relay {
    pub(super) fn new(
        connection: usize,
        screen: Arc<Screen>,
        rules: Rules,
        client: Wire,
        server: Wire,
        keys: StdRng,
    ) -> Self {
        let now = Instant::now();
        let way = |from| Way {
            queue: VecDeque::new(),
            queued: 0,
            written: 0,
            held: Vec::new(),
            passes: !rules.hold_frames() && (from == Role::Server || rules.rewrite.is_none()),
            ahead: 0,
            not_before: now,
            eof: false,
            half_closed: false,
        };
        Self {
            connection,
            screen,
            ways: [way(Role::Client), way(Role::Server)],
            conversation: Conversation::new(Sides::Both, Start::Detect, Limits::default()),
            rules,
            wires: [client, server],
            pending: Vec::new(),
            is_open: false,
            keys,
        }
    }

    /// Carries bytes until both ends have no more.
    pub(super) fn run(mut self) {
        if let Err((role, error)) = self.carry() {
            let who = match role {
                Some(Role::Client) => "the client's connection",
                Some(Role::Server) => "the connection to the target",
                None => "the tap",
            };
            self.screen
                .note(self.connection, &format!("{who} failed: {error}"));
            for role in [Role::Client, Role::Server] {
                let items = self.conversation.finish(role);
                self.screen
                    .items(self.connection, &items, &self.conversation);
            }
            // The other end learns of it as we did.
            for wire in &self.wires {
                wire.reset();
            }
        }
    }

    fn carry(&mut self) -> Result<(), (Option<Role>, io::Error)> {
        let ours = |error| (None, error);
        let mut poll = Poll::new().map_err(ours)?;
        let mut events = Events::with_capacity(8);
        let interest = Interest::READABLE | Interest::WRITABLE;
        for (at, wire) in self.wires.iter_mut().enumerate() {
            let registered = poll
                .registry()
                .register(wire.socket_mut(), Token(at), interest);
            registered.map_err(ours)?;
        }
        loop {
            self.inject_due();
            while self.pump()? {}
            if self.ways.iter().all(|way| way.half_closed) {
                return Ok(());
            }
            let timeout = self
                .next_due()
                .map(|due| due.saturating_duration_since(Instant::now()));
            match poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(ours(error)),
                _ => {}
            }
        }
    }

    /// Reads and writes what can be; answers whether anything was.
    fn pump(&mut self) -> Result<bool, (Option<Role>, io::Error)> {
        let mut moved = false;
        for from in [Role::Client, Role::Server] {
            let at = index(from);
            moved |= self.write(from)?;
            if !self.ways[at].eof && self.ways[at].queued < QUEUE_MAX {
                let mut bytes = [0; READ_SIZE];
                let failed = |error| (Some(from), error);
                self.wires[at].flush().map_err(failed)?;
                match self.wires[at].recv(&mut bytes) {
                    Ok(Received::Nothing) => {}
                    Ok(Received::Bytes(n)) => {
                        self.received(from, &bytes[..n])?;
                        moved = true;
                    }
                    Ok(Received::End) => {
                        self.end(from);
                        moved = true;
                    }
                    // TLS that ends unannounced, which the other end cannot be told otherwise.
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                        self.screen
                            .note(self.connection, "TLS ended without saying so");
                        self.end(from);
                        moved = true;
                    }
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        Ok(moved)
    }

    fn received(&mut self, from: Role, bytes: &[u8]) -> Result<(), (Option<Role>, io::Error)> {
        let now = Instant::now();
        let way = &mut self.ways[index(from)];
        match way.passes {
            true => way.push(now, bytes.to_vec()),
            false => way.held.extend_from_slice(bytes),
        }
        // First the bytes, then what is to be said about them.
        self.write(from)?;
        self.screen.received(self.connection, from, bytes);
        let items = self.conversation.push(from, bytes);
        for item in &items {
            self.decide(now, item);
        }
        self.ways[index(from)].bound(now);
        self.screen
            .items(self.connection, &items, &self.conversation);
        self.opened(now);
        Ok(())
    }

    /// What becomes of an item whose bytes are held.
    fn decide(&mut self, now: Instant, item: &Item) {
        let hold_frames = self.rules.hold_frames();
        let way = &mut self.ways[index(item.sender())];
        if way.passes {
            return;
        }
        match item {
            Item::Head(head) => {
                let bytes = way.take(head.bytes.len() as u64);
                let target = self
                    .rules
                    .rewrite
                    .as_ref()
                    .filter(|_| head.sender == Role::Client);
                let bytes = match target {
                    Some(target) if head.is_whole && bytes.len() == head.bytes.len() => {
                        let rewritten = rewrite(&bytes, target);
                        for change in rewritten.changes {
                            self.screen.note(self.connection, &change);
                        }
                        rewritten.bytes
                    }
                    _ => bytes,
                };
                way.push(now, bytes);
                if !hold_frames {
                    way.pass_all(now);
                }
            }
            Item::Body { bytes, .. } => {
                let bytes = way.take(bytes.len() as u64);
                way.push(now, bytes);
            }
            Item::Frame(frame) if hold_frames => self.frame(now, frame),
            Item::Frame(_) | Item::Gap { .. } => way.pass_all(now),
        }
    }

    /// A whole frame: dropped, delayed, passed on; and what follows it.
    fn frame(&mut self, now: Instant, frame: &Frame) {
        let connection = self.connection;
        let way = &mut self.ways[index(frame.sender)];
        let bytes = way.take(frame.size());
        // Each rule counts, also behind one that has decided already.
        let drop = self.rules.drop.iter_mut();
        let is_dropped = drop.fold(false, |any, rule| rule.is_met(connection, frame) | any);
        let delays = self.rules.delay.iter_mut();
        let delay = delays
            .filter_map(|(delay, rule)| rule.is_met(connection, frame).then_some(*delay))
            .max();
        let at = format!("{} at {}", frame.name(), frame.offset);
        if is_dropped && bytes.len() as u64 == frame.size() {
            self.screen.note(connection, &format!("dropped: {at}"));
        } else {
            let due = now + delay.unwrap_or_default();
            way.push(due, bytes);
            if let Some(delay) = delay {
                self.screen
                    .note(connection, &format!("delayed by {delay:?}: {at}"));
            }
        }
        let due: Vec<usize> = (0..self.rules.inject.len())
            .filter(|at| self.rules.inject[*at].is_due_at(frame))
            .collect();
        for at in due {
            self.inject(at, now);
        }
    }

    /// Injections count from when the handshake is over.
    fn opened(&mut self, now: Instant) {
        if self.is_open || self.conversation.frames(Role::Server).is_none() {
            return;
        }
        self.is_open = true;
        let first = self.rules.inject.iter().map(Injection::first).enumerate();
        self.pending = first
            .filter_map(|(at, first)| Some((now + first?, at)))
            .collect();
    }

    fn inject_due(&mut self) {
        let now = Instant::now();
        let (due, later) = self.pending.drain(..).partition(|(due, _)| *due <= now);
        self.pending = later;
        let due: Vec<(Instant, usize)> = due;
        for (due, at) in due {
            self.inject(at, now);
            if let Some(every) = self.rules.inject[at].every {
                self.pending.push(((due + every).max(now), at));
            }
        }
    }

    fn inject(&mut self, at: usize, now: Instant) {
        let injection = &self.rules.inject[at];
        let bytes = injection.bytes(self.keys.next_u32().to_be_bytes());
        let to = match injection.to {
            Role::Client => "client",
            Role::Server => "server",
        };
        let hex = openline::inspect::hex(&bytes, 32);
        let way = &mut self.ways[index(injection.to.peer())];
        if way.eof || way.passes {
            return;
        }
        way.push(now, bytes);
        self.screen
            .note(self.connection, &format!("injected to the {to}: {hex}"));
    }

    /// An end sends no more.
    fn end(&mut self, from: Role) {
        let now = Instant::now();
        self.ways[index(from)].eof = true;
        let items = self.conversation.finish(from);
        for item in &items {
            self.decide(now, item);
        }
        self.ways[index(from)].pass_all(now);
        self.screen
            .items(self.connection, &items, &self.conversation);
        self.screen.ended(self.connection, from);
    }

    /// Writes what is due of what `from` sent; answers whether anything was.
    fn write(&mut self, from: Role) -> Result<bool, (Option<Role>, io::Error)> {
        let to = from.peer();
        let failed = |error| (Some(to), error);
        let (way, wire) = (&mut self.ways[index(from)], &mut self.wires[index(to)]);
        let now = Instant::now();
        let mut moved = false;
        while let Some((due, bytes)) = way.queue.front()
            && *due <= now
        {
            match wire.send(&bytes[way.written..]).map_err(failed)? {
                0 => break,
                n => {
                    moved = true;
                    way.queued -= n;
                    way.written += n;
                }
            }
            if way.written == bytes.len() {
                way.queue.pop_front();
                way.written = 0;
            }
        }
        if way.queue.is_empty() && way.eof && !way.half_closed && wire.flush().map_err(failed)? {
            wire.half_close().map_err(failed)?;
            way.half_closed = true;
            moved = true;
        }
        Ok(moved)
    }

    fn next_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let queued = self.ways.iter().filter_map(|way| way.queue.front());
        let queued = queued.map(|(due, _)| *due).filter(|due| *due > now);
        queued.chain(self.pending.iter().map(|(due, _)| *due)).min()
    }
}

impl Way {
    /// Queues bytes, behind all that were queued before.
    fn push(&mut self, due: Instant, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.not_before = self.not_before.max(due);
        self.queued += bytes.len();
        self.queue.push_back((self.not_before, bytes));
    }

    /// Takes the next item's bytes off those that are held.
    fn take(&mut self, size: u64) -> Vec<u8> {
        let left = size.saturating_sub(self.ahead);
        self.ahead = self.ahead.saturating_sub(size);
        let n = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(self.held.len());
        let rest = self.held.split_off(n);
        std::mem::replace(&mut self.held, rest)
    }

    /// From here on bytes pass as they come.
    fn pass_all(&mut self, now: Instant) {
        self.passes = true;
        let held = std::mem::take(&mut self.held);
        self.push(now, held);
    }

    /// What is held is bounded: what is larger passes without being judged.
    fn bound(&mut self, now: Instant) {
        if self.held.len() > HELD_MAX {
            let held = std::mem::take(&mut self.held);
            self.ahead += held.len() as u64;
            self.push(now, held);
        }
    }
}

/// What is read at a time.
const READ_SIZE: usize = 64 << 10;

/// What waits for an end that does not read, before the other is not read any more.
const QUEUE_MAX: usize = 1 << 20;

/// A frame that is held whole at most.
const HELD_MAX: usize = 16 << 20;
