//! Laws: every split of every input gives the same events and the same bytes out; what one end
//! sends, the other receives.

use std::time::Instant;

use openline::proto::{Config, Delivery, Role};
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::Index;

use crate::pair::{End, Seen, frame};

/// Streams of frames, mostly legal; all that a client can say and much that it may not.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        "\\PC{0,20}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..20),
        (120_usize..140).prop_map(|len| vec![b'x'; len]),
        Just(b"\x03\xe8bye".to_vec()),
    ];
    let frames = prop::collection::vec((first, payload), 0..8);
    (frames, prop::option::of(any::<Index>()), any::<u8>()).prop_map(|(frames, damage, byte)| {
        let mut bytes: Vec<u8> = frames
            .iter()
            .flat_map(|(first, payload)| frame(*first, payload))
            .collect();
        if let Some(at) = damage
            && !bytes.is_empty()
        {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn every_split_gives_the_same(
        bytes in stream(),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
        chunks: bool,
    ) {
        let config = Config {
            delivery: if chunks { Delivery::Chunks } else { Delivery::Whole },
            message_size_max: 300,
            fragments_max: 5,
            ..Config::default()
        };
        // The twin inside takes one byte at a time.
        let mut whole = End::new(Role::Server, config.clone());
        let expected = whole.receive(&bytes);
        let mut split = End::alone(Role::Server, config, whole.now);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut seen = Vec::new();
        for cut in cuts.windows(2) {
            split.recv.extend(&bytes[cut[0]..cut[1]]);
            split.poll(&mut seen);
        }
        prop_assert_eq!(seen, expected);
        prop_assert_eq!(split.sent(), whole.sent());
    }

    #[test]
    fn what_one_end_sends_the_other_receives(
        role in prop::sample::select(vec![Role::Client, Role::Server]),
        messages in prop::collection::vec(
            prop_oneof![
                "\\PC{0,200}".prop_map(Seen::Text),
                prop::collection::vec(any::<u8>(), 0..300).prop_map(Seen::Binary),
                prop::collection::vec(any::<u8>(), 0..=125).prop_map(Seen::Pong),
            ],
            0..20,
        ),
        piece in 1_usize..50,
    ) {
        let now = Instant::now();
        let mut sender = End::alone(role, Config::default(), now);
        let mut receiver = End::alone(role.peer(), Config::default(), now);
        for message in &messages {
            let (connection, send) = (&mut sender.connection, &mut sender.send);
            match message {
                Seen::Text(text) => connection.send_text(text, send),
                Seen::Binary(data) => connection.send_binary(data, send),
                Seen::Pong(payload) => connection.send_pong(payload, send),
                other => panic!("not sent here: {other:?}"),
            }
            .unwrap();
        }
        let mut seen = Vec::new();
        for piece in sender.sent().chunks(piece) {
            receiver.recv.extend(piece);
            receiver.poll(&mut seen);
        }
        prop_assert_eq!(seen, messages);
        prop_assert!(receiver.recv.is_empty());
    }
}
