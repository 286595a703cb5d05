//! TLS for the tests: one certificate for all of them, and clients that trust it.

use std::io::Write;
use std::net::TcpStream;
use std::sync::OnceLock;

use openline::net::{ClientTls, ServerTls};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection, StreamOwned};

use crate::certificates::Authority;

/// A client made by hand, with rustls's blocking stream.
pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

/// A server of the name that it answers to, and clients that trust it.
fn sides() -> &'static (ServerTls, ClientTls) {
    static SIDES: OnceLock<(ServerTls, ClientTls)> = OnceLock::new();
    SIDES.get_or_init(|| {
        let authority = Authority::new("tests");
        let server = authority.sign(&["localhost"]).server();
        (server, authority.client())
    })
}

pub(crate) fn server() -> ServerTls {
    sides().0.clone()
}

/// For openline as the client.
pub(crate) fn trust() -> ClientTls {
    sides().1.clone()
}

/// A client after its handshake.
pub(crate) fn client(mut tcp: TcpStream) -> Client {
    let mut session = session();
    session.complete_io(&mut tcp).unwrap();
    StreamOwned::new(session, tcp)
}

/// A client before it.
pub(crate) fn session() -> ClientConnection {
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(trust().config(), name).unwrap()
}

/// What a client says first.
pub(crate) fn hello() -> Vec<u8> {
    let mut hello = Vec::new();
    session().write_tls(&mut hello).unwrap();
    hello
}

/// A server made by hand.
pub(crate) fn accept(tcp: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(server().config()).unwrap(), tcp)
}

/// These bytes as records.
pub(crate) fn encrypt(session: &mut ClientConnection, bytes: &[u8]) -> Vec<u8> {
    session.writer().write_all(bytes).unwrap();
    let mut records = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut records).unwrap();
    }
    records
}
