//! Every case of `vectors/`, played against the core in both roles, with no I/O and a clock by
//! hand.

#![allow(unreachable_pub, clippy::cast_possible_truncation, clippy::unwrap_used)]

mod peer;
mod replay;
