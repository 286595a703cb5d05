//! What passes over an open connection: a read, what the handler is told of it, a write.
//!
//! Every message comes this way, and little else does: what is rare is called, not inlined, so that
//! a message passes few lines of code and of the stack. Those are not in the nearest cache after a
//! system call, and cost more than the instructions in them.

use std::io;
use std::mem;
use std::ops::Range;

use tracing::{debug, error};

use crate::net::buffers::{Answer, Buffers, READ_SIZE, READ_SIZE_MAX};
use crate::net::config::{LoopConfig, SlowReader};
use crate::net::end::EndWhy;
use crate::net::handler::{Handler, Message};
use crate::net::hub::Hub;
use crate::net::incoming::Incoming;
use crate::net::peer::Peer;
use crate::net::quota::Quota;
use crate::net::session::{Context, Session, State, Step};
use crate::net::transport::{Received, Scratch};
use crate::proto::{Close, CloseCode, Connection, Event, Look, RecvBuffer, SendError};
use crate::rare::rare;

/// The writes for one connection in one turn, after the first, where the handler refills the queue
/// each time.
const MORE_WRITES_MAX: usize = 7;
/// A message of this size that is its own answer is answered from where it lies, if nothing else
/// is there to be answered in the same write. A smaller one is copied for less than it takes to see
/// whether that is so.
const ANSWER_SIZE_MIN: usize = 4 << 10;
/// One of this size is answered so whatever else is there: its copy costs more than a write.
const ANSWER_SIZE_ALONE: usize = 64 << 10;

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
    pub(super) fn receive(&mut self, cx: &mut Context<H>) -> io::Result<bool> {
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
                    cx.handler.wire(id, self.role().peer(), read);
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
    fn meter_bytes(&mut self, n: usize, cx: &mut Context<H>) {
        if let (Some(rate), State::Open(..)) = (cx.config.byte_rate, &self.state) {
            let meter = &mut self.link.extras().meter;
            if let Err(quota) = meter.bytes(n, rate, cx.hub.now) {
                self.close_exceeding(quota, cx);
            }
        }
    }

    /// Writes once of what is queued, if there is room; answers whether nothing is left to write.
    #[inline(never)]
    pub(super) fn flush(&mut self, cx: &mut Context<H>) -> io::Result<bool> {
        if !cx.buffers.send.is_empty() && self.writable {
            self.write_pending(cx)?;
        }
        Ok(cx.buffers.send.is_empty())
    }

    /// Goes on writing what is queued, while there is room: more than was written at once, or what
    /// the handler has queued since.
    #[inline(never)]
    pub(super) fn write_on(&mut self, cx: &mut Context<H>) -> io::Result<()> {
        for _ in 0..MORE_WRITES_MAX {
            if self.flush(cx)? || !self.writable {
                break;
            }
        }
        Ok(())
    }

    /// Writes once of what is queued, which is something, to where there is room.
    #[inline(always)]
    pub(super) fn write_pending(&mut self, cx: &mut Context<H>) -> io::Result<()> {
        let Buffers { send, scratch, .. } = &mut cx.buffers;
        let pending = send.pending();
        let size = pending.len();
        let sent = self.write(pending, scratch, &cx.hub, &mut cx.handler)?;
        send.advance(sent);
        self.wrote(sent, size, cx);
        Ok(())
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
            handler.wire(hub.name(self.link.place), self.role(), &bytes[..sent]);
        }
        Ok(sent)
    }

    /// Takes note of a write: `sent` of `size` bytes were taken, and what is left is queued.
    #[inline]
    pub(super) fn wrote(&mut self, sent: usize, size: usize, cx: &mut Context<H>) {
        // The kernel took less than it was given, so it is full, and will say when it is not.
        self.writable = sent == size;
        // Room where there was none: the peer has read.
        if mem::replace(&mut self.is_blocked, sent < size) {
            rare();
            self.progressed(sent, cx);
        }
        match &mut self.state {
            State::Open(connection, data) if sent == size => {
                let mut peer = Peer {
                    link: &mut self.link,
                    hub: &mut cx.hub,
                    connection,
                    send: &mut cx.buffers.send,
                    received: &[],
                    answer: None,
                };
                cx.handler.flushed(data, &mut peer);
            }
            State::Lingering(linger) if sent > 0 => {
                rare();
                linger.renew(cx.hub.now, &cx.config);
            }
            _ => {}
        }
    }

    /// After a write that found no room for all it had, `sent` more bytes were taken.
    #[cold]
    fn progressed(&mut self, sent: usize, cx: &mut Context<H>) {
        if let State::Open(connection, _) = &mut self.state
            && sent > 0
        {
            connection.handle_progress(cx.hub.now);
        }
    }

    /// Writes a message's answer from where the message lies; nothing is queued. What the kernel
    /// does not take is queued, as a copy.
    #[inline(never)]
    pub(super) fn write_answer(&mut self, cx: &mut Context<H>) -> io::Result<()> {
        let Some(Answer { kind, address, len }) = cx.buffers.answer.take() else {
            return Ok(());
        };
        let Buffers {
            recv,
            send,
            scratch,
            ..
        } = &mut cx.buffers;
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
        let sent = self.write(frame, scratch, &cx.hub, &mut cx.handler)?;
        send.extend(&frame[sent..]);
        self.wrote(sent, size, cx);
        Ok(())
    }

    /// Has the handler told what came over an open connection.
    #[inline]
    pub(super) fn converse(&mut self, cx: &mut Context<H>) -> Step {
        // Messages are counted anyway, so the clock is noted for all of them at once.
        let before = cx.hub.counters.messages_received();
        let step = self.tell(cx);
        if cx.hub.counters.messages_received() != before
            && let State::Open(connection, _) = &mut self.state
        {
            connection.note_message(cx.hub.now);
        }
        step
    }

    /// Tells the handler what came, one after the other.
    #[inline(always)]
    fn tell(&mut self, cx: &mut Context<H>) -> Step {
        let State::Open(connection, data) = &mut self.state else {
            return Step::Next;
        };
        let Buffers { recv, send, .. } = &mut cx.buffers;
        // None, if an answer would have to wait.
        let received = match self.writable {
            true => recv.addresses(),
            false => 0..0,
        };
        loop {
            let mut peer = Peer {
                link: &mut self.link,
                hub: &mut cx.hub,
                connection,
                send,
                received: &[],
                answer: None,
            };
            if let end @ 1.. = peer.connection.passes_below(peer.send)
                && cx.config.message_rate.is_none()
            {
                let mut incoming = Incoming::new(recv, end);
                cx.handler.incoming(data, &mut peer, &mut incoming);
                peer.hub.counters.received_together(incoming.taken);
            }
            let message = match peer.connection.look(recv, peer.send) {
                Look::Whole(whole) => {
                    let Some(message) = peer.connection.take(whole, recv, peer.send) else {
                        rare();
                        continue;
                    };
                    if let Err(quota) = peer.meter(&cx.config) {
                        rare();
                        self.close_exceeding(quota, cx);
                        return Step::Next;
                    }
                    peer.hub.counters.received(message.kind());
                    let message = Message::from(message);
                    // On this way and on the other: asked behind both, it would be kept on the
                    // stack for every message.
                    if message.payload().len() >= ANSWER_SIZE_MIN {
                        rare();
                        peer.received =
                            in_place(message.payload(), received.clone(), !self.readable);
                    }
                    message
                }
                Look::Nothing => return Step::More,
                Look::Other => {
                    rare();
                    match peer.apart().hear(recv, &mut cx.handler, data, &cx.config) {
                        Heard::Message(message) => {
                            peer.received =
                                in_place(message.payload(), received.clone(), !self.readable);
                            message
                        }
                        Heard::Told => continue,
                        Heard::Nothing if send.len() >= connection.config().send_queue_max => {
                            return Step::Full;
                        }
                        Heard::Nothing => return Step::More,
                        Heard::Excess(quota) => {
                            self.close_exceeding(quota, cx);
                            return Step::Next;
                        }
                        Heard::End(why) => {
                            self.finish(why, cx);
                            return Step::Next;
                        }
                    }
                }
            };
            match cx.handler.message(data, &mut peer, message) {
                Ok(()) => {
                    if let Some(kind) = peer.answer {
                        rare();
                        cx.buffers.answer = Some(Answer::new(kind, peer.received));
                        return Step::Answer;
                    }
                }
                Err(error) => {
                    rare();
                    if let Some(queued) = peer.apart().refused(error, &cx.config) {
                        self.close_slow_reader(queued, cx);
                        return Step::Next;
                    }
                }
            }
        }
    }
}

/// A message of [`ANSWER_SIZE_MIN`] or more, if it may be answered from where it lies: among what
/// was received, with nothing behind it, or large. If not, nothing of it.
#[inline(never)]
fn in_place(message: &[u8], received: Range<usize>, is_all: bool) -> &[u8] {
    let lies = message.as_ptr_range();
    let is_enough = match is_all && lies.end.addr() == received.end {
        true => message.len() >= ANSWER_SIZE_MIN,
        false => message.len() >= ANSWER_SIZE_ALONE,
    };
    match is_enough && received.contains(&lies.start.addr()) {
        true => message,
        false => &[],
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
        mut self,
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
        let message = match event {
            Event::Text(text) => Message::Text(text),
            Event::Binary(bytes) => Message::Binary(bytes),
            Event::Chunk(chunk) => Message::Chunk(chunk),
            Event::Ping(payload) => {
                handler.ping(data, &mut self, payload);
                return Heard::Told;
            }
            Event::Pong(payload) => {
                self.count_pong(payload);
                handler.pong(data, &mut self, payload);
                return Heard::Told;
            }
            Event::Close(close) => {
                self.log_close(close);
                handler.closing(data, &mut self, close);
                return Heard::Told;
            }
            Event::Closed(_) => return Heard::Told,
        };
        if let Some(kind) = message.completes() {
            self.hub.counters.received(kind);
        }
        Heard::Message(message)
    }

    /// What the handler sent was refused, and it did nothing about that. Answers how many bytes
    /// wait for a peer that is to be closed for them.
    #[cold]
    fn refused(mut self, error: SendError, config: &LoopConfig) -> Option<usize> {
        self.queue_answer();
        match error {
            SendError::Closed => None,
            SendError::QueueFull { queued }
                if matches!(config.slow_reader, SlowReader::Close(..)) =>
            {
                Some(queued)
            }
            _ => {
                error!(target: "openline", connection = %self.id(), %error, "a reply was refused");
                // If it is closing already, that is as good.
                let _ = self.close(CloseCode::INTERNAL_ERROR, "");
                None
            }
        }
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
}
