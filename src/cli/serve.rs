//! `openline serve`: a server that echoes what it is sent.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ArgAction;
use openline::net::{EventLoop, Handler, LoopConfig, Message, Peer};
use openline::proto::{Acceptance, Config, Refusal, Request, SendError, Status};
use tracing::level_filters::LevelFilter;

use crate::cli::address::Address;
use crate::cli::log::{self, Format};
use crate::cli::origin::Origin;
use crate::cli::signal;
use crate::cli::values::{Time, parse_size};

const AFTER_HELP: &str = "\
Once it listens, it says so on standard output: `listening on ws://127.0.0.1:9001/`. Port 0 lets \
the system choose one.

Ctrl-C and SIGTERM end it in order: every connection is closed with 1001, and the exit code is 0. \
A second one ends it at once.

Examples:
  openline serve
  openline serve 0.0.0.0:8080 --origin https://example.com --idle-timeout 10m
  openline serve :0 --subprotocol chat.v2 --subprotocol chat.v1 -v --log-format json";

/// Serve WebSocket connections, echoing every message
#[derive(Debug, clap::Args)]
#[command(
    after_help = "See 'openline serve --help' for examples.",
    after_long_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// Where to listen: HOST:PORT, PORT or :PORT (every interface)
    #[arg(value_name = "ADDR", default_value_t)]
    address: Address,

    /// The largest message to receive; a larger one ends its connection with 1009
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16M",
        value_parser = parse_size,
        help_heading = "Messages"
    )]
    max_message: u64,

    /// Speak a subprotocol (repeatable); of those a client offers, the first named here is chosen
    #[arg(long, value_name = "NAME", value_parser = parse_subprotocol, help_heading = "Handshake")]
    subprotocol: Vec<String>,

    /// Let in requests from this origin only (repeatable); others, and those that name none, are
    /// refused with 403
    #[arg(long, value_name = "ORIGIN", help_heading = "Handshake")]
    origin: Vec<Origin>,

    /// Ping after this long without a word from the client; `0` or `never` for never
    #[arg(
        long,
        value_name = "TIME",
        default_value = "25s",
        help_heading = "Timers"
    )]
    ping_interval: Time,

    /// Give the client up this long after a ping without a word
    #[arg(
        long,
        value_name = "TIME",
        default_value = "20s",
        help_heading = "Timers"
    )]
    pong_timeout: Time,

    /// Close after this long without a message either way; `0` or `never` for never
    #[arg(
        long,
        value_name = "TIME",
        default_value = "never",
        help_heading = "Timers"
    )]
    idle_timeout: Time,

    /// Log more: -v every Close frame, -vv every detail
    #[arg(short, long, action = ArgAction::Count, help_heading = "Log")]
    verbose: u8,

    /// Log less: -q warnings, -qq errors
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "verbose", help_heading = "Log")]
    quiet: u8,

    /// The form of a line on standard error
    #[arg(
        long,
        value_name = "FORM",
        default_value = "text",
        help_heading = "Log"
    )]
    log_format: Format,
}

/// Serves until a signal ends it.
pub(crate) fn run(args: &Args) -> ExitCode {
    let steps = i32::from(args.verbose) - i32::from(args.quiet);
    log::start(log::level(LevelFilter::INFO, steps), args.log_format);
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> Result<(), String> {
    raise_descriptors();
    let defaults = Config::default();
    let protocol = Config {
        frame_size_max: args.max_message,
        message_size_max: args.max_message,
        ping_interval: args.ping_interval.timer(),
        pong_timeout: match args.pong_timeout {
            Time::Span(span) if !span.is_zero() => span,
            // Without a limit, as far as clocks go.
            _ => Time::MAX,
        },
        idle_timeout: args.idle_timeout.timer(),
        ..defaults
    };
    let config = LoopConfig {
        protocol: Arc::new(protocol),
        ..LoopConfig::default()
    };
    let echo = Echo {
        subprotocols: args.subprotocol.clone(),
        origins: args.origin.clone(),
    };
    let no_loop = |error| format!("the event loop cannot run: {error}");
    let mut event_loop = EventLoop::new(echo, config).map_err(no_loop)?;
    let address = event_loop
        .listen(&args.address)
        .map_err(|error| explain(&args.address, &error))?;
    let remote = event_loop.remote();
    signal::on_first(move || {
        // A loop that is gone needs no end.
        let _ = remote.shutdown();
    })
    .map_err(|error| format!("signals cannot be heard: {error}"))?;
    // Whoever waits for this line gets it whole; nobody needs to.
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "listening on ws://{address}/").and_then(|()| stdout.flush());
    drop(stdout);
    event_loop.run().map_err(no_loop)
}

/// Why we cannot listen there, and what to do.
fn explain(address: &Address, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program listens there: end it, or choose another port (0 for any)"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need privileges: choose a higher one"
        }
        io::ErrorKind::AddrNotAvailable => "; it is no address of this machine",
        _ => "",
    };
    format!("cannot listen on {address}: {error}{advice}")
}

/// Each connection is a descriptor, and the soft limit is often a thousand.
#[cfg(unix)]
fn raise_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    // If not, accepting pauses when they are used up, and says so.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[cfg(not(unix))]
fn raise_descriptors() {}

/// RFC 6455 §4.1: the name of a subprotocol is a token.
fn parse_subprotocol(name: &str) -> Result<String, &'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !name.is_empty() && name.bytes().all(is_token) {
        true => Ok(name.to_owned()),
        false => Err("a subprotocol is a token: letters, digits and !#$%&'*+-.^_`|~"),
    }
}

/// Sends every message back.
struct Echo {
    subprotocols: Vec<String>,
    origins: Vec<Origin>,
}

impl Handler for Echo {
    type Connection = ();

    fn request(
        &mut self,
        request: &Request<'_>,
        _: SocketAddr,
    ) -> Result<(Acceptance, ()), Refusal> {
        let is_ours = |origin: &str| self.origins.iter().any(|ours| ours.is(origin));
        if !self.origins.is_empty() && !request.origin().is_some_and(is_ours) {
            return Err(Refusal::new(Status::FORBIDDEN)
                .with_text("requests from this origin are not let in\n"));
        }
        let is_offered = |ours: &&String| request.subprotocols().any(|offered| offered == **ours);
        let acceptance = Acceptance {
            subprotocol: self.subprotocols.iter().find(is_offered).cloned(),
            ..Acceptance::default()
        };
        Ok((acceptance, ()))
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        peer.send(message)
    }
}
