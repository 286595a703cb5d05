//! What was seen, as values of JSON: exact to the byte.
//!
//! Bytes stand in hexadecimal (headers, keys) or Base64 (payloads); text stands beside them where
//! there is text. What is unknown is absent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::inspect::conversation::Item;
use crate::inspect::frame::{CloseBody, Frame, Message, Part, TextState};
use crate::inspect::harmless::hex;
use crate::inspect::head::Head;
use crate::inspect::opening::Agreement;
use crate::inspect::violation::Violation;
use crate::proto::{Kind, Role};

/// Whatever was sent.
#[must_use]
pub fn item(item: &Item) -> Value {
    match item {
        Item::Head(head) => self::head(head),
        Item::Frame(frame) => self::frame(frame),
        Item::Body { offset, bytes } => json!({
            "event": "body",
            "from": role(Role::Server),
            "offset": offset,
            "base64": BASE64.encode(bytes),
        }),
        Item::Gap {
            sender,
            offset,
            missing,
            is_lost,
        } => json!({
            "event": "gap",
            "from": role(*sender),
            "offset": offset,
            "missing": missing,
            "lost": is_lost,
        }),
    }
}

/// A frame, and the message that ends with it.
#[must_use]
pub fn frame(frame: &Frame) -> Value {
    let header = &frame.header;
    let mut value = json!({
        "event": "frame",
        "from": role(frame.sender),
        "number": frame.number,
        "offset": frame.offset,
        "size": frame.size(),
        "header": hex(header.as_bytes(), usize::MAX),
        "type": frame.name(),
        "whole": frame.is_whole(),
        "legal": frame.violations.is_empty(),
        "compressed": frame.is_compressed,
        "payload": {"length": frame.received, "base64": BASE64.encode(&frame.payload)},
        "violations": frame.violations.iter().map(violation).collect::<Vec<_>>(),
    });
    let mut set = |name: &str, known: Option<Value>| {
        if let Some(known) = known {
            value[name] = known;
        }
    };
    set("fin", header.fin().map(Value::from));
    set("rsv1", header.rsv1().map(Value::from));
    set("rsv2", header.rsv2().map(Value::from));
    set("rsv3", header.rsv3().map(Value::from));
    set("opcode", header.opcode_bits().map(Value::from));
    set("masked", header.masked().map(Value::from));
    set("length", header.payload_len().map(Value::from));
    let form = header.length_form().map(|form| Value::from(form.bits()));
    set("length_bits", form);
    let key = header
        .masking_key()
        .map(|key| hex(&key.to_bytes(), 4).into());
    set("key", key);
    set("part", frame.part.map(|part| self::part(part).into()));
    set("kind", frame.kind.map(|kind| self::kind(kind).into()));
    set(
        "text_state",
        frame.text.map(|state| text_state(state).into()),
    );
    set("close", frame.close.as_ref().map(close));
    set("message", frame.message.as_ref().map(message));
    if let (Some(TextState::Complete), false, Ok(text)) = (
        frame.text,
        frame.is_compressed,
        std::str::from_utf8(&frame.payload),
    ) {
        value["payload"]["text"] = text.into();
    }
    if frame.missing > 0 {
        value["payload"]["missing"] = frame.missing.into();
    }
    if !frame.is_payload_kept() {
        value["payload"]["kept"] = frame.payload.len().into();
    }
    value
}

/// A request or a response.
#[must_use]
pub fn head(head: &Head) -> Value {
    let line = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    let lines: Vec<_> = head
        .lines
        .iter()
        .map(|head_line| {
            let mut value = json!({"offset": head_line.offset, "line": line(&head_line.bytes)});
            if let Some((name, content)) =
                head_line.field().filter(|_| head_line.offset > head.offset)
            {
                value["name"] = line(name).into();
                value["value"] = line(content).into();
            }
            if let Some(note) = &head_line.note {
                value["note"] = note.as_ref().into();
            }
            value
        })
        .collect();
    let mut value = json!({
        "event": match head.sender {
            Role::Client => "request",
            Role::Server => "response",
        },
        "from": role(head.sender),
        "offset": head.offset,
        "size": head.bytes.len(),
        "whole": head.is_whole,
        "legal": head.is_legal(),
        "lines": lines,
        "base64": BASE64.encode(&head.bytes),
        "violations": head.violations.iter().map(violation).collect::<Vec<_>>(),
    });
    if let Some(status) = head.status() {
        value["status"] = status.into();
    }
    if let Some(target) = head.target() {
        value["target"] = line(target).into();
    }
    value
}

/// A rule broken.
#[must_use]
pub fn violation(violation: &Violation) -> Value {
    json!({
        "offset": violation.offset,
        "rule": violation.fault.name(),
        "section": violation.fault.section(),
        "close_code": violation.fault.close_code().map(|code| code.number()),
        "what": violation.fault.what(),
        "expected": violation.expected,
    })
}

/// What both sides agreed to.
#[must_use]
pub fn agreement(agreement: &Agreement) -> Value {
    json!({
        "subprotocol": agreement.subprotocol,
        "extensions": agreement.extensions,
        "compressed": agreement.compression.is_some(),
    })
}

/// The name of an end.
#[must_use]
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

fn close(close: &CloseBody) -> Value {
    json!({
        "code": close.code,
        "name": close.code_name(),
        "reason": String::from_utf8_lossy(&close.reason),
        "reason_base64": BASE64.encode(&close.reason),
    })
}

fn message(message: &Message) -> Value {
    let mut value = json!({
        "kind": kind(message.kind),
        "offset": message.offset,
        "frames": message.frames,
        "wire_length": message.wire_len,
        "length": message.len,
        "compressed": message.is_compressed,
    });
    // What is the frame's payload is not said twice.
    if message.frames > 1 || message.is_compressed {
        value["base64"] = BASE64.encode(&message.payload).into();
    }
    if let Some(text) = message.text() {
        value["text"] = text.into();
    }
    if message.is_unknown {
        value["unknown"] = true.into();
    }
    if !message.is_payload_kept() {
        value["kept"] = message.payload.len().into();
    }
    value
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Binary => "binary",
    }
}

const fn part(part: Part) -> &'static str {
    match part {
        Part::Whole => "whole",
        Part::First => "first",
        Part::Middle => "middle",
        Part::Last => "last",
    }
}

const fn text_state(state: TextState) -> &'static str {
    match state {
        TextState::Complete => "complete",
        TextState::MidCharacter => "mid-character",
        TextState::Invalid => "invalid",
        TextState::Unknown => "unknown",
    }
}
