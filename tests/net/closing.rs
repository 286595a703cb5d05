//! The end, in every order (RFC 6455 §7), and what must not be lost at it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use openline::net::{LoopConfig, Message, Peer};
use openline::proto::{CloseCode, Config, SendError};

use crate::support::{
    Answer, BINARY, CLOSE, PATIENCE, PING, PONG, Raw, Seen, Server, TEXT, config, echo, frame,
};

#[test]
fn they_close_first() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(CLOSE, b"\x0f\xa0bye\x1b[2J"));
    assert_eq!(raw.frame(), (CLOSE, b"\x0f\xa0".to_vec()));
    assert_eq!(raw.rest(), b"");
    assert!(matches!(server.next(), Seen::Open(..)));
    assert_eq!(
        server.next(),
        Seen::Closing(Some((4000, "bye\u{1b}[2J".to_owned())))
    );
    let end = server.end();
    assert!(end.contains("by: Peer") && end.contains("4000"), "{end}");
    server.stop();
}

#[test]
fn we_close_first_and_still_hear_the_peer_out() {
    let server = Server::start(
        config(Config::default()),
        |peer: &mut Peer<'_>, message: Message<'_>| match message {
            Message::Text("close") => peer.close(CloseCode::NORMAL, "as you wish"),
            _ => peer.send(message),
        },
    );
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"close"));
    assert_eq!(raw.frame(), (CLOSE, b"\x03\xe8as you wish".to_vec()));
    raw.send(&frame(TEXT, b"too late for an answer"));
    raw.send(&frame(CLOSE, b"\x03\xe8"));
    assert_eq!(raw.rest(), b"");
    let end = server.end();
    assert!(end.contains("by: Us") && end.contains("1000"), "{end}");
    server.stop();
}

#[test]
fn a_protocol_error_is_told_and_then_the_stream_ends() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"\xff"));
    // Unread input at the close must not destroy the Close frame.
    raw.send(&frame(BINARY, &[0; 100_000]));
    let (first, payload) = raw.frame();
    assert_eq!((first, &payload[..2]), (CLOSE, &1007_u16.to_be_bytes()[..]));
    assert_eq!(raw.rest(), b"");
    assert!(server.end().contains("InvalidUtf8"));
    server.stop();
}

#[test]
fn an_end_of_file_without_a_close_is_told_and_replies_still_arrive() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    let payload = vec![7; 600_000];
    raw.send(&frame(BINARY, &payload));
    raw.send(&frame(TEXT, b"last"));
    raw.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(raw.frame(), (BINARY, payload));
    assert_eq!(raw.frame(), (TEXT, b"last".to_vec()));
    assert_eq!(raw.rest(), b"");
    let end = server.end();
    assert!(end.contains("EndOfFile { mid_message: false }"), "{end}");
    server.stop();
}

#[test]
fn an_end_of_file_within_a_frame_is_told_as_such() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(BINARY, &[7; 1000])[..500]);
    raw.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(raw.rest(), b"");
    let end = server.end();
    assert!(end.contains("EndOfFile { mid_message: true }"), "{end}");
    server.stop();
}

#[test]
fn a_reset_within_a_frame_ends_it_at_once() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"unread"));
    raw.send(&frame(BINARY, &[7; 100_000])[..50_000]);
    assert_eq!(server.next_message(), b"unread");
    thread::sleep(Duration::from_millis(50));
    // Closed over unread input, the socket is reset.
    drop(raw);
    assert_eq!(server.end(), "Reset");
    server.stop();
}

#[test]
fn a_large_reply_and_a_close_arrive_whole_over_unread_input() {
    const SIZE: usize = 8 << 20;
    let server = Server::start(
        config(Config::default()),
        |peer: &mut Peer<'_>, message: Message<'_>| match message {
            Message::Text("all of it") => {
                peer.send_binary(&vec![5; SIZE])?;
                peer.close(CloseCode::NORMAL, "")
            }
            _ => Err(SendError::Closed),
        },
    );
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"all of it"));
    // We answer the Close blindly, and talk on regardless.
    raw.send(&frame(CLOSE, b"\x03\xe8"));
    raw.send(&vec![0; 200_000]);
    thread::sleep(Duration::from_millis(200));
    let (first, payload) = raw.frame();
    assert_eq!((first, payload.len()), (BINARY, SIZE));
    assert!(payload.iter().all(|byte| *byte == 5));
    assert_eq!(raw.frame(), (CLOSE, b"\x03\xe8".to_vec()));
    assert_eq!(raw.rest(), b"");
    server.stop();
}

#[test]
fn a_peer_that_talks_on_without_end_is_cut_off() {
    let config = LoopConfig {
        linger_size_max: 100_000,
        ..config(Config::default())
    };
    let server = Server::start(config, echo);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"\xff"));
    assert_eq!(raw.frame().0, CLOSE);
    let mut sent = 0;
    while raw.0.write(&[0; 10_000]).is_ok() {
        sent += 10_000;
        assert!(sent < 100 << 20, "the socket is closed at last");
    }
    server.stop();
}

#[test]
fn a_peer_that_never_closes_its_side_is_cut_off() {
    let mut config = config(Config::default());
    config.linger_timeout = Duration::from_millis(100);
    let server = Server::start(config, echo);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"\xff"));
    assert_eq!(raw.frame().0, CLOSE);
    assert!(is_closed(&mut raw));
    server.stop();
}

#[test]
fn after_both_closes_nothing_is_waited_for() {
    let server = Server::start(patient(), echo);
    let raw = Raw::open(server.address);
    assert!(closes_at_once(raw));
    server.stop();
}

#[test]
fn a_pong_that_is_owed_is_no_reason_for_a_reset() {
    let ping = |peer: &mut Peer<'_>, _: Message<'_>| peer.ping(b"x");
    let server = Server::start(patient(), ping);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"a ping, please"));
    assert_eq!(raw.frame(), (PING, b"x".to_vec()));
    assert!(!closes_at_once(raw));
    server.stop();
}

#[test]
fn neither_is_one_that_answers_the_timers_ping() {
    let mut config = patient();
    config.protocol = Arc::new(Config {
        ping_interval: Some(Duration::from_millis(20)),
        ..Config::default()
    });
    let server = Server::start(config, echo);
    let mut raw = Raw::open(server.address);
    assert_eq!(raw.frame(), (PING, Vec::new()));
    assert!(!closes_at_once(raw));
    server.stop();
}

#[test]
fn who_sends_on_behind_its_close_is_heard_out() {
    let server = Server::start(patient(), echo);
    let mut raw = Raw::open(server.address);
    raw.send(&[frame(CLOSE, b""), frame(TEXT, b"too late")].concat());
    assert_eq!(raw.frame(), (CLOSE, Vec::new()));
    assert!(!is_closed(&mut raw));
    server.stop();
}

/// A loop that, where it waits for the peer, waits longer than any test looks.
fn patient() -> LoopConfig {
    LoopConfig {
        linger_timeout: PATIENCE,
        ..config(Config::default())
    }
}

/// Whether the server closes its socket as soon as it has answered a Close.
fn closes_at_once(mut raw: Raw) -> bool {
    raw.send(&frame(CLOSE, b""));
    assert_eq!(raw.frame(), (CLOSE, Vec::new()));
    is_closed(&mut raw)
}

/// Whether the server has closed its socket, not only its sending direction. When it does is not
/// ours to see, but what is written afterwards is answered by a reset, and the next write fails.
fn is_closed(raw: &mut Raw) -> bool {
    assert_eq!(raw.0.read(&mut [0; 1]).unwrap(), 0);
    (0..25).any(|_| {
        thread::sleep(Duration::from_millis(20));
        raw.0.write_all(&frame(PONG, b"x")).is_err()
    })
}

/// Closes at the callback of its name.
struct ClosesAt(&'static str);

impl ClosesAt {
    fn at(&self, place: &str, peer: &mut Peer<'_>) {
        if self.0 == place {
            // A second time it is refused; that is all.
            let _ = peer.close(CloseCode::NORMAL, "");
            assert_eq!(peer.close(CloseCode::NORMAL, ""), Err(SendError::Closed));
        }
    }
}

impl Answer for ClosesAt {
    fn open(&mut self, peer: &mut Peer<'_>) {
        self.at("open", peer);
    }

    fn message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
        self.at("message", peer);
        peer.send(message)
    }

    fn control(&mut self, peer: &mut Peer<'_>) {
        self.at("control", peer);
    }

    fn flushed(&mut self, peer: &mut Peer<'_>) {
        self.at("flushed", peer);
    }
}

#[test]
fn any_callback_may_close() {
    for place in ["open", "message", "control", "flushed"] {
        for first in [TEXT, PING, PONG, CLOSE] {
            let server = Server::start(config(Config::default()), ClosesAt(place));
            let mut raw = Raw::open(server.address);
            raw.send(&frame(first, b""));
            raw.send(&frame(CLOSE, b"\x03\xe8"));
            let rest = raw.rest();
            let closes = [&b"\x88\x00"[..], b"\x88\x02\x03\xe8"];
            assert!(
                closes.iter().any(|close| rest.ends_with(close)),
                "{place} {first:x} {rest:?}"
            );
            assert!(server.end().contains("Handshake"), "{place} {first:x}");
            server.stop();
        }
    }
}

#[test]
fn a_handler_that_cannot_send_has_the_connection_closed() {
    let server = Server::start(
        config(Config::default()),
        |peer: &mut Peer<'_>, _: Message<'_>| peer.ping(&[0; 126]),
    );
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"x"));
    assert_eq!(raw.frame(), (CLOSE, 1011_u16.to_be_bytes().to_vec()));
    server.stop();
}
