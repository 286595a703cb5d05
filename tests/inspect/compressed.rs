//! permessage-deflate (RFC 7692) seen from outside, held against the strict connection.

use std::sync::Arc;
use std::time::Instant;

use openline::inspect::{
    Conversation, Decoder, Fault, Frame, Item, Limits, Sides, Start, TextState,
};
use openline::proto::{
    Config, Connection, Deflate, DeflateParams, Kind, ProtocolError, RecvBuffer, Role, SendBuffer,
    WindowBits,
};
use proptest::prelude::{
    ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::Index;

use crate::support::{REQUEST, RESPONSE, faults, frame};

fn params(takeover: bool) -> DeflateParams {
    DeflateParams {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    }
}

fn config() -> Arc<Config> {
    Arc::new(Config {
        compression: Some(Deflate {
            threshold: 0,
            ..Deflate::default()
        }),
        frame_size_max: u64::MAX,
        message_size_max: u64::MAX,
        fragments_max: u32::MAX,
        send_queue_max: usize::MAX,
        ..Config::default()
    })
}

fn connection(role: Role, takeover: bool) -> Connection {
    Connection::established(role, config(), Instant::now(), [7; 32])
        .with_compression(params(takeover))
}

/// These messages as an end sends them compressed.
fn sent(role: Role, takeover: bool, messages: &[&str]) -> Vec<u8> {
    let (mut connection, mut send) = (connection(role, takeover), SendBuffer::new());
    for message in messages {
        connection.send_text(message, &mut send).unwrap();
    }
    send.pending().to_vec()
}

fn decode(sender: Role, takeover: bool, pieces: &[&[u8]]) -> Vec<Frame> {
    let decoder = Decoder::new(sender, Limits::default());
    let mut decoder = decoder.with_compression(&params(takeover));
    let mut frames = Vec::new();
    for piece in pieces {
        let mut piece = *piece;
        while let Some(frame) = decoder.next(&mut piece) {
            frames.push(frame);
        }
    }
    frames.extend(decoder.finish());
    frames
}

#[test]
fn the_examples_of_rfc_7692_section_7_2_3() {
    // One block; two fragments; the same again by the window of the first; stored; a final block.
    let stream =
        b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00\
        \xc1\x05\xf2\x00\x11\x00\x00\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00\
        \xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    let frames = decode(Role::Server, true, &[stream]);
    assert_eq!(faults(&frames), []);
    let messages: Vec<_> = frames
        .iter()
        .filter_map(|frame| frame.message.as_ref())
        .collect();
    assert_eq!(messages.len(), 5);
    for message in messages {
        assert_eq!(
            (message.text(), message.is_compressed),
            (Some("Hello"), true)
        );
    }
    assert!(frames[1].is_compressed && frames[2].is_compressed);
    assert_eq!(frames[2].message.as_ref().unwrap().wire_len, 7);
}

#[test]
fn rsv1_has_a_meaning_on_the_first_frame_of_a_message_only() {
    for (stream, is_legal) in [
        (&b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..], true),
        (b"\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00", false),
        (b"\xc9\x00", false),
    ] {
        let frames = decode(Role::Server, true, &[stream]);
        assert_eq!(faults(&frames).is_empty(), is_legal, "{stream:02x?}");
    }
    // Unless that was agreed to, it has none.
    let mut decoder = Decoder::new(Role::Server, Limits::default());
    let frame = decoder.next(&mut &b"\xc1\x00"[..]).unwrap();
    assert_eq!(frame.violations.len(), 1);
}

#[test]
fn what_does_not_inflate_is_told_and_what_refers_to_it_is_unknown() {
    let broken = frame(0xc1, b"\xff\xff\xff", None);
    let good = sent(Role::Server, false, &["Hello"]);
    let stream = [&broken[..], &good].concat();
    let frames = decode(Role::Server, true, &[&stream]);
    assert_eq!(faults(&frames), [(2, "invalid-deflate", Some(1007))]);
    assert!(
        frames[0].violations[0]
            .to_string()
            .contains("RFC 7692 §7.2.2")
    );
    let message = frames[1].message.as_ref().unwrap();
    assert!(message.is_unknown && message.text().is_none());
    assert_eq!(frames[1].text, Some(TextState::Unknown));
    // Each by itself: the next has nothing to do with it.
    let frames = decode(Role::Server, false, &[&stream]);
    assert_eq!(frames[1].message.as_ref().unwrap().text(), Some("Hello"));
}

#[test]
fn the_handshake_agrees_to_it() {
    let at = RESPONSE.len() - 2;
    let response = |params: &str| {
        let field = format!("Sec-WebSocket-Extensions: permessage-deflate{params}\r\n\r\n");
        [&RESPONSE[..at], field.as_bytes()].concat()
    };
    let offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    let request = [&REQUEST[..REQUEST.len() - 2], offer].concat();
    for (params, rules) in [
        ("; server_no_context_takeover", &[][..]),
        ("; server_max_window_bits=7", &["extension-params"]),
    ] {
        let mut conversation = Conversation::new(Sides::Both, Start::Detect, Limits::default());
        conversation.push(Role::Client, &request);
        let items = conversation.push(Role::Server, &response(params));
        let Item::Head(head) = &items[0] else {
            panic!("{items:?}");
        };
        let found: Vec<_> = head
            .violations
            .iter()
            .map(|found| found.fault.name())
            .collect();
        assert_eq!(found, rules);
        if rules.is_empty() {
            let agreed = conversation.agreement().unwrap().compression.unwrap();
            assert!(agreed.server_no_context_takeover && !agreed.client_no_context_takeover);
            for role in [Role::Server, Role::Client] {
                let items = conversation.push(role, &sent(role, true, &["one", "one two"]));
                let texts: Vec<_> = items
                    .iter()
                    .map(|item| match item {
                        Item::Frame(frame) => frame.message.as_ref().unwrap().text().unwrap(),
                        other => panic!("{other:?}"),
                    })
                    .collect();
                assert_eq!(texts[0], "one");
            }
        }
    }
}

#[test]
fn a_bomb_is_not_inflated_beyond_what_is_kept() {
    let text = "x".repeat(1 << 20);
    let stream = sent(Role::Server, false, &[&text, "after"]);
    let limits = Limits {
        message_kept_max: 100_000,
        ..Limits::default()
    };
    let decoder = Decoder::new(Role::Server, limits);
    let mut decoder = decoder.with_compression(&params(false));
    let mut bytes = &stream[..];
    let bomb = decoder.next(&mut bytes).unwrap();
    assert_eq!(faults(std::slice::from_ref(&bomb)), []);
    assert!(bomb.message.unwrap().is_unknown);
    let after = decoder.next(&mut bytes).unwrap();
    assert_eq!(after.message.unwrap().text(), Some("after"));
}

/// What a strict connection says.
fn strict(sender: Role, takeover: bool, pieces: &[&[u8]]) -> Option<ProtocolError> {
    let mut connection = connection(sender.peer(), takeover);
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    for piece in pieces {
        recv.extend(piece);
        loop {
            match connection.poll(Instant::now(), &mut recv, &mut send) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Some(error),
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn illegal_here_is_a_failure_there(
        sender in prop::sample::select(vec![Role::Client, Role::Server]),
        takeover: bool,
        messages in prop::collection::vec(
            (any::<bool>(), prop_oneof!["[ab ]{0,200}", "\\PC{0,40}"].prop_map(String::into_bytes)),
            1..6,
        ),
        damage in prop::option::of((any::<Index>(), 1_u8..)),
        cuts in prop::collection::vec(any::<Index>(), 0..5),
        end in prop::option::of(any::<Index>()),
    ) {
        let mut bytes = {
            let (mut connection, mut send) = (connection(sender, takeover), SendBuffer::new());
            for (text, message) in &messages {
                match (text, std::str::from_utf8(message)) {
                    (true, Ok(text)) => connection.send_text(text, &mut send).unwrap(),
                    _ => connection.send_binary(message, &mut send).unwrap(),
                }
            }
            send.pending().to_vec()
        };
        if let Some((at, byte)) = damage {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        let end = end.map_or(bytes.len(), |end| end.index(bytes.len() + 1));
        let bytes = &bytes[..end];
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        let there = strict(sender, takeover, &pieces);
        let frames = decode(sender, takeover, &pieces);
        let failed = frames.iter().find(|frame| frame.failure().is_some());
        match (there, failed) {
            (None, None) => {}
            (Some(error), Some(frame)) => {
                let faults = frame.violations.iter().map(|violation| violation.fault);
                let faults: Vec<_> = faults.collect();
                prop_assert!(faults.contains(&Fault::Protocol(error)), "{error:?}: {faults:?}");
            }
            (there, here) => prop_assert!(false, "{there:?} there, {here:?} here"),
        }
        prop_assert_eq!(&frames, &decode(sender, takeover, &[bytes]));
        if damage.is_none() && end == bytes.len() && there.is_none() {
            for frame in &frames {
                if let Some(message) = &frame.message {
                    prop_assert_eq!(message.kind == Kind::Text, message.text().is_some());
                }
            }
        }
    }
}
