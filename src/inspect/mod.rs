//! A WebSocket byte stream seen from outside: every frame, every bit, every fault.
//!
//! Where [`proto`](crate::proto) obeys the standard and stops at the first byte that breaks it,
//! this module looks on: it never stops at a fault, names each with its offset, its section and
//! the close code that it deserves, and goes on. Bytes in, frames out; no I/O.
//!
//! | to see | use |
//! | --- | --- |
//! | the frames of one direction | [`Decoder`] |
//! | both directions, and the handshake before them | [`Conversation`] |
//! | a frame on one line, or bit by bit | [`text`] |
//!
//! A stream has a fault with a close code exactly when a strict
//! [`Connection`](crate::proto::Connection) without limits would fail on it.

mod assembly;
mod bits;
mod conversation;
mod decoder;
mod frame;
mod harmless;
mod head;
mod header;
mod inflate;
#[cfg(feature = "json")]
pub mod json;
mod opening;
mod rules;
pub mod text;
mod violation;

pub use conversation::{Conversation, Item, Sides, Start, guess_sender};
pub use decoder::{Decoder, Limits};
pub use frame::{CloseBody, Frame, Message, Part, TextState};
pub use harmless::{hex, neutralise, neutralise_json, neutralise_lines, quote};
pub use head::{Head, HeadLine};
pub use header::{LengthForm, RawHeader};
pub use opening::Agreement;
pub use violation::{Fault, Violation};
