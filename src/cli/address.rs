//! Where `openline serve` listens: a host and a port, either of which may be left out.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::path::PathBuf;
use std::str::FromStr;
use std::vec;

/// Where to listen: `HOST:PORT`, or a Unix socket, `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp(Address),
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::Tcp(Address::default())
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        #[cfg(unix)]
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.is_empty() {
                true => Err("a Unix socket is unix:PATH"),
                false => Ok(Self::Unix(path.into())),
            };
        }
        text.parse().map(Self::Tcp)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// An IPv6 address without its brackets.
    host: String,
    port: u16,
}

const HOST: &str = "127.0.0.1";
const PORT: u16 = 9001;

impl Address {
    /// The name or address, an IPv6 address without its brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

impl Default for Address {
    fn default() -> Self {
        Self {
            host: HOST.to_owned(),
            port: PORT,
        }
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = |host: &str, port| {
            Ok(Self {
                host: host.to_owned(),
                port,
            })
        };
        if text.contains("://") {
            return Err("an address to listen on is HOST:PORT, without a scheme");
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return at(HOST, parse_port(text)?);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or(FORM)?;
            return match port.strip_prefix(':') {
                Some(port) => at(host, parse_port(port)?),
                None if port.is_empty() => at(host, PORT),
                None => Err(FORM),
            };
        }
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                Err("an IPv6 address stands in brackets, as in [::1]:9001")
            }
            // As elsewhere: no host is every interface.
            Some(("", port)) => at("0.0.0.0", parse_port(port)?),
            Some((host, port)) => at(host, parse_port(port)?),
            None if text.is_empty() => Err(FORM),
            None => at(text, PORT),
        }
    }
}

const FORM: &str = "an address is HOST:PORT, HOST, PORT or :PORT";

fn parse_port(text: &str) -> Result<u16, &'static str> {
    text.parse()
        .map_err(|_| "a port is a number from 0 to 65535")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl ToSocketAddrs for Address {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (self.host.as_str(), self.port).to_socket_addrs()
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn what_is_left_out_has_a_default() {
        let cases = [
            ("9001", Some("127.0.0.1:9001")),
            ("0", Some("127.0.0.1:0")),
            (":8080", Some("0.0.0.0:8080")),
            ("localhost", Some("localhost:9001")),
            ("localhost:80", Some("localhost:80")),
            ("[::]:9001", Some("[::]:9001")),
            ("[::1]", Some("[::1]:9001")),
            ("::1", None),
            ("[::1", None),
            ("[::1]9001", None),
            ("localhost:", None),
            ("localhost:65536", None),
            ("", None),
            (":", None),
            ("ws://localhost:9001", None),
        ];
        for (text, address) in cases {
            let parsed = text.parse::<Address>().ok();
            let parsed = parsed.map(|address| address.to_string());
            assert_eq!(parsed.as_deref(), address, "{text:?}");
        }
    }
}
