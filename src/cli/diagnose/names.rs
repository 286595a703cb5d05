//! From a name to addresses, by this machine's resolver as every program here would ask it.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::diagnose::cause::{Cause, Step};
use crate::cli::diagnose::finding::{Finding, count, time};
use crate::cli::diagnose::route::Hop;

/// Looks the next hop's name up.
pub(super) fn check(hop: &Hop, timeout: Duration) -> (Finding, Vec<SocketAddr>) {
    if let Ok(address) = hop.host.parse::<IpAddr>() {
        let summary = format!("{}: an address, so there is no name to look up", hop.who());
        let finding = Finding::ok(Step::Names, summary).fact("addresses", vec![hop.host.clone()]);
        return (finding, vec![SocketAddr::new(address, hop.port)]);
    }
    let start = Instant::now();
    let looked_up = look_up(&hop.host, hop.port, timeout);
    let took = start.elapsed();
    match looked_up {
        Ok(addresses) => {
            let list: Vec<_> = addresses.iter().map(|at| at.ip().to_string()).collect();
            let summary = format!(
                "{} is {}: {}",
                hop.who(),
                count(list.len(), "address", "addresses"),
                list.join(", ")
            );
            let finding = Finding::ok(Step::Names, summary)
                .fact("addresses", list)
                .took(took);
            (finding, addresses)
        }
        Err(error) => (explain(hop, &error, took).took(took), Vec::new()),
    }
}

/// In a thread, for a resolver that does not answer may block for half a minute.
fn look_up(host: &str, port: u16, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
    let (send, recv) = mpsc::channel();
    let name = host.to_owned();
    thread::spawn(move || {
        let addresses = (name.as_str(), port).to_socket_addrs();
        // Nobody may be waiting any more.
        let _ = send.send(addresses.map(Vec::from_iter));
    });
    match recv.recv_timeout(timeout) {
        Ok(looked_up) => looked_up,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
    }
}

fn explain(hop: &Hop, error: &io::Error, took: Duration) -> Finding {
    let who = hop.who();
    let text = error.to_string();
    // The standard library keeps the resolver's code to itself and passes on its words.
    let is_unknown = [
        "Name or service not known",
        "No address associated with hostname",
        "nodename nor servname provided",
        "Name does not resolve",
        "No such host is known",
    ]
    .iter()
    .any(|words| text.contains(words));
    let finding = match is_unknown {
        true => Finding::failed(Cause::NameUnknown, format!("{who}: there is no such name"))
            .means(
                "The resolver answered, and the name has no address: it is misspelled, not (or no \
                 longer) in DNS, or known only inside another network.",
            )
            .todo(format!("Check the spelling of {}.", hop.host))
            .todo(format!(
                "Ask another resolver: dig +short {} @1.1.1.1. If that one knows it, this \
                 machine's resolver (/etc/resolv.conf, VPN, split DNS) is the difference.",
                hop.host
            )),
        false => Finding::failed(
            Cause::NameLookupFailed,
            format!("{who}: the name could not be looked up"),
        )
        .means(
            "No answer came from the resolver, so whether the name exists is not known. This is \
             about name service, not about the server.",
        )
        .todo("Check the network of this machine and the name servers in /etc/resolv.conf.")
        .todo("If other names fail as well (getent hosts example.com), the resolver is down."),
    };
    let seen = match error.kind() {
        io::ErrorKind::TimedOut => format!("the resolver gave no answer within {}", time(took)),
        _ => format!("after {} the resolver said: {text}", time(took)),
    };
    let finding = finding.seen(seen).fact("error", text);
    match hop.setting() {
        Some(setting) => finding.todo(format!(
            "This is the proxy that {setting} names: correct it, or go without by --no-proxy."
        )),
        None => finding,
    }
}
