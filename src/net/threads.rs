//! A loop a thread: a group of loops that listen at the same addresses, each with connections of
//! its own, so that no lock is on a message's way.
//!
//! Where the operating system spreads connections over listeners that share a port
//! (`SO_REUSEPORT` on Linux), each loop has its own listener; elsewhere all accept from one.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZero;
use std::panic::resume_unwind;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tracing::info;

use crate::net::config::LoopConfig;
use crate::net::connector::{Connector, Wanted};
use crate::net::event_loop::{Busy, EventLoop, Seed};
use crate::net::handler::Handler;
use crate::net::listener::Listener;
use crate::net::remote::Remote;
#[cfg(feature = "tls")]
use crate::net::tls::ServerTls;

/// The loops of a server that is to use several cores.
///
/// ```no_run
/// use openline::net::{LoopConfig, Message, Peer, Threads};
///
/// let mut server = Threads::new(Threads::cores(), LoopConfig::default())?;
/// server.listen("127.0.0.1:9001")?;
/// let remote = server.remote(); // reaches the connections of all of them
/// server.run(|_number| |peer: &mut Peer<'_>, message: Message<'_>| peer.send(message))?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Threads {
    seeds: Vec<Seed>,
    config: LoopConfig,
    remote: Remote,
}

impl Threads {
    /// The most loops of a group: more than any machine has cores.
    pub const MAX: usize = 1024;

    /// How many threads can run at once here; 1 if that cannot be known.
    #[must_use]
    pub fn cores() -> usize {
        thread::available_parallelism().map_or(1, NonZero::get)
    }

    /// As many loops, at least one and at most [`MAX`](Self::MAX), with nothing in them yet.
    ///
    /// # Errors
    ///
    /// What the operating system says, such as that descriptors are used up.
    pub fn new(threads: usize, config: LoopConfig) -> io::Result<Self> {
        let seeds = Seed::group(threads.clamp(1, Self::MAX), &config)?;
        Ok(Self {
            remote: seeds[0].remote(),
            seeds,
            config,
        })
    }

    /// Has every loop listen at `address`; returns the address, with the port that was chosen if
    /// it asked for 0.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub fn listen(&mut self, address: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        let listeners = Listener::bind_group(address, self.seeds.len(), &self.config)?;
        let address = listeners[0].address();
        info!(target: "openline", %address, threads = self.seeds.len(), "listening");
        for (seed, listener) in self.seeds.iter_mut().zip(listeners) {
            seed.listen(listener);
        }
        Ok(address)
    }

    /// The same for `wss`: who connects there speaks TLS.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    #[cfg(feature = "tls")]
    pub fn listen_tls(
        &mut self,
        address: impl ToSocketAddrs,
        tls: &ServerTls,
    ) -> io::Result<SocketAddr> {
        let listeners = Listener::bind_group(address, self.seeds.len(), &self.config)?;
        let address = listeners[0].address();
        info!(target: "openline", %address, threads = self.seeds.len(), "listening for TLS");
        for (seed, mut listener) in self.seeds.iter_mut().zip(listeners) {
            listener.tls = Some(tls.clone());
            seed.listen(listener);
        }
        Ok(address)
    }

    /// The same at a Unix socket: `path` is made, and removed when no loop listens any more.
    ///
    /// # Errors
    ///
    /// When somebody listens there already, or the file cannot be made.
    #[cfg(unix)]
    pub fn listen_unix(&mut self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let listeners = Listener::bind_unix(path, self.seeds.len())?;
        info!(target: "openline", path = %path.display(), threads = self.seeds.len(), "listening");
        for (seed, listener) in self.seeds.iter_mut().zip(listeners) {
            seed.listen(listener);
        }
        Ok(())
    }

    /// A handle for other threads: it reaches every connection of the group.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Runs every loop, the first one in this thread, each with the handler that `handler` makes
    /// in the loop's own thread and with its number. Returns when all loops have
    /// [ended](EventLoop::run); when one fails, the others are shut down.
    ///
    /// # Errors
    ///
    /// The first failure of a loop, or that no thread could be started.
    ///
    /// # Panics
    ///
    /// When a handler does, after the other loops are shut down.
    pub fn run<H: Handler>(self, handler: impl Fn(usize) -> H + Sync) -> io::Result<()> {
        let seeds = self.seeds.into_iter().map(|seed| (seed, ())).collect();
        run(seeds, &self.remote, &|number, seed, ()| {
            EventLoop::from_seed(seed, handler(number), self.config.clone())?.run()
        })
    }

    /// The same loops, which can also be had to connect to servers; `C` is what is kept for a
    /// connection. Whatever the group is to listen at comes before.
    #[must_use]
    pub fn with_clients<C: Send>(self) -> ClientThreads<C> {
        ClientThreads {
            wanted: self.seeds.iter().map(|_| Wanted::default()).collect(),
            threads: self,
        }
    }
}

/// The loops of a program that is to use several cores, and is a client too:
/// [`Threads::with_clients`].
///
/// ```no_run
/// use openline::net::{ConnectOptions, LoopConfig, Message, Peer, Threads};
/// use openline::proto::ClientRequest;
///
/// let clients = Threads::new(Threads::cores(), LoopConfig::default())?.with_clients();
/// let connector = clients.connector(); // for other threads, and for the handlers
/// for room in ["a", "b", "c", "d"] {
///     let url = format!("ws://127.0.0.1:9001/{room}").parse().unwrap();
///     connector.connect(ClientRequest::new(url), &ConnectOptions::default(), ())?;
/// }
/// clients.run(|_number| |_peer: &mut Peer<'_>, message: Message<'_>| {
///     println!("{message:?}");
///     Ok(())
/// })?; // returns when all four have ended
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ClientThreads<C> {
    threads: Threads,
    wanted: Arc<[Wanted<C>]>,
}

impl<C: Send> ClientThreads<C> {
    /// Has the loops connect, in turn, before they run and while they do.
    #[must_use]
    pub fn connector(&self) -> Connector<C> {
        let wanted = Arc::clone(&self.wanted);
        let (remote, config) = (self.threads.remote(), &self.threads.config);
        Connector::new(wanted, 0, remote, config.mailbox_max)
    }

    /// A handle for other threads: it reaches every connection of the group.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.threads.remote()
    }

    /// Runs every loop as [`Threads::run`] does. It returns when a [shutdown](Remote::shutdown) is
    /// complete, or no loop has a connection or a listener left: one that has none waits for what
    /// the others' handlers may have it do.
    ///
    /// # Errors
    ///
    /// As [`Threads::run`].
    ///
    /// # Panics
    ///
    /// When a handler does, after the other loops are shut down.
    pub fn run<H: Handler<Connection = C>>(
        self,
        handler: impl Fn(usize) -> H + Sync,
    ) -> io::Result<()> {
        let Threads {
            seeds,
            config,
            remote,
        } = self.threads;
        let busy = Busy::new(seeds.len());
        let seeds = seeds.into_iter().zip(self.wanted.iter().cloned()).collect();
        run(seeds, &remote, &|number, seed, wanted| {
            let mut event_loop = EventLoop::from_seed(seed, handler(number), config.clone())?;
            event_loop.obey(wanted);
            event_loop.run_among(&busy)
        })
    }
}

/// Runs each seed in a thread of its own, the first in this one. When one fails, the others are
/// shut down.
fn run<W: Send>(
    seeds: Vec<(Seed, W)>,
    remote: &Remote,
    grow: &(impl Fn(usize, Seed, W) -> io::Result<()> + Sync),
) -> io::Result<()> {
    let run = &|number: usize, (seed, wanted): (Seed, W)| {
        let mut others = ShutDown(Some(remote));
        let result = grow(number, seed, wanted);
        if result.is_ok() {
            others.0 = None;
        }
        result
    };
    thread::scope(|scope| {
        let mut seeds = seeds.into_iter().enumerate();
        let first = seeds.next();
        let mut threads = Vec::new();
        let mut results = Vec::new();
        for (number, seed) in seeds {
            let name = format!("openline-{number}");
            let spawned = thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, move || run(number, seed));
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    drop(ShutDown(Some(remote)));
                    results.push(Err(error));
                    break;
                }
            }
        }
        results.extend(first.map(|(number, seed)| run(number, seed)));
        for thread in threads {
            results.push(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results.into_iter().collect()
    })
}

/// Shuts the group down when it is dropped: unless all went well, nobody waits for a loop that
/// does not know.
struct ShutDown<'a>(Option<&'a Remote>);

impl Drop for ShutDown<'_> {
    fn drop(&mut self) {
        if let Some(remote) = self.0 {
            // Loops that are gone need no end.
            let _ = remote.shutdown();
        }
    }
}
