//! tungstenite.

use openline::proto::Role;
use tungstenite::protocol::{self, WebSocketConfig};
use tungstenite::{Utf8Bytes, WebSocket};

use crate::floor::rounds::Contestant;
use crate::floor::stream::{DRAIN_SIZE, Stream};
use crate::memory::Memory;
use crate::message::Message;

const NAME: &str = "tungstenite";

pub fn receive<'a>(
    stream: &'a Stream,
    role: Role,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> Contestant<'a> {
    let config = WebSocketConfig::default().read_buffer_size(stream.read_size);
    let mut socket = WebSocket::from_raw_socket(Memory::new(stream), of(role), Some(config));
    Contestant::new(NAME, move || {
        for _ in 0..stream.messages {
            match socket.read().expect("the stream is legal") {
                tungstenite::Message::Text(text) => see(text.as_bytes()),
                tungstenite::Message::Binary(data) => see(&data),
                other => unreachable!("the stream has no {other:?}"),
            }
        }
        stream.messages
    })
}

pub fn send(message: &Message) -> Contestant<'_> {
    let config = WebSocketConfig::default().write_buffer_size(DRAIN_SIZE);
    let role = of(message.sender);
    let mut socket = WebSocket::from_raw_socket(Memory::empty(), role, Some(config));
    let sent = match message.is_text() {
        true => tungstenite::Message::Text(
            Utf8Bytes::try_from(message.payload.clone()).expect("the payload is text"),
        ),
        false => tungstenite::Message::Binary(message.payload.clone()),
    };
    Contestant::new(NAME, move || {
        for _ in 0..message.times {
            socket.write(sent.clone()).expect("memory takes all");
        }
        message.times
    })
}

fn of(role: Role) -> protocol::Role {
    match role {
        Role::Server => protocol::Role::Server,
        Role::Client => protocol::Role::Client,
    }
}
