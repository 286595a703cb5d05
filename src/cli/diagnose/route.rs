//! The way to the server, once it is found: so that it can be gone again, for a comparison.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use openline::proto::Url;

use crate::cli::diagnose::tls::Tls;
use crate::cli::diagnose::wire::Wire;
use crate::cli::diagnose::{tls, tunnel};
use crate::cli::proxy::Named;

/// What TCP connects to: the server, or the proxy before it.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) proxy: Option<Named>,
}

impl Hop {
    pub(super) fn new(url: &Url, proxy: Option<Named>) -> Self {
        let (host, port) = match &proxy {
            Some(Named { proxy, .. }) => (proxy.host(), proxy.port()),
            None => (url.host(), url.port()),
        };
        Self {
            host: host.to_owned(),
            port,
            proxy,
        }
    }

    /// As a sentence names it.
    pub(super) fn who(&self) -> String {
        match &self.proxy {
            Some(_) => format!("the proxy {}", self.host),
            None => self.host.clone(),
        }
    }

    /// The option or variable that names the proxy.
    pub(super) fn setting(&self) -> Option<&str> {
        self.proxy.as_ref().map(|named| named.setting)
    }
}

/// The way that worked.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) address: SocketAddr,
    pub(super) proxy: Option<Named>,
    /// The server's.
    pub(super) url: Url,
    pub(super) tls: Option<Tls>,
    pub(super) timeout: Duration,
}

/// What an attempt to be compared with may take: it is only a guess that is tried.
const GUESS_MAX: Duration = Duration::from_secs(2);

impl Route {
    /// The server's `host:port`, as CONNECT names it.
    pub(super) fn target(&self) -> String {
        match self.url.host().contains(':') {
            true => format!("[{}]:{}", self.url.host(), self.url.port()),
            false => format!("{}:{}", self.url.host(), self.url.port()),
        }
    }

    /// How long to wait for what is only a guess.
    pub(super) fn guess(&self) -> Duration {
        self.timeout.min(GUESS_MAX)
    }

    /// Goes it again. Why not is only a remark: it was gone before.
    pub(super) fn open(&self) -> Result<Wire, String> {
        let wire = self.open_tcp()?;
        match &self.tls {
            Some(settings) => {
                let shaken = tls::handshake(wire, settings, self.timeout);
                let (wire, record) = shaken.map_err(|failure| failure.fault.to_string())?;
                // Another server of the same name may have another certificate.
                match record.is_good() || settings.is_insecure {
                    true => Ok(wire),
                    false => Err("this time the certificate is refused".to_owned()),
                }
            }
            None => Ok(Wire::Plain(wire)),
        }
    }

    /// The same as far as TLS.
    pub(super) fn open_tcp(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect_timeout(&self.address, self.timeout)
            .map_err(|error| error.to_string())?;
        // Small frames are to leave at once, or round trips are not what is measured.
        let _ = stream.set_nodelay(true);
        match &self.proxy {
            Some(named) => tunnel::open(stream, &named.proxy, &self.url, self.timeout)
                .map(|(stream, _)| stream)
                .map_err(|fault| fault.to_string()),
            None => Ok(stream),
        }
    }
}
