//! The way to the server: proxies, redirects, a Unix socket, and back again when it is lost.

#[cfg(unix)]
use std::path::PathBuf;

use openline::net::{Backoff, ConnectOptions, Proxy};
use openline::proto::Url;

use crate::cli::values::Time;

/// The options of `openline connect` about it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct WayArgs {
    /// How long it may take to have a stream: the name, the address, the proxy
    #[arg(long, value_name = "TIME", default_value = "10s")]
    connect_timeout: Time,

    /// Connect through this proxy: http://[USER:PASSWORD@]HOST[:PORT], or socks5://…; `none`
    /// leaves out that of the environment as well
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,

    /// Follow up to this many redirects; never from wss to ws, and without credentials to another
    /// origin
    #[arg(long, value_name = "COUNT", num_args = 0..=1, default_value = "0", default_missing_value = "5")]
    follow: u8,

    /// Connect again when an attempt fails or the connection is lost, after 0 to 0.5 s at first,
    /// and up to 0 to 30 s if that goes on
    #[arg(long)]
    reconnect: bool,

    /// Connect to this Unix socket, whatever host the URL names
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", conflicts_with = "proxy")]
    unix: Option<PathBuf>,
}

impl WayArgs {
    /// Whether it is to connect again.
    pub(super) fn reconnects(&self) -> bool {
        self.reconnect
    }

    /// As the library takes them.
    pub(super) fn options(&self, url: &Url) -> Result<ConnectOptions, String> {
        let proxy = match self.proxy.as_deref() {
            Some("none") => None,
            Some(proxy) => Some(proxy.parse().map_err(|error| format!("--proxy: {error}"))?),
            None => {
                Proxy::from_env(url).map_err(|error| format!("the environment's proxy: {error}"))?
            }
        };
        Ok(ConnectOptions {
            timeout: self.connect_timeout.timer().unwrap_or(Time::MAX),
            proxy,
            #[cfg(unix)]
            unix: self.unix.clone(),
            redirects_max: self.follow,
            reconnect: self.reconnect.then(Backoff::default),
            ..ConnectOptions::default()
        })
    }
}
