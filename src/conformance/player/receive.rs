//! What comes of the peer's bytes: the handshake's answer, frames, messages, the end.

use std::time::Instant;

use crate::conformance::case::{Chop, Item};
use crate::conformance::codec::agreed;
use crate::conformance::log::{Direction, Logged};
use crate::conformance::player::judge::Seen;
use crate::conformance::player::opening::{HEAD_MAX, ReadHead};
use crate::conformance::player::{CLOSE_TIMEOUT, Player, Stage, control};
use crate::conformance::wire::{RawFrame, RawHeader, TooLarge};
use crate::proto::{CloseCode, Role};

/// The message at hand.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// The opcode, and whether RSV1 says that it is compressed.
    message: Option<(u8, bool)>,
    payload: Vec<u8>,
}

impl Player {
    /// Bytes of the peer have come.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) {
        if let Stage::Over(_) = self.stage {
            return;
        }
        self.log.octets(Direction::Received, bytes.len());
        self.reader.push(bytes);
        self.advance(now);
    }

    /// The peer's stream has ended.
    pub fn receive_eof(&mut self, now: Instant) {
        let at = self.at(now);
        self.log.push(at, Logged::EndOfFile(Direction::Received));
        self.facts.ended = true;
        self.finish(now);
    }

    /// The peer has reset the connection, or writing to it failed.
    pub fn receive_reset(&mut self, now: Instant) {
        let at = self.at(now);
        self.log.push(at, Logged::Reset);
        self.facts.ended = true;
        self.facts.reset = true;
        self.finish(now);
    }

    fn advance(&mut self, now: Instant) {
        loop {
            let has_read = match self.stage {
                Stage::Opening(_) => self.reads_a_head(now),
                Stage::Open | Stage::Probing | Stage::Closed => self.reads_a_frame(now),
                Stage::Over(_) => false,
            };
            if !has_read {
                return;
            }
        }
    }

    /// Whether there was one.
    fn reads_a_head(&mut self, now: Instant) -> bool {
        let Some((head, size)) = ReadHead::read(self.reader.rest()) else {
            if self.reader.rest().len() > HEAD_MAX {
                self.violate(
                    "the head of the opening handshake does not end".to_owned(),
                    now,
                );
            }
            return false;
        };
        let at = self.at(now);
        let bytes = self.reader.take(size);
        self.log.push(at, Logged::Head(Direction::Received, bytes));
        match self.stage {
            Stage::Opening(Some(key)) => self.judge_response(&head, key, now),
            _ => self.judge_request(&head, now),
        }
        true
    }

    fn judge_response(&mut self, head: &ReadHead, key: crate::proto::Key, now: Instant) {
        let status = head.status();
        if matches!(status, Some(100..=199)) && status != Some(101) {
            return;
        }
        self.facts.status = status;
        if status != Some(101) {
            self.check(head);
            self.finish(now);
            return;
        }
        if let Some(fault) = head.response_fault(&key) {
            self.violate(format!("the response is no consent: {fault}"), now);
            return;
        }
        let extensions: Vec<&[u8]> = head.values("Sec-WebSocket-Extensions").collect();
        match agreed(&self.case.opening.offers, &extensions) {
            Ok(Some(params)) => self.agree(params),
            Ok(None) => {}
            Err(fault) => {
                self.violate(fault, now);
                return;
            }
        }
        self.check(head);
        match self.case.opening.answer.opens() {
            true => self.open(now),
            false => self.finish(now),
        }
    }

    fn judge_request(&mut self, head: &ReadHead, now: Instant) {
        let Some(key) = head.key().filter(|_| head.request_fault().is_none()) else {
            let fault = head.request_fault().unwrap_or_default();
            self.violate(format!("this is no request for WebSocket: {fault}"), now);
            return;
        };
        self.respond(head, &key, now);
        self.check(head);
        match self.case.opening.answer.opens() {
            true => self.open(now),
            false => {
                self.stage = Stage::Probing;
                self.deadline = now + self.case.within.time;
            }
        }
    }

    /// Holds the peer's head against the case's checks.
    fn check(&mut self, head: &ReadHead) {
        let params = self.facts.deflate.as_ref();
        let checks = &self.case.opening.checks;
        self.facts.fault = checks.iter().find_map(|check| head.fault(check, params));
    }

    /// Whether there was one.
    fn reads_a_frame(&mut self, now: Instant) -> bool {
        let max = (self.judge.message_max + SLACK) as u64;
        match self.reader.next(max) {
            Ok(None) => false,
            Ok(Some(frame)) => {
                let at = self.at(now);
                let head = frame.head.clone();
                self.log
                    .frame(at, Direction::Received, head, &frame.payload);
                if let Err(fault) = self.obey(frame, now) {
                    self.violate(fault, now);
                }
                true
            }
            Err(TooLarge(header)) => {
                let at = self.at(now);
                self.log
                    .frame(at, Direction::Received, header.encode(), &[]);
                let declared = header.length;
                self.violate(
                    format!("a frame declares {declared} bytes, more than was ever sent"),
                    now,
                );
                false
            }
        }
    }

    /// The peer broke the protocol.
    pub(super) fn violate(&mut self, fault: String, now: Instant) {
        let at = self.at(now);
        self.log.push(at, Logged::Violation(fault.clone()));
        self.facts.violation = Some(fault);
        self.facts.dropped_by_us = true;
        self.finish(now);
    }

    fn obey(&mut self, frame: RawFrame, now: Instant) -> Result<(), String> {
        self.is_legal(&frame.header)?;
        if matches!(self.stage, Stage::Probing) {
            self.facts.answered = Some(frame.header.opcode);
            // A Close frame may still come before the end of the stream.
            if frame.header.opcode != 8 {
                self.finish(now);
            }
            return Ok(());
        }
        if self.facts.received_close {
            return Err("a frame follows the Close frame (RFC 6455 §5.5.1)".to_owned());
        }
        match frame.header.opcode {
            8 => self.obey_close(&frame.payload, now)?,
            9 => {
                self.judge.see(&Seen::Ping(&frame.payload));
                if self.output.len() > REPLIES_MAX {
                    return Err("pings come faster than pongs are taken".to_owned());
                }
                if !self.facts.sent_close && !self.is_mid_piece() {
                    let pong = control(10, &frame.payload);
                    self.write(&[Item::Frame(pong)], Chop::Whole, now);
                }
            }
            10 => self.judge.see(&Seen::Pong(&frame.payload)),
            _ => self.assemble(frame)?,
        }
        Ok(())
    }

    /// The rules that one header alone can break (RFC 6455 §5).
    fn is_legal(&self, header: &RawHeader) -> Result<(), String> {
        let opcode = header.opcode;
        let fault = if !matches!(opcode, 0..=2 | 8..=10) {
            format!("the opcode {opcode:#x} is reserved (RFC 6455 §5.2)")
        } else if header.rsv & 3 != 0 || header.rsv & 4 != 0 && !self.may_compress(opcode) {
            format!(
                "the reserved bits {:03b} are set (RFC 6455 §5.2)",
                header.rsv
            )
        } else if header.key.is_some() && self.peer == Role::Server {
            "a server's frame is masked (RFC 6455 §5.1)".to_owned()
        } else if header.key.is_none() && self.peer == Role::Client {
            "a client's frame is not masked (RFC 6455 §5.1)".to_owned()
        } else if header.form != RawHeader::minimal_form(header.length) {
            "a length is not in its shortest form (RFC 6455 §5.2)".to_owned()
        } else if header.is_control() && !header.fin {
            "a control frame is fragmented (RFC 6455 §5.5)".to_owned()
        } else if header.is_control() && header.length > 125 {
            "a control frame is longer than 125 bytes (RFC 6455 §5.5)".to_owned()
        } else {
            return Ok(());
        };
        Err(fault)
    }

    /// RFC 7692 §6: RSV1 only where a message begins, and only if that was agreed to.
    fn may_compress(&self, opcode: u8) -> bool {
        self.codec.is_some() && matches!(opcode, 1 | 2)
    }

    fn assemble(&mut self, frame: RawFrame) -> Result<(), String> {
        let header = frame.header;
        match (header.opcode, self.assembly.message) {
            (0, None) => {
                return Err("a continuation continues nothing (RFC 6455 §5.4)".to_owned());
            }
            (1 | 2, Some(_)) => {
                return Err("a message begins within another (RFC 6455 §5.4)".to_owned());
            }
            (opcode @ (1 | 2), None) => {
                self.assembly.message = Some((opcode, header.rsv & 4 != 0));
                self.assembly.payload = frame.payload;
            }
            _ => self.assembly.payload.extend_from_slice(&frame.payload),
        }
        let max = self.judge.message_max + SLACK;
        if self.assembly.payload.len() > max {
            return Err("a message is longer than any that was sent".to_owned());
        }
        if !header.fin {
            return Ok(());
        }
        let (opcode, compressed) = self.assembly.message.take().expect("just put there");
        let mut payload = std::mem::take(&mut self.assembly.payload);
        if compressed && let Some(codec) = &mut self.codec {
            payload = codec.inflate(&payload, max)?;
        }
        let seen = match opcode {
            1 if std::str::from_utf8(&payload).is_err() => {
                return Err("a text is not UTF-8 (RFC 6455 §8.1)".to_owned());
            }
            1 => Seen::Text(&payload),
            _ => Seen::Binary(&payload),
        };
        self.judge.see(&seen);
        Ok(())
    }

    fn obey_close(&mut self, payload: &[u8], now: Instant) -> Result<(), String> {
        self.facts.received_close = true;
        match payload.split_first_chunk() {
            None if payload.is_empty() => {}
            None => return Err("a Close frame has one byte (RFC 6455 §5.5.1)".to_owned()),
            Some((code, reason)) => {
                let code = u16::from_be_bytes(*code);
                self.facts.remote_code = Some(code);
                self.facts.remote_reason = Some(String::from_utf8_lossy(reason).into_owned());
                if CloseCode::new(code).is_none() {
                    return Err(format!(
                        "the close code {code} may not be sent (RFC 6455 §7.4)"
                    ));
                }
                if std::str::from_utf8(reason).is_err() {
                    return Err("a close reason is not UTF-8 (RFC 6455 §5.5.1)".to_owned());
                }
            }
        }
        if !self.facts.sent_close {
            self.facts.closed_by_peer = true;
            let is_mid_piece = self.is_mid_piece();
            self.output.clear();
            self.written = 0;
            if !is_mid_piece {
                self.send_close(payload.get(..2).unwrap_or_default(), now);
            }
        } else {
            self.facts.clean = true;
        }
        self.script.steps.clear();
        self.pause = None;
        self.stage = Stage::Closed;
        self.patience = Some(now + CLOSE_TIMEOUT);
        Ok(())
    }

    /// Whether a frame is partly written, so that another cannot begin.
    fn is_mid_piece(&self) -> bool {
        self.written > 0
    }
}

/// The replies that may wait to be written: a peer that asks and does not listen gets no more.
const REPLIES_MAX: usize = 1000;
/// What is held beyond the largest message expected: room for what a peer may say of its own.
const SLACK: usize = 64 << 10;
