//! The loop's ruler: an echo server's CPU time a message as a ratio to a bare TCP echo's, and
//! the memory of idle connections. Linux only; it talks to itself over loopback.

mod broadcast;
mod builtin;
mod certificate;
mod compare;
mod compressed;
mod floor;
mod handshakes;
mod hostile;
mod idle;
mod load;
mod modes;
mod network;
mod peers;
mod process;
#[path = "../../floor/quartiles.rs"]
mod quartiles;
mod raw;
mod report;
mod rounds;
mod secure;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use builtin::Builtin;
use process::Command;

const AFTER_HELP: &str = "\
Servers run on core 0, the generator on core 1; leave the machine alone meanwhile. What a server \
costs is the CPU time that the kernel counts for its process. --peers all builds and adds the \
servers of other crates that can do what is measured. --json prints a line for each figure, which \
`report` makes tables and plots of.

Examples:
  cargo run --release -- compare
  cargo run --release -- compare --peers all --json > echo.json
  cargo run --release -- compare --load 64,1,20 --rounds 500
  cargo run --release -- broadcast --peers tokio-tungstenite,yawc
  cargo run --release -- idle --tls --peers all
  cargo run --release -- report echo.json idle.json --into ../../README.md";

const SERVER_HELP: &str = "\
--server adds any echo server for WebSocket that takes a port of 127.0.0.1:
  --server 'node=node server.js {port}'
For idle --tls, {cert} and {key} stand for the PEM files to serve with; for what is compressed, \
{level} for the level.";

/// Measures what a server spends on a message, a delivery, a handshake and an idle connection,
/// beside the least that it can be and beside other crates
#[derive(Parser)]
#[command(after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// CPU time of an echo, as a ratio to a bare TCP echo's
    #[command(after_help = SERVER_HELP)]
    Compare {
        #[command(flatten)]
        comparison: Comparison,
        #[command(flatten)]
        common: Common,
    },
    /// The same with JSON that is compressed, among servers that compress; the script `compressed`
    /// starts three
    #[command(after_help = SERVER_HELP)]
    Compressed {
        /// How hard the generator tries, once for each load: 1 to 9
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=9))]
        level: u32,
        #[command(flatten)]
        comparison: Comparison,
        #[command(flatten)]
        common: Common,
    },
    /// CPU time of a delivery, where everyone gets what one sends, as a ratio to the floor's; a
    /// load is SUBSCRIBERS,PUBLICATIONS-IN-FLIGHT,BYTES
    #[command(after_help = SERVER_HELP)]
    Broadcast {
        #[command(flatten)]
        comparison: Comparison,
        #[command(flatten)]
        common: Common,
    },
    /// CPU time of a connection that is opened and closed, as a ratio to that of a server whose
    /// answers lie ready
    #[command(after_help = SERVER_HELP)]
    Handshakes {
        /// How many connections there are at a time
        #[arg(long, default_value_t = 64)]
        connections: usize,
        #[command(flatten)]
        rounds: Rounds,
        #[command(flatten)]
        common: Common,
    },
    /// Resident memory of an idle connection
    #[command(after_help = SERVER_HELP)]
    Idle {
        /// How many connections are held
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        /// Over TLS
        #[arg(long)]
        tls: bool,
        /// With compression agreed
        #[arg(long, conflicts_with = "tls")]
        compress: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Memory and latency with peers that flood the server and never read, beside one that behaves
    #[command(after_help = SERVER_HELP)]
    Flood {
        /// How many of them
        #[arg(long, default_value_t = 20)]
        peers: usize,
        /// For how long
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Memory of peers that declare a frame of a mebibyte and send nothing of it
    #[command(after_help = SERVER_HELP)]
    Claim {
        /// How many of them
        #[arg(long, default_value_t = 500)]
        peers: usize,
        #[command(flatten)]
        common: Common,
    },
    /// Tables and plots of what the others, and benches/peers, printed with --json
    Report(report::Arguments),
    /// One of this program's own servers, by itself
    Serve {
        server: Builtin,
        port: u16,
        /// For TLS: the certificate, a PEM file
        #[arg(requires = "key")]
        certificate: Option<PathBuf>,
        /// And its key
        key: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Comparison {
    #[command(flatten)]
    rounds: Rounds,
    /// Only these loads: CONNECTIONS,IN-FLIGHT,BYTES (repeatable)
    #[arg(long)]
    load: Vec<load::Load>,
}

#[derive(Args)]
struct Rounds {
    /// How many rounds are to be kept; odd ones are dropped and measured again, up to four times as
    /// many in all [default: 90; 25 of broadcasts]
    #[arg(long)]
    rounds: Option<usize>,
    /// Milliseconds of one measurement: in the same time many short ones tell more than few long
    /// ones [default: 50; 300 of broadcasts]
    #[arg(long)]
    window: Option<u64>,
}

#[derive(Args)]
struct Common {
    /// Another server: NAME=COMMAND, in which {port} stands for the port to listen on (repeatable)
    #[arg(long)]
    server: Vec<Command>,
    /// These of the peers in benches/peers, which are built first: tokio-tungstenite,fastwebsockets
    /// and so on, or all
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Print a line of JSON for each figure instead of tables
    #[arg(long)]
    json: bool,
}

impl Common {
    /// All servers that were asked for besides our own, in that mode of the peers.
    fn servers(&self, mode: &str) -> Result<Vec<Command>, Box<dyn Error>> {
        let mut servers = peers::commands(&self.peers, mode)?;
        servers.extend(self.server.iter().cloned());
        Ok(servers)
    }
}

impl Rounds {
    fn settings(&self, json: bool) -> rounds::Settings {
        self.settings_or(90, 50, json)
    }

    /// With as many rounds, and windows of as many milliseconds, if nothing was said of them.
    fn settings_or(&self, rounds: usize, window: u64, json: bool) -> rounds::Settings {
        rounds::Settings {
            rounds: self.rounds.unwrap_or(rounds).max(1),
            window: Duration::from_millis(self.window.unwrap_or(window)),
            json,
        }
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), Box<dyn Error>> {
    match task {
        Task::Compare { comparison, common } => {
            let settings = comparison.rounds.settings(common.json);
            compare::run(&settings, comparison.load, common.servers("echo")?)
        }
        Task::Compressed {
            level,
            comparison,
            common,
        } => {
            let settings = comparison.rounds.settings(common.json);
            let others = common.servers("compressed")?;
            compressed::run(&settings, level, comparison.load, others)
        }
        Task::Broadcast { comparison, common } => {
            // A publication takes milliseconds, and several are to be under way most of the time.
            let settings = comparison.rounds.settings_or(25, 300, common.json);
            broadcast::run(&settings, comparison.load, common.servers("broadcast")?)
        }
        Task::Handshakes {
            connections,
            rounds,
            common,
        } => {
            let settings = rounds.settings(common.json);
            handshakes::run(&settings, connections.max(1), common.servers("handshakes")?)
        }
        Task::Idle {
            connections,
            tls: true,
            common,
            ..
        } => secure::run(connections.max(1), common),
        Task::Idle {
            connections,
            compress,
            common,
            ..
        } => idle::run(connections.max(1), compress.then_some(6), common),
        Task::Flood {
            peers,
            seconds,
            common,
        } => hostile::flood(peers, seconds, common),
        Task::Claim { peers, common } => hostile::claim(peers.max(1), common),
        Task::Report(arguments) => report::run(&arguments),
        Task::Serve {
            server,
            port,
            certificate,
            key,
        } => server.serve(port, certificate.zip(key)),
    }
}
