//! What compression is measured on: JSON, and connections that agreed to compress.

use std::sync::Arc;
use std::time::Instant;

use openline::proto::{Config, Connection, Deflate, DeflateParams, Role, WindowBits};

/// Messages of this size that differ: more than a window holds, lest one be found in it again when
/// its turn comes round.
pub(crate) fn messages(size: usize) -> Vec<Vec<u8>> {
    let count = (WINDOWS / size).max(4);
    (0..count).map(|seed| json(size, seed as u64)).collect()
}

/// A connection that compresses each message by itself, or each in the context of those before.
pub(crate) fn connection(role: Role, alone: bool) -> Connection {
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

/// A list of objects that resemble each other; others with another seed.
fn json(size: usize, seed: u64) -> Vec<u8> {
    let mut text = String::from("[");
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(7);
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

const WINDOWS: usize = 4 * (32 << 10);
