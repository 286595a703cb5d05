//! What is said to a proxy before the connection through it is there, without any I/O.
//!
//! HTTP ([RFC 9110 §9.3.6]) takes one request and its answer; SOCKS5 ([RFC 1928]) a greeting, with
//! a password if that is asked for ([RFC 1929]), and a request. Nothing is ever sent that was not
//! asked for: a server behind a proxy does not speak first, and neither do we.
//!
//! [RFC 9110 §9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
//! [RFC 1928]: https://www.rfc-editor.org/rfc/rfc1928
//! [RFC 1929]: https://www.rfc-editor.org/rfc/rfc1929

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::net::proxy::{Kind, Proxy};
use crate::proto::Url;

/// The most that an HTTP proxy may answer: as much as any server's head.
const HEAD_SIZE_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;

/// The conversation with a proxy, for who has a stream of their own to it.
///
/// ```
/// use openline::net::{Proxy, Tunnel};
///
/// let proxy: Proxy = "http://proxy.example:3128".parse().unwrap();
/// let mut out = Vec::new();
/// let url = "wss://server.example/".parse().unwrap();
/// let mut tunnel = Tunnel::start(&proxy, &url, &mut out)?;
/// assert!(out.starts_with(b"CONNECT server.example:443 HTTP/1.1\r\n"));
/// // What is in `out` is sent, and what the proxy answers is read, until it has connected.
/// assert!(!tunnel.read(b"HTTP/1.1 200 OK\r\n", &mut out)?);
/// assert!(tunnel.read(b"\r\n", &mut out)?);
/// # Ok::<(), openline::net::ProxyError>(())
/// ```
pub struct Tunnel {
    host: String,
    port: u16,
    /// The user and the password, if there are any.
    credentials: Option<(Vec<u8>, Vec<u8>)>,
    /// Received and not understood yet.
    received: Vec<u8>,
    expected: Expected,
}

/// What the proxy is to say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The answer to CONNECT.
    Head,
    /// Which way to authenticate (RFC 1928 §3).
    Method,
    /// Whether the password is right (RFC 1929 §2).
    Admission,
    /// Whether it has connected (RFC 1928 §6).
    Reply,
}

/// Why a proxy did not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// An HTTP proxy answered with this status.
    Refused {
        /// 407 asks for credentials, or for others.
        status: u16,
    },
    /// A SOCKS5 proxy wants to be authenticated to in a way that there are no credentials for.
    CredentialsWanted,
    /// A SOCKS5 proxy did not accept the user or the password.
    CredentialsRefused,
    /// A SOCKS5 proxy could not connect, or would not.
    Failed(SocksReply),
    /// What answered does not speak as a proxy does.
    NotAProxy,
    /// The proxy closed the connection before it had answered.
    EndOfFile,
    /// The host's name, the user or the password is too long for SOCKS5, which has room for 255
    /// bytes.
    TooLong,
}

/// What a SOCKS5 proxy answers (RFC 1928 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocksReply(pub u8);

impl Tunnel {
    /// Begins to ask `proxy` for a connection to the server of `url`; puts what is to be sent
    /// into `out`.
    ///
    /// # Errors
    ///
    /// When the host is too long for SOCKS5.
    pub fn start(proxy: &Proxy, url: &Url, out: &mut Vec<u8>) -> Result<Self, ProxyError> {
        let (host, port) = (url.host(), url.port());
        let credentials = proxy.credentials.as_ref().map(|credentials| {
            let colon = credentials.iter().position(|byte| *byte == b':');
            let (user, password) = credentials.split_at(colon.unwrap_or(credentials.len()));
            (
                user.to_owned(),
                password.get(1..).unwrap_or_default().to_owned(),
            )
        });
        let expected = match proxy.kind {
            Kind::Http => {
                let host = match host.contains(':') {
                    true => format!("[{host}]:{port}"),
                    false => format!("{host}:{port}"),
                };
                out.extend(format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n").bytes());
                if let Some(credentials) = &proxy.credentials {
                    let credentials = BASE64.encode(credentials);
                    out.extend(format!("Proxy-Authorization: Basic {credentials}\r\n").bytes());
                }
                out.extend(b"\r\n");
                Expected::Head
            }
            Kind::Socks5 => {
                if host.len() > 255 {
                    return Err(ProxyError::TooLong);
                }
                // §3: without authentication, or also by password.
                match credentials {
                    None => out.extend([5, 1, 0]),
                    Some(_) => out.extend([5, 2, 0, 2]),
                }
                Expected::Method
            }
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            credentials,
            received: Vec::new(),
            expected,
        })
    }

    /// Reads what the proxy said; puts what is to be sent into `out`. Answers whether the
    /// connection is there.
    ///
    /// # Errors
    ///
    /// When the proxy does not connect, or is none.
    pub fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, ProxyError> {
        self.received.extend_from_slice(bytes);
        loop {
            let (used, next) = match self.expected {
                Expected::Head => read_head(&self.received)?.map_or((0, None), |n| (n, Some(None))),
                Expected::Method => match self.received[..] {
                    [] => (0, None),
                    [5, 0, ..] => (2, Some(Some(self.request(out)))),
                    [5, 2, ..] => (2, Some(Some(self.authenticate(out)?))),
                    [5, 0xff, ..] => return Err(ProxyError::CredentialsWanted),
                    [5] => (0, None),
                    _ => return Err(ProxyError::NotAProxy),
                },
                Expected::Admission => match self.received[..] {
                    [] | [1] => (0, None),
                    [1, 0, ..] => (2, Some(Some(self.request(out)))),
                    [1, ..] => return Err(ProxyError::CredentialsRefused),
                    _ => return Err(ProxyError::NotAProxy),
                },
                Expected::Reply => {
                    read_reply(&self.received)?.map_or((0, None), |n| (n, Some(None)))
                }
            };
            match next {
                None => return Ok(false),
                Some(Some(expected)) => {
                    self.received.drain(..used);
                    self.expected = expected;
                }
                // Nobody speaks before we do.
                Some(None) if used == self.received.len() => return Ok(true),
                Some(None) => return Err(ProxyError::NotAProxy),
            }
        }
    }

    /// RFC 1929 §2.
    fn authenticate(&self, out: &mut Vec<u8>) -> Result<Expected, ProxyError> {
        let (user, password) = self
            .credentials
            .as_ref()
            .ok_or(ProxyError::CredentialsWanted)?;
        out.push(1);
        for text in [user, password] {
            out.push(u8::try_from(text.len()).map_err(|_| ProxyError::TooLong)?);
            out.extend(text);
        }
        Ok(Expected::Admission)
    }

    /// RFC 1928 §4: CONNECT.
    fn request(&self, out: &mut Vec<u8>) -> Expected {
        out.extend([5, 1, 0]);
        match self.host.parse() {
            Ok(IpAddr::V4(address)) => {
                out.push(1);
                out.extend(address.octets());
            }
            Ok(IpAddr::V6(address)) => {
                out.push(4);
                out.extend(address.octets());
            }
            Err(_) => {
                let len = u8::try_from(self.host.len()).expect("it was measured at the start");
                out.extend([3, len]);
                out.extend(self.host.bytes());
            }
        }
        out.extend(self.port.to_be_bytes());
        Expected::Reply
    }
}

/// Says nothing of the credentials.
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

/// The length of a head that says that the connection is there, if it is whole.
fn read_head(bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(n)) => match response.code {
            Some(200..=299) => Ok(Some(n)),
            Some(status) => Err(ProxyError::Refused { status }),
            None => Err(ProxyError::NotAProxy),
        },
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_SIZE_MAX => Ok(None),
        _ => Err(ProxyError::NotAProxy),
    }
}

/// The length of a reply that says that the connection is there, if it is whole (RFC 1928 §6).
fn read_reply(bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
    let address = match *bytes {
        [] | [5] | [5, 0] | [5, 0, 0] | [5, 0, 0, 3] => return Ok(None),
        [5, 0, 0, 1, ..] => 4,
        [5, 0, 0, 4, ..] => 16,
        [5, 0, 0, 3, len, ..] => 1 + usize::from(len),
        [5, reply, ..] if reply != 0 => return Err(ProxyError::Failed(SocksReply(reply))),
        _ => return Err(ProxyError::NotAProxy),
    };
    let n = 4 + address + 2;
    Ok((bytes.len() >= n).then_some(n))
}

impl SocksReply {
    /// What it means.
    fn meaning(self) -> &'static str {
        match self.0 {
            1 => "it failed",
            2 => "its rules do not allow it",
            3 => "the network cannot be reached",
            4 => "the host cannot be reached",
            5 => "the connection was refused",
            6 => "the time to live ran out",
            7 => "it does not know how",
            8 => "it does not know this kind of address",
            _ => "it gave a reason that has no name",
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status: 407 } => {
                f.write_str("the proxy asks for credentials, or for others (status 407)")
            }
            Self::Refused { status } => {
                write!(f, "the proxy refused to connect with status {status}")
            }
            Self::CredentialsWanted => f.write_str("the proxy asks for credentials"),
            Self::CredentialsRefused => f.write_str("the proxy did not accept the credentials"),
            Self::Failed(reply) => {
                write!(
                    f,
                    "the proxy did not connect: {} (reply {})",
                    reply.meaning(),
                    reply.0
                )
            }
            Self::NotAProxy => f.write_str("what answered does not speak as such a proxy does"),
            Self::EndOfFile => f.write_str("the proxy closed the connection"),
            Self::TooLong => f.write_str("the host, user or password is too long for SOCKS5"),
        }
    }
}

impl Error for ProxyError {}

impl From<ProxyError> for io::Error {
    fn from(error: ProxyError) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::{ProxyError, SocksReply, Tunnel};
    use crate::proto::Url;

    fn url(host: &str) -> Url {
        format!("wss://{host}/").parse().unwrap()
    }

    /// What is sent, and how it ends: with the answers all at once and a byte at a time.
    fn converse(proxy: &str, host: &str, answers: &[&[u8]]) -> (Vec<u8>, Result<bool, ProxyError>) {
        let proxy = proxy.parse().unwrap();
        let run = |size: usize| {
            let mut sent = Vec::new();
            let mut tunnel = Tunnel::start(&proxy, &url(host), &mut sent).unwrap();
            let mut end = Ok(false);
            for answer in answers {
                for piece in answer.chunks(size) {
                    assert_eq!(end, Ok(false));
                    end = tunnel.read(piece, &mut sent);
                    if end.is_err() {
                        return (sent, end);
                    }
                }
            }
            (sent, end)
        };
        let (whole, split) = (run(usize::MAX), run(1));
        assert_eq!(whole, split);
        whole
    }

    #[test]
    fn connect() {
        let (sent, end) = converse(
            "http://user:secret@p",
            "a.example",
            &[b"HTTP/1.1 200 Connection established\r\nVia: p\r\n\r\n"],
        );
        assert_eq!(end, Ok(true));
        assert_eq!(
            String::from_utf8(sent).unwrap(),
            "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\
             Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n"
        );
        let (sent, _) = converse("http://p", "[::1]", &[]);
        assert!(sent.starts_with(b"CONNECT [::1]:443 "));
    }

    #[test]
    fn connect_refused() {
        for (answer, error) in [
            (
                &b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..],
                ProxyError::Refused { status: 407 },
            ),
            (b"220 mail\r\n\r\n", ProxyError::NotAProxy),
        ] {
            assert_eq!(converse("http://p", "a", &[answer]).1, Err(error));
        }
        let early = Tunnel::start(&"http://p".parse().unwrap(), &url("a"), &mut Vec::new())
            .unwrap()
            .read(b"HTTP/1.1 200 OK\r\n\r\nhello", &mut Vec::new());
        assert_eq!(early, Err(ProxyError::NotAProxy));
        let long = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &vec![b'a'; 20_000]].concat();
        assert_eq!(
            converse("http://p", "a", &[&long]).1,
            Err(ProxyError::NotAProxy)
        );
    }

    #[test]
    fn socks() {
        let (sent, end) = converse(
            "socks5://p",
            "a.example",
            &[&[5, 0], &[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]],
        );
        assert_eq!(end, Ok(true));
        assert_eq!(sent, b"\x05\x01\x00\x05\x01\x00\x03\x09a.example\x01\xbb");

        let (sent, end) = converse(
            "socks5://user:secret@p",
            "10.0.0.1",
            &[&[5, 2], &[1, 0], &[5, 0, 0, 3, 2, b'a', b'b', 0, 80]],
        );
        assert_eq!(end, Ok(true));
        assert_eq!(
            sent,
            b"\x05\x02\x00\x02\x01\x04user\x06secret\x05\x01\x00\x01\x0a\x00\x00\x01\x01\xbb"
        );
    }

    #[test]
    fn socks_refused() {
        for (answers, error) in [
            (&[&[5, 0xff][..]][..], ProxyError::CredentialsWanted),
            (&[&[5, 2]], ProxyError::CredentialsWanted),
            (&[b"HTTP/1.1 400 Bad Request"], ProxyError::NotAProxy),
            (
                &[&[5, 0], &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]],
                ProxyError::Failed(SocksReply(5)),
            ),
            (&[&[5, 0], &[4, 0]], ProxyError::NotAProxy),
        ] {
            assert_eq!(
                converse("socks5://p", "a", answers).1,
                Err(error),
                "{answers:?}"
            );
        }
        let (_, end) = converse("socks5://u:w@p", "a", &[&[5, 2], &[1, 1]]);
        assert_eq!(end, Err(ProxyError::CredentialsRefused));
        let long = "a".repeat(256);
        let started = Tunnel::start(&"socks5://p".parse().unwrap(), &url(&long), &mut Vec::new());
        assert_eq!(started.unwrap_err(), ProxyError::TooLong);
    }
}
