//! A WebSocket implementation from scratch (RFC 6455).
pub mod proto;
