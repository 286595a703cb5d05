//! A frame bit by bit, as [RFC 6455 §5.2] draws it, with the bits that were sent.
//!
//! ```text
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| Payload len |          Masking-key          |
//! |I|S|S|S|  (4)  |A|     (7)     |                               |
//! |N|V|V|V|       |S|             |                               |
//! | |1|2|3|       |K|             |                               |
//! |1|0|0|0|0 0 0 1|1|0 0 0 0 1 0 1|0 0 1 1 0 1 1 1 1 1 1 1 1 0 1 0|
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! ```
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use std::fmt::Write as _;

use crate::inspect::frame::{Frame, Part};
use crate::inspect::harmless::hex;
use crate::inspect::header::{LengthForm, RawHeader};
use crate::inspect::text::{Line, Tone, cut_short};
use crate::proto::{Kind, Role};

/// A frame: where it lies, its drawing, what each field says, and its payload, `payload_max`
/// bytes of it.
pub(super) fn frame(frame: &Frame, payload_max: usize) -> Vec<Line> {
    let (tone, sender) = match frame.sender {
        Role::Client => (Tone::Client, "> client"),
        Role::Server => (Tone::Server, "< server"),
    };
    let title = format!(
        "{sender}, frame {}, at {}, {} bytes: ",
        frame.number,
        frame.offset,
        frame.size()
    );
    let mut title = Line::new(tone, title).with(Tone::Name, summary(frame));
    if let Some(cut) = cut_short(frame) {
        title = title.with(Tone::Fault, format!(", {cut}"));
    }
    let mut lines = vec![title];
    let drawn = drawing(&frame.header, &frame.wire_payload());
    lines.extend(
        drawn
            .into_iter()
            .map(|line| Line::new(Tone::Faint, format!("  {line}"))),
    );
    lines.extend(fields(frame));
    lines.extend(payload(frame, payload_max));
    lines
}

fn summary(frame: &Frame) -> String {
    let kind = match frame.kind {
        Some(Kind::Text) => "text",
        Some(Kind::Binary) => "binary",
        None => return frame.name().to_owned(),
    };
    match frame.part {
        Some(Part::First) => format!("the first fragment of a {kind} message"),
        Some(Part::Middle) => format!("a fragment of a {kind} message"),
        Some(Part::Last) => format!("the last fragment of a {kind} message"),
        Some(Part::Whole) | None => format!("a whole {kind} message"),
    }
}

/// The header's fields in words, each at its offset.
fn fields(frame: &Frame) -> Vec<Line> {
    let header = &frame.header;
    let mut fields: Vec<(usize, String, String)> = Vec::new();
    if let Some(fin) = header.fin() {
        let says = match (fin, header.is_control()) {
            (true, true) => "whole, as a control frame must be",
            (true, false) => "the last, or the only, frame of its message",
            (false, _) => "more frames of this message follow",
        };
        fields.push((0, format!("FIN {}", u8::from(fin)), says.to_owned()));
    }
    if let (Some(rsv1), Some(rsv2), Some(rsv3)) = (header.rsv1(), header.rsv2(), header.rsv3()) {
        let says = match (rsv1, rsv2 || rsv3, frame.is_compressed) {
            (true, false, true) => "RSV1: the message is compressed (RFC 7692)",
            (false, false, _) => "no extension is at work",
            _ => "set",
        };
        let bits = [rsv1, rsv2, rsv3].map(u8::from);
        let what = format!("RSV {} {} {}", bits[0], bits[1], bits[2]);
        fields.push((0, what, says.to_owned()));
    }
    if let Some(bits) = header.opcode_bits() {
        fields.push((0, format!("opcode {bits:#x}"), frame.name().to_owned()));
    }
    if let Some(masked) = header.masked() {
        let says = match (frame.sender, masked) {
            (Role::Client, true) => "masked, as a client must",
            (Role::Client, false) => "not masked, as a client must not leave it",
            (Role::Server, true) => "masked, as a server must not",
            (Role::Server, false) => "not masked, as a server must leave it",
        };
        fields.push((1, format!("MASK {}", u8::from(masked)), says.to_owned()));
    }
    if let (Some(short), Some(form)) = (header.short_length(), header.length_form()) {
        let says = match form {
            LengthForm::Seven => "the length itself".to_owned(),
            form => format!("the length is in the next {} bits", form.bits()),
        };
        fields.push((1, format!("length {short}"), says));
    }
    if let (Some(LengthForm::Sixteen | LengthForm::SixtyFour), Some(len)) =
        (header.length_form(), header.payload_len())
    {
        fields.push((2, format!("length {len}"), "the length itself".to_owned()));
    }
    if let (Some(key), Some(at)) = (header.masking_key(), header.masking_key_at()) {
        let says = "each byte of payload is XORed with one of these in turn";
        fields.push((
            at,
            format!("key {}", hex(&key.to_bytes(), 4)),
            says.to_owned(),
        ));
    }
    if let Some(close) = &frame.close
        && let Some(code) = close.code
    {
        let name = close
            .code_name()
            .unwrap_or("no name is registered")
            .to_owned();
        fields.push((header.as_bytes().len(), format!("code {code}"), name));
    }
    fields
        .into_iter()
        .map(|(at, what, says)| {
            Line::new(Tone::Faint, format!("  {:>6}  ", frame.offset + at as u64))
                .with(Tone::Plain, format!("{what:<14} "))
                .with(Tone::Faint, says)
        })
        .collect()
}

/// The payload in rows: as it came, and, if it was masked, what it says.
fn payload(frame: &Frame, max: usize) -> Vec<Line> {
    let (Some(offset), false) = (frame.payload_offset(), frame.payload.is_empty()) else {
        return Vec::new();
    };
    let shown = &frame.payload[..frame.payload.len().min(max)];
    let wire = frame.wire_payload();
    let key = frame.header.masking_key();
    let width = if key.is_some() { 8 } else { 16 };
    let mut lines = Vec::new();
    for (row, plain) in shown.chunks(width).enumerate() {
        let at = row * width;
        let mut line = Line::new(Tone::Faint, format!("  {:>6}  ", offset + at as u64));
        if key.is_some() {
            let came = spaced(&wire[at..at + plain.len()]);
            line = line.with(Tone::Plain, format!("{came:<24} "));
            line = line.with(Tone::Faint, "unmasked  ");
        }
        let cells = spaced(plain);
        let pad = 3 * width;
        lines.push(
            line.with(Tone::Payload, format!("{cells:<pad$} "))
                .with(Tone::Payload, printable(plain)),
        );
    }
    let left = frame.received - shown.len() as u64;
    if left > 0 {
        lines.push(Line::new(
            Tone::Faint,
            format!("          and {left} bytes more"),
        ));
    }
    lines
}

fn spaced(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(3 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x} ");
    }
    text
}

fn printable(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '.',
    };
    bytes.iter().map(shown).collect()
}

/// A field of the drawing: its label, line by line, and how many bits it has.
struct Cell {
    label: Vec<String>,
    bits: usize,
}

impl Cell {
    /// A field of one bit, whose name is written downwards.
    fn bit(name: &str) -> Self {
        Self {
            label: name.chars().map(String::from).collect(),
            bits: 1,
        }
    }

    fn field(label: &[&str], bits: usize) -> Self {
        Self {
            label: label.iter().map(|line| (*line).to_owned()).collect(),
            bits,
        }
    }
}

/// The rows of 32 bits that the header takes, and what of the payload fills the last of them.
fn drawing(header: &RawHeader, wire_payload: &[u8]) -> Vec<String> {
    let bytes = header.as_bytes();
    let mut cells = vec![
        Cell::bit("FIN"),
        Cell::bit("RSV1"),
        Cell::bit("RSV2"),
        Cell::bit("RSV3"),
        Cell::field(&[" opcode", "(4)"], 4),
    ];
    if bytes.len() > 1 {
        cells.push(Cell::bit("MASK"));
        cells.push(Cell::field(&["Payload len", "(7)"], 7));
    }
    match (header.length_form(), header.extended_length().len() * 8) {
        (_, 0) => {}
        (Some(LengthForm::Sixteen), bits) => {
            let label = ["Extended payload length", "(16)"];
            cells.push(Cell::field(&label, bits));
        }
        (_, bits) => cells.push(Cell::field(&["Extended payload length", "(64)"], bits)),
    }
    let drawn: usize = cells.iter().map(|cell| cell.bits).sum();
    let key = bytes.len() * 8 - drawn;
    if key > 0 {
        cells.push(Cell::field(&["Masking-key"], key));
    }
    let mut bytes = bytes.to_vec();
    let room = (4 - bytes.len() % 4) % 4;
    let fill = &wire_payload[..wire_payload.len().min(if room == 0 { 4 } else { room })];
    if !fill.is_empty() {
        bytes.extend_from_slice(fill);
        cells.push(Cell::field(&["Payload Data"], 8 * fill.len()));
    }
    let goes_on = wire_payload.len() > fill.len();
    rows(&cells, &bytes, goes_on)
}

/// Draws the cells in rows, between rulers.
fn rows(cells: &[Cell], bytes: &[u8], goes_on: bool) -> Vec<String> {
    let mut lines = vec![
        " 0                   1                   2                   3".to_owned(),
        " 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1".to_owned(),
    ];
    let mut parts = split(cells);
    let mut bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    let mut above = String::new();
    while !parts.is_empty() {
        let mut width = 0;
        let row: Vec<Cell> = {
            let fits = parts.iter().take_while(|part| {
                width += part.bits;
                width <= ROW
            });
            let n = fits.count();
            parts.drain(..n).collect()
        };
        let ruler: String = row.iter().fold("+".to_owned(), |ruler, part| {
            ruler + &"-".repeat(2 * part.bits - 1) + "+"
        });
        // The ruler between two rows has the corners of both; the wider of the two is drawn.
        lines.push(match above.len() > ruler.len() {
            true => above,
            false => ruler.clone(),
        });
        let height = row
            .iter()
            .map(|part| part.label.len())
            .max()
            .unwrap_or_default();
        for at in 0..height {
            let texts = row.iter().map(|part| {
                let width = 2 * part.bits - 1;
                let text = part.label.get(at).map_or("", String::as_str);
                format!("{text:^width$.width$}")
            });
            lines.push(format!("|{}|", texts.collect::<Vec<_>>().join("|")));
        }
        let texts = row.iter().map(|part| {
            let digits = bits.by_ref().take(part.bits).map(|bit| bit.to_string());
            digits.collect::<Vec<_>>().join(" ")
        });
        lines.push(format!("|{}|", texts.collect::<Vec<_>>().join("|")));
        above = ruler;
    }
    lines.push(match goes_on {
        // As in the RFC: a border of dashes is open.
        true => {
            let dash = |(at, c)| if c == '-' && at % 2 == 1 { ' ' } else { c };
            above.chars().enumerate().map(dash).collect()
        }
        false => above,
    });
    lines
}

/// Cuts the cells at the ends of the rows.
fn split(cells: &[Cell]) -> Vec<Cell> {
    let mut parts = Vec::new();
    let mut column = 0;
    for cell in cells {
        let mut left = cell.bits;
        let mut label = cell.label.clone();
        while left > 0 {
            let bits = left.min(ROW - column);
            parts.push(Cell { label, bits });
            left -= bits;
            label = cell
                .label
                .first()
                .map(|name| format!("{name}, continued"))
                .into_iter()
                .collect();
            column = (column + bits) % ROW;
        }
    }
    parts
}

/// The bits of a row.
const ROW: usize = 32;
