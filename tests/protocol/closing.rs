//! The closing handshake in every order (RFC 6455 §5.5.1, §7).

use std::time::Duration;

use openline::proto::ProtocolError::{CloseTooShort, InvalidCloseCode, InvalidCloseReason};
use openline::proto::{Close, CloseCode, ClosedWhy, Party, SendError};

use crate::pair::{End, Pair, Seen, frame, hex, text};

const BYE: Close<'_> = Close {
    code: CloseCode::NORMAL,
    reason: "bye",
};

#[test]
fn an_empty_close_is_echoed_empty() {
    let mut server = End::server();
    let seen = server.receive(hex("88 80 00000000"));
    assert_eq!(seen, [Seen::Close(None), closed(Party::Peer, None)]);
    assert_eq!(server.sent(), hex("88 00"));
}

#[test]
fn they_first_their_code_is_echoed() {
    let mut server = End::server();
    let seen = server.receive(frame(0x88, b"\x0f\xa0reason"));
    let code = CloseCode::new(4000);
    assert_eq!(
        seen,
        [
            Seen::Close(Some((4000, "reason".into()))),
            closed(Party::Peer, code)
        ]
    );
    assert_eq!(server.sent(), hex("88 02 0fa0"));
}

#[test]
fn we_first_their_messages_still_come_until_their_close_does() {
    let mut server = End::server();
    close(&mut server).unwrap();
    assert_eq!(server.sent(), b"\x88\x05\x03\xe8bye");
    let still = [frame(0x81, "on its way"), frame(0x89, "ping")].concat();
    assert_eq!(
        server.receive(still),
        [text("on its way"), Seen::Ping(b"ping".to_vec())]
    );
    assert_eq!(
        server.sent(),
        b"",
        "nothing follows a Close frame, not even a Pong"
    );
    assert_eq!(
        server.receive(frame(0x88, b"\x03\xe8")),
        [
            Seen::Close(Some((1000, String::new()))),
            closed(Party::Us, Some(CloseCode::NORMAL))
        ]
    );
    assert_eq!(server.sent(), b"");
}

#[test]
fn both_at_once_no_close_is_answered_twice() {
    let mut pair = Pair::open();
    close(&mut pair.client).unwrap();
    close(&mut pair.server).unwrap();
    let (at_client, at_server) = pair.exchange();
    let expected = [
        Seen::Close(Some((1000, "bye".into()))),
        closed(Party::Us, Some(CloseCode::NORMAL)),
    ];
    assert_eq!(at_client, expected);
    assert_eq!(at_server, expected);
}

#[test]
fn what_follows_their_close_is_ignored() {
    let mut server = End::server();
    let bytes = [frame(0x88, ""), frame(0x81, "late"), hex("ff ff ff")].concat();
    assert_eq!(
        server.receive(bytes),
        [Seen::Close(None), closed(Party::Peer, None)]
    );
    assert_eq!(server.sent(), hex("88 00"));
    assert_eq!(server.receive(frame(0x89, "")), []);
    assert_eq!(server.sent(), b"");
}

#[test]
fn nothing_is_sent_after_a_close_frame() {
    let mut after_ours = End::server();
    close(&mut after_ours).unwrap();
    let mut after_theirs = End::server();
    after_theirs.receive(frame(0x88, ""));
    let mut after_a_failure = End::server();
    after_a_failure.receive(frame(0x83, ""));
    for mut end in [after_ours, after_theirs, after_a_failure] {
        end.sent();
        let refused = Err(SendError::Closed);
        assert_eq!(end.both(|end, send, _| end.send_text("", send)), refused);
        assert_eq!(end.both(|end, send, _| end.send_binary(b"", send)), refused);
        assert_eq!(end.both(|end, send, _| end.send_ping(b"", send)), refused);
        assert_eq!(end.both(|end, send, _| end.send_pong(b"", send)), refused);
        assert!(end.both(|end, send, _| end.text_fragments(send).is_err()));
        assert_eq!(close(&mut end), refused);
        assert_eq!(end.sent(), b"");
    }
}

#[test]
fn the_end_of_file_without_a_close_is_told_as_such() {
    let ended = |bytes: Vec<u8>| {
        let mut server = End::server();
        server.receive(bytes);
        server.eof().pop().unwrap()
    };
    let eof = |mid_message| Seen::Closed(Party::Peer, ClosedWhy::EndOfFile { mid_message });
    assert_eq!(ended(frame(0x81, "whole")), eof(false));
    assert_eq!(ended(vec![0x81]), eof(true));
    assert_eq!(ended(frame(0x81, "cut")[..8].to_vec()), eof(true));
    assert_eq!(ended(frame(0x01, "unfinished")), eof(true));

    let mut server = End::server();
    close(&mut server).unwrap();
    assert_eq!(server.eof(), [eof(false)]);
    assert_eq!(server.eof(), [], "the end is told once");
}

#[test]
fn a_close_that_nobody_answers_ends_at_its_deadline() {
    let mut server = End::server();
    close(&mut server).unwrap();
    let timeout = server.connection.config().close_timeout;
    assert_eq!(server.connection.poll_timeout(), Some(server.now + timeout));
    assert_eq!(server.wait(timeout - Duration::from_millis(1)), []);
    assert_eq!(
        server.wait(Duration::from_millis(1)),
        [Seen::Closed(Party::Peer, ClosedWhy::CloseTimeout)]
    );
    assert_eq!(server.connection.poll_timeout(), None);
    assert!(server.connection.is_closed());
}

#[test]
fn codes_and_reasons_that_may_not_be_received() {
    let refused = |payload: &[u8]| {
        let mut server = End::server();
        let seen = server.receive(frame(0x88, payload));
        let sent = server.sent();
        (seen, u16::from_be_bytes([sent[2], sent[3]]))
    };
    assert_eq!(refused(b"\x03"), (vec![Seen::Error(CloseTooShort)], 1002));
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        let error = Seen::Error(InvalidCloseCode(code));
        assert_eq!(refused(&code.to_be_bytes()), (vec![error], 1002));
    }
    assert_eq!(
        refused(b"\x03\xe8\xce\xba\xe1\xbd\xff"),
        (vec![Seen::Error(InvalidCloseReason)], 1007)
    );
}

#[test]
fn a_reason_too_long_is_refused_and_leaves_the_connection_open() {
    let mut server = End::server();
    let reason = "x".repeat(124);
    let close = Close {
        code: CloseCode::NORMAL,
        reason: &reason,
    };
    let refused = server.both(|end, send, now| end.close(now, Some(close), send));
    assert_eq!(refused, Err(SendError::ReasonTooLong));
    assert!(server.connection.is_open());
    assert_eq!(server.sent(), b"");
}

fn close(end: &mut End) -> Result<(), SendError> {
    end.both(|connection, send, now| connection.close(now, Some(BYE), send))
}

fn closed(by: Party, code: Option<CloseCode>) -> Seen {
    Seen::Closed(by, ClosedWhy::Handshake { code })
}
