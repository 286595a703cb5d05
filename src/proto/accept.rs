//! From Sec-WebSocket-Key to Sec-WebSocket-Accept ([RFC 6455 §4.2.2]).
//!
//! The server proves that it read the client's key as WebSocket: it answers the hash of the key
//! and a fixed string. The only file that knows SHA-1 and Base64.
//!
//! [RFC 6455 §4.2.2]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};

/// A legal Sec-WebSocket-Key: sixteen bytes in Base64 (§4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key([u8; KEY_SIZE]);

impl Key {
    /// Writes the nonce that a client drew.
    pub(crate) fn new(nonce: [u8; NONCE_SIZE]) -> Self {
        let mut key = [0; KEY_SIZE];
        STANDARD
            .encode_slice(nonce, &mut key)
            .expect("sixteen bytes are 24 in Base64");
        Self(key)
    }

    /// Reads the header field's value; `None` if it does not decode to sixteen bytes.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let key = Self(value.try_into().ok()?);
        let mut nonce = [0; KEY_SIZE];
        // §4.2.1: a key that, when decoded, is 16 bytes in length.
        let len = LENIENT.decode_slice(key.0, &mut nonce).ok()?;
        (len == NONCE_SIZE).then_some(key)
    }

    /// The key as it stands in the header field.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the server must answer (§4.2.2, step 5.4).
    pub(crate) fn accept(&self) -> Accept {
        let hash = Sha1::new()
            .chain_update(self.0)
            .chain_update(GUID)
            .finalize();
        let mut accept = [0; ACCEPT_SIZE];
        STANDARD
            .encode_slice(hash, &mut accept)
            .expect("a hash of 20 bytes is 28 in Base64");
        Accept(accept)
    }
}

/// A Sec-WebSocket-Accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accept([u8; ACCEPT_SIZE]);

impl Accept {
    /// The value as it stands in the header field.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The credentials of Basic authentication (RFC 7617 §2): `user:password` in Base64.
pub(crate) fn basic_credentials(user_and_password: &[u8]) -> String {
    STANDARD.encode(user_and_password)
}

/// The bytes of a nonce (§4.1, item 7).
pub(crate) const NONCE_SIZE: usize = 16;
const KEY_SIZE: usize = 24;
const ACCEPT_SIZE: usize = 28;

/// The string that no server answers by accident (§1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Decodes also when the bits behind the last byte are not zero. RFC 4648 §3.5 leaves that to
/// the decoder; clients that make up 22 letters instead of encoding a nonce are met in the
/// field, and §4.2.1 asks for no more than sixteen bytes.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Key, basic_credentials};

    #[test]
    fn the_example_of_section_1_3() {
        let key = Key::parse(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(key, Key::new(*b"the sample nonce"));
        assert_eq!(key.accept().as_bytes(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_decodes_to_exactly_sixteen_bytes() {
        for (key, legal) in [
            ("AAAAAAAAAAAAAAAAAAAAAA==", true),
            ("AAAAAAAAAAAAAAAAAAAAAB==", true), // bits behind the last byte
            ("", false),
            ("AAAAAAAAAAAAAAAAAAAAAA", false),
            ("AAAAAAAAAAAAAAAAAAAAAA=", false),
            ("AAAAAAAAAAAAAAAAAAAAAA===", false),
            ("AAAAAAAAAAAAAAAAAAAAAAA=", false),     // 17 bytes
            ("AAAAAAAAAAAAAAAAAAAAAAAA", false),     // 18 bytes
            ("AAAAAAAAAAAAAAAAAAAA", false),         // 15 bytes
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAA=", false), // 20 bytes
            ("AAAAAAAAAA AAAAAAAAAAA==", false),
            ("AAAAAAAAAA-_AAAAAAAAAA==", false), // the alphabet of URLs
            ("AAAAAAAAAA==AAAAAAAAAA==", false),
            ("\u{e9}AAAAAAAAAAAAAAAAAAAA==", false),
        ] {
            assert_eq!(Key::parse(key.as_bytes()).is_some(), legal, "{key:?}");
        }
    }

    #[test]
    fn the_example_of_rfc_7617() {
        let credentials = basic_credentials(b"Aladdin:open sesame");
        assert_eq!(credentials, "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    proptest! {
        #[test]
        fn every_nonce_makes_a_legal_key(nonce: [u8; 16]) {
            let key = Key::new(nonce);
            prop_assert_eq!(Key::parse(key.as_bytes()), Some(key));
        }
    }
}
