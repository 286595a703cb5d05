//! A client before its handshake: from a name to a stream.
//!
//! ```text
//!   Waiting --> Looking --> Racing --> Tunnelling --> a stream: TLS, then the request
//!   (a lost     (a name)    (its       (a proxy)
//!   connection)             addresses)
//! ```
//!
//! All of it but the waiting has one deadline.

mod lookup;
mod options;
mod race;

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::Instant;

use mio::Token;
use rand::TryRng;
use rand::rngs::SysRng;
#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;

use crate::net::hub::Hub;
use crate::net::peer::ConnectionId;
use crate::net::proxy::{ProxyError, Tunnel};
use crate::net::socket::Socket;
#[cfg(feature = "tls")]
use crate::net::tls::{ClientTls, TlsError, TlsStream};
use crate::net::transport::Transport;
use crate::proto::ClientRequest;

use race::{Race, Standing};

pub(super) use lookup::Found;
pub use options::ConnectOptions;

/// A client that has no stream to its server yet.
#[derive(Debug)]
pub(super) struct Connecting<C> {
    pub(super) plan: Plan,
    /// What the program keeps for the connection.
    pub(super) data: C,
    stage: Stage,
    /// When the attempt is given up.
    deadline: Instant,
}

/// What a client wants, kept for as long as it may have to connect once more.
#[derive(Debug)]
pub(super) struct Plan {
    /// What to ask for: as the program said, or where a redirect led.
    pub(super) request: ClientRequest,
    pub(super) options: ConnectOptions,
    /// What the program asked for.
    original: Option<ClientRequest>,
    redirects: u8,
    #[cfg(feature = "tls")]
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
}

#[derive(Debug)]
enum Stage {
    /// Nothing, until then.
    Waiting(Instant),
    /// The name is being looked up.
    Looking,
    /// Connecting to its addresses.
    Racing(Race),
    /// Talking to a proxy.
    Tunnelling(Box<Tunnelling>),
}

/// A conversation with a proxy.
#[derive(Debug)]
struct Tunnelling {
    socket: Socket,
    address: SocketAddr,
    tunnel: Tunnel,
    /// What is still to be sent to it.
    out: Vec<u8>,
}

/// How far it got.
#[derive(Debug)]
pub(super) enum Progress {
    /// Something is to happen first.
    Wait,
    /// There is a stream.
    Stream(Transport, SocketAddr),
    /// It failed, with the address that was tried last.
    Failed(Option<SocketAddr>, io::Error),
}

impl Plan {
    /// What is needed for the URL is there, or it cannot be.
    pub(super) fn new(request: ClientRequest, options: ConnectOptions) -> io::Result<Self> {
        let mut plan = Self {
            request,
            options,
            original: None,
            redirects: 0,
            #[cfg(feature = "tls")]
            tls: None,
        };
        plan.prepare()?;
        Ok(plan)
    }

    #[cfg(feature = "tls")]
    fn prepare(&mut self) -> io::Result<()> {
        let url = self.request.url();
        self.tls = match url.is_secure() {
            false => None,
            true => {
                let name = ServerName::try_from(url.host().to_owned());
                let tls = self.options.tls.clone();
                let tls = tls.map_or_else(ClientTls::platform, Ok)?;
                Some((tls.config(), name.map_err(|_| TlsError::Name)?))
            }
        };
        Ok(())
    }

    #[cfg(not(feature = "tls"))]
    fn prepare(&mut self) -> io::Result<()> {
        match self.request.url().is_secure() {
            false => Ok(()),
            true => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "wss:// needs TLS, which this build does not have; ws:// goes without",
            )),
        }
    }

    /// Goes where a response of this status and `location` says, if that is allowed; answers
    /// whether it is.
    pub(super) fn redirect(&mut self, status: u16, location: Option<&str>) -> bool {
        // RFC 9110 §15.4: those that say where else to send the same request.
        let is_redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
        let (true, Some(location)) = (is_redirect, location) else {
            return false;
        };
        if self.redirects >= self.options.redirects_max {
            return false;
        }
        let Ok(request) = self.request.redirected(location) else {
            return false;
        };
        // A Unix socket stands for one server, whatever its URL; it does not lead to others.
        #[cfg(unix)]
        if self.options.unix.is_some()
            && request.url().authority() != self.request.url().authority()
        {
            return false;
        }
        let before = mem::replace(&mut self.request, request);
        if self.prepare().is_err() {
            self.request = before;
            return false;
        }
        self.original.get_or_insert(before);
        self.redirects += 1;
        true
    }

    /// The plan for the next attempt: from the beginning.
    pub(super) fn again(mut self) -> io::Result<Self> {
        if let Some(original) = self.original.take() {
            self.request = original;
            self.prepare()?;
        }
        self.redirects = 0;
        Ok(self)
    }

    /// The host and port to connect to first: a proxy's, or the server's.
    fn first_hop(&self) -> (&str, u16) {
        match &self.options.proxy {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (self.request.url().host(), self.request.url().port()),
        }
    }

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

impl<C> Connecting<C> {
    /// Nothing is begun before `at`.
    pub(super) fn new(plan: Plan, data: C, at: Instant) -> Self {
        Self {
            deadline: at + plan.options.timeout,
            plan,
            data,
            stage: Stage::Waiting(at),
        }
    }

    /// When to look again, even if nothing happens.
    pub(super) fn deadline(&self) -> Instant {
        match &self.stage {
            Stage::Waiting(at) => *at,
            Stage::Racing(race) => race
                .deadline()
                .map_or(self.deadline, |at| at.min(self.deadline)),
            Stage::Looking | Stage::Tunnelling(_) => self.deadline,
        }
    }

    /// The name was looked up.
    pub(super) fn found(&mut self, found: Found, now: Instant) -> Result<(), io::Error> {
        // It may be late, and of an attempt before this one.
        if let Stage::Looking = self.stage {
            self.stage = Stage::Racing(Race::new(found?, now));
        }
        Ok(())
    }

    /// Goes on as far as it can without waiting.
    pub(super) fn proceed(
        &mut self,
        id: ConnectionId,
        hub: &Hub,
        registry: &mio::Registry,
    ) -> Progress {
        let (now, token) = (hub.now, Token(id.place.index as usize));
        loop {
            let stage = match &mut self.stage {
                Stage::Waiting(at) if *at > now => return Progress::Wait,
                Stage::Waiting(_) => match self.begin(id, hub) {
                    Ok(stage) => stage,
                    Err(error) => return Progress::Failed(None, error),
                },
                Stage::Looking if self.deadline <= now => {
                    let error = io::Error::new(
                        io::ErrorKind::TimedOut,
                        "the host's name could not be looked up in time",
                    );
                    return Progress::Failed(None, error);
                }
                Stage::Looking => return Progress::Wait,
                Stage::Racing(race) => match race.look(now, registry, token) {
                    Standing::Open if self.deadline <= now => {
                        return Progress::Failed(race.address(), io::ErrorKind::TimedOut.into());
                    }
                    Standing::Open => return Progress::Wait,
                    Standing::Lost(address, error) => return Progress::Failed(address, error),
                    Standing::Won(socket, address) => match self.tunnel(socket, address) {
                        Ok(Ok(stage)) => stage,
                        Ok(Err(transport)) => return Progress::Stream(transport, address),
                        Err(error) => return Progress::Failed(Some(address), error),
                    },
                },
                Stage::Tunnelling(tunnelling) => {
                    let address = tunnelling.address;
                    match tunnelling.talk() {
                        Ok(false) if self.deadline <= now => {
                            let error = io::Error::new(
                                io::ErrorKind::TimedOut,
                                "the proxy did not answer in time",
                            );
                            return Progress::Failed(Some(address), error);
                        }
                        Ok(false) => return Progress::Wait,
                        Err(error) => return Progress::Failed(Some(address), error),
                        Ok(true) => {}
                    }
                    let stage = mem::replace(&mut self.stage, Stage::Looking);
                    let Stage::Tunnelling(tunnelling) = stage else {
                        return Progress::Wait;
                    };
                    return match self.plan.transport(tunnelling.socket) {
                        Ok(transport) => Progress::Stream(transport, address),
                        Err(error) => Progress::Failed(Some(address), error),
                    };
                }
            };
            self.stage = stage;
        }
    }

    fn begin(&self, id: ConnectionId, hub: &Hub) -> io::Result<Stage> {
        #[cfg(unix)]
        if let Some(path) = &self.plan.options.unix {
            return Ok(Stage::Racing(Race::unix(path.clone(), hub.now)));
        }
        let (host, port) = self.plan.first_hop();
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = SocketAddr::new(address, port);
            return Ok(Stage::Racing(Race::new([address], hub.now)));
        }
        lookup::begin(host.to_owned(), port, id, hub.remote.clone())?;
        Ok(Stage::Looking)
    }

    /// A conversation with the proxy, if there is one, or the stream that there is without.
    fn tunnel(&self, socket: Socket, address: SocketAddr) -> io::Result<Result<Stage, Transport>> {
        let Some(proxy) = self.plan.options.proxy.as_ref().filter(|_| socket.is_tcp()) else {
            return self.plan.transport(socket).map(Err);
        };
        let url = self.plan.request.url();
        let mut out = Vec::new();
        let tunnel = Tunnel::start(proxy, url, &mut out)?;
        Ok(Ok(Stage::Tunnelling(Box::new(Tunnelling {
            socket,
            address,
            tunnel,
            out,
        }))))
    }
}

impl Tunnelling {
    /// Talks as far as the socket allows; answers whether the proxy has connected.
    fn talk(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 1024];
        loop {
            while !self.out.is_empty() {
                match self.socket.send(&self.out)? {
                    Some(n) => drop(self.out.drain(..n)),
                    None => return Ok(false),
                }
            }
            match self.socket.recv(&mut bytes)? {
                None => return Ok(false),
                Some(0) => return Err(ProxyError::EndOfFile.into()),
                Some(n) => {
                    if self.tunnel.read(&bytes[..n], &mut self.out)? {
                        return Ok(true);
                    }
                }
            }
        }
    }
}

/// What must not be guessed: of a handshake's nonce and of the masking keys.
pub(super) fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}
