//! Pings of our own, their deadline, and idleness, on a virtual clock.

use std::time::{Duration, Instant};

use openline::proto::{ClosedWhy, Config, Delivery, Party, ProtocolError, Role};

use crate::pair::{End, Seen, frame, text};

fn config() -> Config {
    Config {
        ping_interval: Some(Duration::from_secs(30)),
        pong_timeout: Duration::from_secs(10),
        idle_timeout: Some(Duration::from_secs(100)),
        ..Config::default()
    }
}

fn timed() -> End {
    End::new(Role::Server, config())
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

#[test]
fn a_message_that_is_not_finished_in_time_fails_the_connection() {
    let config = Config {
        message_timeout: Some(seconds(60)),
        ping_interval: None,
        ..Config::default()
    };
    for head in [&frame(0x81, "slow")[..7], &frame(0x01, "slow")] {
        let mut server = End::new(Role::Server, config.clone());
        server.wait(seconds(1000));
        server.receive(head);
        let deadline = Some(server.now + seconds(60));
        assert_eq!(server.connection.poll_timeout(), deadline);
        // Other bytes of it, and control frames, gain no time.
        assert_eq!(server.wait(seconds(59)), []);
        if head.len() > 7 {
            server.receive(frame(0x89, ""));
            server.sent();
            server.receive(frame(0x00, ""));
        }
        let error = ProtocolError::MessageTooSlow { max: seconds(60) };
        assert_eq!(server.wait(seconds(1)), [Seen::Error(error)]);
        assert_eq!(server.sent()[2..4], 1008_u16.to_be_bytes());
    }
}

#[test]
fn the_time_of_a_message_begins_anew_with_each() {
    let config = Config {
        message_timeout: Some(seconds(60)),
        ping_interval: None,
        ..Config::default()
    };
    let slow = frame(0x81, "slow");
    let mut server = End::new(Role::Server, config.clone());
    for _ in 0..3 {
        server.receive(&slow[..7]);
        assert_eq!(server.wait(seconds(59)), []);
        assert_eq!(server.receive(&slow[7..]), [text("slow")]);
        assert_eq!(server.connection.poll_timeout(), None);
    }
    // In chunks nothing is held, so that a message may last for ever.
    let mut server = End::new(
        Role::Server,
        Config {
            delivery: Delivery::Chunks,
            ..config
        },
    );
    server.receive(&slow[..7]);
    assert_eq!(server.connection.poll_timeout(), None);
}

#[test]
fn a_peer_that_takes_what_we_send_is_alive() {
    let mut server = End::alone(Role::Server, config(), Instant::now());
    server.wait(seconds(30));
    assert_eq!(server.sent(), b"\x89\x00");
    server.wait(seconds(9));
    server.connection.handle_progress(server.now);
    assert_eq!(server.wait(seconds(29)), []);
    assert_eq!(server.sent(), b"");
    server.wait(seconds(1));
    assert_eq!(server.sent(), b"\x89\x00");
    assert_eq!(
        server.wait(seconds(10)),
        [Seen::Closed(Party::Peer, ClosedWhy::PongTimeout)]
    );
}
