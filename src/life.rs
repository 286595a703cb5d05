//! A connection's life, from its first byte to its last, as it can be seen.
//!
//! What follows is a walk through [RFC 6455]. Each stop plays one of the conformance cases that
//! the crate carries (see [`conformance`](crate::conformance)) against its own server, and shows
//! what passed: `>` is the client's, `<` the server's, and the number is the place of the first
//! byte in that direction's stream. Nothing here is drawn by hand: these examples are tests, and
//! fail when the transcript is another. Where one says `frames("2.2")` it means:
//!
//! ```
//! use openline::conformance::{Vectors, rehearse};
//!
//! let case = Vectors::embedded().case("2.2").expect("a ping that carries a few words");
//! let frames = rehearse(case).frames();
//! # assert!(frames.contains("ping"));
//! ```
//!
//! The same cases, and streams of your own, are shown by the program: `openline inspect`,
//! `openline tap` for a live connection, and `openline demo` in a browser.
//!
//! # The opening handshake (§4)
//!
//! It begins as HTTP, so that it can pass where HTTP passes. The client asks for another protocol
//! on the same TCP connection, with sixteen random bytes; the server's answer is computed from
//! them, which shows that it read the request as WebSocket, and that no cache answered in its
//! stead. Each line is explained by [`inspect`](crate::inspect):
//!
//! ```
//! # use openline::conformance::{Vectors, rehearse};
//! # use openline::inspect::{Item, text};
//! let rehearsal = rehearse(Vectors::embedded().case("1.1.2").unwrap());
//! let heads = rehearsal.items.iter().filter(|item| matches!(item, Item::Head(_)));
//! let lines = heads.flat_map(|head| text::item(head, text::Options::default()));
//! let handshake: String = lines.map(|line| format!("{line}\n")).collect();
//! assert_eq!(handshake, "\
//! >      0  GET / HTTP/1.1   # asks for this resource (§4.1, item 2)
//! >     16  Host: localhost   # the host that the client means
//! >     33  Upgrade: websocket   # asks for WebSocket
//! >     53  Connection: Upgrade   # the upgrade is for this hop
//! >     74  Sec-WebSocket-Key: vvuoaungwgeGX34k6DSdTg==   # sixteen bytes; the server must answer ajti3rhfaJAbWtlfu2OBwatjk5Q=
//! >    119  Sec-WebSocket-Version: 13   # the version of RFC 6455
//! <      0  HTTP/1.1 101 Switching Protocols   # agrees: what follows is WebSocket
//! <     34  Upgrade: websocket   # to WebSocket
//! <     54  Connection: Upgrade   # the upgrade is for this hop
//! <     75  Sec-WebSocket-Accept: ajti3rhfaJAbWtlfu2OBwatjk5Q=   # the answer to the client's key: the server read it as WebSocket
//! ");
//! ```
//!
//! In the crate: [`ClientHandshake`](crate::proto::ClientHandshake) asks,
//! [`ServerHandshake`](crate::proto::ServerHandshake) reads and an
//! [`Upgrade`](crate::proto::Upgrade) answers. A server that does not agree says so by an HTTP
//! status, and a client gets it as a value.
//!
//! # A frame, bit by bit (§5.2)
//!
//! From here on there is no HTTP. Both ends send frames: a header of two to fourteen bytes, and
//! a payload. This is the ping of case 2.2:
//!
//! ```
//! # use openline::conformance::{Vectors, rehearse};
//! # use openline::inspect::{Item, text};
//! # let rehearsal = rehearse(Vectors::embedded().case("2.2").unwrap());
//! # let frame = rehearsal.items.iter().find(|item| matches!(item, Item::Frame(_))).unwrap();
//! # let options = text::Options { detail: text::Detail::Bits, ..text::Options::default() };
//! # let drawn: String = text::item(frame, options).iter().map(|line| format!("{line}\n")).collect();
//! assert_eq!(drawn, "\
//! > client, frame 1, at 148, 19 bytes: ping
//!    0                   1                   2                   3
//!    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//!   +-+-+-+-+-------+-+-------------+-------------------------------+
//!   |F|R|R|R| opcode|M| Payload len |          Masking-key          |
//!   |I|S|S|S|  (4)  |A|     (7)     |                               |
//!   |N|V|V|V|       |S|             |                               |
//!   | |1|2|3|       |K|             |                               |
//!   |1|0|0|0|1 0 0 1|1|0 0 0 1 1 0 1|1 1 0 0 1 1 0 1 1 0 1 1 1 1 0 0|
//!   +-------------------------------+-------------------------------+
//!   |    Masking-key, continued     |         Payload Data          |
//!   |1 0 0 0 1 0 1 1 0 0 0 0 1 1 1 1|1 0 0 0 0 1 0 1 1 1 0 1 1 0 0 1|
//!   + - - - - - - - - - - - - - - - + - - - - - - - - - - - - - - - +
//!      148  FIN 1          whole, as a control frame must be
//!      148  RSV 0 0 0      no extension is at work
//!      148  opcode 0x9     ping
//!      149  MASK 1         masked, as a client must
//!      149  length 13      the length itself
//!      150  key cdbc8b0f   each byte of payload is XORed with one of these in turn
//!      154  85 d9 e7 63 a2 90 ab 78  unmasked  48 65 6c 6c 6f 2c 20 77  Hello, w
//!      162  a2 ce e7 6b ec           unmasked  6f 72 6c 64 21           orld!
//! ");
//! ```
//!
//! The length has three forms, of which the shortest is used: up to 125 it stands in the seven
//! bits; 126 there says that it is in the next two bytes, 127 in the next eight. A client masks
//! every frame, so that a page cannot choose the bytes that go over the wire and have some proxy
//! take them for something else; a server masks none. In the crate:
//! [`FrameHeader`](crate::proto::FrameHeader), [`MaskingKey`](crate::proto::MaskingKey).
//!
//! # Pings and pongs (§5.5.2)
//!
//! Either end may ask whether the other is there. The answer has the same payload, and comes by
//! itself: the program that uses a connection need not do anything.
//!
//! ```
//! # use openline::conformance::{Vectors, rehearse};
//! # let frames = |id| rehearse(Vectors::embedded().case(id).unwrap()).frames();
//! assert_eq!(frames("2.2"), "\
//! >    148  ping             13  FIN key cdbc8b0f      \"Hello, world!\"
//! <    129  pong             13  FIN                   \"Hello, world!\"
//! >    167  close             2  FIN key 46328424      1000 normal closure
//! <    144  close             2  FIN                   1000 normal closure
//! ");
//! ```
//!
//! # A message in fragments (§5.4)
//!
//! A sender that does not know the length of a message yet sends it in fragments: the first frame
//! has the opcode, the others are continuations, the last has FIN. Control frames may pass between
//! them, and are answered at once. Case 5.6:
//!
//! ```
//! # use openline::conformance::{Vectors, rehearse};
//! # let frames = |id| rehearse(Vectors::embedded().case(id).unwrap()).frames();
//! assert_eq!(frames("5.6"), "\
//! >    148  text              9  key cdbc8b0f          \"fragment1\"
//! >    163  ping             12  FIN key 46328424      \"ping payload\"
//! >    181  continuation      9  FIN key 99a0dfa6      \"fragment2\" of a text
//! = text message, 2 frames, 18 bytes  \"fragment1fragment2\"
//! <    129  pong             12  FIN                   \"ping payload\"
//! <    143  text             18  FIN                   \"fragment1fragment2\"
//! >    196  close             2  FIN key 0568e28a      1000 normal closure
//! <    163  close             2  FIN                   1000 normal closure
//! ");
//! ```
//!
//! # Text is UTF-8 (§8.1)
//!
//! A fragment may end within a character, and only the message as a whole is text
//! (case `utf8/cut/fragments-4`):
//!
//! ```
//! # use openline::conformance::{Vectors, rehearse};
//! # let frames = |id| rehearse(Vectors::embedded().case(id).unwrap()).frames();
//! assert!(frames("utf8/cut/fragments-4").starts_with("\
//! >    148  text              4  key cdbc8b0f          \"aé\\xe2\", cut within a character
//! >    158  continuation      7  FIN key 46328424      \"\\x82\\xac𝄞z\" of a text
//! = text message, 2 frames, 11 bytes  \"aé€𝄞z\"
//! <    129  text             11  FIN                   \"aé€𝄞z\"
//! "));
//! ```
//!
//! What can no longer become UTF-8 fails the connection at once, with 1007: in case 6.4.3 the
//! server closes before the frame is complete.
//!
//! ```
//! # use openline::conformance::{Vectors, rehearse};
//! # let frames = |id| rehearse(Vectors::embedded().case(id).unwrap()).frames();
//! assert!(frames("6.4.3").contains(
//!     "1007 invalid payload data \"a text is not UTF-8 (RFC 6455 section 8.1)\""
//! ));
//! ```
//!
//! # Breaking the rules (§7.1.7)
//!
//! Whoever breaks a rule is told so by a Close frame with a code, and then the connection ends.
//! Here a client sends a frame without a mask (case `mask/server/text`), and the frame is not even
//! looked at:
//!
//! ```
//! # use openline::conformance::{Vectors, rehearse};
//! # let frames = |id| rehearse(Vectors::embedded().case(id).unwrap()).frames();
//! assert!(frames("mask/server/text").contains(
//!     "1002 protocol error \"a frame of the client is not masked (RFC 6455 section 5.1)\""
//! ));
//! ```
//!
//! In the crate a [`ProtocolError`](crate::proto::ProtocolError) knows its section and its code.
//! Nothing relaxes a rule.
//!
//! # The closing handshake (§7)
//!
//! Either end sends a Close frame, and nothing after it; the other answers with one, and the
//! server ends the TCP connection first, so that the client's ports are not held up. What comes
//! behind a Close frame is not read (case 7.1.2):
//!
//! ```
//! # use openline::conformance::{Vectors, rehearse};
//! # let frames = |id| rehearse(Vectors::embedded().case(id).unwrap()).frames();
//! assert_eq!(frames("7.1.2"), "\
//! >    148  close             2  FIN key cdbc8b0f      1000 normal closure
//! >    156  close             0  FIN key 46328424      no code
//! ! at 156: a frame comes behind a Close frame (RFC 6455 §5.5.1); expected nothing: the receiver reads no further
//! <    129  close             2  FIN                   1000 normal closure
//! ");
//! ```
//!
//! In the crate the end is a value, [`Closed`](crate::proto::Closed): who began it, when, and
//! why. A stream that ends without a Close frame is told apart from all of these: that is what
//! others show as 1006.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
