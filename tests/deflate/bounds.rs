//! What a peer can make us hold, and for how long (RFC 6455 §10.4): bombs.

use std::time::Instant;

use openline::proto::ProtocolError::{FrameTooLarge, InflatedTooLarge};
use openline::proto::{Compress, Config, Data, Deflate, Delivery, Level, Role};

use crate::pair::{End, Seen, declared, frame};
use crate::receiving::{ALONE, TAKEOVER, config};
use crate::sending::payload_of;

const LIMIT: usize = 1 << 20;

fn limited(delivery: Delivery) -> Config {
    Config {
        delivery,
        message_size_max: LIMIT as u64,
        ..config()
    }
}

/// What `size` zeros compress to: a thousandth.
fn bomb(size: usize) -> Vec<u8> {
    let config = Config {
        compression: Some(Deflate {
            level: Level::new(9).unwrap(),
            ..Deflate::default()
        }),
        ..Config::default()
    };
    let mut end = End::alone_compressed(Role::Server, config, Instant::now(), ALONE);
    end.connection
        .send_binary(&vec![0; size], &mut end.send)
        .unwrap();
    let payload = payload_of(&end.sent(), Role::Server);
    assert!(payload.len() < size / 900, "{} bytes", payload.len());
    payload
}

/// Receives frames read by read; the most memory that was held, and what was seen.
fn receive(server: &mut End, bytes: &[u8]) -> (usize, Vec<Seen>) {
    let (mut held, mut seen) = (0, Vec::new());
    for piece in bytes.chunks(1000) {
        server.recv.extend(piece);
        server.poll(&mut seen);
        held = held.max(server.recv.capacity());
    }
    (held, seen)
}

fn in_fragments(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, piece) in payload.chunks(100).enumerate() {
        bytes.extend(frame(if index == 0 { 0x42 } else { 0x00 }, piece));
    }
    bytes.extend(frame(0x80, ""));
    bytes
}

#[test]
fn exactly_the_limit_passes_and_one_byte_more_does_not() {
    for params in [ALONE, TAKEOVER] {
        for pack in [|payload: &[u8]| frame(0xc2, payload), in_fragments] {
            let mut server = End::alone_compressed(
                Role::Server,
                limited(Delivery::Whole),
                Instant::now(),
                params,
            );
            for _ in 0..2 {
                let (held, seen) = receive(&mut server, &pack(&bomb(LIMIT)));
                assert_eq!(seen, [Seen::Binary(vec![0; LIMIT])]);
                assert!(held <= LIMIT + BLOCK, "{held}");
            }
            for size in [LIMIT + 1, 20 * LIMIT] {
                let mut server = End::alone_compressed(
                    Role::Server,
                    limited(Delivery::Whole),
                    Instant::now(),
                    params,
                );
                let (held, seen) = receive(&mut server, &pack(&bomb(size)));
                let error = InflatedTooLarge { max: LIMIT as u64 };
                assert_eq!(seen, [Seen::Error(error)]);
                assert_eq!(server.sent()[2..4], 1009_u16.to_be_bytes());
                assert!(held <= LIMIT + BLOCK, "{held}");
            }
        }
    }
}

#[test]
fn chunks_are_bounded_one_by_one_and_together() {
    for (size, passes) in [(LIMIT, true), (LIMIT + 1, false)] {
        let mut server = End::alone_compressed(
            Role::Server,
            limited(Delivery::Chunks),
            Instant::now(),
            ALONE,
        );
        let (held, seen) = receive(&mut server, &frame(0xc2, bomb(size)));
        assert!(held <= 2 * BLOCK, "{held}");
        let error = Seen::Error(InflatedTooLarge { max: LIMIT as u64 });
        assert_eq!(seen.last() != Some(&error), passes);
        if passes {
            assert!(matches!(&seen[..], [Seen::Chunk(_, data, true)] if data.len() == LIMIT));
        } else {
            assert!(matches!(&seen[0], Seen::Chunk(_, data, false) if data.len() == LIMIT));
        }
    }
}

#[test]
fn a_small_limit_holds_to_the_byte() {
    for limit in [0, 1, 100, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537] {
        let config = Config {
            message_size_max: limit,
            ..config()
        };
        for (size, passes) in [(limit, true), (limit + 1, false)] {
            let data: Vec<u8> = (0..=255).cycle().take(size as usize).collect();
            let now = Instant::now();
            let mut server = End::alone_compressed(Role::Server, config.clone(), now, TAKEOVER);
            let mut client = End::alone_compressed(Role::Client, self::config(), now, TAKEOVER);
            let wish = Compress::Always;
            client
                .connection
                .send_data(Data::Binary(&data), wish, &mut client.send)
                .unwrap();
            let seen = server.receive(client.sent());
            match passes {
                true => assert_eq!(seen, [Seen::Binary(data)]),
                false => assert_eq!(seen, [Seen::Error(InflatedTooLarge { max: limit })]),
            }
        }
    }
}

#[test]
fn what_does_not_shrink_may_be_a_little_larger_than_the_limit() {
    let mut state = 1_u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    let data: Vec<u8> = (0..LIMIT).map(|_| noise()).collect();
    let config = Config {
        frame_size_max: LIMIT as u64,
        ..limited(Delivery::Whole)
    };
    let now = Instant::now();
    let mut server = End::alone_compressed(Role::Server, config, now, ALONE);
    let mut client = End::alone_compressed(Role::Client, self::config(), now, ALONE);
    client
        .connection
        .send_binary(&data, &mut client.send)
        .unwrap();
    let sent = client.sent();
    assert!(sent.len() > LIMIT);
    assert_eq!(server.receive(sent), [Seen::Binary(data)]);
    // But not much: that is refused before it comes.
    let max = (LIMIT + LIMIT / 8 + 1024) as u64;
    let error = FrameTooLarge {
        declared: max + 1,
        max,
    };
    assert_eq!(
        server.receive(declared(0xc2, max + 1)),
        [Seen::Error(error)]
    );
}

#[test]
fn payload_that_comes_to_nothing_is_bounded_by_its_length() {
    // Empty blocks without end: five bytes that add nothing.
    let nothing = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(10_000);
    let payload = [&nothing[..], &[0x00]].concat();
    let mut server = End::alone_compressed(
        Role::Server,
        limited(Delivery::Whole),
        Instant::now(),
        ALONE,
    );
    let (held, seen) = receive(&mut server, &frame(0xc2, &payload));
    assert_eq!(seen, [Seen::Binary(vec![])]);
    assert!(held <= BLOCK, "{held}");
}

#[test]
fn nothing_is_held_between_messages_that_stand_alone() {
    let mut server = End::alone_compressed(Role::Server, config(), Instant::now(), ALONE);
    let mut other = End::alone_compressed(Role::Server, config(), Instant::now(), ALONE);
    let bytes = frame(0xc1, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    // In turn, in one buffer: what one connection began the other does not see.
    std::mem::swap(&mut server.recv, &mut other.recv);
    for end in [&mut server, &mut other] {
        assert_eq!(end.receive(&bytes), [Seen::Text("Hello".to_owned())]);
        assert!(end.recv.is_empty());
    }
}

/// What is inflated, and read, at a time.
const BLOCK: usize = 64 << 10;
