//! How a client connects, where the URL does not say.

#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

use crate::net::backoff::Backoff;
use crate::net::proxy::Proxy;
#[cfg(feature = "tls")]
use crate::net::tls::ClientTls;

/// How a client connects, where the URL does not say.
///
/// ```
/// use openline::net::ConnectOptions;
///
/// let options = ConnectOptions { redirects_max: 3, ..ConnectOptions::default() };
/// assert!(options.proxy.is_none());
/// ```
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// How long it may take to have a stream to the server: to look its name up, to connect, and
    /// to be let through by a proxy. TLS and the opening handshake come after that and have
    /// [`handshake_timeout`](crate::proto::Config::handshake_timeout). Default: 10 s, enough for
    /// a SYN that is lost twice.
    pub timeout: Duration,
    /// The proxy to connect through. Default: none; [`Proxy::from_env`] knows what the
    /// environment says.
    pub proxy: Option<Proxy>,
    /// The Unix socket to connect to, whatever host the URL names; that one goes into the Host
    /// header field, and a certificate must be for it. Default: none.
    #[cfg(unix)]
    pub unix: Option<PathBuf>,
    /// How many redirects to follow. Default: 0, for a program knows where its server is. Those
    /// that lead from `wss` to `ws` are never followed, and no credentials go to another origin.
    pub redirects_max: u8,
    /// Whether to connect again when an attempt fails or a connection is lost, and when. Default:
    /// no. See [`Handler::lost`](crate::net::Handler::lost).
    pub reconnect: Option<Backoff>,
    /// Whom to trust for `wss` URLs. Default: [`ClientTls::platform`].
    #[cfg(feature = "tls")]
    pub tls: Option<ClientTls>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            proxy: None,
            #[cfg(unix)]
            unix: None,
            redirects_max: 0,
            reconnect: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}
