//! The way to the server: proxies, redirects, a Unix socket, and back again when it is lost.

#[cfg(unix)]
use std::path::PathBuf;

use openline::net::{Backoff, ConnectOptions};
use openline::proto::Url;

use crate::cli::proxy::{Named, ProxyArgs};
use crate::cli::values::Time;

/// The options of `openline connect` about it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct WayArgs {
    /// How long it may take to have a stream: the name, the address, the proxy
    #[arg(long, value_name = "TIME", default_value = "10s")]
    connect_timeout: Time,

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
    #[arg(long, value_name = "PATH", conflicts_with_all = ["proxy", "no_proxy"])]
    unix: Option<PathBuf>,

    #[command(flatten)]
    proxy: ProxyArgs,
}

impl WayArgs {
    /// Whether it is to connect again.
    pub(super) fn reconnects(&self) -> bool {
        self.reconnect
    }

    /// As the library takes them; and the proxy, as a sentence names it.
    pub(super) fn options(&self, url: &Url) -> Result<(ConnectOptions, Option<String>), String> {
        #[cfg(unix)]
        let is_near = self.unix.is_some();
        #[cfg(not(unix))]
        let is_near = false;
        let named = match is_near {
            true => None,
            false => self.proxy.choose(url).map_err(|bad| bad.to_string())?.proxy,
        };
        let name = |Named { proxy, setting }: &Named| format!("the proxy {proxy} ({setting})");
        let name = named.as_ref().map(name);
        let options = ConnectOptions {
            timeout: self.connect_timeout.timer().unwrap_or(Time::MAX),
            proxy: named.map(|named| named.proxy),
            #[cfg(unix)]
            unix: self.unix.clone(),
            redirects_max: self.follow,
            reconnect: self.reconnect.then(Backoff::default),
            ..ConnectOptions::default()
        };
        Ok((options, name))
    }
}
