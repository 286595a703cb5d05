//! Plays cases against peers without a transport: the clock is moved when nobody has anything
//! to do.

use std::time::{Duration, Instant};

use openline::conformance::{Action, Case, Outcome, Player, Scale, Target, Vectors};
use openline::proto::Role;

use crate::peer::{Core, Peer};

/// How bytes are cut between the two.
#[derive(Clone, Copy, Debug)]
enum Split {
    /// As they were written.
    Whole,
    /// One byte at a time.
    Octets,
    /// At random, from a seed.
    Random(u64),
}

#[test]
fn every_case_passes_against_the_core() {
    let mut failures = Vec::new();
    let mut played = 0;
    for case in Vectors::embedded().cases() {
        for role in [Role::Server, Role::Client] {
            if !case.suits(role) || case.needs_deflate() {
                continue;
            }
            for split in [Split::Whole, Split::Octets, Split::Random(1)] {
                played += 1;
                let now = Instant::now();
                let (player, outcome) = replay(case, role, split, Core::new(role, now), now);
                if !outcome.passed() {
                    failures.push(format!(
                        "{} ({}) against the {role:?}, {split:?}: {}, {} ({}), {} ({})\n{}",
                        case.id,
                        case.rfc,
                        case.title,
                        outcome.behavior,
                        outcome.result,
                        outcome.behavior_close,
                        outcome.result_close,
                        player.log(),
                    ));
                }
            }
        }
    }
    println!("{played} replays");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn replay(
    case: &Case,
    role: Role,
    split: Split,
    mut peer: impl Peer,
    start: Instant,
) -> (Player, Outcome) {
    let mut now = start;
    let scale = Scale { repetitions_max: 4 };
    let mut player = Player::scaled(case, role, &Target::default(), now, 1, scale);
    let mut dice = match split {
        Split::Random(seed) => seed,
        _ => 0,
    };
    let mut ended = false;
    loop {
        match player.next(now) {
            Action::Write(bytes) => {
                let bytes = bytes.to_vec();
                for piece in pieces(&bytes, split, &mut dice) {
                    peer.receive(now, piece);
                }
            }
            Action::Shutdown => peer.receive_eof(now),
            Action::Done(outcome) => {
                let outcome = outcome.clone();
                return (player, outcome);
            }
            Action::Wait => {
                let sent = peer.take();
                if !sent.is_empty() {
                    for piece in pieces(&sent, split, &mut dice) {
                        player.receive(now, piece);
                    }
                } else if peer.is_done() && !ended {
                    ended = true;
                    player.receive_eof(now);
                } else {
                    let next = [player.poll_timeout(), peer.poll_timeout()];
                    let next = next.into_iter().flatten().min();
                    now = next.expect("the player always has a deadline").max(now);
                    assert!(now < start + Duration::from_secs(2000), "{} ends", case.id);
                    if peer.poll_timeout().is_some_and(|due| due <= now) {
                        peer.handle_timeout(now);
                    }
                }
            }
        }
    }
}

fn pieces<'a>(bytes: &'a [u8], split: Split, dice: &mut u64) -> Vec<&'a [u8]> {
    match split {
        Split::Whole => vec![bytes],
        Split::Octets => bytes.chunks(1).collect(),
        Split::Random(_) => {
            let mut pieces = Vec::new();
            let mut rest = bytes;
            while !rest.is_empty() {
                *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let size = 1 + (*dice >> 40) as usize % 40;
                let (piece, after) = rest.split_at(size.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces
        }
    }
}
