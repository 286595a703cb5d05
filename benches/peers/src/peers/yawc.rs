//! yawc.

use futures_util::SinkExt;
use openline::proto::Role;
use yawc::{Frame, Options, WebSocket};

use crate::floor::rounds::Contestant;
use crate::floor::stream::{DRAIN_SIZE, Stream};
use crate::memory::{Memory, ready};
use crate::message::Message;

const NAME: &str = "yawc";

pub fn receive<'a>(
    stream: &'a Stream,
    role: Role,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> Contestant<'a> {
    let mut socket = open(Memory::new(stream), role, stream.read_size);
    Contestant::new(NAME, move || {
        for _ in 0..stream.messages {
            let frame = ready(socket.next_frame()).expect("the stream is legal");
            see(frame.payload());
        }
        stream.messages
    })
}

pub fn send(message: &Message) -> Contestant<'_> {
    let mut socket = open(Memory::empty(), message.sender, DRAIN_SIZE);
    Contestant::new(NAME, move || {
        for _ in 0..message.times {
            let frame = match message.is_text() {
                true => Frame::text(message.payload.clone()),
                false => Frame::binary(message.payload.clone()),
            };
            ready(socket.feed(frame)).expect("memory takes all");
        }
        message.times
    })
}

fn open(memory: Memory<'_>, role: Role, read_size: usize) -> WebSocket<Memory<'_>> {
    let role = match role {
        Role::Server => yawc::Role::Server,
        Role::Client => yawc::Role::Client,
    };
    let options = Options::default()
        .with_utf8()
        .with_limits(16 << 20, 16 << 20)
        .with_read_buffer_capacity(read_size)
        .with_write_buffer_capacity(DRAIN_SIZE);
    WebSocket::from_stream(memory, role, options).expect("nothing is negotiated")
}
