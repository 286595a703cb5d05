//! Connecting to a host of several addresses ([RFC 8305], "happy eyeballs").
//!
//! The two families take turns, the one that the system put first going first (§4). An address
//! that has not answered after a while, or has failed, is joined by the next; whichever answers
//! first is taken, and the others are dropped (§5).
//!
//! [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Registry, Token};

use crate::net::socket::Socket;
#[cfg(unix)]
use crate::net::socket::UNIX_ADDRESS;

/// §5: the recommended time from one attempt to the next.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The attempts that a name can lead to: as many addresses as a resolver's answer sensibly has.
const ADDRESSES_MAX: usize = 64;

/// A client's attempts.
#[derive(Debug)]
pub(super) struct Race {
    /// Those not tried yet.
    addresses: VecDeque<SocketAddr>,
    under_way: Vec<(Socket, SocketAddr)>,
    /// When the next attempt begins, whatever becomes of those before it.
    next_at: Instant,
    /// What the last that failed had to say.
    failure: Option<(SocketAddr, io::Error)>,
    /// A race of one: to a socket of this machine.
    #[cfg(unix)]
    unix: Option<PathBuf>,
}

/// How it stands.
#[derive(Debug)]
pub(super) enum Standing {
    /// Nobody has answered yet.
    Open,
    /// This one was the first.
    Won(Socket, SocketAddr),
    /// All have failed; this was the last.
    Lost(Option<SocketAddr>, io::Error),
}

impl Race {
    pub(super) fn new(addresses: impl IntoIterator<Item = SocketAddr>, now: Instant) -> Self {
        Self {
            addresses: take_turns(addresses),
            under_way: Vec::new(),
            next_at: now,
            failure: None,
            #[cfg(unix)]
            unix: None,
        }
    }

    /// To the Unix socket at `path`.
    #[cfg(unix)]
    pub(super) fn unix(path: PathBuf, now: Instant) -> Self {
        Self {
            unix: Some(path),
            ..Self::new([], now)
        }
    }

    /// When to look again, even if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.addresses.is_empty()).then_some(self.next_at)
    }

    /// The address tried last.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.under_way.last().map(|(_, address)| *address)
    }

    /// Sees who has answered, and begins what is due; readiness is told under `token`.
    pub(super) fn look(&mut self, now: Instant, registry: &Registry, token: Token) -> Standing {
        let mut index = 0;
        while let Some((socket, _)) = self.under_way.get(index) {
            match socket.connected() {
                Ok(true) => {
                    let (socket, address) = self.under_way.swap_remove(index);
                    return Standing::Won(socket, address);
                }
                Ok(false) => index += 1,
                Err(error) => {
                    let (_, address) = self.under_way.swap_remove(index);
                    self.failure = Some((address, error));
                    // §5: the next need not wait.
                    self.next_at = now;
                }
            }
        }
        #[cfg(unix)]
        if let Some(path) = self.unix.take() {
            match begin_unix(&path, registry, token) {
                Ok(socket) => self.under_way.push((socket, UNIX_ADDRESS)),
                Err(error) => self.failure = Some((UNIX_ADDRESS, error)),
            }
        }
        while self.next_at <= now || self.under_way.is_empty() {
            let Some(address) = self.addresses.pop_front() else {
                break;
            };
            match begin(address, registry, token) {
                Ok(socket) => {
                    self.under_way.push((socket, address));
                    self.next_at = now + ATTEMPT_DELAY;
                }
                Err(error) => self.failure = Some((address, error)),
            }
        }
        match self.under_way.is_empty() {
            false => Standing::Open,
            true => match self.failure.take() {
                Some((address, error)) => Standing::Lost(Some(address), error),
                None => {
                    let error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
                    Standing::Lost(None, error)
                }
            },
        }
    }
}

fn begin(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Socket> {
    let mut socket = dial(address)?;
    socket.register(registry, token)?;
    Ok(socket)
}

#[cfg(not(test))]
fn dial(address: SocketAddr) -> io::Result<Socket> {
    TcpStream::connect(address).map(Socket::tcp)
}

/// As a test has it, if it says so.
#[cfg(test)]
fn dial(address: SocketAddr) -> io::Result<Socket> {
    match crate::net::faults::dialled() {
        Some(dialled) => dialled.map(Socket::Scripted),
        None => TcpStream::connect(address).map(Socket::tcp),
    }
}

#[cfg(unix)]
fn begin_unix(path: &Path, registry: &Registry, token: Token) -> io::Result<Socket> {
    let mut socket = Socket::Unix(UnixStream::connect(path)?);
    socket.register(registry, token)?;
    Ok(socket)
}

/// §4: the families take turns, beginning with that of the first address.
fn take_turns(addresses: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let addresses: Vec<_> = addresses.into_iter().take(ADDRESSES_MAX).collect();
    let is_first = |address: &SocketAddr| address.is_ipv6() == addresses[0].is_ipv6();
    let (first, second): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(is_first);
    let mut turns = VecDeque::with_capacity(addresses.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let pair = (first.next(), second.next());
        turns.extend([pair.0, pair.1].into_iter().flatten());
        if pair == (None, None) {
            return turns;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::take_turns;

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| -> Vec<SocketAddr> {
            text.split_whitespace()
                .map(|address| address.parse().unwrap())
                .collect()
        };
        for (given, taken) in [
            ("", ""),
            ("1.1.1.1:1", "1.1.1.1:1"),
            (
                "[::1]:1 [::2]:1 1.1.1.1:1 1.1.1.2:1",
                "[::1]:1 1.1.1.1:1 [::2]:1 1.1.1.2:1",
            ),
            (
                "1.1.1.1:1 1.1.1.2:1 1.1.1.3:1 [::1]:1",
                "1.1.1.1:1 [::1]:1 1.1.1.2:1 1.1.1.3:1",
            ),
        ] {
            assert_eq!(Vec::from(take_turns(parse(given))), parse(taken), "{given}");
        }
    }
}
