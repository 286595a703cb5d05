//! A peer that does not read is not listened to, and loses nothing when it does.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use openline::net::{Message, Peer};
use openline::proto::{Config, SendError};

use crate::support::{Answer, BINARY, PING, PONG, Raw, Server, config, frame};

const SEND_QUEUE_MAX: usize = 64 << 10;
const MESSAGE: usize = 10_000;

/// Echoes, and sees that little waits.
struct Bounded;

impl Answer for Bounded {
    fn message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
        assert!(peer.queued() < SEND_QUEUE_MAX);
        peer.send(message)
    }

    fn control(&mut self, peer: &mut Peer<'_>) {
        assert!(peer.queued() < SEND_QUEUE_MAX + 200);
    }
}

/// Writes `frame` until no more is taken; returns how many times, and what is left of the last.
fn fill(raw: &mut Raw, frame: &[u8]) -> (usize, Vec<u8>) {
    raw.0
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut whole = 0;
    let mut at = 0;
    loop {
        match raw.0.write(&frame[at..]) {
            Ok(n) => at += n,
            Err(error) => {
                assert!(matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut
                ));
                return (whole, frame[at..].to_vec());
            }
        }
        if at == frame.len() {
            (whole, at) = (whole + 1, 0);
        }
        assert!(whole * frame.len() < 1 << 30, "the server stops listening");
    }
}

#[test]
fn an_echo_to_a_peer_that_never_reads_stops_and_then_resumes() {
    let protocol = Config {
        send_queue_max: SEND_QUEUE_MAX,
        ..Config::default()
    };
    let server = Server::start(config(protocol), Bounded);
    let mut raw = Raw::open(server.address);
    let (whole, rest) = fill(&mut raw, &frame(BINARY, &[3; MESSAGE]));

    // Others are served as ever.
    let mut other = Raw::open(server.address);
    other.send(&frame(BINARY, b"quick"));
    assert_eq!(other.frame(), (BINARY, b"quick".to_vec()));

    for n in 0..whole {
        assert_eq!(raw.frame(), (BINARY, vec![3; MESSAGE]), "{n} of {whole}");
    }
    raw.send(&rest);
    assert_eq!(raw.frame(), (BINARY, vec![3; MESSAGE]));
    server.stop();
}

#[test]
fn a_flood_of_pings_is_bounded_and_answered() {
    let protocol = Config {
        send_queue_max: SEND_QUEUE_MAX,
        ..Config::default()
    };
    let server = Server::start(config(protocol), Bounded);
    let mut raw = Raw::open(server.address);
    let (whole, rest) = fill(&mut raw, &frame(PING, &[9; 125]));
    for _ in 0..whole {
        assert_eq!(raw.frame(), (PONG, vec![9; 125]));
    }
    raw.send(&rest);
    assert_eq!(raw.frame(), (PONG, vec![9; 125]));
    server.stop();
}

/// Sends the next part whenever the last has left.
struct Parts(u32);

impl Answer for Parts {
    fn message(&mut self, peer: &mut Peer<'_>, _: Message<'_>) -> Result<(), SendError> {
        self.0 = 500;
        peer.send_binary(&[0; MESSAGE])
    }

    fn flushed(&mut self, peer: &mut Peer<'_>) {
        if let Some(left) = self.0.checked_sub(1) {
            self.0 = left;
            peer.send_binary(&[0; MESSAGE]).unwrap();
        }
    }
}

#[test]
fn something_long_is_sent_part_by_part() {
    let server = Server::start(config(Config::default()), Parts(0));
    let mut raw = Raw::open(server.address);
    raw.send(&frame(BINARY, b"go"));
    for _ in 0..501 {
        assert_eq!(raw.frame(), (BINARY, vec![0; MESSAGE]));
    }
    server.stop();
}
