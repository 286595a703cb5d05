//! Plays a case against a peer without a transport: bytes are carried in pieces, and the clock is
//! moved when nobody has anything to do.

use std::time::{Duration, Instant};

use openline::conformance::{Action, Case, Log, Outcome, Player, Scale, Target};
use openline::inspect::{Conversation, Limits, Sides, Start, text};
use openline::proto::Role;

use crate::peer::Peer;

/// How bytes are cut between the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Split {
    /// As they were written.
    Whole,
    /// One byte at a time.
    Octets,
    /// At random, from a seed.
    Random(u64),
}

/// What came of a replay.
pub struct Replay {
    pub outcome: Outcome,
    pub log: Log,
    /// What passed, for [`annotated`]: who sent it, and the bytes.
    pub passed: Vec<(Role, Vec<u8>)>,
}

/// Plays a case. Where a case repeats itself, only as often as makes so many bytes.
pub fn replay(
    case: &Case,
    role: Role,
    split: Split,
    mut peer: impl Peer,
    start: Instant,
) -> Replay {
    let mut now = start;
    let scale = Scale {
        repeated_bytes_max: 32 << 10,
    };
    let mut player = Player::scaled(case, role, &Target::default(), now, 1, scale);
    let mut knife = Knife::new(split);
    let mut passed = Vec::new();
    let mut kept = 0;
    let mut keep = |sender, bytes: &[u8]| {
        kept += bytes.len();
        if kept < KEPT_MAX {
            passed.push((sender, bytes.to_vec()));
        }
    };
    let mut ended = false;
    loop {
        match player.next(now) {
            Action::Write(bytes) => {
                keep(role.peer(), bytes);
                knife.cut(bytes, |piece| peer.receive(now, piece));
            }
            Action::Shutdown => peer.receive_eof(now),
            Action::Done(outcome) => {
                return Replay {
                    outcome: outcome.clone(),
                    log: player.log().clone(),
                    passed,
                };
            }
            Action::Wait => {
                let sent = peer.take();
                if !sent.is_empty() {
                    keep(role, &sent);
                    knife.cut(&sent, |piece| player.receive(now, piece));
                } else if peer.is_done() && !ended {
                    ended = true;
                    player.receive_eof(now);
                } else {
                    let next = [player.poll_timeout(), peer.poll_timeout()];
                    let next = next.into_iter().flatten().min();
                    now = next.expect("the player always has a deadline").max(now);
                    assert!(now < start + TIME_MAX, "{} ends", case.id);
                    if peer.poll_timeout().is_some_and(|due| due <= now) {
                        peer.handle_timeout(now);
                    }
                }
            }
        }
    }
}

impl Replay {
    /// The case and what was found, with every frame that passed, for somebody who has to find
    /// out why.
    pub fn report(&self, case: &Case, role: Role, split: Split) -> String {
        let outcome = &self.outcome;
        let mut conversation = Conversation::new(Sides::Both, Start::Detect, Limits::default());
        let mut frames = String::new();
        for (sender, bytes) in &self.passed {
            for item in conversation.push(*sender, bytes) {
                for line in text::item(&item, text::Options::default()) {
                    frames.push_str(&format!("    {line}\n"));
                }
            }
        }
        format!(
            "{} ({}): {}\n  against the {role:?}, {split:?}: {}, {}\n  at the end: {}, {}\n{frames}  \
             what the player saw:\n{}",
            case.id,
            case.rfc,
            case.title,
            outcome.behavior,
            outcome.result,
            outcome.behavior_close,
            outcome.result_close,
            self.log,
        )
    }
}

/// Cuts bytes into pieces.
struct Knife {
    split: Split,
    dice: u64,
    /// How many bytes may still be cut finely: what a case teaches about cuts shows early, and
    /// the sixteen mebibytes of some would take a minute byte by byte.
    fine: usize,
}

impl Knife {
    fn new(split: Split) -> Self {
        Self {
            split,
            dice: match split {
                Split::Random(seed) => seed,
                _ => 0,
            },
            fine: FINE_MAX,
        }
    }

    fn cut(&mut self, bytes: &[u8], mut with: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = self.size().min(rest.len());
            self.fine = self.fine.saturating_sub(size);
            let (piece, after) = rest.split_at(size);
            with(piece);
            rest = after;
        }
    }

    fn size(&mut self) -> usize {
        match self.split {
            Split::Whole => usize::MAX,
            Split::Octets if self.fine > 0 => 1,
            // A prime, so that pieces and frames do not keep step.
            Split::Octets => 4093,
            Split::Random(_) => {
                // Knuth's multiplier; the high bits are the good ones.
                self.dice = self
                    .dice
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let random = (self.dice >> 33) as usize;
                match self.fine > 0 {
                    true => 1 + random % 40,
                    false => 1 + random % 20_000,
                }
            }
        }
    }
}

/// The bytes that are cut finely, in both directions together.
const FINE_MAX: usize = 4 << 10;
/// The bytes that are kept for a report.
const KEPT_MAX: usize = 256 << 10;
/// No case takes longer: the longest are given a thousand seconds.
const TIME_MAX: Duration = Duration::from_secs(2000);
