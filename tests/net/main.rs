//! The event loop on real sockets, over loopback.
//!
//! Every test has a deadline, so that a loop that hangs fails and does not wait for ever.

#![allow(clippy::unwrap_used)]

mod backpressure;
mod blocking;
mod client;
mod closing;
mod connecting;
mod decision;
mod echo;
mod foreseen;
mod gathering;
mod hostile;
mod metrics;
mod opening;
mod pages;
mod quotas;
mod remote;
mod shutdown;
mod support;
mod threads;
mod timeouts;
mod topics;
mod tracing;
mod wire;
