#![no_main]
//! Any bytes as compressed messages, in any pieces: what comes out is the same as at once, and is
//! bounded.

use std::sync::Arc;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use openline::proto::{
    Config, Connection, Deflate, DeflateParams, Delivery, Event, RecvBuffer, Role, SendBuffer,
    WindowBits,
};

const SIZE_MAX: usize = 100_000;

/// The bytes that came out and whether each message ended, and the error that ended it all.
fn receive(payloads: &[u8], chunks: bool, takeover: bool, piece: usize) -> (Vec<u8>, String) {
    let config = Config {
        compression: Some(Deflate::default()),
        delivery: if chunks {
            Delivery::Chunks
        } else {
            Delivery::Whole
        },
        message_size_max: SIZE_MAX as u64,
        ..Config::default()
    };
    let params = DeflateParams {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    };
    let now = Instant::now();
    let mut client = Connection::established(Role::Client, Arc::new(config), now, [7; 32])
        .with_compression(params);
    // Two messages, the second in two fragments, with a ping between.
    let (first, second) = payloads.split_at(payloads.len() / 2);
    let (one, two) = second.split_at(second.len() / 2);
    let mut bytes = Vec::new();
    for (header, payload) in [(0xc2, first), (0x41, one), (0x89, &[][..]), (0x80, two)] {
        bytes.extend([header, 126]);
        if payload.len() < 126 {
            bytes.pop();
            bytes.push(payload.len() as u8);
        } else {
            bytes.extend((payload.len() as u16).to_be_bytes());
        }
        bytes.extend(payload);
    }
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    let (mut seen, mut size) = (Vec::new(), 0);
    for piece in bytes.chunks(piece) {
        recv.extend(piece);
        loop {
            match client.poll(now, &mut recv, &mut send) {
                Ok(None) => break,
                Ok(Some(Event::Binary(data))) => seen.extend([data, b"|"].concat()),
                Ok(Some(Event::Text(text))) => seen.extend([text.as_bytes(), b"|"].concat()),
                Ok(Some(Event::Chunk(chunk))) => {
                    seen.extend(chunk.data);
                    size += chunk.data.len();
                    if chunk.last {
                        seen.push(b'|');
                        size = 0;
                    }
                    assert!(size <= SIZE_MAX);
                }
                Ok(Some(_)) => {}
                Err(error) => return (seen, error.to_string()),
            }
            assert!(recv.capacity() <= SIZE_MAX + (128 << 10));
        }
    }
    (seen, String::new())
}

fuzz_target!(|input: (bool, bool, u8, &[u8])| {
    let (chunks, takeover, piece, payloads) = input;
    let at_once = receive(payloads, chunks, takeover, usize::MAX);
    let in_pieces = receive(payloads, chunks, takeover, usize::from(piece).max(1));
    assert_eq!(at_once, in_pieces);
});
