//! tokio-websockets. The size of its reads cannot be said: 8 KiB, or what a frame still lacks.

use futures_util::{SinkExt, StreamExt};
use openline::proto::Role;
use tokio_websockets::{ClientBuilder, Config, ServerBuilder, WebSocketStream};

use crate::floor::rounds::Contestant;
use crate::floor::stream::{DRAIN_SIZE, Stream};
use crate::memory::{Memory, ready};
use crate::message::Message;

const NAME: &str = "tokio-ws";

pub fn receive<'a>(
    stream: &'a Stream,
    role: Role,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> Contestant<'a> {
    let mut socket = open(Memory::new(stream), role);
    Contestant::new(NAME, move || {
        for _ in 0..stream.messages {
            let message = ready(socket.next()).expect("the stream has no end");
            let payload = message.expect("the stream is legal").into_payload();
            see(&payload);
        }
        stream.messages
    })
}

pub fn send(message: &Message) -> Contestant<'_> {
    let mut socket = open(Memory::empty(), message.sender);
    let sent = match message.is_text() {
        true => tokio_websockets::Message::text(message.payload.clone()),
        false => tokio_websockets::Message::binary(message.payload.clone()),
    };
    Contestant::new(NAME, move || {
        for _ in 0..message.times {
            ready(socket.feed(sent.clone())).expect("memory takes all");
        }
        message.times
    })
}

fn open(memory: Memory<'_>, role: Role) -> WebSocketStream<Memory<'_>> {
    let config = Config::default().flush_threshold(DRAIN_SIZE);
    match role {
        Role::Server => ServerBuilder::new().config(config).serve(memory),
        Role::Client => ClientBuilder::new().config(config).take_over(memory),
    }
}
