//! What passes over an open connection: a read, what the handler is told of it, a write.
//!
//! Every message comes this way, and little else does: what is rare is called, not inlined, so that
//! a message passes few lines of code and of the stack. Those are not in the nearest cache after a
//! system call, and cost more than the instructions in them.

use std::io;
use std::mem;

use tracing::{debug, error};

use crate::net::buffers::{Buffers, READ_SIZE, READ_SIZE_MAX};
use crate::net::config::{LoopConfig, SlowReader};
use crate::net::end::EndWhy;
use crate::net::handler::{Handler, Message};
use crate::net::hub::Hub;
use crate::net::peer::Peer;
use crate::net::quota::Quota;
use crate::net::session::{Context, Session, State, Step};
use crate::net::transport::{Received, Scratch};
use crate::proto::{Close, CloseCode, Connection, Event, Kind, Look, RecvBuffer, SendError};
use crate::rare::rare;

/// A message of this size that is its own answer is answered from where it lies, if nothing else
/// is there to be answered in the same write. A smaller one is copied for less than it takes to see
/// whether that is so.
const ANSWER_SIZE_MIN: usize = 4 << 10;
/// One of this size is answered so whatever else is there: its copy costs more than a write.
const ANSWER_SIZE_ALONE: usize = 64 << 10;

/// A message that is answered by itself, and is not lent any more.
pub(super) struct Answer {
    kind: Kind,
    address: usize,
    len: usize,
}

impl Answer {
    fn new(kind: Kind, message: &[u8]) -> Self {
        Self {
            kind,
            address: message.as_ptr().addr(),
            len: message.len(),
        }
    }
}

/// How much to read where a frame lacks `lacking` bytes: more, so that a read that completes it is a
/// short one.
#[inline(never)]
fn read_size(lacking: u64) -> usize {
    let lacking = usize::try_from(lacking).unwrap_or(usize::MAX);
    lacking.saturating_add(READ_SIZE).min(READ_SIZE_MAX)
}

impl<H: Handler> Session<H> {
    /// Reads once; answers whether there is something to be worked on.
    #[inline]
    pub(super) fn receive(&mut self, cx: &mut Context<'_, H>) -> io::Result<bool> {
        let recv = &mut cx.buffers.recv;
        let size = match recv.lacking() {
            0 => READ_SIZE,
            lacking => {
                rare();
                read_size(lacking)
            }
        };
        let received = self
            .transport
            .recv(recv.spare_mut(size), &mut cx.buffers.scratch)?;
        match received {
            None => {
                rare();
                self.readable = false;
                return Ok(false);
            }
            Some(Received::End) => self.handle_eof(),
            Some(Received::Bytes { n, drained }) => {
                recv.commit(n);
                cx.hub.counters.read(n);
                if let Some(read) = recv.received_last(n) {
                    let id = cx.hub.name(self.link.place);
                    cx.handler.wire(id, self.role.peer(), read);
                }
                if cx.config.byte_rate.is_some() {
                    rare();
                    self.meter_bytes(n, cx);
                }
                self.readable = !drained || self.hung_up;
            }
        }
        Ok(true)
    }

    /// The peer's end of file was read.
    #[cold]
    fn handle_eof(&mut self) {
        self.readable = false;
        self.eof = true;
        if let State::Open(connection, _) = &mut self.state {
            connection.handle_eof();
        }
    }

    /// Holds what was read against the quota of bytes.
    #[inline(never)]
    fn meter_bytes(&mut self, n: usize, cx: &mut Context<'_, H>) {
        if let (Some(rate), State::Open(..)) = (cx.config.byte_rate, &self.state) {
            let meter = &mut self.link.extras().meter;
            if let Err(quota) = meter.bytes(n, rate, cx.hub.now) {
                self.close_exceeding(quota, cx);
            }
        }
    }

    /// As [`flush`](Self::flush), which is inlined where a turn ends, for the rarer places.
    #[inline(never)]
    pub(super) fn flush_apart(&mut self, cx: &mut Context<'_, H>) -> io::Result<bool> {
        self.flush(cx)
    }

    /// Writes once of what is queued; answers whether nothing is left to write.
    #[inline(always)]
    pub(super) fn flush(&mut self, cx: &mut Context<'_, H>) -> io::Result<bool> {
        let Buffers { send, scratch, .. } = &mut *cx.buffers;
        let pending = send.pending();
        if pending.is_empty() || !self.writable {
            return Ok(pending.is_empty());
        }
        let size = pending.len();
        let sent = self.write(pending, scratch, cx.hub, cx.handler)?;
        send.advance(sent);
        self.wrote(sent, size, cx);
        Ok(cx.buffers.send.is_empty())
    }

    /// Writes `bytes` once; answers how many were taken.
    #[inline(always)]
    pub(super) fn write(
        &mut self,
        bytes: &[u8],
        scratch: &mut Scratch,
        hub: &Hub,
        handler: &mut H,
    ) -> io::Result<usize> {
        let sent = self.transport.send(bytes, scratch)?.unwrap_or(0);
        hub.counters.wrote(sent);
        if sent > 0 {
            handler.wire(hub.name(self.link.place), self.role, &bytes[..sent]);
        }
        Ok(sent)
    }

    /// Takes note of a write: `sent` of `size` bytes were taken, and what is left is queued.
    #[inline]
    pub(super) fn wrote(&mut self, sent: usize, size: usize, cx: &mut Context<'_, H>) {
        // The kernel took less than it was given, so it is full, and will say when it is not.
        self.writable = sent == size;
        // Room where there was none: the peer has read.
        let has_progress = mem::replace(&mut self.is_blocked, sent < size) && sent > 0;
        if let State::Open(connection, _) = &mut self.state
            && has_progress
        {
            rare();
            connection.handle_progress(cx.hub.now);
        }
        match &mut self.state {
            State::Open(connection, data) if sent == size => {
                let mut peer = Peer {
                    link: &mut self.link,
                    hub: cx.hub,
                    connection,
                    send: &mut cx.buffers.send,
                    received: &[],
                    answer: None,
                };
                cx.handler.flushed(data, &mut peer);
            }
            State::Lingering(linger) if sent > 0 => {
                rare();
                linger.renew(cx.hub.now, cx.config);
            }
            _ => {}
        }
    }

    /// Writes a message's answer from where the message lies; nothing is queued. What the kernel
    /// does not take is queued, as a copy.
    #[inline(never)]
    pub(super) fn write_answer(
        &mut self,
        Answer { kind, address, len }: Answer,
        cx: &mut Context<'_, H>,
    ) -> io::Result<()> {
        let Buffers {
            recv,
            send,
            scratch,
            ..
        } = &mut *cx.buffers;
        let payload = recv
            .delivered(address, len)
            .expect("an answer is to a message among the bytes received");
        let header = Connection::frame_header(kind, len);
        let Some(frame) = recv.frame_in_place(payload.clone(), &header) else {
            if let State::Open(connection, _) = &mut self.state {
                connection.queue_begun(kind, recv.at(payload), send);
            }
            return Ok(());
        };
        let size = frame.len();
        let sent = self.write(frame, scratch, cx.hub, cx.handler)?;
        send.extend(&frame[sent..]);
        self.wrote(sent, size, cx);
        Ok(())
    }

    /// Has the handler told what came over an open connection.
    #[inline]
    pub(super) fn converse(&mut self, cx: &mut Context<'_, H>) -> Step {
        let State::Open(connection, data) = &mut self.state else {
            return Step::Next;
        };
        let Buffers { recv, send, .. } = &mut *cx.buffers;
        let addresses = recv.addresses();
        let mut is_noted = false;
        let why = loop {
            let mut peer = Peer {
                link: &mut self.link,
                hub: cx.hub,
                connection,
                send,
                received: &[],
                answer: None,
            };
            let message = match peer.connection.look(recv, peer.send) {
                Look::Whole(whole) => {
                    if !mem::replace(&mut is_noted, true) {
                        peer.connection.note_message(peer.hub.now);
                    }
                    let Some(message) = peer.connection.take(whole, recv, peer.send) else {
                        continue;
                    };
                    if let Err(quota) = peer.meter(cx.config) {
                        self.close_exceeding(quota, cx);
                        return Step::Next;
                    }
                    peer.hub.counters.received(message.kind());
                    Message::from(message)
                }
                Look::Nothing => return Step::More,
                Look::Other => {
                    rare();
                    match peer.apart().hear(recv, cx.handler, data, cx.config) {
                        Heard::Message(message) => message,
                        Heard::Told => continue,
                        Heard::Nothing if send.len() >= connection.config().send_queue_max => {
                            return Step::Full;
                        }
                        Heard::Nothing => return Step::More,
                        Heard::Excess(quota) => {
                            self.close_exceeding(quota, cx);
                            return Step::Next;
                        }
                        Heard::End(why) => break why,
                    }
                }
            };
            let payload = message.payload();
            if payload.len() >= ANSWER_SIZE_MIN && self.writable {
                rare();
                let lies = payload.as_ptr_range();
                let is_last = lies.end.addr() == addresses.end && !self.readable;
                let is_large = payload.len() >= ANSWER_SIZE_ALONE;
                if (is_last || is_large) && addresses.contains(&lies.start.addr()) {
                    peer.received = payload;
                }
            }
            match cx.handler.message(data, &mut peer, message) {
                Ok(()) => {
                    if let Some(kind) = peer.answer {
                        rare();
                        return Step::Answer(Answer::new(kind, peer.received));
                    }
                }
                Err(error) => {
                    rare();
                    peer.apart().queue_answer();
                    match error {
                        SendError::Closed => {}
                        SendError::QueueFull { queued }
                            if matches!(cx.config.slow_reader, SlowReader::Close(..)) =>
                        {
                            self.close_slow_reader(queued, cx);
                            return Step::Next;
                        }
                        _ => peer.apart().fail(error),
                    }
                }
            }
        };
        self.finish(why, cx);
        Step::Next
    }
}

/// What comes next where [`Connection::look`] does not say.
enum Heard<'b> {
    /// A message, or a piece of one.
    Message(Message<'b>),
    /// Something that the handler was told of.
    Told,
    /// Nothing yet.
    Nothing,
    /// More than the quota of messages has.
    Excess(Quota),
    /// The end.
    End(EndWhy),
}

/// What the session does for a callback, or after one.
impl Peer<'_> {
    /// Takes what comes next, and tells the handler of it unless it is a message.
    #[inline(never)]
    fn hear<'b, H: Handler>(
        &mut self,
        recv: &'b mut RecvBuffer,
        handler: &mut H,
        data: &mut H::Connection,
        config: &LoopConfig,
    ) -> Heard<'b> {
        let event = match self.connection.poll_any(self.hub.now, recv, self.send) {
            Ok(Some(Event::Closed(closed))) => return Heard::End(EndWhy::Closed(closed)),
            Ok(Some(event)) => event,
            Ok(None) => return Heard::Nothing,
            Err(error) => return Heard::End(EndWhy::Protocol(error)),
        };
        if let Err(quota) = self.meter(config) {
            return Heard::Excess(quota);
        }
        match event {
            Event::Text(text) => {
                self.hub.counters.received(Kind::Text);
                return Heard::Message(Message::Text(text));
            }
            Event::Binary(bytes) => {
                self.hub.counters.received(Kind::Binary);
                return Heard::Message(Message::Binary(bytes));
            }
            Event::Chunk(chunk) => {
                if chunk.last {
                    self.hub.counters.received(chunk.kind);
                }
                return Heard::Message(Message::Chunk(chunk));
            }
            Event::Ping(payload) => handler.ping(data, self, payload),
            Event::Pong(payload) => {
                self.count_pong(payload);
                handler.pong(data, self, payload);
            }
            Event::Close(close) => {
                self.log_close(close);
                handler.closing(data, self, close);
            }
            Event::Closed(_) => {}
        }
        Heard::Told
    }

    /// Holds what was received against the quota of messages.
    #[inline]
    fn meter(&mut self, config: &LoopConfig) -> Result<(), Quota> {
        match config.message_rate {
            Some(rate) => {
                rare();
                self.link.meter_message(rate, self.hub.now)
            }
            None => Ok(()),
        }
    }

    /// Takes the round trip's time, if this Pong answers the timer's Ping: only that has no
    /// payload.
    #[inline(never)]
    fn count_pong(&mut self, payload: &[u8]) {
        if payload.is_empty()
            && let Some(pinged) = self.connection.take_answered_ping()
        {
            let took = self.hub.now.saturating_duration_since(pinged);
            self.hub.counters.answered(took);
        }
    }

    #[cold]
    fn log_close(&self, close: Option<Close<'_>>) {
        debug!(target: "openline", connection = %self.id(), ?close, "close received");
    }

    /// What the handler sent was refused, and it did nothing about that.
    #[cold]
    fn fail(&mut self, error: SendError) {
        error!(target: "openline", connection = %self.id(), %error, "a reply was refused");
        // If it is closing already, that is as good.
        let _ = self.close(CloseCode::INTERNAL_ERROR, "");
    }
}
