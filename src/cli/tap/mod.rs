//! `openline tap`: a proxy between a client and a server that shows every frame.

mod inject;
mod relay;
mod rewrite;
mod rule;
mod screen;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use openline::net::{ClientTls, ServerTls};
use openline::proto::Url;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};

use crate::cli::address::Address;
use crate::cli::failure::fail;
use crate::cli::form::FormArgs;
use crate::cli::recording;
use crate::cli::signal;
use crate::cli::tap::inject::Injection;
use crate::cli::tap::relay::{Relay, Rules};
use crate::cli::tap::rule::{Counted, Rule};
use crate::cli::tap::screen::Screen;
use crate::cli::tls::{ClientArgs, ServerArgs};
use crate::cli::values::{Time, parse_url};
use crate::cli::wire::{Wire, connect};

const AFTER_HELP: &str = "\
Prints '* listening on ws://HOST:PORT/' when clients can connect; each then gets a connection of \
its own to the target. What is shown is what 'openline inspect' shows, with the seconds since the \
tap began and since the line before. Bytes pass unchanged and at once, but for the host, our own \
origin and an empty path in the request, without which most targets would refuse it; what was \
changed is said, and --keep-host changes nothing.

Rules say which frames are meant, by conditions that must all hold, with commas between:
  from=client or server       type=text, binary, continuation, close, ping, pong, data, control
  size>N, size<N, size=N      match=TEXT within the message
  connection=N                nth=N, every=N of those that fit otherwise
  or 'all'
An injection says where, what and when:
  to=client or server         type=text (or another), payload=TEXT at its end; or hex=BYTES
  after=TIME, every=TIME since the handshake; seen=TEXT: behind each message that has it
Who drops, delays or injects has each frame held until it is whole.

A recording is lines of JSON, which 'openline inspect' and 'openline replay' read.

Exit codes: 0 ended by a signal, 1 an error, 2 an argument that cannot be; with --once also 3 a \
rule of the protocol was broken.

Examples:
  openline tap 9100 ws://localhost:9001/
  openline tap 9100 wss://example.com/chat --record chat.jsonl
  openline tap 9100 wss://localhost:9001/ --ca ca.pem --tls-self-signed
  openline tap 9100 ws://localhost:9001/ --only type=data --json | jq .message.text
  openline tap 9100 ws://localhost:9001/ --drop from=server,type=pong
  openline tap 9100 ws://localhost:9001/ --delay 500ms:from=client,type=text
  openline tap 9100 ws://localhost:9001/ --inject to=client,hex=8300,after=3s";

/// Stand between a client and a server, and show every frame that passes
#[derive(Debug, clap::Args)]
#[command(
    after_help = "See 'openline tap --help' for rules, exit codes and examples.",
    after_long_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// Where to listen: HOST:PORT, HOST, PORT (this machine only) or :PORT (every interface);
    /// port 0 takes a free one
    #[arg(value_name = "LISTEN")]
    listen: Address,

    /// Where clients are passed on to: ws://HOST[:PORT]/PATH or wss://…
    #[arg(value_name = "TARGET", value_parser = parse_url)]
    target: Url,

    /// Pass the request on unchanged, host, origin and path included
    #[arg(long)]
    keep_host: bool,

    /// End with the first connection
    #[arg(long)]
    once: bool,

    /// Write what passes to a file that must not be there yet, for inspect and replay
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    record: Option<PathBuf>,

    /// Show only frames that fit a rule (repeatable; one is enough)
    #[arg(long, value_name = "RULE", help_heading = "Output")]
    only: Vec<Rule>,

    #[command(flatten)]
    form: FormArgs,

    /// Do not pass on frames that fit a rule (repeatable)
    #[arg(long, value_name = "RULE", help_heading = "Experiments")]
    drop: Vec<Rule>,

    /// Hold back frames that fit a rule, and all behind them (repeatable)
    #[arg(long, value_name = "TIME:RULE", value_parser = parse_delay, help_heading = "Experiments")]
    delay: Vec<(Duration, Rule)>,

    /// Send a frame that nobody sent (repeatable)
    #[arg(long, value_name = "INJECTION", help_heading = "Experiments")]
    inject: Vec<Injection>,

    #[command(flatten)]
    listen_tls: ServerArgs,

    #[command(flatten)]
    target_tls: ClientArgs,
}

/// What every connection needs.
struct Tap {
    target: Url,
    rules: Rules,
    screen: Arc<Screen>,
    /// How clients are met; `None`: without TLS.
    listen_tls: Option<ServerTls>,
    /// How the target is met, if that is by TLS.
    target_tls: Option<ClientTls>,
}

/// Taps until a signal ends it, or the first connection with --once.
pub(crate) fn run(args: Args) -> ExitCode {
    match tap(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

fn tap(args: Args) -> Result<u8, String> {
    let listener = listen(&args.listen)?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let recording = match &args.record {
        None => None,
        Some(path) => {
            let failed = |error: io::Error| format!("cannot write {}: {error}", path.display());
            // A recording that is there may be the only one of its kind.
            let file = OpenOptions::new().write(true).create_new(true).open(path);
            let mut file = file.map_err(failed)?;
            recording::begin(&mut file, &args.target.to_string()).map_err(failed)?;
            Some(file)
        }
    };
    let made = args.listen_tls.server(args.listen.host());
    let (listen_tls, self_signed) = match made.map_err(|error| error.to_string())? {
        Some((tls, made)) => (Some(tls), made),
        None => (None, None),
    };
    let target_tls = args.target_tls.connector(&args.target)?;
    let counted = |rules: Vec<Rule>| rules.into_iter().map(Counted::new).collect::<Vec<_>>();
    let screen = Screen::new(args.form.form(), recording, counted(args.only));
    let screen = Arc::new(screen);
    let tap = Arc::new(Tap {
        rules: Rules {
            drop: counted(args.drop),
            delay: args
                .delay
                .into_iter()
                .map(|(delay, rule)| (delay, Counted::new(rule)))
                .collect(),
            inject: args.inject,
            rewrite: (!args.keep_host).then(|| args.target.clone()),
        },
        target: args.target,
        screen: Arc::clone(&screen),
        listen_tls,
        target_tls,
    });
    let scheme = if tap.listen_tls.is_some() {
        "wss"
    } else {
        "ws"
    };
    if let Some(made) = &self_signed {
        let path = made.path.display();
        let _ = writeln!(
            io::stderr(),
            "note: the certificate is self-signed, and in {path} while the tap runs"
        );
    }
    let self_signed = Arc::new(Mutex::new(self_signed));
    {
        let (screen, self_signed) = (Arc::clone(&screen), Arc::clone(&self_signed));
        let on_signal = move || {
            screen.finish();
            // Its file goes with it, which the end of a process alone does not bring about.
            self_signed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            process::exit(0);
        };
        signal::on_first(on_signal).map_err(|error| format!("no signals: {error}"))?;
    }
    screen.listening(&format!("{scheme}://{address}/"), &tap.target.to_string());
    for connection in 1.. {
        let (client, from) = match listener.accept() {
            Ok(accepted) => accepted,
            // Of a client that has gone, or of too many at once: others may come.
            Err(error) => {
                let _ = writeln!(io::stderr(), "error: cannot accept: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        screen.opened(connection, &from.to_string(), &tap.target.to_string());
        let tapped = {
            let tap = Arc::clone(&tap);
            move || tap.connection(connection, client)
        };
        if args.once {
            tapped();
            break;
        }
        let spawned = thread::Builder::new()
            .name(format!("tap {connection}"))
            .spawn(tapped);
        if let Err(error) = spawned {
            screen.note(connection, &format!("there is no thread for it: {error}"));
        }
    }
    Ok(match screen.finish().is_legal() {
        true => 0,
        false => 3,
    })
}

fn listen(address: &Address) -> Result<TcpListener, String> {
    TcpListener::bind(addresses(address)?.as_slice()).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!("{address} is in use already; port 0 takes a free one"),
        _ => format!("cannot listen at {address}: {error}"),
    })
}

fn addresses(address: &Address) -> Result<Vec<std::net::SocketAddr>, String> {
    use std::net::ToSocketAddrs;

    let resolved = address.to_socket_addrs();
    resolved
        .map(Iterator::collect)
        .map_err(|error| format!("cannot find {address}: {error}"))
}

impl Tap {
    /// Passes one client on.
    fn connection(&self, connection: usize, client: TcpStream) {
        match self.wires(client) {
            Ok((client, server)) => {
                let mut entropy = SysRng;
                let Ok(keys) = StdRng::try_from_rng(&mut entropy) else {
                    return self.screen.note(connection, "there is no entropy for keys");
                };
                let (screen, rules) = (Arc::clone(&self.screen), self.rules.clone());
                Relay::new(connection, screen, rules, client, server, keys).run();
            }
            Err(error) => {
                let target = &self.target;
                let text = format!("cannot connect to {target}: {error}");
                self.screen.note(connection, &text);
            }
        }
    }

    fn wires(&self, mut client: TcpStream) -> io::Result<(Wire, Wire)> {
        let server = match connect(self.target.host(), self.target.port()) {
            Ok(server) => server,
            Err(error) => {
                // Whoever connects is told as by any gateway; what it asked does not matter.
                if self.listen_tls.is_none() {
                    let _ = client.write_all(BAD_GATEWAY);
                }
                return Err(error);
            }
        };
        let client = match &self.listen_tls {
            Some(tls) => Wire::tls_server(client, tls.config())?,
            None => Wire::plain(client)?,
        };
        let server = match &self.target_tls {
            Some(tls) => Wire::tls_client(server, tls.config(), self.target.host())?,
            None => Wire::plain(server)?,
        };
        Ok((client, server))
    }
}

fn parse_delay(text: &str) -> Result<(Duration, Rule), String> {
    let (time, rule) = text
        .split_once(':')
        .ok_or("a delay is TIME:RULE, such as 1s:type=text")?;
    match time.parse()? {
        Time::Span(span) => Ok((span, rule.parse()?)),
        Time::Never => Err("a delay without end is --drop".to_owned()),
    }
}

const BAD_GATEWAY: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\
    Content-Type: text/plain\r\nContent-Length: 37\r\n\r\nopenline tap cannot reach its target\n";
