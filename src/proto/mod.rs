//! The protocol with no I/O: bytes in, events out, bytes out.
//!
//! No socket, no clock, no thread, no source of entropy: time and seeds are arguments.

mod accept;
mod buffer;
mod close;
mod config;
mod connection;
mod copy;
mod deflate;
mod error;
mod event;
mod extension;
mod frame;
mod handshake;
mod http;
mod mask;
mod message;
mod timer;
mod url;
pub mod utf8;

pub(crate) use accept::Key;
pub use buffer::{RecvBuffer, SendBuffer};
pub use close::{Close, CloseCode, REASON_MAX};
pub use config::{Config, Delivery};
#[cfg(feature = "net")]
pub(crate) use connection::Look;
pub use connection::{Compress, Connection, Data, Fragments, Prepared, Shared, Vectored};
pub use deflate::{Codec, Compressors, Deflate, DeflateParams, Level, MemoryLevel, WindowBits};
pub(crate) use deflate::{Decompressor, Inflated, ParamsError, read_answer};
pub use error::{ProtocolError, SendError};
pub use event::{Chunk, Closed, ClosedWhy, Event, Kind, Party};
pub(crate) use extension::extensions;
pub use extension::{Extension, Param};
pub use frame::{CONTROL_PAYLOAD_MAX, EncodedHeader, FrameHeader, HEADER_SIZE_MAX, Opcode, Role};
pub(crate) use handshake::split_target;
pub use handshake::{
    AcceptError, Acceptance, Accepted, Answer, ClientHandshake, ClientRequest, Field,
    HandshakeError, HeaderError, Headers, Incoming, Page, PageRequest, RedirectError, Refusal,
    Refused, Request, RequestError, Response, ServerHandshake, Status, Upgrade,
};
pub use http::HeadError;
pub(crate) use http::{elements, is_token};
pub use mask::MaskingKey;
#[cfg(feature = "net")]
pub(crate) use url::decode_userinfo;
pub(crate) use url::parse_authority;
pub use url::{Url, UrlError};
