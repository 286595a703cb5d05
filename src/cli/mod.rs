//! The program: one file a subcommand, and what they share.

mod address;
mod auth;
pub(crate) mod bench;
mod compression;
pub(crate) mod conformance;
pub(crate) mod connect;
pub(crate) mod demo;
mod descriptors;
pub(crate) mod diagnose;
mod failure;
mod form;
pub(crate) mod inspect;
mod log;
pub(crate) mod manual;
mod metrics;
mod quotas;
mod recording;
pub(crate) mod replay;
mod request;
pub(crate) mod serve;
mod show;
mod signal;
pub(crate) mod tap;
mod terminal;
mod tls;
mod values;
mod wire;
