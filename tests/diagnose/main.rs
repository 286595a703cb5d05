//! `openline diagnose` against real faults, made on loopback: each verdict has a test.
//!
//! Those that need a network namespace or nginx are left out where that cannot be, and say so;
//! `tests/diagnose/run` installs what they need and lets none be left out.

#![allow(clippy::unwrap_used)]

mod authority;
mod coverage;
mod handshake;
mod http;
mod idle;
mod network;
mod nginx;
mod open;
mod output;
mod proxy;
mod support;
mod tls;
mod urls;
