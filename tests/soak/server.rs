//! The servers as processes of their own, and what the kernel says of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use openline::net::{Authorities, ClientTls};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

/// How long a peer that behaves waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A certificate for this machine, in files that go at the end, and clients that trust it.
pub(crate) struct Trust {
    folder: PathBuf,
    pub(crate) client: ClientTls,
}

impl Trust {
    pub(crate) fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("openline-soak-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = pair.cert.pem();
        fs::write(folder.join("certificate.pem"), &certificate).unwrap();
        fs::write(folder.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
        let client = ClientTls::new(&Authorities::Pem(certificate.into_bytes()), None).unwrap();
        Self { folder, client }
    }

    /// A client before its handshake.
    pub(crate) fn session(&self) -> ClientConnection {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        ClientConnection::new(self.client.config(), name).unwrap()
    }

    pub(crate) fn stream(&self, tcp: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        StreamOwned::new(self.session(), tcp)
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `openline serve`.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
}

/// What a server takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    pub(crate) descriptors: usize,
    /// In bytes.
    pub(crate) resident: u64,
}

impl Server {
    pub(crate) fn start(openline: &str, trust: Option<&Trust>) -> Self {
        let mut command = Command::new(openline);
        command.args(["serve", "127.0.0.1:0", "-qq"]);
        if let Some(trust) = trust {
            command.arg("--tls");
            command.args(["certificate.pem", "key.pem"].map(|name| trust.folder.join(name)));
        }
        // glibc keeps freed buffers for the next, and more of them the larger they were, so that
        // no two storms end alike. What it is told here returns them to the kernel; what is left
        // is the program's own.
        for name in ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"] {
            command.env(name, "131072");
        }
        command.env("MALLOC_ARENA_MAX", "2");
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ");
        let url = url.expect("it says where it listens").to_owned();
        let (_, address) = url.trim_end_matches('/').split_once("://").unwrap();
        Self {
            child,
            address: address.parse().unwrap(),
            is_tls: trust.is_some(),
            url,
        }
    }

    /// A connection beneath TLS.
    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    pub(crate) fn footprint(&self) -> Footprint {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(proc.join("status")).expect("the server lives");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|rest| rest.trim().strip_suffix(" kB"));
        Footprint {
            descriptors: fs::read_dir(proc.join("fd")).unwrap().count(),
            resident: resident.expect("kibibytes").parse::<u64>().unwrap() << 10,
        }
    }

    /// Ends it as an administrator would.
    pub(crate) fn stop(mut self) -> (bool, String) {
        let name = if self.is_tls { "TLS" } else { "plain" };
        let told = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        told.expect("kill runs");
        let begun = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return (status.success(), format!("{name}: ended by {status}")),
                None if begun.elapsed() > PATIENCE => {
                    return (false, format!("{name}: does not end"));
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that waits for nothing for ever.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_write_timeout(Some(PATIENCE)).unwrap();
    tcp
}

pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
