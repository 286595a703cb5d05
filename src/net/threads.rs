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
use std::thread;

use tracing::info;

use crate::net::config::LoopConfig;
use crate::net::event_loop::{EventLoop, Seed};
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
        let Self {
            seeds,
            config,
            remote,
        } = self;
        let run = &|number: usize, seed: Seed| {
            let mut others = ShutDown(Some(&remote));
            let result = EventLoop::from_seed(seed, handler(number), config.clone())
                .and_then(|mut event_loop| event_loop.run());
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
                        drop(ShutDown(Some(&remote)));
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
