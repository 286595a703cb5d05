//! The program: one file a subcommand, and what they share.

mod address;
pub(crate) mod connect;
mod log;
mod origin;
pub(crate) mod serve;
mod signal;
mod terminal;
mod values;
