//! permessage-deflate (RFC 7692): two ends without a transport, and a decoder of our own between
//! them.

#![cfg(feature = "deflate")]
#![allow(
    unreachable_pub,
    dead_code,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

mod bounds;
mod handshake;
mod messages;
mod naive;
#[path = "../protocol/pair.rs"]
mod pair;
mod receiving;
mod sending;
