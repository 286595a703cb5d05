//! wss on real sockets, in both roles, with certificates made when the tests run.

#![allow(clippy::unwrap_used)]

mod certificates;
mod echo;
mod hostile;
mod peer;
mod reload;
#[allow(dead_code, reason = "shared with the tests of the plain loop")]
#[path = "../net/support.rs"]
mod support;
mod verify;
