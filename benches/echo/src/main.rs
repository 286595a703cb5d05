//! The loop's ruler: an echo server's CPU time a message as a ratio to a bare TCP echo's, and
//! the memory of idle connections. Linux only; it talks to itself over loopback.

mod compare;
mod compressed;
mod floor;
mod hostile;
mod idle;
mod load;
mod peers;
mod process;
#[path = "../../floor/quartiles.rs"]
mod quartiles;
mod raw;
mod secure;
mod yawc;

use std::error::Error;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use openline::net::{EventLoop, LoopConfig, Message, Peer};

use process::Command;

/// Measures what an echo server spends on a message, and on an idle connection.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// CPU time a message, as a ratio to a bare TCP echo.
    Compare {
        #[command(flatten)]
        comparison: Comparison,
        #[command(flatten)]
        common: Common,
    },
    /// The same with JSON that is compressed, among servers that compress; the script `compressed`
    /// starts three.
    Compressed {
        /// How hard the generator tries, once for each load: 1 to 9.
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=9))]
        level: u32,
        #[command(flatten)]
        comparison: Comparison,
        #[command(flatten)]
        common: Common,
    },
    /// Resident memory of an idle connection.
    Idle {
        /// How many connections are held.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        /// Over TLS.
        #[arg(long)]
        tls: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Peers that flood the server and never read, beside one that behaves.
    Flood {
        /// How many of them.
        #[arg(long, default_value_t = 20)]
        peers: usize,
        /// For how long.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Peers that declare a frame of a mebibyte and send nothing of it.
    Claim {
        /// How many of them.
        #[arg(long, default_value_t = 500)]
        peers: usize,
        #[command(flatten)]
        common: Common,
    },
    /// The bare TCP echo, by itself.
    Raw { port: u16 },
    /// The least that an echo server for WebSocket can do, by itself.
    Floor { port: u16 },
    /// openline's echo server, by itself.
    Openline { port: u16 },
    /// The same over TLS, with a certificate made for the occasion.
    OpenlineTls { port: u16 },
    /// yawc's echo server with compression at a level, by itself.
    Yawc { port: u16, level: u32 },
}

#[derive(Args)]
struct Comparison {
    /// How often each server is measured on each load.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Milliseconds of one measurement.
    #[arg(long, default_value_t = 300)]
    window: u64,
    /// Only these loads: CONNECTIONS,IN-FLIGHT,BYTES.
    #[arg(long)]
    load: Vec<load::Load>,
}

#[derive(Args)]
struct Common {
    /// Another WebSocket echo server: NAME=COMMAND, in which {port} stands for the port on
    /// 127.0.0.1 to listen on.
    #[arg(long)]
    server: Vec<Command>,
    /// These of the peers in benches/peers, which are built first: tokio-tungstenite,fastwebsockets
    /// and so on, or all.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

impl Common {
    /// All servers that were asked for besides our own.
    fn servers(&self) -> Result<Vec<Command>, Box<dyn Error>> {
        let mut servers = peers::commands(&self.peers)?;
        servers.extend(self.server.iter().cloned());
        Ok(servers)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().task {
        Task::Compare { comparison, common } => {
            let settings = comparison.settings(common.json);
            compare::plain(&settings, comparison.load, common.servers()?)
        }
        Task::Compressed {
            level,
            comparison,
            common,
        } => {
            let settings = comparison.settings(common.json);
            compressed::run(&settings, level, comparison.load, common.servers()?)
        }
        Task::Idle {
            connections,
            tls: true,
            common,
        } => secure::run(connections.max(1), common),
        Task::Idle {
            connections,
            tls: false,
            common,
        } => idle::run(connections.max(1), common),
        Task::Flood {
            peers,
            seconds,
            common,
        } => hostile::flood(peers, seconds, common),
        Task::Claim { peers, common } => hostile::claim(peers.max(1), common),
        Task::Raw { port } => Ok(raw::serve(port)?),
        Task::Floor { port } => Ok(floor::serve(port)?),
        Task::Openline { port } => {
            let echo = |peer: &mut Peer<'_>, message: Message<'_>| peer.send(message);
            Ok(openline::net::serve(("127.0.0.1", port), echo)?)
        }
        Task::Yawc { port, level } => yawc::serve(port, level),
        Task::OpenlineTls { port } => {
            let echo = |peer: &mut Peer<'_>, message: Message<'_>| peer.send(message);
            let mut server = EventLoop::new(echo, LoopConfig::default())?;
            server.listen_tls(("127.0.0.1", port), secure::certificate()?)?;
            Ok(server.run()?)
        }
    }
}

impl Comparison {
    fn settings(&self, json: bool) -> compare::Settings {
        compare::Settings {
            rounds: self.rounds.max(1),
            window: Duration::from_millis(self.window),
            json,
        }
    }
}
