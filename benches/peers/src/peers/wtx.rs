//! wtx. It buffers nothing that it sends, and masks the caller's bytes where they lie: who keeps
//! them gives it a copy.

use std::hint::black_box;

use openline::proto::Role;
use wtx::collection::Vector;
use wtx::rng::Xorshift64;
use wtx::web_socket::{Frame, OpCode, WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin};

use crate::floor::rounds::Contestant;
use crate::floor::stream::Stream;
use crate::memory::{Memory, ready};
use crate::message::Message;

const NAME: &str = "wtx";

pub fn receive<'a>(
    stream: &'a Stream,
    role: Role,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> Contestant<'a> {
    match role {
        Role::Server => receive_as::<false>(stream, see),
        Role::Client => receive_as::<true>(stream, see),
    }
}

fn receive_as<'a, const IS_CLIENT: bool>(
    stream: &'a Stream,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> Contestant<'a> {
    let mut socket = open::<IS_CLIENT>(Memory::new(stream), stream.read_size);
    let mut buffer = Vector::new();
    Contestant::new(NAME, move || {
        for _ in 0..stream.messages {
            let frame = socket.read_frame(&mut buffer, WebSocketPayloadOrigin::Adaptive);
            see(ready(frame).expect("the stream is legal").payload());
        }
        stream.messages
    })
}

pub fn send(message: &Message) -> Contestant<'_> {
    match message.sender {
        Role::Server => send_as::<false>(message),
        Role::Client => send_as::<true>(message),
    }
}

fn send_as<const IS_CLIENT: bool>(message: &Message) -> Contestant<'_> {
    let mut socket = open::<IS_CLIENT>(Memory::empty(), 0);
    let mut copy = message.payload.to_vec();
    let opcode = match message.is_text() {
        true => OpCode::Text,
        false => OpCode::Binary,
    };
    Contestant::new(NAME, move || {
        for _ in 0..message.times {
            // A server's bytes are left as they are, and need no copy.
            if IS_CLIENT {
                copy.copy_from_slice(black_box(&message.payload));
            }
            let mut frame = Frame::<_, IS_CLIENT>::new_fin(opcode, &mut copy[..]);
            ready(socket.write_frame(&mut frame)).expect("memory takes all");
        }
        message.times
    })
}

type Socket<'a, const IS_CLIENT: bool> = WebSocketOwned<(), Xorshift64, Memory<'a>, IS_CLIENT>;

fn open<const IS_CLIENT: bool>(memory: Memory<'_>, read_size: usize) -> Socket<'_, IS_CLIENT> {
    let buffer = WebSocketBuffer::with_capacity(read_size, 0, 0).expect("there is memory");
    WebSocketOwned::new((), false, Xorshift64::new(7), memory, buffer)
}
