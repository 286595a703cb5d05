//! `openline demo`: one server with a page that shows a WebSocket and the wire beneath it.

mod page;
mod peer;
mod room;
mod server;
mod stage;
mod wires;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::ArgAction;
use openline::net::{EventLoop, LoopConfig};
use tracing::level_filters::LevelFilter;

use crate::cli::address::Address;
use crate::cli::demo::server::Demo;
use crate::cli::demo::stage::{Stage, TICK};
use crate::cli::log::{self, Format};
use crate::cli::signal;
use crate::cli::terminal::neutralise;

const AFTER_HELP: &str = "\
Open the address that it prints in a browser. The page has a chat between a customer and an agent \
(open it twice to be both; alone, an automatic agent answers), who is present and who is typing, \
notifications, the server's own figures as they change, and beneath, as it happens, the wire: the \
opening handshake with its key and accept derived step by step, every frame of the tab's \
connection drawn bit by bit, pings, and the closing handshake. Buttons send what a page cannot \
send: fragments, pings, and frames that break the protocol. Beside it the same events are fetched \
by polling, with what each way costs.

Nothing is stored and nothing leaves this machine. Ctrl-C ends it.

Examples:
  openline demo
  openline demo :8080        on every interface, for a phone on the same network";

/// Show a WebSocket and the wire beneath it, in a browser
#[derive(Debug, clap::Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Where to listen: HOST:PORT, HOST, PORT (this machine only) or :PORT (every interface);
    /// port 0 takes a free one
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:9002")]
    address: Address,

    /// Log more: -v for each connection, -vv for everything
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

/// Serves the page until a signal ends it.
pub(crate) fn run(args: &Args) -> ExitCode {
    let level = log::level(LevelFilter::WARN, args.verbose.into());
    log::start(level, Format::Text);
    match serve(&args.address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = error.to_string();
            let _ = writeln!(
                io::stderr(),
                "error: cannot serve at {}: {}\n  tip: choose another port; 0 takes a free one",
                args.address,
                neutralise(&error)
            );
            ExitCode::FAILURE
        }
    }
}

fn serve(address: &Address) -> io::Result<()> {
    let stage = Arc::new(Stage::new());
    let mut server = EventLoop::new(Demo::new(Arc::clone(&stage)), LoopConfig::default())?;
    let remote = server.remote();
    signal::on_first({
        let remote = remote.clone();
        move || {
            // A loop that is gone needs no end.
            let _ = remote.shutdown();
        }
    })?;
    let address = server.listen(address)?;
    stage.begin(address, remote);
    thread::Builder::new().name("clock".to_owned()).spawn({
        let stage = Arc::downgrade(&stage);
        move || {
            while let Some(stage) = stage.upgrade() {
                stage.tick();
                drop(stage);
                thread::sleep(TICK);
            }
        }
    })?;
    // Whoever started us may not care to read this.
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "open http://{address}/ in a browser").and_then(|()| stdout.flush());
    server.run()
}
