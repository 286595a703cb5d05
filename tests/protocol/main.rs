//! The behaviour of a connection, section by section, with a virtual clock and no I/O.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

mod closing;
mod control;
mod delivery;
mod fragmentation;
mod limits;
mod pair;
mod sending;
mod splits;
mod timers;
