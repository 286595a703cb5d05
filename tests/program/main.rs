//! The program as people and scripts run it: arguments, output, log, signals, exit codes.

#![allow(clippy::unwrap_used)]

mod arguments;
mod auth;
mod bench;
mod connect;
mod demo;
mod inspect;
mod manual;
mod metrics;
mod serve;
mod support;
mod tap;
mod tls;
mod way;
