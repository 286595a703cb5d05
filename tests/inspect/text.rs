//! How frames and heads are shown.

use openline::inspect::text::{self, Detail, Options};
use openline::proto::Role;

use crate::support::{REQUEST, RESPONSE, converse, frame, frames};

fn shown(sender: Role, bytes: &[u8], detail: Detail) -> String {
    let options = Options {
        detail,
        ..Options::default()
    };
    let frames = frames(sender, bytes);
    let lines = frames.iter().flat_map(|frame| text::frame(frame, options));
    lines.map(|line| line.to_string() + "\n").collect()
}

#[test]
fn a_frame_on_one_line() {
    let key = |byte| Some([byte; 4]);
    let stream = [
        frame(0x01, b"Hel", key(1)),
        frame(0x89, b"", key(2)),
        frame(0x80, b"lo \x1b[2J", key(3)),
        frame(0x82, &[7; 300], key(4)),
        frame(0x88, b"\x03\xedbye", key(5)),
        b"\x81\x85".to_vec(),
    ];
    let expected = "\
>      0  text              3  key 01010101          \"Hel\"
>      9  ping              0  FIN key 02020202      
>     15  continuation      7  FIN key 03030303      \"lo \\x1b[2J\" of a text
= text message, 2 frames, 10 bytes  \"Hello \\x1b[2J\"
>     28  binary          300  FIN 16-bit key 04040404 070707070707070707070707070707070707070707070707070707070707…
>    336  close             5  FIN key 05050505      1005 no status received \"bye\"
! at 342: the close code 1005 may not be sent (RFC 6455 §7.4), close code 1002 (protocol error); \
expected no payload at all: 1005 names a Close frame that has no code
>    347  text              5  FIN MASK                (cut short: 2 of 6 bytes of header)
! at 347: a frame comes behind a Close frame (RFC 6455 §5.5.1); expected nothing: the receiver \
reads no further
";
    let shown = shown(Role::Client, &stream.concat(), Detail::Line);
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn a_frame_as_section_5_2_draws_it() {
    let expected = "\
> client, frame 1, at 0, 11 bytes: a whole text message
   0                   1                   2                   3
   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
  +-+-+-+-+-------+-+-------------+-------------------------------+
  |F|R|R|R| opcode|M| Payload len |          Masking-key          |
  |I|S|S|S|  (4)  |A|     (7)     |                               |
  |N|V|V|V|       |S|             |                               |
  | |1|2|3|       |K|             |                               |
  |1|0|0|0|0 0 0 1|1|0 0 0 0 1 0 1|0 0 1 1 0 1 1 1 1 1 1 1 1 0 1 0|
  +-------------------------------+-------------------------------+
  |    Masking-key, continued     |         Payload Data          |
  |0 0 1 0 0 0 0 1 0 0 1 1 1 1 0 1|0 1 1 1 1 1 1 1 1 0 0 1 1 1 1 1|
  + - - - - - - - - - - - - - - - + - - - - - - - - - - - - - - - +
       0  FIN 1          the last, or the only, frame of its message
       0  RSV 0 0 0      no extension is at work
       0  opcode 0x1     text
       1  MASK 1         masked, as a client must
       1  length 5       the length itself
       2  key 37fa213d   each byte of payload is XORed with one of these in turn
       6  7f 9f 4d 51 58           unmasked  48 65 6c 6c 6f           Hello
";
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let shown = shown(Role::Client, hello, Detail::Bits);
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn a_long_length_takes_three_rows() {
    let expected = "\
< server, frame 1, at 0, 65546 bytes: a whole binary message
   0                   1                   2                   3
   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
  +-+-+-+-+-------+-+-------------+-------------------------------+
  |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
  |I|S|S|S|  (4)  |A|     (7)     |             (64)              |
  |N|V|V|V|       |S|             |                               |
  | |1|2|3|       |K|             |                               |
  |1|0|0|0|0 0 1 0|0|1 1 1 1 1 1 1|0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0|
  +---------------------------------------------------------------+
  |              Extended payload length, continued               |
  |0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1|
  +-------------------------------+-------------------------------+
  |Extended payload length, contin|         Payload Data          |
  |0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0|0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0|
  + - - - - - - - - - - - - - - - + - - - - - - - - - - - - - - - +
";
    let shown = shown(Role::Server, &frame(0x82, &[0; 65_536], None), Detail::Bits);
    assert!(shown.starts_with(expected), "\n{shown}");
    assert!(shown.contains("       2  length 65536   the length itself\n"));
    assert!(shown.ends_with("and 65476 bytes more\n"));
}

#[test]
fn a_handshake_with_what_its_lines_mean() {
    let items = converse(REQUEST, &RESPONSE[1..]);
    let lines = items
        .iter()
        .flat_map(|item| text::item(item, Options::default()));
    let shown: Vec<String> = lines.map(|line| line.to_string()).collect();
    let at = |start: &str| {
        shown
            .iter()
            .position(|line| line.starts_with(start))
            .unwrap()
    };
    assert!(shown[0].starts_with(">      0  GET /chat HTTP/1.1   # "));
    assert!(
        shown[at(">     87  Sec-WebSocket-Key: ")].ends_with("answer s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    let broken = at("<      0  TTP/1.1 101");
    assert!(
        shown[broken + 1].starts_with("! at 0: the first line is malformed"),
        "{shown:?}"
    );
}

#[test]
fn nothing_that_a_terminal_would_obey_is_shown() {
    let evil = "\x1b]0;\u{202e}\u{9b}\r".as_bytes();
    let stream = [
        frame(0x81, evil, None),
        frame(0x89, evil, None),
        frame(0x82, evil, None),
        frame(0x88, &[b"\x03\xe8", evil].concat(), None),
    ];
    let request = [
        b"GET /",
        evil,
        b" HTTP/1.1\r\nA",
        evil,
        b": ",
        evil,
        b"\r\n\r\n",
    ]
    .concat();
    let response = [
        b"HTTP/1.1 400 ",
        evil,
        b"\r\nContent-Length: 10\r\n\r\n",
        evil,
    ]
    .concat();
    let heads = converse(&request, &response);
    assert!(heads.len() >= 3);
    for detail in [Detail::Line, Detail::Bits] {
        let options = Options {
            detail,
            ..Options::default()
        };
        let frames = frames(Role::Server, &stream.concat());
        assert_eq!(frames.len(), 4);
        let frames = frames.iter().flat_map(|frame| text::frame(frame, options));
        for line in heads
            .iter()
            .flat_map(|item| text::item(item, options))
            .chain(frames)
        {
            let line = line.to_string();
            assert!(
                !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
                "{line:?}"
            );
        }
    }
}
