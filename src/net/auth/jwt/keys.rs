//! The keys that JWTs are held against ([RFC 7517], [RFC 7518 §3]).
//!
//! A key is bound to one algorithm when it is read, by what it is and by what its document says.
//!
//! [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517
//! [RFC 7518 §3]: https://www.rfc-editor.org/rfc/rfc7518#section-3

use std::error::Error;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm as Signature, DecodingKey, crypto};
use serde_json::Value;

use crate::net::auth::denial::Denial;
use crate::net::auth::jwt::Object;

/// How a token is signed: what we have keys for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
}

/// A key and what it is for.
#[derive(Clone)]
pub(super) struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The keys of a file.
#[derive(Clone)]
pub(super) struct Keys(Vec<Key>);

/// Why there is no key to be used; nothing of the key is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFault {
    /// It is neither PEM nor JSON.
    Form,
    /// A private key: whoever verifies needs the public one, and had better have no other.
    Private,
    /// More than one key in PEM.
    Several,
    /// The PEM holds something other than an RSA key or a key on the curve P-256.
    Kind,
    /// The JSON is not an object with an array `keys` (RFC 7517 §5).
    Document,
    /// The key at this place of the document, from 0, lacks a member or has one that is wrong.
    Member {
        /// Which key.
        index: usize,
        /// Which member.
        name: &'static str,
    },
    /// Two keys of the document have one `kid` and one algorithm.
    Repeated {
        /// The second of them, from 0.
        index: usize,
    },
    /// The document has no key for HS256, RS256 or ES256 signatures.
    NoKey,
    /// An RSA key below 2,048 bits (RFC 7518 §3.3).
    Weak,
    /// A secret below 32 bytes (RFC 7518 §3.2).
    ShortSecret,
    /// A key in PEM where a secret is asked for. Public keys are no secrets: with one as such,
    /// anyone could sign.
    PemAsSecret,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Hs256, Self::Rs256, Self::Es256];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|other| other.name() == name)
    }

    /// As it stands in the header of a token (RFC 7518 §3.1).
    const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    const fn signature(self) -> Signature {
        match self {
            Self::Hs256 => Signature::HS256,
            Self::Rs256 => Signature::RS256,
            Self::Es256 => Signature::ES256,
        }
    }
}

impl Key {
    /// Whether `signature`, in base64url, is this key's over `message`.
    pub(super) fn signed(&self, message: &[u8], signature: &str) -> bool {
        crypto::verify(signature, message, &self.key, self.algorithm.signature()).unwrap_or(false)
    }
}

impl Keys {
    /// The key that a token names, or the only one that it can mean.
    pub(super) fn select(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<&Key, Denial> {
        let of_algorithm = || self.0.iter().filter(|key| key.algorithm == algorithm);
        if of_algorithm().next().is_none() {
            return Err(Denial::JwtAlgorithm);
        }
        let mut candidates = of_algorithm().filter(|key| match (kid, &key.kid) {
            (Some(theirs), Some(ours)) => theirs == ours,
            // A key without a name, as in PEM, is meant by any.
            (Some(_) | None, None) | (None, Some(_)) => true,
        });
        match (candidates.next(), candidates.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(Denial::JwtKeyUnknown),
        }
    }
}

/// Reads a file of public keys: PEM, or JWKS.
pub(super) fn public(bytes: &[u8]) -> Result<Keys, KeyFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| KeyFault::Form)?;
    match text.trim_start() {
        json if json.starts_with('{') => document(json),
        pem if pem.contains(BEGIN) => Ok(Keys(vec![self::pem(pem)?])),
        _ => Err(KeyFault::Form),
    }
}

/// Reads a file that holds a secret.
pub(super) fn secret_of_file(bytes: &[u8]) -> Result<Keys, KeyFault> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    secret(line.strip_suffix(b"\r").unwrap_or(line))
}

pub(super) fn secret(bytes: &[u8]) -> Result<Keys, KeyFault> {
    if bytes
        .windows(BEGIN.len())
        .any(|part| part == BEGIN.as_bytes())
    {
        return Err(KeyFault::PemAsSecret);
    }
    if bytes.len() < SECRET_SIZE_MIN {
        return Err(KeyFault::ShortSecret);
    }
    Ok(Keys(vec![Key {
        kid: None,
        algorithm: Algorithm::Hs256,
        key: DecodingKey::from_secret(bytes),
    }]))
}

const BEGIN: &str = "-----BEGIN ";
/// RFC 7518 §3.2: as long as the hash at least.
const SECRET_SIZE_MIN: usize = 32;
/// RFC 7518 §3.3: the bytes of a modulus at least.
const MODULUS_SIZE_MIN: usize = 2048 / 8;

fn pem(text: &str) -> Result<Key, KeyFault> {
    let mut blocks = text.split(BEGIN).skip(1);
    let block = blocks.next().ok_or(KeyFault::Form)?;
    if blocks.next().is_some() {
        return Err(KeyFault::Several);
    }
    let (label, body) = block.split_once("-----").ok_or(KeyFault::Form)?;
    if label.ends_with("PRIVATE KEY") {
        return Err(KeyFault::Private);
    }
    let body: String = body
        .chars()
        .take_while(|c| *c != '-')
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    let der = STANDARD.decode(body).map_err(|_| KeyFault::Form)?;
    let has = |oid: &[u8]| der.windows(oid.len()).any(|part| part == oid);
    let (algorithm, key) = match label {
        "PUBLIC KEY" if has(OID_EC) => match has(OID_P256) {
            true => (Algorithm::Es256, DecodingKey::from_ec_pem(text.as_bytes())),
            false => return Err(KeyFault::Kind),
        },
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            (Algorithm::Rs256, DecodingKey::from_rsa_pem(text.as_bytes()))
        }
        _ => return Err(KeyFault::Kind),
    };
    let key = key.map_err(|_| KeyFault::Kind)?;
    // What stands around the modulus is far shorter than the step to the next smaller key.
    if algorithm == Algorithm::Rs256 && der.len() < MODULUS_SIZE_MIN {
        return Err(KeyFault::Weak);
    }
    Ok(Key {
        kid: None,
        algorithm,
        key,
    })
}

/// RFC 5480 §2.1.1: id-ecPublicKey, and the curve that is also called secp256r1, in DER.
const OID_EC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
const OID_P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

fn document(json: &str) -> Result<Keys, KeyFault> {
    let document: Object = serde_json::from_str(json).map_err(|_| KeyFault::Document)?;
    let list = document.get("keys").and_then(Value::as_array);
    let mut keys: Vec<Key> = Vec::new();
    for (index, jwk) in list.ok_or(KeyFault::Document)?.iter().enumerate() {
        let jwk = jwk.as_object().ok_or(KeyFault::Document)?;
        let Some(key) = Jwk { index, jwk }.read()? else {
            continue;
        };
        // RFC 7517 §4.5: a name is for telling keys apart.
        let is_same = |other: &Key| other.algorithm == key.algorithm && other.kid == key.kid;
        if key.kid.is_some() && keys.iter().any(is_same) {
            return Err(KeyFault::Repeated { index });
        }
        keys.push(key);
    }
    match keys.is_empty() {
        true => Err(KeyFault::NoKey),
        false => Ok(Keys(keys)),
    }
}

/// A key of a document.
struct Jwk<'a> {
    index: usize,
    jwk: &'a Object,
}

impl Jwk<'_> {
    /// RFC 7517 §5: keys of kinds, uses and algorithms that are not ours are passed over.
    fn read(&self) -> Result<Option<Key>, KeyFault> {
        let algorithm = match self.text("kty")?.ok_or(self.fault("kty"))? {
            "oct" => Algorithm::Hs256,
            "RSA" => Algorithm::Rs256,
            "EC" if self.text("crv")? == Some("P-256") => Algorithm::Es256,
            _ => return Ok(None),
        };
        let is_other = self.text("alg")?.is_some_and(|alg| alg != algorithm.name());
        let is_for_encryption = self.text("use")?.is_some_and(|purpose| purpose != "sig");
        let operations = self.jwk.get("key_ops").and_then(Value::as_array);
        let is_not_to_verify =
            operations.is_some_and(|operations| !operations.iter().any(|name| name == "verify"));
        if is_other || is_for_encryption || is_not_to_verify {
            return Ok(None);
        }
        // RFC 7518 §6.2.2.1, §6.3.2.1
        if algorithm != Algorithm::Hs256 && self.jwk.contains_key("d") {
            return Err(KeyFault::Private);
        }
        let key = match algorithm {
            Algorithm::Hs256 => {
                let secret = self.bytes("k")?;
                if secret.len() < SECRET_SIZE_MIN {
                    return Err(KeyFault::ShortSecret);
                }
                DecodingKey::from_secret(&secret)
            }
            Algorithm::Rs256 => {
                let (modulus, exponent) = (self.bytes("n")?, self.bytes("e")?);
                let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
                if modulus.len() - zeros < MODULUS_SIZE_MIN {
                    return Err(KeyFault::Weak);
                }
                DecodingKey::from_rsa_raw_components(&modulus, &exponent)
            }
            Algorithm::Es256 => {
                // RFC 7518 §6.2.1.2: each coordinate in full, and SEC 1 §2.3.3 for the point.
                let mut point = vec![4];
                for name in ["x", "y"] {
                    let coordinate = self.bytes(name)?;
                    if coordinate.len() != 32 {
                        return Err(self.fault(name));
                    }
                    point.extend(coordinate);
                }
                DecodingKey::from_ec_der(&point)
            }
        };
        Ok(Some(Key {
            kid: self.text("kid")?.map(str::to_owned),
            algorithm,
            key,
        }))
    }

    fn text(&self, name: &'static str) -> Result<Option<&str>, KeyFault> {
        match self.jwk.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().ok_or(self.fault(name)).map(Some),
        }
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, KeyFault> {
        let text = self.text(name)?.ok_or(self.fault(name))?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| self.fault(name))
    }

    fn fault(&self, name: &'static str) -> KeyFault {
        KeyFault::Member {
            index: self.index,
            name,
        }
    }
}

impl fmt::Debug for Keys {
    /// Names and algorithms.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.iter().map(|key| (&key.kid, key.algorithm));
        f.debug_list().entries(keys).finish()
    }
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("it is neither a public key in PEM nor a JWKS document"),
            Self::Private => f.write_str(
                "it is a private key; to verify takes the public one: \
                 `openssl pkey -in KEY -pubout`",
            ),
            Self::Several => {
                f.write_str("there is more than one PEM block; several keys are a JWKS document")
            }
            Self::Kind => f.write_str(
                "the key is neither an RSA nor a P-256 public key, for RS256 or ES256 signatures",
            ),
            Self::Document => {
                f.write_str("the JSON is not an object with an array `keys` of objects")
            }
            Self::Member { index, name } => {
                write!(f, "keys[{index}]: the member {name} is missing or wrong")
            }
            Self::Repeated { index } => {
                write!(
                    f,
                    "keys[{index}]: an earlier key has the same kid and algorithm"
                )
            }
            Self::NoKey => f.write_str("there is no key for HS256, RS256 or ES256 signatures"),
            Self::Weak => f.write_str("an RSA key needs 2048 bits at least"),
            Self::ShortSecret => write!(
                f,
                "a secret needs {SECRET_SIZE_MIN} bytes at least: `openssl rand -hex 32` makes one"
            ),
            Self::PemAsSecret => f.write_str("it is a key in PEM and not a secret"),
        }
    }
}

impl Error for KeyFault {}
