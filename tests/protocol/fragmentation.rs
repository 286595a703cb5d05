//! Fragmentation (RFC 6455 §5.4).

use openline::proto::ProtocolError::{ExpectedContinuation, InvalidUtf8, UnexpectedContinuation};
use openline::proto::{CloseCode, ClosedWhy, Party, Role};

use crate::pair::{End, Seen, frame, hex, text};

#[test]
fn the_fragmented_hello_of_section_5_7() {
    let mut client = End::client();
    assert_eq!(
        client.receive(hex("01 03 48656c 80 02 6c6f")),
        [text("Hello")]
    );
}

#[test]
fn fragments_of_any_number_are_joined_and_empty_ones_add_nothing() {
    let mut server = End::server();
    let fragments = [
        frame(0x01, ""),
        frame(0x00, "fir"),
        frame(0x00, ""),
        frame(0x00, "st, second"),
        frame(0x80, ""),
        frame(0x81, "next"),
        frame(0x02, "\x01"),
        frame(0x80, "\x02"),
    ];
    assert_eq!(
        server.receive(fragments.concat()),
        [
            text("first, second"),
            text("next"),
            Seen::Binary(vec![1, 2])
        ]
    );
}

#[test]
fn control_frames_pass_between_fragments_and_are_answered_at_once() {
    let mut server = End::server();
    let begun = [frame(0x01, "Hel"), frame(0x89, "ping")].concat();
    assert_eq!(server.receive(begun), [Seen::Ping(b"ping".to_vec())]);
    assert_eq!(server.sent(), b"\x8a\x04ping");
    let ended = [frame(0x8a, "pong"), frame(0x80, "lo")].concat();
    assert_eq!(
        server.receive(ended),
        [Seen::Pong(b"pong".to_vec()), text("Hello")]
    );
}

#[test]
fn a_close_between_fragments_ends_the_connection() {
    let mut server = End::server();
    let bytes = [
        frame(0x01, "Hel"),
        frame(0x88, b"\x03\xe8"),
        frame(0x80, "lo"),
    ];
    let code = CloseCode::NORMAL;
    assert_eq!(
        server.receive(bytes.concat()),
        [
            Seen::Close(Some((code.number(), String::new()))),
            Seen::Closed(Party::Peer, ClosedWhy::Handshake { code: Some(code) })
        ]
    );
}

#[test]
fn a_continuation_needs_a_beginning() {
    for first in [0x00, 0x80] {
        let mut server = End::server();
        assert_eq!(
            server.receive(frame(first, "lost")),
            [Seen::Error(UnexpectedContinuation)]
        );
    }
    let mut server = End::server();
    let again = [frame(0x81, "done"), frame(0x80, "more")].concat();
    assert_eq!(
        server.receive(again),
        [text("done"), Seen::Error(UnexpectedContinuation)]
    );
}

#[test]
fn a_beginning_needs_its_end_before_the_next() {
    for first in [0x01, 0x02, 0x81, 0x82] {
        let mut server = End::server();
        let bytes = [frame(0x01, "Hel"), frame(first, "again")].concat();
        assert_eq!(server.receive(bytes), [Seen::Error(ExpectedContinuation)]);
    }
}

#[test]
fn a_character_may_be_cut_by_fragments_but_not_by_the_end() {
    let euro = "€".as_bytes();
    let mut server = End::server();
    let cut = [
        frame(0x01, &euro[..1]),
        frame(0x00, &euro[1..2]),
        frame(0x80, &euro[2..]),
    ];
    assert_eq!(server.receive(cut.concat()), [text("€")]);

    for ending in [
        frame(0x81, &euro[..2]),
        [frame(0x01, euro), frame(0x80, &euro[..1])].concat(),
    ] {
        let mut server = End::server();
        assert_eq!(server.receive(ending), [Seen::Error(InvalidUtf8)]);
    }
}

#[test]
fn an_impossible_byte_fails_before_the_frame_is_complete() {
    // Autobahn 6.4: the byte after which no continuation is valid, at every cut.
    let bad = b"\xce\xba\xe1\xbd\xb9\xf4\x90";
    for cut in 0..bad.len() {
        let mut server = End::server();
        let mut bytes = match cut {
            0 => vec![],
            _ => frame(0x01, &bad[..cut]),
        };
        let rest = frame(
            if cut == 0 { 0x81 } else { 0x80 },
            [&bad[cut..], &[b'x'; 100]].concat(),
        );
        bytes.extend(&rest[..rest.len() - 100]);
        assert_eq!(
            server.receive(bytes),
            [Seen::Error(InvalidUtf8)],
            "cut at {cut}"
        );
        assert_eq!(server.sent()[2..4], 1007_u16.to_be_bytes());
    }
}

#[test]
fn masks_run_on_over_reads_and_start_afresh_in_each_frame() {
    let mut server = End::server();
    let mut bytes = hex("01 85 37fa213d 7f9f4d5158");
    bytes.extend(hex("80 82 01020304 2023"));
    assert_eq!(server.receive(bytes), [text("Hello!!")]);
    assert_eq!(server.connection.role(), Role::Server);
}
