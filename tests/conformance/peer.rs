//! A small peer over blocking sockets that echoes, in both roles, with one fault or none.
//!
//! Its frames are its own: the library's connection could not be talked into these faults, and a
//! judge that shared them with the peer would not see what both have wrong.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use openline::proto::{CloseCode, Role};

use crate::deflate::{Codec, Unread};
use crate::faults::Fault;

/// A connection that is open.
pub(crate) struct Peer {
    role: Role,
    fault: Option<Fault>,
    stream: TcpStream,
    bytes: Vec<u8>,
    codec: Option<Codec>,
    message: Option<Message>,
    /// A message that is merged with the next.
    held: Option<Vec<u8>>,
    /// How much of a text is known to be UTF-8.
    valid: usize,
    /// Pongs that are late.
    owed: Vec<Vec<u8>>,
}

/// The message at hand.
struct Message {
    opcode: u8,
    payload: Vec<u8>,
    compressed: bool,
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
    pub(crate) fn new(
        role: Role,
        fault: Option<Fault>,
        stream: TcpStream,
        bytes: Vec<u8>,
        codec: Option<Codec>,
    ) -> Self {
        Self {
            role,
            fault,
            stream,
            bytes,
            codec,
            message: None,
            held: None,
            valid: 0,
            owed: Vec::new(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(crate) fn run(mut self) -> io::Result<()> {
        let end = loop {
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
            9 if self.has(Fault::HangsAtPings) => {
                // Whoever waits longer than we live hangs too.
                while !read(&mut self.stream)?.is_empty() {}
                return Err(End::Gone);
            }
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
            (
                header.rsv & !self.rsv_allowed(header) != 0,
                Fault::AcceptsRsv,
            ),
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

    /// RFC 7692 §6: RSV1 marks a compressed message, where it begins.
    fn rsv_allowed(&self, header: &Header) -> u8 {
        match self.codec {
            Some(_) if matches!(header.opcode, 1 | 2) => 4,
            Some(_) if self.has(Fault::AcceptsRsv1Anywhere) => 4,
            _ => 0,
        }
    }

    /// §8.1: what cannot become UTF-8 any more fails at once, also within a frame.
    fn look_ahead(&mut self, header: &Header, beginning: &[u8]) -> Result<(), End> {
        if header.opcode > 2 || self.has(Fault::LateUtf8) || self.has(Fault::SkipsUtf8) {
            return Ok(());
        }
        let (opcode, before, compressed) = match &self.message {
            Some(message) => (
                message.opcode,
                &message.payload[self.valid.min(message.payload.len())..],
                message.compressed,
            ),
            None => (header.opcode, &[][..], header.rsv & 4 != 0),
        };
        match opcode {
            1 if !compressed && is_hopeless(&[before, beginning].concat()) => Err(End::Fail(1007)),
            _ => Ok(()),
        }
    }

    fn data(&mut self, header: &Header, mut payload: Vec<u8>) -> Result<(), End> {
        if self.has(Fault::LosesFragments) && header.opcode == 0 && header.fin {
            payload.clear();
        }
        if self.has(Fault::EchoesFragments) && !(header.fin && header.opcode != 0) {
            let opcode = if header.opcode == 0 { 1 } else { header.opcode };
            self.message = (!header.fin).then(|| Message {
                opcode,
                payload: Vec::new(),
                compressed: false,
            });
            self.send(opcode, &payload)?;
            return Ok(());
        }
        match &mut self.message {
            Some(message) if header.opcode == 0 => message.payload.extend(payload),
            _ => {
                // A continuation of nothing is a message by itself, to whom accepts it.
                self.message = Some(Message {
                    opcode: header.opcode.max(1),
                    payload,
                    compressed: header.rsv & 4 != 0 && self.codec.is_some(),
                });
                self.valid = 0;
            }
        }
        let Some(message) = &self.message else {
            return Ok(());
        };
        let whole = &message.payload;
        if whole.len() as u64 > MESSAGE_MAX {
            return Err(End::Fail(1009));
        }
        if message.opcode == 1 && !message.compressed && !self.has(Fault::SkipsUtf8) {
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
            let message = self.message.take().expect("just put there");
            self.finish(message)?;
        }
        Ok(())
    }

    /// A message is whole.
    fn finish(&mut self, mut message: Message) -> Result<(), End> {
        if message.compressed
            && let Some(codec) = &mut self.codec
        {
            if self.fault == Some(Fault::ChecksCompressedUtf8)
                && message.opcode == 1
                && std::str::from_utf8(&message.payload).is_err()
            {
                return Err(End::Fail(1007));
            }
            let max = usize::try_from(MESSAGE_MAX).expect("small");
            message.payload = match codec.inflate(&message.payload, max) {
                Ok(payload) => payload,
                Err(Unread::Broken) => return Err(End::Fail(1007)),
                Err(Unread::TooLarge) => return Err(End::Fail(1009)),
            };
            if message.opcode == 1
                && !self.has(Fault::SkipsUtf8)
                && std::str::from_utf8(&message.payload).is_err()
            {
                return Err(End::Fail(1007));
            }
        }
        if let Some(held) = self.held.take() {
            message.payload.splice(..0, held);
        }
        if self.has(Fault::MergesMessages) && self.is_followed_by(message.opcode) {
            self.held = Some(message.payload);
            return Ok(());
        }
        self.echo(message)?;
        Ok(())
    }

    /// Whether the next message is there as well, whole and of the same kind.
    fn is_followed_by(&self, opcode: u8) -> bool {
        Header::decode(&self.bytes).is_some_and(|next| {
            let length = usize::try_from(next.length).unwrap_or(usize::MAX);
            (next.fin, next.rsv, next.opcode) == (true, 0, opcode)
                && self.bytes.len() - next.size >= length
        })
    }

    fn echo(&mut self, message: Message) -> io::Result<()> {
        let Message {
            mut opcode,
            mut payload,
            compressed,
        } = message;
        match self.fault {
            Some(Fault::TextAsBinary) => opcode = 2,
            Some(Fault::CutsLongMessages) => payload.truncate(1000),
            _ => {}
        }
        match &mut self.codec {
            Some(codec) if compressed => {
                let payload = codec.compress(&payload);
                self.frame(0x40, opcode, &payload)?;
            }
            _ => self.send(opcode, &payload)?,
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
        let is_set = self.has(Fault::SetsRsv1) && opcode < 3;
        self.frame(if is_set { 0x40 } else { 0 }, opcode, payload)
    }

    fn frame(&mut self, rsv: u8, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let is_faulty = self.has(Fault::WrongMaskBit) && opcode != 8;
        let masks = (self.role == Role::Client) != is_faulty;
        let mask_bit = if masks { 0x80 } else { 0 };
        let mut bytes = vec![0x80 | rsv | opcode];
        let length = payload.len() as u64;
        let is_long = self.has(Fault::WritesLongForms) && opcode != 8;
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
        if self.has(Fault::Trickles) && opcode < 3 && rsv == 0 && bytes.len() < 200 {
            for byte in &bytes {
                self.stream.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(1));
            }
            return Ok(());
        }
        self.stream.write_all(&bytes)
    }
}

pub(crate) fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 16 << 10];
    let n = stream.read(&mut bytes)?;
    bytes.truncate(n);
    Ok(bytes)
}

/// Ends our direction, and waits for the other end.
pub(crate) fn leave(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    while !read(stream)?.is_empty() {}
    Ok(())
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
pub(crate) const LIFE: Duration = Duration::from_secs(20);
const MESSAGE_MAX: u64 = 16 << 20;
