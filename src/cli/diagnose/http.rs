//! The step of HTTP: whether the request for WebSocket is answered by 101, and by what else.
//!
//! Where an answer could mean several things, the question is put again in another way (without
//! the credentials, without the Upgrade, with an Origin), and what differs is said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openline::proto::{ClientRequest, Config, HandshakeError};
use rustls::Error;
use rustls::pki_types::ServerName;

use crate::cli::diagnose::ask::{self, Accepted, Reply};
use crate::cli::diagnose::cause::{Cause, Step};
use crate::cli::diagnose::finding::{Finding, time};
use crate::cli::diagnose::response::Response;
use crate::cli::diagnose::route::Route;
use crate::cli::diagnose::tls::{self, Fault, Tls};
use crate::cli::diagnose::wire::Wire;
use crate::cli::diagnose::{handshake, refusal};
use crate::cli::tls::ClientFiles;

/// The same question in several ways.
#[derive(Debug)]
pub(super) struct Questions {
    /// As it was asked for.
    pub(super) full: ClientRequest,
    /// Without credentials, if there are any.
    pub(super) bare: Option<ClientRequest>,
    /// With the server's own origin if none was given, without one if one was.
    pub(super) other_origin: ClientRequest,
    /// The origin that was given, or that the one above has.
    pub(super) origin: String,
    pub(super) has_origin: bool,
}

/// All that asking takes.
#[derive(Debug)]
pub(super) struct Asker<'a> {
    pub(super) questions: &'a Questions,
    pub(super) route: &'a Route,
    pub(super) config: &'a Arc<Config>,
}

/// What came of a question that was put for comparison.
#[derive(Debug)]
pub(super) enum Other {
    LetIn,
    Refused(Response),
    /// No answer, or none that is one.
    Nothing,
}

impl Asker<'_> {
    /// Asks over a connection of its own. `None`: there was none.
    pub(super) fn ask(&self, request: &ClientRequest) -> Option<Other> {
        let wire = self.route.open().ok()?;
        Some(ask::upgrade(wire, request, self.config).into())
    }

    /// As for a page.
    pub(super) fn ask_plainly(&self) -> Option<Other> {
        let wire = self.route.open().ok()?;
        Some(ask::plainly(wire, &self.questions.full, self.config).into())
    }

    /// What the server agrees to when permessage-deflate is offered, if it answers.
    pub(super) fn offer_deflate(&self) -> Option<Option<String>> {
        let wire = self.route.open().ok()?;
        ask::deflate(wire, &self.questions.full, self.config)
    }

    /// One more connection.
    pub(super) fn connect(&self) -> Option<Box<Accepted>> {
        let wire = self.route.open().ok()?;
        match ask::upgrade(wire, &self.questions.full, self.config) {
            Reply::Accepted(accepted) => Some(accepted),
            _ => None,
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        self.questions.full.url().is_secure()
    }
}

impl From<Reply> for Other {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Accepted(accepted) => {
                accepted.leave();
                Self::LetIn
            }
            Reply::Refused(response) => Self::Refused(response),
            _ => Self::Nothing,
        }
    }
}

/// What came of it: the findings, of which a bad 101 is the next step's, and the connection.
pub(super) fn check(asker: &Asker<'_>, wire: Wire) -> (Vec<Finding>, Option<Box<Accepted>>) {
    let start = Instant::now();
    let reply = ask::upgrade(wire, &asker.questions.full, asker.config);
    let took = start.elapsed();
    match reply {
        Reply::Accepted(accepted) => {
            let finding = answered(&accepted.response, took);
            let finding = finding.seen_all(without_credentials(asker));
            (vec![finding], Some(accepted))
        }
        Reply::Refused(response) => {
            let finding = refusal::explain(asker, &response)
                .fact("answer", response.json())
                .took(took);
            (vec![finding], None)
        }
        Reply::Faulty {
            error,
            response: Some(response),
            ..
        } if response.status == 101 => {
            let broken = handshake::explain(asker, error, &response);
            (vec![answered(&response, took), broken], None)
        }
        reply => (vec![unanswered(asker, reply).took(took)], None),
    }
}

fn answered(response: &Response, took: Duration) -> Finding {
    let summary = format!("101 Switching Protocols, in {}", time(took));
    let finding = Finding::ok(Step::Http, summary)
        .fact("answer", response.json())
        .took(took);
    match response.intermediary() {
        Some(name) => finding.seen(format!("by way of {name}")),
        None => finding,
    }
}

/// What the server says to the same without the credentials.
fn without_credentials(asker: &Asker<'_>) -> Option<String> {
    let bare = asker.questions.bare.as_ref()?;
    Some(match asker.ask(bare)? {
        Other::LetIn => {
            "without the credentials it answers the same: they are not checked in the handshake"
                .to_owned()
        }
        Other::Refused(response) => {
            format!(
                "without the credentials it answers {}: they count",
                response.status
            )
        }
        Other::Nothing => "without the credentials it gives no answer".to_owned(),
    })
}

/// There is no answer that is one of HTTP.
fn unanswered(asker: &Asker<'_>, reply: Reply) -> Finding {
    let url = asker.questions.full.url();
    let port = url.port();
    let (first, error) = match &reply {
        Reply::Faulty { first, error, .. } => (first.as_slice(), Some(error.to_string())),
        Reply::Closed(first) => (first.as_slice(), None),
        Reply::Broken(error) => (&[][..], Some(error.to_string())),
        _ => (&[][..], None),
    };
    // A record of TLS: an alert or a handshake, of a version 3.x.
    let is_tls = matches!(first, [0x15 | 0x16, 3, ..]);
    let is_tls = is_tls || (first.is_empty() && !asker.is_secure() && speaks_tls(asker));
    let finding = match &reply {
        _ if is_tls => tls_port(asker).seen(match first.is_empty() {
            true => "asked with TLS it answered with TLS",
            false => "it answered with a record of TLS",
        }),
        Reply::Silent
        | Reply::Faulty {
            error: HandshakeError::TimedOut,
            ..
        } if first.is_empty() || first.starts_with(b"HTTP/") => Finding::failed(
            Cause::HttpSilent,
            format!(
                "no answer to the request within {}",
                time(asker.route.timeout)
            ),
        )
        .seen(match first.is_empty() {
            true => "the connection stands, and nothing came",
            false => "the connection stands, and the answer did not come to its end",
        })
        .means(
            "TCP is answered by the kernel even when the program behind it hangs: the server is \
             overloaded or stuck, or a proxy waits for a server behind it. A port of something \
             that lets the client speak first stays silent as well.",
        )
        .todo(format!(
            "Is the process that listens on port {port} alive, and does it accept? Look \
             at its CPU and its log."
        ))
        .todo("If it is merely slow: a longer --timeout"),
        Reply::Closed(first) if first.is_empty() => closed(port),
        Reply::Broken(_) => closed(port),
        _ => Finding::failed(
            Cause::HttpNotSpoken,
            format!("port {port} does not answer in HTTP/1.1"),
        )
        .means(tongue(first))
        .todo(format!("Is {port} the right port?"))
        .todo(
            "WebSocket begins with HTTP/1.1 on most servers: a server or proxy for HTTP/2 only \
             (h2c, gRPC) must allow it.",
        ),
    };
    let finding = match first.is_empty() {
        true => finding,
        false => finding.seen(format!(
            "it said {:?}",
            String::from_utf8_lossy(&first[..first.len().min(64)])
        )),
    };
    match error {
        Some(error) => finding.seen(error),
        None => finding,
    }
}

fn closed(port: u16) -> Finding {
    Finding::failed(
        Cause::HttpClosed,
        "the connection was closed instead of an answer",
    )
    .means(
        "Something took the connection, read the request or not, and hung up: the server crashed \
         or restarts, a proxy has no server behind it, or a firewall does not like what it read.",
    )
    .todo(format!(
        "Look into the log of what listens on port {port}, at this very time."
    ))
    .todo("Is it a port for something other than HTTP?")
}

/// What a tongue other than HTTP may be.
fn tongue(first: &[u8]) -> String {
    let what = match first {
        [b'S', b'S', b'H', b'-', ..] => "This is SSH.",
        // A frame SETTINGS of stream 0.
        [0, 0, _, 4, _, 0, 0, 0, 0, ..] => "This is HTTP/2.",
        [b'2' | b'5', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', ..] => "This looks like mail or FTP.",
        [b'H', b'T', b'T', b'P', ..] => "It begins like HTTP and breaks its rules.",
        _ => "It is not known what this is.",
    };
    format!("{what} A server for WebSocket answers the request in HTTP/1.1.")
}

pub(super) fn tls_port(asker: &Asker<'_>) -> Finding {
    let url = asker.questions.full.url();
    Finding::failed(
        Cause::HttpTlsPort,
        format!("port {} speaks TLS, and was asked without", url.port()),
    )
    .means("ws:// goes without TLS; this port wants wss://.")
    .todo(format!(
        "Use wss://{}:{}{}",
        match url.host().contains(':') {
            true => format!("[{}]", url.host()),
            false => url.host().to_owned(),
        },
        url.port(),
        url.resource_name().split('?').next().unwrap_or_default()
    ))
}

/// Whether a TLS handshake gets a word of TLS in return.
fn speaks_tls(asker: &Asker<'_>) -> bool {
    let url = asker.questions.full.url();
    let Ok(name) = ServerName::try_from(url.host().to_owned()) else {
        return false;
    };
    let Ok(settings) = Tls::new(name, &ClientFiles::default(), true) else {
        return false;
    };
    let Ok(stream) = asker.route.open_tcp() else {
        return false;
    };
    match tls::handshake(stream, &settings, asker.route.guess()) {
        Ok(_) => true,
        Err(failure) => matches!(failure.fault, Fault::Tls(Error::AlertReceived(_))),
    }
}
