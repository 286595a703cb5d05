//! wss: TLS beneath a connection, by rustls ([RFC 8446], [RFC 5246]; RFC 6455 §4.1 and §10.6).
//!
//! TLS 1.3 and 1.2, with ring's cryptography and rustls's choice of cipher suites. A
//! [`ServerTls`] has the certificate and key of a server, and is reloaded while it serves; a
//! [`ClientTls`] has the authorities that a client trusts. There is no switch that leaves the
//! other end unverified.
//!
//! # What an idle connection costs
//!
//! rustls keeps the keys and the state of the protocol, and we no buffer: records are read into
//! the loop's own memory and taken apart there (rustls's unbuffered interface), so that a
//! connection holds ciphertext only while a record is half there, or half written.
//!
//! That is 3.7 KB resident for a server's connection that is idle, nearly all of it rustls's, where
//! a plain one costs a quarter of a KB (`cargo run --release -- idle --tls` in benches/echo). A
//! client's also has the server's chain of certificates, as large as that is.
//!
//! [RFC 8446]: https://www.rfc-editor.org/rfc/rfc8446
//! [RFC 5246]: https://www.rfc-editor.org/rfc/rfc5246

mod client;
mod error;
mod pem;
mod server;
mod stream;

pub use client::{Authorities, ClientTls, Identity};
pub use error::{Alert, TlsError};
pub use pem::{TlsConfigError, TlsConfigFault};
pub use server::{ClientCertificates, ServerTls};

pub(super) use stream::{Scratch, TlsStream};

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, ring};

/// What every configuration here is built with: no process-wide default is asked for or set.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// RFC 7301: the protocol within, so that a server of several does not take us for HTTP/2.
const ALPN: &[u8] = b"http/1.1";
