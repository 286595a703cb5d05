//! The bytes received and the bytes to send, in buffers that the caller owns.

mod recv;
mod send;

pub use recv::RecvBuffer;
pub(crate) use recv::Region;
pub use send::SendBuffer;
