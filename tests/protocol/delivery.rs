//! Whole messages and chunks (RFC 6455 §5.4: an endpoint need not hold a message whole).

use openline::proto::ProtocolError::InvalidUtf8;
use openline::proto::{Config, Delivery, Event, Kind, Role};

use crate::pair::{End, Seen, declared, frame};

fn chunks() -> End {
    let config = Config {
        delivery: Delivery::Chunks,
        ..Config::default()
    };
    End::new(Role::Server, config)
}

#[test]
fn chunks_join_to_the_message_whatever_the_fragments() {
    for bytes in [
        frame(0x81, "Hello, world"),
        [
            frame(0x01, "Hello"),
            frame(0x00, ""),
            frame(0x80, ", world"),
        ]
        .concat(),
        [
            frame(0x01, ""),
            frame(0x00, "Hello, world"),
            frame(0x80, ""),
        ]
        .concat(),
    ] {
        let expected = Seen::Chunk(Kind::Text, b"Hello, world".to_vec(), true);
        assert_eq!(chunks().receive(bytes), [expected]);
    }
}

#[test]
fn an_empty_message_is_one_empty_last_chunk() {
    let empty = Seen::Chunk(Kind::Binary, vec![], true);
    assert_eq!(chunks().receive(frame(0x82, "")), [empty]);
}

#[test]
fn a_chunk_comes_before_its_frame_is_complete_and_nothing_is_held() {
    let config = Config {
        delivery: Delivery::Chunks,
        frame_size_max: u64::MAX,
        message_size_max: u64::MAX,
        ..Config::default()
    };
    let mut server = End::alone(Role::Server, config, std::time::Instant::now());
    server.recv.extend(&declared(0x82, 1 << 40));
    for round in 0..1000_u32 {
        server.recv.extend(&[1; 4096]);
        let event = server
            .connection
            .poll(server.now, &mut server.recv, &mut server.send);
        match event {
            Ok(Some(Event::Chunk(chunk))) => {
                assert_eq!(
                    (chunk.kind, chunk.data, chunk.last),
                    (Kind::Binary, &[1; 4096][..], false)
                );
            }
            other => panic!("in round {round}: {other:?}"),
        }
        assert!(server.recv.is_empty());
    }
    assert!(server.recv.capacity() <= 32 << 10);
}

#[test]
fn the_text_of_chunks_is_checked_over_the_cuts() {
    let whole = [frame(0x01, b"\xe2"), frame(0x80, b"\x82\xac")].concat();
    let expected = Seen::Chunk(Kind::Text, "€".as_bytes().to_vec(), true);
    assert_eq!(chunks().receive(whole), [expected]);

    let refused = chunks().receive([frame(0x01, b"ab\xe2"), frame(0x80, b"c")].concat());
    assert_eq!(
        refused,
        [
            Seen::Chunk(Kind::Text, b"ab\xe2".to_vec(), false),
            Seen::Error(InvalidUtf8)
        ]
    );
    // A text that ends within a character never comes to a last chunk.
    assert_eq!(
        chunks().receive([frame(0x01, ""), frame(0x80, b"\xe2")].concat()),
        [
            Seen::Chunk(Kind::Text, b"\xe2".to_vec(), false),
            Seen::Error(InvalidUtf8)
        ]
    );
}

#[test]
fn control_frames_pass_between_chunks() {
    let bytes = [frame(0x02, "ab"), frame(0x89, "p"), frame(0x80, "cd")].concat();
    assert_eq!(
        chunks().receive(bytes),
        [
            Seen::Chunk(Kind::Binary, b"ab".to_vec(), false),
            Seen::Ping(b"p".to_vec()),
            Seen::Chunk(Kind::Binary, b"cd".to_vec(), true)
        ]
    );
}

#[test]
fn messages_of_every_length_form_arrive_whole() {
    for len in [
        0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537,
    ] {
        let mut server = End::alone(Role::Server, Config::default(), std::time::Instant::now());
        let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
        let bytes = frame(0x82, &payload);
        let mut seen = Vec::new();
        for piece in bytes.chunks(997) {
            server.recv.extend(piece);
            server.poll(&mut seen);
        }
        assert_eq!(seen, [Seen::Binary(payload)]);
    }
}
