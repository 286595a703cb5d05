//! Compressed messages, received and sent, beside the codec alone on the same bytes:
//! `cargo bench --bench deflate`.
//!
//! JSON, each message by itself and each with the context of those before: messages that differ,
//! and the same message again and again, of which in context a few bytes are left, so that what
//! does not depend on the size is all there is. A ratio above 1 is what the protocol adds to the
//! codec.

#![allow(clippy::cast_possible_truncation)] // of lengths of what lies in memory

#[path = "floor/compressed.rs"]
mod compressed;
mod floor;

use std::hint::black_box;
use std::time::Instant;

use openline::proto::{Deflate, RecvBuffer, Role, SendBuffer};
use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush};

use compressed::{connection, messages};
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
    for (context, alone, differing) in [
        ("by itself", true, true),
        ("in context", false, true),
        ("the same again", false, false),
    ] {
        for size in SIZES {
            let mut messages = messages(size);
            if !differing {
                messages.truncate(1);
            }
            report("send", context, size, send(&messages, alone, rounds));
            report("receive", context, size, receive(&messages, alone, rounds));
        }
    }
}

fn report(what: &str, context: &str, size: usize, figures: Vec<Figure>) {
    let [low, middle, high] = figures[1].ratio_to(&figures[0]);
    println!(
        "{what:<8} {context:<15} {size:>7} B  {middle:.3} ({low:.3} to {high:.3})  {} {:.0} ns",
        figures[0].name,
        figures[0].nanoseconds()[1]
    );
}

fn send(messages: &[Vec<u8>], alone: bool, rounds: usize) -> Vec<Figure> {
    let mut codec = deflate();
    let mut output = vec![0; 2 * messages[0].len() + 64];
    let mut turn = messages.iter().cycle();
    let bare = move || {
        let message = turn.next().expect("a cycle has no end");
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
    let mut turn = messages.iter().cycle();
    let ours = move || {
        let message = turn.next().expect("a cycle has no end");
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

fn receive(messages: &[Vec<u8>], alone: bool, rounds: usize) -> Vec<Figure> {
    // A message that stands by itself can be read in any context.
    let payloads: Vec<_> = messages.iter().map(|message| compressed(message)).collect();
    let mut send = SendBuffer::new();
    let mut client = connection(Role::Client, true);
    let mut framed = |message: &Vec<u8>| {
        client
            .send_binary(message, &mut send)
            .expect("the queue is empty");
        let frame = send.pending().to_vec();
        send.advance(frame.len());
        frame
    };
    let frames: Vec<_> = messages.iter().map(&mut framed).collect();

    let mut inflate = zlib_rs::Inflate::new(false, 15);
    let mut output = vec![0; messages[0].len() + 1];
    let mut turn = payloads.iter().cycle();
    let bare = move || {
        let payload = turn.next().expect("a cycle has no end");
        if alone {
            inflate.reset(false);
        }
        inflate
            .decompress(payload, &mut output, InflateFlush::NoFlush)
            .expect("it was compressed so");
        black_box(&output);
        1
    };
    let mut connection = connection(Role::Server, alone);
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    let now = Instant::now();
    let mut turn = frames.iter().cycle();
    let ours = move || {
        recv.extend(turn.next().expect("a cycle has no end"));
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

/// A message's payload as the codec alone makes it.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut codec = deflate();
    let mut payload = vec![0; 2 * message.len() + 64];
    codec
        .compress(message, &mut payload, DeflateFlush::SyncFlush)
        .expect("it can be compressed");
    payload.truncate(codec.total_out() as usize);
    payload
}

fn deflate() -> zlib_rs::Deflate {
    zlib_rs::Deflate::new_with_config(DeflateConfig {
        level: i32::from(Deflate::default().level.number()),
        window_bits: -15,
        ..DeflateConfig::default()
    })
}
