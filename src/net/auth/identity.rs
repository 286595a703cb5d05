//! Who a connection belongs to, as far as a check knows.

use std::time::SystemTime;

/// Who was let in: for the program to keep beside the connection, and for the log.
///
/// Whoever passes without a name, as by [`Origins`](crate::net::auth::Origins) alone, is the
/// default: nobody in particular.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    subject: Option<Box<str>>,
    claims: Option<Box<str>>,
    expires: Option<SystemTime>,
}

impl Identity {
    /// Who goes by this name. It is logged.
    #[must_use]
    pub fn new(subject: &str) -> Self {
        Self {
            subject: Some(subject.into()),
            ..Self::default()
        }
    }

    /// As this, with all that was said of it, and until when that holds.
    #[must_use]
    pub fn with_claims(mut self, json: &str, expires: Option<SystemTime>) -> Self {
        self.claims = Some(json.into());
        self.expires = expires;
        self
    }

    /// The name: of a token in a file, the `sub` of a JWT, or what a callback said.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The claims of a JWT: an object of JSON, as it was signed.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    /// When a JWT ends. The connection does not end with it: a program that wants that closes it.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }
}
