//! What an idle connection over TLS costs in resident memory: fresh from its handshakes, and again
//! after one message.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::Common;
use crate::builtin::Builtin;
use crate::certificate::Certificate;
use crate::load;
use crate::process::{Command, Server, raise_file_limit};

const PING: u8 = 0x89;
const MOMENT: Duration = Duration::from_millis(500);

pub fn run(connections: usize, common: Common) -> Result<(), Box<dyn Error>> {
    raise_file_limit()?;
    let certificate = Certificate::make()?;
    let config = Arc::new(config(&certificate)?);
    let mut commands = vec![Command::builtin(Builtin::OpenlineTls)?.with(["{cert}", "{key}"])];
    commands.extend(common.servers("tls")?);
    for command in &commands {
        let server = Server::start(&certificate.fill(command))?;
        // What the first connection makes a server allocate once for all is not counted.
        for n in 0..100 {
            exchange(&mut open(server.address, n, &config)?)?;
        }
        let before = rest(&server)?;
        let mut streams = Vec::with_capacity(connections);
        for n in 0..connections {
            streams.push(open(server.address, n, &config)?);
        }
        let each = |resident: u64| resident.saturating_sub(before) as f64 / connections as f64;
        let opened = each(rest(&server)?);
        for stream in &mut streams {
            exchange(stream)?;
        }
        let used = each(rest(&server)?);
        if common.json {
            let line = json!({
                "what": "idle", "variant": "tls",
                "server": server.name, "connections": connections,
                "bytes_opened": opened, "bytes_used": used,
            });
            println!("{line}");
        } else {
            println!(
                "{:<20} {connections} connections: {opened:.0} bytes each after the handshakes, \
                 {used:.0} after a message",
                server.name
            );
        }
    }
    Ok(())
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// The `n`th connection, after both handshakes.
fn open(
    server: SocketAddr,
    n: usize,
    config: &Arc<ClientConfig>,
) -> Result<Stream, Box<dyn Error>> {
    let name = ServerName::try_from("localhost")?;
    let session = ClientConnection::new(Arc::clone(config), name)?;
    let mut stream = StreamOwned::new(session, load::dial(server, n)?);
    load::shake_hands(&mut stream, server, "")?;
    Ok(stream)
}

/// A message there and back.
fn exchange(stream: &mut Stream) -> Result<(), Box<dyn Error>> {
    let payload = [0x5a; 20];
    // Under a key that changes nothing.
    stream.write_all(&[&[0x82, 0x94, 0, 0, 0, 0][..], &payload].concat())?;
    let mut echo = [0; 22];
    loop {
        stream.read_exact(&mut echo[..2])?;
        // Opening thousands takes longer than a server waits before its first Ping.
        match echo[0] == PING {
            true => stream.read_exact(&mut vec![0; echo[1].into()])?,
            false => break,
        }
    }
    stream.read_exact(&mut echo[2..])?;
    match echo[2..] == payload {
        true => Ok(()),
        false => Err("that is not what was sent".into()),
    }
}

/// The server's resident bytes once it has come to rest.
fn rest(server: &Server) -> Result<u64, Box<dyn Error>> {
    thread::sleep(MOMENT);
    server.resident()
}

/// A client that trusts this certificate and no other.
fn config(certificate: &Certificate) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der.clone())?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
