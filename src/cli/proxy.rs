//! Which proxy is in force: that of the options, else that of the environment.

use std::env;
use std::fmt;

use openline::net::{Proxy, ProxyChoice, ProxyUrlError};
use openline::proto::Url;

/// The arguments that have to do with proxies.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Proxy")]
pub(crate) struct ProxyArgs {
    /// Connect through this proxy, whatever the environment says:
    /// http://[USER:PASSWORD@]HOST[:PORT], or socks5://…; `none` for no proxy
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,

    /// The same as --proxy none
    #[arg(long, conflicts_with = "proxy")]
    no_proxy: bool,
}

/// A proxy to go through, and the option or the variable that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) proxy: Proxy,
    pub(crate) setting: &'static str,
}

/// What is in force, and what was looked at.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) proxy: Option<Named>,
    pub(crate) seen: Vec<String>,
}

/// A setting that cannot be obeyed.
#[derive(Debug)]
pub(crate) struct BadSetting {
    pub(crate) setting: &'static str,
    pub(crate) fault: ProxyUrlError,
}

impl ProxyArgs {
    /// Decides for this URL.
    pub(crate) fn choose(&self, url: &Url) -> Result<Choice, BadSetting> {
        choose(url, self.proxy.as_deref(), self.no_proxy, |name| {
            env::var(name).ok()
        })
    }
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.fault)
    }
}

/// `variable` reads the environment.
fn choose(
    url: &Url,
    option: Option<&str>,
    is_refused: bool,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Choice, BadSetting> {
    let (option, refusal) = match option {
        Some("none") => (None, Some("--proxy none")),
        option => (option, is_refused.then_some("--no-proxy")),
    };
    if let Some(text) = option {
        let setting = "--proxy";
        return match text.parse() {
            Ok(proxy) => Ok(Choice {
                proxy: Some(Named { proxy, setting }),
                seen: vec!["--proxy names one".to_owned()],
            }),
            Err(fault) => Err(BadSetting { setting, fault }),
        };
    }
    let choice = match (ProxyChoice::from_variables(url, variable), refusal) {
        (Ok(choice), _) => choice,
        // What is not obeyed need not be right.
        (Err(_), Some(_)) => ProxyChoice::Unset,
        (Err(error), None) => {
            return Err(BadSetting {
                setting: error.variable,
                fault: error.why,
            });
        }
    };
    let (proxy, seen) = match (choice, refusal) {
        (ProxyChoice::Unset, _) => (None, None),
        (
            ProxyChoice::Through { variable, .. } | ProxyChoice::Exempt { variable, .. },
            Some(refusal),
        ) => {
            let seen = format!("{variable} names one, and {refusal} overrules it");
            (None, Some(seen))
        }
        (
            ProxyChoice::Exempt {
                variable,
                exception,
                entry,
            },
            None,
        ) => {
            let seen =
                format!("{variable} names one, and {exception} makes an exception by {entry}");
            (None, Some(seen))
        }
        (ProxyChoice::Through { variable, proxy }, None) => {
            let named = Named {
                proxy,
                setting: variable,
            };
            (Some(named), Some(format!("{variable} names one")))
        }
    };
    Ok(Choice {
        proxy,
        seen: seen.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn options_go_before_the_environment() {
        let url = "ws://a.example/".parse().unwrap();
        for (option, is_refused, no_proxy, setting, seen) in [
            (None, false, "", Some("http_proxy"), "http_proxy names one"),
            (
                Some("q:2"),
                false,
                "*",
                Some("--proxy"),
                "--proxy names one",
            ),
            (Some("none"), false, "", None, "--proxy none overrules it"),
            (None, true, "", None, "--no-proxy overrules it"),
            (
                None,
                false,
                "a.example",
                None,
                "no_proxy makes an exception by a.example",
            ),
        ] {
            let choice = choose(&url, option, is_refused, |name| match name {
                "http_proxy" => Some("p:1".to_owned()),
                "no_proxy" => Some(no_proxy.to_owned()),
                _ => None,
            })
            .unwrap();
            assert_eq!(choice.proxy.map(|named| named.setting), setting, "{seen}");
            assert!(choice.seen[0].contains(seen), "{:?}", choice.seen);
        }
        let bad = |name: &str| (name == "all_proxy").then(|| "ftp://p".to_owned());
        assert_eq!(
            choose(&url, None, false, bad).unwrap_err().setting,
            "all_proxy"
        );
        assert!(choose(&url, None, true, bad).is_ok());
    }
}
