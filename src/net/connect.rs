//! A client before its handshake: one address after the other, until one answers.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};
use std::vec;

use mio::net::TcpStream;
use rand::TryRng;
use rand::rngs::SysRng;

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
    /// Those not tried yet.
    addresses: vec::IntoIter<SocketAddr>,
    /// When the present address is given up.
    pub(super) deadline: Instant,
}

impl<C> Connecting<C> {
    /// Finds the addresses of the server; a name is looked up, which may block.
    pub(super) fn new(request: ClientRequest, data: C, now: Instant) -> io::Result<Self> {
        let url = request.url();
        if url.is_secure() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "wss:// needs TLS, which this build does not have; ws:// goes without",
            ));
        }
        let addresses: Vec<_> = (url.host(), url.port()).to_socket_addrs()?.collect();
        let mut seed = [0; 32];
        SysRng.try_fill_bytes(&mut seed).map_err(io::Error::other)?;
        Ok(Self {
            request,
            data,
            seed,
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
                    return Ok(Some((Transport::plain(stream), address)));
                }
                Err(error) => failed = Some((address, error)),
            }
        }
    }
}
