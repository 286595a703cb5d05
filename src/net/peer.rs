//! The other end, as a handler's callbacks see it: what can be sent there.

use std::fmt;
use std::net::SocketAddr;
use std::ptr;
use std::time::Instant;

use crate::net::connect::Plan;
use crate::net::handle::{Handle, Life};
use crate::net::handler::Message;
use crate::net::hub::{Hub, Place};
use crate::net::quota::{Meter, Quota, Rate};
use crate::net::remote::Remote;
use crate::net::topics::{SubscribeError, Subscriptions};
use crate::net::trace::Trace;
use crate::proto::{
    Chunk, Close, CloseCode, Compress, Compressors, Connection, Data, DeflateParams, Fragments,
    Kind, Prepared, Role, SendBuffer, SendError,
};
use crate::rare::rare;

/// Names one connection of a loop, or of a [group](crate::net::Threads) of them, for as long as
/// the loop lives: a later connection never takes over the name of one that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Which loop of its [group](crate::net::Threads).
    pub(super) number: u16,
    pub(super) place: Place,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { index, generation } = self.place;
        write!(f, "{}.{index}.{generation}", self.number)
    }
}

/// The other end of an open connection, lent to a callback.
///
/// What is sent is queued, and leaves when the callbacks of this turn are through; a large message
/// that goes back as it came is not even copied, and leaves when its callback is.
#[derive(Debug)]
pub struct Peer<'a> {
    pub(super) link: &'a mut Link,
    pub(super) hub: &'a mut Hub,
    pub(super) connection: &'a mut Connection,
    pub(super) send: &'a mut SendBuffer,
    /// The message that is being told of, if its answer may leave from where it lies.
    pub(super) received: &'a [u8],
    /// That this is its answer, as a message of this kind: nothing is queued of it yet.
    pub(super) answer: Option<Kind>,
}

/// What a session keeps of its other end, whatever state it is in.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) address: SocketAddr,
    pub(super) place: Place,
    pub(super) subscriptions: Subscriptions,
    /// What few connections have.
    pub(super) extras: Option<Box<Extras>>,
}

/// What few connections have, so that the others need no room for it.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// Of the handles that were given out.
    pub(super) life: Option<Life>,
    /// Where there are rates to keep to.
    pub(super) meter: Meter,
    /// For the log.
    pub(super) trace: Trace,
    /// How many publications it did not get.
    pub(super) dropped: u64,
    /// Of a client that is to connect again: how, and since when it is connected.
    pub(super) plan: Option<(Plan, Instant)>,
}

impl Link {
    pub(super) fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// Holds a message that came against its quota.
    #[inline(never)]
    pub(super) fn meter_message(&mut self, rate: Rate, now: Instant) -> Result<(), Quota> {
        self.extras().meter.message(rate, now)
    }
}

impl Peer<'_> {
    /// The connection's name, for a [`Remote`](crate::net::Remote) to reach it by.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.hub.name(self.link.place)
    }

    /// A handle on this connection for any thread, which may outlive it.
    #[must_use]
    pub fn handle(&mut self) -> Handle {
        let life = self.link.extras().life.get_or_insert_default().clone();
        Handle::new(self.id(), self.hub.remote.clone(), life)
    }

    /// Reaches every connection of this loop and of its group.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.hub.remote
    }

    /// Has this connection get all that is [published](Self::publish) on a topic from now on;
    /// answers whether that is new. It ends with the connection.
    ///
    /// # Errors
    ///
    /// When it subscribes to too many, or the name is too long.
    pub fn subscribe(&mut self, topic: &str) -> Result<bool, SubscribeError> {
        self.hub.subscribe(self.link, topic)
    }

    /// Takes a subscription back; answers whether there was one.
    pub fn unsubscribe(&mut self, topic: &str) -> bool {
        self.hub
            .topics
            .unsubscribe(&mut self.link.subscriptions, topic)
    }

    /// The topics that this connection subscribes to, the latest first.
    pub fn subscriptions(&self) -> impl Iterator<Item = &str> {
        self.hub.topics.names(self.link.subscriptions)
    }

    /// Sends a message to everyone who subscribes to a topic, this connection included if it
    /// does, in every loop of the [group](crate::net::Threads).
    ///
    /// The message was encoded once for all, and is compressed once for all who
    /// [can share that](Prepared). It leaves at the end of this turn of the loop, so
    /// that several publications leave for each subscriber in one write.
    pub fn publish(&mut self, topic: &str, message: &Prepared) {
        self.hub.publish(topic, message, None);
    }

    /// As [`publish`](Self::publish), but not to this connection.
    pub fn publish_to_others(&mut self, topic: &str, message: &Prepared) {
        let own = self.link.place.index;
        self.hub.publish(topic, message, Some(own));
    }

    /// What we are in this connection.
    #[must_use]
    pub fn role(&self) -> Role {
        self.connection.role()
    }

    /// The other end's address; that of a Unix socket is the unspecified one, `[::]:0`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.link.address
    }

    /// When this turn of the loop began: a clock for callbacks that costs nothing.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.hub.now
    }

    /// The bytes that wait for this peer to read, or for this turn to end.
    #[must_use]
    pub fn queued(&self) -> usize {
        let answer = self.answer.map_or(0, |kind| {
            let header = Connection::frame_header(kind, self.received.len());
            header.size() + self.received.len()
        });
        self.send.len() + answer
    }

    /// How many bytes may be queued still, before messages are refused and publications dropped;
    /// [`flushed`](crate::net::Handler::flushed) tells when there is room for all of them again.
    #[must_use]
    pub fn room(&self) -> usize {
        let max = self.connection.config().send_queue_max;
        max.saturating_sub(self.queued())
    }

    /// How many publications were dropped so far because this peer reads too slowly, or its loop's
    /// [mailbox](crate::net::LoopConfig::mailbox_max) was full: so its handler can tell it, and
    /// have it ask for what it missed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let extras = self.link.extras.as_ref();
        extras.map_or(0, |extras| extras.dropped)
    }

    /// Whether messages may be sent: neither end has begun to close.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// The compression that was agreed to, if any was.
    #[must_use]
    pub fn compression(&self) -> Option<&DeflateParams> {
        self.connection.compression()
    }

    /// What the loop's connections compress with, as far as they share it: to
    /// [compress](Prepared::compressed) a message once for many peers.
    #[must_use]
    pub fn compressors(&mut self) -> &mut Compressors {
        self.send.compressors()
    }

    /// Queues a message as it was received: text, binary, or a piece of either as a fragment.
    ///
    /// # Errors
    ///
    /// After a Close frame, within a message in fragments, or while the queue is full.
    #[inline(always)]
    pub fn send(&mut self, message: Message<'_>) -> Result<(), SendError> {
        let (kind, payload) = match message {
            Message::Text(text) => (Kind::Text, text.as_bytes()),
            Message::Binary(data) => (Kind::Binary, data),
            Message::Chunk(Chunk { kind, data, last }) => {
                rare();
                return self.apart().send_chunk(kind, data, last);
            }
        };
        let sent = self.send_message(kind, payload);
        self.hub.counters.count_sent(kind, sent)
    }

    /// Of the chunk's parts, since a whole one would be passed in memory, and every message kept
    /// there for it.
    #[inline(never)]
    fn send_chunk(mut self, kind: Kind, data: &[u8], last: bool) -> Result<(), SendError> {
        self.queue_answer();
        let chunk = Chunk { kind, data, last };
        let sent = self.connection.send_chunk(chunk, self.send);
        match last {
            true => self.hub.counters.count_sent(kind, sent),
            false => sent,
        }
    }

    /// Queues a text message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        let sent = self.send_message(Kind::Text, text.as_bytes());
        self.hub.counters.count_sent(Kind::Text, sent)
    }

    /// Queues a binary message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_binary(&mut self, data: &[u8]) -> Result<(), SendError> {
        let sent = self.send_message(Kind::Binary, data);
        self.hub.counters.count_sent(Kind::Binary, sent)
    }

    /// Queues messages one after the other, for less than each by itself costs: all of them, or none
    /// if there is no room for the first.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline(always)]
    pub fn send_all<'m>(
        &mut self,
        messages: impl IntoIterator<Item = Data<'m>>,
    ) -> Result<(), SendError> {
        self.queue_answer();
        let (mut texts, mut binaries) = (0, 0);
        let messages = messages.into_iter().map(|message| {
            let (kind, payload) = message.split();
            match kind {
                Kind::Text => texts += 1,
                Kind::Binary => binaries += 1,
            }
            (kind, payload)
        });
        let sent = self.connection.send_messages(messages, self.send);
        self.hub.counters.sent_together((texts, binaries));
        sent
    }

    #[inline(always)]
    fn send_message(&mut self, kind: Kind, payload: &[u8]) -> Result<(), SendError> {
        if !self.received.is_empty() {
            rare();
            self.answer = self.apart().answers(kind, payload)?;
            if self.answer.is_some() {
                return Ok(());
            }
        }
        self.connection
            .send_message(kind, payload, Compress::Threshold, self.send)
    }

    /// Whether a message is what was received, which goes back as it is, with nothing before it: it
    /// need not be copied.
    #[inline(never)]
    fn answers(mut self, kind: Kind, payload: &[u8]) -> Result<Option<Kind>, SendError> {
        if ptr::eq(payload, self.received)
            && self.answer.is_none()
            && self.send.is_empty()
            && self.connection.begin_unqueued(payload.len(), self.send)?
        {
            return Ok(Some(kind));
        }
        self.queue_answer();
        Ok(None)
    }

    /// The same peer for a function that is not inlined, and that takes over the answer that is to
    /// leave: this one then need not be anywhere in memory.
    #[inline(always)]
    pub(super) fn apart(&mut self) -> Peer<'_> {
        Peer {
            link: self.link,
            hub: self.hub,
            connection: self.connection,
            send: self.send,
            received: self.received,
            answer: self.answer.take(),
        }
    }

    /// Queues the answer that was to leave from where the message lies: something follows it.
    #[inline]
    pub(super) fn queue_answer(&mut self) {
        if let Some(kind) = self.answer.take() {
            self.connection.queue_begun(kind, self.received, self.send);
        }
    }

    /// Queues a message, compressed or not as it is wished.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_data(&mut self, data: Data<'_>, compress: Compress) -> Result<(), SendError> {
        let kind = match data {
            Data::Text(_) => Kind::Text,
            Data::Binary(_) => Kind::Binary,
        };
        self.queue_answer();
        let sent = self.connection.send_data(data, compress, self.send);
        self.hub.counters.count_sent(kind, sent)
    }

    /// Queues a message that was encoded once for many.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<(), SendError> {
        self.queue_answer();
        let sent = self.connection.send_prepared(prepared, self.send);
        self.hub.counters.count_sent(prepared.kind(), sent)
    }

    /// Begins a text message in fragments, or goes on with the unfinished one.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn text_fragments(&mut self) -> Result<Fragments<'_, str>, SendError> {
        self.queue_answer();
        // Two looks at one state: the borrow of a match on the first would outlive it.
        if self.connection.resume_text(self.send).is_some() {
            return self
                .connection
                .resume_text(self.send)
                .ok_or(SendError::Closed);
        }
        let begun = self.connection.text_fragments(self.send)?;
        self.hub.counters.sent(Kind::Text);
        Ok(begun)
    }

    /// Begins a binary message in fragments, or goes on with the unfinished one.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn binary_fragments(&mut self) -> Result<Fragments<'_, [u8]>, SendError> {
        self.queue_answer();
        if self.connection.resume_binary(self.send).is_some() {
            return self
                .connection
                .resume_binary(self.send)
                .ok_or(SendError::Closed);
        }
        let begun = self.connection.binary_fragments(self.send)?;
        self.hub.counters.sent(Kind::Binary);
        Ok(begun)
    }

    /// Queues a Ping; the Pong comes to [`Handler::pong`](crate::net::Handler::pong).
    ///
    /// # Errors
    ///
    /// After a Close frame, or with a payload above 125 bytes.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.queue_answer();
        self.connection.send_ping(payload, self.send)
    }

    /// Queues a Pong that nobody asked for: a heartbeat in one direction (RFC 6455 §5.5.3).
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.queue_answer();
        self.connection.send_pong(payload, self.send)
    }

    /// Begins the closing handshake. What is queued leaves first; messages of the peer still
    /// come until its Close frame does.
    ///
    /// # Errors
    ///
    /// When the connection is closing already, or with a reason above 123 bytes.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.queue_answer();
        let close = Close { code, reason };
        self.connection.close(self.hub.now, Some(close), self.send)
    }

    /// Begins the closing handshake with a Close frame that says nothing (RFC 6455 §7.1.5).
    ///
    /// # Errors
    ///
    /// When the connection is closing already.
    pub fn close_without_code(&mut self) -> Result<(), SendError> {
        self.queue_answer();
        self.connection.close(self.hub.now, None, self.send)
    }
}

impl<'a> From<Data<'a>> for Message<'a> {
    fn from(data: Data<'a>) -> Self {
        match data {
            Data::Text(text) => Self::Text(text),
            Data::Binary(bytes) => Self::Binary(bytes),
        }
    }
}
