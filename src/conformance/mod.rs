//! Conformance: every case of `vectors/` as data, and the player that plays them against a peer.
//!
//! A [`Vectors`] holds cases, read from the files that the crate carries or from a folder. A
//! [`Player`] plays one [`Case`] against one peer, which it takes for a stranger: it has no
//! socket and no clock, is given the bytes that the peer sent and the time, and gives the bytes
//! to write and, in the end, an [`Outcome`]. The same player runs in tests, against the core and
//! a virtual clock, and live, above a socket.
//!
//! ```
//! use std::time::Instant;
//! use openline::conformance::{Action, Player, Target, Vectors};
//! use openline::proto::Role;
//!
//! let vectors = Vectors::embedded();
//! let case = vectors.case("1.1.1").expect("the first case of all");
//! let mut player = Player::new(case, Role::Server, &Target::default(), Instant::now(), 7);
//! let Action::Write(bytes) = player.next(Instant::now()) else {
//!     panic!("a client speaks first");
//! };
//! assert!(bytes.starts_with(b"GET / HTTP/1.1\r\n"));
//! ```
//!
//! The language of the files is described in `vectors/README.md`.

mod case;
mod codec;
mod corpus;
mod error;
mod log;
mod payload;
mod player;
mod reach;
mod read;
mod rehearsal;
mod vectors;
mod verdict;
mod wire;

pub use case::{
    Agreement, Answer, Case, Check, Chop, Decides, Edit, Ending, Event, Expected, Frame, Group,
    Head, Item, Level, Opening, Party, Step, Within,
};
pub use corpus::Corpus;
pub use error::VectorsError;
pub use log::{Counts, Direction, Log, LogEntry, Logged};
pub use payload::Payload;
pub use player::{Action, Player, Scale, Target};
pub use rehearsal::{Rehearsal, rehearse};
pub use vectors::Vectors;
pub use verdict::{Behavior, BehaviorClose, Outcome};
