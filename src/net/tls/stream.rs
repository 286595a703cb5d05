//! TLS over a socket that does not block ([RFC 8446]).
//!
//! ```text
//!   socket --> scratch: [ kept | read ] --process--> plaintext, copied out
//!                                  rest --> kept, only if a record is not whole yet
//!   plaintext --encrypt--> scratch --> socket
//!                             rest --> outgoing, only if the socket is full
//! ```
//!
//! Plaintext never waits here once the handshake is over, and what was encrypted counts as sent
//! only when the socket has taken all of it: so the bounds above, on what waits to be sent, hold
//! for TLS too.
//!
//! [RFC 8446]: https://www.rfc-editor.org/rfc/rfc8446

use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{ClientConfig, ServerConfig};

use crate::net::end::EndWhy;
use crate::net::socket::Socket;
use crate::net::tls::error::TlsError;
use crate::net::transport::{Received, SHORT_READ_DRAINS};
use crate::proto::{Closed, ClosedWhy};

/// How much is read at once before the handshake is over: no flight is longer, as a rule.
const HANDSHAKE_READ_SIZE: usize = 8 << 10;
/// How much is encrypted at once: four records of the largest size, so that a long message takes
/// few system calls and what a full socket leaves over is bounded.
const BATCH: usize = 64 << 10;
/// What encryption adds to a batch, and what may go before it: four records' headers and tags,
/// and a key update. If it is more, rustls says how much.
const OVERHEAD: usize = 1 << 10;
/// RFC 8446 §5.1: a type, a version and a length.
const RECORD_HEADER_SIZE: usize = 5;

/// TLS over a socket.
pub(in crate::net) struct TlsStream {
    socket: Socket,
    session: Session,
    phase: Phase,
    /// Received and not processed: less than a record, or a handshake message in records.
    kept: Vec<u8>,
    /// Plaintext that came along with the end of the handshake.
    early: Vec<u8>,
    /// Encrypted, and not taken by the socket yet.
    outgoing: Vec<u8>,
    /// How many bytes of plaintext are in `outgoing`; those were not counted as sent.
    owed: usize,
    /// Whether the peer's end of file was read.
    eof: bool,
    /// Whether the peer said before that it would end.
    peer_closed: bool,
    /// Whether we did.
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The handshake.
    Opening,
    /// Data passes.
    Open,
    /// It failed. What is left is to have the peer read why, as an alert.
    Failed,
}

/// rustls's side, which differs by role in name only.
enum Session {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// The memory that every stream of a loop works in; empty but while a call lasts.
#[derive(Debug, Default)]
pub(in crate::net) struct Scratch {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl TlsStream {
    /// A stream whose first bytes are to come from a client.
    pub(in crate::net) fn server(socket: Socket, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = UnbufferedServerConnection::new(config).map_err(TlsError::from)?;
        Ok(Self::new(socket, Session::Server(session)))
    }

    /// A stream to the server `name`, whose certificate must be for that name.
    pub(in crate::net) fn client(
        socket: Socket,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let session = UnbufferedClientConnection::new(config, name).map_err(TlsError::from)?;
        Ok(Self::new(socket, Session::Client(session)))
    }

    fn new(socket: Socket, session: Session) -> Self {
        Self {
            socket,
            session,
            phase: Phase::Opening,
            kept: Vec::new(),
            early: Vec::new(),
            outgoing: Vec::new(),
            owed: 0,
            eof: false,
            peer_closed: false,
            closed: false,
        }
    }

    pub(in crate::net) fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    #[inline]
    pub(in crate::net) fn is_opening(&self) -> bool {
        self.phase == Phase::Opening
    }

    /// Goes on with the handshake as far as the socket allows; answers whether it is over.
    pub(in crate::net) fn open(&mut self, scratch: &mut Scratch) -> io::Result<bool> {
        loop {
            let (mut kept, mut early) = (mem::take(&mut self.kept), mem::take(&mut self.early));
            let processed = self.process(&mut kept, &mut |data| {
                early.extend_from_slice(data);
                Ok(())
            });
            let (used, next) = processed?;
            kept.drain(..used);
            (self.kept, self.early) = (kept, early);
            // Also what comes after the handshake, as session tickets do, before all else.
            if !self.flush()? {
                return Ok(false);
            }
            if next == Next::Traffic {
                self.phase = Phase::Open;
                self.kept.shrink_to_fit();
                return Ok(true);
            }
            let spare = scratch.incoming(HANDSHAKE_READ_SIZE);
            match self.socket.recv(spare)? {
                None => return Ok(false),
                Some(0) => return Err(self.fail(TlsError::EndOfFile).into()),
                Some(n) => self.kept.extend_from_slice(&spare[..n]),
            }
        }
    }

    /// Reads what is there: `None` if nothing is. No more is read than has room in `bytes`.
    pub(in crate::net) fn recv(
        &mut self,
        bytes: &mut [u8],
        scratch: &mut Scratch,
    ) -> io::Result<Option<Received>> {
        match self.phase {
            Phase::Opening => return Ok(None),
            Phase::Open => {}
            // What still comes is thrown away by whoever asks for it; it need not be readable.
            Phase::Failed => {
                return Ok(self.socket.recv(bytes)?.map(|n| match n {
                    0 => Received::End,
                    n => Received::Bytes { n, drained: false },
                }));
            }
        }
        if !self.early.is_empty() {
            let n = self.early.len().min(bytes.len());
            bytes[..n].copy_from_slice(&self.early[..n]);
            self.early.drain(..n);
            self.early.shrink_to_fit();
            let drained = false;
            return Ok(Some(Received::Bytes { n, drained }));
        }
        if self.peer_closed {
            return Ok(Some(Received::End));
        }
        // Plaintext is shorter than its ciphertext. Only pieces of a handshake message can have
        // been kept that leave no room; what comes behind those then is little.
        let kept = self.kept.len();
        let asked = bytes.len().saturating_sub(kept).max(RECORD_HEADER_SIZE);
        let incoming = scratch.incoming(kept + asked);
        let read = match self.socket.recv(&mut incoming[kept..])? {
            None => return Ok(None),
            Some(0) => {
                self.eof = true;
                return Ok(Some(Received::End));
            }
            Some(read) => read,
        };
        incoming[..kept].copy_from_slice(&self.kept);
        let incoming = &mut incoming[..kept + read];
        let mut n = 0;
        let (used, _) = self.process(incoming, &mut |data| {
            // There is room, as argued above; without, bytes would be lost.
            let room = bytes.get_mut(n..n + data.len());
            room.ok_or(TlsError::Internal)?.copy_from_slice(data);
            n += data.len();
            Ok(())
        })?;
        self.keep(&incoming[used..]);
        // What rustls answers by itself, as to a key update, goes now if there is room, and else
        // before what is sent next.
        self.flush()?;
        let drained = read < asked && SHORT_READ_DRAINS && !self.peer_closed;
        Ok(Some(Received::Bytes { n, drained }))
    }

    /// Encrypts and writes: `None` if there is no room.
    ///
    /// What is not counted as sent may be encrypted already, and must be given again.
    pub(in crate::net) fn send(
        &mut self,
        bytes: &[u8],
        scratch: &mut Scratch,
    ) -> io::Result<Option<usize>> {
        if self.phase == Phase::Opening || !self.flush()? {
            return Ok(None);
        }
        if self.phase == Phase::Failed || self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut sent = mem::take(&mut self.owed);
        debug_assert!(sent <= bytes.len(), "what was not sent is given again");
        while sent < bytes.len() {
            let piece = &bytes[sent..bytes.len().min(sent + BATCH)];
            let n = self.write(&Written::Data(piece), &mut scratch.outgoing)?;
            let encrypted = &scratch.outgoing[..n];
            let written = self.socket.send(encrypted)?.unwrap_or(0);
            if written < n {
                self.outgoing = encrypted[written..].to_vec();
                self.owed = piece.len();
                break;
            }
            sent += piece.len();
        }
        Ok((sent > 0).then_some(sent))
    }

    /// Says that no more will be sent (RFC 8446 §6.1), and ends the sending direction; answers
    /// whether that is done.
    pub(in crate::net) fn half_close(&mut self) -> io::Result<bool> {
        self.close_notify()?;
        if !self.flush()? {
            return Ok(false);
        }
        self.socket.half_close()?;
        Ok(true)
    }

    /// What is to be said of the end: a stream that ends unannounced may have been cut.
    pub(in crate::net) fn verdict(&self, why: EndWhy) -> EndWhy {
        match why {
            EndWhy::Closed(Closed {
                why: ClosedWhy::EndOfFile { .. },
                ..
            }) if self.eof && !self.peer_closed => EndWhy::Tls(TlsError::Truncated),
            why => why,
        }
    }

    fn close_notify(&mut self) -> io::Result<()> {
        if self.phase != Phase::Open || mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        let mut alert = Vec::new();
        let n = self.write(&Written::CloseNotify, &mut alert)?;
        self.outgoing.extend_from_slice(&alert[..n]);
        Ok(())
    }

    /// Has rustls process what was received, as far as it goes: gives each record's plaintext to
    /// `data`, and puts what is to be answered into `outgoing`. Returns how much of `incoming` is
    /// done with, and what comes next.
    fn process(
        &mut self,
        incoming: &mut [u8],
        data: &mut dyn FnMut(&[u8]) -> Result<(), TlsError>,
    ) -> Result<(usize, Next), TlsError> {
        let mut used = 0;
        loop {
            let (discard, next) =
                self.session
                    .step(&mut incoming[used..], &mut self.outgoing, data);
            used += discard;
            match next {
                Ok(Next::Again) => {}
                Ok(Next::PeerClosed) => self.peer_closed = true,
                Ok(next) => return Ok((used, next)),
                Err(error) => {
                    // The alert that tells the peer why is yet to be encoded. With that done,
                    // rustls would look at the same bytes again.
                    while self.session.wants_write() {
                        let (discard, _) =
                            self.session
                                .step(&mut incoming[used..], &mut self.outgoing, data);
                        used += discard;
                    }
                    return Err(self.fail(error));
                }
            }
        }
    }

    /// The end of all but the alert.
    #[cold]
    fn fail(&mut self, error: TlsError) -> TlsError {
        self.phase = Phase::Failed;
        (self.kept, self.early) = (Vec::new(), Vec::new());
        self.owed = 0;
        // It is tried again when the sending direction is ended.
        let _ = self.flush();
        error
    }

    /// Encrypts into the front of `out`, which grows as it must; returns how much that is.
    fn write(&mut self, what: &Written<'_>, out: &mut Vec<u8>) -> Result<usize, TlsError> {
        if out.is_empty() {
            out.resize(what.size(), 0);
        }
        let written = match &mut self.session {
            Session::Client(session) => {
                write(session.process_tls_records(&mut self.kept), what, out)
            }
            Session::Server(session) => {
                write(session.process_tls_records(&mut self.kept), what, out)
            }
        };
        written.map_err(|error| self.fail(error))
    }

    /// Writes what waits in `outgoing`; answers whether nothing is left.
    #[inline]
    fn flush(&mut self) -> io::Result<bool> {
        if self.outgoing.is_empty() {
            return Ok(true);
        }
        let written = self.socket.send(&self.outgoing)?.unwrap_or(0);
        if written < self.outgoing.len() {
            self.outgoing.drain(..written);
            return Ok(false);
        }
        self.outgoing = Vec::new();
        Ok(true)
    }

    /// Keeps what is not a whole record yet. Memory is held on to from one read of a long message
    /// to the next, and let go when a read ends with a record.
    fn keep(&mut self, rest: &[u8]) {
        match rest.is_empty() {
            true => self.kept = Vec::new(),
            false => {
                self.kept.clear();
                self.kept.extend_from_slice(rest);
            }
        }
    }
}

impl Session {
    /// Whether there is something to be sent by itself.
    fn wants_write(&self) -> bool {
        match self {
            Self::Client(session) => session.wants_write(),
            Self::Server(session) => session.wants_write(),
        }
    }

    /// One step of rustls's: how much of `incoming` is done with, and what comes next.
    fn step(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Vec<u8>,
        data: &mut dyn FnMut(&[u8]) -> Result<(), TlsError>,
    ) -> (usize, Result<Next, TlsError>) {
        match self {
            Self::Client(session) => step(session.process_tls_records(incoming), outgoing, data),
            Self::Server(session) => step(session.process_tls_records(incoming), outgoing, data),
        }
    }
}

/// What comes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Another step.
    Again,
    /// The same; and the peer said that it sends no more.
    PeerClosed,
    /// Nothing, until more is received: the handshake is not over.
    Blocked,
    /// Nothing, until more is received; data may be sent.
    Traffic,
}

/// What is to be encrypted.
enum Written<'a> {
    Data(&'a [u8]),
    CloseNotify,
}

impl Written<'_> {
    /// Room enough, as a rule.
    fn size(&self) -> usize {
        match self {
            Self::Data(_) => BATCH + OVERHEAD,
            Self::CloseNotify => OVERHEAD,
        }
    }
}

fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    outgoing: &mut Vec<u8>,
    data: &mut dyn FnMut(&[u8]) -> Result<(), TlsError>,
) -> (usize, Result<Next, TlsError>) {
    let UnbufferedStatus { mut discard, state } = status;
    let next = match state {
        Err(error) => Err(error.into()),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                None => break Ok(Next::Again),
                Some(Err(error)) => break Err(error.into()),
                Some(Ok(record)) => {
                    discard += record.discard;
                    if let Err(error) = data(record.payload) {
                        break Err(error);
                    }
                }
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut record)) => {
            let start = outgoing.len();
            loop {
                match record.encode(&mut outgoing[start..]) {
                    Ok(n) => {
                        outgoing.truncate(start + n);
                        break Ok(Next::Again);
                    }
                    Err(EncodeError::InsufficientSize(error)) => {
                        outgoing.resize(start + error.required_size, 0);
                    }
                    Err(EncodeError::AlreadyEncoded) => break Err(TlsError::Internal),
                }
            }
        }
        // It is on its way: nothing goes out before it.
        Ok(ConnectionState::TransmitTlsData(transmission)) => {
            transmission.done();
            Ok(Next::Again)
        }
        Ok(ConnectionState::PeerClosed) => Ok(Next::PeerClosed),
        Ok(ConnectionState::BlockedHandshake) => Ok(Next::Blocked),
        Ok(ConnectionState::WriteTraffic(_) | ConnectionState::Closed) => Ok(Next::Traffic),
        // Data before the handshake is over is never agreed to.
        Ok(_) => Err(TlsError::Internal),
    };
    (discard, next)
}

fn write<D>(
    status: UnbufferedStatus<'_, '_, D>,
    what: &Written<'_>,
    out: &mut Vec<u8>,
) -> Result<usize, TlsError> {
    // Whatever came was processed, so nothing else is to be done first.
    let ConnectionState::WriteTraffic(mut traffic) = status.state? else {
        return Err(TlsError::Internal);
    };
    loop {
        let written = match what {
            Written::Data(data) => traffic.encrypt(data, out),
            Written::CloseNotify => traffic.queue_close_notify(out),
        };
        match written {
            Ok(n) => return Ok(n),
            Err(EncryptError::InsufficientSize(error)) => out.resize(error.required_size, 0),
            Err(EncryptError::EncryptExhausted) => return Err(TlsError::Exhausted),
        }
    }
}

impl Scratch {
    /// Room for `n` bytes, whatever they are.
    fn incoming(&mut self, n: usize) -> &mut [u8] {
        if self.incoming.len() < n {
            self.incoming.resize(n, 0);
        }
        &mut self.incoming[..n]
    }
}

impl Drop for TlsStream {
    /// Says goodbye if that was not done: the last word of a client, which waits for the server
    /// to close first.
    fn drop(&mut self) {
        // Whoever closes has no use for an error any more.
        let _ = self.close_notify().and_then(|()| self.flush());
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("socket", &self.socket)
            .field("phase", &self.phase)
            .field("kept", &self.kept.len())
            .field("outgoing", &self.outgoing.len())
            .finish_non_exhaustive()
    }
}
