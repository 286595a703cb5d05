//! H9: connections that say nothing, or next to nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use openline::net::metrics::Snapshot;
use openline::proto::Config;

use crate::server::{PATIENCE, Server, Wire, frame, request};

/// Those that have agreed on TLS, if there is TLS, and then say nothing.
const SILENT: usize = 300;
/// And some that say a byte now and then.
const SLOW: usize = 20;
/// Those that come as a crowd, of whom some say a byte every now and then.
const CROWD: usize = 10_000;
const CROWD_SLOW: usize = 500;
/// What the tests beside it need.
const SPARE: usize = 3000;

#[test]
fn h9_who_says_nothing_or_little_is_reaped_by_an_absolute_deadline() {
    let timeout = Duration::from_secs(1);
    for wire in Wire::ALL {
        let server = Server::start(wire, with_timeout(timeout));
        let begun = Instant::now();
        let silent: Vec<_> = (0..SILENT).map(|_| server.connect()).collect();
        let mut slow: Vec<_> = (0..SLOW).map(|_| server.connect()).collect();
        // A byte every now and then, until nobody listens: each moves nothing.
        let drip = thread::spawn(move || {
            for byte in request(&"X: y\r\n".repeat(50)).into_bytes() {
                let sent = slow.iter_mut().map(|stream| stream.try_send(&[byte]));
                if sent.filter(Result::is_ok).count() == 0 {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
                if begun.elapsed() > PATIENCE {
                    break;
                }
            }
            slow
        });
        for mut stream in silent {
            let answer = stream.rest();
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        }
        assert!(begun.elapsed() >= timeout);
        // Others are served while the slow ones are being slow.
        server.open();
        server.wait("all are reaped", |counts| {
            late(counts) == (SILENT + SLOW) as u64
        });
        drop(drip.join().unwrap());
    }
}

fn with_timeout(handshake_timeout: Duration) -> Config {
    Config {
        handshake_timeout,
        ..Config::default()
    }
}

/// How many did not finish their handshakes in time.
fn late(counts: &Snapshot) -> u64 {
    let late = counts.handshakes.iter();
    late.filter(|(outcome, _)| outcome.outcome == "handshake-timeout")
        .map(|(_, count)| *count)
        .sum()
}

/// Ten thousand that stall somewhere in the handshake, of TLS if there is TLS. They are in a
/// process of their own, for a process may not have both ends of so many.
#[test]
fn h9_a_crowd_of_ten_thousand_is_reaped_and_others_are_served() {
    let crowd = CROWD.min(descriptors().saturating_sub(SPARE));
    if crowd < CROWD {
        eprintln!("a crowd of {crowd} only: 'ulimit -Hn' allows no more");
    }
    // Long enough for all of them to be there at once.
    let timeout = Duration::from_secs(10);
    for wire in Wire::ALL {
        let server = Server::start(wire, with_timeout(timeout));
        let mut inside = server.open();
        let begun = Instant::now();
        let mut coming = Coming(come(wire, server.address(), crowd));
        let mut most = 0;
        while !coming.is_over() {
            assert!(begun.elapsed() < timeout + PATIENCE);
            inside.send(&frame(0x81, b"Hello"));
            assert_eq!(inside.frame(), (0x81, b"Hello".to_vec()));
            drop(server.open());
            // What is accepted and not open yet is not counted as a connection.
            let counts = server.counts();
            most = most.max(counts.accepts - late(&counts));
            thread::sleep(Duration::from_millis(20));
        }
        assert!(most >= crowd as u64, "{most} at once");
        server.wait("all are reaped", |counts| late(counts) == crowd as u64);
        assert!(begun.elapsed() >= timeout);
        assert!(server.counts().accept_failures == 0);
    }
}

/// A process that must not be left behind.
struct Coming(Child);

impl Coming {
    fn is_over(&mut self) -> bool {
        let status = self.0.try_wait().unwrap();
        status.is_some_and(|status| {
            assert!(status.success(), "{status}");
            true
        })
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Raises the limit of descriptors as far as that is allowed; answers it.
#[cfg(unix)]
fn descriptors() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = hard.min((CROWD + SPARE) as u64);
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).unwrap();
    usize::try_from(wanted).unwrap()
}

#[cfg(not(unix))]
fn descriptors() -> usize {
    CROWD + SPARE
}

/// Runs [`crowd`] in a process of its own.
fn come(wire: Wire, address: SocketAddr, size: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "reaping::crowd", "--nocapture"])
        .env("HOSTILE_CROWD", format!("{address} {size} {wire:?}"))
        // What it fails by, it says on the other.
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "run by another test"]
fn crowd() {
    let told = std::env::var("HOSTILE_CROWD").unwrap();
    let [address, size, wire] = told.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{told:?}");
    };
    let address: SocketAddr = address.parse().unwrap();
    let size: usize = size.parse().unwrap();
    descriptors();
    let whole = match wire {
        "Plain" => request("").into_bytes(),
        #[cfg(feature = "tls")]
        _ => crate::tls::hello(),
        #[cfg(not(feature = "tls"))]
        _ => panic!("{wire}"),
    };
    // Nothing; the beginning, of a record's header if there are records; half; all but a byte.
    // And of TLS, some say all of it, and do not answer what the server says then.
    let mut stalled: Vec<_> = (CROWD_SLOW..size)
        .map(|n| {
            let said = match n % 32 {
                31 if wire != "Plain" => whole.len(),
                n => [0, 5, whole.len() / 2, whole.len() - 1][n % 4],
            };
            let mut tcp = knock(address);
            tcp.write_all(&whole[..said]).unwrap();
            tcp
        })
        .collect();
    let mut slow: Vec<_> = (0..CROWD_SLOW.min(size)).map(|_| knock(address)).collect();
    let begun = Instant::now();
    for byte in &whole {
        let sent = slow.iter_mut().map(|tcp| tcp.write_all(&[*byte]));
        if sent.filter(Result::is_ok).count() == 0 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it is still listened to");
        thread::sleep(Duration::from_millis(300));
    }
    for tcp in stalled.iter_mut().chain(&mut slow) {
        // What came of the handshake, and then the end.
        if let Err(error) = tcp.read_to_end(&mut Vec::new()) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    }
}

fn knock(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}
