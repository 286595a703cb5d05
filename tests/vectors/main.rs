//! Every case of `vectors/`, played with no I/O and a clock by hand: against the core in both
//! roles, and against peers and expectations that are wrong, which must be found.

#![allow(unreachable_pub, clippy::cast_possible_truncation, clippy::unwrap_used)]

mod core;
mod files;
mod found;
mod hostile;
mod peer;
mod replay;
mod seeds;
