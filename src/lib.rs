//! A WebSocket implementation from scratch (RFC 6455).
#[cfg(feature = "net")]
pub mod net;
pub mod proto;
