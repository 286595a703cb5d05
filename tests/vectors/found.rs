//! The replay can fail: a wrong peer is found, and so is a wrong expectation.

use std::time::Instant;

use openline::conformance::{Behavior, BehaviorClose, Case, Vectors};
use openline::proto::Role;

use crate::peer::{Core, Peer};
use crate::replay::{Replay, Split, replay};

/// The core, with a fault between it and the player.
struct Faulty<F> {
    core: Core,
    fault: F,
    closes: bool,
}

impl<F: FnMut(Vec<u8>) -> Vec<u8>> Peer for Faulty<F> {
    fn receive(&mut self, now: Instant, bytes: &[u8]) {
        self.core.receive(now, bytes);
    }

    fn receive_eof(&mut self, now: Instant) {
        self.core.receive_eof(now);
    }

    fn take(&mut self) -> Vec<u8> {
        (self.fault)(self.core.take())
    }

    fn is_done(&self) -> bool {
        self.closes && self.core.is_done()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.core.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.core.handle_timeout(now);
    }
}

/// Plays an embedded case against a server whose bytes pass through `fault`.
fn against(id: &str, fault: impl FnMut(Vec<u8>) -> Vec<u8>) -> Replay {
    let case = Vectors::embedded().case(id).expect("a case of this id");
    let now = Instant::now();
    let peer = Faulty {
        core: Core::new(Role::Server, case, now),
        fault,
        closes: true,
    };
    replay(case, Role::Server, Split::Whole, peer, now)
}

/// Replaces bytes wherever they stand.
fn replace<const N: usize>(from: [u8; N], to: [u8; N]) -> impl FnMut(Vec<u8>) -> Vec<u8> {
    move |mut bytes| {
        for at in 0..bytes.len().saturating_sub(N - 1) {
            if bytes[at..at + N] == from {
                bytes[at..at + N].copy_from_slice(&to);
            }
        }
        bytes
    }
}

#[test]
fn a_byte_that_comes_back_wrong_is_found() {
    let found = against("1.1.2", replace(*b"***", *b"*#*"));
    assert_eq!(found.outcome.behavior, Behavior::Failed);
    assert!(
        found.outcome.result.contains("from byte 1 on"),
        "{}",
        found.outcome.result
    );
}

#[test]
fn an_echo_of_the_wrong_kind_is_found() {
    let found = against("1.1.2", replace([0x81, 125], [0x82, 125]));
    assert_eq!(found.outcome.behavior, Behavior::Failed);
}

#[test]
fn a_close_code_that_does_not_fit_is_found() {
    let found = against(
        "1.1.2",
        replace([0x88, 2, 0x03, 0xe8], [0x88, 2, 0x03, 0xe9]),
    );
    assert_eq!(found.outcome.behavior, Behavior::Ok);
    assert_eq!(found.outcome.behavior_close, BehaviorClose::WrongCode);
    assert!(!found.outcome.passed());
}

#[test]
fn a_frame_against_the_protocol_is_found() {
    for (wrong, section) in [
        ([0xc1, 125], "5.2"), // RSV1
        ([0x83, 125], "5.2"), // a reserved opcode
        ([0x80, 125], "5.4"), // a continuation of nothing
        ([0xa1, 125], "5.2"), // RSV2
    ] {
        let found = against("1.1.2", replace([0x81, 125], wrong));
        assert_eq!(found.outcome.behavior, Behavior::Failed, "{wrong:x?}");
        assert!(
            found.outcome.result.contains(section),
            "{}",
            found.outcome.result
        );
    }
}

#[test]
fn a_server_that_says_nothing_is_found_in_time() {
    let found = against("1.1.2", |_| Vec::new());
    assert_eq!(found.outcome.behavior, Behavior::Failed);
    assert!(!found.outcome.opened && found.outcome.dropped_by_us);
}

#[test]
fn a_server_that_leaves_the_connection_open_is_found() {
    let case = Vectors::embedded().case("1.1.2").expect("a case");
    let now = Instant::now();
    let peer = Faulty {
        core: Core::new(Role::Server, case, now),
        fault: |bytes| bytes,
        closes: false,
    };
    let found = replay(case, Role::Server, Split::Whole, peer, now);
    assert_eq!(found.outcome.behavior, Behavior::Ok);
    assert_eq!(found.outcome.behavior_close, BehaviorClose::FailedByClient);
}

#[test]
fn a_server_that_accepts_anything_is_found() {
    // The response of a server that lets version 8 in.
    let lets_in = |bytes: Vec<u8>| match bytes.starts_with(b"HTTP/1.1 426") {
        true => b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                  Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
            .to_vec(),
        false => bytes,
    };
    let found = against("handshake/server/version/8", lets_in);
    assert_eq!(found.outcome.behavior, Behavior::Failed);
}

#[test]
fn a_wrong_expectation_is_found_and_shown_frame_by_frame() {
    let case = one_case(
        r#"family "x" "x" {
            case "x" {
                title "An echo that shouts"
                rfc "RFC 6455 §5.6"
                send { text "hello" }
                expect { text "HELLO" }
            }
        }"#,
    );
    for role in [Role::Server, Role::Client] {
        let now = Instant::now();
        let found = replay(&case, role, Split::Octets, Core::new(role, &case, now), now);
        assert_eq!(found.outcome.behavior, Behavior::Failed);
        let report = found.report(&case, role, Split::Octets);
        for said in [
            "x (RFC 6455 §5.6)",
            "differ from byte 0 on",
            "text",
            "hello",
        ] {
            assert!(report.contains(said), "{said} is missing in\n{report}");
        }
    }
}

pub fn one_case(text: &str) -> Case {
    let vectors = Vectors::parse([("test.kdl", text)]).unwrap_or_else(|error| panic!("{error}"));
    vectors.cases()[0].clone()
}
