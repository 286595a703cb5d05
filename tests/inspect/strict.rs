//! The law: a stream is illegal here exactly when a strict connection without limits fails on it,
//! for the same reason and wherever it is cut.

use std::sync::Arc;
use std::time::Instant;

use openline::inspect::{Decoder, Fault, Frame, Limits};
use openline::proto::{Config, Connection, ProtocolError, RecvBuffer, Role, SendBuffer};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::Index;

use crate::support::frame;

/// What a strict connection says to these bytes of its peer's.
fn strict(sender: Role, pieces: &[&[u8]]) -> Option<ProtocolError> {
    let config = Config {
        frame_size_max: u64::MAX,
        message_size_max: u64::MAX,
        fragments_max: u32::MAX,
        send_queue_max: usize::MAX,
        ..Config::default()
    };
    let now = Instant::now();
    let mut connection = Connection::established(sender.peer(), Arc::new(config), now, [7; 32]);
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    for piece in pieces {
        recv.extend(piece);
        loop {
            match connection.poll(now, &mut recv, &mut send) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Some(error),
            }
        }
    }
    None
}

/// The first fault for which the connection fails.
fn lenient(sender: Role, pieces: &[&[u8]]) -> (Vec<Frame>, Option<Vec<ProtocolError>>) {
    let mut decoder = Decoder::new(sender, Limits::default());
    let mut frames = Vec::new();
    for piece in pieces {
        let mut piece = *piece;
        while let Some(frame) = decoder.next(&mut piece) {
            frames.push(frame);
        }
    }
    frames.extend(decoder.finish());
    let failed = frames.iter().find(|frame| frame.failure().is_some());
    let errors = failed.map(|frame| {
        let faults = frame.violations.iter().map(|violation| violation.fault);
        let errors = faults.filter_map(|fault| match fault {
            Fault::Protocol(error) => Some(error),
            _ => None,
        });
        errors.collect()
    });
    (frames, errors)
}

/// Streams of frames, mostly legal; all that an end can say and much that it may not.
fn stream(sender: Role) -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        12 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => "\\PC{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => prop::sample::select(vec![120_usize, 125, 126, 127, 300, 65_535, 65_536])
            .prop_map(|len| vec![b'x'; len]),
        1 => (990_u16..1020).prop_map(|code| code.to_be_bytes().to_vec()),
        1 => Just(b"\x03\xe8bye".to_vec()),
        // The parts of a character, for fragments that cut it.
        1 => prop::sample::select(vec![&b"\xf0\x9f"[..], b"\x98\x80", b"\xe2", b"\x82\xac"])
            .prop_map(<[u8]>::to_vec),
    ];
    let key = move |key| (sender == Role::Client).then_some(key);
    let frames = prop::collection::vec((first, payload, any::<[u8; 4]>()), 0..8);
    let damage = prop::option::weighted(0.4, (any::<Index>(), any::<u8>()));
    (frames, damage).prop_map(move |(frames, damage)| {
        let frames = frames.iter();
        let mut bytes: Vec<u8> = frames
            .flat_map(|(first, payload, k)| frame(*first, payload, key(*k)))
            .collect();
        if let Some((at, byte)) = damage
            && !bytes.is_empty()
        {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        bytes
    })
}

fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn illegal_here_is_a_failure_there(
        (sender, bytes) in prop::sample::select(vec![Role::Client, Role::Server])
            .prop_flat_map(|sender| (Just(sender), stream(sender))),
        end: Index,
        cuts in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        // Any beginning of a stream is a stream.
        let bytes = &bytes[..bytes.len() - end.index(bytes.len() + 1)];
        let pieces = cut(bytes, &cuts);
        let error = strict(sender, &pieces);
        let (frames, errors) = lenient(sender, &pieces);
        match (error, &errors) {
            (None, None) => {}
            (Some(error), Some(errors)) => {
                // Of several things wrong with one frame, each may be the one that is told.
                proptest::prop_assert!(errors.contains(&error), "{error:?} is not in {errors:?}");
            }
            _ => proptest::prop_assert!(false, "{error:?} there, {errors:?} here"),
        }
        let (whole, _) = lenient(sender, &[bytes]);
        prop_assert_eq!(frames, whole);
    }
}
