//! How it ended, for people and for scripts.

use std::io;
use std::process::ExitCode;

use openline::net::{End, EndWhy, ProxyError, TlsError};
use openline::proto::{CloseCode, ClosedWhy, HandshakeError, Party};
use rustls::CertificateError;

/// The exit codes of `openline connect`, as its help lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Closed cleanly.
    Clean = 0,
    /// An error of ours: input, output, what this build cannot do.
    Failure = 1,
    /// An argument that cannot be; clap's code too.
    Usage = 2,
    /// There was no connection, or it ended before the server answered.
    Connect = 3,
    /// The server refused the handshake.
    Refused = 4,
    /// The server broke the protocol, or one of our limits.
    Protocol = 5,
    /// The connection ended without the closing handshake.
    Abnormal = 6,
    /// The server closed with a code other than 1000 and 1001.
    Code = 7,
    /// TLS could not be agreed on.
    Tls = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// What the end of a connection comes to, or of an attempt if it never `opened`.
    pub(crate) fn of(end: &End, opened: bool) -> Self {
        match &end.why {
            EndWhy::Closed(closed) => match closed.why {
                ClosedWhy::Handshake { code } => match (closed.by, code) {
                    // Whatever we said, the peer agreed to it.
                    (Party::Us, _) => Self::Clean,
                    (_, None | Some(CloseCode::NORMAL | CloseCode::GOING_AWAY)) => Self::Clean,
                    _ => Self::Code,
                },
                _ => Self::Abnormal,
            },
            EndWhy::Protocol(_) => Self::Protocol,
            EndWhy::Refused { .. } => Self::Refused,
            EndWhy::Handshake(HandshakeError::TimedOut | HandshakeError::EndOfFile) => {
                Self::Connect
            }
            EndWhy::Handshake(_) => Self::Protocol,
            EndWhy::Abandoned => Self::Failure,
            _ if opened => Self::Abnormal,
            EndWhy::Tls(_) => Self::Tls,
            _ => Self::Connect,
        }
    }
}

/// The code that a Close frame said first, and by whom the end came.
pub(super) fn code_and_party(end: &End) -> (Option<u16>, Option<&'static str>) {
    let name = |party| match party {
        Party::Us => "us",
        Party::Peer => "peer",
    };
    match &end.why {
        EndWhy::Closed(closed) => {
            let code = match closed.why {
                ClosedWhy::Handshake { code } => code.map(CloseCode::number),
                _ => None,
            };
            (code, Some(name(closed.by)))
        }
        EndWhy::Protocol(error) => (Some(error.close_code().number()), Some("us")),
        _ => (None, None),
    }
}

/// What may help, where there is something to do.
pub(super) fn hint(end: &End, is_proxied: bool) -> Option<&'static str> {
    match &end.why {
        EndWhy::Connect(error) if is_proxied => Some(proxy_hint(error)),
        EndWhy::Connect(_) => Some("is the server running, and are host and port right?"),
        EndWhy::Tls(error) => tls_hint(error),
        EndWhy::Refused { status: 301..=308 } => {
            Some("--follow goes where Location says, except from wss:// to ws://")
        }
        EndWhy::Refused { status: 401 } => {
            Some("credentials go into --bearer, or into the URL: ws://user:password@host/")
        }
        EndWhy::Refused { status: 403 } => {
            Some("the server may let in only certain origins: see --origin")
        }
        EndWhy::Refused { status: 404 } => Some("is the path of the URL right?"),
        EndWhy::Handshake(HandshakeError::EndOfFile | HandshakeError::Head(_)) => {
            Some("is it a WebSocket server, and does it speak TLS (wss://) perhaps?")
        }
        _ => None,
    }
}

fn proxy_hint(error: &io::Error) -> &'static str {
    let said = error.get_ref().and_then(|error| error.downcast_ref());
    match said {
        Some(
            ProxyError::Refused { status: 407 }
            | ProxyError::CredentialsWanted
            | ProxyError::CredentialsRefused,
        ) => "credentials for the proxy go into its URL: http://USER:PASSWORD@HOST:PORT",
        Some(ProxyError::NotAProxy) => {
            "is it an HTTP proxy (http://) or one of SOCKS5 (socks5://)? --no-proxy goes without"
        }
        _ => {
            "--no-proxy goes without it, and so does a host in the environment's no_proxy; \
             openline diagnose asks the proxy step by step"
        }
    }
}

fn tls_hint(error: &TlsError) -> Option<&'static str> {
    match error {
        TlsError::Certificate(error) => Some(match error {
            CertificateError::UnknownIssuer => {
                "if you know who runs it, give the certificate of who signed it: --ca FILE"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server needs a new certificate, unless this machine's clock is wrong"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "is this machine's clock right?"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "connect by a name that the certificate is for"
            }
            _ => return None,
        }),
        TlsError::Alert(alert) => match alert.number() {
            40 | 42..=46 | 48 | 116 => Some("a certificate to show goes into --cert and --key"),
            112 => Some("is the host right?"),
            _ => None,
        },
        TlsError::NotTls => Some("it may be a server without TLS: ws:// instead of wss://"),
        _ => None,
    }
}
