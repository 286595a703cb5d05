//! What passes over an open connection: a read, what the handler is told of it, a write.
//!
//! Every message comes this way, and little else does: what is rare is called, not inlined, so that
//! a message passes few lines of code and of the stack. Those are not in the nearest cache after a
//! system call, and cost more than the instructions in them.

use std::io;
use std::mem;

use tracing::{debug, error};

use crate::net::buffers::{Buffers, READ_SIZE, READ_SIZE_MAX};
use crate::net::config::SlowReader;
use crate::net::end::EndWhy;
use crate::net::handler::{Handler, Message};
use crate::net::peer::Peer;
use crate::net::session::{Context, Session, State, Step};
use crate::net::transport::Received;
use crate::proto::{Close, CloseCode, Event, Kind, SendError};

impl<H: Handler> Session<H> {
    /// Reads once.
    #[inline]
    pub(super) fn receive(&mut self, cx: &mut Context<'_, H>) -> io::Result<()> {
        let recv = &mut cx.buffers.recv;
        // More than is lacking, so that a read that completes a message is a short one.
        let lacking = usize::try_from(recv.lacking()).unwrap_or(usize::MAX);
        let size = lacking.saturating_add(READ_SIZE).min(READ_SIZE_MAX);
        let received = self
            .transport
            .recv(recv.spare_mut(size), &mut cx.buffers.scratch)?;
        match received {
            None => self.readable = false,
            Some(Received::End) => self.handle_eof(),
            Some(Received::Bytes { n, drained }) => {
                recv.commit(n);
                cx.hub.counters.read(n);
                if n > 0 {
                    let id = cx.hub.name(self.link.place);
                    let read = &recv.unparsed()[recv.unparsed_len() - n..];
                    cx.handler.wire(id, self.role.peer(), read);
                }
                if cx.config.byte_rate.is_some() {
                    self.meter_bytes(n, cx);
                }
                self.readable = !drained || self.hung_up;
            }
        }
        Ok(())
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

    /// Writes once; answers whether nothing is left to write.
    #[inline]
    pub(super) fn flush(&mut self, cx: &mut Context<'_, H>) -> io::Result<bool> {
        let Buffers { send, scratch, .. } = &mut *cx.buffers;
        let pending = send.pending();
        if pending.is_empty() || !self.writable {
            return Ok(pending.is_empty());
        }
        let size = pending.len();
        let sent = self.transport.send(pending, scratch)?.unwrap_or(0);
        cx.hub.counters.wrote(sent);
        if sent > 0 {
            let id = cx.hub.name(self.link.place);
            cx.handler.wire(id, self.role, &pending[..sent]);
        }
        send.advance(sent);
        // The kernel took less than it was given, so it is full, and will say when it is not.
        self.writable = sent == size;
        // Room where there was none: the peer has read.
        let has_progress = mem::replace(&mut self.is_blocked, sent < size) && sent > 0;
        if let State::Open(connection, _) = &mut self.state
            && has_progress
        {
            connection.handle_progress(cx.hub.now);
        }
        match &mut self.state {
            State::Open(connection, data) if sent == size => {
                let mut peer = Peer {
                    link: &mut self.link,
                    hub: cx.hub,
                    connection,
                    send: &mut cx.buffers.send,
                };
                cx.handler.flushed(data, &mut peer);
            }
            State::Lingering(linger) if sent > 0 => linger.renew(cx.hub.now, cx.config),
            _ => {}
        }
        Ok(cx.buffers.send.is_empty())
    }

    /// Has the handler told what came over an open connection.
    #[inline]
    pub(super) fn converse(&mut self, cx: &mut Context<'_, H>) -> Step {
        let State::Open(connection, data) = &mut self.state else {
            return Step::Next;
        };
        let Buffers { recv, send, .. } = &mut *cx.buffers;
        let why = loop {
            let event = match connection.poll(cx.hub.now, recv, send) {
                Ok(Some(event)) => event,
                Ok(None) if send.len() >= connection.config().send_queue_max => return Step::Full,
                Ok(None) => return Step::More,
                Err(error) => break EndWhy::Protocol(error),
            };
            if let Some(rate) = &cx.config.message_rate
                && let Err(quota) = self.link.meter_message(*rate, cx.hub.now)
            {
                self.close_exceeding(quota, cx);
                return Step::Next;
            }
            let mut peer = Peer {
                link: &mut self.link,
                hub: cx.hub,
                connection,
                send,
            };
            let message = match event {
                Event::Text(text) => {
                    peer.hub.counters.received(Kind::Text);
                    Message::Text(text)
                }
                Event::Binary(bytes) => {
                    peer.hub.counters.received(Kind::Binary);
                    Message::Binary(bytes)
                }
                Event::Chunk(chunk) => {
                    if chunk.last {
                        peer.hub.counters.received(chunk.kind);
                    }
                    Message::Chunk(chunk)
                }
                Event::Ping(payload) => {
                    cx.handler.ping(data, &mut peer, payload);
                    continue;
                }
                Event::Pong(payload) => {
                    peer.count_pong(payload);
                    cx.handler.pong(data, &mut peer, payload);
                    continue;
                }
                Event::Close(close) => {
                    peer.log_close(close);
                    cx.handler.closing(data, &mut peer, close);
                    continue;
                }
                Event::Closed(closed) => break EndWhy::Closed(closed),
            };
            match cx.handler.message(data, &mut peer, message) {
                Ok(()) | Err(SendError::Closed) => {}
                Err(SendError::QueueFull { queued })
                    if matches!(cx.config.slow_reader, SlowReader::Close(..)) =>
                {
                    self.close_slow_reader(queued, cx);
                    return Step::Next;
                }
                Err(error) => peer.fail(error),
            }
        };
        self.finish(why, cx);
        Step::Next
    }
}

/// What the session does for a callback, or after one.
impl Peer<'_> {
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
