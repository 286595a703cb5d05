//! The opening handshake of the peer, in both roles: judged by the library, which a fault then
//! overrules.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use openline::proto::{
    Acceptance, Answer, ClientHandshake, ClientRequest, Config, Deflate, Field, HandshakeError,
    RecvBuffer, Role, SendBuffer, ServerHandshake,
};
use sha1::{Digest, Sha1};

use crate::deflate::{Codec, extensions};
use crate::faults::Fault;
use crate::peer::{LIFE, Peer, leave, read};

/// Serves echoes with a fault until the process ends.
pub(crate) fn serve(fault: Option<Fault>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || accept(stream, fault));
        }
    });
    address
}

fn accept(mut stream: TcpStream, fault: Option<Fault>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIFE))?;
    let mut recv = RecvBuffer::new();
    let mut bytes = Vec::new();
    let (mut send, now) = (SendBuffer::new(), Instant::now());
    let mut handshake = ServerHandshake::new(config(Role::Server), now);
    let verdict = loop {
        match handshake.poll(&recv) {
            Ok(None) => {}
            Ok(Some(upgrade)) => {
                upgrade
                    .accept(now, &mut recv, &Acceptance::default(), &mut send)
                    .expect("nothing that is accepted is at fault");
                break Ok(());
            }
            Err(error) => break Err(error),
        }
        let read = read(&mut stream)?;
        if read.is_empty() {
            return Ok(());
        }
        recv.extend(&read);
        bytes.extend(read);
    };
    if let Err(error) = verdict
        && !overlooks(fault, &error)
    {
        error.refusal().write(&mut send);
        stream.write_all(send.pending())?;
        return leave(&mut stream);
    }
    let head = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(bytes.len(), |n| n + 4);
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let agreed = extensions(&String::from_utf8_lossy(send.pending()));
    let refuses = match fault {
        Some(Fault::RefusesUnknownExtensions) => offers(&text)
            .iter()
            .any(|name| *name != "permessage-deflate"),
        Some(Fault::RefusesIllegalOffers) => {
            offers(&text).contains(&"permessage-deflate") && agreed.is_none()
        }
        _ => false,
    };
    if refuses {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")?;
        return leave(&mut stream);
    }
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then(|| value.trim())
    });
    let accept = match fault {
        Some(Fault::WrongAcceptOfOffers) if !offers(&text).is_empty() => accept_of("another"),
        _ => accept_of(key.unwrap_or_default()),
    };
    let extension = match (agreed, fault) {
        (Some(value), _) => format!("Sec-WebSocket-Extensions: {value}\r\n"),
        (None, Some(Fault::AgreesUnasked)) if offers(&text).is_empty() => {
            "Sec-WebSocket-Extensions: permessage-deflate\r\n".to_owned()
        }
        (None, _) => String::new(),
    };
    let head_sent = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{extension}\r\n"
    );
    stream.write_all(head_sent.as_bytes())?;
    let codec = Codec::agreed(&head_sent, Role::Server, fault);
    Peer::new(Role::Server, fault, stream, bytes.split_off(head), codec).run()
}

/// With compression: a server and a client that go along with whatever they are asked for.
fn config(us: Role) -> Arc<Config> {
    let compression = Deflate {
        server_no_context_takeover: false,
        // By its offer a client gives the server the choice.
        client_no_context_takeover: us == Role::Client,
        ..Deflate::default()
    };
    Arc::new(Config {
        compression: Some(compression),
        ..Config::default()
    })
}

/// Goes through a connection as a client, and echoes until it ends.
pub(crate) fn connect(address: SocketAddr, path: &str, fault: Option<Fault>) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIFE))?;
    let url = format!("ws://{address}{path}").parse().unwrap();
    let mut send = SendBuffer::new();
    let (config, now) = (config(Role::Client), Instant::now());
    let request = ClientRequest::new(url);
    let mut handshake = ClientHandshake::start(&request, config, now, [3; 32], &mut send);
    let mut head = String::from_utf8(send.pending().to_vec()).unwrap();
    if fault == Some(Fault::AsksForVersion8) && is_struck(path) {
        head = head.replace("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8");
    }
    stream.write_all(head.as_bytes())?;
    let mut recv = RecvBuffer::new();
    let mut bytes = Vec::new();
    loop {
        match handshake.poll(&mut recv) {
            Ok(None) => {}
            Ok(Some(Answer::Accepted(_))) => break,
            Ok(Some(Answer::Refused(_))) => return Ok(()),
            Err(error) if overlooks(fault, &error) => break,
            Err(_) => return Ok(()),
        }
        let read = read(&mut stream)?;
        if read.is_empty() {
            return Ok(());
        }
        recv.extend(&read);
        bytes.extend(read);
    }
    // Interim responses may come before the one that counts (RFC 9110 §15.2).
    let last = bytes
        .windows(12)
        .position(|line| line == b"HTTP/1.1 101")
        .unwrap_or(0);
    let end = bytes[last..]
        .windows(4)
        .position(|four| four == b"\r\n\r\n");
    let head = end.map_or(bytes.len(), |end| last + end + 4);
    let response = String::from_utf8_lossy(&bytes[last..head]);
    let codec = Codec::agreed(&response, Role::Client, fault);
    Peer::new(Role::Client, fault, stream, bytes.split_off(head), codec).run()
}

/// Whether a fault of some connections is one of this one: of every third, by the path.
pub(crate) fn is_struck(path: &str) -> bool {
    path.bytes().map(u32::from).sum::<u32>() % 3 == 1
}

/// §4.2.2: what proves to the client that its key was read.
fn accept_of(key: &str) -> String {
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    BASE64.encode(digest)
}

/// The names of the extensions that a request offers.
fn offers(request: &str) -> Vec<&str> {
    request
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-extensions"))
        .flat_map(|(_, value)| value.split(','))
        .filter_map(|offer| offer.split(';').next())
        .map(str::trim)
        .collect()
}

/// Whether a fault is to pass over what is wrong with a head.
fn overlooks(fault: Option<Fault>, error: &HandshakeError) -> bool {
    matches!(
        (fault, error),
        (
            Some(Fault::IgnoresVersion),
            HandshakeError::Invalid(Field::Version) | HandshakeError::Missing(Field::Version)
        ) | (
            Some(Fault::AcceptsMissingKey),
            HandshakeError::Missing(Field::Key)
        ) | (
            Some(Fault::IgnoresAccept),
            HandshakeError::Invalid(Field::Accept) | HandshakeError::Missing(Field::Accept)
        ) | (
            Some(Fault::TakesUnaskedExtensions),
            HandshakeError::ExtensionNotOffered
        )
    )
}
