//! `openline bench`: a load for a server, and what it makes of it.

mod conduct;
mod generator;
mod payload;
mod plan;
mod process;
mod progress;
mod publications;
mod report;
mod shared;
mod size;
mod tally;
mod worker;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openline::net::{ConnectOptions, LoopConfig};
use openline::proto::{ClientRequest, CloseCode, Config, Url};
use tracing::level_filters::LevelFilter;

use crate::cli::bench::payload::Pattern;
use crate::cli::bench::plan::{Mode, Plan};
use crate::cli::bench::process::Process;
use crate::cli::bench::progress::Progress;
use crate::cli::bench::report::Report;
use crate::cli::bench::shared::Shared;
use crate::cli::bench::size::Sizes;
use crate::cli::compression::Compression;
use crate::cli::connect::Exit;
use crate::cli::descriptors;
use crate::cli::failure::{fail, refuse};
use crate::cli::log::{self, Format};
use crate::cli::signal;
use crate::cli::terminal::neutralise_json;
use crate::cli::tls;
use crate::cli::values::{Time, parse_header, parse_threads, parse_url};

const AFTER_HELP: &str = "\
The server is to send every message back. Each echo is compared with what was sent; the first that \
differs ends the run.

Without --rate the loop is closed: a message leaves when an echo comes, so that what is measured \
is how much the server can do. With --rate messages leave by a schedule, and a latency counts from \
when a message was to leave, whether or not it could (no coordinated omission): what a user waits \
at that load.

--broadcast measures a server that sends to everyone what one sends, as 'openline serve \
--broadcast' does: the first connection publishes, and all of them, itself included, are to get it. \
--idle opens connections and holds them. --handshakes opens connections, closes them, and opens \
others.

Load only servers that are yours. Ctrl-C ends the measurement and reports; a second one ends at \
once.

With --json an object is written at the end, with these keys: verdict (ok, wrong-answer, \
no-connection, stalled, connections-lost, unanswered, interrupted), mode, url, connections, \
threads, in_flight, rate, size, kind, opened, opening_seconds, compressed (connections that \
agreed), seconds, messages (echoes, deliveries or handshakes within the measured time), \
messages_per_second, bytes (of their payloads), bytes_per_second, publications, latency_us (min, \
mean, max, p50, p75, p90, p99, p99.9, p99.99; of all that was to leave within the measured time), \
unanswered, behind (due and not sent), failed_to_open, lost, failures (stage, verdict, by, count, \
said), stalled, fault, server (cpu_us_per_message, cores that it kept busy, resident_bytes, \
bytes_per_connection), generator_cores. What there is nothing to say of is null.

A server is saturated when, with --pid, it has all of the cores that it may use; if the generator \
has all of its own first, that is what is measured: add --threads.

Exit codes:
  0  every message was answered, and every connection held
  1  an error on this side, or interrupted before there was a connection
  2  an argument that cannot be
  3  no connection could be opened
  4  the server refused every handshake
  5  an answer was not what was sent
  6  connections were lost or refused, broke the protocol, or the server stopped answering; figures are
     given
  8  TLS failed

Examples:
  openline bench ws://127.0.0.1:9001/
  openline bench ws://127.0.0.1:9001/ -c 500 --size 1k --duration 30s
  openline bench ws://127.0.0.1:9001/ -c 4 --in-flight 2048 --size 20 --threads 2
  openline bench ws://127.0.0.1:9001/ --rate 20000 --size 20:90,1k:9,64k:1 --text
  openline bench ws://127.0.0.1:9001/ -c 10000 --ramp 5s --idle --pid $(pidof server)
  openline bench ws://127.0.0.1:9001/ -c 1000 --broadcast --in-flight 8
  openline bench wss://localhost:9001/ --ca ca.pem --handshakes --json | jq .latency_us";

/// Put a load on a WebSocket server: messages a second, latencies, memory
#[derive(Debug, clap::Args)]
#[command(
    after_help = "See 'openline bench --help' for what is measured, exit codes and examples.",
    after_long_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// The server: ws://HOST[:PORT]/PATH, or wss:// for TLS
    #[arg(value_name = "URL", value_parser = parse_url)]
    url: Url,

    /// How many connections
    #[arg(short, long, value_name = "COUNT", default_value = "64", value_parser = parse_count)]
    connections: usize,

    /// The most messages of each connection that wait for their echoes; the most publications, with
    /// --broadcast [default: 1, and 64 with --rate]
    #[arg(long, value_name = "COUNT", value_parser = parse_count, conflicts_with_all = ["idle", "handshakes"])]
    in_flight: Option<usize>,

    /// The size of messages: 125, or 16-4k (between), or 20:90,1k:9,64k:1 (with weights)
    #[arg(long, value_name = "SIZE", default_value = "125", conflicts_with_all = ["idle", "handshakes"])]
    size: Sizes,

    /// Send text messages instead of binary ones
    #[arg(long, conflicts_with_all = ["idle", "handshakes"])]
    text: bool,

    /// Send so many messages a second, over all connections [default: as fast as they are answered]
    #[arg(long, value_name = "NUMBER", value_parser = parse_rate, conflicts_with_all = ["idle", "handshakes"])]
    rate: Option<f64>,

    /// Open the connections evenly over this time
    #[arg(long, value_name = "TIME", default_value = "0", help_heading = "Time")]
    ramp: Time,

    /// From when all connections are open to when it counts
    #[arg(long, value_name = "TIME", default_value = "1s", help_heading = "Time")]
    warm_up: Time,

    /// How long it counts
    #[arg(
        short,
        long,
        value_name = "TIME",
        default_value = "10s",
        help_heading = "Time"
    )]
    duration: Time,

    /// Give up when nothing has been answered for this long
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10s",
        help_heading = "Time"
    )]
    timeout: Time,

    /// Hold the connections open and send nothing
    #[arg(long, conflicts_with_all = ["broadcast", "handshakes"], help_heading = "Mode")]
    idle: bool,

    /// Have one connection publish, and all receive
    #[arg(long, conflicts_with_all = ["handshakes", "threads"], help_heading = "Mode")]
    broadcast: bool,

    /// Open and close connections, so many at once
    #[arg(long, help_heading = "Mode")]
    handshakes: bool,

    /// The server's process on this machine: its CPU time and memory are reported (Linux)
    #[arg(long, value_name = "PID", help_heading = "Mode")]
    pid: Option<u32>,

    /// Generate with this many threads, each with connections of its own
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = parse_threads, help_heading = "Generator")]
    threads: usize,

    /// Never sleep: latencies are not those of waking up; each thread keeps a core busy
    #[arg(long, help_heading = "Generator")]
    spin: bool,

    /// Add a header field to the request (repeatable)
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header, help_heading = "Connection")]
    header: Vec<(String, String)>,

    /// Connect to this Unix socket, whatever host the URL names
    #[cfg(unix)]
    #[arg(long, value_name = "PATH", help_heading = "Connection")]
    unix: Option<PathBuf>,

    #[command(flatten)]
    tls: tls::ClientArgs,

    #[command(flatten)]
    compression: Compression,

    /// Write the result as JSON, and show no progress
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Runs the load to its end.
pub(crate) fn run(args: &Args) -> Exit {
    let request = match request(args) {
        Ok(request) => request,
        Err(error) => {
            refuse("bench", &error);
            return Exit::Usage;
        }
    };
    log::start(LevelFilter::ERROR, Format::Text);
    match measure(args, request) {
        Ok(exit) => exit,
        Err(error) => {
            fail(&error);
            Exit::Failure
        }
    }
}

fn request(args: &Args) -> Result<ClientRequest, String> {
    if args.duration.timer().is_none() {
        return Err("--duration: a measurement takes some time, and not for ever".to_owned());
    }
    if args.broadcast && args.connections < 2 {
        return Err("--broadcast: with one connection there is nobody to send to".to_owned());
    }
    let mut request = ClientRequest::new(args.url.clone());
    for (name, value) in &args.header {
        let added = request.header(name, value);
        request = added.map_err(|error| format!("--header {name}: {error}"))?;
    }
    Ok(request)
}

fn measure(args: &Args, request: ClientRequest) -> Result<Exit, String> {
    descriptors::raise();
    let process = args.pid.map(Process);
    if let Some(process) = process {
        process
            .resident()
            .map_err(|error| format!("--pid {}: {error}", process.0))?;
    }
    let plan = Arc::new(plan(args, request)?);
    let shared = Arc::new(Shared::new(plan.threads));
    let on_signal = Arc::clone(&shared);
    signal::on_first(move || on_signal.end())
        .map_err(|error| format!("signals cannot be handled: {error}"))?;
    let progress = Progress::new(plan.mode, !args.json && io::stderr().is_terminal());
    let ran = conduct::run(&plan, &shared, &config(args, &plan), process, &progress);
    progress.finish();
    let outcome = ran.map_err(|error| format!("the load cannot go on: {error}"))?;
    let report = Report {
        plan: &plan,
        is_text: args.text,
        wants_compression: args.compression.settings().is_some(),
        outcome: &outcome,
    };
    let text = match args.json {
        true => format!("{}\n", neutralise_json(&report.json().to_string())),
        false => report.text(),
    };
    let mut stdout = io::stdout();
    let written = stdout.write_all(text.as_bytes());
    let written = written.and_then(|()| stdout.flush());
    written.map_err(|error| format!("the result cannot be written: {error}"))?;
    Ok(report.verdict().1)
}

fn plan(args: &Args, request: ClientRequest) -> Result<Plan, String> {
    let mode = match (args.broadcast, args.idle, args.handshakes) {
        (true, ..) => Mode::Broadcast,
        (_, true, _) => Mode::Idle,
        (.., true) => Mode::Handshakes,
        _ => Mode::Echo,
    };
    let senders = if args.broadcast { 1 } else { args.connections };
    let interval = args.rate.map(|rate| senders as f64 / rate);
    let interval = interval.map(Duration::try_from_secs_f64).transpose();
    let interval = interval.map_err(|_| "--rate: that is too slow".to_owned())?;
    let default_in_flight = if interval.is_some() { 64 } else { 1 };
    let span = |time: Time| time.timer().unwrap_or_default();
    Ok(Plan {
        mode,
        options: ConnectOptions {
            tls: args.tls.connector(&args.url)?,
            #[cfg(unix)]
            unix: args.unix.clone(),
            ..ConnectOptions::default()
        },
        request,
        connections: args.connections,
        // One without a connection would have nothing to do.
        threads: args.threads.min(args.connections),
        in_flight: args.in_flight.unwrap_or(default_in_flight),
        interval: interval.map(|interval| interval.max(Duration::from_nanos(1))),
        pattern: Pattern::new(&args.size, args.text),
        sizes: args.size.clone(),
        ramp: span(args.ramp),
        warm_up: span(args.warm_up),
        duration: span(args.duration),
        timeout: args.timeout.timer().unwrap_or(Time::MAX),
        spins: args.spin,
    })
}

fn config(args: &Args, plan: &Plan) -> LoopConfig {
    let size_max = u64::from(plan.sizes.max());
    let default = Config::default();
    // All that may be in flight may be queued, with its headers.
    let queued = (plan.sizes.max() as usize + 32).saturating_mul(plan.in_flight);
    LoopConfig {
        protocol: Arc::new(Config {
            frame_size_max: default.frame_size_max.max(size_max),
            message_size_max: default.message_size_max.max(size_max),
            send_queue_max: default.send_queue_max.max(queued.saturating_mul(2)),
            // Whether the server answers is watched otherwise.
            ping_interval: None,
            compression: args.compression.settings(),
            ..default
        }),
        shutdown_code: CloseCode::NORMAL,
        shutdown_reason: Cow::Borrowed(""),
        ..LoopConfig::default()
    }
}

fn parse_count(text: &str) -> Result<usize, &'static str> {
    let count = text.parse().ok();
    let count = count.filter(|count| (1..=1_000_000).contains(count));
    count.ok_or("a whole number from 1 to 1000000 is asked for")
}

fn parse_rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse::<f64>().ok();
    let rate = rate.filter(|rate| (1e-3..=1e9).contains(rate));
    rate.ok_or("a rate is a number of messages a second, such as 1000 or 0.5")
}
