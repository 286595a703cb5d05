//! How each peer is set up: limits on, no timers, and no compression unless it is asked for.

use sockudo_ws::Config;
use tokio_tungstenite::WebSocketStream;
use tokio_websockets::{Limits, ServerBuilder};
use tungstenite::protocol::WebSocketConfig;
use yawc::{CompressionLevel, DeflatePool, Options};

/// What a message may have, and what all are told where it can be told.
pub const MESSAGE_MAX: usize = 16 << 20;
/// Of those that do not bring one.
pub const BUFFER: usize = 16 << 10;

pub fn tungstenite() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
}

pub fn tokio_websockets() -> ServerBuilder {
    ServerBuilder::new().limits(Limits::default().max_payload_len(Some(MESSAGE_MAX)))
}

pub fn sockudo() -> Config {
    Config::builder()
        .auto_ping(false)
        .idle_timeout(0)
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
        .build()
}

pub fn yawc() -> Options {
    Options::default()
        .with_utf8()
        .with_limits(MESSAGE_MAX, MESSAGE_MAX)
}

/// With compression at that level, whatever a message's size. No context is taken over, and there
/// is one thread: one compressor serves all, as its documentation recommends.
pub fn yawc_compressed(level: u32) -> Options {
    yawc()
        .with_compression_level(CompressionLevel::new(level))
        .with_compression_threshold(0)
        .server_no_context_takeover()
        .client_no_context_takeover()
        .with_deflate_pool(DeflatePool::new(1))
}

/// Opened by whoever had the handshake.
pub async fn tungstenite_stream<S>(stream: S) -> WebSocketStream<S>
where
    S: crate::servers::Socket,
{
    let role = tungstenite::protocol::Role::Server;
    WebSocketStream::from_raw_socket(stream, role, Some(tungstenite())).await
}

/// What is sent back or on, and what is not.
pub trait Data: Clone + 'static {
    fn is_data(&self) -> bool;
}

impl Data for tungstenite::Message {
    fn is_data(&self) -> bool {
        self.is_text() || self.is_binary()
    }
}

impl Data for tokio_websockets::Message {
    fn is_data(&self) -> bool {
        self.is_text() || self.is_binary()
    }
}

impl Data for sockudo_ws::Message {
    fn is_data(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }
}

impl Data for yawc::Frame {
    fn is_data(&self) -> bool {
        matches!(self.opcode(), yawc::OpCode::Text | yawc::OpCode::Binary)
    }
}
