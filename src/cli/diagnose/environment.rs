//! Which proxy is in force: the options, else the environment as curl and most others read it.
//!
//! For `wss` the variables `wss_proxy`, `https_proxy` and `all_proxy`, for `ws` the same with
//! `ws_proxy` and `http_proxy`, in lower case first; `no_proxy` makes exceptions.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use openline::proto::Url;

/// A proxy to go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// Of Basic authentication, encoded: shown to nobody.
    pub(super) credentials: Option<String>,
    /// The option or the variable that names it.
    pub(super) setting: String,
}

/// What is in force, and what was looked at.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) proxy: Option<Proxy>,
    pub(super) seen: Vec<String>,
}

/// A setting that cannot be obeyed.
#[derive(Debug)]
pub(super) struct BadSetting {
    pub(super) setting: String,
    pub(super) fault: &'static str,
}

/// Decides for this URL. `variable` reads the environment.
pub(super) fn choose(
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
        return Ok(Choice {
            proxy: Some(parse(text, "--proxy")?),
            seen: vec!["--proxy names one".to_owned()],
        });
    }
    let schemes = match url.is_secure() {
        true => ["wss", "https", "all"],
        false => ["ws", "http", "all"],
    };
    let mut set = schemes
        .iter()
        .flat_map(|scheme| {
            let lower = format!("{scheme}_proxy");
            [lower.clone(), lower.to_ascii_uppercase()]
        })
        // What CGI makes of a request's field Proxy has this name, and was used for attacks.
        .filter(|name| name != "HTTP_PROXY")
        .filter_map(|name| variable(&name).map(|value| (name, value)))
        .filter(|(_, value)| !value.is_empty());
    let Some((name, value)) = set.next() else {
        return Ok(Choice {
            proxy: None,
            seen: Vec::new(),
        });
    };
    if let Some(refusal) = refusal {
        return Ok(Choice {
            proxy: None,
            seen: vec![format!("{name} names one, and {refusal} overrules it")],
        });
    }
    let exceptions = ["no_proxy", "NO_PROXY"]
        .into_iter()
        .find_map(|name| variable(name).map(|value| (name, value)));
    if let Some((exception, list)) = exceptions
        && let Some(entry) = excepted(url.host(), url.port(), &list)
    {
        return Ok(Choice {
            proxy: None,
            seen: vec![format!(
                "{name} names one, and {exception} makes an exception by {entry}"
            )],
        });
    }
    Ok(Choice {
        proxy: Some(parse(&value, &name)?),
        seen: vec![format!("{name} names one")],
    })
}

/// Reads `[http://][user:password@]host[:port][/]`.
fn parse(text: &str, setting: &str) -> Result<Proxy, BadSetting> {
    let bad = |fault| BadSetting {
        setting: setting.to_owned(),
        fault,
    };
    let rest = match text.split_once("://") {
        None => text,
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, _)) if scheme.to_ascii_lowercase().starts_with("socks") => {
            return Err(bad("a SOCKS proxy, which openline does not speak"));
        }
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
            return Err(bad(
                "a proxy to be spoken to over TLS, which openline does not do",
            ));
        }
        Some(_) => return Err(bad("a proxy with a scheme other than http://")),
    };
    let (userinfo, authority) = match rest.rsplit_once('@') {
        Some((userinfo, authority)) => (Some(userinfo), authority),
        None => (None, rest),
    };
    // The grammar of the rest is that of any URL.
    let url: Url = format!("ws://{authority}")
        .parse()
        .map_err(|_| bad("not of the form http://[USER:PASSWORD@]HOST[:PORT]"))?;
    if url.resource_name() != "/" {
        return Err(bad("a URL with a path, which a proxy has not"));
    }
    Ok(Proxy {
        host: url.host().to_owned(),
        port: url.port(),
        credentials: userinfo.map(|userinfo| BASE64.encode(percent_decode(userinfo))),
        setting: setting.to_owned(),
    })
}

/// The entry of a `no_proxy` list that names this host: a name with all below it, an address, a
/// network such as 10.0.0.0/8, or `*`.
fn excepted<'a>(host: &str, port: u16, list: &'a str) -> Option<&'a str> {
    list.split([',', ' '])
        .filter(|entry| !entry.is_empty())
        .find(|entry| match entry.split_once('/') {
            _ if *entry == "*" => true,
            Some((network, bits)) => is_within(host, network, bits).unwrap_or(false),
            None => is_named(host, port, entry),
        })
}

fn is_named(host: &str, port: u16, entry: &str) -> bool {
    let entry = entry.to_ascii_lowercase();
    let name = match entry.rsplit_once(':') {
        Some((name, digits)) if digits.parse() == Ok(port) && !name.contains(':') => name,
        _ => entry.as_str(),
    };
    let name = name.trim_start_matches("*.").trim_start_matches('.');
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let parent = host.strip_suffix(name);
    parent.is_some_and(|parent| parent.is_empty() || parent.ends_with('.'))
}

fn is_within(host: &str, network: &str, bits: &str) -> Option<bool> {
    let bits: u32 = bits.parse().ok()?;
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => (32_u32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    };
    let (size, host) = number(host.parse().ok()?);
    let (network_size, network) = number(network.parse().ok()?);
    let differ = (host ^ network)
        .checked_shr(size.checked_sub(bits)?)
        .unwrap_or(0);
    Some(size == network_size && differ == 0)
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut pieces = text.split('%');
    let mut decoded = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2);
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                decoded.extend_from_slice(&piece.as_bytes()[2..]);
            }
            // A sign that stands for itself.
            None => {
                decoded.push(b'%');
                decoded.extend_from_slice(piece.as_bytes());
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::{Choice, choose, excepted, parse, percent_decode};

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Choice {
        let variable = |name: &str| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        choose(&url.parse().unwrap(), None, false, variable).unwrap()
    }

    #[test]
    fn the_variable_follows_the_scheme() {
        for (url, variable, is_in_force) in [
            ("wss://a/", "https_proxy", true),
            ("wss://a/", "HTTPS_PROXY", true),
            ("wss://a/", "wss_proxy", true),
            ("wss://a/", "ALL_PROXY", true),
            ("wss://a/", "http_proxy", false),
            ("ws://a/", "http_proxy", true),
            ("ws://a/", "HTTP_PROXY", false),
            ("ws://a/", "https_proxy", false),
        ] {
            let choice = chosen(url, &[(variable, "http://p:3128")]);
            assert_eq!(choice.proxy.is_some(), is_in_force, "{url} {variable}");
        }
        let both = [("https_proxy", "one:1"), ("HTTPS_PROXY", "two:2")];
        let proxy = chosen("wss://a/", &both).proxy.unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("one", 1));
    }

    #[test]
    fn exceptions_name_hosts_and_all_below_them() {
        for (host, list, is_excepted) in [
            ("a.example.com", "example.com", true),
            ("a.example.com", ".example.com", true),
            ("a.example.com", "*.example.com", true),
            ("example.com", "x, Example.com", true),
            ("badexample.com", "example.com", false),
            ("example.com", "a.example.com", false),
            ("example.com", "*", true),
            ("example.com", "example.com:443", true),
            ("example.com", "example.com:80", false),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("11.1.2.3", "0.0.0.0/0", true),
            ("::1", "[::1]", true),
            ("fd00::1", "fd00::/8", true),
            ("10.1.2.3", "fd00::/8", false),
            ("10.1.2.3", "10.0.0.0/99", false),
            ("a", "", false),
        ] {
            let entry = excepted(host, 443, list);
            assert_eq!(entry.is_some(), is_excepted, "{host} {list}");
        }
        let choice = chosen("ws://a/", &[("http_proxy", "p:1"), ("no_proxy", "a")]);
        assert!(choice.proxy.is_none() && choice.seen[0].contains("no_proxy"));
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port_and_perhaps_credentials() {
        let proxy = parse("http://user:p%40ss@[::1]:3128/", "x").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("::1", 3128));
        assert_eq!(proxy.credentials.as_deref(), Some("dXNlcjpwQHNz"));
        assert_eq!(percent_decode("100%25%zz%4"), b"100%%zz%4");
        for bad in [
            "socks5://p",
            "https://p",
            "ftp://p",
            "",
            "http://p/path",
            "p:0",
        ] {
            assert!(parse(bad, "x").is_err(), "{bad}");
        }
    }
}
