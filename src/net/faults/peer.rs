//! The other end of a scripted kernel, made by hand, with or without TLS: a client that asks and
//! talks, or a server that answers and talks, perhaps behind a proxy.

#[cfg(feature = "tls")]
use std::io::{Read, Write};
use std::mem;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

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

/// All that the other end says, and what it has got to read.
pub(super) struct Far {
    said: Vec<u8>,
    /// What a client reads, as it comes; what a server does, frame by frame, each with its first
    /// byte, its length and its payload without the mask, which is another each time.
    pub(super) received: Vec<u8>,
    /// What a server has to read before it says something.
    host: Option<Host>,
    /// What a proxy has read before it is one.
    proxy: Option<Vec<u8>>,
    #[cfg(feature = "tls")]
    tls: Option<Box<rustls::Connection>>,
}

/// What a server has yet to make sense of.
#[derive(Default)]
struct Host {
    is_open: bool,
    unread: Vec<u8>,
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

impl Wire {
    #[cfg(not(feature = "tls"))]
    pub(super) const ALL: [Self; 1] = [Self::Plain];
    #[cfg(feature = "tls")]
    pub(super) const ALL: [Self; 2] = [Self::Plain, Self::Tls];

    /// A server's transport over a scripted socket.
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

impl Far {
    /// A client: it asks for WebSocket, sends messages of these sizes, and then perhaps a Close
    /// frame.
    pub(super) fn client(wire: Wire, messages: &[usize], says_close: bool) -> Self {
        // Without TLS there is one wire.
        #[cfg(not(feature = "tls"))]
        let Wire::Plain = wire;
        Self {
            said: [REQUEST, &talk(messages, says_close, true)].concat(),
            received: Vec::new(),
            host: None,
            proxy: None,
            #[cfg(feature = "tls")]
            tls: (wire == Wire::Tls).then(tls::client),
        }
    }

    /// A server: it says the same when it was asked for WebSocket.
    pub(super) fn server(
        wire: Wire,
        messages: &[usize],
        says_close: bool,
        is_proxied: bool,
    ) -> Self {
        #[cfg(not(feature = "tls"))]
        let Wire::Plain = wire;
        Self {
            said: talk(messages, says_close, false),
            received: Vec::new(),
            host: Some(Host::default()),
            proxy: is_proxied.then(Vec::new),
            #[cfg(feature = "tls")]
            tls: (wire == Wire::Tls).then(tls::server),
        }
    }

    /// What it sends next, as the wire has it.
    pub(super) fn outgoing(&mut self) -> Vec<u8> {
        if let Some(asked) = &mut self.proxy {
            if !asked.ends_with(b"\r\n\r\n") {
                return Vec::new();
            }
            self.proxy = None;
            return b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        }
        let may_speak = self.host.as_ref().is_none_or(|host| host.is_open);
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            let mut records = Vec::new();
            if !tls.is_handshaking() && may_speak && !self.said.is_empty() {
                tls.writer().write_all(&self.said).expect("it has no limit");
                self.said.clear();
            }
            while tls.wants_write() {
                tls.write_tls(&mut records).expect("memory takes all");
            }
            return records;
        }
        match may_speak {
            true => mem::take(&mut self.said),
            false => Vec::new(),
        }
    }

    /// Whether all was said.
    pub(super) fn is_done(&self) -> bool {
        self.said.is_empty()
    }

    pub(super) fn receive(&mut self, mut wire: &[u8]) {
        if let Some(asked) = &mut self.proxy {
            // It waits for the answer before it says more.
            asked.extend(wire);
            return;
        }
        let mut bytes = Vec::<u8>::new();
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            while !wire.is_empty() {
                tls.read_tls(&mut wire).expect("memory gives all");
                tls.process_new_packets().expect("the other end speaks TLS");
                // There is no more for now, or the end was announced.
                let _ = tls.reader().read_to_end(&mut bytes);
            }
        }
        bytes.extend(mem::take(&mut wire));
        match &mut self.host {
            None => self.received.extend(bytes),
            Some(host) => {
                host.unread.extend(bytes);
                if let Some(answer) = host.answer() {
                    self.said.splice(..0, answer.into_bytes());
                }
                while host.is_open && host.frame(&mut self.received) {}
            }
        }
    }
}

impl Host {
    /// The answer to the request (§4.2.2), once it is there.
    fn answer(&mut self) -> Option<String> {
        let end = |bytes: &[u8]| bytes.windows(4).position(|end| end == b"\r\n\r\n");
        let head = end(&self.unread).filter(|_| !self.is_open)?;
        let head: Vec<u8> = self.unread.drain(..head + 4).collect();
        let head = String::from_utf8(head).expect("a head is ASCII");
        let (_, key) = head.split_once("Sec-WebSocket-Key: ").expect("a key");
        let (key, _) = key.split_once("\r\n").expect("a whole line");
        let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
        let accept = STANDARD.encode(Sha1::digest(format!("{key}{guid}")));
        self.is_open = true;
        Some(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ))
    }

    /// Reads a client's frame, if it is there whole; answers whether it was.
    fn frame(&mut self, received: &mut Vec<u8>) -> bool {
        let Some((&[first, second], rest)) = self.unread.split_first_chunk() else {
            return false;
        };
        assert!(second & 0x80 != 0, "a client's frame is masked");
        let (size, rest) = match (second & 0x7f, rest) {
            (126, [high, low, rest @ ..]) => (u16::from_be_bytes([*high, *low]).into(), rest),
            (126, _) => return false,
            (127, _) => panic!("no message is so long"),
            (size, rest) => (usize::from(size), rest),
        };
        let Some((key, payload)) = rest.split_first_chunk::<4>() else {
            return false;
        };
        let Some(payload) = payload.get(..size) else {
            return false;
        };
        received.push(first);
        received.extend((size as u64).to_be_bytes());
        let key = key.iter().cycle();
        received.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
        let left = rest.len() - 4 - size;
        self.unread.drain(..self.unread.len() - left);
        true
    }
}

/// Messages of these sizes, and then perhaps a Close frame; a mask changes nothing.
fn talk(messages: &[usize], says_close: bool, is_masked: bool) -> Vec<u8> {
    let mut said = Vec::new();
    let (mask, key): (u8, &[u8]) = if is_masked { (0x80, &[0; 4]) } else { (0, &[]) };
    for (n, size) in messages.iter().enumerate() {
        said.push(0x82);
        match *size {
            size @ ..126 => said.push(mask | u8::try_from(size).expect("below 126")),
            size => {
                said.push(mask | 126);
                said.extend(u16::try_from(size).expect("a short message").to_be_bytes());
            }
        }
        said.extend(key);
        said.extend((0..*size).map(|i| u8::try_from((i + n) % 251).expect("below 251")));
    }
    if says_close {
        said.extend([0x88, mask | 2]);
        said.extend(key);
        said.extend(b"\x03\xe8");
    }
    said
}

#[cfg(feature = "tls")]
pub(super) mod tls {
    use std::sync::OnceLock;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConnection, Connection, ServerConnection};

    use crate::net::tls::{Authorities, ClientTls, ServerTls};

    /// A server and a client that trusts it.
    pub(in crate::net::faults) fn sides() -> &'static (ServerTls, ClientTls) {
        static SIDES: OnceLock<(ServerTls, ClientTls)> = OnceLock::new();
        SIDES.get_or_init(|| {
            let names = ["localhost", "127.0.0.1"].map(str::to_owned);
            let pair = rcgen::generate_simple_self_signed(names).expect("a certificate");
            let certificate = pair.cert.pem();
            let key = pair.signing_key.serialize_pem();
            let server = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes());
            let trust = Authorities::Pem(certificate.into_bytes());
            let client = ClientTls::new(&trust, None);
            (server.expect("a pair"), client.expect("an authority"))
        })
    }

    pub(super) fn client() -> Box<Connection> {
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(sides().1.config(), name);
        let mut client = client.expect("a client's configuration");
        client.set_buffer_limit(None);
        Box::new(client.into())
    }

    pub(super) fn server() -> Box<Connection> {
        let server = ServerConnection::new(sides().0.config());
        let mut server = server.expect("a server's configuration");
        server.set_buffer_limit(None);
        Box::new(server.into())
    }
}
