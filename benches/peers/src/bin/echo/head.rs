//! The opening handshake that all peers have alike where they are not measured by it.

use std::io::{self, ErrorKind};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tungstenite::handshake::derive_accept_key;

use crate::servers::Socket;

/// The bytes of a request's head.
const HEAD_MAX: usize = 16 << 10;

/// Answers the request. The generator sends nothing before it is answered.
pub async fn shake_hands<S: Socket>(mut stream: S) -> io::Result<S> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_MAX || stream.read_buf(&mut head).await? == 0 {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_key = name.eq_ignore_ascii_case("Sec-WebSocket-Key");
        is_key.then_some(value.trim())
    });
    let accept = derive_accept_key(key.ok_or(ErrorKind::InvalidData)?.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await?;
    Ok(stream)
}
