//! Why a request is not let in, and what its client is told ([RFC 6750 §3], [RFC 9110 §11.6.1]).
//!
//! A denial holds nothing of the request: it can be logged, shown and sent.
//!
//! [RFC 6750 §3]: https://www.rfc-editor.org/rfc/rfc6750#section-3
//! [RFC 9110 §11.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1

use std::error::Error;
use std::fmt;

use crate::proto::{Refusal, Status};

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// No Origin field, where only certain pages are let in: 403.
    OriginMissing,
    /// A page that is not let in: 403.
    OriginNotAllowed,
    /// No token where one is looked for: 401.
    TokenMissing,
    /// An Authorization field of another scheme than Bearer, or no token behind it: 400.
    TokenMalformed,
    /// More than one token, or the same one in two places (RFC 6750 §2): 400.
    TokenAmbiguous,
    /// A token that is not known: 401.
    TokenUnknown,
    /// No cookie of the session's name: 403.
    CookieMissing,
    /// Two cookies of the session's name that differ: one of them was planted: 403.
    CookieAmbiguous,
    /// A cookie that belongs to no session: 403.
    SessionUnknown,
    /// A token that is not three parts of base64url, the first two of them JSON: 401.
    JwtMalformed,
    /// A JWT that needs a feature of the format which we do not have (RFC 7515 §4.1.11): 401.
    JwtCritical,
    /// A JWT signed by an algorithm that none of the keys is for, such as `none`: 401.
    JwtAlgorithm,
    /// A JWT signed with a key that we do not have, or that it does not name: 401.
    JwtKeyUnknown,
    /// A JWT that was not signed with the key that it names: 401.
    JwtSignature,
    /// A claim of the JWT is not of its type (RFC 7519 §4.1), or is missing where it must not be.
    JwtClaim {
        /// The claim's name.
        name: &'static str,
    },
    /// A JWT that has expired: 401.
    JwtExpired,
    /// A JWT that is not valid yet: 401.
    JwtNotYetValid,
    /// A JWT for another audience than ours: 401.
    JwtAudience,
    /// A JWT of another issuer than the one trusted: 401.
    JwtIssuer,
    /// A program's own reason: 403.
    Forbidden(&'static str),
    /// The check could not be made, as when a database does not answer: 503.
    Unavailable(&'static str),
}

impl Denial {
    /// The status that the client is answered with.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::TokenMalformed | Self::TokenAmbiguous => Status::BAD_REQUEST,
            Self::OriginMissing
            | Self::OriginNotAllowed
            // RFC 9110 §15.5.2: a 401 names a scheme to authenticate by, and cookies are none.
            | Self::CookieMissing
            | Self::CookieAmbiguous
            | Self::SessionUnknown
            | Self::Forbidden(_) => Status::FORBIDDEN,
            Self::Unavailable(_) => Status::SERVICE_UNAVAILABLE,
            Self::TokenMissing
            | Self::TokenUnknown
            | Self::JwtMalformed
            | Self::JwtCritical
            | Self::JwtAlgorithm
            | Self::JwtKeyUnknown
            | Self::JwtSignature
            | Self::JwtClaim { .. }
            | Self::JwtExpired
            | Self::JwtNotYetValid
            | Self::JwtAudience
            | Self::JwtIssuer => Status::UNAUTHORIZED,
        }
    }

    /// The answer that says so.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        let text = match self {
            // A program's own words are for its log.
            Self::Forbidden(_) => "not allowed\n".to_owned(),
            Self::Unavailable(_) => "the request cannot be decided upon now\n".to_owned(),
            _ => format!("{self}\n"),
        };
        let mut refusal = Refusal::new(self.status()).with_text(&text);
        if let Some(challenge) = self.challenge() {
            refusal
                .headers
                .push("WWW-Authenticate", challenge)
                .expect("a legal field that is not the handshake's own");
        }
        refusal
    }

    /// What the field WWW-Authenticate says.
    fn challenge(self) -> Option<String> {
        // RFC 6750 §3: a challenge has a parameter at least, so it names a realm.
        let realm = "Bearer realm=\"websocket\"";
        // RFC 6750 §3.1: who sent no token at all is told no error.
        if self == Self::TokenMissing {
            return Some(realm.to_owned());
        }
        let error = match self.status() {
            Status::UNAUTHORIZED => "invalid_token",
            Status::BAD_REQUEST => "invalid_request",
            _ => return None,
        };
        // Our own words have neither quotes nor backslashes, so they are a quoted-string.
        Some(format!(
            "{realm}, error=\"{error}\", error_description=\"{self}\""
        ))
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        denial.refusal()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OriginMissing => "only pages of certain origins are allowed, and none is named",
            Self::OriginNotAllowed => "pages of this origin are not allowed",
            Self::TokenMissing => "a token is needed",
            Self::TokenMalformed => "the credentials are not a bearer token",
            Self::TokenAmbiguous => "there is more than one token",
            Self::TokenUnknown => "the token is not known",
            Self::CookieMissing => "the session cookie is missing",
            Self::CookieAmbiguous => "there are two different session cookies",
            Self::SessionUnknown => "the session is not known",
            Self::JwtMalformed => "the token is not a JWT",
            Self::JwtCritical => "the token needs an extension that is not understood",
            Self::JwtAlgorithm => "the token is signed by an algorithm that is not accepted",
            Self::JwtKeyUnknown => "the token is signed with a key that is not known",
            Self::JwtSignature => "the signature of the token is wrong",
            Self::JwtClaim { name } => {
                return write!(
                    f,
                    "the claim {name} of the token is missing or of a wrong type"
                );
            }
            Self::JwtExpired => "the token has expired",
            Self::JwtNotYetValid => "the token is not valid yet",
            Self::JwtAudience => "the token is for another audience",
            Self::JwtIssuer => "the token is of another issuer",
            Self::Forbidden(why) | Self::Unavailable(why) => why,
        })
    }
}

impl Error for Denial {}

#[cfg(test)]
mod tests {
    use super::Denial;

    /// The status, and the challenge if there is one.
    fn answer(denial: Denial) -> (u16, Option<String>) {
        let refusal = denial.refusal();
        let field = refusal
            .headers
            .iter()
            .find(|(name, _)| *name == "WWW-Authenticate");
        let challenge = field.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap());
        (refusal.status.number(), challenge)
    }

    #[test]
    fn a_challenge_says_what_rfc_6750_section_3_1_asks_for() {
        let with_error = |error, text| {
            Some(format!(
                "Bearer realm=\"websocket\", error=\"{error}\", error_description=\"{text}\""
            ))
        };
        let cases = [
            (
                Denial::TokenMissing,
                401,
                Some("Bearer realm=\"websocket\"".to_owned()),
            ),
            (
                Denial::TokenAmbiguous,
                400,
                with_error("invalid_request", "there is more than one token"),
            ),
            (
                Denial::JwtExpired,
                401,
                with_error("invalid_token", "the token has expired"),
            ),
            (
                Denial::JwtClaim { name: "exp" },
                401,
                with_error(
                    "invalid_token",
                    "the claim exp of the token is missing or of a wrong type",
                ),
            ),
            (Denial::OriginNotAllowed, 403, None),
            (Denial::SessionUnknown, 403, None),
            (Denial::Unavailable("the database is down"), 503, None),
        ];
        for (denial, status, challenge) in cases {
            assert_eq!(answer(denial), (status, challenge), "{denial:?}");
        }
    }

    #[test]
    fn a_programs_own_words_stay_in_its_log() {
        let refusal = Denial::Unavailable("db-7 is down").refusal();
        assert!(!String::from_utf8(refusal.body).unwrap().contains("db-7"));
    }
}
