//! What one loop counts.
//!
//! Only the loop's own thread writes, so an addition is a load and a store; any thread may read.

use std::collections::BTreeMap;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::net::end::End;
use crate::net::metrics::histogram::Histogram;
use crate::net::metrics::snapshot::{ByKind, HandshakeOutcome, Snapshot, Verdict};
use crate::proto::{Kind, Role, SendError};

/// A number that one thread changes.
#[derive(Debug, Default)]
pub(in crate::net) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(in crate::net) fn add(&self, n: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(sum, Ordering::Relaxed);
    }

    #[inline]
    fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The numbers of one loop. Those that each message touches stand first, on a line of the cache
/// that no other loop's share.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(in crate::net) struct Counters {
    received: Traffic,
    sent: Traffic,
    /// The bytes that wait to be written.
    queued_bytes: Counter,
    /// The connections that have any.
    queued_connections: Counter,
    pub(in crate::net) accepts: Counter,
    /// The publications that were dropped for a subscriber.
    pub(in crate::net) drops: Counter,
    /// The publications that found the loop's mailbox full.
    pub(in crate::net) lost: Counter,
    topics: Counter,
    subscriptions: Counter,
    publications: Counter,
    compressed: Counter,
    pub(in crate::net) accept_failures: Counter,
    server: Lives,
    client: Lives,
    handshake: Histogram,
    round_trip: Histogram,
    /// Of ends there is one a connection, and no message waits for it.
    ends: Mutex<Ends>,
}

/// What passes in one direction.
#[derive(Debug, Default)]
struct Traffic {
    bytes: Counter,
    text: Counter,
    binary: Counter,
}

#[derive(Debug, Default)]
struct Lives {
    opened: Counter,
    ended: Counter,
}

#[derive(Debug, Default)]
struct Ends {
    handshakes: BTreeMap<HandshakeOutcome, u64>,
    verdicts: BTreeMap<Verdict, u64>,
}

/// Where the counts stood, to tell later what a connection's turn has added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::net) struct Mark {
    pub(in crate::net) messages_received: u64,
    pub(in crate::net) messages_sent: u64,
    pub(in crate::net) bytes_received: u64,
    pub(in crate::net) bytes_sent: u64,
}

impl Add for Mark {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.zip(other, u64::wrapping_add)
    }
}

impl Sub for Mark {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.zip(other, u64::wrapping_sub)
    }
}

impl Mark {
    fn zip(self, other: Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            messages_received: with(self.messages_received, other.messages_received),
            messages_sent: with(self.messages_sent, other.messages_sent),
            bytes_received: with(self.bytes_received, other.bytes_received),
            bytes_sent: with(self.bytes_sent, other.bytes_sent),
        }
    }
}

impl Counters {
    #[inline]
    pub(in crate::net) fn received(&self, kind: Kind) {
        self.received.message(kind);
    }

    /// So many text and binary messages came at once.
    #[inline]
    pub(in crate::net) fn received_together(&self, (texts, binaries): (u64, u64)) {
        if texts + binaries > 0 {
            self.received.text.add(texts);
            self.received.binary.add(binaries);
        }
    }

    /// How many came so far.
    #[inline]
    pub(in crate::net) fn messages_received(&self) -> u64 {
        self.received.messages()
    }

    #[inline]
    pub(in crate::net) fn sent(&self, kind: Kind) {
        self.sent.message(kind);
    }

    /// So many text and binary messages left at once.
    #[inline]
    pub(in crate::net) fn sent_together(&self, (texts, binaries): (u64, u64)) {
        self.sent.text.add(texts);
        self.sent.binary.add(binaries);
    }

    /// A message was queued, unless it was refused.
    #[inline]
    pub(in crate::net) fn count_sent(
        &self,
        kind: Kind,
        sent: Result<(), SendError>,
    ) -> Result<(), SendError> {
        if sent.is_ok() {
            self.sent(kind);
        }
        sent
    }

    /// The bytes that wait for a connection were so many, and are so many.
    #[inline]
    pub(in crate::net) fn queue(&self, before: usize, after: usize) {
        if before != after {
            self.queued_bytes
                .add((after as u64).wrapping_sub(before as u64));
            let (before, after) = (u64::from(before > 0), u64::from(after > 0));
            self.queued_connections.add(after.wrapping_sub(before));
        }
    }

    #[inline]
    pub(in crate::net) fn read(&self, bytes: usize) {
        self.received.bytes.add(bytes as u64);
    }

    #[inline]
    pub(in crate::net) fn wrote(&self, bytes: usize) {
        self.sent.bytes.add(bytes as u64);
    }

    /// A connection is open; its handshake took so long, if that is known.
    pub(in crate::net) fn opened(&self, role: Role, took: Option<Duration>) {
        self.lives(role).opened.add(1);
        if let Some(took) = took {
            self.handshake.record(took);
        }
        self.count_handshake(HandshakeOutcome::accepted(role));
    }

    /// The end of a connection that was open, or of an attempt at one.
    pub(in crate::net) fn ended(&self, end: &End, opened: bool) {
        if !opened {
            return self.count_handshake(HandshakeOutcome::of(end));
        }
        self.lives(end.role).ended.add(1);
        *self.ends().verdicts.entry(Verdict::of(end)).or_default() += 1;
    }

    /// Our Ping was answered after this long.
    pub(in crate::net) fn answered(&self, took: Duration) {
        self.round_trip.record(took);
    }

    /// How many topics, subscriptions and publications there are.
    #[inline]
    pub(in crate::net) fn topics(&self, census: (usize, usize, u64)) {
        let (topics, subscriptions, publications) = census;
        self.topics.set(topics as u64);
        self.subscriptions.set(subscriptions as u64);
        self.publications.set(publications);
    }

    /// How many messages were compressed.
    #[inline]
    pub(in crate::net) fn compressed(&self, messages: u64) {
        self.compressed.set(messages);
    }

    #[inline]
    pub(in crate::net) fn mark(&self) -> Mark {
        Mark {
            messages_received: self.received.messages(),
            messages_sent: self.sent.messages(),
            bytes_received: self.received.bytes.read(),
            bytes_sent: self.sent.bytes.read(),
        }
    }

    pub(super) fn add_to(&self, sum: &mut Snapshot) {
        for (lives, connections, opened) in [
            (
                &self.server,
                &mut sum.connections.server,
                &mut sum.opened.server,
            ),
            (
                &self.client,
                &mut sum.connections.client,
                &mut sum.opened.client,
            ),
        ] {
            // In this order: what has ended was opened before.
            let ended = lives.ended.read();
            let all = lives.opened.read();
            *opened += all;
            *connections += all.saturating_sub(ended);
        }
        self.received
            .add_to(&mut sum.messages_received, &mut sum.bytes_received);
        self.sent
            .add_to(&mut sum.messages_sent, &mut sum.bytes_sent);
        sum.messages_compressed += self.compressed.read();
        sum.queued_bytes += self.queued_bytes.read();
        sum.queued_connections += self.queued_connections.read();
        sum.accepts += self.accepts.read();
        sum.topics += self.topics.read();
        sum.subscriptions += self.subscriptions.read();
        sum.publications += self.publications.read();
        sum.publications_dropped += self.drops.read();
        sum.publications_lost += self.lost.read();
        sum.accept_failures += self.accept_failures.read();
        self.handshake.add_to(&mut sum.handshake);
        self.round_trip.add_to(&mut sum.round_trip);
        let ends = self.ends();
        for (outcome, count) in &ends.handshakes {
            *sum.handshakes.entry(*outcome).or_default() += count;
        }
        for (verdict, count) in &ends.verdicts {
            *sum.ends.entry(*verdict).or_default() += count;
        }
    }

    fn count_handshake(&self, outcome: HandshakeOutcome) {
        *self.ends().handshakes.entry(outcome).or_default() += 1;
    }

    fn lives(&self, role: Role) -> &Lives {
        match role {
            Role::Server => &self.server,
            Role::Client => &self.client,
        }
    }

    /// A panic while the lock was held left nothing half-done: a number was added to.
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traffic {
    #[inline]
    fn message(&self, kind: Kind) {
        match kind {
            Kind::Text => self.text.add(1),
            Kind::Binary => self.binary.add(1),
        }
    }

    #[inline]
    fn messages(&self) -> u64 {
        self.text.read() + self.binary.read()
    }

    fn add_to(&self, messages: &mut ByKind, bytes: &mut u64) {
        messages.text += self.text.read();
        messages.binary += self.binary.read();
        *bytes += self.bytes.read();
    }
}
