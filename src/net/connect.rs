//! A client before its handshake: one address after the other, until one answers.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

use mio::net::TcpStream;
use rand::TryRng;
use rand::rngs::SysRng;
#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;

use crate::net::socket::Socket;
#[cfg(feature = "tls")]
use crate::net::tls::{ClientTls, TlsError, TlsStream};
use crate::net::transport::Transport;
use crate::proto::ClientRequest;

/// A client that has no stream to its server yet.
#[derive(Debug)]
pub(super) struct Connecting<C> {
    pub(super) request: ClientRequest,
    /// What the program keeps for the connection.
    pub(super) data: C,
    /// Of the handshake's nonce and the masking keys.
    pub(super) seed: [u8; 32],
    #[cfg(feature = "tls")]
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    /// Those not tried yet.
    addresses: vec::IntoIter<SocketAddr>,
    /// When the present address is given up.
    pub(super) deadline: Instant,
}

impl<C> Connecting<C> {
    /// Finds the addresses of the server; a name is looked up, which may block.
    pub(super) fn new(
        request: ClientRequest,
        options: &ConnectOptions,
        data: C,
        now: Instant,
    ) -> io::Result<Self> {
        let url = request.url();
        #[cfg(not(feature = "tls"))]
        if url.is_secure() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "wss:// needs TLS, which this build does not have; ws:// goes without",
            ));
        }
        let _ = options;
        #[cfg(feature = "tls")]
        let tls = match url.is_secure() {
            false => None,
            true => {
                let name = ServerName::try_from(url.host().to_owned());
                let tls = options.tls.clone().map_or_else(ClientTls::platform, Ok)?;
                Some((tls.config(), name.map_err(|_| TlsError::Name)?))
            }
        };
        let addresses: Vec<_> = (url.host(), url.port()).to_socket_addrs()?.collect();
        let mut seed = [0; 32];
        SysRng.try_fill_bytes(&mut seed).map_err(io::Error::other)?;
        Ok(Self {
            request,
            data,
            seed,
            #[cfg(feature = "tls")]
            tls,
            addresses: addresses.into_iter(),
            deadline: now,
        })
    }

    /// Begins to connect to the next address that lets us begin, in a fair part of `timeout`.
    /// `None` when all were tried before.
    ///
    /// # Errors
    ///
    /// The last address, and what was wrong with it, if it failed at once.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        timeout: Duration,
    ) -> Result<Option<(Transport, SocketAddr)>, (SocketAddr, io::Error)> {
        let mut failed = None;
        loop {
            let left = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
            let Some(address) = self.addresses.next() else {
                return failed.map_or(Ok(None), Err);
            };
            match TcpStream::connect(address) {
                Ok(stream) => {
                    self.deadline = now + timeout / left;
                    let transport = self.transport(Socket::tcp(stream));
                    return match transport {
                        Ok(transport) => Ok(Some((transport, address))),
                        Err(error) => Err((address, error)),
                    };
                }
                Err(error) => failed = Some((address, error)),
            }
        }
    }
}

impl<C> Connecting<C> {
    #[cfg(feature = "tls")]
    fn transport(&self, socket: Socket) -> io::Result<Transport> {
        match &self.tls {
            None => Ok(Transport::Plain(socket)),
            Some((config, name)) => {
                let stream = TlsStream::client(socket, Arc::clone(config), name.clone())?;
                Ok(Transport::Tls(Box::new(stream)))
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    fn transport(&self, socket: Socket) -> io::Result<Transport> {
        Ok(Transport::Plain(socket))
    }
}

/// How a client connects, where the URL does not say.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Whom to trust for `wss` URLs. Default: [`ClientTls::platform`].
    #[cfg(feature = "tls")]
    pub tls: Option<ClientTls>,
}
