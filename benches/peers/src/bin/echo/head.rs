//! The opening handshake that all peers have alike where they are not measured by it.

use std::io::{self, ErrorKind};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tungstenite::handshake::derive_accept_key;

use crate::servers::Socket;

/// The bytes of a request's head.
const HEAD_MAX: usize = 16 << 10;

/// Answers the request. The generator sends nothing before it is answered.
pub async fn shake_hands<S: Socket>(mut stream: S) -> io::Result<S> {
    let mut request = Vec::new();
    while !is_whole(&request)? {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    stream.write_all(answer(&request)?.as_bytes()).await?;
    stream.flush().await?;
    Ok(stream)
}

/// Whether this is all of a request's head.
pub fn is_whole(request: &[u8]) -> io::Result<bool> {
    match request.len() > HEAD_MAX {
        true => Err(ErrorKind::InvalidData.into()),
        false => Ok(request.ends_with(b"\r\n\r\n")),
    }
}

/// The answer that accepts a request.
pub fn answer(request: &[u8]) -> io::Result<String> {
    let head = String::from_utf8_lossy(request);
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_key = name.eq_ignore_ascii_case("Sec-WebSocket-Key");
        is_key.then_some(value.trim())
    });
    let accept = derive_accept_key(key.ok_or(ErrorKind::InvalidData)?.as_bytes());
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}
