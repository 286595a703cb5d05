#![no_main]
//! Any offer of compression: what a server agrees to is what a client can accept, within what
//! both allow.

use std::sync::Arc;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use openline::proto::{
    Acceptance, Config, Deflate, RecvBuffer, SendBuffer, ServerHandshake, WindowBits,
};

fuzz_target!(|input: (u8, &str)| {
    let (wishes, offer) = input;
    let settings = Deflate {
        server_no_context_takeover: wishes & 1 != 0,
        client_no_context_takeover: wishes & 2 != 0,
        server_max_window_bits: WindowBits::new(8 + (wishes >> 2 & 7)).unwrap(),
        client_max_window_bits: WindowBits::new(8 + (wishes >> 5)).unwrap(),
        ..Deflate::default()
    };
    let config = Config {
        compression: Some(settings.clone()),
        ..Config::default()
    };
    let now = Instant::now();
    let mut recv = RecvBuffer::new();
    recv.extend(
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; {offer}\r\n\r\n"
        )
        .as_bytes(),
    );
    let mut handshake = ServerHandshake::new(Arc::new(config), now);
    let Ok(Some(upgrade)) = handshake.poll(&recv) else {
        return;
    };
    let mut send = SendBuffer::new();
    let Ok(connection) = upgrade.accept(now, &mut recv, &Acceptance::default(), &mut send) else {
        return;
    };
    let answer = String::from_utf8_lossy(send.pending()).into_owned();
    let Some(params) = connection.compression() else {
        assert!(!answer.contains("Sec-WebSocket-Extensions"));
        return;
    };
    assert!(answer.contains(&format!("Sec-WebSocket-Extensions: {params}\r\n")));
    assert!(params.server_max_window_bits <= settings.server_max_window_bits);
    assert!(params.server_no_context_takeover || !settings.server_no_context_takeover);
    // §7.1.2.2: a client that did not name its window is not told one.
    assert!(
        offer.contains("client_max_window_bits")
            || params.client_max_window_bits == WindowBits::MAX
    );
});
