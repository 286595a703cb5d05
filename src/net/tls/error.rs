//! What was wrong with TLS, in words: a certificate, an alert, a stream cut short ([RFC 8446 §6]).
//!
//! [RFC 8446 §6]: https://www.rfc-editor.org/rfc/rfc8446#section-6

use std::error::Error;
use std::fmt;
use std::io;

use rustls::pki_types::UnixTime;
use rustls::{CertificateError, InvalidMessage, OtherError, PeerIncompatible};

/// Why a TLS connection failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TlsError {
    /// The other end gave up, and said why.
    Alert(Alert),
    /// The other end's certificate is not one to trust; it was told so.
    Certificate(CertificateError),
    /// The other end has to have a certificate, and has none.
    NoCertificate,
    /// What the other end speaks is not TLS.
    NotTls,
    /// The two ends have no version of TLS, or nothing else that they must agree on, in common.
    Incompatible(PeerIncompatible),
    /// The other end closed the connection during the handshake, without an alert.
    EndOfFile,
    /// The stream ended without the alert that announces its end (§6.1): what is missing may have
    /// been cut off by anyone on the way.
    Truncated,
    /// As much was sent as the keys allow, and TLS 1.2 has no way to agree on new ones.
    Exhausted,
    /// What a server's certificate would have to be for is neither a DNS name nor an address.
    Name,
    /// The other end broke the protocol in some other way.
    Protocol(rustls::Error),
    /// Something that cannot be, was.
    Internal,
}

/// An alert that ended a connection (RFC 8446 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alert(u8);

impl Alert {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its name in the [registry], if it is one of those.
    ///
    /// [registry]: https://www.iana.org/assignments/tls-parameters#tls-parameters-6
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            22 => "record_overflow",
            40 => "handshake_failure",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            109 => "missing_extension",
            110 => "unsupported_extension",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            _ => return None,
        })
    }

    /// What it most often means, where the name does not say.
    fn meaning(self) -> Option<&'static str> {
        Some(match self.0 {
            40 => "nothing in common, or a certificate is asked for",
            42..=46 => "it does not accept our certificate",
            48 => "it does not know who signed our certificate",
            70 => "it does not speak TLS 1.2 or 1.3",
            112 => "it has no certificate for this name",
            116 => "it asks for a client certificate",
            120 => "it does not speak HTTP/1.1 there",
            _ => return None,
        })
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "alert {}", self.0),
        }
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert(Alert(alert.into())),
            rustls::Error::InvalidCertificate(error) => Self::Certificate(error),
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            rustls::Error::PeerIncompatible(error) => Self::Incompatible(error),
            error => Self::Protocol(error),
        }
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alert(alert) => {
                write!(f, "the peer ended TLS with {alert}")?;
                alert
                    .meaning()
                    .map_or(Ok(()), |meaning| write!(f, ": {meaning}"))
            }
            Self::Certificate(error) => Certificate(error).fmt(f),
            Self::NoCertificate => f.write_str("the peer has no certificate, and must have one"),
            Self::NotTls => f.write_str("the peer does not speak TLS"),
            Self::Incompatible(error) => {
                write!(f, "TLS found nothing that both ends can: {error:?}")
            }
            Self::EndOfFile => f.write_str("the peer closed during the TLS handshake"),
            Self::Truncated => f.write_str(
                "the TLS stream was cut off: it ended without a Close frame and without close_notify",
            ),
            Self::Exhausted => f.write_str("the TLS keys are used up"),
            Self::Name => f.write_str("no certificate can be for this host name"),
            Self::Protocol(error) => write!(f, "the peer broke TLS: {error}"),
            Self::Internal => f.write_str("TLS is in a state that cannot be"),
        }
    }
}

impl Error for TlsError {}

/// What is wrong with a certificate.
struct Certificate<'a>(&'a CertificateError);

impl fmt::Display for Certificate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CertificateError::ExpiredContext { not_after, .. } => {
                write!(f, "the peer's certificate expired on {}", Date(*not_after))
            }
            CertificateError::Expired => f.write_str("the peer's certificate has expired"),
            CertificateError::NotValidYetContext { not_before, .. } => write!(
                f,
                "the peer's certificate is not valid before {}",
                Date(*not_before)
            ),
            CertificateError::NotValidYet => f.write_str("the peer's certificate is not valid yet"),
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => {
                let names: Vec<_> = presented.iter().map(|name| bare_name(name)).collect();
                let names = match names.is_empty() {
                    true => "no name at all".to_owned(),
                    false => names.join(", "),
                };
                write!(
                    f,
                    "the peer's certificate is for {names}, and not for {}",
                    expected.to_str()
                )
            }
            CertificateError::NotValidForName => {
                f.write_str("the peer's certificate is for another name")
            }
            CertificateError::UnknownIssuer => f.write_str(
                "the peer's certificate is signed by itself or by an authority that is not trusted",
            ),
            CertificateError::Revoked => f.write_str("the peer's certificate was revoked"),
            CertificateError::BadSignature => {
                f.write_str("the signature on the peer's certificate is wrong")
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                f.write_str("the peer's certificate is not meant for this purpose")
            }
            // The certificate checks' own words, which are an identifier.
            CertificateError::Other(OtherError(error))
                if error.to_string() == "CaUsedAsEndEntity" =>
            {
                f.write_str(
                    "the peer's certificate is an authority's (CA:TRUE), which none may show as \
                     its own: make one with basicConstraints=critical,CA:FALSE",
                )
            }
            CertificateError::Other(OtherError(error)) => {
                write!(f, "the peer's certificate cannot be used: {error}")
            }
            error => write!(f, "the peer's certificate cannot be used: {error:?}"),
        }
    }
}

/// The name in `DnsName("a.example")` or `IpAddress(127.0.0.1)`, as rustls lists them.
fn bare_name(name: &str) -> &str {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// A day and a time, in the calendar that is in use.
struct Date(UnixTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (mut day, second) = (seconds / 86_400, seconds % 86_400);
        let mut year = 1970;
        while day >= days_of(year) {
            day -= days_of(year);
            year += 1;
        }
        let february = if days_of(year) == 366 { 29 } else { 28 };
        let mut month = 1;
        for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if day < days {
                break;
            }
            day -= days;
            month += 1;
        }
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(
            f,
            "{year}-{month:02}-{:02} at {hour:02}:{minute:02} UTC",
            day + 1
        )
    }
}

fn days_of(year: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if is_leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::CertificateError;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::{Alert, Date, TlsError};

    #[test]
    fn dates() {
        for (seconds, date) in [
            (0, "1970-01-01 at 00:00 UTC"),
            (951_782_399, "2000-02-28 at 23:59 UTC"),
            (951_782_400, "2000-02-29 at 00:00 UTC"),
            (1_735_689_599, "2024-12-31 at 23:59 UTC"),
            (4_107_542_400, "2100-03-01 at 00:00 UTC"),
        ] {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            assert_eq!(Date(time).to_string(), date);
        }
    }

    #[test]
    fn a_name_that_does_not_match_says_which_would() {
        let error = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("c.example").unwrap(),
            presented: vec![
                "DnsName(\"a.example\")".to_owned(),
                "IpAddress(127.0.0.1)".to_owned(),
            ],
        };
        assert_eq!(
            TlsError::Certificate(error).to_string(),
            "the peer's certificate is for a.example, 127.0.0.1, and not for c.example"
        );
    }

    #[test]
    fn alerts_have_their_names() {
        let alert = |number| TlsError::Alert(Alert(number)).to_string();
        assert_eq!(
            alert(116),
            "the peer ended TLS with certificate_required (116): it asks for a client certificate"
        );
        assert_eq!(alert(200), "the peer ended TLS with alert 200");
    }
}
