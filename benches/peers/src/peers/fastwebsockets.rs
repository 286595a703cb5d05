//! fastwebsockets. The size of its reads cannot be said, and it buffers nothing that it sends.

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocket};
use openline::proto::Role;

use crate::floor::rounds::Contestant;
use crate::floor::stream::Stream;
use crate::memory::{Memory, ready};
use crate::message::Message;

const NAME: &str = "fastws";

pub fn receive<'a>(
    stream: &'a Stream,
    role: Role,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> Contestant<'a> {
    let mut socket = FragmentCollector::new(open(Memory::new(stream), role));
    Contestant::new(NAME, move || {
        for _ in 0..stream.messages {
            see(&ready(socket.read_frame())
                .expect("the stream is legal")
                .payload);
        }
        stream.messages
    })
}

pub fn send(message: &Message) -> Contestant<'_> {
    let mut socket = open(Memory::empty(), message.sender);
    let opcode = match message.is_text() {
        true => OpCode::Text,
        false => OpCode::Binary,
    };
    Contestant::new(NAME, move || {
        for _ in 0..message.times {
            let frame = Frame::new(true, opcode, None, Payload::Borrowed(&message.payload));
            ready(socket.write_frame(frame)).expect("memory takes all");
        }
        message.times
    })
}

fn open(memory: Memory<'_>, role: Role) -> WebSocket<Memory<'_>> {
    let role = match role {
        Role::Server => fastwebsockets::Role::Server,
        Role::Client => fastwebsockets::Role::Client,
    };
    WebSocket::after_handshake(memory, role)
}
