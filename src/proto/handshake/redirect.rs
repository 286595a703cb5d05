//! Where a redirect leads, and what may be taken along ([RFC 9110 §15.4], RFC 6455 §4.1).
//!
//! RFC 6455 lets a client follow, and leaves the dangers to it: nothing that was encrypted goes on
//! in the clear, and what authenticates us to one origin is not shown to another.
//!
//! [RFC 9110 §15.4]: https://www.rfc-editor.org/rfc/rfc9110#section-15.4

use std::error::Error;
use std::fmt;

use crate::proto::handshake::client_request::ClientRequest;
use crate::proto::url::{Url, UrlError};

/// Why a redirect is not to be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectError {
    /// It leads from `wss` to `ws`.
    Insecure,
    /// It does not lead to a WebSocket URL.
    Url(UrlError),
}

/// What authenticates a client, in small letters: it goes to the origin that it is for, and to no
/// other.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

impl ClientRequest {
    /// The same request to where the Location header field of a redirect says: an absolute URL,
    /// `http` and `https` counting as `ws` and `wss`, or a part of one.
    ///
    /// To another origin it goes without Authorization and Cookie. User information in `location`
    /// is not taken up: a server has no say in who we are.
    ///
    /// ```
    /// use openline::proto::ClientRequest;
    ///
    /// let request = ClientRequest::new("wss://user:secret@a.example/chat?room=1".parse()?);
    /// let followed = request.redirected("/v2/chat")?;
    /// assert_eq!(followed.url().to_string(), "wss://a.example/v2/chat");
    /// let followed = request.redirected("https://b.example/")?;
    /// assert_eq!(followed.url().to_string(), "wss://b.example/");
    /// assert!(request.redirected("http://a.example/").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where it must not lead.
    pub fn redirected(&self, location: &str) -> Result<Self, RedirectError> {
        let url = resolve(self.url(), location).map_err(RedirectError::Url)?;
        if self.url().is_secure() && !url.is_secure() {
            return Err(RedirectError::Insecure);
        }
        let keeps_credentials = origin(self.url()) == origin(&url);
        Ok(self.with_url(url, |name| {
            keeps_credentials
                || !CREDENTIALS
                    .iter()
                    .any(|other| other.eq_ignore_ascii_case(name))
        }))
    }
}

fn origin(url: &Url) -> (bool, &str, u16) {
    (url.is_secure(), url.host(), url.port())
}

/// RFC 3986 §5.2.2, for what can follow a URL of ours.
fn resolve(base: &Url, location: &str) -> Result<Url, UrlError> {
    // RFC 9110 §10.2.2: a fragment may be there, and means nothing here.
    let location = location.split('#').next().unwrap_or_default();
    let scheme = if base.is_secure() { "wss" } else { "ws" };
    let is_absolute = location
        .split_once("://")
        .is_some_and(|(scheme, _)| !scheme.contains(['/', '?']));
    if is_absolute {
        let (scheme, rest) = location.split_once("://").unwrap_or_default();
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => "ws".to_owned(),
            "https" => "wss".to_owned(),
            _ => scheme.to_owned(),
        };
        return without_userinfo(&format!("{scheme}://{rest}")).parse();
    }
    if location.starts_with("//") {
        return without_userinfo(&format!("{scheme}:{location}")).parse();
    }
    let resource = base.resource_name();
    let path = resource.split('?').next().unwrap_or_default();
    let merged = match location {
        "" => resource.to_owned(),
        _ if location.starts_with('?') => format!("{path}{location}"),
        _ if location.starts_with('/') => without_dots(location),
        _ => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            without_dots(&format!("{folder}/{location}"))
        }
    };
    format!("{scheme}://{}{merged}", base.authority()).parse()
}

/// An absolute URL without `user:password@`.
fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, resource) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{resource}")
}

/// RFC 3986 §5.2.4, of a path that begins with a slash; a query behind it stays as it is.
fn without_dots(path_and_query: &str) -> String {
    let end = path_and_query.find('?').unwrap_or(path_and_query.len());
    let (path, query) = path_and_query.split_at(end);
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_in_folder = false;
    for segment in path.split('/').skip(1) {
        ends_in_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut path = String::new();
    for segment in &segments {
        path.push('/');
        path.push_str(segment);
    }
    if ends_in_folder || path.is_empty() {
        path.push('/');
    }
    path + query
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insecure => f.write_str("the redirect leads from wss:// to ws://"),
            Self::Url(error) => write!(f, "the redirect leads nowhere: {error}"),
        }
    }
}

impl Error for RedirectError {}

#[cfg(test)]
mod tests {
    use super::RedirectError;
    use crate::proto::ClientRequest;

    fn request(url: &str) -> ClientRequest {
        ClientRequest::new(url.parse().unwrap())
    }

    #[test]
    fn where_it_leads() {
        for (base, location, url) in [
            ("ws://a/b/c?d", "ws://e/f", "ws://e/f"),
            ("ws://a/b/c?d", "HTTPS://e", "wss://e/"),
            ("ws://a:81/b/c?d", "/f?g#h", "ws://a:81/f?g"),
            ("ws://a/b/c?d", "f", "ws://a/b/f"),
            ("ws://a/b/c?d", "../f/./g/..", "ws://a/f/"),
            ("ws://a/b/c?d", "?e", "ws://a/b/c?e"),
            ("ws://a/b/c?d", "", "ws://a/b/c?d"),
            ("wss://a/b", "//e:444/f", "wss://e:444/f"),
            (
                "wss://[::1]:444/b",
                "/f?to=http://g",
                "wss://[::1]:444/f?to=http://g",
            ),
            ("wss://a/b", "wss://user:secret@a/f", "wss://a/f"),
        ] {
            let followed = request(base).redirected(location).unwrap();
            assert_eq!(followed.url().to_string(), url, "{base} to {location}");
            assert!(!format!("{followed:?}").contains("c2VjcmV0"), "{location}");
        }
    }

    #[test]
    fn where_it_must_not_lead() {
        for (base, location) in [("wss://a/", "ws://a/"), ("wss://a/", "http://a/")] {
            let error = request(base).redirected(location).unwrap_err();
            assert_eq!(error, RedirectError::Insecure, "{location}");
        }
        for location in ["ftp://a/", "/a b", "ws://", "/a\r\nb", "mailto://x"] {
            let error = request("ws://a/").redirected(location).unwrap_err();
            assert!(matches!(error, RedirectError::Url(_)), "{location}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let asked = request("wss://user:secret@a.example/")
            .subprotocol("chat")
            .unwrap()
            .header("Cookie", "session=1")
            .unwrap()
            .header("X-Kept", "1")
            .unwrap();
        let names = |request: &ClientRequest| -> Vec<String> {
            let names = request.headers().map(|(name, _)| name.to_owned());
            names.collect()
        };
        for same in ["/elsewhere", "wss://A.example:443/", "https://a.example/b"] {
            let followed = asked.redirected(same).unwrap();
            assert_eq!(
                names(&followed),
                ["Authorization", "Cookie", "X-Kept"],
                "{same}"
            );
        }
        for other in [
            "wss://b.example/",
            "wss://a.example:444/",
            "wss://a.example.evil.net/",
            "wss://evil-a.example/",
            "wss://a.example@b.example/",
        ] {
            let followed = asked.redirected(other).unwrap();
            assert_eq!(names(&followed), ["X-Kept"], "{other}");
            assert_eq!(followed.subprotocols().collect::<Vec<_>>(), ["chat"]);
        }
        let plain = request("ws://user:secret@a.example/");
        assert!(names(&plain.redirected("wss://a.example/").unwrap()).is_empty());
    }
}
