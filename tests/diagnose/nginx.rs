//! nginx before a server, configured as it is found in the field.

use std::env;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::authority::{Authority, self_signed};
use crate::support::{DEADLINE, behave, diagnose, drain, http, is_left_out, websocket};

/// A running nginx, ended when the test is over.
struct Nginx {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Nginx {
    /// With this inside of `server { … }`; `None` if there is no nginx.
    fn start(server: &str) -> Option<Self> {
        let is_there = Command::new("nginx").arg("-v").output().is_ok();
        if is_left_out("nginx", is_there) {
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("openline-nginx-{}-{number}", process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let identity = self_signed(&["127.0.0.1"]);
        fs::write(folder.join("cert.pem"), &identity.pem).unwrap();
        fs::write(folder.join("key.pem"), identity.key.serialize_pem()).unwrap();
        fs::write(folder.join("clients.pem"), Authority::new().pem()).unwrap();
        // Nothing else may take the port in between, or we try again.
        (0..5).find_map(|_| Self::try_start(&folder, server))
    }

    fn try_start(folder: &Path, server: &str) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let path = folder.display();
        let server = server.replace("PORT", &port.to_string());
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;
             events {{ worker_connections 64; }}
             http {{
                 access_log off;
                 client_body_temp_path {path}/a; proxy_temp_path {path}/b;
                 fastcgi_temp_path {path}/c; uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
                 server {{ {server} }}
             }}"
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut child = Command::new("nginx")
            .args([
                "-p",
                folder.to_str().unwrap(),
                "-c",
                "nginx.conf",
                "-e",
                "error.log",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(start.elapsed() < DEADLINE, "nginx does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Some(Self {
            child,
            folder: folder.to_path_buf(),
            port,
        })
    }

    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The port of a server that works.
fn backend() -> String {
    port(&websocket(|stream| while behave(stream) {}))
}

fn port(url: &str) -> String {
    let authority = url.split('/').nth(2).unwrap();
    authority.split(':').nth(1).unwrap().to_owned()
}

/// `openline serve`, which says what it thinks of a request without an Upgrade.
struct Serve(Child, String);

impl Serve {
    fn start() -> Self {
        use std::io::{BufRead, BufReader};
        let mut child = crate::support::openline(&["serve", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let url = line
            .trim_end()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self(child, port(&url))
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const UPGRADE: &str = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
                       proxy_set_header Connection upgrade;";

#[test]
fn without_the_upgrade_header() {
    let backend = Serve::start();
    // As it is unless told otherwise, HTTP/1.0 to the server; and with HTTP/1.1 alone.
    for more in ["", "proxy_http_version 1.1;"] {
        let location = format!(
            "location / {{ {more} proxy_pass http://127.0.0.1:{}; }}",
            backend.1
        );
        let Some(nginx) = Nginx::start(&format!("listen 127.0.0.1:PORT; {location}")) else {
            return;
        };
        let words = ["nginx/", "proxy_set_header Upgrade $http_upgrade"];
        diagnose(&nginx.url(), &[]).fails(15, "http-upgrade-lost", "proxy", &words);
    }
}

#[test]
fn with_the_upgrade_header_and_a_short_timeout() {
    let location = format!(
        "location / {{ {UPGRADE} proxy_read_timeout 3s; proxy_pass http://127.0.0.1:{}; }}",
        backend()
    );
    let Some(nginx) = Nginx::start(&format!("listen 127.0.0.1:PORT; {location}")) else {
        return;
    };
    diagnose(&nginx.url(), &[])
        .works()
        .says(&["by way of nginx"]);
    let words = ["of silence", "proxy_read_timeout", "pings help"];
    let report = diagnose(&nginx.url(), &["--hold", "8s"]).fails(
        19,
        "idle-dropped",
        "load-balancer",
        &words,
    );
    let facts = &report.step("idle")["facts"];
    let (after, interval) = (&facts["cut_after_ms"], &facts["ping_interval_ms"]);
    assert!(
        (2_500.0..5_000.0).contains(&after.as_f64().unwrap()),
        "{after}"
    );
    assert!(
        (1_000.0..=2_500.0).contains(&interval.as_f64().unwrap()),
        "{interval}"
    );
    // What is recommended is what keeps it: a ping each second outlives the eight.
    assert_eq!(facts["pings_help"], true);
}

#[test]
fn without_a_server_behind_it() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let location = format!("location / {{ {UPGRADE} proxy_pass http://{closed}; }}");
    let Some(nginx) = Nginx::start(&format!("listen 127.0.0.1:PORT; {location}")) else {
        return;
    };
    let words = [
        "nginx/",
        "has no working server behind it",
        "502 Bad Gateway",
    ];
    diagnose(&nginx.url(), &[]).fails(15, "http-bad-gateway", "load-balancer", &words);
}

#[test]
fn with_a_server_that_hangs() {
    let hanging = port(&http(|stream, _| drain(stream)));
    let location = format!(
        "location / {{ {UPGRADE} proxy_read_timeout 1s; proxy_pass http://127.0.0.1:{hanging}; }}"
    );
    let Some(nginx) = Nginx::start(&format!("listen 127.0.0.1:PORT; {location}")) else {
        return;
    };
    let words = ["waited in vain", "504"];
    diagnose(&nginx.url(), &[]).fails(15, "http-gateway-timeout", "load-balancer", &words);
}

#[test]
fn with_pages_of_its_own() {
    let locations = "listen 127.0.0.1:PORT; default_type text/html;
        location /ws { return 200 '<title>App</title>'; }
        location /old { return 301 /new; }";
    let Some(nginx) = Nginx::start(locations) else {
        return;
    };
    let words = ["titled \"App\"", "nginx/"];
    diagnose(&nginx.url(), &[]).fails(15, "http-not-websocket", "proxy", &words);
    let words = ["no route for this path"];
    diagnose(&nginx.url().replace("/ws", "/none"), &[]).fails(
        15,
        "http-not-found",
        "arguments",
        &words,
    );
    let words = ["redirects to", "/new"];
    diagnose(&nginx.url().replace("/ws", "/old"), &[]).fails(
        15,
        "http-redirect",
        "arguments",
        &words,
    );
}

#[test]
fn with_tls() {
    let server = "listen 127.0.0.1:PORT ssl; ssl_certificate cert.pem;
        ssl_certificate_key key.pem; ssl_client_certificate clients.pem; ssl_verify_client on;";
    let Some(nginx) = Nginx::start(server) else {
        return;
    };
    let words = ["Use wss://127.0.0.1:"];
    diagnose(&nginx.url(), &[]).fails(15, "http-tls-port", "arguments", &words);
    let url = nginx.url().replace("ws://", "wss://");
    let ca = nginx.folder.join("cert.pem");
    let arguments = ["--ca", ca.to_str().unwrap()];
    let words = ["--cert FILE --key FILE"];
    diagnose(&url, &arguments).fails(15, "http-client-certificate", "authentication", &words);
}
