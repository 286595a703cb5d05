//! Echo servers of the peers, one thread each.
//!
//! All speak over the same sockets, and but for `handshakes` and `compressed` have the same opening
//! handshake, which none of them is measured by: what differs is how messages are read and written.
//! Those that know tokio run on it, tungstenite itself on mio.

mod broadcast;
mod head;
mod names;
mod opening;
mod polled;
mod secure;
mod servers;
mod settings;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;

use broadcast::Hub;
use servers::Served;

const USAGE: &str = "\
usage: echo MODE                      the names of those that can
       echo echo NAME PORT            sends every message back
       echo tls NAME PORT CERT KEY    the same over TLS, with these PEM files
       echo handshakes NAME PORT      the same, opened by each peer's own code
       echo broadcast NAME PORT       sends to everyone what one sends
       echo compressed NAME PORT LEVEL  echoes with compression: 1 to 9";

/// What a server does.
#[derive(Clone)]
enum Mode {
    Echo,
    Tls(TlsAcceptor),
    Handshakes,
    Broadcast(Hub),
    Compressed(yawc::Options),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let [mode, more @ ..] = arguments else {
        return Err(USAGE.into());
    };
    let names = names::of(mode).ok_or(USAGE)?;
    let [name, port, more @ ..] = more else {
        println!("{}", names.join("\n"));
        return Ok(());
    };
    if !names.contains(name) {
        return Err(format!("{mode}: {name} is none of {}", names.join(", ")).into());
    }
    let mode = match (*mode, more) {
        ("echo", []) if *name == "tungstenite" => return Ok(polled::serve(port.parse()?)?),
        ("echo", []) => Mode::Echo,
        ("tls", [certificate, key]) => {
            Mode::Tls(secure::acceptor(certificate.as_ref(), key.as_ref())?)
        }
        ("handshakes", []) => Mode::Handshakes,
        ("broadcast", []) => Mode::Broadcast(Hub::new(name)),
        ("compressed", [level]) => Mode::Compressed(settings::yawc_compressed(level.parse()?)),
        _ => return Err(USAGE.into()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, listen((*name).to_owned(), port.parse()?, mode))
}

async fn listen(name: String, port: u16, mode: Mode) -> Served {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (name, mode) = (name.clone(), mode.clone());
        spawn_local(async move {
            // How a connection ends is the generator's to judge.
            let _ = serve(&name, stream, mode).await;
        });
    }
}

async fn serve(name: &str, stream: TcpStream, mode: Mode) -> Served {
    match mode {
        Mode::Echo => servers::serve(name, head::shake_hands(stream).await?).await,
        Mode::Tls(acceptor) => {
            let stream = acceptor.accept(stream).await?;
            servers::serve(name, head::shake_hands(stream).await?).await
        }
        Mode::Handshakes => opening::serve(name, stream).await,
        Mode::Broadcast(hub) => hub.serve(head::shake_hands(stream).await?).await,
        Mode::Compressed(options) => opening::yawc(stream, options).await,
    }
}
