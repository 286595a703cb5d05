//! Who `openline serve` lets in: its arguments, and the guard that they make.
//!
//! Secrets stand in files, never among the arguments, which every user of the machine can read.

use std::path::PathBuf;
use std::str::FromStr;

use openline::net::auth::{Bearer, FileError, Guard, Jwt, KnownTokens, Origin, Origins, TokenFrom};

use crate::cli::values::Time;

/// The arguments about who is let in.
#[derive(Debug, clap::Args)]
pub(crate) struct Admission {
    /// Let in only pages of this origin, scheme://host[:port] (repeatable); requests without one
    /// are refused then. A * is one label: https://*.example.com
    #[arg(long, value_name = "ORIGIN", help_heading = "Handshake")]
    origin: Vec<Origin>,

    /// Let in only clients with a token that this file knows: bearer:FILE, a list of names and
    /// tokens; jwt:FILE, JWTs signed with a public key in PEM or in a JWKS document;
    /// jwt-secret:FILE, JWTs signed with a secret. Files are read again when they change
    #[arg(long, value_name = "KIND:FILE", help_heading = "Authentication")]
    auth: Option<Source>,

    /// Where the token is: header (Authorization: Bearer), subprotocol (bearer.TOKEN, the one
    /// place for scripts in browsers), query:NAME (ends up in logs), cookie:NAME (needs --origin)
    /// (repeatable) [default: header]
    #[arg(
        long,
        value_name = "PLACE",
        requires = "auth",
        help_heading = "Authentication"
    )]
    auth_from: Vec<Place>,

    /// Let in only JWTs for this audience, in their `aud` (repeatable: any of them)
    #[arg(
        long,
        value_name = "NAME",
        requires = "auth",
        help_heading = "Authentication"
    )]
    jwt_audience: Vec<String>,

    /// Let in only JWTs of this issuer, their `iss`
    #[arg(
        long,
        value_name = "NAME",
        requires = "auth",
        help_heading = "Authentication"
    )]
    jwt_issuer: Option<String>,

    /// How far the clock of who issues JWTs may be from ours
    #[arg(
        long,
        value_name = "TIME",
        default_value = "1m",
        requires = "auth",
        help_heading = "Authentication"
    )]
    jwt_leeway: Time,
}

/// What knows good tokens.
#[derive(Clone, Debug)]
enum Source {
    Bearer(PathBuf),
    Jwt(PathBuf),
    JwtSecret(PathBuf),
}

/// Where a token may be.
#[derive(Clone, Debug)]
enum Place {
    Header,
    Subprotocol,
    Query(String),
    Cookie(String),
}

/// Why there is no guard.
#[derive(Debug)]
pub(crate) enum AuthError {
    /// The arguments do not fit each other.
    Arguments(&'static str),
    /// The file cannot be used.
    File(FileError),
}

impl Admission {
    /// What the arguments ask for; each guard reads its files itself.
    pub(crate) fn guard(&self) -> Result<Guard, AuthError> {
        let mut guard = Guard::new();
        if !self.origin.is_empty() {
            guard = guard.and(self.origins());
        }
        let is_jwt = matches!(self.auth, Some(Source::Jwt(_) | Source::JwtSecret(_)));
        if !is_jwt && (self.jwt_issuer.is_some() || !self.jwt_audience.is_empty()) {
            return Err(AuthError::Arguments(
                "--jwt-audience and --jwt-issuer are for --auth jwt:FILE and jwt-secret:FILE",
            ));
        }
        let from = self.token_from()?;
        Ok(match &self.auth {
            None => guard,
            Some(Source::Bearer(file)) => {
                guard.and(Bearer::new(KnownTokens::open(file)?).from(from))
            }
            Some(Source::Jwt(file)) => {
                guard.and(Bearer::new(self.policy(Jwt::open(file)?)).from(from))
            }
            Some(Source::JwtSecret(file)) => {
                guard.and(Bearer::new(self.policy(Jwt::open_secret(file)?)).from(from))
            }
        })
    }

    fn policy(&self, jwt: Jwt) -> Jwt {
        let jwt = self
            .jwt_audience
            .iter()
            .fold(jwt, |jwt, name| jwt.audience(name));
        let jwt = self
            .jwt_issuer
            .iter()
            .fold(jwt, |jwt, name| jwt.issuer(name));
        jwt.leeway(self.jwt_leeway.timer().unwrap_or_default())
    }

    fn token_from(&self) -> Result<TokenFrom, AuthError> {
        let mut places = Vec::new();
        for place in &self.auth_from {
            places.push(match place {
                Place::Header => TokenFrom::header(),
                Place::Subprotocol => TokenFrom::subprotocol(),
                Place::Query(name) => TokenFrom::query(name),
                Place::Cookie(_) if self.origin.is_empty() => {
                    return Err(AuthError::Arguments(
                        "--auth-from cookie:NAME needs --origin: browsers send cookies from \
                         whatever page opens the connection",
                    ));
                }
                Place::Cookie(name) => TokenFrom::cookie(name, self.origins()),
            });
        }
        let together = places.into_iter().reduce(TokenFrom::or);
        Ok(together.unwrap_or_else(TokenFrom::header))
    }

    fn origins(&self) -> Origins {
        self.origin.iter().cloned().collect()
    }
}

impl AuthError {
    /// What to do about it.
    pub(crate) fn tip(&self) -> Option<&'static str> {
        use openline::net::auth::{FileFault, KeyFault};
        match self {
            Self::Arguments(_) => None,
            Self::File(error) => match error.fault {
                FileFault::Io(_) => Some(
                    "a list of tokens has lines such as 'alice TOKEN'; \
                     `openssl rand -hex 16` makes a token",
                ),
                FileFault::Key(KeyFault::Form) => {
                    Some("for a secret that signs and verifies, say jwt-secret:FILE")
                }
                FileFault::Key(KeyFault::PemAsSecret) => Some("for a public key, say jwt:FILE"),
                _ => None,
            },
        }
    }
}

impl From<FileError> for AuthError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl std::fmt::Display for AuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Arguments(why) => f.write_str(why),
            Self::File(error) => write!(f, "--auth: {error}"),
        }
    }
}

impl FromStr for Source {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, file) = text.split_once(':').unwrap_or((text, ""));
        let kind: fn(PathBuf) -> Self = match kind {
            "bearer" => Self::Bearer,
            "jwt" => Self::Jwt,
            "jwt-secret" => Self::JwtSecret,
            _ => return Err("it is bearer:FILE, jwt:FILE or jwt-secret:FILE"),
        };
        match file {
            "" => Err("the name of the file is missing behind the colon"),
            _ => Ok(kind(file.into())),
        }
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic());
        match text.split_once(':') {
            None if text == "header" => Ok(Self::Header),
            None if text == "subprotocol" => Ok(Self::Subprotocol),
            Some(("query", name)) if is_name(name) => Ok(Self::Query(name.to_owned())),
            Some(("cookie", name)) if is_name(name) => Ok(Self::Cookie(name.to_owned())),
            _ => Err("it is header, subprotocol, query:NAME or cookie:NAME"),
        }
    }
}
