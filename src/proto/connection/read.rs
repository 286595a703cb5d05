//! Reading: from bytes to whole messages, chunks and control frames ([RFC 6455 §5.4], §5.5).
//!
//! What is decided here are ranges of the receive buffer; `Connection::poll` turns one into a
//! slice. Every byte is looked at once: a frame whose header was read is taken off the buffer
//! piece by piece as it arrives, unmasked, and, if it is text, checked.
//!
//! [RFC 6455 §5.4]: https://www.rfc-editor.org/rfc/rfc6455#section-5.4

use std::ops::Range;

use crate::proto::buffer::RecvBuffer;
use crate::proto::config::{Config, Delivery};
use crate::proto::error::ProtocolError;
use crate::proto::event::Kind;
use crate::proto::frame::{FrameHeader, Opcode, Role};
use crate::proto::mask::MaskingKey;
use crate::proto::utf8::{InvalidAt, Validator};

/// What the next bytes make; the ranges are of the receive buffer, unmasked.
#[derive(Debug)]
pub(super) enum Step {
    /// More bytes, please.
    More,
    /// A message that arrived in one piece. Text is not checked yet: so it is checked once.
    Whole(Kind, Range<usize>),
    /// A message that was gathered. Text was checked on the way.
    Gathered(Kind, Range<usize>),
    /// A piece of a message, checked; and whether it is the last.
    Chunk(Kind, Range<usize>, bool),
    /// A control frame's payload.
    Ping(Range<usize>),
    Pong(Range<usize>),
    Close(Range<usize>),
}

/// The message that has begun and not ended, if there is one.
#[derive(Debug, Default)]
pub(super) struct Reader {
    message: Option<Message>,
}

#[derive(Debug)]
struct Message {
    kind: Kind,
    frame: Frame,
    /// The bytes that its frames so far declared.
    declared: u64,
    fragments: u32,
    utf8: Validator,
    /// The text was found not to be UTF-8, and the chunk before that was delivered.
    refused: bool,
}

/// The frame whose payload is arriving, or the last one that did.
#[derive(Debug, Default)]
struct Frame {
    fin: bool,
    /// The bytes of payload that have not come yet.
    lacking: u64,
    /// Turned to the next byte's position.
    key: Option<MaskingKey>,
}

impl Reader {
    /// Takes the next step that the bytes in `recv` allow, as the end in the role `role`.
    #[inline]
    pub(super) fn next(
        &mut self,
        config: &Config,
        role: Role,
        recv: &mut RecvBuffer,
    ) -> Result<Step, ProtocolError> {
        loop {
            if let Some(message) = &mut self.message
                && message.is_within_frame()
                && let Some(step) = message.take_payload(config, recv)?
            {
                return Ok(self.pass(step));
            }
            let Some((header, size)) = FrameHeader::decode(recv.unparsed(), role.peer())? else {
                recv.set_lacking(0);
                return Ok(Step::More);
            };
            // §5.2: no extension is agreed to that would give RSV1 a meaning.
            if header.rsv1 {
                return Err(ProtocolError::ReservedBits);
            }
            let kind = match header.opcode {
                Opcode::Ping => return Ok(take_control(header, size, recv, Step::Ping)),
                Opcode::Pong => return Ok(take_control(header, size, recv, Step::Pong)),
                Opcode::Close => return Ok(take_control(header, size, recv, Step::Close)),
                Opcode::Text => Some(Kind::Text),
                Opcode::Binary => Some(Kind::Binary),
                Opcode::Continuation => None,
            };
            if let (Some(kind), true, None, Delivery::Whole) =
                (kind, header.fin, &self.message, config.delivery)
                && header.payload_len <= config.frame_size_max.min(config.message_size_max)
                && let Some(payload) = take_whole(header, size, recv)
            {
                return Ok(Step::Whole(kind, payload));
            }
            if let Some(step) = self.begin(config, kind, header, size, recv)? {
                return Ok(self.pass(step));
            }
        }
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_mid_message(&self) -> bool {
        self.message.is_some()
    }

    /// Begins a frame of data: its header is taken off the buffer, its payload as it comes.
    fn begin(
        &mut self,
        config: &Config,
        kind: Option<Kind>,
        header: FrameHeader,
        size: usize,
        recv: &mut RecvBuffer,
    ) -> Result<Option<Step>, ProtocolError> {
        let message = match (&mut self.message, kind) {
            (message @ None, Some(kind)) => message.insert(Message::new(kind)),
            (Some(message), None) => message,
            // §5.4: fragments of one message are not interleaved with another's.
            (Some(_), Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            (None, None) => return Err(ProtocolError::UnexpectedContinuation),
        };
        // §10.4: limits hold for what is declared, before it comes.
        if header.payload_len > config.frame_size_max {
            return Err(ProtocolError::FrameTooLarge {
                declared: header.payload_len,
                max: config.frame_size_max,
            });
        }
        message.declared = message.declared.saturating_add(header.payload_len);
        if message.declared > config.message_size_max {
            return Err(ProtocolError::MessageTooLarge {
                declared: message.declared,
                max: config.message_size_max,
            });
        }
        if message.fragments == config.fragments_max {
            return Err(ProtocolError::TooManyFragments {
                max: config.fragments_max,
            });
        }
        message.fragments += 1;
        message.frame = Frame {
            fin: header.fin,
            lacking: header.payload_len,
            key: header.mask,
        };
        recv.consume(size);
        // An empty frame has no payload to wait for.
        match header.payload_len {
            0 => message.end_frame(config, recv),
            _ => Ok(None),
        }
    }

    /// Passes a step on; the message is over if the step ends it.
    fn pass(&mut self, step: Step) -> Step {
        if let Step::Gathered(..) | Step::Chunk(.., true) = step {
            self.message = None;
        }
        step
    }
}

impl Message {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            frame: Frame::default(),
            declared: 0,
            fragments: 0,
            utf8: Validator::default(),
            refused: false,
        }
    }

    fn is_within_frame(&self) -> bool {
        self.frame.lacking > 0 || self.refused
    }

    /// Takes what has come of the frame's payload; `None` when the frame is over and another
    /// has to follow.
    fn take_payload(
        &mut self,
        config: &Config,
        recv: &mut RecvBuffer,
    ) -> Result<Option<Step>, ProtocolError> {
        if self.refused {
            return Err(ProtocolError::InvalidUtf8);
        }
        let n = usize::try_from(self.frame.lacking)
            .unwrap_or(usize::MAX)
            .min(recv.unparsed_len());
        let piece = self.take_piece(n, config.delivery, recv);
        recv.set_lacking(self.frame.lacking);
        if self.kind == Kind::Text
            && let Err(InvalidAt(valid)) = self.check(recv.at(piece.clone()))
        {
            // §8.1: what can no longer become UTF-8 fails now, not when the frame is complete.
            if config.delivery == Delivery::Whole || valid == 0 {
                return Err(ProtocolError::InvalidUtf8);
            }
            self.refused = true;
            let valid = piece.start..piece.start + valid;
            return Ok(Some(Step::Chunk(self.kind, valid, false)));
        }
        match (self.frame.lacking, config.delivery) {
            (0, Delivery::Whole) => self.end_frame(config, recv),
            (lacking, Delivery::Chunks) if n > 0 => {
                let last = lacking == 0 && self.frame.fin;
                Ok(Some(Step::Chunk(self.kind, piece, last)))
            }
            _ => Ok(Some(Step::More)),
        }
    }

    /// Takes `n` bytes of payload off the buffer, unmasked; returns where they now lie.
    fn take_piece(&mut self, n: usize, delivery: Delivery, recv: &mut RecvBuffer) -> Range<usize> {
        let key = self.frame.key;
        self.frame.lacking -= n as u64;
        self.frame.key = key.map(|key| key.at(n as u64));
        match delivery {
            Delivery::Whole => recv.absorb(n, key),
            Delivery::Chunks => {
                let piece = recv.consume(n);
                if let Some(key) = key {
                    key.apply(recv.at_mut(piece.clone()));
                }
                piece
            }
        }
    }

    /// Checks the next piece of a text, and the end of the text behind its last piece.
    fn check(&mut self, piece: &[u8]) -> Result<(), InvalidAt> {
        self.utf8.push(piece)?;
        let ends = self.frame.lacking == 0 && self.frame.fin;
        match ends && !self.utf8.is_complete() {
            true => Err(InvalidAt(piece.len())),
            false => Ok(()),
        }
    }

    /// Ends a frame whose payload is complete, and the message if it was the last.
    fn end_frame(
        &self,
        config: &Config,
        recv: &mut RecvBuffer,
    ) -> Result<Option<Step>, ProtocolError> {
        if !self.frame.fin {
            return Ok(None);
        }
        // An empty last frame has no piece that would have been checked.
        if !self.utf8.is_complete() {
            return Err(ProtocolError::InvalidUtf8);
        }
        Ok(Some(match config.delivery {
            Delivery::Whole => Step::Gathered(self.kind, recv.finish()),
            Delivery::Chunks => Step::Chunk(self.kind, recv.consume(0), true),
        }))
    }
}

/// The payload of a frame, unmasked where it lies, once all of it is there.
#[inline]
fn take_whole(header: FrameHeader, size: usize, recv: &mut RecvBuffer) -> Option<Range<usize>> {
    let len = usize::try_from(header.payload_len).ok()?;
    if recv.unparsed_len() - size < len {
        return None;
    }
    recv.consume(size);
    let payload = recv.consume(len);
    if let Some(key) = header.mask {
        key.apply(recv.at_mut(payload.clone()));
    }
    Some(payload)
}

/// A control frame, at most 125 bytes, is waited for.
fn take_control(
    header: FrameHeader,
    size: usize,
    recv: &mut RecvBuffer,
    step: fn(Range<usize>) -> Step,
) -> Step {
    match take_whole(header, size, recv) {
        Some(payload) => step(payload),
        None => {
            recv.set_lacking(0);
            Step::More
        }
    }
}
