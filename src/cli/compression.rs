//! The arguments that have to do with compression (RFC 7692), of a server and of a client.

use openline::proto::{Deflate, Level, MemoryLevel, WindowBits};

use crate::cli::values::parse_size;

/// Whether to agree to compression, and how to compress.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Compression")]
pub(crate) struct Compression {
    /// Compress messages (permessage-deflate) if the other end agrees to it
    #[arg(long)]
    compress: bool,

    /// Let messages build on those before: smaller, and some 430 kB held for each connection
    #[arg(long, requires = "compress")]
    compress_context: bool,

    /// How far back the server may refer: 8 to 15 bits of a distance in bytes
    #[arg(
        long,
        value_name = "BITS",
        default_value = "15",
        value_parser = parse_window,
        requires = "compress"
    )]
    compress_server_window: WindowBits,

    /// How far back the client may refer: 8 to 15
    #[arg(
        long,
        value_name = "BITS",
        default_value = "15",
        value_parser = parse_window,
        requires = "compress"
    )]
    compress_client_window: WindowBits,

    /// How hard to try: 1 is fast, 9 is thorough, 0 does not compress
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "1",
        value_parser = parse_level,
        requires = "compress"
    )]
    compress_level: Level,

    /// How much memory to compress with, beside the window: 1 is least, 9 is most
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "8",
        value_parser = parse_memory,
        requires = "compress"
    )]
    compress_memory: MemoryLevel,

    /// Send messages below this size as they are; `0` compresses all
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "128",
        value_parser = parse_threshold,
        requires = "compress"
    )]
    compress_min: usize,
}

impl Compression {
    /// What was asked for, if anything was.
    pub(crate) fn settings(&self) -> Option<Deflate> {
        self.compress.then(|| Deflate {
            server_no_context_takeover: !self.compress_context,
            client_no_context_takeover: !self.compress_context,
            server_max_window_bits: self.compress_server_window,
            client_max_window_bits: self.compress_client_window,
            level: self.compress_level,
            memory_level: self.compress_memory,
            threshold: self.compress_min,
            ..Deflate::default()
        })
    }
}

fn parse_window(text: &str) -> Result<WindowBits, &'static str> {
    let bits = text.parse().ok().and_then(WindowBits::new);
    bits.ok_or("a window has 8 to 15 bits")
}

fn parse_level(text: &str) -> Result<Level, &'static str> {
    let level = text.parse().ok().and_then(Level::new);
    level.ok_or("a level is 0 to 9")
}

fn parse_memory(text: &str) -> Result<MemoryLevel, &'static str> {
    let level = text.parse().ok().and_then(MemoryLevel::new);
    level.ok_or("a memory level is 1 to 9")
}

fn parse_threshold(text: &str) -> Result<usize, &'static str> {
    match text {
        "0" => Ok(0),
        _ => parse_size(text).map(|size| usize::try_from(size).unwrap_or(usize::MAX)),
    }
}
