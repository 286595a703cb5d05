//! Frames of one direction: what they say, and every rule that one can break (RFC 6455 §5).

use openline::inspect::{Decoder, Limits, Part, TextState};
use openline::proto::{Kind, Role};

use crate::support::{faults, frame, frames};

const KEY: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

#[test]
fn the_examples_of_section_5_7() {
    let all = frames(
        Role::Server,
        b"\x81\x05Hello\x01\x03Hel\x80\x02lo\x89\x05Hello",
    );
    assert_eq!(faults(&all), []);
    let offsets: Vec<u64> = all.iter().map(|frame| frame.offset).collect();
    assert_eq!(offsets, [0, 7, 12, 16]);
    assert_eq!(all[0].message.as_ref().unwrap().text(), Some("Hello"));
    assert_eq!((all[1].part, &all[1].message), (Some(Part::First), &None));
    let message = all[2].message.as_ref().unwrap();
    assert_eq!(
        (message.text(), message.frames, message.offset),
        (Some("Hello"), 2, 7)
    );
    assert_eq!(
        (all[3].name(), &all[3].payload[..]),
        ("ping", &b"Hello"[..])
    );

    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let all = frames(Role::Client, masked);
    assert_eq!((all.len(), faults(&all)), (1, vec![]));
    assert_eq!(&all[0].payload[..], b"Hello");
    assert_eq!(all[0].wire_payload(), &masked[6..]);

    for (len, size) in [(256, 4), (65_536, 10)] {
        let all = frames(Role::Server, &frame(0x82, &vec![7; len], None));
        assert_eq!(all[0].header.as_bytes().len(), size);
        assert_eq!(all[0].message.as_ref().unwrap().len, len as u64);
    }
}

/// Where, which rule, which close code.
type Fault = (u64, &'static str, Option<u16>);

#[test]
fn every_rule_that_a_frame_can_break() {
    let cases: &[(&[u8], &[Fault])] = &[
        (b"\xc1\x00", &[(0, "reserved-bits", Some(1002))]),
        (b"\xa1\x00", &[(0, "reserved-bits", Some(1002))]),
        (b"\x91\x00", &[(0, "reserved-bits", Some(1002))]),
        (b"\x83\x00", &[(0, "reserved-opcode", Some(1002))]),
        (b"\x8b\x00", &[(0, "reserved-opcode", Some(1002))]),
        (b"\x09\x00", &[(0, "fragmented-control", Some(1002))]),
        (b"\x89\x7e\x00\x7e", &[(1, "control-too-long", Some(1002))]),
        (
            b"\x81\x80\x00\x00\x00\x00",
            &[(1, "unexpected-mask", Some(1002))],
        ),
        (
            b"\x81\x7e\x00\x01a",
            &[(2, "non-minimal-length", Some(1002))],
        ),
        (
            b"\x82\x7f\x80\0\0\0\0\0\0\0",
            &[(2, "length-top-bit", Some(1002))],
        ),
        (b"\x80\x00", &[(0, "unexpected-continuation", Some(1002))]),
        (
            b"\x01\x00\x81\x00",
            &[(2, "expected-continuation", Some(1002))],
        ),
        (b"\x81\x03a\xffb", &[(3, "invalid-utf8", Some(1007))]),
        (
            b"\x01\x02a\xe2\x80\x01\x82",
            &[(7, "invalid-utf8", Some(1007))],
        ),
        (b"\x88\x01\x03", &[(2, "close-too-short", Some(1002))]),
        (
            b"\x88\x02\x03\xed",
            &[(2, "invalid-close-code", Some(1002))],
        ),
        (
            b"\x88\x03\x03\xe8\xff",
            &[(4, "invalid-close-reason", Some(1007))],
        ),
        (
            b"\x88\x00\x81\x00\x83\x00",
            &[(2, "after-close", None), (4, "after-close", None)],
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(
            faults(&frames(Role::Server, bytes)),
            *expected,
            "{bytes:02x?}"
        );
    }
    let unmasked = frames(Role::Client, b"\x81\x00");
    assert_eq!(faults(&unmasked), [(1, "missing-mask", Some(1002))]);
}

#[test]
fn all_that_is_wrong_is_named_and_what_follows_is_still_read() {
    let stream = [&b"\x3b\x7e\x00\x01?"[..], b"\x81\x02ok"].concat();
    let all = frames(Role::Client, &stream);
    assert_eq!(
        faults(&all),
        [
            (0, "reserved-bits", Some(1002)),
            (0, "reserved-opcode", Some(1002)),
            (1, "missing-mask", Some(1002)),
            (2, "non-minimal-length", Some(1002)),
            (6, "missing-mask", Some(1002)),
        ]
    );
    assert_eq!(all[1].message.as_ref().unwrap().text(), Some("ok"));
    let said = all[0].violations[3].to_string();
    assert!(
        said.ends_with("expected the form of 7 bits, which is enough for 1"),
        "{said}"
    );
}

#[test]
fn a_control_frame_between_fragments_leaves_the_message_alone() {
    let stream = [
        frame(0x01, "zwei: \u{e9}".as_bytes().split_last().unwrap().1, KEY),
        frame(0x89, b"ping", KEY),
        frame(0x80, b"\xa9!", KEY),
        frame(0x88, b"\x03\xe8bye", KEY),
    ];
    let all = frames(Role::Client, &stream.concat());
    assert_eq!(faults(&all), []);
    assert_eq!(all[0].text, Some(TextState::MidCharacter));
    assert_eq!((all[1].part, all[1].text), (None, None));
    assert_eq!(
        (all[2].part, all[2].kind),
        (Some(Part::Last), Some(Kind::Text))
    );
    assert_eq!(
        all[2].message.as_ref().unwrap().text(),
        Some("zwei: \u{e9}!")
    );
    let close = all[3].close.as_ref().unwrap();
    assert_eq!((close.code, close.reason_str()), (Some(1000), Some("bye")));
    assert_eq!(close.code_name(), Some("normal closure"));
}

#[test]
fn what_is_cut_short_is_shown_as_far_as_it_came() {
    let stream = frame(0x81, b"Hello", KEY);
    for came in 1..stream.len() {
        let all = frames(Role::Client, &stream[..came]);
        assert_eq!((all.len(), faults(&all)), (1, vec![]), "{came}");
        assert!(!all[0].is_whole());
        assert_eq!(all[0].size(), came as u64);
        assert_eq!(&all[0].payload[..], &b"Hello"[..came.saturating_sub(6)]);
    }
}

#[test]
fn what_is_kept_is_bounded_and_all_of_it_is_checked() {
    let limits = Limits {
        frame_kept_max: 10,
        message_kept_max: 15,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(Role::Server, limits);
    let mut text = vec![b'x'; 40_000];
    text[39_999] = 0xff;
    let stream = [
        frame(0x01, &text[..20_000], None),
        frame(0x80, &text[20_000..], None),
    ]
    .concat();
    let mut bytes = stream.as_slice();
    let first = decoder.next(&mut bytes).unwrap();
    assert_eq!((first.payload.len(), first.received), (10, 20_000));
    let last = decoder.next(&mut bytes).unwrap();
    assert_eq!(
        faults(std::slice::from_ref(&last)),
        [(stream.len() as u64 - 1, "invalid-utf8", Some(1007))]
    );
    let message = last.message.unwrap();
    assert_eq!((message.payload.len(), message.len), (15, 40_000));
    assert_eq!(message.text(), None);
    let mut declared = &b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff12345678901234567890"[..];
    assert_eq!(decoder.next(&mut declared), None);
    assert_eq!(decoder.finish().unwrap().payload.len(), 10);
}

#[test]
fn a_gap_within_a_payload_is_no_great_harm() {
    let stream = [frame(0x81, &[b'x'; 100], None), frame(0x81, b"ok", None)].concat();
    let mut decoder = Decoder::new(Role::Server, Limits::default());
    let mut before = &stream[..10];
    assert_eq!(decoder.next(&mut before), None);
    assert!(decoder.skip(50));
    let mut behind = &stream[60..];
    let first = decoder.next(&mut behind).unwrap();
    assert_eq!(
        (first.missing, first.received, first.payload.len()),
        (50, 100, 8)
    );
    assert_eq!(first.text, Some(TextState::Unknown));
    assert_eq!(first.message.unwrap().text(), None);
    let second = decoder.next(&mut behind).unwrap();
    assert_eq!(
        (second.offset, second.message.unwrap().text()),
        (102, Some("ok"))
    );
    assert!(!decoder.skip(1));
}

#[test]
fn who_comes_late_may_see_a_continuation_first() {
    let mut decoder = Decoder::joining_at(1000, Role::Server, Limits::default());
    let mut bytes = &b"\x00\x01a\x80\x01b\x80\x01c"[..];
    let parts: Vec<_> = std::iter::from_fn(|| decoder.next(&mut bytes)).collect();
    assert_eq!(parts[0].part, Some(Part::Middle));
    assert_eq!(parts[1].part, Some(Part::Last));
    assert_eq!(
        faults(&parts),
        [(1006, "unexpected-continuation", Some(1002))]
    );
}
