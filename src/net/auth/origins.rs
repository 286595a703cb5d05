//! The pages that a server lets in, by their origins ([RFC 6454], [RFC 6455 §10.2]).
//!
//! An origin is compared whole and byte by byte: scheme, host and port. The one pattern is `*`
//! for a label of its own, to the left of a host's name; a pattern for parts of labels is how
//! `evil-example.com` gets in.
//!
//! [RFC 6454]: https://www.rfc-editor.org/rfc/rfc6454
//! [RFC 6455 §10.2]: https://www.rfc-editor.org/rfc/rfc6455#section-10.2

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::net::auth::denial::Denial;
use crate::net::auth::guard::Check;
use crate::net::auth::identity::Identity;
use crate::proto::Request;

/// The origins that are let in; a request without one is not.
///
/// An empty list lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

/// An origin, or a pattern of origins.
///
/// It is kept as browsers write one (RFC 6454 §6.2): in lower case, without a default port.
///
/// ```
/// use openline::net::auth::Origin;
///
/// let tenants: Origin = "https://*.example.com".parse()?;
/// assert!(tenants.allows("https://a.example.com"));
/// // As with certificates, each star is one label: a tenant's own subdomains stay outside.
/// assert!(!tenants.allows("https://x.a.example.com"));
/// assert!(!tenants.allows("https://example.com"));
/// assert!(!tenants.allows("https://evil-example.com"));
/// # Ok::<(), openline::net::auth::OriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `scheme://`.
    scheme: String,
    /// How many labels stand to the left of the rest, whatever they are.
    wildcards: usize,
    /// The host, or its labels to the right of the stars, and the port if it is not the default.
    rest: String,
}

/// Why a text is no origin to let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginError {
    /// It is not `scheme://host` or `scheme://host:port`.
    Form,
    /// It is `null`.
    Null,
    /// A `*` that is not a whole label, or stands to the right of another label.
    Star,
    /// Stars to the left of a single label, such as `com`.
    TooWide,
}

impl Origins {
    /// Reads a list of origins and patterns.
    ///
    /// # Errors
    ///
    /// Why the first that is none is none.
    pub fn parse<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginError> {
        let origins = origins.into_iter().map(str::parse);
        origins.collect::<Result<_, _>>().map(Self)
    }

    /// Looks at the value of a header field Origin.
    ///
    /// # Errors
    ///
    /// That it is missing, or is none of these.
    pub fn judge(&self, origin: Option<&str>) -> Result<(), Denial> {
        let theirs = origin.ok_or(Denial::OriginMissing)?;
        match self.0.iter().any(|ours| ours.allows(theirs)) {
            true => Ok(()),
            false => Err(Denial::OriginNotAllowed),
        }
    }
}

impl FromIterator<Origin> for Origins {
    fn from_iter<I: IntoIterator<Item = Origin>>(origins: I) -> Self {
        Self(origins.into_iter().collect())
    }
}

impl Check for Origins {
    fn check(&mut self, request: &Request<'_>, _: SocketAddr) -> Result<Option<Identity>, Denial> {
        self.judge(request.origin()).map(|()| None)
    }
}

impl Origin {
    /// Whether the value of a header field Origin is this, or fits it.
    #[must_use]
    pub fn allows(&self, header: &str) -> bool {
        let Some(host) = header.strip_prefix(self.scheme.as_str()) else {
            return false;
        };
        let Some(labels) = host.strip_suffix(self.rest.as_str()) else {
            return false;
        };
        if self.wildcards == 0 {
            return labels.is_empty();
        }
        let Some(labels) = labels.strip_suffix('.') else {
            return false;
        };
        labels.split('.').count() == self.wildcards && labels.split('.').all(is_label)
    }
}

/// Whether this may be a label of a host as browsers write it: no `@`, `:` or `/` among them.
fn is_label(label: &str) -> bool {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
    !label.is_empty() && label.bytes().all(fits)
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        // RFC 6454 §4: `null` is what every sandboxed frame and every local file has.
        if text.eq_ignore_ascii_case("null") {
            return Err(OriginError::Null);
        }
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").ok_or(OriginError::Form)?;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return Err(OriginError::Form);
        }
        let (host, port) = split_port(authority);
        let (wildcards, named) = split_stars(host)?;
        let is_host = |c: char| c.is_ascii_graphic() && !"/?#@\\:[]".contains(c);
        let is_ipv6 = |c: char| c.is_ascii_hexdigit() || ":.".contains(c);
        let bracketed = named
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let fits = match bracketed {
            Some(address) => wildcards == 0 && !address.is_empty() && address.chars().all(is_ipv6),
            None => !named.is_empty() && named.chars().all(is_host),
        };
        if !fits {
            return Err(OriginError::Form);
        }
        let port: Option<u16> = match port.map(str::parse) {
            None => None,
            Some(Ok(port)) => Some(port),
            Some(Err(_)) => return Err(OriginError::Form),
        };
        let default = match scheme {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        Ok(Self {
            scheme: format!("{scheme}://"),
            wildcards,
            rest: match port {
                Some(port) if Some(port) != default => format!("{named}:{port}"),
                _ => named.to_owned(),
            },
        })
    }
}

/// The port behind the last colon, if that is not within an IPv6 address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// How many stars stand to the left, and what to the right of them.
fn split_stars(host: &str) -> Result<(usize, &str), OriginError> {
    let (mut wildcards, mut rest) = (0, host);
    while let Some(next) = rest.strip_prefix("*.") {
        wildcards += 1;
        rest = next;
    }
    if rest.contains('*') {
        return Err(OriginError::Star);
    }
    // `localhost` is no top-level domain that anyone can register under.
    let is_wide = !rest.contains('.') && rest != "localhost";
    match wildcards > 0 && is_wide {
        true => Err(OriginError::TooWide),
        false => Ok((wildcards, rest)),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        (0..self.wildcards).try_for_each(|_| f.write_str("*."))?;
        f.write_str(&self.rest)
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => {
                "an origin is scheme://host or scheme://host:port, as in https://example.com; \
                 no path"
            }
            Self::Null => "null is the origin of anyone who wants it; it cannot be let in",
            Self::Star => {
                "a * stands for one whole label to the left of the others, as in \
                 https://*.example.com"
            }
            Self::TooWide => {
                "a * needs two labels to its right, as in https://*.example.com, so that it is \
                 not everyone's"
            }
        })
    }
}

impl Error for OriginError {}

#[cfg(test)]
mod tests {
    use super::{Origin, OriginError, Origins};
    use crate::net::auth::denial::Denial;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let form = Err(OriginError::Form);
        let star = Err(OriginError::Star);
        let wide = Err(OriginError::TooWide);
        let cases = [
            ("https://example.com", Ok("https://example.com")),
            ("HTTPS://Example.COM", Ok("https://example.com")),
            ("https://example.com:443", Ok("https://example.com")),
            ("http://example.com:80", Ok("http://example.com")),
            ("http://example.com:443", Ok("http://example.com:443")),
            ("http://[::1]:8080", Ok("http://[::1]:8080")),
            ("http://[::1]", Ok("http://[::1]")),
            ("chrome-extension://abcdef", Ok("chrome-extension://abcdef")),
            (
                "https://*.Example.com:8443",
                Ok("https://*.example.com:8443"),
            ),
            ("https://*.*.example.com", Ok("https://*.*.example.com")),
            ("http://*.localhost:3000", Ok("http://*.localhost:3000")),
            ("https://example.com/", form),
            ("https://user@example.com", form),
            ("https://*.user@example.com", form),
            ("https://example.com:x", form),
            ("https://example.com:", form),
            ("https://*.[::1]", wide),
            ("https://", form),
            ("example.com", form),
            ("*", form),
            ("null", Err(OriginError::Null)),
            ("https://*", star),
            ("https://*example.com", star),
            ("https://a.*.example.com", star),
            ("https://*.*", star),
            ("https://example.com:*", form),
            ("https://*.com", wide),
            ("https://*.", wide),
        ];
        for (text, origin) in cases {
            let parsed = text.parse::<Origin>().map(|origin| origin.to_string());
            assert_eq!(parsed, origin.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn only_the_whole_origin_is_the_origin() {
        let ours: Origin = "https://example.com".parse().unwrap();
        assert!(ours.allows("https://example.com"));
        for theirs in [
            "null",
            "",
            "http://example.com",
            "https://example.com:444",
            "https://example.com:443",
            "https://evil-example.com",
            "https://example.com.evil.net",
            "https://sub.example.com",
            "https://example.com@evil.net",
            "https://evil.net/https://example.com",
            "https://example.com/",
            "https://EXAMPLE.com",
            " https://example.com",
            "https://example.co",
            "https://.example.com",
        ] {
            assert!(!ours.allows(theirs), "{theirs:?}");
        }
    }

    #[test]
    fn a_star_is_one_label_and_nothing_else() {
        let ours: Origin = "https://*.example.com:8443".parse().unwrap();
        for theirs in [
            "https://a.example.com:8443",
            "https://xn--bcher-kva.example.com:8443",
            "https://a-b_c.example.com:8443",
        ] {
            assert!(ours.allows(theirs), "{theirs:?}");
        }
        for theirs in [
            "https://example.com:8443",
            "https://.example.com:8443",
            "https://a.b.example.com:8443",
            "https://evil-example.com:8443",
            "https://evilexample.com:8443",
            "https://a.example.com",
            "https://a.example.com:443",
            "https://a.example.com:84430",
            "http://a.example.com:8443",
            "https://a.example.com:8443.evil.net",
            "https://a.example.com:8443@evil.net",
            "https://evil.net:80@a.example.com:8443",
            "https://user@a.example.com:8443",
            "https://evil.net/.example.com:8443",
            "https://evil.net#.example.com:8443",
            "https://A.example.com:8443",
            "https://*.example.com:8443",
            "https://a b.example.com:8443",
            "null",
            "",
        ] {
            assert!(!ours.allows(theirs), "{theirs:?}");
        }
        let two: Origin = "https://*.*.example.com".parse().unwrap();
        assert!(two.allows("https://a.b.example.com"));
        assert!(!two.allows("https://a.example.com"));
        assert!(!two.allows("https://a.b.c.example.com"));
    }

    #[test]
    fn a_list_wants_one_of_its_own() {
        let list = Origins::parse(["https://a.example", "http://localhost:3000"]).unwrap();
        assert_eq!(list.judge(Some("http://localhost:3000")), Ok(()));
        assert_eq!(
            list.judge(Some("http://localhost")),
            Err(Denial::OriginNotAllowed)
        );
        assert_eq!(list.judge(None), Err(Denial::OriginMissing));
        let nobody = Origins::parse([]).unwrap();
        assert_eq!(
            nobody.judge(Some("https://a.example")),
            Err(Denial::OriginNotAllowed)
        );
    }
}
