//! Compressed messages that are received (RFC 7692 §6.2, §7.2.2), and what is none.

use openline::proto::ProtocolError::{InvalidDeflate, InvalidUtf8, ReservedBits};
use openline::proto::{Config, Deflate, DeflateParams, Delivery, Kind, Role, WindowBits};

use crate::pair::{End, Seen, frame, hex, text};

/// Both ends may build on messages before.
pub const TAKEOVER: DeflateParams = DeflateParams {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: WindowBits::MAX,
    client_max_window_bits: WindowBits::MAX,
};

/// Neither may.
pub const ALONE: DeflateParams = DeflateParams {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    ..TAKEOVER
};

pub fn config() -> Config {
    Config {
        compression: Some(Deflate::default()),
        ..Config::default()
    }
}

fn server(params: DeflateParams) -> End {
    End::compressed(Role::Server, config(), params)
}

fn chunks(params: DeflateParams) -> End {
    let config = Config {
        delivery: Delivery::Chunks,
        ..config()
    };
    End::compressed(Role::Server, config, params)
}

fn compressed(dump: &str) -> Vec<u8> {
    frame(0xc1, hex(dump))
}

#[test]
fn the_examples_of_section_7_2_3() {
    for payload in [
        "f248cdc9c90700",               // §7.2.3.1: one block
        "000500faff48656c6c6f00",       // §7.2.3.3: no compression
        "f348cdc9c9070000",             // §7.2.3.4: BFINAL
        "f248050000 00ffff cac9c90700", // §7.2.3.5: two blocks
    ] {
        for params in [TAKEOVER, ALONE] {
            let mut server = server(params);
            for _ in 0..3 {
                assert_eq!(
                    server.receive(compressed(payload)),
                    [text("Hello")],
                    "{payload}"
                );
            }
            let chunk = Seen::Chunk(Kind::Text, b"Hello".to_vec(), true);
            assert_eq!(chunks(params).receive(compressed(payload)), [chunk]);
        }
    }
}

#[test]
fn a_message_may_build_on_the_one_before_only_where_that_was_agreed() {
    // §7.2.3.2: the second Hello refers to the first.
    let both = [compressed("f248cdc9c90700"), compressed("f200110000")].concat();
    assert_eq!(
        server(TAKEOVER).receive(&both),
        [text("Hello"), text("Hello")]
    );
    assert_eq!(
        server(ALONE).receive(&both),
        [text("Hello"), Seen::Error(InvalidDeflate)]
    );
}

#[test]
fn a_final_block_is_not_the_end_of_what_may_be_built_on() {
    let mut server = server(TAKEOVER);
    // By itself, and then what builds on it.
    for payload in ["f348cdc9c9070000", "f200110000", "f300110000", "f200110000"] {
        assert_eq!(server.receive(compressed(payload)), [text("Hello")]);
    }
    // Followed by more in its message.
    let twice = compressed("f3001100 f200110000");
    assert_eq!(server.receive(twice), [text("HelloHello")]);
    // And the block that the tail completes may be one, even the first that there is.
    for mut server in [server, self::server(TAKEOVER)] {
        let first = "f248cdc9c90704";
        assert_eq!(server.receive(compressed(first)), [text("Hello")]);
        for payload in ["f200110000", "f200118000", "f200110000"] {
            assert_eq!(server.receive(compressed(payload)), [text("Hello")]);
        }
    }
}

#[test]
fn what_follows_a_final_block_may_refer_to_chunks_that_were_given_away() {
    // "Hello" three times, the second in a final block, in one message whatever its pieces.
    let chunk = Seen::Chunk(Kind::Text, b"HelloHelloHello".to_vec(), true);
    let payload = "f248cdc9c907000000ffff f3001100 f200110000";
    let mut server = chunks(ALONE);
    assert_eq!(server.receive(compressed(payload)), [chunk]);
}

#[test]
fn an_empty_message_is_an_empty_block() {
    // §7.2.3.6.
    assert_eq!(server(TAKEOVER).receive(compressed("00")), [text("")]);
    let chunk = Seen::Chunk(Kind::Binary, vec![], true);
    assert_eq!(chunks(TAKEOVER).receive(frame(0xc2, hex("00"))), [chunk]);
    // No payload at all is not what anything compresses to.
    assert_eq!(
        server(TAKEOVER).receive(compressed("")),
        [Seen::Error(InvalidDeflate)]
    );
}

#[test]
fn compressed_and_other_messages_alternate() {
    let bytes = [
        frame(0x81, "plain"),
        compressed("f248cdc9c90700"),
        frame(0x82, "Hello"),
        compressed("f200110000"),
    ];
    assert_eq!(
        server(TAKEOVER).receive(bytes.concat()),
        [
            text("plain"),
            text("Hello"),
            Seen::Binary(b"Hello".to_vec()),
            text("Hello")
        ]
    );
}

#[test]
fn fragments_are_cut_anywhere_and_control_frames_pass_between() {
    let payload = hex("f248050000 00ffff cac9c90700");
    for cut in 0..=payload.len() {
        let (one, two) = payload.split_at(cut);
        let bytes = [
            frame(0x41, one),
            frame(0x89, "ping"),
            frame(0x00, ""),
            frame(0x80, two),
        ];
        assert_eq!(
            server(ALONE).receive(bytes.concat()),
            [Seen::Ping(b"ping".to_vec()), text("Hello")]
        );
        let seen = chunks(ALONE).receive(bytes.concat());
        let of_chunks: Vec<u8> = seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Chunk(_, data, _) => Some(data.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(of_chunks, b"Hello");
        assert!(matches!(seen.last(), Some(Seen::Chunk(_, _, true))));
    }
    // The end may come by itself, in a frame of nothing.
    let bytes = [frame(0x41, &payload), frame(0x80, "")].concat();
    assert_eq!(server(ALONE).receive(bytes), [text("Hello")]);
}

#[test]
fn rsv1_stands_on_the_first_frame_of_a_message_or_nowhere() {
    let is_refused = |bytes: Vec<u8>| {
        let mut server = server(TAKEOVER);
        let seen = server.receive(bytes);
        seen == [Seen::Error(ReservedBits)] && server.sent()[2..4] == 1002_u16.to_be_bytes()
    };
    for control in [0xc8, 0xc9, 0xca] {
        assert!(is_refused(frame(control, "")));
    }
    for first in [0x01, 0x41] {
        let bytes = [frame(first, ""), frame(0xc0, "")].concat();
        assert!(is_refused(bytes));
    }
    for rsv in [0xa1, 0x91, 0xe1, 0xd1, 0xf1] {
        assert!(is_refused(frame(rsv, "")));
    }
    // Not agreed to, it has no meaning at all.
    let mut server = End::new(Role::Server, config());
    let seen = server.receive(compressed("f248cdc9c90700"));
    assert_eq!(seen, [Seen::Error(ReservedBits)]);
}

#[test]
fn what_is_not_deflate_fails_with_1007() {
    for (payload, why) in [
        ("ff", "a block of type 3"),
        ("000500faff48656c6c", "a stored block that is cut short"),
        ("000500fbff48656c6c6f00", "LEN and NLEN differ"),
        ("f248cdc9c907", "without the empty block"),
        ("f348cdc9c90700", "the same behind a final block"),
        ("f248", "a block that does not end"),
        ("f200110000", "refers to before the beginning"),
        ("04c0", "codes that cannot be"),
    ] {
        for mut server in [server(TAKEOVER), chunks(TAKEOVER)] {
            let seen = server.receive(frame(0xc2, hex(payload)));
            assert_eq!(seen.last(), Some(&Seen::Error(InvalidDeflate)), "{why}");
            assert_eq!(server.sent()[2..4], 1007_u16.to_be_bytes(), "{why}");
        }
    }
}

#[test]
fn inflated_text_fails_at_its_first_byte_that_cannot_be() {
    // Stored: "ab", then a byte that is never UTF-8, then what has not come yet.
    let payload = hex("000300fcff6162ff");
    assert_eq!(
        server(TAKEOVER).receive(frame(0x41, &payload)),
        [Seen::Error(InvalidUtf8)]
    );
    assert_eq!(
        chunks(TAKEOVER).receive(frame(0x41, &payload)),
        [
            Seen::Chunk(Kind::Text, b"ab".to_vec(), false),
            Seen::Error(InvalidUtf8)
        ]
    );
    // A character cut in two by blocks and frames is whole again.
    let (one, two) = (hex("000100feffe2"), hex("000200fdff82ac00"));
    let bytes = [frame(0x41, &one), frame(0x80, &two)].concat();
    assert_eq!(server(TAKEOVER).receive(&bytes), [text("€")]);
    let chunk = Seen::Chunk(Kind::Text, "€".as_bytes().to_vec(), true);
    assert_eq!(chunks(TAKEOVER).receive(&bytes), [chunk]);
    // And one that does not end is none.
    let bytes = frame(0xc1, hex("000100feffe200"));
    assert_eq!(server(TAKEOVER).receive(bytes), [Seen::Error(InvalidUtf8)]);
}
