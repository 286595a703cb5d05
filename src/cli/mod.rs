//! The program `openline`: one file or folder a subcommand.

mod address;
pub(crate) mod connect;
mod log;
mod origin;
pub(crate) mod serve;
mod signal;
mod terminal;
mod values;
