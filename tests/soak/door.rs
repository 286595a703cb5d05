//! Connections made by hand, of those who come and go.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use openline::net::ClientTls;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::server::{REQUEST, Server, Trust};

/// Where a server is entered.
pub(crate) struct Door {
    address: SocketAddr,
    tls: Option<ClientTls>,
}

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Door {
    pub(crate) fn new(server: &Server, trust: &Trust) -> Self {
        Self {
            address: server.address,
            tls: server.is_tls.then(|| trust.client.clone()),
        }
    }

    /// A connection beneath TLS.
    pub(crate) fn knock(&self, patience: Duration) -> io::Result<TcpStream> {
        let tcp = TcpStream::connect(self.address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(patience))?;
        tcp.set_write_timeout(Some(patience))?;
        Ok(tcp)
    }

    /// One that speaks TLS as soon as it says something, if the server does.
    pub(crate) fn enter(&self, patience: Duration) -> io::Result<Stream> {
        let tcp = self.knock(patience)?;
        Ok(match self.session() {
            None => Stream::Plain(tcp),
            Some(session) => Stream::Tls(Box::new(StreamOwned::new(session, tcp))),
        })
    }

    pub(crate) fn session(&self) -> Option<ClientConnection> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let config = self.tls.as_ref()?.config();
        Some(ClientConnection::new(config, name).unwrap())
    }
}

impl Stream {
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(stream) => &stream.sock,
        }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.write_all(bytes),
            Self::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// The opening handshake.
    pub(crate) fn ask(&mut self) -> io::Result<()> {
        self.say(REQUEST)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.read_exact(&mut byte)?;
            head.extend(byte);
        }
        match head.starts_with(b"HTTP/1.1 101 ") {
            true => Ok(()),
            false => Err(io::Error::other("refused")),
        }
    }

    /// Reads to the end, or as long as something comes.
    pub(crate) fn hear_out(&mut self) {
        while self.read(&mut [0; 512]).is_ok_and(|n| n > 0) {}
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }
}
