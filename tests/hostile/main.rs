//! The hostile peer against a running server, over each transport that there is.

#![allow(clippy::unwrap_used)]

mod admission;
mod frames;
mod handshake;
mod reaping;
mod server;
