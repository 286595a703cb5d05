//! Two ends that talk to each other: neither breaks the protocol, and what one sends the other
//! receives, whatever the transport does to the pieces.
#![no_main]

use std::time::Instant;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use openline::proto::{Config, Role};
use openline_fuzz::end::{End, Seen};
use openline_fuzz::script::{Operation, act};

#[derive(Arbitrary, Debug)]
struct Talk {
    /// Who does what, and how many bytes the transport then carries each way.
    steps: Vec<(bool, Operation, u8, u8)>,
}

fuzz_target!(|talk: Talk| {
    let now = Instant::now();
    let config = Config {
        ping_interval: None,
        ..Config::default()
    };
    let mut client = End::new(Role::Client, config.clone(), now);
    let mut server = End::new(Role::Server, config, now);
    let (mut said_by_client, mut said_by_server) = (Vec::new(), Vec::new());
    for (by_client, operation, up, down) in &talk.steps {
        let (end, said) = match by_client {
            true => (&mut client, &mut said_by_client),
            false => (&mut server, &mut said_by_server),
        };
        if let Some(message) = said_by(operation) {
            let queued = end.send.len();
            act(end, operation);
            if end.send.len() > queued {
                said.push(message);
            }
        } else if let Operation::Ping(_) | Operation::Close(..) = operation {
            act(end, operation);
        }
        carry(&mut client, &mut server, (*up).into());
        carry(&mut server, &mut client, (*down).into());
    }
    while client.send.len() + server.send.len() > 0 {
        carry(&mut client, &mut server, usize::MAX);
        carry(&mut server, &mut client, usize::MAX);
    }
    received(&server, &said_by_client);
    received(&client, &said_by_server);
});

/// What the other end is to see of it. Fragments are joined with others: the targets of one end try
/// them.
fn said_by(operation: &Operation) -> Option<Seen> {
    match operation {
        Operation::Text(text) => Some(Seen::Text(text.clone())),
        Operation::Binary(data) => Some(Seen::Binary(data.clone())),
        Operation::Pong(payload) => Some(Seen::Pong(payload.clone())),
        Operation::Shared(payload) => said_by(&payload.copied()),
        _ => None,
    }
}

fn carry(from: &mut End, to: &mut End, n: usize) {
    let start = from.sent.len();
    from.drain(n);
    let piece = from.sent[start..].to_vec();
    to.receive(&piece, &mut std::iter::empty());
}

/// Everything said was received in order, but for what an end could no longer hear after the
/// other's Close; and Pongs also answer Pings.
fn received(end: &End, said: &[Seen]) {
    let mut said = said.iter().peekable();
    for seen in &end.seen {
        assert!(!matches!(seen, Seen::Error(_)), "{seen:?}");
        if said.peek() == Some(&seen) {
            said.next();
        } else {
            assert!(
                !matches!(seen, Seen::Text(_) | Seen::Binary(_)),
                "{seen:?} was not said"
            );
        }
    }
    assert_eq!(said.next(), None, "all that was said was received");
}
