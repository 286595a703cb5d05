//! JSON Web Tokens ([RFC 7519]), signed as [RFC 7515] says, judged as [RFC 8725] asks for.
//!
//! Signature first, claims afterwards: nothing that a stranger wrote decides anything, other than
//! which of our keys it is held against. Each key is for one algorithm, so a token cannot choose
//! how its key is used, and `none` has no key.
//!
//! [RFC 7515]: https://www.rfc-editor.org/rfc/rfc7515
//! [RFC 7519]: https://www.rfc-editor.org/rfc/rfc7519
//! [RFC 8725]: https://www.rfc-editor.org/rfc/rfc8725

mod claims;
mod keys;

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::net::auth::bearer::Verify;
use crate::net::auth::denial::Denial;
use crate::net::auth::file::{FileError, FileFault, Watched};
use crate::net::auth::identity::Identity;

pub use keys::KeyFault;

use claims::Policy;
use keys::{Algorithm, Keys};

/// An object of JSON.
type Object = Map<String, Value>;

/// Lets in who has a JWT that was signed with one of these keys, for us, and that is in force.
///
/// ```no_run
/// use openline::net::auth::{Bearer, Guard, Jwt};
///
/// let jwt = Jwt::open("jwks.json")?
///     .issuer("https://login.example.com/")
///     .audience("wss://chat.example.com/");
/// let guard = Guard::new().and(Bearer::new(jwt));
/// # let _ = guard;
/// # Ok::<(), openline::net::auth::FileError>(())
/// ```
///
/// HS256, RS256 and ES256 are spoken. A token needs `exp`; an `nbf` is obeyed; an `aud` must name
/// us, so that a token for another service is refused, even if no audience is configured here
/// (RFC 7519 §4.1.3).
#[derive(Clone)]
pub struct Jwt {
    source: Source,
    policy: Policy,
}

#[derive(Clone)]
enum Source {
    Fixed(Keys),
    File(Watched<Keys>),
}

impl Jwt {
    /// With the public keys of a file, read again whenever it has changed: one RSA or P-256 key
    /// in PEM, for RS256 or ES256, or a JWKS document (RFC 7517 §5), which may hold secrets for
    /// HS256 as well.
    ///
    /// A token says by its `kid` which key of the document it was signed with, and need not if
    /// there is only one of its algorithm. Keys for other algorithms or other uses are passed
    /// over.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or there is no key in it that can be used.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let parse = |bytes: &[u8]| keys::public(bytes).map_err(FileFault::Key);
        Watched::open(path.as_ref(), parse).map(|file| Self::new(Source::File(file)))
    }

    /// With the secret of a file, for HS256, read again whenever it has changed. The end of its
    /// last line does not belong to it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or the secret is shorter than 32 bytes (RFC 7518 §3.2), or
    /// is a key in PEM, which is for another algorithm.
    pub fn open_secret(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let parse = |bytes: &[u8]| keys::secret_of_file(bytes).map_err(FileFault::Key);
        Watched::open(path.as_ref(), parse).map(|file| Self::new(Source::File(file)))
    }

    /// With public keys: the content of a file for [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// When there is no key that can be used.
    pub fn with_keys(keys: &[u8]) -> Result<Self, KeyFault> {
        keys::public(keys).map(|keys| Self::new(Source::Fixed(keys)))
    }

    /// With a secret, for HS256.
    ///
    /// # Errors
    ///
    /// When it is shorter than 32 bytes, or is a key in PEM.
    pub fn with_secret(secret: &[u8]) -> Result<Self, KeyFault> {
        keys::secret(secret).map(|keys| Self::new(Source::Fixed(keys)))
    }

    /// Who we are to the issuer: a token must name this in `aud`. Called again, one of several.
    #[must_use]
    pub fn audience(mut self, audience: &str) -> Self {
        self.policy.audiences.push(audience.to_owned());
        self
    }

    /// Who issues the tokens: their `iss`, byte by byte. Without it, whoever holds a key does.
    #[must_use]
    pub fn issuer(mut self, issuer: &str) -> Self {
        self.policy.issuer = Some(issuer.to_owned());
        self
    }

    /// How far the issuer's clock may be from ours. Default: a minute, as clocks that are kept at
    /// all are closer than that.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.policy.leeway = leeway;
        self
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            policy: Policy::default(),
        }
    }
}

impl Verify for Jwt {
    fn verify(&mut self, token: &str) -> Result<Identity, Denial> {
        let keys = match &mut self.source {
            Source::Fixed(keys) => keys,
            Source::File(watched) => watched.current(),
        };
        verify(token, keys, &self.policy, SystemTime::now())
    }
}

/// RFC 7515 §5.2 and RFC 7519 §7.2.
fn verify(token: &str, keys: &Keys, policy: &Policy, now: SystemTime) -> Result<Identity, Denial> {
    let (message, signature) = token.rsplit_once('.').ok_or(Denial::JwtMalformed)?;
    let (header, payload) = message.split_once('.').ok_or(Denial::JwtMalformed)?;
    let (_, header) = decode(header)?;
    // RFC 7515 §4.1.11: whatever is named there must be understood, and we have no extension.
    if header.contains_key("crit") {
        return Err(Denial::JwtCritical);
    }
    let algorithm = header.get("alg").and_then(Value::as_str);
    let algorithm = algorithm.ok_or(Denial::JwtMalformed)?;
    let algorithm = Algorithm::named(algorithm).ok_or(Denial::JwtAlgorithm)?;
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.as_str()),
        Some(_) => return Err(Denial::JwtMalformed),
    };
    let key = keys.select(algorithm, kid)?;
    if !key.signed(message.as_bytes(), signature) {
        return Err(Denial::JwtSignature);
    }
    let (json, claims) = decode(payload)?;
    policy.judge(&json, &claims, now)
}

/// Reads a part of a token: base64url without padding, and an object of JSON within.
fn decode(part: &str) -> Result<(String, Object), Denial> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok();
    let json = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let json = json.ok_or(Denial::JwtMalformed)?;
    let object = serde_json::from_str(&json).map_err(|_| Denial::JwtMalformed)?;
    Ok((json, object))
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut jwt = f.debug_struct("Jwt");
        match &self.source {
            Source::Fixed(keys) => jwt.field("keys", keys),
            Source::File(watched) => jwt.field("file", &watched.path()),
        };
        jwt.field("policy", &self.policy).finish()
    }
}

#[cfg(test)]
mod tests;
