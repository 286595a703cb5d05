//! Echo servers of the peers, one thread each: `echo NAME PORT`, or `echo` for the names.
//!
//! All speak over the same sockets and have the same opening handshake, which none of them is
//! measured by: what differs is how messages are read and written.

mod servers;

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tungstenite::handshake::derive_accept_key;

/// The bytes of a request's head.
const HEAD_MAX: usize = 16 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, port] = arguments.as_slice() else {
        println!("{}", servers::NAMES.join("\n"));
        return Ok(());
    };
    let port = port.parse()?;
    if !servers::NAMES.contains(&name.as_str()) {
        return Err(format!("{name} is none of {}", servers::NAMES.join(", ")).into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, listen(name.clone(), port))
}

async fn listen(name: String, port: u16) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let name = name.clone();
        tokio::task::spawn_local(async move {
            // How a connection ends is the generator's to judge.
            if let Ok(stream) = shake_hands(stream).await {
                let _ = servers::echo(&name, stream).await;
            }
        });
    }
}

/// The opening handshake. The generator sends nothing before it is answered.
async fn shake_hands(mut stream: TcpStream) -> io::Result<TcpStream> {
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
    Ok(stream)
}
