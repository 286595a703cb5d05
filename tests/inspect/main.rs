//! Streams seen from outside: frames, messages, faults, handshakes, and how they are shown.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, unreachable_pub)]

#[cfg(feature = "deflate")]
mod compressed;
mod frames;
mod handshake;
mod strict;
mod support;
mod text;
