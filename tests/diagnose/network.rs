//! Names and networks that fail: in namespaces of their own, which need root.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::support::{Report, all, clean, diagnose, is_left_out, report};

/// Runs in a network and a file system of its own, after `setup`, a script.
fn apart(setup: &str, url: &str, arguments: &[&str]) -> Option<Report> {
    if !is_possible() {
        return None;
    }
    let script = format!("set -e\nip link set lo up\n{setup}\nexec \"$@\"");
    Some(report(unshare(&script, &all(url, arguments))))
}

/// Whether namespaces can be had here.
fn is_possible() -> bool {
    let mut probe = Command::new("unshare");
    let output = probe.args(["--net", "--mount", "ip", "link"]).output();
    let is_possible = output.is_ok_and(|output| output.status.success());
    !is_left_out("root, unshare (util-linux) and ip (iproute2)", is_possible)
}

/// This script in namespaces of its own; its arguments are the program and these.
fn unshare(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "sh", "-c", script, "sh"])
        .arg(env!("CARGO_BIN_EXE_openline"))
        .args(arguments);
    clean(&mut command);
    command
}

/// What is sent to a neighbour with an address of nobody's is dropped at the other end.
const BLACK_HOLE: &str = "
ip link add v0 type veth peer name v1
ip addr add 192.0.2.1/24 dev v0
ip link set v0 up
ip link set v1 up
ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev v0";

/// The resolver knows what is in this file, and asks nobody.
const FILES_ONLY: &str = "
d=$(mktemp -d)
echo 'hosts: files' > $d/nsswitch.conf
printf '127.0.0.1 both.test\\n127.0.0.2 both.test\\n' > $d/hosts
mount --bind $d/nsswitch.conf /etc/nsswitch.conf
mount --bind $d/hosts /etc/hosts
rm -r $d 2>/dev/null || true";

#[test]
fn a_name_that_there_is_not() {
    let words = ["there is no such name", "dig +short chat.test", "spelling"];
    if let Some(report) = apart(FILES_ONLY, "ws://chat.test/", &[]) {
        report.fails(11, "name-unknown", "name-service", &words);
    }
}

#[test]
fn a_resolver_that_is_not_there() {
    let setup = "
d=$(mktemp -d)
echo 'hosts: dns' > $d/nsswitch.conf
printf 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n' > $d/resolv.conf
mount --bind $d/nsswitch.conf /etc/nsswitch.conf
mount --bind $d/resolv.conf /etc/resolv.conf
rm -r $d 2>/dev/null || true";
    let words = ["could not be looked up", "/etc/resolv.conf"];
    if let Some(report) = apart(setup, "ws://chat.test/", &[]) {
        report.fails(11, "name-lookup-failed", "name-service", &words);
    }
}

#[test]
fn a_closed_port() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    let words = ["refuses connections", "Connection refused", "ss -ltn"];
    diagnose(&url, &[]).fails(12, "refused", "endpoint", &words);
}

#[test]
fn a_port_that_stays_silent() {
    // A listener whose queue is full: what comes is dropped.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = listener.unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let soon = Duration::from_millis(500);
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, soon) {
        queued.push(stream);
    }
    let words = [
        "no answer from 127.0.0.1",
        "said nothing within",
        "security group",
    ];
    diagnose(&format!("ws://{address}/"), &["--timeout", "500ms"])
        .fails(12, "filtered", "firewall", &words);
}

#[test]
fn a_black_hole() {
    let arguments = ["--timeout", "500ms"];
    let words = ["192.0.2.2:80 said nothing within", "traceroute -T -p 80"];
    if let Some(report) = apart(BLACK_HOLE, "ws://192.0.2.2/", &arguments) {
        report.fails(12, "filtered", "firewall", &words);
    }
}

#[test]
fn no_way_at_all() {
    let words = ["there is no way to 192.0.2.2", "ip route get 192.0.2.2"];
    for setup in [
        "",
        "ip route add unreachable 192.0.2.0/24",
        "ip route add blackhole 192.0.2.0/24",
    ] {
        if let Some(report) = apart(setup, "ws://192.0.2.2/", &[]) {
            report.fails(12, "unreachable", "network", &words);
        }
    }
}

#[test]
fn a_way_that_is_forbidden() {
    let setup = "ip route add prohibit 192.0.2.0/24";
    let words = ["may not connect", "nft list ruleset"];
    if let Some(report) = apart(setup, "ws://192.0.2.2/", &[]) {
        report.fails(12, "prohibited", "this-machine", &words);
    }
}

#[test]
fn one_address_of_two() {
    // The server listens at 127.0.0.1 alone, and the name has another one as well.
    let words = ["1 of 2 addresses do not", "127.0.0.2", "comes and goes"];
    if let Some(report) = beside_a_server(FILES_ONLY) {
        let report = report.warns("some-unreachable", &words);
        assert_eq!(report.step("reach")["culprit"], "endpoint");
    }
    let setup = format!(
        "{BLACK_HOLE}\n{}",
        FILES_ONLY.replace("127.0.0.2", "192.0.2.2")
    );
    let words = ["1 of 2 addresses do not", "192.0.2.2:9001 said nothing"];
    if let Some(report) = beside_a_server(&setup) {
        let report = report.warns("some-unreachable", &words);
        assert_eq!(report.step("reach")["culprit"], "firewall");
    }
}

/// Runs where `openline serve` runs too, in a network and a file system of their own.
fn beside_a_server(setup: &str) -> Option<Report> {
    if !is_possible() {
        return None;
    }
    let script = format!(
        "set -e
ip link set lo up
{setup}
$1 serve 9001 >/dev/null 2>&1 &
server=$!
until $1 diagnose ws://127.0.0.1:9001/ --pings 1 --listen 1ms >/dev/null; do sleep 0.1; done
\"$@\" || true
kill $server"
    );
    let arguments = all("ws://both.test:9001/", &["--timeout", "2s"]);
    Some(report(unshare(&script, &arguments)))
}
