//! What a server gives to each client and to all of them: the arguments.

use clap::builder::RangedU64ValueParser;
use openline::net::{LoopConfig, Rate};

use crate::cli::values::{Time, parse_size};

/// Limits on clients.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Quotas {
    /// The connections at once; one more is refused with 503
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 65_536,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..)
    )]
    max_connections: usize,

    /// The connections of one address at once (in IPv6, of one network of 64 bits); one more is
    /// refused with 429 [default: no limit, for behind a proxy all have the same address]
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..)
    )]
    max_per_address: Option<usize>,

    /// The messages and control frames of a connection in a second; one that sends more is closed
    /// with 1008 [default: no limit]
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    message_rate: Option<u32>,

    /// The bytes of a connection in a second, such as 100k; one that sends more is closed with
    /// 1008 [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = parse_rate)]
    byte_rate: Option<u32>,

    /// Give a client up that has not finished a message after this long; `0` or `never` for never
    #[arg(long, value_name = "TIME", default_value = "2m")]
    pub(crate) message_timeout: Time,

    /// At the end, close connections spread over this long, so that not all come back at once
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0",
        value_parser = parse_drain
    )]
    drain: Time,
}

impl Quotas {
    /// A loop's limits, with these.
    pub(crate) fn limit(&self, config: LoopConfig) -> LoopConfig {
        LoopConfig {
            connections_max: self.max_connections,
            connections_per_address_max: self.max_per_address,
            message_rate: self.message_rate.map(Rate::per_second),
            byte_rate: self.byte_rate.map(Rate::per_second),
            shutdown_window: self.drain.timer().unwrap_or_default(),
            ..config
        }
    }
}

fn parse_rate(text: &str) -> Result<u32, &'static str> {
    let size = parse_size(text)?;
    u32::try_from(size).map_err(|_| "a rate is below 4 GiB in a second")
}

fn parse_drain(text: &str) -> Result<Time, &'static str> {
    match text.parse()? {
        Time::Never => Err("an end that never comes is none; 30s is a time"),
        time => Ok(time),
    }
}
