//! `openline serve`: a server that sends every message back, or to everyone.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::ArgAction;
use openline::net::auth::Guard;
use openline::net::{Asking, Decision, Handler, LoopConfig, Message, Peer, Threads};
use openline::proto::{Acceptance, Config, Page, Prepared, Refusal, Request, SendError};
use tracing::level_filters::LevelFilter;

use crate::cli::address::Endpoint;
use crate::cli::auth::{Admission, AuthError};
use crate::cli::compression::Compression;
use crate::cli::descriptors;
use crate::cli::log::{self, Format};
use crate::cli::metrics::{self, Place};
use crate::cli::quotas::Quotas;
use crate::cli::signal;
use crate::cli::terminal::neutralise;
use crate::cli::tls::{self, SelfSigned};
use crate::cli::values::{Time, parse_size, parse_threads};

const AFTER_HELP: &str = "\
Prints 'listening on ws://HOST:PORT/', or wss://, on standard output when clients can connect, \
and then 'metrics on http://HOST:PORT/metrics' if they have an address of their own; everything \
else goes to the log on standard error: each handshake with its outcome, each end with who ended \
it and why.

Ctrl-C and SIGTERM close every connection with 1001, over the time that --drain says, wait for \
the closing handshakes and exit with 0; a second signal exits at once. Exit codes: 0 ended so, 1 \
an error, 2 an argument that cannot be.

Examples:
  openline serve
  openline serve :443 --tls fullchain.pem privkey.pem
  openline serve --tls-self-signed
  openline serve unix:/run/openline.sock
  openline serve --broadcast
  openline serve :8080 --max-message 64k --idle-timeout 5m
  openline serve --compress --compress-context --compress-server-window 11
  openline serve --max-per-address 20 --message-rate 50 --drain 30s
  openline serve --origin https://example.com --origin http://localhost:3000
  openline serve --origin 'https://*.example.com' --auth jwt:jwks.json --auth-from subprotocol
  echo \"alice $(openssl rand -hex 16)\" > tokens; openline serve --auth bearer:tokens
  openline serve --metrics=127.0.0.1:9100
  openline serve --subprotocol chat.v2 --subprotocol chat.v1 --log-format json 2> log";

/// Run a WebSocket server that echoes text and binary messages
#[derive(Debug, clap::Args)]
#[command(
    after_help = "See 'openline serve --help' for signals, exit codes and examples.",
    after_long_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// Where to listen: HOST:PORT, HOST, PORT (this machine only) or :PORT (every interface);
    /// port 0 takes a free one. unix:PATH listens at a Unix socket
    #[arg(value_name = "ADDR", default_value_t)]
    address: Endpoint,

    /// Choose this subprotocol if the client offers it (repeatable; the first is preferred)
    #[arg(long, value_name = "NAME", value_parser = parse_subprotocol, help_heading = "Handshake")]
    subprotocol: Vec<String>,

    /// Send each message to every client that is connected, and not to its sender alone
    #[arg(long)]
    broadcast: bool,

    #[command(flatten)]
    admission: Admission,

    #[command(flatten)]
    tls: tls::ServerArgs,

    #[command(flatten)]
    compression: Compression,

    /// The largest message to receive, such as 64k or 16M
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16M",
        value_parser = parse_size,
        help_heading = "Limits"
    )]
    max_message: u64,

    /// Ping a client that has sent nothing for this long; `0` or `never` for never
    #[arg(
        long,
        value_name = "TIME",
        default_value = "25s",
        help_heading = "Limits"
    )]
    ping_interval: Time,

    /// Give a client up that leaves a ping unanswered for this long
    #[arg(
        long,
        value_name = "TIME",
        default_value = "20s",
        help_heading = "Limits"
    )]
    pong_timeout: Time,

    /// Close after this long without a message; `0` or `never` for never
    #[arg(
        long,
        value_name = "TIME",
        default_value = "never",
        help_heading = "Limits"
    )]
    idle_timeout: Time,

    #[command(flatten)]
    quotas: Quotas,

    /// Serve with this many threads, each with connections of its own [default: one for each core]
    #[arg(long, value_name = "COUNT", value_parser = parse_threads, help_heading = "Limits")]
    threads: Option<usize>,

    /// Count what passes, for Prometheus: on a page of this server, /metrics or another PATH, which
    /// whoever can connect may read; or on /metrics of another ADDR, such as 127.0.0.1:9100
    #[arg(
        long,
        value_name = "PATH|ADDR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "/metrics",
        help_heading = "Log"
    )]
    metrics: Option<Place>,

    /// Log more: -v for debugging, -vv for everything
    #[arg(short, long, action = ArgAction::Count, help_heading = "Log")]
    verbose: u8,

    /// Log less: -q for warnings and errors, -qq for errors
    #[arg(
        short,
        long,
        action = ArgAction::Count,
        conflicts_with = "verbose",
        help_heading = "Log"
    )]
    quiet: u8,

    /// How the log is written
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Log")]
    log_format: Format,
}

/// Runs the server until a signal ends it.
pub(crate) fn run(args: Args) -> ExitCode {
    let steps = i32::from(args.verbose) - i32::from(args.quiet);
    log::start(log::level(LevelFilter::INFO, steps), args.log_format);
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not by the log, which may be quiet.
            let _ = writeln!(io::stderr(), "error: {}", neutralise(&error.to_string()));
            if let Some(tip) = error.tip() {
                let _ = writeln!(io::stderr(), "  tip: {tip}");
            }
            match error {
                ServeError::Auth(AuthError::Arguments(_)) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn serve(args: Args) -> Result<(), ServeError> {
    descriptors::raise();
    let config = args.quotas.limit(LoopConfig {
        protocol: Arc::new(Config {
            frame_size_max: args.max_message,
            message_size_max: args.max_message,
            ping_interval: args.ping_interval.timer(),
            pong_timeout: args.pong_timeout.timer().unwrap_or(Time::MAX),
            idle_timeout: args.idle_timeout.timer(),
            compression: args.compression.settings(),
            message_timeout: args.quotas.message_timeout.timer(),
            ..Config::default()
        }),
        ..LoopConfig::default()
    });
    let guard = args.admission.guard().map_err(ServeError::Auth)?;
    let threads = args.threads.unwrap_or_else(Threads::cores);
    let mut server = Threads::new(threads, config).map_err(ServeError::Loop)?;
    let remote = server.remote();
    let metrics = remote.metrics();
    // Before anyone can know that there is someone to send a signal to.
    signal::on_first(move || {
        // A loop that is gone needs no end.
        let _ = remote.shutdown();
    })
    .map_err(ServeError::Loop)?;
    let (page, pages) = match &args.metrics {
        None => (None, None),
        Some(Place::Path(path)) => (Some(metrics::Page::new(path, metrics)), None),
        Some(Place::Address(address)) => {
            let pages = metrics::Server::start(address, metrics);
            let pages = pages.map_err(|error| ServeError::Listen {
                address: Endpoint::Tcp(address.clone()),
                error,
            })?;
            (None, Some(pages))
        }
    };
    let (url, self_signed) = listen(&mut server, &args)?;
    // Whoever started us may not care to read this.
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "listening on {url}").and_then(|()| stdout.flush());
    if let Some(pages) = &pages {
        let _ = writeln!(stdout, "metrics on {pages}").and_then(|()| stdout.flush());
    }
    let echo = |_| Echo {
        is_broadcast: args.broadcast,
        subprotocols: args.subprotocol.clone(),
        guard: guard.clone(),
        metrics: page.clone(),
    };
    let ran = server.run(echo).map_err(ServeError::Loop);
    // Its file was for as long as this.
    drop(self_signed);
    ran
}

/// Listens where and how it was said; answers what to connect to.
fn listen(server: &mut Threads, args: &Args) -> Result<(String, Option<SelfSigned>), ServeError> {
    let failed = |error| ServeError::Listen {
        address: args.address.clone(),
        error,
    };
    let address = match &args.address {
        #[cfg(unix)]
        Endpoint::Unix(_) if args.tls.is_wanted() => {
            return Err(ServeError::Tls(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a Unix socket stays on this machine, and is served without",
            )));
        }
        #[cfg(unix)]
        Endpoint::Unix(path) => {
            server.listen_unix(path).map_err(failed)?;
            return Ok((args.address.to_string(), None));
        }
        Endpoint::Tcp(address) => address,
    };
    let tls = args.tls.server(address.host()).map_err(ServeError::Tls)?;
    let Some((tls, self_signed)) = tls else {
        let address = server.listen(address).map_err(failed)?;
        return Ok((format!("ws://{address}/"), None));
    };
    let address = server.listen_tls(address, &tls).map_err(failed)?;
    if let Some(made) = &self_signed {
        let (path, port) = (made.path.display(), address.port());
        let _ = writeln!(
            io::stderr(),
            "note: the certificate is self-signed, and in {path} while the server runs\n  \
             tip: openline connect wss://localhost:{port}/ --ca {path}",
        );
    }
    Ok((format!("wss://{address}/"), self_signed))
}

/// Why there is no server, or no longer.
#[derive(Debug)]
enum ServeError {
    Auth(AuthError),
    Listen { address: Endpoint, error: io::Error },
    Tls(io::Error),
    Loop(io::Error),
}

impl ServeError {
    /// What to do about it.
    fn tip(&self) -> Option<&'static str> {
        let error = match self {
            Self::Auth(error) => return error.tip(),
            Self::Listen { error, .. } => error,
            Self::Tls(_) | Self::Loop(_) => return None,
        };
        match error.kind() {
            io::ErrorKind::AddrInUse => Some(
                "stop the program that listens there, or choose another port; 0 takes a free one",
            ),
            io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 often need privileges: choose a higher one")
            }
            io::ErrorKind::AddrNotAvailable => {
                Some("this machine does not have that address; 127.0.0.1 and [::1] are its own")
            }
            _ => None,
        }
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auth(error) => error.fmt(f),
            Self::Listen { address, error } => match error.kind() {
                io::ErrorKind::AddrInUse => write!(f, "{address} is in use already"),
                _ => write!(f, "cannot listen at {address}: {error}"),
            },
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Loop(error) => write!(f, "the event loop failed: {error}"),
        }
    }
}

impl Error for ServeError {}

/// The topic of everyone, where each message goes to all.
const EVERYONE: &str = "everyone";

/// Sends every message back, or to everyone.
struct Echo {
    is_broadcast: bool,
    subprotocols: Vec<String>,
    guard: Guard,
    metrics: Option<metrics::Page>,
}

impl Handler for Echo {
    type Connection = ();

    fn request(
        &mut self,
        request: &Request<'_>,
        asking: &Asking<'_>,
    ) -> Result<Decision<()>, Refusal> {
        self.guard.admit(request, asking)?;
        let is_offered = |name: &&String| request.subprotocols().any(|offer| offer == *name);
        let acceptance = Acceptance {
            subprotocol: self.subprotocols.iter().find(is_offered).cloned(),
            ..Acceptance::default()
        };
        Ok(Decision::Accept(acceptance, ()))
    }

    fn page(&mut self, request: &Request<'_>, _: &Asking<'_>) -> Option<Page> {
        self.metrics.as_ref()?.answer(request)
    }

    fn open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        if self.is_broadcast {
            let subscribed = peer.subscribe(EVERYONE);
            subscribed.expect("one subscription with a short name is within the limits");
        }
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        let prepared = match message {
            Message::Text(text) if self.is_broadcast => Prepared::text(text),
            Message::Binary(data) if self.is_broadcast => Prepared::binary(data),
            // Messages come whole where they go to everyone.
            _ => return peer.send(message),
        };
        peer.publish(EVERYONE, &prepared);
        Ok(())
    }
}

fn parse_subprotocol(name: &str) -> Result<String, &'static str> {
    // RFC 9110 §5.6.2: what a token is made of.
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    match !name.is_empty() && name.chars().all(is_token) {
        true => Ok(name.to_owned()),
        false => Err("the name of a subprotocol is made of letters, digits and !#$%&'*+-.^_`|~"),
    }
}
