//! A stream is illegal when it is looked at exactly when a strict connection fails on it, and every
//! split gives the same frames.
#![no_main]

use std::sync::Arc;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use openline::inspect::{Decoder, Fault, Frame, Limits};
use openline::proto::{Config, Connection, ProtocolError, RecvBuffer, Role, SendBuffer};

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (is_client, size, bytes) = input;
    let sender = if is_client {
        Role::Client
    } else {
        Role::Server
    };
    let frames = lenient(sender, bytes, bytes.len().max(1));
    assert_eq!(frames, lenient(sender, bytes, usize::from(size).max(1)));
    let failed = frames.iter().find(|frame| frame.failure().is_some());
    match (strict(sender, bytes), failed) {
        (None, None) => {}
        (Some(error), Some(frame)) => {
            let mut faults = frame.violations.iter().map(|violation| violation.fault);
            assert!(
                faults.any(|fault| fault == Fault::Protocol(error)),
                "{error:?}: {frame:?}"
            );
        }
        (there, here) => panic!("{there:?} there, {here:?} here"),
    }
});

fn lenient(sender: Role, bytes: &[u8], size: usize) -> Vec<Frame> {
    let mut decoder = Decoder::new(sender, Limits::default());
    let mut frames = Vec::new();
    for mut piece in bytes.chunks(size) {
        while let Some(frame) = decoder.next(&mut piece) {
            frames.push(frame);
        }
    }
    frames.extend(decoder.finish());
    frames
}

fn strict(sender: Role, bytes: &[u8]) -> Option<ProtocolError> {
    let config = Config {
        frame_size_max: u64::MAX,
        message_size_max: u64::MAX,
        fragments_max: u32::MAX,
        send_queue_max: usize::MAX,
        ..Config::default()
    };
    let now = Instant::now();
    let mut connection = Connection::established(sender.peer(), Arc::new(config), now, [7; 32]);
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    recv.extend(bytes);
    loop {
        match connection.poll(now, &mut recv, &mut send) {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}
