//! What passed, entry by entry, as JSON: for the page, and in the form of Autobahn's wire log.

use openline::conformance::{Direction, Log, LogEntry, Logged};
use openline::inspect::{hex, quote};
use serde_json::{Value, json};

use crate::cli::conformance::tally::millis;

/// The header of a frame as it was sent.
struct Header {
    fin: bool,
    rsv: u8,
    opcode: u8,
    key: Option<String>,
    length: u64,
    form: u8,
}

/// Every entry that is kept, decoded; of very many the first and the last.
pub(super) fn entries(log: &Log) -> Vec<Value> {
    let entries = log.entries();
    if entries.len() <= FIRST_MAX + LAST_MAX {
        return entries.iter().map(entry).collect();
    }
    let (first, rest) = entries.split_at(FIRST_MAX);
    let (middle, last) = rest.split_at(rest.len() - LAST_MAX);
    let omitted = middle.len() + log.omitted();
    let mut values: Vec<_> = first.iter().map(entry).collect();
    values.push(json!({ "kind": "omitted", "count": omitted }));
    values.extend(last.iter().map(entry));
    values
}

fn entry(entry: &LogEntry) -> Value {
    let way = |direction: &Direction| match direction {
        Direction::Sent => "sent",
        Direction::Received => "received",
    };
    let mut value = match &entry.what {
        Logged::Head(direction, bytes) => {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD_MAX)]);
            json!({ "kind": "head", "way": way(direction), "text": text })
        }
        Logged::Frame {
            direction,
            header,
            payload,
            payload_len,
        } => {
            let mut value = frame(header, payload, *payload_len);
            value["way"] = json!(way(direction));
            value
        }
        Logged::Bytes {
            direction,
            bytes,
            len,
        } => json!({
            "kind": "bytes",
            "way": way(direction),
            "length": len,
            "text": quote(bytes, TEXT_MAX),
            "hex": hex(bytes, HEX_MAX),
        }),
        Logged::Pause(time) => json!({ "kind": "pause", "milliseconds": millis(*time) }),
        Logged::EndOfFile(direction) => json!({ "kind": "end", "way": way(direction) }),
        Logged::Reset => json!({ "kind": "reset", "way": "received" }),
        Logged::Dropped => json!({ "kind": "dropped" }),
        Logged::Deadline => json!({ "kind": "deadline" }),
        Logged::Violation(fault) => json!({ "kind": "violation", "text": fault }),
    };
    value["at"] = json!(millis(entry.at));
    value
}

fn frame(bytes: &[u8], payload: &[u8], payload_len: u64) -> Value {
    let Some(header) = Header::decode(bytes) else {
        return json!({ "kind": "bytes", "length": bytes.len(), "hex": hex(bytes, HEX_MAX) });
    };
    let mut flags = Vec::new();
    if header.fin {
        flags.push("FIN");
    }
    for (bit, name) in [(4, "RSV1"), (2, "RSV2"), (1, "RSV3")] {
        if header.rsv & bit != 0 {
            flags.push(name);
        }
    }
    let (code, said) = match payload.split_first_chunk() {
        Some((code, reason)) if header.opcode == 8 => (Some(u16::from_be_bytes(*code)), reason),
        _ => (None, payload),
    };
    let compressed = header.rsv & 4 != 0;
    json!({
        "kind": "frame",
        "name": name(header.opcode),
        "opcode": header.opcode,
        "flags": flags.join(" "),
        "mask": header.key,
        "length": header.length,
        "form": header.form,
        "missing": header.length.saturating_sub(payload_len),
        "code": code,
        "text": if compressed { Value::Null } else { json!(quote(said, TEXT_MAX)) },
        "header": hex(bytes, 14),
        "hex": hex(payload, HEX_MAX),
    })
}

impl Header {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (length, form, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), 16, rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), 64, rest)
            }
            length => (u64::from(length), 7, rest),
        };
        Some(Self {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 15,
            key: (second & 0x80 != 0).then(|| hex(rest, 4)),
            length,
            form,
        })
    }
}

fn name(opcode: u8) -> &'static str {
    match opcode {
        0 => "continuation",
        1 => "text",
        2 => "binary",
        8 => "close",
        9 => "ping",
        10 => "pong",
        _ => "reserved",
    }
}

/// The entries as Autobahn's tools read them: frames and what lies between, not the octets.
pub(super) fn wirelog(log: &Log) -> Vec<Value> {
    let entries = log.entries().iter().take(WIRELOG_MAX);
    entries
        .filter_map(|entry| match &entry.what {
            Logged::Frame {
                direction,
                header,
                payload,
                payload_len,
            } => {
                let header = Header::decode(header)?;
                let said = match std::str::from_utf8(payload) {
                    Ok(text) if header.opcode < 2 => quote(text.as_bytes(), TEXT_MAX),
                    _ => format!("0x{}", hex(payload, HEX_MAX)),
                };
                let what = json!([payload_len, said]);
                let Header {
                    fin,
                    rsv,
                    opcode,
                    key,
                    ..
                } = header;
                Some(match direction {
                    Direction::Sent => {
                        json!(["TF", what, opcode, fin, rsv, key, null, null, false])
                    }
                    Direction::Received => {
                        json!(["RF", what, opcode, fin, rsv, key.is_some(), key])
                    }
                })
            }
            Logged::Bytes {
                direction,
                bytes,
                len,
            } => {
                let what = json!([len, hex(bytes, HEX_MAX)]);
                Some(match direction {
                    Direction::Sent => json!(["TO", what, false]),
                    Direction::Received => json!(["RO", what]),
                })
            }
            Logged::Pause(time) => Some(json!(["CT", time.as_secs_f64(), "pause"])),
            Logged::Deadline => Some(json!(["TIE"])),
            Logged::Dropped => Some(json!(["KLE"])),
            _ => None,
        })
        .collect()
}

/// The entries that are decoded of very many.
const FIRST_MAX: usize = 60;
const LAST_MAX: usize = 20;
/// The entries of a wire log.
const WIRELOG_MAX: usize = 200;
/// The bytes of a head: more than an ordinary one has.
const HEAD_MAX: usize = 4096;
/// The characters and bytes of a payload.
const TEXT_MAX: usize = 120;
const HEX_MAX: usize = 64;
