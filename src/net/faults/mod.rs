//! Errors and partial transfers at every system call beneath a connection, in both roles, and
//! beneath the loop, and their laws:
//!
//! - What was read once and answered is not lost, whatever the sizes of reads and writes.
//! - A connection that is lost is dropped at once, and what had left before is a prefix of what
//!   would have left.
//! - The end is told exactly once, and the descriptor returns.
//! - No turn is asked for in which nothing can be done.
//! - A loop that cannot have one socket, or wait once, has all the others as before.

mod accepting;
mod calls;
mod drive;
mod kernel;
mod peer;
mod polling;

use std::io::{self, ErrorKind};

use proptest::collection::vec;
use proptest::prelude::*;

pub(in crate::net) use calls::{Call, check, dialled};
use drive::{Outcome, Talk, We, run};
pub(in crate::net) use kernel::Scripted;
use kernel::{Fault, Script};
use peer::Wire;

fn talk() -> impl Strategy<Value = Talk> {
    let size = prop_oneof![0..200_usize, 120..130_usize, 3000..20_000_usize];
    let messages = vec(size, 0..8);
    let pieces = vec(prop_oneof![1..40_usize, 1000..40_000_usize], 1..8);
    (messages, pieces, any::<bool>()).prop_map(|(messages, pieces, says_close)| Talk {
        messages,
        pieces,
        says_close,
    })
}

/// What passes.
fn passing(count: usize) -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        3 => Just(Fault::Whole),
        4 => Just(Fault::OneByte),
        2 => Just(Fault::WouldBlock),
        2 => Just(Fault::Interrupted),
    ];
    vec(fault, 0..count)
}

/// A connect that takes a while: what is told before is about something else.
fn slow_connect() -> impl Strategy<Value = Vec<Fault>> {
    vec(Just(Fault::WouldBlock), 0..4)
}

fn fatal() -> impl Strategy<Value = ErrorKind> {
    prop_oneof![
        Just(ErrorKind::ConnectionReset),
        Just(ErrorKind::BrokenPipe),
        Just(ErrorKind::ConnectionAborted),
        Just(ErrorKind::TimedOut),
        Just(ErrorKind::HostUnreachable),
        Just(ErrorKind::OutOfMemory),
    ]
}

fn way() -> impl Strategy<Value = (We, Wire)> {
    let we = proptest::sample::select(We::ALL.to_vec());
    let wire = proptest::sample::select(Wire::ALL.to_vec());
    (we, wire)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_loses_nothing(
        (we, wire) in way(), talk in talk(),
        recv in passing(300), send in passing(300), connect in slow_connect(),
    ) {
        let talk = talk.with(we);
        let expected = run(we, wire, &talk, Script::default());
        prop_assert_eq!(expected.messages, talk.messages.len());
        let outcome = run(we, wire, &talk, Script { recv, send, half_close: None, connect });
        prop_assert_eq!(&outcome.ends, &expected.ends);
        prop_assert_eq!(outcome.messages, expected.messages);
        prop_assert!(outcome.received == expected.received, "bytes are lost");
    }

    #[test]
    fn what_is_fatal_ends_it_once(
        (we, wire) in way(), talk in talk(),
        mut recv in passing(300), mut send in passing(300), connect in slow_connect(),
        kind in fatal(), at_recv in any::<bool>(), half_close in proptest::option::of(fatal()),
    ) {
        let talk = talk.with(we);
        let expected = run(we, wire, &talk, Script::default());
        let calls = if at_recv { &mut recv } else { &mut send };
        calls.push(Fault::Fatal(kind));
        let outcome = run(we, wire, &talk, Script { recv, send, half_close, connect });
        prop_assert!(expected.received.starts_with(&outcome.received), "bytes are made up");
        prop_assert!(outcome.messages <= expected.messages);
        prop_assert_eq!(outcome.ends.len(), 1, "{:?}", outcome.ends);
    }
}

const TALK: [usize; 3] = [10, 9000, 0];

fn all() -> impl Iterator<Item = (We, Wire, Talk)> {
    let talk = Talk {
        messages: TALK.to_vec(),
        pieces: vec![50, 700, 3],
        says_close: true,
    };
    let pairs = We::ALL
        .into_iter()
        .flat_map(|we| Wire::ALL.map(|wire| (we, wire)));
    pairs.map(move |(we, wire)| (we, wire, talk.clone()))
}

#[test]
fn each_call_may_fail() {
    for (we, wire, talk) in all() {
        let expected = run(we, wire, &talk, Script::default());
        assert_eq!(expected.ends, ["closed"], "{we:?}, {wire:?}");
        let calls = expected.counts;
        assert!(calls.recv > 10 && calls.send >= 3, "{calls:?}");
        assert!((calls.connect > 0) != we.is_server(), "{calls:?}");
        for (kind, label) in [
            (ErrorKind::ConnectionReset, "reset"),
            (ErrorKind::BrokenPipe, "reset"),
            (ErrorKind::TimedOut, "io-error"),
        ] {
            let at = |call| {
                let mut script = vec![Fault::Whole; call];
                script.push(Fault::Fatal(kind));
                script
            };
            let fails = |script| {
                let outcome = run(we, wire, &talk, script);
                check_end(we, &outcome, &expected, label);
                outcome
            };
            for call in 0..calls.recv {
                let recv = at(call);
                fails(Script {
                    recv,
                    ..Script::default()
                });
            }
            for call in 0..calls.send {
                let send = at(call);
                fails(Script {
                    send,
                    ..Script::default()
                });
            }
            for call in 0..calls.connect {
                let connect = at(call);
                let outcome = fails(Script {
                    connect,
                    ..Script::default()
                });
                assert_eq!(outcome.ends, ["connect-failed"]);
            }
            let half_close = Some(kind);
            fails(Script {
                half_close,
                ..Script::default()
            });
        }
    }
}

fn check_end(we: We, outcome: &Outcome, expected: &Outcome, label: &'static str) {
    assert!(expected.received.starts_with(&outcome.received));
    // On the way to a server any failure is one of the way; after the closing handshake it makes
    // no difference any more.
    let on_the_way = match we {
        We::Serve | We::Publish => label,
        We::Connect | We::ConnectByProxy => "connect-failed",
    };
    assert_eq!(outcome.ends.len(), 1, "{:?}", outcome.ends);
    let end = outcome.ends[0];
    assert!(
        [label, "closed", on_the_way].contains(&end),
        "{end}, and not {label}"
    );
    // What the handler had answered when it was told the end by a Close has left.
    if end == "closed" {
        assert_eq!(outcome.messages, expected.messages);
    }
}

#[test]
fn a_client_that_cannot_have_its_socket_is_told_once() {
    for (we, wire, talk) in all().filter(|(we, ..)| !we.is_server()) {
        for call in [Call::Register, Call::Reregister] {
            let failure = io::Error::from_raw_os_error(ENOSPC);
            calls::fail(call, [Some(failure)]);
            let outcome = run(we, wire, &talk, Script::default());
            assert_eq!(
                outcome.ends,
                ["connect-failed"],
                "{we:?}, {wire:?}, {call:?}"
            );
            assert_eq!((outcome.messages, outcome.received.len()), (0, 0));
        }
    }
}

/// What `epoll_ctl` says when a user watches too much.
const ENOSPC: i32 = 28;
