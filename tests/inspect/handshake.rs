//! The opening handshake seen from outside (RFC 6455 §4), held against the strict one.

use std::sync::Arc;
use std::time::Instant;

use openline::inspect::{Conversation, Head, Item, Limits, Sides, Start, guess_sender};
use openline::proto::{
    Answer, ClientHandshake, ClientRequest, Config, RecvBuffer, Role, SendBuffer, ServerHandshake,
};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};
use proptest::sample::Index;

use crate::support::{REQUEST, RESPONSE, converse};

fn head(item: &Item) -> &Head {
    match item {
        Item::Head(head) => head,
        other => panic!("no head: {other:?}"),
    }
}

fn rules(head: &Head) -> Vec<(u64, &'static str)> {
    let violations = head.violations.iter();
    violations
        .map(|violation| (violation.offset, violation.fault.name()))
        .collect()
}

#[test]
fn the_handshake_of_section_1_3_and_the_frames_behind_it() {
    let client = [REQUEST, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"].concat();
    let server = [RESPONSE, b"\x81\x05Hello"].concat();
    let items = converse(&client, &server);
    let (request, response) = (head(&items[0]), head(&items[1]));
    assert!(request.is_legal() && response.is_legal());
    assert_eq!(request.target(), Some(&b"/chat"[..]));
    assert_eq!(response.status(), Some(101));
    let notes: Vec<_> = request
        .lines
        .iter()
        .filter_map(|line| line.note.as_deref())
        .collect();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
        "{notes:?}"
    );
    let texts: Vec<_> = items[2..]
        .iter()
        .map(|item| match item {
            Item::Frame(frame) => {
                let text = frame.message.as_ref().unwrap().text().unwrap();
                (frame.sender, frame.offset, text.to_owned())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts.len(), 2);
    assert!(texts.contains(&(Role::Client, REQUEST.len() as u64, "Hello".to_owned())));
    assert!(texts.contains(&(Role::Server, RESPONSE.len() as u64, "Hello".to_owned())));
}

#[test]
fn what_was_agreed_is_known() {
    let mut conversation = Conversation::new(Sides::Both, Start::Detect, Limits::default());
    conversation.push(Role::Client, REQUEST);
    assert_eq!(conversation.agreement(), None);
    conversation.push(Role::Server, RESPONSE);
    let agreement = conversation.agreement().unwrap();
    assert_eq!(agreement.subprotocol.as_deref(), Some("chat"));
}

#[test]
fn everything_wrong_with_a_request_is_named_where_it_stands() {
    let request = b"POST chat HTTP/1.1\r\nHost: a b\r\nUpgrade: h2c\r\nNo colon\r\n\
        Sec-WebSocket-Version: 8\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\
        Sec-WebSocket-Protocol: a, a\r\n\r\n";
    let items = converse(request, b"");
    let at = |text: &str| {
        let request = String::from_utf8_lossy(request);
        request.find(text).unwrap() as u64
    };
    assert_eq!(
        rules(head(&items[0])),
        [
            (0, "method"),
            (0, "target"),
            (0, "missing-field"),
            (at("Host"), "invalid-field"),
            (at("Upgrade"), "invalid-field"),
            (at("No colon"), "malformed-head"),
            (at("Sec-WebSocket-Version: 8"), "invalid-field"),
            (at("Sec-WebSocket-Version: 13"), "repeated-field"),
            (at("Sec-WebSocket-Key"), "invalid-field"),
            (at("Sec-WebSocket-Protocol"), "invalid-field"),
        ]
    );
}

#[test]
fn a_wrong_accept_and_what_was_not_offered() {
    let response = b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\nSec-WebSocket-Protocol: mqtt\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let items = converse(REQUEST, response);
    let response = head(&items[1]);
    let names: Vec<_> = rules(response).into_iter().map(|(_, name)| name).collect();
    assert_eq!(
        names,
        [
            "invalid-field",
            "subprotocol-not-offered",
            "extension-not-offered"
        ]
    );
    let expected = &response.violations[0].expected;
    assert!(
        expected.starts_with("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{expected}"
    );
}

#[test]
fn a_refusal_has_a_body_and_the_next_request_may_follow() {
    let refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nno no";
    let mut conversation = Conversation::new(Sides::Both, Start::Detect, Limits::default());
    let mut items = conversation.push(Role::Client, REQUEST);
    items.extend(conversation.push(Role::Server, refusal));
    items.extend(conversation.push(Role::Client, REQUEST));
    items.extend(conversation.push(Role::Server, RESPONSE));
    items.extend(conversation.push(Role::Server, b"\x89\x00"));
    let kinds: Vec<_> = items
        .iter()
        .map(|item| match item {
            Item::Head(head) => head.status().unwrap_or_default(),
            Item::Body { bytes, .. } => u16::try_from(bytes.len()).unwrap(),
            Item::Frame(frame) => 1000 + u16::from(frame.header.opcode_bits().unwrap()),
            Item::Gap { .. } => panic!("nothing was lost"),
        })
        .collect();
    assert_eq!(kinds, [0, 401, 5, 0, 101, 1009]);
    assert!(items.iter().all(Item::is_legal));
}

#[test]
fn interim_responses_come_before_the_answer() {
    let response = [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        RESPONSE,
        b"\x8a\x00",
    ]
    .concat();
    let items = converse(REQUEST, &response);
    assert_eq!(head(&items[1]).status(), Some(103));
    assert_eq!(head(&items[2]).status(), Some(101));
    assert!(matches!(&items[3], Item::Frame(frame) if frame.name() == "pong"));
}

#[test]
fn one_direction_alone() {
    let stream = [REQUEST, b"\x81\x80\x01\x02\x03\x04"].concat();
    assert_eq!(guess_sender(&stream), Some(Role::Client));
    let sides = Sides::Only(Role::Client);
    let mut conversation = Conversation::new(sides, Start::Detect, Limits::default());
    let items = conversation.push(Role::Client, &stream);
    assert!(
        matches!(&items[..], [Item::Head(_), Item::Frame(_)]),
        "{items:?}"
    );
    assert_eq!(guess_sender(b"\x81\x05"), Some(Role::Server));
    assert_eq!(guess_sender(b"\x81\x85"), Some(Role::Client));
    assert_eq!(guess_sender(b"HTTP/1.1 101"), Some(Role::Server));
    assert_eq!(guess_sender(b"\x81"), None);
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let limits = Limits {
        head_size_max: 100,
        ..Limits::default()
    };
    let mut conversation = Conversation::new(Sides::Both, Start::Detect, limits);
    let mut items = conversation.push(Role::Client, b"GET / HTTP/1.1\r\n");
    for _ in 0..1000 {
        items.extend(conversation.push(Role::Client, b"A: bbbbbbbbbbbbbbbbbbbb\r\n"));
    }
    assert!(
        head(&items[0])
            .violations
            .iter()
            .any(|violation| violation.fault.name() == "malformed-head")
    );
    assert!(matches!(items[1], Item::Body { .. }));
}

#[test]
fn behind_a_gap_the_reading_begins_anew() {
    let mut conversation = Conversation::new(Sides::Both, Start::Detect, Limits::default());
    conversation.push(Role::Client, REQUEST);
    conversation.push(Role::Server, RESPONSE);
    let items = conversation.push(Role::Server, b"\x81\x05He");
    assert_eq!(items, []);
    let items = conversation.gap(Role::Server, 100);
    let at = RESPONSE.len() as u64;
    assert!(matches!(&items[0], Item::Frame(frame) if frame.received == 2 && !frame.is_whole()));
    let gap = Item::Gap {
        sender: Role::Server,
        offset: at + 4,
        missing: 100,
        is_lost: true,
    };
    assert_eq!(items[1..], [gap]);
    let items = conversation.push(Role::Server, b"\x80\x01c\x89\x00");
    assert!(items.iter().all(Item::is_legal), "{items:?}");
    assert_eq!(items[1].offset(), at + 107);
}

/// Heads, mostly legal: parts of one left out, repeated, damaged.
fn damaged(head: &'static [u8], edits: &[(Index, u8, Index)]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = head
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let end = lines.pop().unwrap();
    for (line, edit, at) in edits {
        let index = line.index(lines.len());
        match edit % 8 {
            0 if lines.len() > 1 => {
                lines.remove(index);
            }
            1 => {
                let line = lines[index].clone();
                lines.insert(at.index(lines.len()), line);
            }
            2 => lines[index].make_ascii_uppercase(),
            kind => {
                let place = at.index(lines[index].len());
                let bytes = [
                    b' ', b'\t', b',', b'\r', b'\n', 0xe9, 0, b'x', b';', b':', b'"', b'#',
                ];
                let byte = bytes[usize::from(edit / 8) % bytes.len()];
                match kind {
                    3 => lines[index].insert(place, byte),
                    4 => {
                        lines[index].remove(place);
                    }
                    _ => lines[index][place] = byte,
                }
            }
        }
    }
    lines.push(end);
    lines.concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_request_is_legal_here_when_a_server_takes_it(
        edits in prop::collection::vec(any::<(Index, u8, Index)>(), 0..3),
    ) {
        let bytes = damaged(REQUEST, &edits);
        let config = Arc::new(Config::default());
        let mut server = ServerHandshake::new(config, Instant::now());
        let mut recv = RecvBuffer::new();
        recv.extend(&bytes);
        let strict = server.poll(&recv);
        let mut conversation = Conversation::new(Sides::Both, Start::Handshake, Limits::default());
        let mut items = conversation.push(Role::Client, &bytes);
        items.extend(conversation.finish(Role::Client));
        let lenient = head(&items[0]);
        prop_assert_eq!(
            strict.as_ref().is_ok_and(Option::is_some),
            lenient.is_legal(),
            "{:?} there, {:?} here", strict, lenient.violations
        );
    }

    #[test]
    fn a_response_is_legal_here_when_a_client_takes_it(
        edits in prop::collection::vec(any::<(Index, u8, Index)>(), 0..3),
    ) {
        let url = "ws://server.example.com/chat".parse().unwrap();
        let request = ClientRequest::new(url).subprotocol("chat").unwrap();
        let mut send = SendBuffer::new();
        let config = Arc::new(Config::default());
        let mut client = ClientHandshake::start(&request, config, Instant::now(), [7; 32], &mut send);
        let mut conversation = Conversation::new(Sides::Both, Start::Handshake, Limits::default());
        let items = conversation.push(Role::Client, send.pending());
        let note = head(&items[0]).lines.iter().find_map(|line| {
            line.note.as_deref()?.split_once("must answer ").map(|(_, accept)| accept.to_owned())
        });
        let bytes = damaged(RESPONSE, &edits);
        let theirs = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let accept = note.unwrap().into_bytes();
        let bytes = match bytes.windows(theirs.len()).position(|part| part == theirs) {
            Some(at) => [&bytes[..at], &accept, &bytes[at + theirs.len()..]].concat(),
            None => bytes,
        };
        let mut recv = RecvBuffer::new();
        recv.extend(&bytes);
        let strict = client.poll(&mut recv);
        let items = conversation.push(Role::Server, &bytes);
        let lenient = items.first().map(head);
        let agreed = lenient.is_some_and(|head| head.is_legal() && head.status() == Some(101));
        prop_assert_eq!(
            matches!(&strict, Ok(Some(Answer::Accepted(_)))),
            agreed,
            "{:?} there, {:?} here", strict, lenient.map(|head| &head.violations)
        );
    }
}
