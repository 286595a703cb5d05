//! The ends of a TLS connection: a loop that serves, a loop that connects, and a client made by
//! hand, with rustls's blocking stream.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use openline::net::{ClientTls, ConnectOptions, EventLoop, ServerTls};
use openline::proto::{ClientRequest, Config};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::certificates::Authority;
use crate::support::{Answer, Reporter, Seen, Server, config, echo};

const PATIENCE: Duration = Duration::from_secs(30);

/// An echo server in a thread of its own.
pub(crate) fn serve(tls: ServerTls) -> (Server, SocketAddr) {
    serve_with(tls, Config::default(), echo)
}

pub(crate) fn serve_with(
    tls: ServerTls,
    protocol: Config,
    answer: impl Answer,
) -> (Server, SocketAddr) {
    let (ready, when_ready) = channel();
    let server = Server::start_with(config(protocol), answer, move |server| {
        ready
            .send(server.listen_tls("127.0.0.1:0", tls).unwrap())
            .unwrap();
    });
    (server, when_ready.recv_timeout(PATIENCE).unwrap())
}

/// Runs a client of `url` to its end.
pub(crate) fn connect(url: &str, tls: Option<ClientTls>, answer: impl Answer) -> Receiver<Seen> {
    connect_with(url, tls, Config::default(), answer)
}

pub(crate) fn connect_with(
    url: &str,
    tls: Option<ClientTls>,
    protocol: Config,
    answer: impl Answer,
) -> Receiver<Seen> {
    let (seen, receiver) = channel();
    let request = ClientRequest::new(url.parse().unwrap());
    thread::spawn(move || {
        let reporter = Reporter { seen, answer };
        let mut client = EventLoop::new(reporter, config(protocol)).unwrap();
        let options = ConnectOptions {
            tls,
            ..ConnectOptions::default()
        };
        client.connect_with(request, &options, ()).unwrap();
        client.run().unwrap();
    });
    receiver
}

/// The verdict on a client's connection.
pub(crate) fn end(seen: &Receiver<Seen>) -> String {
    loop {
        if let Seen::End(_, why) = seen.recv_timeout(PATIENCE).unwrap() {
            return why;
        }
    }
}

/// A TLS client made by hand.
pub(crate) struct Tls(pub(crate) StreamOwned<ClientConnection, TcpStream>);

impl Tls {
    pub(crate) fn config(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority.pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    pub(crate) fn connect(address: SocketAddr, config: ClientConfig) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        Self(StreamOwned::new(session, stream))
    }

    /// After the opening handshake.
    pub(crate) fn open(address: SocketAddr, config: ClientConfig) -> Self {
        let mut tls = Self::connect(address, config);
        tls.send(crate::support::request("/").as_bytes());
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(tls.read(1));
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        tls
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
        self.0.flush().unwrap();
    }

    pub(crate) fn read(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}
