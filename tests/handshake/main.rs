//! The opening handshake from both sides (RFC 6455 §4), on bytes alone.

#![allow(unreachable_pub, clippy::unwrap_used)]

mod client;
mod hostile;
mod pages;
mod peers;
mod server;
mod splits;
