//! The loop's ruler: an echo server's CPU time a message as a ratio to a bare TCP echo's, and
//! the memory of idle connections. Linux only; it talks to itself over loopback.

mod compare;
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

use std::error::Error;

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
        /// How often each server is measured on each load.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// Milliseconds of one measurement.
        #[arg(long, default_value_t = 300)]
        window: u64,
        /// Only these loads: CONNECTIONS,IN-FLIGHT,BYTES.
        #[arg(long)]
        load: Vec<load::Load>,
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
        Task::Compare {
            rounds,
            window,
            load,
            common,
        } => compare::run(rounds.max(1), window, load, common),
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
        Task::OpenlineTls { port } => {
            let echo = |peer: &mut Peer<'_>, message: Message<'_>| peer.send(message);
            let mut server = EventLoop::new(echo, LoopConfig::default())?;
            server.listen_tls(("127.0.0.1", port), secure::certificate()?)?;
            Ok(server.run()?)
        }
    }
}
