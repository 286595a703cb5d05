//! The step of TLS: what the handshake came to, and what the certificate says.

use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openline::proto::Url;
use rustls::{AlertDescription, CertificateError, Error};

use crate::cli::diagnose::cause::{Cause, Step};
use crate::cli::diagnose::certificate::{Certificate, date};
use crate::cli::diagnose::finding::{Finding, count, time};
use crate::cli::diagnose::response::Response;
use crate::cli::diagnose::route::Route;
use crate::cli::diagnose::tls::{self, Failure, Fault, Record, Tls};
use crate::cli::diagnose::wire::Wire;

/// The step: over `stream`, which leads to the server.
pub(super) fn check(
    url: &Url,
    route: &Route,
    settings: &Tls,
    stream: TcpStream,
) -> (Finding, Option<Wire>) {
    let start = Instant::now();
    let (finding, wire) = match tls::handshake(stream, settings, route.timeout) {
        Ok((wire, record)) => settle(url, settings, wire, &record, start.elapsed()),
        Err(failure) => (explain(url, route, settings, &failure), None),
    };
    (finding.took(start.elapsed()), wire)
}

/// The handshake went to its end; now the certificate counts.
fn settle(
    url: &Url,
    settings: &Tls,
    mut wire: Wire,
    record: &Record,
    took: Duration,
) -> (Finding, Option<Wire>) {
    let certificates = record.certificates();
    let describe = |finding: Finding| {
        let finding = finding
            .seen_all(seen(record, &certificates))
            .fact(
                "version",
                record.agreed.as_ref().map(|(version, _)| version.clone()),
            )
            .fact(
                "cipher_suite",
                record.agreed.as_ref().map(|(_, suite)| suite.clone()),
            );
        let chain: Vec<_> = certificates.iter().map(Certificate::json).collect();
        finding
            .seen(format!("trusted here: {}", settings.roots))
            .fact("certificates", chain)
    };
    let leaf = certificates.first();
    let refused = match record.refusal() {
        Some(error) => Some(judge(url, error, &certificates)),
        None if record.verdict.is_none() => Some(no_roots()),
        None => None,
    };
    if let Some(finding) = refused {
        if !settings.is_insecure {
            let others = leaf.map(|leaf| also(url, &finding, leaf));
            let finding = describe(finding).seen_all(others.unwrap_or_default());
            return (finding, None);
        }
        let summary = format!("{}; --insecure goes on", finding.summary);
        let finding = Finding::warning(Cause::TlsUnverified, summary)
            .means(
                "Others will refuse this certificate, and anybody on the way could be the server.",
            )
            .todo(finding.todo.into_iter().next().unwrap_or_default());
        return (describe(finding), Some(wire));
    }
    // In TLS 1.3 the server sees ours, or that there is none, after its part of the handshake.
    if record.is_asked_for_ours
        && let Some(seen) = refuses_us(&mut wire, took)
    {
        return (describe(client_certificate(settings).seen(seen)), None);
    }
    let version = record.agreed.as_ref().map_or("TLS", |(version, _)| version);
    let Some(leaf) = leaf else {
        return (describe(Finding::ok(Step::Tls, version)), Some(wire));
    };
    let left = leaf.not_after - now();
    let summary = format!(
        "{version}, and the certificate is good for {} until {} ({})",
        url.host(),
        date(leaf.not_after),
        days(left)
    );
    // A certificate for a week is renewed every few days; one for a year should long be.
    let soon = ((leaf.not_after - leaf.not_before) / 10).min(EXPIRES_SOON);
    if left > soon {
        return (describe(Finding::ok(Step::Tls, summary)), Some(wire));
    }
    let finding = Finding::warning(
        Cause::TlsExpiresSoon,
        format!("the certificate expires in {}", days(left)),
    )
    .means("It works today. On that day every client will refuse it at once.")
    .todo("Renew it now, and look why renewal did not happen by itself.");
    (describe(finding), Some(wire))
}

/// Two weeks: renewal by machine is a month early, so it has failed by then.
const EXPIRES_SOON: i64 = 14 * DAY;
const DAY: i64 = 24 * 60 * 60;

fn seen(record: &Record, certificates: &[Certificate]) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some((version, suite)) = &record.agreed {
        lines.push(format!("{version}, {suite}"));
    }
    for (at, certificate) in certificates.iter().enumerate() {
        lines.push(format!("certificate {}: {}", at + 1, certificate.line()));
    }
    lines
}

/// What is wrong with the certificate. The order is that of what must be mended first.
fn judge(url: &Url, error: &Error, chain: &[Certificate]) -> Finding {
    let finding = match (error, chain.first()) {
        (Error::InvalidCertificate(error), Some(leaf)) => refuse(url, error, leaf, chain),
        _ => invalid(error),
    };
    finding.fact("error", error.to_string())
}

/// What else is wrong, which would be next.
fn also(url: &Url, finding: &Finding, leaf: &Certificate) -> Vec<String> {
    let others = [
        (
            Cause::TlsExpired,
            leaf.not_after < now(),
            "it has expired as well",
        ),
        (
            Cause::TlsSelfSigned,
            leaf.is_self_issued,
            "it is self-signed as well",
        ),
        (
            Cause::TlsWrongName,
            !leaf.is_for(url.host()),
            "it does not name this host either",
        ),
    ];
    let others = others.into_iter();
    others
        .filter(|(cause, is_so, _)| *is_so && finding.cause != Some(*cause))
        .map(|(_, _, words)| words.to_owned())
        .collect()
}

fn refuse(
    url: &Url,
    error: &CertificateError,
    leaf: &Certificate,
    chain: &[Certificate],
) -> Finding {
    let host = url.host();
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            // That of an authority may have expired as well.
            let (whose, old) = match chain.iter().find(|one| one.not_after < now()) {
                Some(old) if old.subject != leaf.subject => ("a certificate of the chain", old),
                _ => ("the certificate", leaf),
            };
            Finding::failed(
                Cause::TlsExpired,
                format!(
                    "{whose} expired {} ago, on \
                     {}",
                    days(now() - old.not_after),
                    date(old.not_after)
                ),
            )
            .means(
                "Every client refuses it from that day on. Renewal failed, or it was renewed and \
                 the server still shows the old one.",
            )
            .todo(format!(
                "Renew the certificate of {host}, and reload the server or proxy that \
                 ends TLS."
            ))
            .todo(format!(
                "Is this machine's clock right? It says {}.",
                date(now())
            ))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Finding::failed(
                Cause::TlsNotYetValid,
                format!(
                    "the certificate is valid only from {} on",
                    date(leaf.not_before)
                ),
            )
            .means("Either this machine's clock is behind, or the certificate was made for later.")
            .todo(format!(
                "Is this machine's clock right? It says {}.",
                date(now())
            ))
            .todo("If so, use the certificate of before until that day.")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Finding::failed(
                Cause::TlsWrongName,
                format!("the certificate is not for {host} but for {}", leaf.hosts()),
            )
            .means(
                "The connection reached a server that cannot prove to be the one asked for: the \
                 name in the URL is another one of its names, a default certificate is shown for \
                 a host it does not know, or DNS leads to the wrong machine.",
            )
            .todo(match leaf.names.first() {
                Some(name) if !name.starts_with('*') => {
                    format!("Use a name that the certificate has: {name}")
                }
                _ => format!("Use a certificate that names {host}."),
            })
            .todo(format!(
                "Or have the certificate name {host} as well, and the server select it \
                 by SNI."
            ))
        }
        _ if leaf.is_self_issued => Finding::failed(
            Cause::TlsSelfSigned,
            "the certificate is self-signed, so nobody vouches for it",
        )
        .means(
            "It may be a server set up for a test, the default certificate of a proxy, or somebody \
             who listens in. It cannot be told apart.",
        )
        .todo(match leaf.is_ca {
            false => {
                "If it is yours, trust it by name: --ca FILE with this certificate (browsers: \
                 import it)."
            }
            true => {
                "If it is yours: it says that it is an authority (CA:TRUE), which is refused of a \
                 server even by --ca. Make it anew, `openssl req -x509 … -addext \
                 basicConstraints=critical,CA:FALSE`, and trust it by name: --ca FILE."
            }
        })
        .todo("For the public, get one from an authority (Let's Encrypt costs nothing).")
        .todo("To look further without trust: --insecure"),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            let issuer = &chain.last().unwrap_or(leaf).issuer;
            let finding = Finding::failed(
                Cause::TlsUnknownIssuer,
                format!(
                    "nobody trusted here vouches for the certificate: its chain ends at \
                     {issuer}"
                ),
            );
            match (error, chain.len()) {
                (CertificateError::BadSignature, _) => finding
                    .seen("an authority of that name is trusted, and it has another key")
                    .means(
                        "The authority was made anew under its old name, and one side still has \
                         the old one; or somebody poses as it.",
                    )
                    .todo(format!(
                        "Take the present certificate of {issuer}: --ca FILE"
                    ))
                    .todo("Or have the server's certificate issued anew by the one trusted here."),
                (_, 1) => finding
                    .seen("the server sent its own certificate only, without an intermediate one")
                    .means(
                        "Two things look like this: the server leaves out the intermediate \
                         certificate (browsers hide that, other clients fail), or the issuer is a \
                         private authority that this machine does not know.",
                    )
                    .todo(
                        "If the issuer is public: have the server send the full chain \
                         (fullchain.pem).",
                    )
                    .todo(format!(
                        "If it is private: --ca FILE with the certificate of {issuer}"
                    )),
                _ => finding
                    .means(
                        "The issuer is a private authority, or a proxy that opens TLS on the way \
                         and signs what it pleases (companies do), or this machine's list of \
                         authorities is old.",
                    )
                    .todo(format!(
                        "If you trust it: --ca FILE with the certificate of {issuer}"
                    ))
                    .todo("If the issuer is not whom you expect, somebody opens TLS on the way."),
            }
        }
        error => invalid(&Error::InvalidCertificate(error.clone())),
    }
}

fn invalid(error: &Error) -> Finding {
    Finding::failed(Cause::TlsInvalid, "the certificate is refused")
        .seen(error.to_string())
        .means("It breaks a rule for certificates of servers that browsers and libraries enforce.")
        .todo("Have it issued anew; what is wrong stands above.")
}

fn no_roots() -> Finding {
    Finding::failed(
        Cause::TlsNoRoots,
        "this machine trusts no authority at all, so no certificate can be checked",
    )
    .means("The list of authorities is empty or was not found: common in small containers.")
    .todo("Install it (Debian: ca-certificates), or name a file by --ca FILE or SSL_CERT_FILE.")
}

fn client_certificate(settings: &Tls) -> Finding {
    if settings.has_identity() {
        return Finding::failed(
            Cause::TlsClientCertificate,
            "the server does not accept the certificate of --cert",
        )
        .means("It is expired, or from an authority that the server does not trust for clients.")
        .todo("Show one from the authority that the server expects.");
    }
    Finding::failed(
        Cause::TlsClientCertificate,
        "the server wants a certificate of the client",
    )
    .means("It lets in only those who show a certificate that it knows (mutual TLS).")
    .todo("Show one: --cert FILE --key FILE")
}

/// Whether the server breaks off right behind the handshake, which `took` so long, and by what.
fn refuses_us(wire: &mut Wire, took: Duration) -> Option<String> {
    let deadline = Instant::now() + took.max(Duration::from_millis(500));
    match wire.read(&mut [0], deadline) {
        // It waits for our request, as it should.
        Ok(None) => None,
        Ok(Some(0)) => Some("the server closed right behind the TLS handshake".to_owned()),
        Ok(Some(_)) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// There is no TLS at all.
fn explain(url: &Url, route: &Route, settings: &Tls, failure: &Failure) -> Finding {
    let Failure { fault, record } = failure;
    let port = url.port();
    // Some of what is not TLS stays silent, closes, or answers in its own tongue.
    let is_silent = matches!(fault, Fault::Silent);
    let is_plain = match fault {
        Fault::Tls(Error::InvalidMessage(_)) => true,
        Fault::Silent | Fault::Closed => record.first.is_empty() && speaks_plain_http(route, url),
        _ => false,
    };
    let finding = match fault {
        _ if is_plain => Finding::failed(
            Cause::TlsNotSpoken,
            format!("port {port} does not speak TLS"),
        )
        .means("The server speaks without TLS here, while wss:// begins with TLS.")
        .todo(format!(
            "Without TLS it is \
             ws://{}{}",
            url.authority(),
            url.resource_name().split('?').next().unwrap_or_default()
        ))
        .todo(
            "For TLS: find the port that has it (often 443), or have the server or its proxy end \
             TLS here.",
        ),
        Fault::Tls(Error::AlertReceived(alert)) => alerted(*alert, record, settings),
        Fault::Tls(Error::PeerIncompatible(_)) => version(),
        Fault::Closed if record.is_asked_for_ours => client_certificate(settings),
        Fault::Silent => Finding::failed(
            Cause::TlsSilent,
            format!(
                "the TLS handshake was not over within {}",
                time(route.timeout)
            ),
        )
        .means(
            "TCP connects, and then nothing comes: the server program hangs or is overloaded, the \
             proxy has no server behind it, or a firewall lets TCP pass and drops TLS (it sees \
             the name in the first message).",
        )
        .todo("Look whether the server or proxy that ends TLS is alive.")
        .todo("Try from another network: if that works, something on the way filters by name."),
        Fault::Closed => Finding::failed(
            Cause::TlsClosed,
            "the connection was closed during the TLS handshake",
        )
        .means(
            "Something took the connection and wants no TLS on it, or not for this name: a port \
             for something else, a proxy without a server behind it, a firewall that filters by \
             name.",
        )
        .todo(format!(
            "Is {port} the port for TLS? Does the server know the name {}?",
            url.host()
        )),
        Fault::Io(_) | Fault::Tls(_) => {
            Finding::failed(Cause::TlsAlert, "the TLS handshake failed")
                .means("What came is not what TLS prescribes.")
                .todo("Look into the log of the server or proxy that ends TLS.")
        }
    };
    let finding = match Response::parse(&record.first) {
        Some(response) => finding.seen(format!("to our TLS it said: {}", response.line())),
        None if record.first.is_empty() => finding,
        None => finding.seen(format!(
            "it said {:?}",
            String::from_utf8_lossy(&record.first)
        )),
    };
    let finding = match (is_plain, is_silent) {
        (true, _) if record.first.is_empty() => finding.seen("asked without TLS it answered"),
        // What it said is seen already.
        (true, _) => finding,
        (_, true) => finding.seen("nothing came"),
        _ => finding.seen(fault.to_string()),
    };
    let certificates = record.certificates();
    finding
        .seen_all(seen(record, &certificates))
        .fact("error", fault.to_string())
}

fn alerted(alert: AlertDescription, record: &Record, settings: &Tls) -> Finding {
    match alert {
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => client_certificate(settings),
        AlertDescription::HandshakeFailure if record.is_asked_for_ours => {
            client_certificate(settings)
        }
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity => version(),
        alert => Finding::failed(
            Cause::TlsAlert,
            format!("the server broke the TLS handshake off: {alert:?}"),
        )
        .means(
            "The server says why by an alert. UnrecognizedName means that it has no host of this \
             name; InternalError mostly that it has no certificate at all.",
        )
        .todo("Look into the log of the server or proxy that ends TLS, for this host name."),
    }
}

fn version() -> Finding {
    Finding::failed(
        Cause::TlsVersion,
        "no version or cipher suite of TLS in common",
    )
    .means(
        "We offer TLS 1.2 and 1.3 with modern cipher suites, as browsers do. The server knows \
         only older ones, or only ones that its configuration leaves.",
    )
    .todo(
        "Allow TLS 1.2 and 1.3 at the server, with the suites of Mozilla's \"intermediate\" list.",
    )
}

/// Whether what listens there answers a request without TLS.
fn speaks_plain_http(route: &Route, url: &Url) -> bool {
    let Ok(stream) = route.open_tcp() else {
        return false;
    };
    let mut wire = Wire::Plain(stream);
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        url.authority()
    );
    if wire.write(request.as_bytes(), route.guess()).is_err() {
        return false;
    }
    let mut start = [0; 5];
    let deadline = Instant::now() + route.guess();
    matches!(wire.read(&mut start, deadline), Ok(Some(5))) && &start == b"HTTP/"
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

fn days(seconds: i64) -> String {
    match seconds / DAY {
        0 => count(
            usize::try_from(seconds / 3600).unwrap_or(0),
            "hour",
            "hours",
        ),
        days => count(usize::try_from(days).unwrap_or(0), "day", "days"),
    }
}
