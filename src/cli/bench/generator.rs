//! The connections of one thread, and what happens on them.
//!
//! A connection never has more than so many messages under way, and what comes back is compared
//! with what is due, byte for byte.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use openline::net::{
    ConnectionId, Connector, End, EndWhy, Handler, Incoming, Message, Peer, Remote,
};
use openline::proto::{CloseCode, ClosedWhy, Party, SendError};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::cli::bench::payload::{Mismatch, Sent, check};
use crate::cli::bench::plan::{Mode, Plan};
use crate::cli::bench::publications::Publications;
use crate::cli::bench::shared::{Shared, Window};
use crate::cli::bench::tally::{Stage, Tally};

/// The connections of one thread.
pub(super) struct Generator {
    pub(super) plan: Arc<Plan>,
    shared: Arc<Shared>,
    worker: usize,
    random: StdRng,
    tally: Tally,
    /// Known to this thread as soon as it is set.
    pub(super) window: Option<Window>,
    /// Attempts under way.
    pub(super) opening: usize,
    /// Attempts that came to an end, opened or not.
    attempted: u64,
    open: u64,
    answered: u64,
    outstanding: u64,
    /// When a connection has its next message to send.
    dues: BinaryHeap<Reverse<(Instant, ConnectionId)>>,
    publications: Publications,
    batch: Batch,
    /// For connections that follow upon others.
    pub(super) connector: Option<Connector<Box<Client>>>,
}

/// What a turn of the loop brings to a connection. One look at the clock, and at whether it is over,
/// does for all of it: with many in flight they would be a quarter of the price of each message.
#[derive(Clone, Copy, Debug)]
struct Batch {
    /// Whose it is, if there was any yet.
    client: Option<usize>,
    turn: Instant,
    arrived: Instant,
    is_over: bool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    index: usize,
    /// When it was begun.
    begun: Instant,
    is_open: bool,
    /// How many messages it sent, publications included, and how many came back.
    sent: u64,
    echoed: u64,
    /// Those that are to come back, the next first.
    waiting: VecDeque<Sent>,
    /// In the rate-limited mode: when the next message is to leave.
    due: Option<Instant>,
    /// Of the publications, how many it has.
    received: u64,
}

impl Client {
    pub(super) fn new(index: usize, begun: Instant) -> Self {
        Self {
            index,
            begun,
            is_open: false,
            sent: 0,
            echoed: 0,
            waiting: VecDeque::new(),
            due: None,
            received: 0,
        }
    }
}

impl Generator {
    pub(super) fn new(plan: Arc<Plan>, shared: Arc<Shared>, worker: usize) -> Self {
        Self {
            plan,
            shared,
            worker,
            random: StdRng::seed_from_u64(worker as u64),
            tally: Tally::new(),
            window: None,
            opening: 0,
            attempted: 0,
            open: 0,
            answered: 0,
            outstanding: 0,
            dues: BinaryHeap::new(),
            publications: Publications::default(),
            batch: Batch {
                client: None,
                turn: Instant::now(),
                arrived: Instant::now(),
                is_over: false,
            },
            connector: None,
        }
    }

    /// Whether nothing more is to be sent.
    #[inline]
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.window.is_some_and(|window| now >= window.until) || self.shared.is_ending()
    }

    /// What the others say of when it counts.
    pub(super) fn look(&mut self, now: Instant) {
        if self.window.is_none() {
            self.window = self.shared.window();
        }
        // It ends before its time.
        if let Some(window) = &mut self.window
            && self.shared.is_ending()
        {
            window.until = window.until.min(now);
        }
    }

    /// What was counted.
    pub(super) fn take_tally(&mut self) -> Tally {
        if let Some(window) = self.window {
            self.tally.settle(window);
        }
        mem::replace(&mut self.tally, Tally::new())
    }

    /// Whether something is to be waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.outstanding > 0
    }

    /// The connections that are open or on their way to it.
    pub(super) fn is_alive(&self) -> bool {
        self.open > 0 || self.opening > 0
    }

    /// Tells the others how far this thread is.
    pub(super) fn report(&self) {
        let counts = self.shared.counts(self.worker);
        counts.attempted.store(self.attempted, Ordering::Relaxed);
        counts.opened.store(self.tally.opened, Ordering::Relaxed);
        counts.open.store(self.open, Ordering::Relaxed);
        counts.answered.store(self.answered, Ordering::Relaxed);
        counts
            .outstanding
            .store(self.outstanding, Ordering::Relaxed);
    }

    /// Has every connection called whose next message is due; answers when the next one is.
    pub(super) fn call_due(&mut self, now: Instant, remote: &Remote) -> Option<Instant> {
        let interval = self.plan.interval?;
        while let Some(&Reverse((due, id))) = self.dues.peek() {
            if due > now {
                return Some(due);
            }
            self.dues.pop();
            // A connection that has ended is not asked again.
            if remote.call(id).is_ok() && !self.is_over(now) {
                self.dues.push(Reverse((due + interval, id)));
            }
        }
        None
    }

    /// The publisher, if it is one of this thread's and may begin.
    pub(super) fn publisher(&self) -> Option<ConnectionId> {
        self.window.and(self.publications.publisher)
    }

    /// Has the batch be that of a message that came.
    #[inline]
    fn enter_batch(&mut self, client: &Client, peer: &Peer<'_>) {
        if self.batch.client != Some(client.index) || self.batch.turn != peer.now() {
            self.begin_batch(client.index, peer.now());
        }
    }

    #[inline(never)]
    fn begin_batch(&mut self, client: usize, turn: Instant) {
        let arrived = Instant::now();
        self.batch = Batch {
            client: Some(client),
            turn,
            arrived,
            is_over: self.is_over(arrived),
        };
    }

    /// Sends what may be sent `now`.
    fn fill(
        &mut self,
        client: &mut Client,
        peer: &mut Peer<'_>,
        now: Instant,
    ) -> Result<(), SendError> {
        let is_over = self.is_over(now);
        self.refill(client, peer, now, is_over)
    }

    /// The same, when it is known whether it is over.
    #[inline]
    fn refill(
        &mut self,
        client: &mut Client,
        peer: &mut Peer<'_>,
        now: Instant,
        is_over: bool,
    ) -> Result<(), SendError> {
        if let Some(interval) = self.plan.interval {
            return self.fill_due(client, peer, now, is_over, interval);
        }
        let room = match is_over {
            true => 0,
            false => self.room(client),
        };
        match self.plan.sizes.only() {
            Some(size) if self.plan.mode == Mode::Echo && room > 0 => {
                self.send(client, peer, now, size, room)
            }
            _ => (0..room).try_for_each(|_| self.send_one(client, peer, now)),
        }
    }

    /// By the schedule: what was due before the end leaves, even if that is noticed behind it.
    fn fill_due(
        &mut self,
        client: &mut Client,
        peer: &mut Peer<'_>,
        now: Instant,
        is_over: bool,
        interval: Duration,
    ) -> Result<(), SendError> {
        let until = self.window.map_or(now, |window| window.until.min(now));
        while self.room(client) > 0 {
            let intended = match &mut client.due {
                Some(due) if *due > now || is_over && *due >= until => return Ok(()),
                Some(due) => mem::replace(due, *due + interval),
                None if is_over => return Ok(()),
                None => now,
            };
            self.send_one(client, peer, intended)?;
        }
        Ok(())
    }

    /// How many more may be in flight.
    #[inline]
    fn room(&self, client: &Client) -> u64 {
        let in_flight = match self.plan.mode {
            Mode::Broadcast => self.publications.len() as u64,
            _ => client.sent - client.echoed,
        };
        (self.plan.in_flight as u64).saturating_sub(in_flight)
    }

    /// Sends the next message, of whatever size it has.
    fn send_one(
        &mut self,
        client: &mut Client,
        peer: &mut Peer<'_>,
        intended: Instant,
    ) -> Result<(), SendError> {
        let size = self.plan.sizes.draw(&mut self.random);
        self.send(client, peer, intended, size, 1)
    }

    /// Sends so many of one size.
    #[inline]
    fn send(
        &mut self,
        client: &mut Client,
        peer: &mut Peer<'_>,
        intended: Instant,
        size: u32,
        count: u64,
    ) -> Result<(), SendError> {
        let numbers = client.sent..client.sent + count;
        self.plan.pattern.send(numbers, size, peer)?;
        client.sent += count;
        let sent = Sent {
            intended,
            size,
            count,
        };
        if self.plan.mode == Mode::Broadcast {
            self.outstanding += self.open;
            self.publications.publish(sent, self.open);
        } else {
            self.outstanding += count;
            client.waiting.push_back(sent);
        }
        Ok(())
    }

    /// A publication came to a subscriber.
    fn delivered(
        &mut self,
        client: &mut Client,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        self.enter_batch(client, peer);
        let arrived = self.batch.arrived;
        let Some(sent) = self.publications.at(client.received) else {
            self.mismatch(client, Mismatch::Unasked);
            return Ok(());
        };
        let published = self.plan.pattern.message(client.received, sent.size);
        if let Err(mismatch) = check(published, message) {
            self.mismatch(client, mismatch);
            return Ok(());
        }
        let complete = self.publications.delivered(client.received);
        client.received += 1;
        self.answered += 1;
        self.outstanding -= 1;
        if let Some(window) = self.window {
            let times = (sent.intended, arrived);
            self.tally.answer(window, times, sent.size, 1);
        }
        if complete == 0 {
            return Ok(());
        }
        let in_window = self.window.is_some_and(|window| window.contains(arrived));
        self.tally.publications += if in_window { complete } else { 0 };
        match self.publications.publisher {
            Some(id) if id == peer.id() => self.fill(client, peer, arrived),
            Some(id) => {
                // A loop that is gone publishes no more.
                let _ = peer.remote().call(id);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The first so many messages that a client waited for came back: others may follow.
    #[inline]
    fn go_on(
        &mut self,
        client: &mut Client,
        peer: &mut Peer<'_>,
        count: u64,
    ) -> Result<(), SendError> {
        self.enter_batch(client, peer);
        let Batch {
            arrived, is_over, ..
        } = self.batch;
        client.echoed += count;
        self.answered += count;
        self.outstanding -= count;
        let mut left = count;
        while left > 0
            && let Some(sent) = client.waiting.front_mut()
        {
            let n = left.min(sent.count);
            if let Some(window) = self.window {
                let times = (sent.intended, arrived);
                self.tally.answer(window, times, sent.size, n);
            }
            left -= n;
            sent.count -= n;
            if sent.count == 0 {
                client.waiting.pop_front();
            }
        }
        self.refill(client, peer, arrived, is_over)
    }

    #[cold]
    fn mismatch(&self, client: &Client, mismatch: Mismatch) {
        let what = match self.plan.mode {
            Mode::Broadcast => format!("delivery {}", client.received + 1),
            _ => format!("echo {}", client.echoed + 1),
        };
        self.shared.fail(format!(
            "connection {}, {what}: {mismatch}",
            client.index + 1
        ));
    }
}

impl Handler for Generator {
    type Connection = Box<Client>;

    fn open(&mut self, client: &mut Box<Client>, peer: &mut Peer<'_>) {
        let now = Instant::now();
        client.is_open = true;
        self.opening -= 1;
        self.attempted += 1;
        self.open += 1;
        self.tally.opened += 1;
        self.tally.compressed += u64::from(peer.compression().is_some());
        match self.plan.mode {
            Mode::Echo => {
                if let Some(interval) = self.plan.interval {
                    // So that the connections do not all send at once.
                    let part = client.index as f64 / self.plan.connections as f64;
                    let due = now + interval.mul_f64(part);
                    client.due = Some(due);
                    self.dues.push(Reverse((due, peer.id())));
                }
                // What it queues is within the limit that was made for it.
                let _ = self.fill(client, peer, now);
            }
            Mode::Broadcast => {
                client.received = self.publications.count();
                if client.index == 0 {
                    self.publications.publisher = Some(peer.id());
                }
            }
            Mode::Idle => {}
            Mode::Handshakes => {
                self.answered += 1;
                if let Some(window) = self.window {
                    self.tally.answer(window, (client.begun, now), 0, 1);
                }
                // It is open, and so can be closed.
                let _ = peer.close(CloseCode::NORMAL, "");
            }
        }
    }

    /// Echoes that are what they should be are not parsed.
    fn incoming(
        &mut self,
        client: &mut Box<Client>,
        peer: &mut Peer<'_>,
        incoming: &mut Incoming<'_>,
    ) {
        if self.plan.mode != Mode::Echo {
            return;
        }
        let mut count = 0;
        for sent in &client.waiting {
            let first = client.echoed + count;
            let numbers = first..first + sent.count;
            let taken = self.plan.pattern.take(numbers, sent.size, incoming);
            count += taken;
            if taken < sent.count {
                break;
            }
        }
        if count > 0 {
            // What it queues is within the limit that was made for it.
            let _ = self.go_on(client, peer, count);
        }
    }

    fn message(
        &mut self,
        client: &mut Box<Client>,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        match self.plan.mode {
            Mode::Echo => {}
            Mode::Broadcast => return self.delivered(client, peer, message),
            // What a server says unasked is its own affair where nothing is compared.
            Mode::Idle | Mode::Handshakes => return Ok(()),
        }
        let Some(sent) = client.waiting.front() else {
            self.mismatch(client, Mismatch::Unasked);
            return Ok(());
        };
        let sent = self.plan.pattern.message(client.echoed, sent.size);
        if let Err(mismatch) = check(sent, message) {
            self.mismatch(client, mismatch);
            return Ok(());
        }
        self.go_on(client, peer, 1)
    }

    fn called(&mut self, client: &mut Box<Client>, peer: &mut Peer<'_>) {
        let now = Instant::now();
        if self.plan.mode == Mode::Broadcast
            && client.due.is_none()
            && let Some(interval) = self.plan.interval
        {
            client.due = Some(now);
            self.dues.push(Reverse((now + interval, peer.id())));
        }
        // A connection that is closing sends no more, and its end is told.
        let _ = self.fill(client, peer, now);
    }

    fn end(&mut self, client: Option<Box<Client>>, end: &End) {
        let Some(client) = client else {
            return;
        };
        let now = Instant::now();
        let is_over = self.is_over(now);
        let waiting: u64 = client.waiting.iter().map(|sent| sent.count).sum();
        self.tally.unanswered += waiting;
        self.outstanding -= waiting;
        if let (Some(due), Some(interval), Some(window)) =
            (client.due, self.plan.interval, self.window)
        {
            let late = window
                .until
                .min(now)
                .saturating_duration_since(due)
                .as_nanos();
            let behind = late.div_ceil(interval.as_nanos().max(1));
            self.tally.behind += u64::try_from(behind).unwrap_or(u64::MAX);
        }
        let stage = match client.is_open {
            true => {
                self.open -= 1;
                let missed = self.publications.leave(client.received);
                self.tally.unanswered += missed;
                self.outstanding -= missed;
                Stage::Open
            }
            false => {
                self.opening -= 1;
                self.attempted += 1;
                Stage::Opening
            }
        };
        if self.publications.publisher == Some(end.id) {
            self.publications.publisher = None;
            // Nothing more would happen.
            self.shared.stop();
        }
        match is_wanted(end) {
            // One that fails is not tried again, so that a server that is gone ends the run.
            true if self.plan.mode == Mode::Handshakes && !is_over => self.again(client.index, now),
            true => {}
            false => self.tally.fail(stage, end),
        }
    }
}

impl Generator {
    /// Opens the next connection in place of one that has ended.
    fn again(&mut self, index: usize, now: Instant) {
        let Some(connector) = &self.connector else {
            return;
        };
        let client = Box::new(Client::new(index, now));
        let wanted = connector.connect(self.plan.request.clone(), &self.plan.options, client);
        match wanted {
            Ok(()) => self.opening += 1,
            Err(error) => self.shared.fail(format!("cannot connect again: {error}")),
        }
    }
}

/// Whether that is how we wanted it to end.
fn is_wanted(end: &End) -> bool {
    match &end.why {
        EndWhy::Closed(closed) => {
            closed.by == Party::Us && matches!(closed.why, ClosedWhy::Handshake { .. })
        }
        // We left while it was opening.
        EndWhy::Shutdown | EndWhy::Abandoned => true,
        _ => false,
    }
}
