//! Servers as processes of their own, pinned to a core, and what the kernel says of them.

use std::error::Error;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use clap::ValueEnum;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use crate::builtin::Builtin;

/// Where servers run; the generator runs on the other.
pub const SERVER_CORE: usize = 0;
pub const GENERATOR_CORE: usize = 1;

/// A server's name, and the command that runs it.
#[derive(Clone)]
pub struct Command {
    pub name: String,
    pub words: Vec<String>,
    /// Whether it speaks WebSocket, or echoes bytes.
    pub websocket: bool,
}

impl Command {
    /// This program, as one of its own servers.
    pub fn builtin(server: Builtin) -> io::Result<Self> {
        let program = std::env::current_exe()?.to_string_lossy().into_owned();
        let value = server.to_possible_value();
        let kind = value.as_ref().map_or("", |value| value.get_name());
        Ok(Self {
            name: server.label().to_owned(),
            words: [&program, "serve", kind, "{port}"]
                .map(str::to_owned)
                .into(),
            websocket: server.is_websocket(),
        })
    }

    /// The same with these words behind it.
    pub fn with<const N: usize>(mut self, words: [&str; N]) -> Self {
        self.words.extend(words.map(str::to_owned));
        self
    }

    /// The same with something in the place of `{name}`.
    pub fn fill(&self, name: &str, value: &str) -> Self {
        let place = format!("{{{name}}}");
        let words = self.words.iter().map(|word| word.replace(&place, value));
        Self {
            words: words.collect(),
            ..self.clone()
        }
    }
}

impl FromStr for Command {
    type Err = &'static str;

    fn from_str(argument: &str) -> Result<Self, Self::Err> {
        let (name, command) = argument
            .split_once('=')
            .ok_or("NAME=COMMAND is asked for")?;
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        match words.is_empty() {
            true => Err("the command is empty"),
            false => Ok(Self {
                name: name.to_owned(),
                words,
                websocket: true,
            }),
        }
    }
}

/// A server that runs; it is killed when dropped.
pub struct Server {
    pub name: String,
    pub websocket: bool,
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts the server on its core and waits until it takes connections.
    pub fn start(command: &Command) -> Result<Self, Box<dyn Error>> {
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let mut words = command
            .fill("port", &address.port().to_string())
            .words
            .into_iter();
        let program = words.next().ok_or("a command has a first word")?;
        // A child starts where the thread that starts it may run.
        pin(SERVER_CORE)?;
        let child = std::process::Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        pin(GENERATOR_CORE)?;
        let mut server = Self {
            name: command.name.clone(),
            websocket: command.websocket,
            address,
            child: child.map_err(|error| format!("{}: {error}", command.words[0]))?,
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{} ended: {status}", server.name).into());
            }
            if Instant::now() > deadline {
                return Err(format!("{} does not listen on {address}", server.name).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The number that the operating system gave it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The nanoseconds that all its threads have run.
    ///
    /// Exact while they sleep: the kernel counts a thread's time when it leaves the core.
    pub fn spent(&self) -> Result<u64, Box<dyn Error>> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
            let ran = schedstat.split_whitespace().next();
            nanoseconds += ran.ok_or("schedstat is empty")?.parse::<u64>()?;
        }
        Ok(nanoseconds)
    }

    /// The bytes of its memory that are resident.
    pub fn resident(&self) -> Result<u64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kibibytes.ok_or("no VmRSS")?.parse::<u64>()? << 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Binds the calling thread to one core.
pub fn pin(core: usize) -> nix::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores)
}

/// Lets this process, and the servers it starts, open as many files as it may.
pub fn raise_file_limit() -> nix::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// The nanoseconds in which a cache line goes from one core to the other and back.
///
/// A hypervisor moves virtual cores about; when the two are far apart, all that crosses between
/// generator and server costs more. The least of several tries counts: others are of who ran
/// meanwhile.
pub fn cache_line_round_trip() -> nix::Result<f64> {
    const TRIES: u32 = 5;
    const TRIPS: u32 = 4_000;
    let line = AtomicU32::new(0);
    thread::scope(|scope| {
        let echo = scope.spawn(|| {
            pin(SERVER_CORE)?;
            for trip in 0..TRIES * TRIPS {
                wait_for(&line, 2 * trip + 1);
                line.store(2 * trip + 2, Ordering::Release);
            }
            Ok(())
        });
        let mut least = Duration::MAX;
        for first in (0..TRIES).map(|number| number * TRIPS) {
            let start = Instant::now();
            for trip in first..first + TRIPS {
                line.store(2 * trip + 1, Ordering::Release);
                wait_for(&line, 2 * trip + 2);
            }
            least = least.min(start.elapsed());
        }
        echo.join().unwrap_or(Err(nix::Error::UnknownErrno))?;
        Ok(least.as_nanos() as f64 / f64::from(TRIPS))
    })
}

fn wait_for(line: &AtomicU32, value: u32) {
    while line.load(Ordering::Acquire) != value {
        std::hint::spin_loop();
    }
}
