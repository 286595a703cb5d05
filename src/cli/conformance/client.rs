//! The server that clients connect to, a case a connection.
//!
//! A thread for each connection, of which there are only so many. Every one ends: the request has
//! a deadline, the case has its own, and so has an answer.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use openline::conformance::{Case, Player, Target};
use openline::net::{ServerTls, TlsError};
use openline::proto::Role;
use serde_json::json;

use crate::cli::conformance::control::{Reply, answer};
use crate::cli::conformance::describe::expectation;
use crate::cli::conformance::drive::{drive, seed};
use crate::cli::conformance::guest::Guest;
use crate::cli::conformance::path::{Asked, PATHS, clip, read};
use crate::cli::conformance::record::{Record, Verdicts};

/// What happened, for whoever keeps the tally.
#[derive(Debug)]
pub(super) enum News {
    /// An agent was put to a case.
    Played(String, Box<Record>),
    /// A client asks for the reports; to be answered when they are written.
    Reports(SyncSender<()>),
    /// A client did not come through TLS.
    Unmet(TlsError),
    /// Somebody wants an end: a client, a signal, or the command that ran.
    Stop,
}

/// The cases in the order in which clients count them, and what came of them.
#[derive(Debug)]
struct Desk {
    cases: Vec<&'static Case>,
    tls: Option<ServerTls>,
    verdicts: Mutex<HashMap<(String, String), Verdicts>>,
    news: Sender<News>,
}

/// Listens, and serves in threads of its own for as long as the process lives.
///
/// # Errors
///
/// When the address cannot be listened at.
pub(super) fn listen(
    addresses: impl std::net::ToSocketAddrs,
    cases: Vec<&'static Case>,
    tls: Option<ServerTls>,
    news: Sender<News>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(addresses)?;
    let address = listener.local_addr()?;
    let desk = Arc::new(Desk {
        cases,
        tls,
        verdicts: Mutex::default(),
        news,
    });
    thread::Builder::new()
        .name("accept".to_owned())
        .spawn(move || accept(&listener, &desk))?;
    Ok(address)
}

fn accept(listener: &TcpListener, desk: &Arc<Desk>) {
    // Each connection holds a place in it.
    let (places, place) = mpsc::sync_channel(CONNECTIONS_MAX);
    let place = Arc::new(Mutex::new(place));
    loop {
        if places.send(()).is_err() {
            return;
        }
        let free = FreesPlace(Arc::clone(&place));
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Out of descriptors, or a client that was gone at once: neither is for ever.
                thread::sleep(ACCEPT_PAUSE);
                continue;
            }
        };
        let desk = Arc::clone(desk);
        let serve = move || {
            let _free = free;
            // A client that is gone or breaks off has said all that it has to say. One that does
            // not trust us waits for somebody to read why.
            if let Err(error) = desk.serve(stream)
                && let Ok(error) = error.downcast::<rustls::Error>()
            {
                let _ = desk.news.send(News::Unmet(error.into()));
            }
        };
        let _ = thread::Builder::new()
            .name("client".to_owned())
            .spawn(serve);
    }
}

/// Gives the place of a connection back, however it ends.
struct FreesPlace(Arc<Mutex<mpsc::Receiver<()>>>);

impl Drop for FreesPlace {
    fn drop(&mut self) {
        let _ = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_recv();
    }
}

impl Desk {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let started = SystemTime::now();
        let tls = self.tls.as_ref().map(ServerTls::config);
        let mut guest = Guest::new(stream, tls, Instant::now() + HEAD_TIMEOUT)?;
        let head = read_head(&mut guest)?;
        let asked = match target(&head) {
            Some(target) => read(&target, &self.cases),
            None => Asked::Unknown("this is no request of HTTP".to_owned()),
        };
        let reply = match asked {
            Asked::Play(case, agent) => {
                let agent = agent.or_else(|| user_agent(&head));
                let agent = agent.unwrap_or_else(|| NAMELESS.to_owned());
                return self.play(guest, &head, case, agent, started);
            }
            Asked::Count => Reply::Text(self.cases.len().to_string()),
            Asked::List => {
                let ids: Vec<_> = self.cases.iter().map(|case| &case.id).collect();
                Reply::Text(json!(ids).to_string())
            }
            Asked::Info(case) => {
                let info = json!({
                    "id": case.id,
                    "description": case.title,
                    "expectation": expectation(case).join("; "),
                    "rfc": case.rfc,
                });
                Reply::Text(info.to_string())
            }
            Asked::Status(case, agent) => {
                let agent = agent.or_else(|| user_agent(&head));
                let key = (
                    agent.unwrap_or_else(|| NAMELESS.to_owned()),
                    case.id.clone(),
                );
                let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
                let status = match verdicts.get(&key) {
                    Some(Verdicts { behavior, close }) => json!({
                        "behavior": behavior.word(),
                        "behaviorClose": close.word(),
                    }),
                    None => json!({ "behavior": null, "behaviorClose": null }),
                };
                Reply::Text(status.to_string())
            }
            Asked::Reports => {
                let (written, wait) = mpsc::sync_channel(1);
                if self.news.send(News::Reports(written)).is_ok() {
                    let _ = wait.recv_timeout(REPORTS_TIMEOUT);
                }
                Reply::Nothing
            }
            Asked::Stop => {
                let _ = self.news.send(News::Stop);
                Reply::Nothing
            }
            Asked::Unknown(why) => Reply::NotFound(format!("{why}; there is:\n{PATHS}")),
        };
        answer(guest, &head, &reply)
    }

    fn play(
        &self,
        guest: Guest,
        head: &[u8],
        case: &'static Case,
        agent: String,
        started: SystemTime,
    ) -> io::Result<()> {
        let now = Instant::now();
        let mut player = Player::new(case, Role::Client, &Target::default(), now, seed());
        player.receive(now, head);
        let (outcome, log) = drive(guest.link()?, &mut player, Role::Client)?;
        let record = Record {
            case,
            outcome,
            log,
            started,
        };
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.len() < VERDICTS_MAX {
            verdicts.insert((agent.clone(), case.id.clone()), record.verdicts());
        }
        drop(verdicts);
        // Nobody keeps the tally any more: we are about to end.
        let _ = self.news.send(News::Played(agent, Box::new(record)));
        Ok(())
    }
}

/// Reads to the end of the request's head, or as much as there may be of it.
fn read_head(guest: &mut Guest) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut bytes = [0; 4096];
    while head.len() < HEAD_MAX {
        let n = guest.read(&mut bytes)?;
        // The end of one may lie across two reads.
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(&bytes[..n]);
        if n == 0 || head[from..].windows(4).any(|four| four == b"\r\n\r\n") {
            break;
        }
    }
    Ok(head)
}

/// The target of a request (RFC 9112 §3), read leniently.
fn target(head: &[u8]) -> Option<String> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let target = line.split(|byte| *byte == b' ').nth(1)?;
    Some(String::from_utf8_lossy(target).into_owned())
}

/// What a client calls itself that is not told what to.
fn user_agent(head: &[u8]) -> Option<String> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let line = String::from_utf8_lossy(line);
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("user-agent") && !value.trim().is_empty();
        is_it.then(|| clip(value.trim()))
    })
}

/// A client of which not even that is known.
const NAMELESS: &str = "unnamed";
/// The connections at a time: as many as a client that tests itself in parallel opens.
const CONNECTIONS_MAX: usize = 64;
/// The verdicts that are remembered for `/getCaseStatus`: those of some fifty agents.
const VERDICTS_MAX: usize = 50_000;
/// The bytes of a request's head at most.
const HEAD_MAX: usize = 64 << 10;
/// From the connection to the end of the request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long reports take to write, on a slow disk.
const REPORTS_TIMEOUT: Duration = Duration::from_secs(8);
/// Until the next connection is accepted, when one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
