//! Sending binary messages, each crate by its public API, buffered up to the same size where it
//! buffers. What is drained is copied once more, as a kernel would, by all alike: so a crate
//! that copies nothing itself gets its due.

use bytes::Bytes;
use fastwebsockets::{Frame, Payload};
use futures_util::SinkExt;
use openline::proto::Role;
use tokio_websockets::{ClientBuilder, Config, ServerBuilder};
use tungstenite::protocol::WebSocketConfig;

use crate::floor::rounds::{self, Contestant, Figure};
use crate::floor::stream::{Content, DRAIN_SIZE};
use crate::floor::{Sender, ours};
use crate::memory::{Memory, Sink, ready};

pub fn compare(role: Role, size: usize, rounds: usize) -> Vec<Figure> {
    let payload = Bytes::from(Content::Binary.payload(size));
    let payload = &payload;
    let messages = ((1 << 20) / size).clamp(4, 4096);
    let memory = || Memory::new(&[]);

    let mut floor = match role {
        Role::Server => Sender::server(size),
        Role::Client => Sender::client(size),
    };
    let mut ours = ours::Sender::new(role);
    let (mut floor_sink, mut our_sink) = (Sink::new(), Sink::new());

    let mut tungstenite = tungstenite::WebSocket::from_raw_socket(
        memory(),
        match role {
            Role::Server => tungstenite::protocol::Role::Server,
            Role::Client => tungstenite::protocol::Role::Client,
        },
        Some(WebSocketConfig::default().write_buffer_size(DRAIN_SIZE)),
    );
    let config = Config::default().flush_threshold(DRAIN_SIZE);
    let mut tokio_websockets = match role {
        Role::Server => ServerBuilder::new().config(config).serve(memory()),
        Role::Client => ClientBuilder::new().config(config).take_over(memory()),
    };
    let mut fastwebsockets = fastwebsockets::WebSocket::after_handshake(
        memory(),
        match role {
            Role::Server => fastwebsockets::Role::Server,
            Role::Client => fastwebsockets::Role::Client,
        },
    );

    let contestants = vec![
        Contestant::new("floor", || {
            (0..messages).for_each(|_| floor.send(payload, |bytes| floor_sink.take_all(bytes)));
            messages
        }),
        Contestant::new("openline", || {
            for _ in 0..messages {
                match role {
                    Role::Server if size >= UNBUFFERED_MIN => {
                        ours.send_unbuffered(payload, |bytes| our_sink.take_all(bytes));
                    }
                    _ => ours.send(payload, |bytes| our_sink.take_all(bytes)),
                }
            }
            messages
        }),
        Contestant::new("tungstenite", || {
            for _ in 0..messages {
                let message = tungstenite::Message::Binary(payload.clone());
                tungstenite.write(message).expect("memory takes all");
            }
            messages
        }),
        Contestant::new("tokio-websockets", || {
            for _ in 0..messages {
                let message = tokio_websockets::Message::binary(payload.clone());
                ready(tokio_websockets.feed(message)).expect("memory takes all");
            }
            messages
        }),
        Contestant::new("fastwebsockets", || {
            for _ in 0..messages {
                let frame = Frame::binary(Payload::Borrowed(payload));
                ready(fastwebsockets.write_frame(frame)).expect("memory takes all");
            }
            messages
        }),
    ];
    rounds::compare(contestants, rounds)
}

/// From here on a caller of openline would rather not have a server's payload copied.
const UNBUFFERED_MIN: usize = 4 << 10;
