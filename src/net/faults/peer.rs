//! The other end of a scripted kernel: a client made by hand, with or without TLS.

#[cfg(feature = "tls")]
use std::io::{Read, Write};

use crate::net::faults::Scripted;
use crate::net::socket::Socket;
use crate::net::transport::Transport;

/// What lies beneath HTTP and WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Plain,
    #[cfg(feature = "tls")]
    Tls,
}

/// All that a client says, and what it has got to read.
pub(super) struct Client {
    said: Vec<u8>,
    pub(super) received: Vec<u8>,
    #[cfg(feature = "tls")]
    tls: Option<Box<rustls::ClientConnection>>,
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

impl Wire {
    #[cfg(not(feature = "tls"))]
    pub(super) const ALL: [Self; 1] = [Self::Plain];
    #[cfg(feature = "tls")]
    pub(super) const ALL: [Self; 2] = [Self::Plain, Self::Tls];

    pub(super) fn transport(self, socket: Scripted) -> Transport {
        let socket = Socket::Scripted(socket);
        match self {
            Self::Plain => Transport::Plain(socket),
            #[cfg(feature = "tls")]
            Self::Tls => {
                let stream = crate::net::tls::TlsStream::server(socket, tls::sides().0.config());
                Transport::Tls(Box::new(stream.expect("a server's configuration")))
            }
        }
    }
}

impl Client {
    /// It asks for WebSocket, sends messages of these sizes, and then perhaps a Close frame.
    pub(super) fn new(wire: Wire, messages: &[usize], says_close: bool) -> Self {
        // Without TLS there is one wire.
        #[cfg(not(feature = "tls"))]
        let Wire::Plain = wire;
        let mut said = REQUEST.to_vec();
        for (n, size) in messages.iter().enumerate() {
            said.push(0x82);
            match *size {
                size @ ..126 => said.push(0x80 | u8::try_from(size).expect("below 126")),
                size => {
                    said.push(0x80 | 126);
                    said.extend(u16::try_from(size).expect("a short message").to_be_bytes());
                }
            }
            said.extend([0; 4]);
            said.extend((0..*size).map(|i| u8::try_from((i + n) % 251).expect("below 251")));
        }
        if says_close {
            said.extend(b"\x88\x82\0\0\0\0\x03\xe8");
        }
        Self {
            said,
            received: Vec::new(),
            #[cfg(feature = "tls")]
            tls: (wire == Wire::Tls).then(tls::client),
        }
    }

    /// What it sends next, as the wire has it.
    pub(super) fn outgoing(&mut self) -> Vec<u8> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            let mut records = Vec::new();
            if !tls.is_handshaking() && !self.said.is_empty() {
                tls.writer().write_all(&self.said).expect("it has no limit");
                self.said.clear();
            }
            while tls.wants_write() {
                tls.write_tls(&mut records).expect("memory takes all");
            }
            return records;
        }
        std::mem::take(&mut self.said)
    }

    /// Whether all was said.
    pub(super) fn is_done(&self) -> bool {
        self.said.is_empty()
    }

    pub(super) fn receive(&mut self, mut wire: &[u8]) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            while !wire.is_empty() {
                tls.read_tls(&mut wire).expect("memory gives all");
                tls.process_new_packets().expect("the server speaks TLS");
                // There is no more for now, or the end was announced.
                let _ = tls.reader().read_to_end(&mut self.received);
            }
            return;
        }
        self.received.extend(std::mem::take(&mut wire));
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::sync::OnceLock;

    use rustls::ClientConnection;
    use rustls::pki_types::ServerName;

    use crate::net::tls::{Authorities, ClientTls, ServerTls};

    /// A server and a client that trusts it.
    pub(super) fn sides() -> &'static (ServerTls, ClientTls) {
        static SIDES: OnceLock<(ServerTls, ClientTls)> = OnceLock::new();
        SIDES.get_or_init(|| {
            let names = vec!["localhost".to_owned()];
            let pair = rcgen::generate_simple_self_signed(names).expect("a certificate");
            let certificate = pair.cert.pem();
            let key = pair.signing_key.serialize_pem();
            let server = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes());
            let trust = Authorities::Pem(certificate.into_bytes());
            let client = ClientTls::new(&trust, None);
            (server.expect("a pair"), client.expect("an authority"))
        })
    }

    pub(super) fn client() -> Box<ClientConnection> {
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(sides().1.config(), name);
        let mut client = client.expect("a client's configuration");
        client.set_buffer_limit(None);
        Box::new(client)
    }
}
