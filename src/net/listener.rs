//! Accepting connections.
//!
//! An accept that fails slows the accepting down and never stops the loop: the descriptors that
//! are used up today are free again tomorrow.

#[cfg(unix)]
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Type};

use crate::net::config::LoopConfig;
#[cfg(unix)]
use crate::net::socket::UNIX_ADDRESS;
use crate::net::socket::{self, Socket};
#[cfg(feature = "tls")]
use crate::net::tls::{ServerTls, TlsStream};
use crate::net::transport::Transport;

/// Whether the operating system spreads connections over the listeners that share a port: BSDs
/// and macOS give them all to one, and on Windows sharing is theft.
const PORT_SHARING_SPREADS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Accepting,
    address: SocketAddr,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<ServerTls>,
    /// When to accept next, without having been told that a connection waits: after a failure,
    /// or when more wait than one turn takes.
    pub(super) retry_at: Option<Instant>,
    /// What the next accepts fail with.
    #[cfg(test)]
    pub(super) faults: std::sync::Mutex<std::collections::VecDeque<io::Error>>,
}

#[derive(Debug)]
enum Accepting {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, Arc<SocketFile>),
}

/// The file of a Unix socket, which goes when nobody listens there any more.
#[cfg(unix)]
#[derive(Debug)]
struct SocketFile(PathBuf);

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        let _ = fs::remove_file(&self.0);
    }
}

/// What an accept came to.
#[derive(Debug)]
pub(super) enum Accept {
    Stream(Transport, SocketAddr),
    /// No connection waits.
    WouldBlock,
    /// None can be accepted for now.
    Failed(io::Error),
}

impl Listener {
    /// Listens at the first of the addresses where that is possible.
    pub(super) fn bind(address: impl ToSocketAddrs, config: &LoopConfig) -> io::Result<Self> {
        let mut last = None;
        for address in address.to_socket_addrs()? {
            match bind(address, config) {
                Ok(socket) => {
                    return Ok(Self {
                        address: socket.local_addr()?,
                        socket: Accepting::Tcp(socket),
                        #[cfg(feature = "tls")]
                        tls: None,
                        retry_at: None,
                        #[cfg(test)]
                        faults: std::sync::Mutex::default(),
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "no address to listen at")
        }))
    }

    /// Listens as often as there are loops in a group.
    pub(super) fn bind_group(
        address: impl ToSocketAddrs,
        size: usize,
        config: &LoopConfig,
    ) -> io::Result<Vec<Self>> {
        // Alone, it finds out whether the port is another's: those that share would not.
        let first = Self::bind(address, config)?;
        if size == 1 {
            return Ok(vec![first]);
        }
        let address = first.address;
        if !PORT_SHARING_SPREADS {
            let listeners = (0..size).map(|_| first.try_clone());
            return listeners.collect();
        }
        drop(first);
        let sharing = LoopConfig {
            reuse_port: true,
            ..config.clone()
        };
        (0..size).map(|_| Self::bind(address, &sharing)).collect()
    }

    /// Listens at a Unix socket, which as many loops accept from.
    #[cfg(unix)]
    pub(super) fn bind_unix(path: &Path, size: usize) -> io::Result<Vec<Self>> {
        let socket = match UnixListener::bind(path) {
            // A file that is left of a server before us keeps nobody out who asks.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(path) => {
                fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            bound => bound?,
        };
        let first = Self {
            socket: Accepting::Unix(socket, Arc::new(SocketFile(path.to_owned()))),
            address: UNIX_ADDRESS,
            #[cfg(feature = "tls")]
            tls: None,
            retry_at: None,
            #[cfg(test)]
            faults: std::sync::Mutex::default(),
        };
        let mut listeners = (1..size)
            .map(|_| first.try_clone())
            .collect::<io::Result<Vec<_>>>()?;
        listeners.push(first);
        Ok(listeners)
    }

    #[cfg(unix)]
    fn try_clone(&self) -> io::Result<Self> {
        use std::os::fd::AsFd;

        let socket = match &self.socket {
            Accepting::Tcp(socket) => {
                let socket = socket.as_fd().try_clone_to_owned()?;
                Accepting::Tcp(TcpListener::from_std(socket.into()))
            }
            Accepting::Unix(socket, path) => {
                let socket = socket.as_fd().try_clone_to_owned()?;
                Accepting::Unix(UnixListener::from_std(socket.into()), Arc::clone(path))
            }
        };
        Ok(Self {
            socket,
            address: self.address,
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            retry_at: None,
            #[cfg(test)]
            faults: std::sync::Mutex::default(),
        })
    }

    #[cfg(windows)]
    fn try_clone(&self) -> io::Result<Self> {
        use std::os::windows::io::AsSocket;

        let Accepting::Tcp(socket) = &self.socket;
        let socket = socket.as_socket().try_clone_to_owned()?;
        Ok(Self {
            socket: Accepting::Tcp(TcpListener::from_std(socket.into())),
            address: self.address,
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
            retry_at: None,
            #[cfg(test)]
            faults: std::sync::Mutex::default(),
        })
    }

    /// Where it listens: with the port that was chosen, if 0 was asked for.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Accepting::Tcp(socket) => registry.register(socket, token, Interest::READABLE),
            #[cfg(unix)]
            Accepting::Unix(socket, _) => registry.register(socket, token, Interest::READABLE),
        }
    }

    /// Accepts one connection.
    pub(super) fn accept(&self) -> Accept {
        loop {
            let accepted = match &self.socket {
                #[cfg(test)]
                _ if self.has_fault() => Err(self.fault()),
                Accepting::Tcp(socket) => {
                    let accepted = socket.accept();
                    accepted.map(|(stream, address)| (Socket::accepted(stream), address))
                }
                #[cfg(unix)]
                Accepting::Unix(socket, _) => {
                    let accepted = socket.accept();
                    accepted.map(|(stream, _)| (Socket::Unix(stream), UNIX_ADDRESS))
                }
            };
            match accepted {
                Ok((socket, address)) => {
                    let transport = self.transport(socket);
                    return transport.map_or_else(Accept::Failed, |transport| {
                        Accept::Stream(transport, address)
                    });
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Accept::WouldBlock,
                    // The client gave up before its turn came, or a signal came.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => return Accept::Failed(error),
                },
            }
        }
    }
}

#[cfg(test)]
impl Listener {
    fn has_fault(&self) -> bool {
        !self.faults.lock().expect("no panic").is_empty()
    }

    fn fault(&self) -> io::Error {
        let fault = self.faults.lock().expect("no panic").pop_front();
        fault.expect("there is one")
    }
}

impl Listener {
    #[cfg(feature = "tls")]
    fn transport(&self, socket: Socket) -> io::Result<Transport> {
        match &self.tls {
            None => Ok(Transport::Plain(socket)),
            Some(tls) => {
                let stream = TlsStream::server(socket, tls.config())?;
                Ok(Transport::Tls(Box::new(stream)))
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    fn transport(&self, socket: Socket) -> io::Result<Transport> {
        Ok(Transport::Plain(socket))
    }
}

/// Whether this is a socket that nobody listens at.
#[cfg(unix)]
fn is_left_over(path: &Path) -> bool {
    use std::os::unix::net::UnixStream;

    let refused = UnixStream::connect(path).map_err(|error| error.kind());
    matches!(refused, Err(io::ErrorKind::ConnectionRefused))
}

fn bind(address: SocketAddr, config: &LoopConfig) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Connections of a server before us, in TIME-WAIT, are no reason not to start. On Windows
    // the option means something else: to take the port from under another.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(config.reuse_port)?;
    socket::bequeath(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Accept, Listener};
    use crate::net::config::LoopConfig;
    use crate::net::socket::Socket;
    use crate::net::transport::Transport;

    /// Nagle's algorithm would have a frame wait for the answer to the one before.
    #[test]
    fn what_is_accepted_sends_at_once() {
        let listener = Listener::bind("127.0.0.1:0", &LoopConfig::default()).unwrap();
        let _client = TcpStream::connect(listener.address()).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            match listener.accept() {
                Accept::Stream(Transport::Plain(Socket::Tcp(stream)), _) => {
                    assert!(stream.nodelay().unwrap());
                    return;
                }
                Accept::WouldBlock => thread::yield_now(),
                other => panic!("{other:?}"),
            }
        }
        panic!("nothing to be accepted");
    }
}
