//! The hostile peer against a running server, over each transport that there is.

#![allow(clippy::unwrap_used)]

mod admission;
mod between;
mod callbacks;
#[cfg(feature = "tls")]
#[allow(dead_code, reason = "shared with the tests of TLS")]
#[path = "../tls/certificates.rs"]
mod certificates;
mod client;
mod frames;
mod handshake;
mod lifetime;
mod reaping;
mod server;
#[cfg(feature = "tls")]
mod tls;
