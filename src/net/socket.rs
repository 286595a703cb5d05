//! The sockets beneath a transport: TCP, and Unix where there is one.
//!
//! That there is nothing to read, or no room to write, is a value here and no error.

use std::io;
#[cfg(unix)]
use std::io::{Read, Write};
use std::net::Shutdown;
#[cfg(unix)]
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use mio::event::Source;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

#[cfg(test)]
use crate::net::faults::{self, Call};
use crate::rare::rare;

/// A non-blocking stream socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// What each call comes to is in a script.
    #[cfg(test)]
    Scripted(faults::Scripted),
}

/// What stands for the other end of a Unix socket, which has no address: the unspecified one.
#[cfg(unix)]
pub(super) const UNIX_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

impl Socket {
    /// Takes over a stream that was accepted, by a listener with what [`bequeath`] gives it.
    pub(super) fn accepted(stream: TcpStream) -> Self {
        match OPTIONS_ARE_INHERITED {
            true => Self::Tcp(stream),
            false => Self::tcp(stream),
        }
    }

    /// Takes over a stream, connected or about to be.
    pub(super) fn tcp(stream: TcpStream) -> Self {
        // Frames leave as soon as they are queued; a failure costs only latency.
        let _ = stream.set_nodelay(true);
        Self::Tcp(stream)
    }

    /// Reads what is there: `None` if nothing is, and 0 bytes at the end of the stream.
    #[inline(always)]
    pub(super) fn recv(&mut self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Tcp(stream) => retry(|| calls::recv(stream, bytes)),
            #[cfg(unix)]
            Self::Unix(stream) => {
                rare();
                retry(|| stream.read(bytes))
            }
            #[cfg(test)]
            Self::Scripted(stream) => retry(|| stream.recv(bytes)),
        }
    }

    /// Writes what there is room for: `None` if there is none.
    #[inline(always)]
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Tcp(stream) => retry(|| calls::send(stream, bytes)),
            #[cfg(unix)]
            Self::Unix(stream) => {
                rare();
                retry(|| stream.write(bytes))
            }
            #[cfg(test)]
            Self::Scripted(stream) => retry(|| stream.send(bytes)),
        }
    }

    /// Ends the sending direction: the peer reads all that was written, and then the end.
    pub(super) fn half_close(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(test)]
            Self::Scripted(stream) => stream.half_close(),
        }
    }

    /// Whether a connect has come to its end.
    pub(super) fn connected(&self) -> io::Result<bool> {
        let (error, peer) = match self {
            Self::Tcp(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            #[cfg(unix)]
            Self::Unix(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            #[cfg(test)]
            Self::Scripted(stream) => return stream.connected(),
        };
        if let Some(error) = error {
            return Err(error);
        }
        match peer {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has every readiness of the stream told under `token`: once, for its whole life.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        #[cfg(test)]
        faults::check(Call::Register)?;
        match self {
            Self::Tcp(stream) => stream.register(registry, token, BOTH),
            #[cfg(unix)]
            Self::Unix(stream) => stream.register(registry, token, BOTH),
            #[cfg(test)]
            Self::Scripted(_) => Ok(()),
        }
    }

    /// Has it told anew, also what was told before.
    pub(super) fn reregister(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        #[cfg(test)]
        faults::check(Call::Reregister)?;
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, BOTH),
            #[cfg(unix)]
            Self::Unix(stream) => stream.reregister(registry, token, BOTH),
            #[cfg(test)]
            Self::Scripted(_) => Ok(()),
        }
    }

    /// Whether it may have come from another machine.
    pub(super) fn is_tcp(&self) -> bool {
        match self {
            Self::Tcp(_) => true,
            #[cfg(unix)]
            Self::Unix(_) => false,
            #[cfg(test)]
            Self::Scripted(_) => true,
        }
    }
}

/// Whether what is accepted has its listener's options, which spares a call for each.
const OPTIONS_ARE_INHERITED: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Gives a listener the options that what it accepts is to have.
pub(super) fn bequeath(listener: &socket2::Socket) -> io::Result<()> {
    match OPTIONS_ARE_INHERITED {
        true => listener.set_tcp_nodelay(true),
        false => Ok(()),
    }
}

/// The two calls that every message makes. The C library's are functions in which a thread may be
/// cancelled: with several threads they prepare for that each time, and after a call the processor
/// seldom foresees where a function returns to.
#[cfg(target_os = "linux")]
mod calls {
    use std::io;

    use mio::net::TcpStream;
    use rustix::net::{self, RecvFlags, SendFlags};

    #[inline(always)]
    pub(super) fn recv(stream: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
        let (n, _) = net::recv(stream, bytes, RecvFlags::empty())?;
        Ok(n)
    }

    #[inline(always)]
    pub(super) fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        // An error, and no signal, where the peer is gone.
        Ok(net::send(stream, bytes, SendFlags::NOSIGNAL)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod calls {
    use std::io::{self, Read, Write};

    use mio::net::TcpStream;

    pub(super) fn recv(mut stream: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
        stream.read(bytes)
    }

    pub(super) fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        stream.write(bytes)
    }
}

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

#[inline(always)]
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    match call() {
        Ok(n) => Ok(Some(n)),
        Err(error) => {
            rare();
            again(error, call)
        }
    }
}

/// After an error: `None` if that says only that the call would block.
#[cold]
fn again(
    mut error: io::Error,
    mut call: impl FnMut() -> io::Result<usize>,
) -> io::Result<Option<usize>> {
    loop {
        match error.kind() {
            io::ErrorKind::WouldBlock => return Ok(None),
            io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
        match call() {
            Ok(n) => return Ok(Some(n)),
            Err(next) => error = next,
        }
    }
}
