//! Pings of our own, their deadline, and idleness, on a virtual clock.

use std::time::Duration;

use openline::proto::{ClosedWhy, Config, Party, Role};

use crate::pair::{End, Seen, frame, text};

fn timed() -> End {
    let config = Config {
        ping_interval: Some(Duration::from_secs(30)),
        pong_timeout: Duration::from_secs(10),
        idle_timeout: Some(Duration::from_secs(100)),
        ..Config::default()
    };
    End::new(Role::Server, config)
}

#[test]
fn a_silent_peer_is_pinged_and_lives_if_it_answers() {
    let mut server = timed();
    assert_eq!(server.wait(seconds(30)), []);
    assert_eq!(server.sent(), b"\x89\x00");
    assert_eq!(server.receive(frame(0x8a, "")), [Seen::Pong(vec![])]);
    assert_eq!(server.wait(seconds(29)), []);
    assert_eq!(server.sent(), b"");
    server.wait(seconds(1));
    assert_eq!(server.sent(), b"\x89\x00");
}

#[test]
fn a_ping_left_unanswered_ends_the_connection_at_its_deadline() {
    let mut server = timed();
    server.wait(seconds(30));
    server.sent();
    assert_eq!(
        server.connection.poll_timeout(),
        Some(server.now + seconds(10))
    );
    assert_eq!(server.wait(seconds(9)), []);
    assert_eq!(
        server.wait(seconds(1)),
        [Seen::Closed(Party::Peer, ClosedWhy::PongTimeout)]
    );
    assert_eq!(server.sent()[2..4], 1011_u16.to_be_bytes());
}

#[test]
fn a_slow_message_shows_life() {
    let mut server = timed();
    let slow = frame(0x81, "slow");
    server.receive(&slow[..7]);
    server.wait(seconds(30));
    assert_eq!(server.sent(), b"\x89\x00");
    server.receive(&slow[7..8]);
    assert_eq!(server.wait(seconds(20)), []);
    assert_eq!(server.receive(&slow[8..]), [text("slow")]);
}

#[test]
fn without_messages_we_say_goodbye() {
    let mut server = timed();
    for _ in 0..5 {
        server.wait(seconds(19));
        server.receive(frame(0x89, ""));
        server.sent();
    }
    assert_eq!(server.wait(seconds(5)), []);
    assert_eq!(server.sent()[2..4], 1001_u16.to_be_bytes());
    assert_eq!(
        server.receive(frame(0x88, b"\x03\xe9")).last(),
        Some(&Seen::Closed(Party::Us, ClosedWhy::IdleTimeout))
    );
}

#[test]
fn an_early_call_does_nothing() {
    let mut server = timed();
    for _ in 0..29 {
        assert_eq!(server.wait(seconds(1)), []);
        assert_eq!(server.sent(), b"");
    }
}

#[test]
fn without_an_interval_there_is_no_timer() {
    let config = Config {
        ping_interval: None,
        ..Config::default()
    };
    let server = End::new(Role::Server, config);
    assert_eq!(server.connection.poll_timeout(), None);
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
