//! A small peer over blocking sockets that echoes, in both roles, with one fault or none.
//!
//! Its frames are its own: the library's connection could not be talked into these faults. It
//! judges heads by the library, and a fault then overrules.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use openline::proto::{
    Answer, ClientHandshake, ClientRequest, CloseCode, Config, Field, HandshakeError, RecvBuffer,
    Role, SendBuffer, ServerHandshake,
};
use sha1::{Digest, Sha1};

use crate::faults::Fault;

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
    let mut handshake = ServerHandshake::new(Arc::new(Config::default()), Instant::now());
    let verdict = loop {
        match handshake.poll(&recv) {
            Ok(None) => {}
            Ok(Some(_)) => break Ok(()),
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
        let mut send = SendBuffer::new();
        error.refusal().write(&mut send);
        stream.write_all(send.pending())?;
        return leave(&mut stream);
    }
    let head = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(bytes.len(), |n| n + 4);
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then(|| value.trim())
    });
    let accept = match fault {
        Some(Fault::WrongAccept) => accept_of("another"),
        _ => accept_of(key.unwrap_or_default()),
    };
    let extension = match fault {
        Some(Fault::AgreesUnasked) => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        _ => "",
    };
    let head_sent = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{extension}\r\n"
    );
    stream.write_all(head_sent.as_bytes())?;
    Peer::new(Role::Server, fault, stream, bytes.split_off(head)).run()
}

/// Goes through a connection as a client, and echoes until it ends.
pub(crate) fn connect(address: SocketAddr, path: &str, fault: Option<Fault>) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIFE))?;
    let url = format!("ws://{address}{path}").parse().unwrap();
    let mut send = SendBuffer::new();
    let (config, now) = (Arc::new(Config::default()), Instant::now());
    let request = ClientRequest::new(url);
    let mut handshake = ClientHandshake::start(&request, config, now, [3; 32], &mut send);
    let mut head = String::from_utf8(send.pending().to_vec()).unwrap();
    if fault == Some(Fault::AsksForVersion8) {
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
    Peer::new(Role::Client, fault, stream, bytes.split_off(head)).run()
}

/// §4.2.2: what proves to the client that its key was read.
fn accept_of(key: &str) -> String {
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    BASE64.encode(digest)
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

fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 16 << 10];
    let n = stream.read(&mut bytes)?;
    bytes.truncate(n);
    Ok(bytes)
}

/// Ends our direction, and waits for the other end.
fn leave(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    while !read(stream)?.is_empty() {}
    Ok(())
}

struct Peer {
    role: Role,
    fault: Option<Fault>,
    stream: TcpStream,
    bytes: Vec<u8>,
    /// The opcode and the payload of the message at hand.
    message: Option<(u8, Vec<u8>)>,
    /// How much of a text is known to be UTF-8.
    valid: usize,
    /// Pongs that are late.
    owed: Vec<Vec<u8>>,
}

struct Header {
    fin: bool,
    rsv: u8,
    opcode: u8,
    key: Option<[u8; 4]>,
    length: u64,
    form: u8,
    size: usize,
}

/// What ends a connection.
enum End {
    /// We fail it, with this code.
    Fail(u16),
    /// The peer closes.
    Close(Vec<u8>),
    Gone,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Peer {
    fn new(role: Role, fault: Option<Fault>, stream: TcpStream, bytes: Vec<u8>) -> Self {
        Self {
            role,
            fault,
            stream,
            bytes,
            message: None,
            valid: 0,
            owed: Vec::new(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn run(mut self) -> io::Result<()> {
        let end = loop {
            if self.has(Fault::Hangs) {
                // Whoever waits longer than we live hangs too.
                while !read(&mut self.stream)?.is_empty() {}
                return Ok(());
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => match read(&mut self.stream) {
                    Ok(read) if read.is_empty() => return Ok(()),
                    Ok(read) => self.bytes.extend(read),
                    Err(_) => return Ok(()),
                },
                Err(end) => break end,
            }
        };
        match end {
            End::Gone => Ok(()),
            End::Fail(_) if self.has(Fault::DropsInsteadOfFailing) => Ok(()),
            End::Fail(code) => {
                let code = if self.has(Fault::FailsWith1000) {
                    1000
                } else {
                    code
                };
                self.send(8, &u16::to_be_bytes(code))?;
                leave(&mut self.stream)
            }
            End::Close(payload) => self.end(&payload),
        }
    }

    fn end(mut self, payload: &[u8]) -> io::Result<()> {
        match self.fault {
            Some(Fault::NeverAnswersClose) => {
                while !read(&mut self.stream)?.is_empty() {}
                return Ok(());
            }
            Some(Fault::DropsInsteadOfClosing) => return Ok(()),
            Some(Fault::AcceptsOneByteClose) => self.send(8, payload)?,
            Some(Fault::ClosesWith1001) => self.send(8, &u16::to_be_bytes(1001))?,
            Some(Fault::ClosesWith1005) => self.send(8, &u16::to_be_bytes(1005))?,
            _ => self.send(8, payload.get(..2).unwrap_or_default())?,
        }
        match self.fault {
            Some(Fault::TalksOn) => self.send(1, b"one more thing")?,
            Some(Fault::LeavesTcpOpen) => {
                while !read(&mut self.stream)?.is_empty() {}
                return Ok(());
            }
            _ => {}
        }
        if self.role == Role::Client {
            // §7.1.1: the server is the one to drop the connection.
            self.stream.set_read_timeout(Some(Duration::from_secs(3)))?;
            while !read(&mut self.stream)?.is_empty() {}
            return Ok(());
        }
        leave(&mut self.stream)
    }

    /// Takes a frame, if there is one.
    fn advance(&mut self) -> Result<bool, End> {
        let Some(header) = Header::decode(&self.bytes) else {
            return Ok(false);
        };
        self.judge(&header)?;
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let there = (self.bytes.len() - header.size).min(length);
        let mut payload = self.bytes[header.size..header.size + there].to_vec();
        for (n, byte) in payload.iter_mut().enumerate() {
            *byte ^= header.key.map_or(0, |key| key[n % 4]);
        }
        if there < length {
            self.look_ahead(&header, &payload)?;
            return Ok(false);
        }
        self.bytes.drain(..header.size + length);
        match header.opcode {
            0..=2 => self.data(&header, payload)?,
            8 => return Err(self.close(payload)),
            9 => self.pong(payload)?,
            _ => {}
        }
        Ok(true)
    }

    fn judge(&self, header: &Header) -> Result<(), End> {
        let is_control = header.opcode >= 8;
        let is_known = matches!(header.opcode, 0..=2 | 8..=10);
        let must_mask = self.role == Role::Server;
        let minimal = match header.length {
            0..126 => 7,
            126..0x1_0000 => 16,
            _ => 64,
        };
        let faults = [
            (header.rsv != 0, Fault::AcceptsRsv),
            (!is_known, Fault::AcceptsReservedOpcodes),
            (
                header.key.is_some() != must_mask,
                Fault::AcceptsWrongMaskBit,
            ),
            (header.form != minimal, Fault::AcceptsLongForms),
            (is_control && !header.fin, Fault::AcceptsFragmentedControl),
            (is_control && header.length > 125, Fault::AcceptsLongControl),
            (
                header.opcode == 0 && self.message.is_none(),
                Fault::AcceptsStrayContinuation,
            ),
            (
                matches!(header.opcode, 1 | 2) && self.message.is_some(),
                Fault::AcceptsInterleaved,
            ),
        ];
        for (is_wrong, accepts) in faults {
            if is_wrong && !self.has(accepts) {
                return Err(End::Fail(1002));
            }
        }
        let unlimited = header.length >> 63 == 0 && self.has(Fault::BelievesLengths);
        if header.length > MESSAGE_MAX && !unlimited {
            return Err(End::Fail(if header.length >> 63 == 0 {
                1009
            } else {
                1002
            }));
        }
        Ok(())
    }

    /// §8.1: what cannot become UTF-8 any more fails at once, also within a frame.
    fn look_ahead(&mut self, header: &Header, beginning: &[u8]) -> Result<(), End> {
        if header.opcode > 2 || self.has(Fault::LateUtf8) || self.has(Fault::SkipsUtf8) {
            return Ok(());
        }
        let (opcode, before) = match &self.message {
            Some((opcode, before)) => (*opcode, &before[self.valid.min(before.len())..]),
            None => (header.opcode, &[][..]),
        };
        match opcode {
            1 if is_hopeless(&[before, beginning].concat()) => Err(End::Fail(1007)),
            _ => Ok(()),
        }
    }

    fn data(&mut self, header: &Header, mut payload: Vec<u8>) -> Result<(), End> {
        if self.has(Fault::LosesFragments) && header.opcode == 0 && header.fin {
            payload.clear();
        }
        if self.has(Fault::EchoesFragments) && !(header.fin && header.opcode != 0) {
            let opcode = if header.opcode == 0 { 1 } else { header.opcode };
            self.message = (!header.fin).then(|| (opcode, Vec::new()));
            self.send(opcode, &payload)?;
            return Ok(());
        }
        match &mut self.message {
            Some((_, whole)) if header.opcode == 0 => whole.extend(payload),
            _ => {
                // A continuation of nothing is a message by itself, to whom accepts it.
                self.message = Some((header.opcode.max(1), payload));
                self.valid = 0;
            }
        }
        let Some((opcode, whole)) = &self.message else {
            return Ok(());
        };
        if whole.len() as u64 > MESSAGE_MAX {
            return Err(End::Fail(1009));
        }
        if *opcode == 1 && !self.has(Fault::SkipsUtf8) {
            let is_late = self.has(Fault::LateUtf8) && !header.fin;
            let rest = &whole[self.valid..];
            match std::str::from_utf8(rest) {
                Ok(_) => self.valid = whole.len(),
                Err(error) if error.error_len().is_none() && !header.fin => {
                    self.valid += error.valid_up_to();
                }
                Err(_) if is_late => {}
                Err(_) => return Err(End::Fail(1007)),
            }
        }
        if header.fin {
            let (opcode, whole) = self.message.take().expect("just put there");
            self.echo(opcode, &whole)?;
        }
        Ok(())
    }

    fn echo(&mut self, opcode: u8, message: &[u8]) -> io::Result<()> {
        match self.fault {
            Some(Fault::TextAsBinary) => self.send(2, message)?,
            Some(Fault::CutsLongMessages) => {
                let size = message.len().min(1000);
                self.send(opcode, &message[..size])?;
            }
            _ => self.send(opcode, message)?,
        }
        for payload in std::mem::take(&mut self.owed) {
            self.send(10, &payload)?;
        }
        Ok(())
    }

    fn pong(&mut self, mut payload: Vec<u8>) -> io::Result<()> {
        match self.fault {
            Some(Fault::NeverPongs) => return Ok(()),
            Some(Fault::PongsEmpty) => payload.clear(),
            Some(Fault::PongsLate) if self.message.is_some() => {
                self.owed.push(payload);
                return Ok(());
            }
            Some(Fault::PongsTwice) => self.send(10, &payload)?,
            _ => {}
        }
        self.send(10, &payload)
    }

    fn close(&self, payload: Vec<u8>) -> End {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return match payload.is_empty() || self.has(Fault::AcceptsOneByteClose) {
                true => End::Close(payload),
                false => End::Fail(1002),
            };
        };
        let code = u16::from_be_bytes(*code);
        if CloseCode::new(code).is_none() && !self.has(Fault::AcceptsBadCodes) {
            return End::Fail(1002);
        }
        if std::str::from_utf8(reason).is_err() && !self.has(Fault::AcceptsBadReasons) {
            return End::Fail(1007);
        }
        End::Close(payload)
    }

    fn send(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let masks = (self.role == Role::Client) != self.has(Fault::WrongMaskBit);
        let rsv = if self.has(Fault::SetsRsv1) && opcode < 3 {
            0x40
        } else {
            0
        };
        let mask_bit = if masks { 0x80 } else { 0 };
        let mut bytes = vec![0x80 | rsv | opcode];
        let length = payload.len() as u64;
        let is_long = self.has(Fault::WritesLongForms);
        match length {
            0..126 if !is_long => bytes.push(mask_bit | length.to_be_bytes()[7]),
            0..0x1_0000 => {
                bytes.push(mask_bit | 126);
                bytes.extend(&length.to_be_bytes()[6..]);
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        let key = [0x37, 0xfa, 0x21, 0x3d];
        if masks {
            bytes.extend(key);
        }
        let masked = payload.iter().enumerate().map(|(n, byte)| match masks {
            true => byte ^ key[n % 4],
            false => *byte,
        });
        bytes.extend(masked);
        if self.has(Fault::Trickles) && opcode < 3 && bytes.len() < 200 {
            for byte in &bytes {
                self.stream.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(1));
            }
            return Ok(());
        }
        self.stream.write_all(&bytes)
    }
}

impl Header {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (length, form, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), 16, rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), 64, rest)
            }
            length => (u64::from(length), 7, rest),
        };
        let (key, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => {
                let (key, rest) = rest.split_first_chunk()?;
                (Some(*key), rest)
            }
        };
        Some(Self {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 15,
            key,
            length,
            form,
            size: bytes.len() - rest.len(),
        })
    }
}

fn is_hopeless(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_some())
}

/// How long a peer waits for bytes: longer than any case that is played here.
const LIFE: Duration = Duration::from_secs(20);
const MESSAGE_MAX: u64 = 16 << 20;
