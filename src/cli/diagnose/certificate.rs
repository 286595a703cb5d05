//! What a certificate says of itself ([RFC 5280 §4]), whether or not it is to be believed.
//!
//! [RFC 5280 §4]: https://www.rfc-editor.org/rfc/rfc5280#section-4

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

/// A certificate in words.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) subject: String,
    pub(super) issuer: String,
    /// The hosts it is for.
    pub(super) names: Vec<String>,
    /// Seconds since 1970.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    pub(super) is_self_issued: bool,
    pub(super) is_ca: bool,
    key: String,
}

impl Certificate {
    /// Reads one; `None` if that cannot be done.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        Some(Self {
            subject: name(certificate.subject()),
            issuer: name(certificate.issuer()),
            names: names(&certificate),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            is_self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            is_ca: certificate.is_ca(),
            key: key(&certificate),
        })
    }

    /// In a line.
    pub(super) fn line(&self) -> String {
        let mut hosts = match self.names.len() {
            0 => String::new(),
            1..=NAMES_MAX => format!(", for {}", self.names.join(", ")),
            n => format!(
                ", for {} and {} more",
                self.names[..NAMES_MAX].join(", "),
                n - NAMES_MAX
            ),
        };
        if self.is_ca {
            hosts.push_str(", an authority");
        }
        let issuer = match self.is_self_issued {
            true => "itself",
            false => &self.issuer,
        };
        format!(
            "{}{hosts}; from {issuer}; valid {} to {}; {}",
            self.subject,
            date(self.not_before),
            date(self.not_after),
            self.key
        )
    }

    /// Whether it names this host (RFC 6125 §6.4.3: a star stands for one label, the first).
    pub(super) fn is_for(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(name) => parent.is_some_and(|parent| parent.eq_ignore_ascii_case(name)),
            None => name.eq_ignore_ascii_case(host),
        })
    }

    /// The hosts it is for, in words.
    pub(super) fn hosts(&self) -> String {
        match self.names.is_empty() {
            true => "no host at all (it has no subject alternative name)".to_owned(),
            false => self.names.join(", "),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "subject": self.subject,
            "issuer": self.issuer,
            "names": self.names,
            "not_before": date(self.not_before),
            "not_after": date(self.not_after),
            "self_issued": self.is_self_issued,
            "authority": self.is_ca,
            "key": self.key,
        })
    }
}

/// The hosts that a line names at most.
const NAMES_MAX: usize = 6;

/// The day, as in 2026-11-24.
pub(super) fn date(timestamp: i64) -> String {
    match ASN1Time::from_timestamp(timestamp) {
        Ok(time) => time.to_datetime().date().to_string(),
        Err(_) => "an impossible time".to_owned(),
    }
}

/// The common name, or all of it if there is none.
fn name(name: &X509Name<'_>) -> String {
    let mut common = name.iter_common_name();
    match common.next().and_then(|name| name.as_str().ok()) {
        Some(common) => common.to_owned(),
        None if name.iter().next().is_none() => "(without a name)".to_owned(),
        None => name.to_string(),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternatives.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
        _ => None,
    }
}

fn key(certificate: &X509Certificate<'_>) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {} bits", key.key_size()),
        Ok(PublicKey::EC(key)) => format!("EC {} bits", key.key_size()),
        _ => "another kind of key".to_owned(),
    }
}
