//! What the fuzz targets share: scripts of operations, and ends that carry them out.

pub mod end;
pub mod handshake;
pub mod script;
