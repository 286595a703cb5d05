//! Through a proxy: HTTP's, by CONNECT ([RFC 9110 §9.3.6]), or SOCKS5's ([RFC 1928]).
//!
//! [RFC 9110 §9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
//! [RFC 1928]: https://www.rfc-editor.org/rfc/rfc1928

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use openline::net::{Proxy, ProxyError, SocksReply, Tunnel};
use openline::proto::Url;

use crate::cli::diagnose::cause::{Cause, Culprit, Step};
use crate::cli::diagnose::finding::{Finding, time};
use crate::cli::diagnose::response::Response;
use crate::cli::diagnose::route::Route;
use crate::cli::diagnose::wire::Wire;
use crate::cli::proxy::{Choice, Named};

/// Why there is no tunnel.
#[derive(Debug)]
pub(super) enum Fault {
    /// The proxy answered, and not with 2xx.
    Refused(Response),
    Silent,
    /// It closed, or what it said is not HTTP: the beginning of that.
    NotHttp(Vec<u8>),
    /// What came of SOCKS5.
    Socks(ProxyError),
    Io(io::Error),
}

/// Opens one to the server of `url`; what the proxy answered is worth showing, if it is HTTP.
pub(super) fn open(
    stream: TcpStream,
    proxy: &Proxy,
    url: &Url,
    timeout: Duration,
) -> Result<(TcpStream, Option<Response>), Fault> {
    let deadline = Instant::now() + timeout;
    let mut out = Vec::new();
    let mut tunnel = Tunnel::start(proxy, url, &mut out).map_err(Fault::Socks)?;
    let mut wire = Wire::Plain(stream);
    if proxy.is_socks() {
        loop {
            wire.write(&out, timeout).map_err(Fault::Io)?;
            out.clear();
            let mut byte = [0];
            match wire.read(&mut byte, deadline).map_err(Fault::Io)? {
                None => return Err(Fault::Silent),
                Some(0) => return Err(Fault::Socks(ProxyError::EndOfFile)),
                Some(_) if tunnel.read(&byte, &mut out).map_err(Fault::Socks)? => break,
                Some(_) => {}
            }
        }
        return match wire {
            Wire::Plain(stream) => Ok((stream, None)),
            Wire::Tls(_) => Err(Fault::Socks(ProxyError::NotAProxy)),
        };
    }
    wire.write(&out, timeout).map_err(Fault::Io)?;
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
        (Wire::Plain(stream), 200..=299) => Ok((stream, Some(response))),
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
    named: &Named,
    choice: &Choice,
    route: &Route,
) -> (Finding, Option<TcpStream>) {
    let start = Instant::now();
    let (target, timeout) = (route.target(), route.timeout);
    let name = format!("{}:{}", named.proxy.host(), named.proxy.port());
    let (finding, stream) = match open(stream, &named.proxy, &route.url, timeout) {
        Ok((stream, response)) => {
            let summary = format!("{name} connects us to {target}");
            let seen = response.map(|response| response.line());
            let finding = Finding::ok(Step::Proxy, summary).seen_all(seen);
            (finding, Some(stream))
        }
        Err(fault) => (explain(&fault, named, &target, timeout), None),
    };
    let finding = finding
        .seen_all(choice.seen.clone())
        .fact("proxy", name)
        .fact("setting", named.setting)
        .took(start.elapsed());
    (finding, stream)
}

fn explain(fault: &Fault, named: &Named, target: &str, timeout: Duration) -> Finding {
    let Named { proxy, setting } = named;
    let finding = match fault {
        Fault::Refused(response) => {
            let finding = refused(response, named, target).seen(response.line());
            let finding = finding.fact("status", response.status);
            finding.seen_all(response.telling_lines())
        }
        Fault::Silent => Finding::failed(
            Cause::ProxySilent,
            format!(
                "the proxy did not answer our {} within {}",
                if proxy.is_socks() {
                    "greeting"
                } else {
                    "CONNECT"
                },
                time(timeout)
            ),
        )
        .means(
            "It took the connection and says nothing: it is overloaded, it waits for a server \
             that does not answer, or what listens there is no such proxy.",
        )
        .todo(format!(
            "Is {}:{} the right proxy ({setting})?",
            proxy.host(),
            proxy.port()
        )),
        Fault::Socks(error) => socks(*error, named, target).seen(fault.to_string()),
        Fault::Io(_) if proxy.is_socks() => {
            socks(ProxyError::NotAProxy, named, target).seen(fault.to_string())
        }
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

fn refused(response: &Response, named: &Named, target: &str) -> Finding {
    match response.status {
        407 => credentials(named)
            .means("The proxy answered 407 for itself; the server was never asked.")
            .todo(
                "If it demands a scheme other than Basic (see Proxy-Authenticate), this proxy \
                 cannot be passed by openline.",
            ),
        502..=504 => out_of_reach(target),
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

/// What a SOCKS5 proxy said.
fn socks(error: ProxyError, named: &Named, target: &str) -> Finding {
    match error {
        ProxyError::CredentialsWanted | ProxyError::CredentialsRefused => {
            credentials(named).means("The proxy asks who we are; the server was never asked.")
        }
        ProxyError::Failed(SocksReply(2)) => Finding::failed(
            Cause::ProxyForbids,
            format!("the proxy does not allow a connection to {target}"),
        )
        .means("A rule of the proxy's is against it. The server was never asked.")
        .todo("Ask whoever runs the proxy to allow this host and port, or serve on port 443.")
        .todo(format!("If {target} is inside, it belongs into NO_PROXY.")),
        ProxyError::Failed(_) => out_of_reach(target),
        ProxyError::TooLong => Finding::failed(
            Cause::ProxySetting,
            "the host, the user or the password is too long for SOCKS5".to_owned(),
        )
        .means("The protocol has room for 255 bytes.")
        .todo("Go through an HTTP proxy, or shorten it."),
        _ => Finding::failed(
            Cause::ProxyNotSocks,
            "what listens there does not answer as a SOCKS5 proxy does".to_owned(),
        )
        .means("A proxy answers the greeting with two bytes; this closed, or said something else.")
        .todo(format!(
            "Correct {}: is it an HTTP proxy (http://…), one of SOCKS4, or no proxy at all?",
            named.setting
        )),
    }
}

/// The proxy wants to know who we are, or did not believe it.
fn credentials(named: &Named) -> Finding {
    let Named { proxy, setting } = named;
    let summary = match proxy.has_credentials() {
        true => "the proxy does not accept the credentials",
        false => "the proxy wants credentials",
    };
    let scheme = if proxy.is_socks() { "socks5" } else { "http" };
    Finding::failed(Cause::ProxyAuthentication, summary).todo(format!(
        "Put credentials into the setting: {setting}={scheme}://USER:PASSWORD@{}:{}",
        proxy.host(),
        proxy.port()
    ))
}

/// The proxy is in order, and the server cannot be reached from there.
fn out_of_reach(target: &str) -> Finding {
    Finding::failed(
        Cause::ProxyGateway,
        format!("the proxy could not reach {target}"),
    )
    .means("The proxy is in order, and on its own way to the server it met what is in its answer.")
    .todo(format!(
        "Can {target} be reached from where the proxy is? Its log says more."
    ))
    .todo(format!("If {target} is inside, it belongs into NO_PROXY."))
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
            Self::Socks(error) => error.fmt(f),
            Self::Io(error) => write!(f, "the proxy: {error}"),
        }
    }
}
