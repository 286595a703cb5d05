//! `openline conformance` as a user meets it, and whether it tells the truth: peers with one
//! deliberate fault each, which the cases meant for it must find, and no others.

#![allow(clippy::unwrap_used)]

mod deflate;
mod faults;
mod handshake;
mod met;
mod peer;
mod program;
mod run;
