//! Through an HTTP proxy, by CONNECT ([RFC 9110 §9.3.6]).
//!
//! [RFC 9110 §9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::cli::diagnose::cause::{Cause, Culprit, Step};
use crate::cli::diagnose::environment::{Choice, Proxy};
use crate::cli::diagnose::finding::{Finding, time};
use crate::cli::diagnose::response::Response;
use crate::cli::diagnose::wire::Wire;

/// Why there is no tunnel.
#[derive(Debug)]
pub(super) enum Fault {
    /// The proxy answered, and not with 2xx.
    Refused(Response),
    Silent,
    /// It closed, or what it said is not HTTP: the beginning of that.
    NotHttp(Vec<u8>),
    Io(io::Error),
}

/// Opens one to `target`.
pub(super) fn open(
    stream: TcpStream,
    proxy: &Proxy,
    target: &str,
    timeout: Duration,
) -> Result<(TcpStream, Response), Fault> {
    let deadline = Instant::now() + timeout;
    let authorization = match &proxy.credentials {
        Some(credentials) => format!("Proxy-Authorization: Basic {credentials}\r\n"),
        None => String::new(),
    };
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
    let mut wire = Wire::Plain(stream);
    wire.write(request.as_bytes(), timeout).map_err(Fault::Io)?;
    let mut head = Vec::new();
    // A byte at a time: what is behind the head is the server's.
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX {
        let mut byte = [0];
        match wire.read(&mut byte, deadline).map_err(Fault::Io)? {
            None if head.is_empty() => return Err(Fault::Silent),
            None | Some(0) => return Err(Fault::NotHttp(head)),
            Some(_) => head.push(byte[0]),
        }
    }
    let response = Response::parse(&head).ok_or(Fault::NotHttp(head))?;
    match (wire, response.status) {
        (Wire::Plain(stream), 200..=299) => Ok((stream, response)),
        (wire, _) => {
            let body = read_body(wire, timeout);
            Err(Fault::Refused(Response { body, ..response }))
        }
    }
}

/// The beginning of what comes behind a refusal, soon.
fn read_body(mut wire: Wire, timeout: Duration) -> String {
    let soon = Instant::now() + timeout.min(Duration::from_millis(500));
    let mut body = Vec::new();
    let mut bytes = [0; 1024];
    while body.len() < BODY_MAX
        && let Ok(Some(n @ 1..)) = wire.read(&mut bytes, soon)
    {
        body.extend_from_slice(&bytes[..n]);
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// Enough for an explanation.
const BODY_MAX: usize = 4 << 10;

/// As much as a head of ours may have.
const HEAD_MAX: usize = 16 << 10;

/// That there is no proxy, and why not.
pub(super) fn none(choice: &Choice) -> Finding {
    Finding::ok(Step::Proxy, "none in force")
        .seen_all(choice.seen.clone())
        .fact("proxy", None::<String>)
}

/// The step, with a proxy in force.
pub(super) fn check(
    stream: TcpStream,
    proxy: &Proxy,
    choice: &Choice,
    target: &str,
    timeout: Duration,
) -> (Finding, Option<TcpStream>) {
    let start = Instant::now();
    let name = format!("{}:{}", proxy.host, proxy.port);
    let (finding, stream) = match open(stream, proxy, target, timeout) {
        Ok((stream, response)) => {
            let summary = format!("{name} connects us to {target}");
            let finding = Finding::ok(Step::Proxy, summary).seen(response.line());
            (finding, Some(stream))
        }
        Err(fault) => (explain(&fault, proxy, target, timeout), None),
    };
    let finding = finding
        .seen_all(choice.seen.clone())
        .fact("proxy", name)
        .fact("setting", proxy.setting.clone())
        .took(start.elapsed());
    (finding, stream)
}

fn explain(fault: &Fault, proxy: &Proxy, target: &str, timeout: Duration) -> Finding {
    let setting = &proxy.setting;
    let finding = match fault {
        Fault::Refused(response) => {
            let finding = refused(response, proxy, target).seen(response.line());
            let finding = finding.fact("status", response.status);
            finding.seen_all(response.telling_lines())
        }
        Fault::Silent => Finding::failed(
            Cause::ProxySilent,
            format!(
                "the proxy did not answer our CONNECT within {}",
                time(timeout)
            ),
        )
        .means(
            "It took the connection and says nothing: it is overloaded, it waits for a server \
             that does not answer, or what listens there is no HTTP proxy.",
        )
        .todo(format!(
            "Is {}:{} the right proxy ({setting})?",
            proxy.host, proxy.port
        )),
        Fault::NotHttp(_) | Fault::Io(_) => Finding::failed(
            Cause::ProxyNotHttp,
            "what listens there does not answer as an HTTP proxy does".to_owned(),
        )
        .seen(fault.to_string())
        .means("A proxy answers CONNECT with a line of HTTP; this closed, or said something else.")
        .todo(format!(
            "Correct {setting}: is it a SOCKS or a TLS port, or no proxy at all?"
        )),
    };
    finding.todo("Compare with the direct way: --no-proxy.")
}

fn refused(response: &Response, proxy: &Proxy, target: &str) -> Finding {
    let setting = &proxy.setting;
    match response.status {
        407 => {
            let given = proxy.credentials.is_some();
            let summary = match given {
                true => "the proxy does not accept the credentials",
                false => "the proxy wants credentials",
            };
            Finding::failed(Cause::ProxyAuthentication, summary)
                .means("The proxy answered 407 for itself; the server was never asked.")
                .todo(format!(
                    "Put credentials into the setting: {setting}=http://USER:PASSWORD@{}:{}",
                    proxy.host, proxy.port
                ))
                .todo(
                    "If it demands a scheme other than Basic (see Proxy-Authenticate), this proxy \
                     cannot be passed by openline.",
                )
        }
        502..=504 => Finding::failed(
            Cause::ProxyGateway,
            format!("the proxy could not reach {target}"),
        )
        .means(
            "The proxy is in order, and on its own way to the server it met what is in its answer.",
        )
        .todo(format!(
            "Can {target} be reached from where the proxy is? Its log says more."
        ))
        .todo(format!("If {target} is inside, it belongs into NO_PROXY.")),
        status => Finding::failed(
            Cause::ProxyForbids,
            format!("the proxy refuses to connect to {target} ({status})"),
        )
        .blames(match status {
            401 => Culprit::Authentication,
            _ => Culprit::Proxy,
        })
        .means(
            "Proxies let CONNECT through to certain ports (often only 443) and hosts; this one is \
             not among them. The server was never asked.",
        )
        .todo("Ask whoever runs the proxy to allow this host and port, or serve on port 443.")
        .todo(format!("If {target} is inside, it belongs into NO_PROXY.")),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(response) => write!(f, "the proxy answered {}", response.line()),
            Self::Silent => f.write_str("the proxy did not answer"),
            Self::NotHttp(bytes) if bytes.is_empty() => {
                f.write_str("the proxy closed without a word")
            }
            Self::NotHttp(bytes) => write!(
                f,
                "the proxy said {:?}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(64)])
            ),
            Self::Io(error) => write!(f, "the proxy: {error}"),
        }
    }
}
