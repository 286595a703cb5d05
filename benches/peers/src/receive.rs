//! Receiving, each crate by its public API, as a server, with UTF-8 checked.

use std::hint::black_box;

use fastwebsockets::FragmentCollector;
use futures_util::StreamExt;
use tokio_websockets::ServerBuilder;
use tungstenite::protocol::WebSocketConfig;

use crate::floor::rounds::{self, Contestant, Figure};
use crate::floor::stream::{Content, READ_SIZE, Stream};
use crate::floor::{Receiver, ours};
use crate::memory::{Memory, ready};

pub fn compare(content: Content, size: usize, rounds: usize) -> Vec<Figure> {
    let stream = Stream::new(content, size);
    let (mut floor, mut ours) = (Receiver::new(&stream), ours::Receiver::new());

    let mut tungstenite = tungstenite::WebSocket::from_raw_socket(
        Memory::new(&stream.bytes),
        tungstenite::protocol::Role::Server,
        Some(WebSocketConfig::default().read_buffer_size(READ_SIZE)),
    );
    let mut tokio_websockets = ServerBuilder::new().serve(Memory::new(&stream.bytes));
    let mut fastwebsockets = FragmentCollector::new(fastwebsockets::WebSocket::after_handshake(
        Memory::new(&stream.bytes),
        fastwebsockets::Role::Server,
    ));

    let contestants = vec![
        Contestant::new("floor", || floor.pass(&stream)),
        Contestant::new("openline", || ours.pass(&stream)),
        Contestant::new("tungstenite", || {
            for _ in 0..stream.messages {
                black_box(tungstenite.read().expect("the stream is legal"));
            }
            stream.messages
        }),
        Contestant::new("tokio-websockets", || {
            for _ in 0..stream.messages {
                let message = ready(tokio_websockets.next());
                let message = message.expect("the stream has no end");
                black_box(message.expect("the stream is legal"));
            }
            stream.messages
        }),
        Contestant::new("fastwebsockets", || {
            for _ in 0..stream.messages {
                black_box(ready(fastwebsockets.read_frame()).expect("the stream is legal"));
            }
            stream.messages
        }),
    ];
    rounds::compare(contestants, rounds)
}
