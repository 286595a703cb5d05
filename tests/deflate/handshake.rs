//! Compression in the opening handshake (RFC 7692 §7.1, RFC 6455 §9.1), between two ends.

use std::sync::Arc;
use std::time::Instant;

use openline::proto::{
    Acceptance, Answer, ClientHandshake, ClientRequest, Config, Connection, Deflate, Event,
    HandshakeError, RecvBuffer, SendBuffer, ServerHandshake, WindowBits,
};

fn with(compression: Option<Deflate>) -> Arc<Config> {
    Arc::new(Config {
        compression,
        ..Config::default()
    })
}

/// A client and a server after their handshake.
fn open(client: Option<Deflate>, server: Option<Deflate>, declines: bool) -> [Connection; 2] {
    let now = Instant::now();
    let (mut to_server, mut to_client) = (RecvBuffer::new(), RecvBuffer::new());
    let mut send = SendBuffer::new();
    let request = ClientRequest::new("ws://example.com/".parse().unwrap());
    let mut handshake = ClientHandshake::start(&request, with(client), now, [7; 32], &mut send);
    to_server.extend(send.pending());
    send.advance(send.len());
    let upgrade = ServerHandshake::new(with(server), now)
        .poll(&to_server)
        .unwrap()
        .unwrap();
    let acceptance = Acceptance {
        uncompressed: declines,
        ..Acceptance::default()
    };
    let server = upgrade
        .accept(now, &mut to_server, &acceptance, &mut send)
        .unwrap();
    to_client.extend(send.pending());
    let Answer::Accepted(accepted) = handshake.poll(&mut to_client).unwrap().unwrap() else {
        panic!("it was not accepted");
    };
    let agreed = accepted.compression().copied();
    let client = accepted.open(now, &mut to_client);
    assert_eq!(client.compression().copied(), agreed);
    [client, server]
}

#[test]
fn both_ends_agree_on_the_same() {
    let defaults = || Some(Deflate::default());
    let dedicated = || {
        Some(Deflate {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WindowBits::new(9).unwrap(),
            client_max_window_bits: WindowBits::new(12).unwrap(),
            ..Deflate::default()
        })
    };
    let alone = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let small = "server_max_window_bits=9; client_max_window_bits=12";
    for (client, server, expected) in [
        (defaults(), defaults(), Some(alone.to_owned())),
        (
            dedicated(),
            dedicated(),
            Some(format!("permessage-deflate; {small}")),
        ),
        (dedicated(), defaults(), Some(format!("{alone}; {small}"))),
        (defaults(), dedicated(), Some(format!("{alone}; {small}"))),
        (None, defaults(), None),
        (defaults(), None, None),
        (None, None, None),
    ] {
        let ends = open(client, server, false);
        for end in &ends {
            assert_eq!(end.compression().map(ToString::to_string), expected);
        }
    }
    for end in open(defaults(), defaults(), true) {
        assert_eq!(end.compression(), None);
    }
}

#[test]
fn what_was_agreed_is_done() {
    let [mut client, mut server] = open(Some(Deflate::default()), Some(Deflate::default()), false);
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    let news = "news ".repeat(100);
    client.send_text(&news, &mut send).unwrap();
    assert!(send.len() < 100);
    recv.extend(send.pending());
    let now = Instant::now();
    let event = server.poll(now, &mut recv, &mut send).unwrap();
    assert_eq!(event, Some(Event::Text(&news)));
}

#[test]
fn answers_that_a_client_refuses() {
    let refused = |compression: Option<Deflate>, extensions: &str| {
        let now = Instant::now();
        let mut send = SendBuffer::new();
        let request = ClientRequest::new("ws://example.com/".parse().unwrap());
        let mut client =
            ClientHandshake::start(&request, with(compression), now, [7; 32], &mut send);
        let mut to_server = RecvBuffer::new();
        to_server.extend(send.pending());
        send.advance(send.len());
        let upgrade = ServerHandshake::new(with(None), now).poll(&to_server);
        let _ = upgrade
            .unwrap()
            .unwrap()
            .accept(now, &mut to_server, &Acceptance::default(), &mut send)
            .unwrap();
        let answer = String::from_utf8(send.pending().to_vec()).unwrap();
        let lines = answer.strip_suffix("\r\n").unwrap();
        let mut recv = RecvBuffer::new();
        recv.extend(format!("{lines}{extensions}\r\n").as_bytes());
        client.poll(&mut recv).unwrap_err()
    };
    let header = |value: &str| format!("Sec-WebSocket-Extensions: {value}\r\n");
    let agreeable = || {
        Some(Deflate {
            server_no_context_takeover: false,
            ..Deflate::default()
        })
    };
    for (compression, value, error) in [
        (
            None,
            "permessage-deflate",
            HandshakeError::ExtensionNotOffered,
        ),
        (agreeable(), "mux", HandshakeError::ExtensionNotOffered),
        (
            agreeable(),
            "permessage-deflate, permessage-deflate",
            HandshakeError::ExtensionNotOffered,
        ),
        (
            agreeable(),
            "permessage-deflate, mux",
            HandshakeError::ExtensionNotOffered,
        ),
        (
            agreeable(),
            "permessage-deflate; server_max_window_bits=7",
            HandshakeError::ExtensionParams,
        ),
        (
            agreeable(),
            "permessage-deflate; client_max_window_bits",
            HandshakeError::ExtensionParams,
        ),
        (
            Some(Deflate::default()),
            "permessage-deflate",
            HandshakeError::ExtensionParams,
        ),
    ] {
        assert_eq!(refused(compression, &header(value)), error, "{value}");
    }
}
