//! A case's steps made ready to be played: repetitions unrolled, an echo's answers foretold.

use std::collections::VecDeque;
use std::time::Duration;

use crate::conformance::case::{Case, Chop, Event, Frame, Item, Party, Step};
use crate::conformance::codec::Codec;
use crate::conformance::log::{Direction, Log};
use crate::conformance::payload::Payload;
use crate::conformance::wire::{RawHeader, append};

/// Steps without repetitions.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) steps: VecDeque<Step>,
    /// Whether a Close frame is among them.
    pub(super) closes: bool,
    /// What an echo answers.
    pub(super) echo: Vec<Event>,
}

/// How much of a case is played: all of it, by default.
///
/// The large cases are made to measure a peer over a network; what they teach about correctness
/// shows within a few repetitions. Tests without a network play them shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The bytes of payload that one `repeat` writes at most; it repeats twice in any case.
    pub repeated_bytes_max: usize,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            repeated_bytes_max: usize::MAX,
        }
    }
}

impl Scale {
    /// How often steps are repeated that are to be repeated `count` times.
    fn repetitions(self, count: usize, steps: &[Step]) -> usize {
        const HEADER_SIZE: usize = 8;
        let size = |item: &Item| match item {
            Item::Frame(frame) => HEADER_SIZE + frame.payload.len(),
            Item::Raw(payload) => payload.len(),
        };
        let bytes: usize = steps
            .iter()
            .map(|step| match step {
                Step::Write(items, _) => items.iter().map(size).sum(),
                _ => 0,
            })
            .sum();
        count.min((self.repeated_bytes_max / bytes.max(1)).max(2))
    }
}

impl Script {
    pub(super) fn new(case: &Case, scale: Scale) -> Self {
        let mut steps = VecDeque::new();
        unroll(&case.steps, 0, scale, &mut steps);
        let is_close = |item: &Item| matches!(item, Item::Frame(frame) if frame.opcode == 8);
        let closes = steps.iter().any(|step| match step {
            Step::Write(items, _) => items.iter().any(is_close),
            _ => false,
        });
        if case.ending.by == Party::EndOfFile && !steps.contains(&Step::Shutdown) {
            steps.push_back(Step::Await(usize::MAX));
            steps.push_back(Step::Shutdown);
        }
        let echo = echo(&steps);
        Self {
            steps,
            closes,
            echo,
        }
    }
}

fn unroll(steps: &[Step], repetition: usize, scale: Scale, out: &mut VecDeque<Step>) {
    for step in steps {
        match step {
            Step::Repeat(count, inner) => {
                for repetition in 0..scale.repetitions(*count, inner) {
                    unroll(inner, repetition, scale, out);
                }
            }
            Step::Write(items, chop) => {
                let items = items.iter().map(|item| match item {
                    Item::Raw(payload) => Item::Raw(payload.at(repetition)),
                    Item::Frame(frame) => Item::Frame(Frame {
                        payload: frame.payload.at(repetition),
                        ..frame.clone()
                    }),
                });
                // What is repeated without a pause is written as if it were written out.
                match out.back_mut() {
                    Some(Step::Write(before, same)) if same == chop => before.extend(items),
                    _ => out.push_back(Step::Write(items.collect(), *chop)),
                }
            }
            step => out.push_back(step.clone()),
        }
    }
}

/// What an echo answers: every message when it is whole, every ping, until a Close frame.
fn echo(steps: &VecDeque<Step>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut message: Option<(u8, Vec<Payload>)> = None;
    for step in steps {
        match step {
            Step::Pause(_, Some(mark)) => events.push(Event::Open(mark.clone())),
            Step::Write(items, _) => {
                for item in items {
                    let Item::Frame(frame) = item else {
                        continue;
                    };
                    events.extend(frame.pauses.iter().filter_map(|(_, _, mark)| {
                        mark.as_ref().map(|mark| Event::Open(mark.clone()))
                    }));
                    match frame.opcode {
                        8 => return events,
                        9 => events.push(Event::Pong(frame.payload.clone())),
                        1 | 2 => message = Some((frame.opcode, vec![frame.payload.clone()])),
                        0 => {
                            if let Some((_, parts)) = &mut message {
                                parts.push(frame.payload.clone());
                            }
                        }
                        _ => {}
                    }
                    if frame.opcode < 3
                        && frame.fin
                        && let Some((opcode, parts)) = message.take()
                    {
                        let payload = Payload::concat(&parts);
                        events.push(match opcode {
                            1 => Event::Text(payload),
                            _ => Event::Binary(payload),
                        });
                    }
                }
            }
            _ => {}
        }
    }
    events
}

/// What is written next.
#[derive(Debug)]
pub(super) enum Output {
    /// Bytes, in pieces of at most so many.
    Bytes { bytes: Vec<u8>, piece: usize },
    /// Nothing for a while.
    Pause(Duration, Option<String>),
    /// Nothing until so many more events have come.
    Await(usize),
    /// The end of our direction.
    Shutdown,
    /// The connection is dropped.
    Drop,
}

/// What writing frames needs.
pub(super) struct Pen<'a> {
    /// Whether our role masks.
    pub(super) masks: bool,
    /// Draws masking keys.
    pub(super) key: &'a mut dyn FnMut() -> [u8; 4],
    pub(super) codec: Option<&'a mut Codec>,
    pub(super) log: &'a mut Log,
    pub(super) at: Duration,
}

impl Pen<'_> {
    /// The bytes of items, chopped, behind what is in `out`.
    pub(super) fn write(&mut self, items: &[Item], chop: Chop, out: &mut VecDeque<Output>) {
        let piece = match chop {
            Chop::Size(size) => size,
            _ => PIECE_MAX,
        };
        let mut bytes = Vec::new();
        let flush = |bytes: &mut Vec<u8>, out: &mut VecDeque<Output>| {
            if !bytes.is_empty() {
                let bytes = std::mem::take(bytes);
                out.push_back(Output::Bytes { bytes, piece });
            }
        };
        for item in items {
            match item {
                Item::Raw(payload) => {
                    let raw = payload.render();
                    self.log.raw(self.at, Direction::Sent, &raw);
                    bytes.extend_from_slice(&raw);
                }
                Item::Frame(frame) => {
                    let start = bytes.len();
                    let header_size = self.frame(frame, &mut bytes);
                    // Where the payload begins in `bytes`, and how much of it is gone already.
                    let (mut start, mut gone) = (start + header_size, 0);
                    for (after, time, mark) in &frame.pauses {
                        let at = (start + after.saturating_sub(gone)).min(bytes.len());
                        let rest = bytes.split_off(at);
                        flush(&mut bytes, out);
                        out.push_back(Output::Pause(*time, mark.clone()));
                        bytes = rest;
                        (start, gone) = (0, *after);
                    }
                }
            }
            if chop == Chop::Frame {
                flush(&mut bytes, out);
            }
        }
        flush(&mut bytes, out);
    }

    /// Appends a frame, or the frames of a message; gives the size of the first header.
    fn frame(&mut self, frame: &Frame, bytes: &mut Vec<u8>) -> usize {
        let rendered = frame.payload.render();
        let (payload, rsv) = match (frame.compress, self.codec.as_deref_mut()) {
            (Some(level), Some(codec)) => (codec.compress(&rendered, level).into(), frame.rsv | 4),
            _ => (rendered, frame.rsv),
        };
        let size = frame.fragment.unwrap_or(usize::MAX);
        let mut pieces: Vec<&[u8]> = payload.chunks(size).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        let mut first_header_size = 0;
        let last = pieces.len() - 1;
        for (n, piece) in pieces.into_iter().enumerate() {
            let masked = frame.masked.unwrap_or(self.masks);
            let key = masked.then(|| frame.key.unwrap_or_else(|| (self.key)()));
            let length = frame.length.unwrap_or(piece.len() as u64);
            let header = RawHeader {
                fin: frame.fin && n == last,
                rsv: if n == 0 { rsv } else { 0 },
                opcode: if n == 0 { frame.opcode } else { 0 },
                key,
                length,
                form: frame.form.unwrap_or(RawHeader::minimal_form(length)),
            }
            .encode();
            if n == 0 {
                first_header_size = header.len();
            }
            bytes.extend_from_slice(&header);
            append(piece, key, bytes);
            self.log.frame(self.at, Direction::Sent, header, piece);
        }
        first_header_size
    }
}

/// The bytes of one write at most: what goes out meanwhile must not keep us from reading.
const PIECE_MAX: usize = 64 << 10;
