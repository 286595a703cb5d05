//! What goes out is exactly what the caller gave (RFC 6455 §5.1 to §5.6).

use std::time::Instant;

use openline::proto::{Config, Data, FrameHeader, Prepared, Role, SendBuffer, SendError, Shared};

use crate::pair::{End, Pair, Seen, text};

#[test]
fn a_server_sends_in_the_clear() {
    let mut server = End::server();
    server
        .both(|end, send, _| end.send_text("Hello", send))
        .unwrap();
    server
        .both(|end, send, _| end.send_binary(&[7; 126], send))
        .unwrap();
    let sent = server.sent();
    assert_eq!(sent[..7], *b"\x81\x05Hello");
    assert_eq!(sent[7..11], *b"\x82\x7e\x00\x7e");
    assert_eq!(sent[11..], [7; 126]);
}

#[test]
fn a_client_masks_each_frame_with_a_key_of_its_own() {
    let mut client = End::client();
    let mut keys = std::collections::HashSet::new();
    for _ in 0..1000 {
        client
            .both(|end, send, _| end.send_text("Hello", send))
            .unwrap();
        let sent = client.sent();
        let (header, size) = FrameHeader::decode(&sent, Role::Client).unwrap().unwrap();
        let key = header.mask.unwrap();
        let mut payload = sent[size..].to_vec();
        key.apply(&mut payload);
        assert_eq!(payload, b"Hello");
        keys.insert(key);
    }
    assert_eq!(keys.len(), 1000);
}

#[test]
fn messages_of_every_length_form_reach_the_other_end() {
    for len in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
        let now = Instant::now();
        let mut client = End::alone(Role::Client, Config::default(), now);
        let mut server = End::alone(Role::Server, Config::default(), now);
        let data: Vec<u8> = (0..=255).cycle().take(len).collect();
        client
            .connection
            .send_binary(&data, &mut client.send)
            .unwrap();
        let seen = server.receive(client.sent());
        assert_eq!(seen, [Seen::Binary(data.clone())]);
        server
            .connection
            .send_binary(&data, &mut server.send)
            .unwrap();
        assert_eq!(client.receive(server.sent()), [Seen::Binary(data)]);
    }
}

#[test]
fn fragments_are_one_message_and_nothing_comes_between_but_control_frames() {
    let mut pair = Pair::open();
    let server = &mut pair.server;
    server
        .both(|end, send, _| {
            let mut message = end.text_fragments(send)?;
            message.send("Hel")?;
            message.send("")
        })
        .unwrap();
    let refused = server.both(|end, send, _| end.send_text("other", send));
    assert_eq!(refused, Err(SendError::MessageUnfinished));
    assert!(server.both(|end, send, _| end.binary_fragments(send).is_err()));
    assert!(server.both(|end, send, _| end.resume_binary(send).is_none()));
    server
        .both(|end, send, _| end.send_ping(b"", send))
        .unwrap();
    server
        .both(|end, send, _| end.resume_text(send).unwrap().finish("lo"))
        .unwrap();
    assert!(server.both(|end, send, _| end.resume_text(send).is_none()));
    let (at_client, _) = pair.exchange();
    assert_eq!(at_client, [Seen::Ping(vec![]), text("Hello")]);
}

#[test]
fn fragments_never_begun_leave_nothing_behind() {
    let mut server = End::server();
    server
        .both(|end, send, _| end.text_fragments(send).map(drop))
        .unwrap();
    server
        .both(|end, send, _| end.send_text("next", send))
        .unwrap();
    server
        .both(|end, send, _| end.binary_fragments(send)?.finish(b"whole"))
        .unwrap();
    assert_eq!(server.sent(), b"\x81\x04next\x82\x05whole");
}

#[test]
fn a_prepared_message_is_the_same_for_every_peer() {
    let prepared = Prepared::binary(&[9; 300]);
    let mut server = End::server();
    server
        .both(|end, send, _| end.send_prepared(&prepared, send))
        .unwrap();
    assert_eq!(server.sent(), prepared.frame());

    let mut pair = Pair::open();
    pair.client
        .both(|end, send, _| end.send_prepared(&Prepared::text("from a client"), send))
        .unwrap();
    let (_, at_server) = pair.exchange();
    assert_eq!(at_server, [text("from a client")]);
}

#[test]
fn large_payloads_wait_by_reference_and_arrive_in_order_however_they_are_written() {
    let large = Shared::text("x".repeat(100_000));
    let small = Shared::utf8(&b"y"[..]).unwrap();
    let binary = Shared::binary(vec![0xff; 5_000]);
    let expected = [
        text(&"x".repeat(100_000)),
        text("y"),
        Seen::Binary(vec![0xff; 5_000]),
        text("between"),
        text(&"x".repeat(100_000)),
    ];
    for written in [9, 10, 11, 4_099, 50_000, 1_000_000] {
        for role in [Role::Server, Role::Client] {
            let mut end = End::alone(role, Config::default(), Instant::now());
            let (connection, send) = (&mut end.connection, &mut end.send);
            connection.send_shared(&large, send).unwrap();
            connection.send_shared(&small, send).unwrap();
            connection.send_shared(&binary, send).unwrap();
            connection.send_text("between", send).unwrap();
            connection.send_shared(&large, send).unwrap();
            let by_reference = send
                .slices()
                .filter(|slice| slice.as_ptr() == large.payload().as_ptr())
                .count();
            // A client's payload is masked, and so copied.
            assert_eq!(by_reference, if role == Role::Server { 2 } else { 0 });
            let all: Vec<u8> = send.slices().flatten().copied().collect();
            assert_eq!(all.len(), send.len());
            let mut wire = Vec::new();
            while !send.is_empty() {
                let n = written.min(send.len());
                wire.extend(send.slices().flatten().take(n));
                send.advance(n);
            }
            assert!(wire == all, "{written} bytes at a time");
            let mut peer = End::alone(role.peer(), Config::default(), Instant::now());
            assert_eq!(peer.receive(wire), expected, "{written} bytes at a time");
        }
    }
    assert!(Shared::utf8(&b"\xff"[..]).is_err());
}

#[test]
fn what_waits_by_reference_counts_as_queued() {
    let config = Config {
        send_queue_max: 10_000,
        ..Config::default()
    };
    let mut server = End::alone(Role::Server, config, Instant::now());
    let message = Shared::binary(vec![7; 20_000]);
    let (connection, send) = (&mut server.connection, &mut server.send);
    connection.send_shared(&message, send).unwrap();
    let queued = send.len();
    assert_eq!(queued, 4 + 20_000);
    let refused = connection.send_shared(&message, send);
    assert_eq!(refused, Err(SendError::QueueFull { queued }));
}

#[test]
fn an_unbuffered_payload_is_written_beside_the_queue_and_never_lost() {
    let payload = "x".repeat(100_000);
    for written in [0, 1, 9, 10, 11, 50_000, 100_010] {
        let mut server = End::alone(Role::Server, Config::default(), Instant::now());
        let mut wire = Vec::new();
        {
            let data = Data::Text(&payload);
            let mut vectored = server
                .connection
                .send_unbuffered(data, &mut server.send)
                .unwrap();
            wire.extend(&vectored.slices().concat()[..written]);
            vectored.advance(written);
        }
        wire.extend(server.sent());
        let mut client = End::alone(Role::Client, Config::default(), Instant::now());
        assert_eq!(
            client.receive(wire),
            [text(&payload)],
            "after {written} bytes"
        );
    }
    let mut client = End::alone(Role::Client, Config::default(), Instant::now());
    let data = Data::Binary(b"masked");
    drop(
        client
            .connection
            .send_unbuffered(data, &mut client.send)
            .unwrap(),
    );
    let mut server = End::server();
    assert_eq!(
        server.receive(client.sent()),
        [Seen::Binary(b"masked".to_vec())]
    );
}

#[test]
fn a_full_queue_refuses_messages_but_not_control_frames() {
    let config = Config {
        send_queue_max: 10,
        ..Config::default()
    };
    let mut server = End::new(Role::Server, config);
    server
        .both(|end, send, _| end.send_text("12345678", send))
        .unwrap();
    let refused = server.both(|end, send, _| end.send_text("", send));
    assert_eq!(refused, Err(SendError::QueueFull { queued: 10 }));
    server
        .both(|end, send, _| end.send_ping(b"", send))
        .unwrap();
    server
        .both(|end, send, now| end.close(now, None, send))
        .unwrap();
    assert_eq!(server.sent(), b"\x81\x0812345678\x89\x00\x88\x00");
}

#[test]
fn control_payloads_above_125_bytes_are_refused() {
    let mut server = End::server();
    let mut send = SendBuffer::new();
    let ping = server.connection.send_ping(&[0; 126], &mut send);
    assert_eq!(ping, Err(SendError::ControlTooLong));
    let pong = server.connection.send_pong(&[0; 126], &mut send);
    assert_eq!(pong, Err(SendError::ControlTooLong));
    assert!(send.is_empty());
    server.connection.send_pong(&[0; 125], &mut send).unwrap();
    assert_eq!(send.len(), 127);
}
