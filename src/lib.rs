//! A WebSocket implementation from scratch ([RFC 6455]), in three layers; each is useful without
//! the one above it.
//!
//! 1. [`proto`]: the protocol with no I/O. Bytes in, events out, bytes out. No socket, no clock,
//!    no thread, no source of entropy: time and seeds are arguments.
//! 2. [`net`](https://docs.rs/openline/latest/openline/net/): sockets, clock and entropy. A mio
//!    event loop beneath servers and clients.
//! 3. The program `openline`: serve and connect.
//!
//! Beside them, [`inspect`] looks at a byte stream from outside: every frame, every bit, every
//! fault. It rests on `proto` alone and does no I/O either. And
//! [`conformance`](https://docs.rs/openline/latest/openline/conformance/) plays the cases of
//! `vectors/` against any peer, over whatever transport its caller has.
//!
//! # The loop that a caller of the core writes
//!
//! ```
//! use std::io::{Read, Write};
//! use std::time::Instant;
//!
//! use openline::proto::{Connection, Event, RecvBuffer, SendBuffer};
//!
//! fn echo(
//!     mut connection: Connection,
//!     mut transport: impl Read + Write,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
//!     loop {
//!         let n = transport.read(recv.spare_mut(16 * 1024))?;
//!         recv.commit(n);
//!         if n == 0 {
//!             connection.handle_eof();
//!         }
//!         let now = Instant::now();
//!         let mut closed = None;
//!         while let Some(event) = connection.poll(now, &mut recv, &mut send)? {
//!             match event {
//!                 Event::Text(text) => connection.send_text(text, &mut send)?,
//!                 Event::Binary(data) => connection.send_binary(data, &mut send)?,
//!                 Event::Closed(end) => closed = Some(end),
//!                 _ => {}
//!             }
//!         }
//!         transport.write_all(send.pending())?;
//!         send.advance(send.len());
//!         if let Some(end) = closed {
//!             println!("{end}");
//!             return Ok(());
//!         }
//!     }
//! }
//! ```
//!
//! A connection comes from [`ServerHandshake`](proto::ServerHandshake) or
//! [`ClientHandshake`](proto::ClientHandshake); timers are
//! [`poll_timeout`](proto::Connection::poll_timeout) and
//! [`handle_timeout`](proto::Connection::handle_timeout).
//!
//! # Where to read about the protocol
//!
//! [A connection's life](https://docs.rs/openline/latest/openline/life/) (with the feature
//! `conformance`) walks through all of it with frames to look at; what is what in the crate:
//!
//! | of a connection's life | RFC 6455 | read |
//! | --- | --- | --- |
//! | the opening handshake | §4 | [`proto::ServerHandshake`], [`proto::ClientHandshake`] |
//! | frames | §5.2 | [`proto::FrameHeader`] |
//! | masking | §5.3 | [`proto::MaskingKey`] |
//! | fragments | §5.4 | [`proto::Fragments`], [`proto::Chunk`] |
//! | control frames | §5.5 | [`proto::Event`] |
//! | closing | §7 | [`proto::Close`], [`proto::Closed`] |
//! | UTF-8 | §8.1 | [`proto::utf8`] |
//! | limits | §10.4 | [`proto::Config`] |
//! | compression | RFC 7692 | [`proto::Deflate`], [`proto::DeflateParams`] |
//! | all of it, seen from outside | §5 | [`inspect::Decoder`], [`inspect::Conversation`] |
//!
//! # Features
//!
//! Features only add. `net` is on by default; `conformance` brings the cases and their player,
//! `cli` what the program alone needs. The core takes none of them.
//!
//! # Policies
//!
//! No `unsafe`, but in two places, each argued where it stands: the choice of an instruction set
//! in `mask.rs` and `utf8.rs`, and the text that a receive buffer has checked already. No option
//! relaxes the standard. Everything that a peer can make grow has a limit in [`proto::Config`].
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod inspect;
#[cfg(feature = "conformance")]
pub mod life;
#[cfg(feature = "net")]
pub mod net;
pub mod proto;
mod rare;

/// The examples of the README are tested with those of the documentation.
#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
