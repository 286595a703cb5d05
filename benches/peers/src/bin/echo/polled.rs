//! tungstenite by itself, which knows no event loop: on mio, as tokio-tungstenite has it on tokio.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use tungstenite::protocol::Role;
use tungstenite::{Error, Message, WebSocket};

use crate::{head, settings};

const LISTENER: Token = Token(usize::MAX);

/// Serves until it is ended.
pub fn serve(port: u16) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections: HashMap<Token, WebSocket<TcpStream>> = HashMap::new();
    let mut next = 0;
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() != LISTENER {
                // How a connection ends is the generator's to judge.
                if let Some(socket) = connections.get_mut(&event.token())
                    && answer(socket).is_err()
                {
                    connections.remove(&event.token());
                }
                continue;
            }
            loop {
                let stream = match listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                };
                let token = Token(next);
                next += 1;
                // So is what is no client of WebSocket.
                if let Ok(mut socket) = open(stream) {
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(socket.get_mut(), token, both)?;
                    connections.insert(token, socket);
                }
            }
        }
    }
}

/// The opening handshake, which may block: it is not measured.
fn open(stream: TcpStream) -> io::Result<WebSocket<TcpStream>> {
    let mut stream = std::net::TcpStream::from(stream);
    stream.set_nodelay(true)?;
    stream.set_nonblocking(false)?;
    let mut request = Vec::new();
    while !head::is_whole(&request)? {
        let mut bytes = [0; 1024];
        let n = stream.read(&mut bytes)?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        request.extend(&bytes[..n]);
    }
    stream.write_all(head::answer(&request)?.as_bytes())?;
    stream.set_nonblocking(true)?;
    let stream = TcpStream::from_std(stream);
    let config = Some(settings::tungstenite());
    Ok(WebSocket::from_raw_socket(stream, Role::Server, config))
}

/// What has come is answered, and then flushed.
fn answer(socket: &mut WebSocket<TcpStream>) -> Result<(), Error> {
    let answered = loop {
        let done = match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.write(message),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            break error;
        }
    };
    waits(answered)?;
    socket.flush().or_else(waits)
}

/// What would block goes on when the socket is ready again.
fn waits(error: Error) -> Result<(), Error> {
    match error {
        Error::Io(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        error => Err(error),
    }
}
