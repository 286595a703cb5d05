//! `openline inspect`: forms of input, captures, exit codes.

use serde_json::Value;

use crate::support::{run, text};

/// As tcpdump wrote them on loopback: two conversations of the same kind, a page asked for in
/// between, and something that looks like TLS. `any` is a capture of all interfaces.
const PCAP: &[u8] = include_bytes!("data/loopback.pcap");
const PCAPNG: &[u8] = include_bytes!("data/loopback.pcapng");
const ANY: &[u8] = include_bytes!("data/any.pcap");

/// §5.7: a masked "Hello".
const HELLO: &str = "81 85 37 fa 21 3d 7f 9f 4d 51 58";

fn inspect(arguments: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let output = run(&[&["inspect"], arguments].concat(), input);
    assert_eq!(text(&output.stderr), "");
    (output.status.code(), text(&output.stdout))
}

fn json(arguments: &[&str], input: &[u8]) -> Vec<Value> {
    let (_, output) = inspect(&[&["--json"], arguments].concat(), input);
    output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_legal_frame_in_many_forms() {
    let raw = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    for (arguments, input) in [
        (&[][..], HELLO.as_bytes()),
        (&[], raw),
        (&[], b"gYU3+iE9f59NUVg="),
        (
            &[],
            b"00000000: 8185 37fa 213d 7f9f 4d51 58              ..7.!=..MQX\n",
        ),
        (&["--format", "base64"], b"gYU3-iE9f59NUVg"),
        (&["--format", "raw"], raw),
        (&["-"], raw),
    ] {
        let (code, output) = inspect(arguments, input);
        assert_eq!(code, Some(0), "{output}");
        assert!(
            output.contains(">      0  text              5  FIN key 37fa213d"),
            "{output}"
        );
        assert!(
            output.ends_with("\"Hello\"\nlegal: 0 heads, 1 frame, 1 message\n"),
            "{output}"
        );
    }
}

#[test]
fn exit_codes_tell_legal_illegal_and_unreadable() {
    let (code, output) = inspect(&[], b"81 00 83 00");
    assert_eq!(code, Some(3));
    assert!(output.contains("! at 2: the opcode 0x3 is reserved (RFC 6455 §5.2), close code 1002"));
    // What breaks off is legal as far as it goes.
    assert_eq!(inspect(&[], b"81 05 48").0, Some(0));
    for (arguments, input, words) in [
        (&["inspect"][..], &b""[..], "the input is empty"),
        (
            &["inspect", "no such file"],
            b"",
            "cannot read no such file",
        ),
        (&["inspect"], b"what is this?", "--format raw"),
        (
            &["inspect", "--format", "pcap"],
            b"no capture at all, not at all",
            "neither pcap nor",
        ),
        (
            &["inspect", "--format", "hex"],
            b"81 0",
            "line 1: a byte has one digit only",
        ),
    ] {
        let output = run(arguments, input);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(
        run(&["inspect", "--from", "both"], b"").status.code(),
        Some(2)
    );
}

#[test]
fn both_directions_of_a_handshake_as_text() {
    let request = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n";
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let input = format!(
        "> {}\n< {}\n< 8900\n> {HELLO}\n",
        hex(request),
        hex(response)
    );
    let events = json(&[], input.as_bytes());
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["request", "response", "frame", "frame", "summary"]);
    let violation = &events[1]["violations"][0];
    assert_eq!(violation["rule"], "invalid-field");
    let expected = violation["expected"].as_str().unwrap();
    assert!(
        expected.contains("=, the answer to the client's key"),
        "{expected}"
    );
    assert_eq!(
        (&events[3]["from"], &events[3]["message"]["text"]),
        (&"client".into(), &"Hello".into())
    );
    assert_eq!(events[4]["legal"], false);
}

#[test]
fn a_compressed_stream_without_its_handshake() {
    // RFC 7692 §7.2.3.1, and the same once more by the window of the first.
    let stream = b"c107f248cdc9c90700 c105f200110000";
    assert_eq!(inspect(&[], stream).0, Some(3));
    let (code, output) = inspect(&["--deflate"], stream);
    assert_eq!(code, Some(0), "{output}");
    let line = "= text message, 1 frame, 5 bytes inflated to 5  \"Hello\"";
    assert!(output.contains(line), "{output}");
    // Each by itself, the second refers to what is not there.
    let (code, output) = inspect(&["--deflate=server_no_context_takeover"], stream);
    assert_eq!(code, Some(3));
    assert!(
        output.contains("(RFC 7692 §7.2.2), close code 1007"),
        "{output}"
    );
    assert_eq!(
        run(&["inspect", "--deflate=quickly"], b"").status.code(),
        Some(2)
    );
}

#[test]
fn bit_by_bit() {
    let (code, output) = inspect(&["--verbose"], HELLO.as_bytes());
    assert_eq!(code, Some(0));
    for line in [
        "> client, frame 1, at 0, 11 bytes: a whole text message",
        "  |1|0|0|0|0 0 0 1|1|0 0 0 0 1 0 1|0 0 1 1 0 1 1 1 1 1 1 1 1 0 1 0|",
        "       1  MASK 1         masked, as a client must",
        "       6  7f 9f 4d 51 58           unmasked  48 65 6c 6c 6f           Hello",
    ] {
        assert!(
            output.lines().any(|other| other == line),
            "{line}\n{output}"
        );
    }
}

#[test]
fn captures_of_every_kind_say_the_same() {
    for capture in [PCAP, PCAPNG, ANY] {
        let (code, output) = inspect(&["--list"], capture);
        assert_eq!(code, Some(0));
        let natures: Vec<_> = output
            .lines()
            .map(|line| line.split(',').next().unwrap())
            .collect();
        for (line, nature) in natures
            .iter()
            .zip(["websocket", "http", "websocket", "tls"])
        {
            assert!(line.ends_with(nature), "{line}");
        }
        assert_eq!(natures.len(), 4);

        let (code, output) = inspect(&[], capture);
        assert_eq!(code, Some(0), "{output}");
        assert!(
            output.contains("[1] * open: subprotocol chat, extensions none"),
            "{output}"
        );
        assert!(
            output.contains("= text message, 2 frames, 8 bytes  \"Hello é\""),
            "{output}"
        );
        assert!(
            !output.contains("[2]") && !output.contains("[4]"),
            "{output}"
        );
        assert!(
            output.ends_with("legal: 4 heads, 26 frames, 16 messages\n"),
            "{output}"
        );

        let events = json(&["--connection", "3"], capture);
        let texts: Vec<_> = events
            .iter()
            .filter(|event| event["from"] == "server")
            .filter_map(|event| event["message"]["text"].as_str())
            .collect();
        assert_eq!(texts, ["hello", "Hello é", "last"]);
        assert!(
            events
                .iter()
                .all(|event| event["connection"].as_u64().is_none_or(|n| n == 3))
        );
    }
}

/// The records of a pcap file of this machine's byte order, each with its header.
fn records(capture: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut rest = &capture[24..];
    while !rest.is_empty() {
        let size = u32::from_le_bytes(rest[8..12].try_into().unwrap());
        let (record, behind) = rest.split_at(16 + size as usize);
        records.push(record.to_owned());
        rest = behind;
    }
    records
}

fn file(records: &[Vec<u8>]) -> Vec<u8> {
    [&PCAP[..24], &records.concat()].concat()
}

fn has_payload(record: &[u8]) -> bool {
    // Ethernet 14, IPv4 20, TCP 32 with its time stamps.
    record.len() > 16 + 14 + 20 + 32
}

#[test]
fn a_capture_out_of_order_and_with_repetitions() {
    let mut packets = records(PCAP);
    for at in (0..packets.len() - 1).step_by(2) {
        // Not across the packet that begins a connection.
        if has_payload(&packets[at]) && has_payload(&packets[at + 1]) {
            packets.swap(at, at + 1);
        }
    }
    let twice: Vec<_> = packets
        .iter()
        .flat_map(|packet| [packet.clone(), packet.clone()])
        .collect();
    let (code, output) = inspect(&[], &file(&twice));
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.ends_with("legal: 4 heads, 26 frames, 16 messages\n"),
        "{output}"
    );
    assert!(
        inspect(&["--list"], &file(&twice))
            .1
            .contains("segments retransmitted")
    );
}

#[test]
fn what_a_capture_lost_is_named() {
    let packets = records(PCAP);
    // The first packet of the client's that has a frame.
    let hello = packets.iter().position(|packet| {
        let payload = packet.get(16 + 14 + 20 + 32..).unwrap_or_default();
        payload.first() == Some(&0x81) && payload.get(1).is_some_and(|byte| byte & 0x80 != 0)
    });
    let mut packets = packets;
    packets.remove(hello.unwrap());
    let (code, output) = inspect(&["-c", "1"], &file(&packets));
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("bytes are missing here; where the next frame begins is a guess"),
        "{output}"
    );
    assert!(output.contains("010203"), "{output}");

    // A capture whose beginning was missed is read from where it begins.
    let from = packets
        .iter()
        .position(|packet| packet.ends_with(b"\r\n\r\n"))
        .unwrap();
    let (code, output) = inspect(&[], &file(&packets[from + 3..]));
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("= text message, 2 frames, 8 bytes  \"Hello é\""),
        "{output}"
    );
}

#[test]
fn a_capture_that_breaks_off() {
    for size in [PCAP.len() - 1, PCAP.len() - 100] {
        let (code, output) = inspect(&[], &PCAP[..size]);
        assert_eq!(code, Some(0), "{output}");
        assert!(
            output.contains("* the capture breaks off within a packet"),
            "{output}"
        );
    }
}

#[test]
fn there_may_be_no_websocket() {
    let (code, output) = inspect(&["-c", "9"], PCAP);
    assert_eq!(code, Some(4));
    assert!(output.contains("there is no connection 9"), "{output}");
    let others: Vec<_> = records(PCAP).into_iter().rev().take(5).rev().collect();
    let (code, output) = inspect(&[], &file(&others));
    assert_eq!(code, Some(4), "{output}");
}

#[test]
fn no_escape_sequence_but_our_own_colours() {
    let evil = b"\x81\x08\x1b[2J\xc2\x9b31";
    let (_, output) = inspect(&[], evil);
    assert!(!output.contains(['\x1b', '\u{9b}']), "{output:?}");
    assert!(output.contains("\\x1b[2J\\u{9b}31"), "{output:?}");
    let (_, output) = inspect(&["--color", "always"], evil);
    assert!(output.contains("\x1b[1;35m< \x1b[0m"), "{output:?}");
    assert!(
        !output.contains("\x1b[2J") && !output.contains('\u{9b}'),
        "{output:?}"
    );
    let (_, output) = inspect(&["--json"], evil);
    assert!(!output.contains(['\x1b', '\u{9b}']), "{output:?}");
}
