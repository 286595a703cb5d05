//! Which proxy the environment names, by the [rules of curl], which most programs follow.
//!
//! For `wss` the variables `wss_proxy`, `https_proxy` and `all_proxy`, for `ws` the variables
//! `ws_proxy`, `http_proxy` and `all_proxy`, each in small letters first and then in capitals;
//! but not `HTTP_PROXY`, which a web server's CGI scripts would take from a request's field
//! `Proxy`. An empty variable is none. `no_proxy` makes exceptions; there is none that it does not
//! name, not even for this machine.
//!
//! [rules of curl]: https://curl.se/libcurl/c/libcurl-env.html

use std::env;
use std::error::Error;
use std::fmt;

use crate::net::proxy::exemption::exempting;
use crate::net::proxy::{Proxy, ProxyUrlError};
use crate::proto::Url;

const SECURE: [&str; 6] = [
    "wss_proxy",
    "WSS_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
];
const PLAIN: [&str; 5] = [
    "ws_proxy",
    "WS_PROXY",
    "http_proxy",
    "all_proxy",
    "ALL_PROXY",
];
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// What the environment says of a proxy for a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyChoice {
    /// No variable names one.
    Unset,
    /// A variable names one, and another makes an exception for the host.
    Exempt {
        /// The variable that names a proxy.
        variable: &'static str,
        /// The variable that lists exceptions.
        exception: &'static str,
        /// The entry there that the host falls under.
        entry: String,
    },
    /// A variable names this one.
    Through {
        /// The variable.
        variable: &'static str,
        /// The proxy.
        proxy: Proxy,
    },
}

/// A variable of the environment that ought to name a proxy, and does not. Its value is not
/// told: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyVariableError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with it.
    pub why: ProxyUrlError,
}

impl ProxyChoice {
    /// What this process's environment says: of `wss_proxy`, `https_proxy` and `all_proxy` for
    /// `wss`, of `ws_proxy`, `http_proxy` and `all_proxy` for `ws`, the first that is set; small
    /// letters before capitals, and never `HTTP_PROXY`.
    ///
    /// `no_proxy` lists exceptions, with commas between: names, with all that ends in them,
    /// `host:port`, addresses, networks such as `10.0.0.0/8`, or `*`.
    ///
    /// # Errors
    ///
    /// When the variable does not name a proxy.
    pub fn from_env(url: &Url) -> Result<Self, ProxyVariableError> {
        Self::from_variables(url, |name| env::var(name).ok())
    }

    /// The same, with the variables that `variable` answers.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(
        url: &Url,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ProxyVariableError> {
        let first = |names: &[&'static str]| {
            let values = names.iter().map(|name| (*name, variable(name)));
            let mut set = values.filter_map(|(name, value)| Some((name, value?)));
            set.find(|(_, value)| !value.trim().is_empty())
        };
        let names = if url.is_secure() { &SECURE[..] } else { &PLAIN };
        let Some((variable, value)) = first(names) else {
            return Ok(Self::Unset);
        };
        if let Some((exception, list)) = first(&EXCEPTIONS)
            && let Some(entry) = exempting(url.host(), url.port(), &list)
        {
            let entry = entry.to_owned();
            return Ok(Self::Exempt {
                variable,
                exception,
                entry,
            });
        }
        match value.trim().parse() {
            Ok(proxy) => Ok(Self::Through { variable, proxy }),
            Err(why) => Err(ProxyVariableError { variable, why }),
        }
    }

    /// The proxy to go through, if there is one.
    #[must_use]
    pub fn proxy(self) -> Option<Proxy> {
        match self {
            Self::Through { proxy, .. } => Some(proxy),
            Self::Unset | Self::Exempt { .. } => None,
        }
    }
}

impl fmt::Display for ProxyVariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.why)
    }
}

impl Error for ProxyVariableError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::{ProxyChoice, ProxyVariableError};
    use crate::net::proxy::ProxyUrlError;

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Result<ProxyChoice, ProxyVariableError> {
        ProxyChoice::from_variables(&url.parse().unwrap(), |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_variable_follows_the_scheme() {
        // Each has its own host, so that it shows which was taken.
        let all = [
            ("ALL_PROXY", "8"),
            ("all_proxy", "7"),
            ("HTTPS_PROXY", "6"),
            ("https_proxy", "5"),
            ("HTTP_PROXY", "4"),
            ("http_proxy", "3"),
            ("WSS_PROXY", "2s"),
            ("wss_proxy", "1s"),
            ("WS_PROXY", "2"),
            ("ws_proxy", "1"),
        ];
        for (url, in_order) in [
            ("ws://h/", &["1", "2", "3", "7", "8"][..]),
            ("wss://h/", &["1s", "2s", "5", "6", "7", "8"]),
        ] {
            let mut left = all.to_vec();
            for host in in_order {
                let choice = chosen(url, &left).unwrap();
                let ProxyChoice::Through { variable, proxy } = choice else {
                    panic!("{url} {left:?}: {choice:?}");
                };
                assert_eq!(proxy.host(), *host);
                // The next is taken if this one is there and empty.
                let taken = left.iter_mut().find(|(name, _)| *name == variable);
                taken.unwrap().1 = " ";
            }
            assert_eq!(chosen(url, &left), Ok(ProxyChoice::Unset));
        }
    }

    #[test]
    fn exceptions_are_told() {
        let through = |url, no_proxy: &[(&str, &str)]| {
            let variables = [&[("http_proxy", "p")], no_proxy].concat();
            chosen(url, &variables).unwrap()
        };
        let exempt = |exception, entry: &str| ProxyChoice::Exempt {
            variable: "http_proxy",
            exception,
            entry: entry.to_owned(),
        };
        let choice = through("ws://a.example/", &[("NO_PROXY", "b, Example")]);
        assert_eq!(choice, exempt("NO_PROXY", "Example"));
        let both = [("NO_PROXY", "example"), ("no_proxy", "")];
        assert_eq!(
            through("ws://a.example/", &both),
            exempt("NO_PROXY", "example")
        );
        let both = [("NO_PROXY", "example"), ("no_proxy", "b")];
        assert!(through("ws://a.example/", &both).proxy().is_some());
        // As with curl, this machine is reached through it as any other.
        for url in ["ws://localhost/", "ws://127.0.0.1/", "ws://[::1]/"] {
            assert!(through(url, &[]).proxy().is_some());
        }
    }

    #[test]
    fn a_variable_that_names_no_proxy_is_named() {
        let error = chosen("wss://h/", &[("ALL_PROXY", "socks4://secret")]).unwrap_err();
        assert_eq!(
            (error.variable, error.why),
            ("ALL_PROXY", ProxyUrlError::Scheme)
        );
        assert!(error.to_string().starts_with("ALL_PROXY: "));
        assert!(!error.to_string().contains("secret"));
        let excepted = [("ALL_PROXY", "socks4://secret"), ("no_proxy", "*")];
        assert!(chosen("wss://h/", &excepted).is_ok());
    }
}
