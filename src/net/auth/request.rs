//! Requests for the tests of checks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::proto::{RecvBuffer, Request, ServerHandshake};

/// Whose requests these are.
pub(super) const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4242);

/// Has `look` look at a legal request for `target` with these header fields, each with its CR LF.
pub(super) fn with<T>(target: &str, headers: &str, look: impl FnOnce(&Request<'_>) -> T) -> T {
    let mut recv = RecvBuffer::new();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n{headers}\r\n"
    );
    recv.extend(request.as_bytes());
    let mut handshake = ServerHandshake::new(Arc::default(), Instant::now());
    let upgrade = handshake.poll(&recv).unwrap().unwrap();
    look(&upgrade.request(&recv))
}
