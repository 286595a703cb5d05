//! A request, and what came of it: so that one question can be put in several ways.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openline::proto::{
    Answer, ClientHandshake, ClientRequest, Config, Connection, HandshakeError, RecvBuffer,
    SendBuffer,
};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::cli::diagnose::open::Open;
use crate::cli::diagnose::response::Response;
use crate::cli::diagnose::wire::Wire;

/// What came back.
#[derive(Debug)]
pub(super) enum Reply {
    /// A 101 that keeps every rule.
    Accepted(Box<Accepted>),
    /// Any other status.
    Refused(Response),
    /// A 101 that breaks a rule, or a head that cannot be read.
    Faulty {
        error: HandshakeError,
        /// What it was, if it was HTTP.
        response: Option<Response>,
        /// Its first bytes.
        first: Vec<u8>,
    },
    /// Nothing came, in time.
    Silent,
    /// It ended before the head did; its first bytes.
    Closed(Vec<u8>),
    Broken(io::Error),
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) wire: Wire,
    pub(super) connection: Connection,
    pub(super) recv: RecvBuffer,
    pub(super) send: SendBuffer,
    pub(super) response: Response,
    pub(super) subprotocol: Option<String>,
}

impl Accepted {
    /// Leaves at once, with a Close frame: the answer was all that was wanted.
    pub(super) fn leave(self) {
        Open::new(self, SOON).leave();
    }
}

/// What a good-bye may take.
const SOON: Duration = Duration::from_millis(500);

/// Asks for WebSocket.
pub(super) fn upgrade(wire: Wire, request: &ClientRequest, config: &Arc<Config>) -> Reply {
    let mut send = SendBuffer::new();
    let now = Instant::now();
    let handshake = match seed() {
        Ok(seed) => ClientHandshake::start(request, Arc::clone(config), now, seed, &mut send),
        Err(error) => return Reply::Broken(error),
    };
    exchange(wire, handshake, send.pending(), config.handshake_timeout)
}

/// Asks for WebSocket and offers permessage-deflate (RFC 7692): what the server would agree to, or
/// `None`. The outer `None`: there was no answer to tell. The connection is not gone on with.
pub(super) fn deflate(
    wire: Wire,
    request: &ClientRequest,
    config: &Arc<Config>,
) -> Option<Option<String>> {
    let mut send = SendBuffer::new();
    let now = Instant::now();
    let handshake =
        ClientHandshake::start(request, Arc::clone(config), now, seed().ok()?, &mut send);
    // The offer is a header field more, before the empty line.
    let fields = send.pending().strip_suffix(b"\r\n")?;
    let request = [fields, OFFER].concat();
    match exchange(wire, handshake, &request, config.handshake_timeout) {
        Reply::Accepted(accepted) => {
            accepted.leave();
            Some(None)
        }
        // It does not know of the offer, and all else is in order.
        Reply::Faulty {
            error: HandshakeError::ExtensionNotOffered,
            response: Some(response),
            ..
        } => Some(
            response
                .header("Sec-WebSocket-Extensions")
                .map(str::to_owned),
        ),
        _ => None,
    }
}

/// As browsers offer it (RFC 7692 §7.1.2.2), and the end of the head.
const OFFER: &[u8] =
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/// Asks for the same without a word of WebSocket, as for a page.
pub(super) fn plainly(wire: Wire, request: &ClientRequest, config: &Arc<Config>) -> Reply {
    let url = request.url();
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        url.resource_name(),
        url.authority()
    );
    // Only the reading of the answer is wanted of it.
    let bare = ClientRequest::new(url.clone());
    let now = Instant::now();
    let handshake = match seed() {
        Ok(seed) => {
            ClientHandshake::start(&bare, Arc::clone(config), now, seed, &mut SendBuffer::new())
        }
        Err(error) => return Reply::Broken(error),
    };
    exchange(wire, handshake, head.as_bytes(), config.handshake_timeout)
}

fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

fn exchange(
    mut wire: Wire,
    mut handshake: ClientHandshake,
    request: &[u8],
    timeout: Duration,
) -> Reply {
    let written = wire.write(request, timeout);
    let mut recv = RecvBuffer::new();
    let mut raw = Vec::new();
    let mut bytes = [0; READ_SIZE];
    loop {
        let deadline = handshake.poll_timeout();
        let deadline = deadline.unwrap_or_else(|| Instant::now() + timeout);
        let read = wire.read(&mut bytes, deadline);
        let answer = match read {
            Ok(Some(0)) => handshake.handle_eof(&mut recv),
            Ok(Some(n)) => {
                let room = RAW_MAX.saturating_sub(raw.len());
                raw.extend_from_slice(&bytes[..n.min(room)]);
                recv.extend(&bytes[..n]);
                handshake.poll(&mut recv)
            }
            Ok(None) => match handshake.handle_timeout(Instant::now()) {
                Ok(()) => handshake.poll(&mut recv),
                Err(error) => Err(error),
            },
            // An answer may have come before the end that a reset is.
            Err(_) if !raw.is_empty() => handshake.handle_eof(&mut recv),
            Err(error) => return Reply::Broken(written.err().unwrap_or(error)),
        };
        match answer {
            Ok(None) => {}
            Ok(Some(Answer::Refused(refused))) => {
                return Reply::Refused(Response::of(&refused.response(&recv)));
            }
            Ok(Some(Answer::Accepted(accepted))) => {
                let response = Response::of(&accepted.response(&recv));
                let subprotocol = accepted.subprotocol().map(str::to_owned);
                let connection = accepted.open(Instant::now(), &mut recv);
                return Reply::Accepted(Box::new(Accepted {
                    wire,
                    connection,
                    recv,
                    send: SendBuffer::new(),
                    response,
                    subprotocol,
                }));
            }
            Err(HandshakeError::EndOfFile) => return Reply::Closed(raw),
            Err(HandshakeError::TimedOut) if raw.is_empty() => return Reply::Silent,
            Err(error) => {
                let is_whole = error != HandshakeError::TimedOut;
                return Reply::Faulty {
                    error,
                    response: Response::parse(&raw).filter(|_| is_whole),
                    first: raw,
                };
            }
        }
    }
}

const READ_SIZE: usize = 4 << 10;
/// As much of an answer as is kept to be described.
const RAW_MAX: usize = 16 << 10;
