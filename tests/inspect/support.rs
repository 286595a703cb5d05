//! Decoding at once and one byte at a time, and frames made by hand.

use openline::inspect::{Conversation, Decoder, Frame, Item, Limits, Sides, Start};
use openline::proto::Role;

/// All frames of a stream, the last perhaps cut short; one byte at a time they are the same.
pub fn frames(sender: Role, bytes: &[u8]) -> Vec<Frame> {
    let decode = |size| {
        let mut decoder = Decoder::new(sender, Limits::default());
        let mut frames = Vec::new();
        for mut piece in bytes.chunks(size) {
            while let Some(frame) = decoder.next(&mut piece) {
                frames.push(frame);
            }
        }
        frames.extend(decoder.finish());
        frames
    };
    let whole = decode(bytes.len().max(1));
    assert_eq!(whole, decode(1), "one byte at a time differs");
    whole
}

/// The items of a conversation in which the client speaks first; one byte at a time they are the
/// same.
pub fn converse(client: &[u8], server: &[u8]) -> Vec<Item> {
    let converse = |size| {
        let mut conversation = Conversation::new(Sides::Both, Start::Detect, Limits::default());
        let mut items = Vec::new();
        for (sender, bytes) in [(Role::Client, client), (Role::Server, server)] {
            for piece in bytes.chunks(size) {
                items.extend(conversation.push(sender, piece));
            }
        }
        items.extend(conversation.finish(Role::Client));
        items.extend(conversation.finish(Role::Server));
        // A body comes as it arrives.
        items.into_iter().fold(Vec::new(), join)
    };
    let whole = converse(client.len().max(server.len()).max(1));
    assert_eq!(whole, converse(1), "one byte at a time differs");
    whole
}

/// The rules broken, by name, with their offsets and close codes.
pub fn faults(frames: &[Frame]) -> Vec<(u64, &'static str, Option<u16>)> {
    let violations = frames.iter().flat_map(|frame| &frame.violations);
    let faults = violations.map(|violation| {
        let code = violation.fault.close_code().map(|code| code.number());
        (violation.offset, violation.fault.name(), code)
    });
    faults.collect()
}

/// A frame, masked with this key if there is one.
pub fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(mask | len as u8),
        len @ 126..65_536 => {
            frame.push(mask | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(mask | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(
        key.unwrap_or_default()
            .iter()
            .take(if key.is_some() { 4 } else { 0 }),
    );
    let key = key.unwrap_or_default();
    frame.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

pub const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

pub const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: chat\r\n\r\n";

fn join(mut items: Vec<Item>, item: Item) -> Vec<Item> {
    match (items.last_mut(), &item) {
        (Some(Item::Body { bytes, .. }), Item::Body { bytes: more, .. }) => {
            *bytes = [&bytes[..], more].concat().into();
        }
        _ => items.push(item),
    }
    items
}
