//! Compressed messages, received and sent, beside the codec alone on the same bytes:
//! `cargo bench --bench deflate`.
//!
//! JSON, each message by itself and each with the context of those before. A ratio above 1 is
//! what the protocol adds to the codec.

#![allow(clippy::cast_possible_truncation)] // of lengths of what lies in memory

mod floor;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use openline::proto::{
    Config, Connection, Deflate, DeflateParams, RecvBuffer, Role, SendBuffer, WindowBits,
};
use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush};

use floor::rounds::{Contestant, Figure, compare};

const ROUNDS: usize = 200;
const SIZES: [usize; 4] = [128, 1 << 10, 16 << 10, 256 << 10];

fn main() {
    // Run by `cargo test`, it only has to run.
    let rounds = match std::env::args().any(|word| word == "--bench") {
        true => ROUNDS,
        false => 2,
    };
    println!("ratio to the codec alone, with its quartiles: below 1.10 from 1 KiB on is the goal");
    for alone in [true, false] {
        for size in SIZES {
            let message = json(size);
            report("send", alone, size, send(&message, alone, rounds));
            report("receive", alone, size, receive(&message, alone, rounds));
        }
    }
}

fn report(what: &str, alone: bool, size: usize, figures: Vec<Figure>) {
    let context = if alone { "by itself" } else { "in context" };
    let [low, middle, high] = figures[1].ratio_to(&figures[0]);
    println!(
        "{what:<8} {context:<11} {size:>7} B  {middle:.3} ({low:.3} to {high:.3})  {} {:.0} ns",
        figures[0].name,
        figures[0].nanoseconds()[1]
    );
}

fn send(message: &[u8], alone: bool, rounds: usize) -> Vec<Figure> {
    let mut codec = deflate();
    let mut output = vec![0; 2 * message.len() + 64];
    let bare = move || {
        if alone {
            codec.reset();
        }
        let before = codec.total_out();
        codec
            .compress(message, &mut output, DeflateFlush::SyncFlush)
            .expect("it can be compressed");
        black_box(&output[..(codec.total_out() - before) as usize]);
        1
    };
    let mut connection = connection(Role::Server, alone);
    let mut send = SendBuffer::new();
    let ours = move || {
        connection
            .send_binary(message, &mut send)
            .expect("the queue is empty");
        black_box(send.pending());
        send.advance(send.len());
        1
    };
    compare(
        vec![
            Contestant::new("codec", bare),
            Contestant::new("openline", ours),
        ],
        rounds,
    )
}

fn receive(message: &[u8], alone: bool, rounds: usize) -> Vec<Figure> {
    // A message that stands by itself can be read in any context.
    let mut codec = deflate();
    let mut payload = vec![0; 2 * message.len() + 64];
    codec
        .compress(message, &mut payload, DeflateFlush::SyncFlush)
        .expect("it can be compressed");
    payload.truncate(codec.total_out() as usize);
    let mut send = SendBuffer::new();
    connection(Role::Client, true)
        .send_binary(message, &mut send)
        .expect("the queue is empty");
    let frame = send.pending().to_vec();

    let mut inflate = zlib_rs::Inflate::new(false, 15);
    let mut output = vec![0; message.len() + 1];
    let bare = move || {
        if alone {
            inflate.reset(false);
        }
        inflate
            .decompress(&payload, &mut output, InflateFlush::NoFlush)
            .expect("it was compressed so");
        black_box(&output);
        1
    };
    let mut connection = connection(Role::Server, alone);
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    let now = Instant::now();
    let ours = move || {
        recv.extend(&frame);
        let event = connection.poll(now, &mut recv, &mut send);
        black_box(event.expect("it keeps to the protocol").is_some());
        1
    };
    compare(
        vec![
            Contestant::new("codec", bare),
            Contestant::new("openline", ours),
        ],
        rounds,
    )
}

fn deflate() -> zlib_rs::Deflate {
    zlib_rs::Deflate::new_with_config(DeflateConfig {
        level: i32::from(Deflate::default().level.number()),
        window_bits: -15,
        ..DeflateConfig::default()
    })
}

fn connection(role: Role, alone: bool) -> Connection {
    let config = Config {
        compression: Some(Deflate::default()),
        ..Config::default()
    };
    let params = DeflateParams {
        server_no_context_takeover: alone,
        client_no_context_takeover: alone,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    };
    Connection::established(role, Arc::new(config), Instant::now(), [7; 32])
        .with_compression(params)
}

/// A list of objects that resemble each other.
fn json(size: usize) -> Vec<u8> {
    let mut text = String::from("[");
    let mut state = 7_u64;
    while text.len() < size {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let (id, price) = (state >> 40, state >> 52);
        text += &format!("{{\"id\":{id},\"price\":{price}.25,\"side\":\"buy\",\"live\":true}},");
    }
    text.truncate(size);
    text.into_bytes()
}
