//! Control frames (RFC 6455 §5.5) and what one header alone can break (§5.1, §5.2).

use openline::proto::ProtocolError::{
    self, ControlTooLong, FragmentedControl, MissingMask, ReservedBits, ReservedOpcode,
    UnexpectedMask,
};
use openline::proto::{CONTROL_PAYLOAD_MAX, Role};

use crate::pair::{End, Pair, Seen, frame, hex, text};

#[test]
fn every_ping_is_answered_with_its_payload() {
    let mut server = End::server();
    let pings: Vec<u8> = (0..10).flat_map(|i| frame(0x89, [i; 3])).collect();
    let seen: Vec<Seen> = (0..10).map(|i| Seen::Ping(vec![i; 3])).collect();
    assert_eq!(server.receive(pings), seen);
    let pongs: Vec<u8> = (0..10).flat_map(|i| [0x8a, 3, i, i, i]).collect();
    assert_eq!(server.sent(), pongs);
}

#[test]
fn a_ping_may_carry_nothing_or_125_bytes_but_not_126() {
    for len in [0, 1, CONTROL_PAYLOAD_MAX - 1, CONTROL_PAYLOAD_MAX] {
        let mut server = End::server();
        let payload = vec![0xfe; len];
        assert_eq!(
            server.receive(frame(0x89, &payload)),
            [Seen::Ping(payload.clone())]
        );
        assert_eq!(server.sent()[2..], payload);
    }
    for first in [0x88, 0x89, 0x8a] {
        assert_eq!(error(frame(first, [0; 126])), ControlTooLong);
    }
}

#[test]
fn an_unsolicited_pong_is_told_and_not_answered() {
    let mut server = End::server();
    assert_eq!(
        server.receive(frame(0x8a, "hi")),
        [Seen::Pong(b"hi".to_vec())]
    );
    assert_eq!(server.sent(), b"");
}

#[test]
fn pings_of_our_own_come_back_as_pongs() {
    let mut pair = Pair::open();
    pair.client
        .both(|client, send, _| client.send_ping(b"there?", send))
        .unwrap();
    let (at_client, at_server) = pair.exchange();
    assert_eq!(at_server, [Seen::Ping(b"there?".to_vec())]);
    assert_eq!(at_client, [Seen::Pong(b"there?".to_vec())]);
}

#[test]
fn control_frames_are_never_fragmented() {
    for first in [0x08, 0x09, 0x0a] {
        assert_eq!(error(frame(first, "")), FragmentedControl);
    }
}

#[test]
fn reserved_bits_and_opcodes_are_refused_everywhere() {
    for opcode in [0x0, 0x1, 0x2, 0x8, 0x9, 0xa] {
        for rsv in (0x10..0x80).step_by(0x10) {
            assert_eq!(error(frame(0x80 | rsv | opcode, "")), ReservedBits);
        }
    }
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        assert_eq!(error(frame(0x80 | opcode, "")), ReservedOpcode(opcode));
        // Also within a message, and the messages before it still count.
        let mut server = End::server();
        let bytes = [frame(0x81, "a"), frame(0x01, "b"), frame(opcode, "c")].concat();
        assert_eq!(
            server.receive(bytes),
            [text("a"), Seen::Error(ReservedOpcode(opcode))]
        );
    }
}

#[test]
fn the_mask_bit_of_the_other_role_fails_before_the_payload_is_there() {
    for first in [0x01, 0x81, 0x82, 0x88, 0x89, 0x8a] {
        let mut server = End::server();
        assert_eq!(server.receive([first, 0x05]), [Seen::Error(MissingMask)]);
        assert_eq!(server.sent()[2..4], 1002_u16.to_be_bytes());
        let mut client = End::client();
        assert_eq!(client.receive([first, 0x85]), [Seen::Error(UnexpectedMask)]);
    }
}

#[test]
fn a_failed_connection_says_why_and_then_nothing() {
    let mut server = End::server();
    let bytes = [hex("83 80 00000000"), frame(0x89, "ping"), frame(0x88, "")].concat();
    assert_eq!(server.receive(bytes), [Seen::Error(ReservedOpcode(3))]);
    let why = b"the opcode 0x3 is reserved (RFC 6455 section 5.2)";
    assert_eq!(server.sent(), [b"\x88\x33\x03\xea", &why[..]].concat());
    assert_eq!(
        server.receive(frame(0x81, "more")),
        [Seen::Error(ReservedOpcode(3))]
    );
    assert_eq!(server.sent(), b"");
    assert_eq!(server.connection.role(), Role::Server);
}

fn error(bytes: Vec<u8>) -> ProtocolError {
    let mut server = End::server();
    match server.receive(bytes).pop() {
        Some(Seen::Error(error)) => error,
        other => panic!("no error but {other:?}"),
    }
}
