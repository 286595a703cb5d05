//! web-socket. It reads and writes what it needs at once, so that a buffer goes between; text is
//! its caller's to check.

use openline::proto::{self, Role};
use tokio::io::BufStream;
use web_socket::{DataType, Event, MessageType, WebSocket};

use super::check;
use crate::floor::ours;
use crate::floor::rounds::Contestant;
use crate::floor::stream::{DRAIN_SIZE, READ_SIZE, Stream};
use crate::memory::{Memory, ready};
use crate::message::Message;

const NAME: &str = "web-socket";

pub fn receive<'a>(
    stream: &'a Stream,
    role: Role,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> Contestant<'a> {
    let mut socket = open(Memory::new(stream), role, stream.read_size);
    Contestant::new(NAME, move || {
        for _ in 0..stream.messages {
            match ready(socket.recv()).expect("memory is read") {
                Event::Data { ty, data } => {
                    if matches!(ty, DataType::Complete(MessageType::Text)) {
                        check(&data);
                    }
                    see(&data);
                }
                other => unreachable!("the stream has no {other:?}"),
            }
        }
        stream.messages
    })
}

pub fn send(message: &Message) -> Contestant<'_> {
    let mut socket = open(Memory::empty(), message.sender, READ_SIZE);
    let data = ours::data(message.content, &message.payload);
    Contestant::new(NAME, move || {
        for _ in 0..message.times {
            match data {
                proto::Data::Text(text) => ready(socket.send(text)),
                proto::Data::Binary(data) => ready(socket.send(data)),
            }
            .expect("memory takes all");
        }
        message.times
    })
}

fn open(memory: Memory<'_>, role: Role, read_size: usize) -> WebSocket<BufStream<Memory<'_>>> {
    let stream = BufStream::with_capacity(read_size, DRAIN_SIZE, memory);
    match role {
        Role::Server => WebSocket::server(stream),
        Role::Client => WebSocket::client(stream),
    }
}
