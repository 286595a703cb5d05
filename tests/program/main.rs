//! The program as a user runs it: arguments, output, exit codes, signals.

mod connect;
mod serve;
mod support;
