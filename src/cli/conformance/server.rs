//! Plays cases against a server, several at a time.
//!
//! Each case has a connection of its own. The light cases come first, then the heavy ones, which
//! are timed and would be late in a crowd; what ran out of time in company is played once more,
//! alone.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use openline::conformance::{Case, Player, Target};
use openline::net::TlsError;
use openline::proto::{Role, Url};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::cli::conformance::drive::{Link, drive, seed};
use crate::cli::conformance::record::{Record, weight};

/// A server to play against.
#[derive(Debug)]
pub(super) struct Server {
    addresses: Vec<SocketAddr>,
    target: Target,
    tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
}

/// Why there is no server to play against, and what to do.
#[derive(Debug)]
pub(super) struct Unfound {
    pub(super) what: String,
    pub(super) tip: &'static str,
}

/// How many cases are played at a time, and how many once more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) jobs: usize,
    pub(super) retries_max: usize,
}

impl Server {
    /// Finds the server.
    ///
    /// # Errors
    ///
    /// When its name has no address, when nobody listens there, or when TLS fails: what would
    /// fail every case is no case's to find.
    pub(super) fn find(url: &Url, tls: Option<Arc<ClientConfig>>) -> Result<Self, Unfound> {
        let at = |error: io::Error| Unfound {
            what: format!("{}: {error}", url.authority()),
            tip: "start the server, and try again",
        };
        let addresses = (url.host(), url.port()).to_socket_addrs().map_err(at)?;
        let tls = match tls {
            None => None,
            Some(config) => {
                let name = ServerName::try_from(url.host().to_owned());
                Some((name.map_err(|error| at(io::Error::other(error)))?, config))
            }
        };
        let server = Self {
            addresses: addresses.collect(),
            target: Target {
                host: url.authority(),
                path: url.resource_name().to_owned(),
            },
            tls,
        };
        let stream = server.connect().map_err(at)?;
        if let Some((name, config)) = &server.tls {
            meet(stream, name, Arc::clone(config)).map_err(|error| {
                let (what, tip) = match error.downcast::<rustls::Error>().map(TlsError::from) {
                    Ok(error) => (error.to_string(), tip(&error)),
                    Err(error) => (error.to_string(), NO_TLS_TIP),
                };
                let what = format!("{}: {what}", url.authority());
                Unfound { what, tip }
            })?;
        }
        Ok(server)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in &self.addresses {
            match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn link(&self) -> io::Result<Link> {
        let stream = self.connect()?;
        match &self.tls {
            None => Link::plain(stream),
            Some((name, config)) => Link::tls_client(stream, name, Arc::clone(config)),
        }
    }

    /// Plays one case; an error is that there is no connection.
    fn play(&self, case: &'static Case) -> io::Result<Record> {
        let started = SystemTime::now();
        let link = self.link()?;
        let mut player = Player::new(case, Role::Server, &self.target, Instant::now(), seed());
        let (outcome, log) = drive(link, &mut player, Role::Server)?;
        Ok(Record {
            case,
            outcome,
            log,
            started,
        })
    }

    /// Plays every case, and hands each outcome over once. It ends early when the server is gone,
    /// with the error.
    pub(super) fn play_all(
        &self,
        cases: &[&'static Case],
        pace: Pace,
        mut done: impl FnMut(Record),
    ) -> io::Result<()> {
        let (heavy, light): (Vec<&'static Case>, Vec<_>) =
            cases.iter().partition(|case| weight(case) >= HEAVY);
        let mut late = Vec::new();
        for (cases, jobs) in [(light, pace.jobs), (heavy, pace.jobs.min(HEAVY_JOBS_MAX))] {
            self.play_some(&cases, jobs, |record| {
                let again = jobs > 1 && late.len() < pace.retries_max && record.is_late();
                match again {
                    true => late.push(record.case),
                    false => done(record),
                }
            })?;
        }
        self.play_some(&late, 1, done)
    }

    fn play_some(
        &self,
        cases: &[&'static Case],
        jobs: usize,
        mut done: impl FnMut(Record),
    ) -> io::Result<()> {
        let next = AtomicUsize::new(0);
        let gone = AtomicBool::new(false);
        let missed = AtomicUsize::new(0);
        let mut failure = Ok(());
        thread::scope(|scope| {
            let (send, records) = mpsc::channel();
            for _ in 0..jobs.min(cases.len()) {
                let send = send.clone();
                scope.spawn(|| {
                    let send = send;
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if gone.load(Ordering::Relaxed) {
                            return;
                        }
                        let played = self.play(case);
                        if played.is_ok() {
                            missed.store(0, Ordering::Relaxed);
                        } else if missed.fetch_add(1, Ordering::Relaxed) >= MISSED_MAX {
                            gone.store(true, Ordering::Relaxed);
                        }
                        if send.send((*case, played)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(send);
            for (case, played) in records {
                match played {
                    Ok(record) => done(record),
                    Err(error) => {
                        let why = format!("No connection could be made: {error}.");
                        done(Record::unplayed(case, &why));
                        if gone.load(Ordering::Relaxed) {
                            failure = Err(error);
                        }
                    }
                }
            }
        });
        failure
    }
}

/// Goes through the handshake of TLS, and no further.
fn meet(
    mut stream: TcpStream,
    name: &ServerName<'static>,
    config: Arc<ClientConfig>,
) -> io::Result<()> {
    let session = ClientConnection::new(config, name.clone());
    let mut session = session.map_err(io::Error::other)?;
    stream.set_read_timeout(Some(CONNECT_TIMEOUT))?;
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(())
}

fn tip(error: &TlsError) -> &'static str {
    match error {
        TlsError::Certificate(_) => "--ca FILE says whom to trust; --insecure trusts anyone",
        TlsError::NotTls => NO_TLS_TIP,
        _ => "'openline diagnose' with the same URL looks into it",
    }
}

const NO_TLS_TIP: &str = "is it a ws:// server?";
/// How long a server has to accept a connection, and to answer each message of TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From so many bytes on a case is heavy: it is about time as well.
const HEAVY: usize = 256 << 10;
/// Heavy cases at a time: two keep two cores busy, more would only wait for each other.
const HEAVY_JOBS_MAX: usize = 2;
/// After so many connections in a row that could not be made, the server is gone: one that
/// restarts after a crash is given the chance.
const MISSED_MAX: usize = 20;
