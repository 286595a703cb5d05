//! What was seen, as text: a frame on one line.
//!
//! Nothing here is an escape sequence: a [`Line`] is made of pieces with a [`Tone`], which a
//! terminal turns into colours, a page into classes, and [`Display`](fmt::Display) into nothing.
//! What a peer sent is made harmless on the way.

use std::fmt;

use crate::inspect::bits;
use crate::inspect::conversation::Item;
use crate::inspect::frame::{Frame, Message, Part, TextState};
use crate::inspect::harmless::{hex, neutralise, quote};
use crate::inspect::head::Head;
use crate::inspect::header::LengthForm;
use crate::inspect::violation::Violation;
use crate::proto::{Kind, Role};

/// One line of text, without its line feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The pieces, from left to right.
    pub pieces: Vec<Piece>,
}

/// Text that looks alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How it looks.
    pub tone: Tone,
    /// The text: harmless, and without line feeds.
    pub text: String,
}

/// How a piece of text looks, by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// As any other text.
    Plain,
    /// Of less weight: offsets, explanations.
    Faint,
    /// Of the client.
    Client,
    /// Of the server.
    Server,
    /// What a frame is.
    Name,
    /// What the peers say to each other.
    Payload,
    /// What is wrong.
    Fault,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// One line a frame, or every bit.
    pub detail: Detail,
    /// The characters of text, or half the digits of hexadecimal, that are shown of a payload.
    pub payload_max: usize,
}

/// How closely a frame is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// One line a frame.
    #[default]
    Line,
    /// The header as §5.2 draws it, with its bits, and the payload before and after unmasking.
    Bits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            detail: Detail::Line,
            payload_max: 60,
        }
    }
}

impl Line {
    /// A line of one piece.
    #[must_use]
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self::default().with(tone, text)
    }

    /// The line with this piece behind it.
    #[must_use]
    pub fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.pieces.push(Piece { tone, text });
        }
        self
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces
            .iter()
            .try_for_each(|piece| f.write_str(&piece.text))
    }
}

/// Whatever was sent.
#[must_use]
pub fn item(item: &Item, options: Options) -> Vec<Line> {
    match item {
        Item::Head(head) => self::head(head),
        Item::Frame(frame) => self::frame(frame, options),
        Item::Body { offset, bytes } => {
            let body = format!("body      {:>6}  ", bytes.len());
            let line = beginning(Role::Server, *offset).with(Tone::Name, body);
            vec![line.with(Tone::Payload, quote(bytes, options.payload_max))]
        }
        Item::Gap {
            sender,
            offset,
            missing,
            is_lost,
        } => {
            let then = match is_lost {
                true => "; where the next frame begins is a guess",
                false => ", all of one payload",
            };
            let text = format!("{missing} bytes are missing here{then}");
            vec![beginning(*sender, *offset).with(Tone::Fault, text)]
        }
    }
}

/// A frame: its line, what is wrong with it, and the message of several frames that ends with it.
#[must_use]
pub fn frame(frame: &Frame, options: Options) -> Vec<Line> {
    let mut lines = match options.detail {
        Detail::Line => vec![one_line(frame, options.payload_max)],
        Detail::Bits => bits::frame(frame, options.payload_max),
    };
    lines.extend(frame.violations.iter().map(violation));
    if let Some(message) = &frame.message
        && (message.frames > 1 || message.is_compressed)
    {
        lines.push(self::message(frame.sender, message, options.payload_max));
    }
    lines
}

/// A head: its lines, with what each means, and what is wrong with it.
#[must_use]
pub fn head(head: &Head) -> Vec<Line> {
    let mut lines = Vec::new();
    let last = head.lines.len().saturating_sub(1);
    for (at, line) in head.lines.iter().enumerate() {
        let text = neutralise(&String::from_utf8_lossy(&line.bytes)).into_owned();
        let tone = if at == 0 { Tone::Name } else { Tone::Payload };
        let mut shown = beginning(head.sender, line.offset).with(tone, text);
        if let Some(note) = &line.note {
            shown = shown.with(Tone::Faint, format!("   # {}", neutralise(note)));
        }
        if at == last && !head.is_whole {
            shown = shown.with(Tone::Fault, "   (the head does not end)");
        }
        lines.push(shown);
        let next = head.lines.get(at + 1).map_or(u64::MAX, |line| line.offset);
        let of_line = |violation: &&Violation| {
            (at == 0 || violation.offset >= line.offset) && violation.offset < next
        };
        lines.extend(head.violations.iter().filter(of_line).map(violation));
    }
    lines
}

/// A violation, marked as one.
#[must_use]
pub fn violation(violation: &Violation) -> Line {
    let text = neutralise(&violation.to_string()).into_owned();
    Line::new(Tone::Fault, format!("! {text}"))
}

/// A message put together.
#[must_use]
pub fn message(sender: Role, message: &Message, payload_max: usize) -> Line {
    let kind = match message.kind {
        Kind::Text => "text",
        Kind::Binary => "binary",
    };
    let frames = match message.frames {
        1 => "1 frame".to_owned(),
        frames => format!("{frames} frames"),
    };
    let size = match (message.is_compressed, message.is_unknown) {
        (true, true) => format!("{} bytes that cannot be inflated", message.wire_len),
        (true, false) => format!("{} bytes inflated to {}", message.wire_len, message.len),
        (false, _) => format!("{} bytes", message.len),
    };
    let text = format!("= {kind} message, {frames}, {size}  ");
    Line::new(tone(sender), text).with(
        Tone::Payload,
        payload(message.kind == Kind::Text, &message.payload, payload_max),
    )
}

fn one_line(frame: &Frame, payload_max: usize) -> Line {
    let header = &frame.header;
    let name = match header.opcode() {
        None => format!(
            "{} {:#x}",
            frame.name(),
            header.opcode_bits().unwrap_or_default()
        ),
        Some(_) => frame.name().to_owned(),
    };
    let len = header
        .payload_len()
        .map_or_else(|| "?".to_owned(), |len| len.to_string());
    let mut line = beginning(frame.sender, frame.offset)
        .with(Tone::Name, format!("{name:<12} "))
        .with(Tone::Plain, format!("{len:>6}  "))
        .with(Tone::Faint, format!("{:<22}", flags(frame)));
    if let Some(close) = &frame.close {
        let said = match close.code {
            Some(code) => format!("{code} {}", close.code_name().unwrap_or_default()),
            None => "no code".to_owned(),
        };
        line = line.with(Tone::Plain, said.trim_end());
        if !close.reason.is_empty() {
            line = line.with(
                Tone::Payload,
                format!(" {}", quote(&close.reason, payload_max)),
            );
        }
    } else if !frame.payload.is_empty() {
        line = line.with(
            Tone::Payload,
            payload(is_text(frame), &frame.payload, payload_max),
        );
    }
    match (frame.part, frame.kind) {
        (Some(Part::Middle | Part::Last), Some(Kind::Text)) => {
            line = line.with(Tone::Faint, " of a text")
        }
        (Some(Part::Middle | Part::Last), Some(Kind::Binary)) => {
            line = line.with(Tone::Faint, " of a binary message");
        }
        _ => {}
    }
    if frame.missing > 0 {
        line = line.with(
            Tone::Fault,
            format!("  ({} bytes are missing)", frame.missing),
        );
    }
    if frame.text == Some(TextState::MidCharacter) {
        line = line.with(Tone::Faint, ", cut within a character");
    }
    match cut_short(frame) {
        Some(cut) => line.with(Tone::Fault, format!("  ({cut})")),
        None => line,
    }
}

/// How much came of a frame that did not end.
pub(super) fn cut_short(frame: &Frame) -> Option<String> {
    if frame.is_whole() {
        return None;
    }
    let came = frame.header.as_bytes().len();
    Some(match (frame.header.is_whole(), frame.header.size()) {
        (true, _) => {
            let declared = frame.header.payload_len().unwrap_or_default();
            format!(
                "cut short: {} of {declared} bytes of payload",
                frame.received
            )
        }
        (false, Some(size)) => format!("cut short: {came} of {size} bytes of header"),
        (false, None) => "cut short: 1 byte of header".to_owned(),
    })
}

/// The payload as what it is.
fn payload(is_text: bool, payload: &[u8], max: usize) -> String {
    match is_text {
        true => quote(payload, max),
        false => hex(payload, max / 2),
    }
}

/// Whether the payload is for the eye: text that is not compressed, and what looks like it.
fn is_text(frame: &Frame) -> bool {
    let is_printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    match (frame.is_compressed, frame.kind) {
        (true, _) | (_, Some(Kind::Binary)) => false,
        (_, Some(Kind::Text)) => true,
        (_, None) => frame.payload.iter().all(is_printable),
    }
}

fn flags(frame: &Frame) -> String {
    let header = &frame.header;
    let mut flags = Vec::new();
    for (bit, name) in [
        (header.fin(), "FIN"),
        (header.rsv1(), "RSV1"),
        (header.rsv2(), "RSV2"),
        (header.rsv3(), "RSV3"),
    ] {
        if bit == Some(true) {
            flags.push(name.to_owned());
        }
    }
    match header.length_form() {
        Some(LengthForm::Sixteen) => flags.push("16-bit".to_owned()),
        Some(LengthForm::SixtyFour) => flags.push("64-bit".to_owned()),
        Some(LengthForm::Seven) | None => {}
    }
    match (header.masked(), header.masking_key()) {
        (Some(true), Some(key)) => flags.push(format!("key {}", hex(&key.to_bytes(), 4))),
        (Some(true), None) => flags.push("MASK".to_owned()),
        _ => {}
    }
    flags.join(" ") + " "
}

fn beginning(sender: Role, offset: u64) -> Line {
    let arrow = match sender {
        Role::Client => "> ",
        Role::Server => "< ",
    };
    Line::new(tone(sender), arrow).with(Tone::Faint, format!("{offset:>6}  "))
}

fn tone(sender: Role) -> Tone {
    match sender {
        Role::Client => Tone::Client,
        Role::Server => Tone::Server,
    }
}
