//! The client's side of Autobahn: asks the fuzzing server how many cases it has, echoes through
//! each of them until the server closes, and has it write its reports.
//!
//! `autobahn_client URL [AGENT [CA-FILE]]`

use std::env;
use std::error::Error;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use openline::net::{ConnectOptions, End, EndWhy, EventLoop, Handler, LoopConfig, Message, Peer};
use openline::proto::{ClientRequest, Config, Deflate, SendError};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let url = words
        .next()
        .ok_or("autobahn_client URL [AGENT [CA-FILE]]")?;
    let agent = words.next().unwrap_or_else(|| "openline".to_owned());
    let options = options(words.next())?;
    let mut event_loop = EventLoop::new(Client::default(), config())?;

    let count: u32 = converse(
        &mut event_loop,
        &options,
        &format!("{url}/getCaseCount"),
        Task::Listen,
    )?
    .ok_or("the server did not say how many cases it has")?
    .parse()?;
    for case in 1..=count {
        if io::stderr().is_terminal() {
            eprint!("\rcase {case} of {count} ");
        }
        let url = format!("{url}/runCase?case={case}&agent={agent}");
        converse(&mut event_loop, &options, &url, Task::Echo)?;
    }
    converse(
        &mut event_loop,
        &options,
        &format!("{url}/updateReports?agent={agent}"),
        Task::Listen,
    )?;
    Ok(())
}

/// With compression, of all messages. Autobahn's server asks for clients without context only
/// where they offer to be.
fn config() -> LoopConfig {
    let compression = Deflate {
        server_no_context_takeover: false,
        threshold: 0,
        ..Deflate::default()
    };
    LoopConfig {
        protocol: Arc::new(Config {
            compression: Some(compression),
            ..Config::default()
        }),
        ..LoopConfig::default()
    }
}

/// Goes through one connection from beginning to end; answers the text that was listened for.
fn converse(
    event_loop: &mut EventLoop<Client>,
    options: &ConnectOptions,
    url: &str,
    task: Task,
) -> Result<Option<String>, Box<dyn Error>> {
    event_loop.connect_with(ClientRequest::new(url.parse()?), options, task)?;
    event_loop.run()?;
    let client = event_loop.handler_mut();
    match client.failure.take() {
        Some(failure) => Err(format!("{url}: {failure}").into()),
        None => Ok(client.heard.take()),
    }
}

/// Whom to trust, if the URL is a `wss` one.
#[cfg(feature = "tls")]
fn options(authorities: Option<String>) -> Result<ConnectOptions, Box<dyn Error>> {
    use openline::net::{Authorities, ClientTls};

    let trusting = |file: String| ClientTls::new(&Authorities::File(file.into()), None);
    Ok(ConnectOptions {
        tls: authorities.map(trusting).transpose()?,
        ..ConnectOptions::default()
    })
}

#[cfg(not(feature = "tls"))]
fn options(_: Option<String>) -> Result<ConnectOptions, Box<dyn Error>> {
    Ok(ConnectOptions::default())
}

/// What a connection is for.
#[derive(Clone, Copy)]
enum Task {
    Echo,
    Listen,
}

#[derive(Default)]
struct Client {
    /// The last text of a connection that listens.
    heard: Option<String>,
    /// Why there was nobody to play with, or to hear from.
    failure: Option<String>,
}

impl Handler for Client {
    type Connection = Task;

    fn message(
        &mut self,
        task: &mut Task,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        match (task, message) {
            (Task::Echo, message) => return peer.send(message),
            (Task::Listen, Message::Text(text)) => self.heard = Some(text.to_owned()),
            (Task::Listen, _) => {}
        }
        Ok(())
    }

    fn end(&mut self, task: Option<Task>, end: &End) {
        let failed = match (task, &end.why) {
            (_, EndWhy::Connect(_)) => true,
            // A case may end in any way, and need not even open: that is the fuzzing server's
            // to judge.
            (Some(Task::Echo), _) => false,
            (_, why) => matches!(why, EndWhy::Refused { .. } | EndWhy::Handshake(_)),
        };
        if failed {
            self.failure = Some(end.why.to_string());
        }
    }
}
