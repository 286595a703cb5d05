//! Errors and partial transfers at every system call beneath a connection, and their laws:
//!
//! - What was read once and answered is not lost, whatever the sizes of reads and writes.
//! - A connection that is lost is dropped at once, and what had left before is a prefix of what
//!   would have left.
//! - The end is told exactly once, and the descriptor returns.
//! - No turn is asked for in which nothing can be done.

mod accepting;
mod kernel;
mod peer;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Poll;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::net::buffers::Buffers;
use crate::net::config::LoopConfig;
use crate::net::decision::{Asking, Decision};
use crate::net::end::End;
use crate::net::event_loop::Seed;
use crate::net::handler::{Handler, Message};
use crate::net::hub::{Hub, Place};
use crate::net::peer::Peer;
use crate::net::session::{Context, Flow, Session};
use crate::proto::{Acceptance, Config, Refusal, Request, SendError};

pub(in crate::net) use kernel::Scripted;
use kernel::{Counts, Fault, Kernel, Script};
use peer::{Client, Wire};

/// Echoes, and remembers what it is told.
#[derive(Default)]
struct Witness {
    messages: usize,
    ends: Vec<&'static str>,
}

impl Handler for Witness {
    type Connection = ();

    fn request(&mut self, _: &Request<'_>, _: &Asking<'_>) -> Result<Decision<()>, Refusal> {
        Ok(Decision::Accept(Acceptance::default(), ()))
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        assert!(self.ends.is_empty(), "a message after the end");
        self.messages += 1;
        peer.send(message)
    }

    fn end(&mut self, _: Option<()>, end: &End) {
        self.ends.push(end.why.label());
    }
}

/// What a client says, in pieces of which sizes, and how it leaves.
#[derive(Clone, Debug)]
struct Talk {
    messages: Vec<usize>,
    pieces: Vec<usize>,
    says_close: bool,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    /// What the client got to read, beneath TLS.
    received: Vec<u8>,
    messages: usize,
    ends: Vec<&'static str>,
    counts: Counts,
}

/// Has a server's session and a client talk to the end, and looks on that no turn is wasted.
fn run(wire: Wire, talk: &Talk, script: Script) -> Outcome {
    let config = LoopConfig {
        protocol: Arc::new(Config {
            // Small enough that backpressure is felt.
            send_queue_max: 4 << 10,
            ..Config::default()
        }),
        ..LoopConfig::default()
    };
    let seed = Seed::group(1, &config).unwrap().remove(0);
    let poll = Poll::new().unwrap();
    let mut hub = Hub::new(0, seed.remote(), Instant::now(), config.subscriptions_max);
    let (mut handler, mut buffers, mut revivals) = (Witness::default(), Buffers::default(), vec![]);
    let kernel = Kernel::new(script);
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let place = Place {
        index: 0,
        generation: 1,
    };
    let transport = wire.transport(kernel.socket());
    let mut session = Some(Session::accepted(transport, address, place, hub.now, false));
    let mut client = Client::new(wire, &talk.messages, talk.says_close);
    let mut pieces = talk.pieces.iter().copied().cycle();
    let mut on_its_way: Vec<u8> = Vec::new();
    let (mut again, mut deadlines) = (false, 0);
    while let Some(served) = &mut session {
        client.receive(&kernel.departed());
        on_its_way.extend(client.outgoing());
        let mut event = kernel.event();
        if event.is_none() && !again {
            // Nothing is to be done until something comes from outside.
            if !on_its_way.is_empty() {
                let size = pieces.next().unwrap_or(usize::MAX).min(on_its_way.len());
                kernel.arrive(on_its_way.drain(..size));
            } else if !kernel.has_ended() && (client.is_done() || kernel.is_half_closed()) {
                kernel.end();
            } else {
                deadlines += 1;
                assert!(deadlines < 3, "it hangs: {:?}", handler.ends);
                let deadline = served.deadline(&config);
                hub.now = deadline.expect("it hangs for ever") + Duration::from_millis(1);
            }
            event = kernel.event();
        }
        let mut cx = Context {
            handler: &mut handler,
            buffers: &mut buffers,
            hub: &mut hub,
            config: &config,
            registry: poll.registry(),
            revivals: &mut revivals,
        };
        let before = kernel.counts();
        let flow = match event {
            Some(ready) => served.handle_ready(ready, &mut cx),
            None if again => served.handle_again(&mut cx),
            None => served.handle_timeout(&mut cx),
        };
        let after = kernel.counts();
        let calls = (after.recv + after.send) - (before.recv + before.send);
        // Each call moves a byte, or is the last of its kind in the turn; a turn has some reads
        // and writes, and signals.
        assert!(calls < 200, "{calls} calls in a turn");
        if flow == Flow::Again {
            assert!(after.moved > before.moved, "it spins");
        }
        again = flow == Flow::Again;
        if flow == Flow::Drop {
            session = None;
        }
    }
    assert!(kernel.is_closed(), "a descriptor leaks");
    client.receive(&kernel.departed());
    Outcome {
        received: client.received,
        messages: handler.messages,
        ends: handler.ends,
        counts: kernel.counts(),
    }
}

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
fn passing() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        3 => Just(Fault::Whole),
        4 => Just(Fault::OneByte),
        2 => Just(Fault::WouldBlock),
        2 => Just(Fault::Interrupted),
    ];
    vec(fault, 0..300)
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

fn wire() -> impl Strategy<Value = Wire> {
    proptest::sample::select(Wire::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_loses_nothing(
        wire in wire(), talk in talk(), recv in passing(), send in passing(),
    ) {
        let expected = run(wire, &talk, Script::default());
        prop_assert_eq!(expected.messages, talk.messages.len());
        let outcome = run(wire, &talk, Script { recv, send, half_close: None });
        prop_assert!(outcome.received == expected.received, "bytes are lost");
        prop_assert_eq!(outcome.messages, expected.messages);
        prop_assert_eq!(outcome.ends, expected.ends);
    }

    #[test]
    fn what_is_fatal_ends_it_once(
        wire in wire(), talk in talk(), mut recv in passing(), mut send in passing(),
        kind in fatal(), at_recv in any::<bool>(), half_close in proptest::option::of(fatal()),
    ) {
        let expected = run(wire, &talk, Script::default());
        let calls = if at_recv { &mut recv } else { &mut send };
        calls.push(Fault::Fatal(kind));
        let outcome = run(wire, &talk, Script { recv, send, half_close });
        prop_assert!(expected.received.starts_with(&outcome.received), "bytes are made up");
        prop_assert!(outcome.messages <= expected.messages);
        prop_assert_eq!(outcome.ends.len(), 1, "{:?}", outcome.ends);
    }
}

#[test]
fn each_call_may_fail() {
    let talk = Talk {
        messages: vec![10, 9000, 0],
        pieces: vec![50, 700, 3],
        says_close: true,
    };
    for wire in Wire::ALL {
        let expected = run(wire, &talk, Script::default());
        assert_eq!(expected.ends, ["closed"]);
        let calls = expected.counts;
        assert!(calls.recv > 10 && calls.send >= 3, "{calls:?}");
        for (kind, label) in [
            (ErrorKind::ConnectionReset, "reset"),
            (ErrorKind::BrokenPipe, "reset"),
            (ErrorKind::TimedOut, "io-error"),
        ] {
            let script = |call| {
                let mut script = vec![Fault::Whole; call];
                script.push(Fault::Fatal(kind));
                script
            };
            for call in 0..calls.recv {
                let recv = script(call);
                let outcome = run(
                    wire,
                    &talk,
                    Script {
                        recv,
                        ..Script::default()
                    },
                );
                check(&outcome, &expected, label);
            }
            for call in 0..calls.send {
                let send = script(call);
                let outcome = run(
                    wire,
                    &talk,
                    Script {
                        send,
                        ..Script::default()
                    },
                );
                check(&outcome, &expected, label);
            }
            let half_close = Some(kind);
            let outcome = run(
                wire,
                &talk,
                Script {
                    half_close,
                    ..Script::default()
                },
            );
            check(&outcome, &expected, label);
        }
    }
}

fn check(outcome: &Outcome, expected: &Outcome, label: &str) {
    assert!(expected.received.starts_with(&outcome.received));
    // After the closing handshake it makes no difference any more.
    assert!(
        outcome.ends == [label] || outcome.ends == ["closed"],
        "{:?}",
        outcome.ends
    );
    // What the handler had answered when it was told the end by a Close has left.
    if outcome.ends == ["closed"] {
        assert_eq!(outcome.messages, expected.messages);
    }
}
