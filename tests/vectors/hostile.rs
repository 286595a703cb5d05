//! The player trusts no peer: whatever one sends, the case ends in time, and nothing that is kept
//! grows without a bound.

use std::time::{Duration, Instant};

use openline::conformance::{Action, Behavior, Player, Target, Vectors};
use openline::proto::Role;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::sample::Index;

/// Plays a case against a peer that sends what `flood` makes whenever the player waits.
fn flooded(id: &str, mut flood: impl FnMut(usize) -> Vec<u8>) -> Player {
    let case = Vectors::embedded().case(id).expect("a case of this id");
    let start = Instant::now();
    let mut now = start;
    let mut player = Player::new(case, Role::Server, &Target::default(), now, 1);
    for round in 0.. {
        // The peer takes nothing: what the player writes is asked for only now and then.
        if round % 1000 == 0 {
            match player.next(now) {
                Action::Done(_) => return player,
                _ => now += Duration::from_millis(100),
            }
        }
        assert!(now < start + Duration::from_secs(60), "it goes on and on");
        player.receive(now, &flood(round));
        if player.outcome().is_some() {
            return player;
        }
    }
    unreachable!("the clock ends it");
}

/// Consents to the request of the first seed.
fn consent(case: &str) -> Vec<u8> {
    let now = Instant::now();
    let case = Vectors::embedded().case(case).expect("a case");
    let mut player = Player::new(case, Role::Server, &Target::default(), now, 1);
    let Action::Write(request) = player.next(now) else {
        panic!("a client speaks first");
    };
    let request = String::from_utf8(request.to_vec()).unwrap();
    let mut handshake = openline::proto::ServerHandshake::new(Default::default(), now);
    let (mut recv, mut send) = (
        openline::proto::RecvBuffer::new(),
        openline::proto::SendBuffer::new(),
    );
    recv.extend(request.as_bytes());
    let upgrade = handshake.poll(&recv).unwrap().expect("a whole request");
    upgrade
        .accept(now, &mut recv, &Default::default(), &mut send)
        .unwrap();
    send.pending().to_vec()
}

#[test]
fn an_endless_head_is_given_up() {
    let player = flooded("1.1.1", |_| vec![b'x'; 1000]);
    let outcome = player.outcome().unwrap();
    assert_eq!(outcome.behavior, Behavior::Failed);
    assert!(
        outcome.result.contains("does not end"),
        "{}",
        outcome.result
    );
}

#[test]
fn a_flood_of_pings_is_not_answered_without_end() {
    let consent = consent("1.1.1");
    let player = flooded("1.1.1", |round| match round {
        0 => consent.clone(),
        _ => b"\x89\x00".repeat(10),
    });
    assert_eq!(player.outcome().unwrap().behavior, Behavior::Failed);
    assert!(player.log().entries().len() < 2000);
}

#[test]
fn a_flood_of_messages_ends_with_the_time() {
    let consent = consent("1.1.1");
    let player = flooded("1.1.1", |round| match round {
        0 => consent.clone(),
        _ => b"\x82\x02hi".repeat(10),
    });
    let outcome = player.outcome().unwrap();
    assert_eq!(outcome.behavior, Behavior::Failed);
    assert!(player.log().entries().len() < 2000);
    assert!(player.log().omitted() > 0);
}

#[test]
fn a_message_that_never_ends_is_given_up() {
    let consent = consent("1.1.1");
    let player = flooded("1.1.1", |round| match round {
        0 => consent.clone(),
        1 => b"\x02\x00".to_vec(),
        _ => {
            let mut frame = b"\x00\x7e\x10\x00".to_vec();
            frame.extend([0; 4096]);
            frame
        }
    });
    let outcome = player.outcome().unwrap();
    assert!(
        outcome.result.contains("longer than any"),
        "{}",
        outcome.result
    );
}

#[test]
fn a_length_that_is_claimed_is_not_believed() {
    let consent = consent("1.1.1");
    let player = flooded("1.1.1", |round| match round {
        0 => consent.clone(),
        _ => b"\x82\x7f\x00\x00\x00\xff\xff\xff\xff\xff".to_vec(),
    });
    let outcome = player.outcome().unwrap();
    assert!(outcome.result.contains("declares"), "{}", outcome.result);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"\x81\x02hi".to_vec()),
        Just(b"\x88\x02\x03\xe8".to_vec()),
        Just(b"\x88\x00".to_vec()),
        Just(b"\x8a\x00".to_vec()),
        Just(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec()),
        Just(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
    ]
}

proptest! {
    /// Whatever comes, and however it is cut, the case ends with the same verdict.
    #[test]
    fn any_bytes_lead_to_a_verdict(
        case in any::<Index>(),
        opens: bool,
        sent in prop::collection::vec(bytes(), 0..6),
        ends: bool,
    ) {
        let cases = Vectors::embedded().cases();
        // Repeating a large message a thousand times is another matter.
        let small: Vec<_> = cases
            .iter()
            .filter(|case| case.suits(Role::Server) && !case.id.starts_with(['9', '1']))
            .collect();
        let case = small[case.index(small.len())];
        let mut sent = sent;
        if opens {
            sent.insert(0, consent("1.1.1"));
        }
        let whole = end(case, &sent.concat(), usize::MAX, ends);
        assert_eq!(whole, end(case, &sent.concat(), 1, ends));
    }
}

/// The verdicts of a case whose peer sends these bytes in pieces of this size.
fn end(
    case: &openline::conformance::Case,
    bytes: &[u8],
    size: usize,
    ends: bool,
) -> (Behavior, String) {
    let mut now = Instant::now();
    let mut player = Player::new(case, Role::Server, &Target::default(), now, 1);
    while let Action::Write(_) | Action::Shutdown = player.next(now) {}
    for piece in bytes.chunks(size.min(bytes.len().max(1))) {
        player.receive(now, piece);
    }
    if ends {
        player.receive_eof(now);
    }
    loop {
        match player.next(now) {
            Action::Write(_) | Action::Shutdown => {}
            Action::Wait => now = player.poll_timeout().expect("there is a deadline"),
            Action::Done(outcome) => return (outcome.behavior, outcome.result.clone()),
        }
    }
}
