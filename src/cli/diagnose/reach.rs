//! From addresses to a TCP connection. Every address is tried, for clients differ in which they
//! take.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cli::diagnose::cause::{Cause, Culprit, Step};
use crate::cli::diagnose::finding::{Finding, milliseconds, time};
use crate::cli::diagnose::route::Hop;

/// A connection, and how long it took: one round trip of the network.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) took: Duration,
}

/// The addresses tried at most: a name with more is a fleet, of which these say enough.
const ADDRESSES_MAX: usize = 16;

struct Attempt {
    address: SocketAddr,
    connected: io::Result<TcpStream>,
    took: Duration,
}

/// Connects to each address, all at once; goes on with the first of those that answered, in the
/// resolver's order.
pub(super) fn check(
    hop: &Hop,
    addresses: &[SocketAddr],
    timeout: Duration,
) -> (Finding, Option<Reached>) {
    let start = Instant::now();
    let attempts = addresses.iter().take(ADDRESSES_MAX).map(|address| {
        let address = *address;
        thread::spawn(move || {
            let start = Instant::now();
            let connected = TcpStream::connect_timeout(&address, timeout);
            Attempt {
                address,
                connected,
                took: start.elapsed(),
            }
        })
    });
    let attempts: Vec<_> = attempts.collect();
    let attempts: Vec<_> = attempts
        .into_iter()
        .filter_map(|attempt| attempt.join().ok())
        .collect();
    let took = start.elapsed();
    let seen: Vec<_> = attempts.iter().map(Attempt::line).collect();
    let facts: Vec<_> = attempts.iter().map(Attempt::json).collect();
    let failures = attempts.iter().filter_map(Attempt::cause).collect();
    let first = attempts.into_iter().find_map(Attempt::reached);
    let finding = match &first {
        Some(reached) => succeed(hop, reached, failures, seen),
        None => fail(hop, &failures).seen_all(seen),
    };
    (finding.fact("attempts", facts).took(took), first)
}

fn succeed(hop: &Hop, reached: &Reached, failures: Vec<Cause>, seen: Vec<String>) -> Finding {
    let summary = format!("{} answers at {}", hop.who(), reached.address);
    if failures.is_empty() {
        let one = seen.len() == 1;
        let finding = Finding::ok(Step::Reach, format!("{summary}, in {}", time(reached.took)));
        return match one {
            true => finding,
            false => finding.seen_all(seen),
        };
    }
    let all = seen.len();
    let finding = Finding::warning(
        Cause::SomeUnreachable,
        format!(
            "{summary}, but {} of {all} addresses do not",
            failures.len()
        ),
    )
    .seen_all(seen)
    .means(
        "Clients that take another address first, or only that one, fail or are slow to connect: \
         the fault then comes and goes with the client, the network, or the hour.",
    )
    .todo("Have the server listen at every address of its name, or take the others out of DNS.");
    match failures.contains(&Cause::Filtered) {
        true => finding.blames(Culprit::Firewall),
        false => finding,
    }
}

/// Of several failures the one that says most is the verdict.
fn fail(hop: &Hop, failures: &[Cause]) -> Finding {
    let (who, port) = (hop.who(), hop.port);
    let order = [Cause::Refused, Cause::Filtered, Cause::Prohibited];
    let worst = order.into_iter().find(|cause| failures.contains(cause));
    let finding = match worst {
        Some(Cause::Refused) => Finding::failed(
            Cause::Refused,
            format!("{who} refuses connections to port {port}"),
        )
        .means(
            "The machine is there and said no at once: nothing listens on this port, or only on \
             another of its addresses. (A firewall set to reject says the same.)",
        )
        .todo(format!(
            "On the server: is it running, and on this port and address? ss -ltn 'sport = :{port}'"
        ))
        .todo("If it listens on 127.0.0.1 only, others cannot reach it: have it listen on 0.0.0.0 \
               or [::].")
        .todo("In a container: is the port published?"),
        Some(Cause::Filtered) => Finding::failed(
            Cause::Filtered,
            format!("no answer from {who} on port {port}"),
        )
        .means(
            "What was sent disappeared without a word. A machine without a server would have \
             refused, so a firewall or a cloud security group drops the packets, the address is \
             nobody's, or the server is too overloaded to take a connection.",
        )
        .todo(format!(
            "Let TCP port {port} in: the server's firewall, the cloud's security group, and the \
             firewall of this network for what goes out."
        ))
        .todo("Try from another network: if that works, the filter is on this side.")
        .todo(format!(
            "See how far it gets: traceroute -T -p {port} {}",
            hop.host
        )),
        Some(_) => Finding::failed(
            Cause::Prohibited,
            format!("this machine may not connect to {who} on port {port}"),
        )
        .means(
            "The connection was forbidden before it left, or by a router that says so: a rule of \
             this machine's firewall, a sandbox, or an administrative route.",
        )
        .todo("Look at the rules for what goes out: nft list ruleset, iptables -L OUTPUT -n, ip \
               route get."),
        None => Finding::failed(
            Cause::Unreachable,
            format!("there is no way to {who}"),
        )
        .means(
            "A router, or this machine itself, has no route to the address: a missing network, a \
             VPN that is down, an IPv6 address without IPv6 here, or a server that is off.",
        )
        .todo(format!("Look at the route: ip route get {}", hop.host))
        .todo("Is the VPN or the private network that the address belongs to up?"),
    };
    match hop.setting() {
        Some(setting) => finding.blames(Culprit::Proxy).todo(format!(
            "This is the proxy that {setting} names, not the server: correct it, or go without by \
             --no-proxy."
        )),
        None => finding,
    }
}

impl Attempt {
    fn line(&self) -> String {
        let took = time(self.took);
        match &self.connected {
            Ok(_) => format!("{} answered in {took}", self.address),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                format!("{} said nothing within {took}", self.address)
            }
            Err(error) => format!("{} after {took}: {error}", self.address),
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "address": self.address.to_string(),
            "outcome": self.cause().map_or("connected", Cause::name),
            "error": self.connected.as_ref().err().map(ToString::to_string),
            "milliseconds": milliseconds(self.took),
        })
    }

    fn cause(&self) -> Option<Cause> {
        let error = self.connected.as_ref().err()?;
        Some(match error.kind() {
            io::ErrorKind::ConnectionRefused => Cause::Refused,
            io::ErrorKind::TimedOut => Cause::Filtered,
            io::ErrorKind::PermissionDenied => Cause::Prohibited,
            _ => Cause::Unreachable,
        })
    }

    fn reached(self) -> Option<Reached> {
        let stream = self.connected.ok()?;
        // Small frames are to leave at once, or round trips are not what is measured.
        let _ = stream.set_nodelay(true);
        Some(Reached {
            stream,
            address: self.address,
            took: self.took,
        })
    }
}
