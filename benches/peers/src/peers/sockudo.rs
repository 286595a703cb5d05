//! sockudo-ws. The size of its reads cannot be said: 64 KiB.

use futures_util::{SinkExt, StreamExt};
use openline::proto::Role;
use sockudo_ws::{Config, WebSocketStream};

use crate::floor::rounds::Contestant;
use crate::floor::stream::{DRAIN_SIZE, Stream};
use crate::memory::{Memory, ready};
use crate::message::Message;

const NAME: &str = "sockudo-ws";

pub fn receive<'a>(
    stream: &'a Stream,
    role: Role,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> Contestant<'a> {
    let mut socket = open(Memory::new(stream), role);
    Contestant::new(NAME, move || {
        for _ in 0..stream.messages {
            let message = ready(socket.next()).expect("the stream has no end");
            see(message.expect("the stream is legal").as_bytes());
        }
        stream.messages
    })
}

pub fn send(message: &Message) -> Contestant<'_> {
    let mut socket = open(Memory::empty(), message.sender);
    let sent = match message.is_text() {
        true => sockudo_ws::Message::Text(message.payload.clone()),
        false => sockudo_ws::Message::Binary(message.payload.clone()),
    };
    Contestant::new(NAME, move || {
        for _ in 0..message.times {
            ready(socket.feed(sent.clone())).expect("memory takes all");
        }
        message.times
    })
}

fn open(memory: Memory<'_>, role: Role) -> WebSocketStream<Memory<'_>> {
    let role = match role {
        Role::Server => sockudo_ws::Role::Server,
        Role::Client => sockudo_ws::Role::Client,
    };
    // Timers want a runtime, and time; there is neither.
    let config = Config::builder()
        .auto_ping(false)
        .idle_timeout(0)
        .write_buffer_size(DRAIN_SIZE)
        .build();
    WebSocketStream::from_raw(memory, role, config)
}
