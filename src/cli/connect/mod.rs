//! `openline connect`: a client for people at a prompt and for scripts in a pipe.

mod command;
mod display;
mod input;
mod outbox;
mod prompt;
mod session;
mod verdict;
mod way;

use std::io::{self, IsTerminal};
use std::sync::{Arc, PoisonError};
use std::thread;

use clap::ArgAction;
use openline::net::{ConnectOptions, EventLoop, LoopConfig};
use openline::proto::{ClientRequest, CloseCode, Config, Url};
use tracing::level_filters::LevelFilter;

use crate::cli::compression::Compression;
use crate::cli::connect::command::parse_close;
use crate::cli::connect::display::Display;
use crate::cli::connect::input::{Failure, Plan, Sender};
use crate::cli::connect::outbox::Outbox;
use crate::cli::connect::prompt::{Prompt, Terminal};
use crate::cli::connect::session::Session;
use crate::cli::connect::way::WayArgs;
use crate::cli::failure::refuse;
use crate::cli::log::{self, Format};
use crate::cli::request::RequestArgs;
use crate::cli::signal;
use crate::cli::tls;
use crate::cli::values::{Time, parse_size, parse_url};

pub(crate) use crate::cli::connect::verdict::Exit;

const AFTER_HELP: &str = "\
At a terminal it is a prompt: a line is sent as a text message, what arrives appears above, and \
/help lists the commands. Control characters of the peer are shown escaped.

In a pipe it is a filter: each line of standard input is sent as a message, without its line \
feed, and each message that arrives is written to standard output as it is, text or binary, with \
a line feed behind it. After the end of the input it asks by a ping whether all has been read, \
waits until nothing has come for --wait, and closes.

Without --proxy and --no-proxy it is the environment that names one, as for curl: for wss:// by \
wss_proxy, https_proxy or all_proxy, for ws:// by ws_proxy, http_proxy or all_proxy, or the same in \
capitals, but for HTTP_PROXY. no_proxy lists exceptions, with commas between: names and all below \
them, HOST:PORT, addresses, networks such as 10.0.0.0/8, or *; this machine is one only if listed. \
The proxy looks the server's name up, and TLS goes from end to end.

Exit codes:
  0  closed cleanly: by us, or by the server with 1000, 1001 or no code
  1  an error on this side: input, output, or what this build cannot do
  2  an argument that cannot be
  3  no connection, or it ended before the server answered
  4  the server refused the handshake; its status is shown
  5  the server broke the protocol, or sent more than --max-message
  6  the connection ended without a Close frame, or the server stopped answering
  7  the server closed with any other code
  8  TLS failed: the server's certificate is not to be trusted, or it wants one of ours

Examples:
  openline connect ws://127.0.0.1:9001/
  openline connect wss://example.com/ --reconnect --proxy socks5://127.0.0.1:1080
  openline connect ws://localhost/ --unix /run/openline.sock
  printf 'one\\ntwo\\n' | openline connect ws://127.0.0.1:9001/
  openline connect ws://127.0.0.1:9001/ --wait never < /dev/null
  openline connect ws://127.0.0.1:9001/ --compress -v
  openline connect ws://127.0.0.1:9001/ --json < requests | jq -r 'select(.event == \"text\").text'
  openline connect wss://localhost:9001/ --ca ca.pem --cert me.pem --key me.key
  OPENLINE_BEARER=secret openline connect ws://127.0.0.1:9001/ --subprotocol chat.v1";

/// Connect to a WebSocket server: a prompt at a terminal, a filter in a pipe
#[derive(Debug, clap::Args)]
#[command(
    after_help = "See 'openline connect --help' for exit codes and examples.",
    after_long_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// Where to connect: ws://HOST[:PORT]/PATH?QUERY, or wss:// for TLS. User information becomes Basic
    /// authentication
    #[arg(value_name = "URL", value_parser = parse_url)]
    url: Url,

    #[command(flatten)]
    request: RequestArgs,

    #[command(flatten)]
    way: WayArgs,

    #[command(flatten)]
    tls: tls::ClientArgs,

    #[command(flatten)]
    compression: Compression,

    /// Send the lines of the input, or what is typed, as binary messages
    #[arg(long, help_heading = "Messages")]
    binary: bool,

    /// The largest message to receive and the longest line to send
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16M",
        value_parser = parse_size,
        help_heading = "Messages"
    )]
    max_message: u64,

    /// Ping after this long without a word from the server; `0` or `never` for never
    #[arg(
        long,
        value_name = "TIME",
        default_value = "25s",
        help_heading = "Messages"
    )]
    ping_interval: Time,

    /// After the end of the input, close when nothing has come for this long; `0` closes at once,
    /// `never` leaves it to the server
    #[arg(
        long,
        value_name = "TIME",
        default_value = "500ms",
        help_heading = "Closing"
    )]
    wait: Time,

    /// What to say when closing, instead of 1000
    #[arg(
        long,
        value_names = ["CODE", "REASON"],
        num_args = 1..=2,
        value_parser = parse_close_word,
        help_heading = "Closing"
    )]
    close: Vec<String>,

    /// Write every event as a line of JSON: open, text, binary, ping, pong, close, refused
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// Show the server's answer, pings, pongs and the end on standard error; -vv logs as well
    #[arg(short, long, action = ArgAction::Count, help_heading = "Output")]
    verbose: u8,
}

/// Runs the client until its connection has ended.
pub(crate) fn run(args: &Args) -> Exit {
    let (request, close) = match request(args) {
        Ok(made) => made,
        Err(error) => {
            refuse("connect", &error);
            return Exit::Usage;
        }
    };
    log::start(
        match args.verbose {
            0 | 1 => LevelFilter::WARN,
            2 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        },
        Format::Text,
    );
    let plan = Plan {
        is_binary: args.binary,
        line_max: args.max_message,
        wait: args.wait,
        close,
    };
    match connect(args, request, plan) {
        Ok(exit) => exit,
        Err(Stop(exit, error)) => {
            Display::stdout(false, false).error(&error, None);
            exit
        }
    }
}

fn request(args: &Args) -> Result<(ClientRequest, (CloseCode, String)), String> {
    let close = match args.close.as_slice() {
        [] => (CloseCode::NORMAL, String::new()),
        [code, reason @ ..] => {
            let reason = reason.first().map_or("", String::as_str);
            parse_close(code, reason).map_err(|error| format!("--close: {error}"))?
        }
    };
    Ok((args.request.whole(&args.url)?, close))
}

/// What keeps the loop from running, in words.
struct Stop(Exit, String);

fn connect(args: &Args, request: ClientRequest, plan: Plan) -> Result<Exit, Stop> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| Stop(Exit::Failure, format!("{what}: {error}"))
    };
    let is_verbose = args.verbose > 0;
    let is_prompt = !args.json && io::stdin().is_terminal() && io::stdout().is_terminal();
    let terminal = is_prompt.then(Terminal::remember);
    let (prompt, mut display) = match is_prompt {
        true => {
            let made = Prompt::new().map_err(io::Error::other);
            let (prompt, printer) = made.map_err(failed("there is no prompt"))?;
            (Some(prompt), Display::prompt(printer, is_verbose))
        }
        false => (None, Display::stdout(args.json, is_verbose)),
    };
    if args.tls.is_insecure() && args.url.is_secure() {
        display.warn(tls::UNVERIFIED);
    }
    let config = LoopConfig {
        protocol: Arc::new(Config {
            frame_size_max: args.max_message,
            message_size_max: args.max_message,
            ping_interval: args.ping_interval.timer(),
            compression: args.compression.settings(),
            ..Config::default()
        }),
        ..LoopConfig::default()
    };
    let outbox = Arc::new(Outbox::default());
    let mut session = Session::new(args.url.to_string(), display, Arc::clone(&outbox));
    session.reconnects = args.way.reconnects();
    let way = args.way.options(&args.url);
    let (way, proxy) = way.map_err(|error| Stop(Exit::Usage, error))?;
    if is_verbose && let Some(proxy) = &proxy {
        session.display.note(&format!("through {proxy}"));
    }
    session.proxy = proxy;
    let mut event_loop = EventLoop::new(session, config).map_err(failed("no event loop"))?;
    let remote = event_loop.remote();
    let failure = Failure::default();
    let input = {
        let (remote, failure) = (remote.clone(), Arc::clone(&failure));
        move |line| {
            let sender = Sender {
                outbox,
                remote,
                line,
            };
            let input = move || match prompt {
                Some(prompt) => prompt.run(&sender, &plan),
                None => input::run(io::stdin().lock(), &sender, &plan, &failure),
            };
            let input = thread::Builder::new().name("input".to_owned()).spawn(input);
            input.map(|_| ())
        }
    };
    let tls = args.tls.client().map_err(io::Error::from);
    let options = ConnectOptions {
        tls: tls.map_err(failed("TLS"))?,
        ..way
    };
    event_loop
        .connect_with(request, &options, Some(Box::new(input)))
        .map_err(|error| {
            let exit = match error.kind() {
                io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput => Exit::Failure,
                _ => Exit::Connect,
            };
            Stop(exit, format!("could not connect to {}: {error}", args.url))
        })?;
    signal::on_first(move || {
        // A loop that is gone needs no end.
        let _ = remote.shutdown();
    })
    .map_err(failed("signals cannot be handled"))?;
    let ran = event_loop.run();
    if let Some(terminal) = terminal {
        terminal.restore();
    }
    ran.map_err(failed("the event loop failed"))?;
    let failure = failure
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    match failure {
        Some(error) => Err(Stop(Exit::Failure, error.to_string())),
        None => Ok(event_loop.handler().exit()),
    }
}

/// Options that take one or two values would take the URL for the second.
fn parse_close_word(word: &str) -> Result<String, &'static str> {
    match word.starts_with("ws://") || word.starts_with("wss://") {
        true => Err("this is taken for the reason: put the URL before --close"),
        false => Ok(word.to_owned()),
    }
}
