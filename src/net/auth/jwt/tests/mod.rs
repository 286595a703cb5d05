//! JWTs: the examples of RFC 7515, and everything that must not be let in.

mod keys;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as Signature, EncodingKey, crypto};
use serde_json::{Value, json};

use super::keys::{KeyFault, Keys, public, secret, secret_of_file};
use super::{Policy, verify};
use crate::net::auth::denial::Denial;
use crate::net::auth::identity::Identity;

use keys::{EC_PRIVATE, EC_PUBLIC, EC_X, EC_Y, P384_PUBLIC, RSA_1024_PUBLIC};
use keys::{RSA_N, RSA_PRIVATE, RSA_PUBLIC};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// The time at which all this happens.
const NOW: u64 = 1_700_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A token with this header and these claims, signed so.
fn token(header: &Value, claims: &Value, key: &EncodingKey, signature: Signature) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = crypto::sign(message.as_bytes(), key, signature).unwrap();
    format!("{message}.{signature}")
}

/// One that is right, with HS256.
fn hs256(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET);
    token(&json!({"alg": "HS256"}), claims, &key, Signature::HS256)
}

fn judge(token: &str, keys: &Keys, policy: &Policy) -> Result<Identity, Denial> {
    verify(token, keys, policy, at(NOW))
}

/// The subject of a token whose claims are these, or why it is denied.
fn subject(claims: &Value, policy: &Policy) -> Result<Option<String>, Denial> {
    let keys = secret(SECRET).unwrap();
    let identity = judge(&hs256(claims), &keys, policy)?;
    Ok(identity.subject().map(str::to_owned))
}

/// RFC 7515, appendices A.1, A.2 and A.3: one payload under three keys.
#[test]
fn the_examples_of_rfc_7515() {
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y\
                   b290Ijp0cnVlfQ";
    let examples = [
        (
            json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3\
                                       Yj0iPS4hcgUuTwjAzZr1Z9CAow"}),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            json!({"kty": "RSA", "e": "AQAB", "n":
                "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPME\
                 zP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf\
                 63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Z\
                 wKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FR\
                 WyuXpoQ"}),
            "eyJhbGciOiJSUzI1NiJ9",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F\
             p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB\
             MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeY\
             I2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            json!({"kty": "EC", "crv": "P-256",
                   "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                   "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
            "eyJhbGciOiJFUzI1NiJ9",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ];
    let policy = Policy {
        issuer: Some("joe".to_owned()),
        leeway: Duration::ZERO,
        ..Policy::default()
    };
    for (jwk, header, signature) in examples {
        let keys = public(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
        let token = format!("{header}.{payload}.{signature}");
        let at_that_time = verify(&token, &keys, &policy, at(1_300_819_379));
        let identity = at_that_time.unwrap();
        assert!(identity.claims().unwrap().contains("is_root"));
        assert_eq!(identity.expires(), Some(at(1_300_819_380)));
        assert_eq!(
            verify(&token, &keys, &policy, at(1_300_819_380)),
            Err(Denial::JwtExpired)
        );
        // Each byte of the signature counts, and each of what is signed.
        for (index, _) in token.char_indices().step_by(7) {
            let mut changed = token.clone().into_bytes();
            changed[index] = match changed[index] {
                b'A' => b'B',
                _ => b'A',
            };
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify(&changed, &keys, &policy, at(1_300_819_379)).is_err());
        }
    }
}

#[test]
fn a_key_in_pem_is_for_its_own_algorithm() {
    let claims = json!({"exp": NOW + 10, "sub": "alice"});
    let rsa = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    let ec = EncodingKey::from_ec_pem(EC_PRIVATE.as_bytes()).unwrap();
    let policy = Policy::default();
    for (pem, key, name, signature, other) in [
        (RSA_PUBLIC, &rsa, "RS256", Signature::RS256, "RS384"),
        (EC_PUBLIC, &ec, "ES256", Signature::ES256, "ES384"),
    ] {
        let keys = public(pem.as_bytes()).unwrap();
        // A kid is of no consequence where there is but one key, without a name.
        for header in [json!({"alg": name}), json!({"alg": name, "kid": "any"})] {
            let identity = judge(&token(&header, &claims, key, signature), &keys, &policy);
            assert_eq!(identity.unwrap().subject(), Some("alice"));
        }
        let lies = token(&json!({"alg": other}), &claims, key, signature);
        assert_eq!(judge(&lies, &keys, &policy), Err(Denial::JwtAlgorithm));
    }
}

/// RFC 8725 §2.1: a public key as the secret of an HMAC, and no signature at all.
#[test]
fn a_token_does_not_choose_how_its_key_is_used() {
    let claims = json!({"exp": NOW + 10, "sub": "alice"});
    let policy = Policy::default();
    let jwks = json!({"keys": [{"kty": "RSA", "n": RSA_N, "e": "AQAB", "kid": "1"}]}).to_string();
    for (document, secret) in [
        (RSA_PUBLIC, RSA_PUBLIC.as_bytes().to_vec()),
        (RSA_PUBLIC, RSA_PUBLIC.trim_end().as_bytes().to_vec()),
        (&jwks, URL_SAFE_NO_PAD.decode(RSA_N).unwrap()),
        (&jwks, RSA_N.as_bytes().to_vec()),
    ] {
        let keys = public(document.as_bytes()).unwrap();
        for kid in [None, Some("1")] {
            let header = json!({"alg": "HS256", "kid": kid.unwrap_or_default()});
            let key = EncodingKey::from_secret(&secret);
            let confused = token(&header, &claims, &key, Signature::HS256);
            assert_eq!(judge(&confused, &keys, &policy), Err(Denial::JwtAlgorithm));
        }
    }
    let mixed = json!({"keys": [
        {"kty": "RSA", "n": RSA_N, "e": "AQAB", "kid": "1"},
        {"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET), "kid": "2"},
    ]});
    let mixed = public(mixed.to_string().as_bytes()).unwrap();
    let key = EncodingKey::from_secret(SECRET);
    let header = |kid| json!({"alg": "HS256", "kid": kid});
    let confused = token(&header("1"), &claims, &key, Signature::HS256);
    assert_eq!(
        judge(&confused, &mixed, &policy),
        Err(Denial::JwtKeyUnknown)
    );
    let right = token(&header("2"), &claims, &key, Signature::HS256);
    assert!(judge(&right, &mixed, &policy).is_ok());
    for keys in [public(RSA_PUBLIC.as_bytes()), secret(SECRET), Ok(mixed)] {
        let keys = keys.unwrap();
        for none in [
            "none", "None", "NONE", "nOnE", "", "hs256", "HS384", "EdDSA",
        ] {
            let message = format!("{}.{}", encode(&json!({"alg": none})), encode(&claims));
            for signature in ["", "AAAA"] {
                let unsigned = format!("{message}.{signature}");
                assert_eq!(judge(&unsigned, &keys, &policy), Err(Denial::JwtAlgorithm));
            }
        }
        for signature in ["", "AAAA", "===="] {
            let message = format!("{}.{}", encode(&json!({"alg": "HS256"})), encode(&claims));
            assert!(judge(&format!("{message}.{signature}"), &keys, &policy).is_err());
        }
    }
}

#[test]
fn a_kid_names_its_key_and_no_other() {
    let (first, second) = (SECRET, b"another secret of thirty-two bytes".as_slice());
    let oct = |kid, secret| json!({"kty": "oct", "kid": kid, "k": URL_SAFE_NO_PAD.encode(secret)});
    let claims = json!({"exp": NOW + 10});
    let policy = Policy::default();
    let signed = |header: Value, secret| {
        let key = EncodingKey::from_secret(secret);
        token(&header, &claims, &key, Signature::HS256)
    };
    let document = json!({"keys": [oct("1", first), oct("2", second)]}).to_string();
    let keys = public(document.as_bytes()).unwrap();
    let judge = |token: String| judge(&token, &keys, &policy).map(|_| ());
    assert_eq!(
        judge(signed(json!({"alg": "HS256", "kid": "1"}), first)),
        Ok(())
    );
    assert_eq!(
        judge(signed(json!({"alg": "HS256", "kid": "2"}), second)),
        Ok(())
    );
    for (header, secret, denial) in [
        (
            json!({"alg": "HS256", "kid": "1"}),
            second,
            Denial::JwtSignature,
        ),
        (
            json!({"alg": "HS256", "kid": "3"}),
            first,
            Denial::JwtKeyUnknown,
        ),
        (
            json!({"alg": "HS256", "kid": ""}),
            first,
            Denial::JwtKeyUnknown,
        ),
        // Either could be meant.
        (json!({"alg": "HS256"}), first, Denial::JwtKeyUnknown),
        (
            json!({"alg": "HS256", "kid": 1}),
            first,
            Denial::JwtMalformed,
        ),
        (
            json!({"alg": "RS256", "kid": "1"}),
            first,
            Denial::JwtAlgorithm,
        ),
    ] {
        assert_eq!(judge(signed(header, secret)), Err(denial));
    }
    // With one key of the algorithm, a name may be left out and must not be wrong.
    let alone = json!({"keys": [
        oct("1", first),
        {"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y, "kid": "2"},
    ]});
    let keys = public(alone.to_string().as_bytes()).unwrap();
    let unnamed = signed(json!({"alg": "HS256"}), first);
    assert!(super::verify(&unnamed, &keys, &policy, at(NOW)).is_ok());
    let wrong = signed(json!({"alg": "HS256", "kid": "2"}), first);
    assert_eq!(
        super::verify(&wrong, &keys, &policy, at(NOW)),
        Err(Denial::JwtKeyUnknown)
    );
}

#[test]
fn what_is_no_jwt_is_malformed() {
    let keys = secret(SECRET).unwrap();
    let part = encode(&json!({"alg": "HS256"}));
    let latin = URL_SAFE_NO_PAD.encode(b"{\"alg\":\"HS256\xe9\"}");
    let list = URL_SAFE_NO_PAD.encode("[]");
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        part.clone(),
        format!("{part}.{part}"),
        format!("{part}=.{part}.AAAA"),
        format!("{latin}.{part}.AAAA"),
        format!("{list}.{part}.AAAA"),
        format!("{}.{part}.AAAA", encode(&json!({"typ": "JWT"}))),
        format!("{}.{part}.AAAA", encode(&json!({"alg": 256}))),
    ] {
        let denial = judge(&token, &keys, &Policy::default());
        assert_eq!(denial, Err(Denial::JwtMalformed), "{token}");
    }
    // Signed, and not an object.
    let key = EncodingKey::from_secret(SECRET);
    let header = json!({"alg": "HS256"});
    let odd = token(&header, &json!([1]), &key, Signature::HS256);
    assert_eq!(
        judge(&odd, &keys, &Policy::default()),
        Err(Denial::JwtMalformed)
    );
    // Five parts are an encrypted token (RFC 7516).
    let five = format!("{}.{part}.{part}", hs256(&json!({"exp": NOW + 10})));
    assert!(judge(&five, &keys, &Policy::default()).is_err());
}

#[test]
fn what_must_be_understood_and_is_not_denies() {
    let key = EncodingKey::from_secret(SECRET);
    let header = json!({"alg": "HS256", "crit": ["b64"], "b64": false});
    let token = token(&header, &json!({"exp": NOW + 10}), &key, Signature::HS256);
    let keys = secret(SECRET).unwrap();
    assert_eq!(
        judge(&token, &keys, &Policy::default()),
        Err(Denial::JwtCritical)
    );
}

#[test]
fn a_token_is_in_force_from_nbf_until_exp() {
    let policy = Policy {
        leeway: Duration::from_secs(30),
        ..Policy::default()
    };
    let wrong = |name| Err(Denial::JwtClaim { name });
    let cases = [
        (json!({"exp": NOW + 1}), Ok(None)),
        (json!({"exp": NOW - 29}), Ok(None)),
        (json!({"exp": NOW - 30}), Err(Denial::JwtExpired)),
        (json!({"exp": NOW as f64 - 29.5}), Ok(None)),
        (json!({"exp": 0}), Err(Denial::JwtExpired)),
        (json!({"exp": -1}), Err(Denial::JwtExpired)),
        (json!({"exp": 1e300}), Ok(None)),
        (json!({}), wrong("exp")),
        (json!({"exp": null}), wrong("exp")),
        (json!({"exp": (NOW + 10).to_string()}), wrong("exp")),
        (json!({"exp": NOW + 10, "nbf": NOW + 30}), Ok(None)),
        (
            json!({"exp": NOW + 99, "nbf": NOW + 31}),
            Err(Denial::JwtNotYetValid),
        ),
        (json!({"exp": NOW + 10, "nbf": "tomorrow"}), wrong("nbf")),
        (json!({"exp": NOW + 10, "nbf": null}), wrong("nbf")),
        (json!({"exp": NOW + 10, "sub": 7}), wrong("sub")),
    ];
    for (claims, expected) in cases {
        assert_eq!(subject(&claims, &policy), expected, "{claims}");
    }
}

#[test]
fn a_token_is_for_us_and_of_the_issuer() {
    let nobody = Policy::default();
    let somebody = Policy {
        audiences: vec!["chat".to_owned(), "wss://chat.example/".to_owned()],
        issuer: Some("https://login.example/".to_owned()),
        ..Policy::default()
    };
    let issuer = "https://login.example/";
    let cases = [
        (&somebody, json!({"iss": issuer, "aud": "chat"}), Ok(None)),
        (
            &somebody,
            json!({"iss": issuer, "aud": ["mail", "wss://chat.example/"]}),
            Ok(None),
        ),
        (&somebody, json!({"iss": issuer}), Err(Denial::JwtAudience)),
        (
            &somebody,
            json!({"iss": issuer, "aud": "mail"}),
            Err(Denial::JwtAudience),
        ),
        (
            &somebody,
            json!({"iss": issuer, "aud": "chat "}),
            Err(Denial::JwtAudience),
        ),
        (
            &somebody,
            json!({"iss": issuer, "aud": []}),
            Err(Denial::JwtAudience),
        ),
        (
            &somebody,
            json!({"iss": issuer, "aud": ["chat", 7]}),
            Err(Denial::JwtClaim { name: "aud" }),
        ),
        (&somebody, json!({"aud": "chat"}), Err(Denial::JwtIssuer)),
        (
            &somebody,
            json!({"iss": "https://login.example", "aud": "chat"}),
            Err(Denial::JwtIssuer),
        ),
        (
            &somebody,
            json!({"iss": [issuer], "aud": "chat"}),
            Err(Denial::JwtClaim { name: "iss" }),
        ),
        (&nobody, json!({"iss": "anyone"}), Ok(None)),
        // RFC 7519 §4.1.3: it was made for somebody else.
        (&nobody, json!({"aud": "mail"}), Err(Denial::JwtAudience)),
    ];
    for (policy, mut claims, expected) in cases {
        claims["exp"] = (NOW + 10).into();
        assert_eq!(subject(&claims, policy), expected, "{claims}");
    }
}

#[test]
fn a_file_of_keys_is_read_with_care() {
    let member = |index, name| KeyFault::Member { index, name };
    let rsa = json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"});
    let with = |key: &Value, name: &str, value: &str| {
        let mut key = key.clone();
        key[name] = value.into();
        key
    };
    let jwks = |keys: Value| json!({"keys": keys}).to_string();
    let cases = [
        (String::new(), KeyFault::Form),
        ("a secret".to_owned(), KeyFault::Form),
        (RSA_PRIVATE.to_owned(), KeyFault::Private),
        (EC_PRIVATE.to_owned(), KeyFault::Private),
        (format!("{RSA_PUBLIC}{EC_PUBLIC}"), KeyFault::Several),
        (P384_PUBLIC.to_owned(), KeyFault::Kind),
        (RSA_1024_PUBLIC.to_owned(), KeyFault::Weak),
        (EC_PUBLIC.replace("MFkw", "MFk"), KeyFault::Form),
        (
            EC_PUBLIC.replace("PUBLIC KEY", "CERTIFICATE"),
            KeyFault::Kind,
        ),
        ("{".to_owned(), KeyFault::Document),
        ("{}".to_owned(), KeyFault::Document),
        (jwks(json!(["key"])), KeyFault::Document),
        (jwks(json!([])), KeyFault::NoKey),
        (jwks(json!([with(&rsa, "use", "enc")])), KeyFault::NoKey),
        (jwks(json!([with(&rsa, "alg", "RS512")])), KeyFault::NoKey),
        (
            jwks(json!([{"kty": "OKP", "crv": "Ed25519"}])),
            KeyFault::NoKey,
        ),
        (
            jwks(json!([{"kty": "RSA", "key_ops": ["sign"]}])),
            KeyFault::NoKey,
        ),
        (
            jwks(json!([{"kty": "EC", "crv": "P-384"}])),
            KeyFault::NoKey,
        ),
        (jwks(json!([rsa, {"n": RSA_N}])), member(1, "kty")),
        (jwks(json!([with(&rsa, "n", "!")])), member(0, "n")),
        (jwks(json!([with(&rsa, "n", "AQAB")])), KeyFault::Weak),
        (jwks(json!([with(&rsa, "d", "AQAB")])), KeyFault::Private),
        (jwks(json!([{"kty": "RSA", "n": RSA_N}])), member(0, "e")),
        (
            jwks(json!([{"kty": "EC", "crv": "P-256", "x": EC_X, "y": "AQAB"}])),
            member(0, "y"),
        ),
        (
            jwks(json!([{"kty": "oct", "k": "c2hvcnQ"}])),
            KeyFault::ShortSecret,
        ),
        (
            jwks(json!([with(&rsa, "kid", "1"), with(&rsa, "kid", "1")])),
            KeyFault::Repeated { index: 1 },
        ),
    ];
    for (file, fault) in cases {
        assert_eq!(public(file.as_bytes()).err(), Some(fault), "{file}");
    }
    // Keys that are not for us stand beside one that is.
    let beside = jwks(json!([
        with(&rsa, "use", "enc"),
        with(&rsa, "alg", "RS256")
    ]));
    assert!(public(beside.as_bytes()).is_ok());
}

#[test]
fn a_secret_is_long_and_no_public_key() {
    assert_eq!(secret(&SECRET[..31]).err(), Some(KeyFault::ShortSecret));
    let public = secret_of_file(RSA_PUBLIC.as_bytes());
    assert_eq!(public.err(), Some(KeyFault::PemAsSecret));
    let claims = json!({"exp": NOW + 10});
    for end in ["", "\n", "\r\n"] {
        let file = [SECRET, end.as_bytes()].concat();
        let keys = secret_of_file(&file).unwrap();
        assert!(judge(&hs256(&claims), &keys, &Policy::default()).is_ok());
    }
}
