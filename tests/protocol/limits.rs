//! Limits hold for what is declared, before it comes (RFC 6455 §10.4).

use std::time::Instant;

use openline::proto::ProtocolError::{
    FrameTooLarge, LengthTopBit, MessageTooLarge, NonMinimalLength, TooManyFragments,
};
use openline::proto::{Config, Delivery, Role};

use crate::pair::{End, Seen, declared, frame};

const MAX: u64 = 70_000;

fn limited() -> Config {
    Config {
        frame_size_max: MAX,
        message_size_max: MAX,
        fragments_max: 4,
        ..Config::default()
    }
}

#[test]
fn a_frame_at_the_limit_passes_and_one_above_is_refused_by_its_header() {
    for len in [MAX - 1, MAX] {
        let mut server = End::alone(Role::Server, limited(), Instant::now());
        let payload = vec![0; len as usize];
        assert_eq!(
            server.receive(frame(0x82, &payload)),
            [Seen::Binary(payload)]
        );
    }
    for len in [MAX + 1, u64::from(u32::MAX), 1 << 32, (1 << 63) - 1] {
        let mut server = End::new(Role::Server, limited());
        assert_eq!(
            server.receive(declared(0x82, len)),
            [Seen::Error(FrameTooLarge {
                declared: len,
                max: MAX
            })]
        );
        assert_eq!(server.sent()[2..4], 1009_u16.to_be_bytes());
        assert!(server.recv.capacity() < 256);
    }
}

#[test]
fn lengths_that_are_no_lengths() {
    for len in [1 << 63, u64::MAX] {
        assert_eq!(
            End::server().receive(declared(0x82, len)),
            [Seen::Error(LengthTopBit)]
        );
    }
    for len in [0, 125, 126, 65_535] {
        assert_eq!(
            End::server().receive(declared(0x82, len)),
            [Seen::Error(NonMinimalLength)]
        );
    }
}

#[test]
fn the_limit_on_messages_counts_all_fragments() {
    for delivery in [Delivery::Whole, Delivery::Chunks] {
        let config = Config {
            delivery,
            ..limited()
        };
        let half = vec![0; 35_000];
        let mut server = End::alone(Role::Server, config.clone(), Instant::now());
        server.receive([frame(0x02, &half), frame(0x00, &half)].concat());
        assert!(matches!(
            server.receive(frame(0x80, ""))[..],
            [Seen::Binary(_) | Seen::Chunk(.., true)]
        ));

        let mut server = End::alone(Role::Server, config, Instant::now());
        server.receive([frame(0x02, &half), frame(0x00, &half)].concat());
        assert_eq!(
            server.receive(&frame(0x80, "x")[..6]),
            [Seen::Error(MessageTooLarge {
                declared: MAX + 1,
                max: MAX
            })]
        );
    }
}

#[test]
fn fragments_without_end_are_counted() {
    let four = [frame(0x01, ""), frame(0x00, ""), frame(0x00, "")].concat();
    let mut server = End::new(Role::Server, limited());
    assert_eq!(server.receive(&four), []);
    assert_eq!(server.receive(frame(0x80, "")), [Seen::Text(String::new())]);

    let mut server = End::new(Role::Server, limited());
    server.receive([four, frame(0x00, "")].concat());
    assert_eq!(
        server.receive(frame(0x80, "")),
        [Seen::Error(TooManyFragments { max: 4 })]
    );
}

#[test]
fn a_million_fragments_cost_linear_work() {
    let config = Config {
        fragments_max: u32::MAX,
        ..Config::default()
    };
    let mut server = End::alone(Role::Server, config, Instant::now());
    let mut seen = Vec::new();
    server.recv.extend(&frame(0x02, "x"));
    let batch: Vec<u8> = (0..1000).flat_map(|_| frame(0x00, "x")).collect();
    for _ in 0..1000 {
        server.recv.extend(&batch);
        server.poll(&mut seen);
    }
    server.recv.extend(&frame(0x80, ""));
    server.poll(&mut seen);
    assert_eq!(seen, [Seen::Binary(vec![b'x'; 1_000_001])]);
    assert!(server.recv.capacity() < 4 << 20);
}

#[test]
fn a_declared_length_alone_takes_no_memory() {
    let mut server = End::alone(Role::Server, Config::default(), Instant::now());
    assert_eq!(server.receive(declared(0x82, 16 << 20)), []);
    server.recv.spare_mut(4096);
    assert!(
        server.recv.capacity() <= 4 * 4096 + 64,
        "room for the reads, not for the frame"
    );
    assert!(server.recv.take_held().capacity() < 64);
}

#[test]
fn a_peer_that_does_not_read_is_not_listened_to() {
    let config = Config {
        send_queue_max: 1000,
        ..Config::default()
    };
    let mut server = End::alone(Role::Server, config, Instant::now());
    let pings: Vec<u8> = (0..1000).flat_map(|_| frame(0x89, [1; 98])).collect();
    assert_eq!(server.receive(pings).len(), 10);
    assert_eq!(server.send.len(), 1000);
    let mut rounds = 10;
    while !server.send.is_empty() {
        server.sent();
        rounds += server.receive(b"").len();
    }
    assert_eq!(rounds, 1000, "every ping is answered in the end");
}
