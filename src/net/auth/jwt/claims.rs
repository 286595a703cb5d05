//! What a JWT says, and whether it is for us and in force ([RFC 7519 §4.1]).
//!
//! A claim of a wrong type denies: to take it for a missing one would be to obey whoever wrote
//! `"nbf": "tomorrow"`.
//!
//! [RFC 7519 §4.1]: https://www.rfc-editor.org/rfc/rfc7519#section-4.1

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::net::auth::denial::Denial;
use crate::net::auth::identity::Identity;
use crate::net::auth::jwt::Object;

/// What claims must say.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// One of these, where there is an `aud`; and where there are any of these, there must be.
    pub(super) audiences: Vec<String>,
    pub(super) issuer: Option<String>,
    pub(super) leeway: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            audiences: Vec::new(),
            issuer: None,
            leeway: Duration::from_secs(60),
        }
    }
}

impl Policy {
    /// Judges the claims, which stand in `json` too, of a token whose signature is right.
    pub(super) fn judge(
        &self,
        json: &str,
        claims: &Object,
        now: SystemTime,
    ) -> Result<Identity, Denial> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (now, leeway) = (now.as_secs_f64(), self.leeway.as_secs_f64());
        // §4.1.4: on or after its time a token must not be accepted. One without would be good
        // for ever, whoever has got hold of it.
        let expires = date(claims, "exp")?.ok_or(Denial::JwtClaim { name: "exp" })?;
        if now >= expires + leeway {
            return Err(Denial::JwtExpired);
        }
        // §4.1.5
        if date(claims, "nbf")?.is_some_and(|from| now + leeway < from) {
            return Err(Denial::JwtNotYetValid);
        }
        let issuer = string(claims, "iss")?;
        if self.issuer.is_some() && issuer != self.issuer.as_deref() {
            return Err(Denial::JwtIssuer);
        }
        self.judge_audience(claims.get("aud"))?;
        let identity = match string(claims, "sub")? {
            Some(subject) => Identity::new(subject),
            None => Identity::default(),
        };
        Ok(identity.with_claims(json, system_time(expires)))
    }

    /// §4.1.3: one of those named must be us, and who is nobody's audience cannot be.
    fn judge_audience(&self, audience: Option<&Value>) -> Result<(), Denial> {
        let is_ours = |value: &Value| {
            let name = value.as_str();
            self.audiences
                .iter()
                .any(|ours| Some(ours.as_str()) == name)
        };
        let is_for_us = match audience {
            None => self.audiences.is_empty(),
            Some(name @ Value::String(_)) => is_ours(name),
            Some(Value::Array(names)) if names.iter().all(Value::is_string) => {
                names.iter().any(is_ours)
            }
            Some(_) => return Err(Denial::JwtClaim { name: "aud" }),
        };
        match is_for_us {
            true => Ok(()),
            false => Err(Denial::JwtAudience),
        }
    }
}

/// A NumericDate: seconds, perhaps with a fraction (§2).
fn date(claims: &Object, name: &'static str) -> Result<Option<f64>, Denial> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(Denial::JwtClaim { name }),
        },
    }
}

fn string<'a>(claims: &'a Object, name: &'static str) -> Result<Option<&'a str>, Denial> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Denial::JwtClaim { name }),
    }
}

/// A date as a time, unless that is beyond the clock.
fn system_time(seconds: f64) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    UNIX_EPOCH.checked_add(since)
}
