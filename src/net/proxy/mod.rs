//! Proxies: by HTTP CONNECT ([RFC 9110 §9.3.6]) and SOCKS5 ([RFC 1928]), also from the environment.
//!
//! The proxy is told the name of the server, and looks it up itself. What passes through is the
//! WebSocket connection, with TLS from end to end for `wss`: a proxy sees the name, and no more.
//!
//! [RFC 9110 §9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
//! [RFC 1928]: https://www.rfc-editor.org/rfc/rfc1928

mod environment;
mod exemption;
mod tunnel;

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::proto::{Url, decode_userinfo, parse_authority};

pub use environment::{ProxyChoice, ProxyVariableError};
pub use tunnel::{ProxyError, SocksReply, Tunnel};

/// A proxy, as a URL names it: `http://host:port`, `socks5://user:password@host:port`.
///
/// Without a scheme it is `http`. `socks5h` is the same as `socks5`: the proxy looks the server's
/// name up in any case.
///
/// ```
/// use openline::net::Proxy;
///
/// let proxy: Proxy = "socks5://user:secret@proxy.example".parse()?;
/// assert_eq!(proxy.to_string(), "socks5://proxy.example:1080");
/// # Ok::<(), openline::net::ProxyUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    /// `user:password`.
    credentials: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Socks5,
}

/// Why a text does not name a proxy. Says nothing of what it held: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It is `https://…`: a proxy that is itself reached by TLS.
    Https,
    /// It begins with another scheme than `http`, `socks5` and `socks5h`.
    Scheme,
    /// Its host is missing or has a character that no host has, or its port is no number.
    Authority,
    /// Its user information cannot be read.
    Userinfo,
    /// It has a path, a query or a fragment.
    Path,
}

impl Proxy {
    /// The proxy that the environment names for `url`, if it names one: [`ProxyChoice`] has the
    /// rules, and says what was found.
    ///
    /// # Errors
    ///
    /// When the variable does not name a proxy.
    pub fn from_env(url: &Url) -> Result<Option<Self>, ProxyVariableError> {
        ProxyChoice::from_env(url).map(ProxyChoice::proxy)
    }

    /// Where it is.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is spoken to by SOCKS5, and not by HTTP.
    #[must_use]
    pub fn is_socks(&self) -> bool {
        self.kind == Kind::Socks5
    }

    /// Whether there are a user and a password for it.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// Its port: 80 for `http` and 1080 for `socks5` if the URL named none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Proxy {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        // As elsewhere: without a scheme it is HTTP.
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (kind, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 80),
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            "https" => return Err(ProxyUrlError::Https),
            _ => return Err(ProxyUrlError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(ProxyUrlError::Path);
        }
        let (userinfo, authority) = match rest.rsplit_once('@') {
            Some((userinfo, authority)) => (userinfo, authority),
            None => ("", rest),
        };
        let credentials = decode_userinfo(userinfo).map_err(|_| ProxyUrlError::Userinfo)?;
        let (host, port) = parse_authority(authority).map_err(|_| ProxyUrlError::Authority)?;
        match port {
            Some(0) => Err(ProxyUrlError::Authority),
            port => Ok(Self {
                kind,
                host,
                port: port.unwrap_or(default_port),
                credentials,
            }),
        }
    }
}

impl fmt::Display for Proxy {
    /// The URL without its user information.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Socks5 => "socks5",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Display for ProxyUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Https => {
                "a proxy that is itself reached by TLS (https://) is not supported: wss is \
                 encrypted from end to end through an http:// proxy too"
            }
            Self::Scheme => {
                "a proxy is http://HOST:PORT or socks5://HOST:PORT; other kinds, such as SOCKS4, \
                 are not supported"
            }
            Self::Authority => "the proxy's host or port is not one",
            Self::Userinfo => "the proxy's user information cannot be read",
            Self::Path => "a proxy's URL has no path",
        })
    }
}

impl Error for ProxyUrlError {}

#[cfg(test)]
mod tests {
    use super::{Proxy, ProxyUrlError};

    #[test]
    fn urls() {
        for (text, proxy) in [
            ("proxy.example", Ok("http://proxy.example:80")),
            ("proxy.example:3128", Ok("http://proxy.example:3128")),
            ("http://user:secret@[::1]:3128/", Ok("http://[::1]:3128")),
            ("SOCKS5://proxy", Ok("socks5://proxy:1080")),
            ("socks5h://u@proxy:9", Ok("socks5://proxy:9")),
            ("https://proxy", Err(ProxyUrlError::Https)),
            ("socks4://proxy", Err(ProxyUrlError::Scheme)),
            ("http://", Err(ProxyUrlError::Authority)),
            ("http://proxy:0", Err(ProxyUrlError::Authority)),
            ("http://pro xy", Err(ProxyUrlError::Authority)),
            ("http://a%zz@proxy", Err(ProxyUrlError::Userinfo)),
            ("http://proxy/path", Err(ProxyUrlError::Path)),
        ] {
            let parsed = text.parse::<Proxy>().map(|proxy| proxy.to_string());
            assert_eq!(parsed.as_deref().map_err(|error| *error), proxy, "{text}");
        }
    }
}
