//! Seeds for the fuzz targets, made of what the cases write: `target/tmp/fuzz-seeds/TARGET`.
//!
//! A fuzzer that begins where the cases are need not find out by chance what a handshake is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use openline::conformance::{Action, Case, Item, Player, Step, Target, Vectors};
use openline::proto::{ClientHandshake, ClientRequest, Role, SendBuffer};

use crate::peer::Core;
use crate::replay::{Split, replay};

/// What `.ci/run` lets an input be at most.
const SEED_MAX: usize = 4096;

#[test]
fn the_cases_feed_the_fuzz_targets() {
    let mut targets = [
        ("header", BTreeSet::new()),
        ("request", BTreeSet::new()),
        ("response", BTreeSet::new()),
        ("server", BTreeSet::new()),
        ("client", BTreeSet::new()),
    ];
    for case in Vectors::embedded().cases() {
        let [
            (_, headers),
            (_, requests),
            (_, responses),
            (_, servers),
            (_, clients),
        ] = &mut targets;
        for role in [Role::Server, Role::Client] {
            if !case.suits(role) {
                continue;
            }
            match role {
                Role::Server => requests.insert(head(&request(case))),
                Role::Client => responses.insert(head(&response(case))),
            };
            if size(&case.steps) > SEED_MAX / 2 {
                continue;
            }
            let writes = frames(case, role);
            headers.extend(
                writes
                    .iter()
                    .take(2)
                    .map(|write| write[..write.len().min(14)].to_vec()),
            );
            match role {
                Role::Server => servers.insert(script(&writes)),
                Role::Client => clients.insert(script(&writes)),
            };
        }
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-seeds");
    for (target, seeds) in targets {
        let folder = folder.join(target);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let fit: Vec<_> = seeds.iter().filter(|seed| seed.len() <= SEED_MAX).collect();
        assert!(fit.len() > 50, "{target} has {} seeds", fit.len());
        for (n, seed) in fit.iter().enumerate() {
            fs::write(folder.join(format!("{n:04}")), seed).unwrap();
        }
    }
}

/// The request that the player sends.
fn request(case: &Case) -> Vec<u8> {
    let now = Instant::now();
    let mut player = Player::new(case, Role::Server, &Target::default(), now, 1);
    written(&mut player, now)
}

/// The response that the player sends to the client of the target `response`.
fn response(case: &Case) -> Vec<u8> {
    let now = Instant::now();
    let request = ClientRequest::new("ws://localhost/chat".parse().unwrap())
        .subprotocol("chat")
        .and_then(|request| request.subprotocol("superchat"))
        .unwrap();
    let mut send = SendBuffer::new();
    let config = Default::default();
    let _ = ClientHandshake::start(&request, config, now, [0; 32], &mut send);
    let mut player = Player::new(case, Role::Client, &Target::default(), now, 1);
    player.receive(now, send.pending());
    written(&mut player, now)
}

fn written(player: &mut Player, now: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Action::Write(piece) = player.next(now) {
        bytes.extend_from_slice(piece);
    }
    bytes
}

/// The bytes of payload in these steps.
fn size(steps: &[Step]) -> usize {
    let item = |item: &Item| match item {
        Item::Frame(frame) => frame.payload.len(),
        Item::Raw(payload) => payload.len(),
    };
    let sizes = steps.iter().map(|step| match step {
        Step::Write(items, _) => items.iter().map(item).sum(),
        Step::Repeat(count, steps) => count * size(steps),
        _ => 0,
    });
    sizes.sum()
}

/// What the player writes behind the handshake.
fn frames(case: &Case, role: Role) -> Vec<Vec<u8>> {
    let now = Instant::now();
    let replay = replay(case, role, Split::Whole, Core::new(role, case, now), now);
    let written = replay.passed.into_iter();
    let ours = written.filter(|(sender, _)| *sender == role.peer());
    ours.skip(1).map(|(_, bytes)| bytes).collect()
}

/// An input of the targets `request` and `response`: limits that are wide, no cut, the bytes.
fn head(bytes: &[u8]) -> Vec<u8> {
    [&[0xff, 0], bytes].concat()
}

/// An input of the targets `server` and `client`, as `arbitrary` reads it: limits, operations
/// that each receive the bytes of a write, no pieces.
fn script(writes: &[Vec<u8>]) -> Vec<u8> {
    // Whole messages; frames and messages of 65,535 bytes, 255 fragments, a queue of 65,536; no
    // pings, no idle time.
    let mut input = vec![0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];
    for write in writes {
        // There is another operation; it is the first of its kind.
        input.extend([1, 0, 0, 0, 0]);
        for byte in write {
            input.extend([1, *byte]);
        }
        input.push(0);
    }
    input.push(0);
    input
}
