//! The way to a server: proxies, redirects, Unix sockets, and connecting again.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use crate::support::{DEADLINE, Server, finish, openline, run, text};

/// A proxy for one connection, which it passes on to `server`; what it was asked comes back.
fn proxy(server: std::net::SocketAddr) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let server = TcpStream::connect(server).unwrap();
        let (mut from, mut to) = (server.try_clone().unwrap(), stream.try_clone().unwrap());
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        let mut server = server;
        thread::spawn(move || {
            let _ = std::io::copy(&mut stream, &mut server);
            let _ = server.shutdown(Shutdown::Write);
        });
        text(&head)
    });
    (address, asked)
}

#[test]
fn proxies_of_arguments_and_of_the_environment() {
    let server = Server::start(&["-q"]);
    let url = "ws://server.invalid:1234/";
    let (address, asked) = proxy(server.address);
    let output = run(
        &["connect", url, "--proxy", &format!("http://{address}")],
        b"a\n",
    );
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("a\n", "")
    );
    assert!(
        asked
            .join()
            .unwrap()
            .starts_with("CONNECT server.invalid:1234 HTTP/1.1\r\n")
    );

    let (address, asked) = proxy(server.address);
    let mut command = openline(&["connect", url]);
    command.env("http_proxy", &address);
    let output = finish(command, b"a\n");
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("a\n", "")
    );
    asked.join().unwrap();

    // Exceptions, and the refusal of any.
    for (arguments, no_proxy, exit) in [
        (&[][..], "10.0.0.0/8", 3),
        (&[], "127.0.0.0/8", 0),
        (&["--proxy", "none"], "", 0),
        (&["--no-proxy"], "", 0),
    ] {
        let mut command = openline(&[&["connect", &server.url], arguments].concat());
        command.env("http_proxy", "http://127.0.0.1:1");
        command.env("no_proxy", no_proxy);
        let output = finish(command, b"");
        assert_eq!(output.status.code(), Some(exit), "{arguments:?} {no_proxy}");
        if exit == 3 {
            let said = text(&output.stderr);
            let words = "through the proxy http://127.0.0.1:1 (http_proxy): ";
            assert!(
                said.contains(words) && said.contains("--no-proxy"),
                "{said}"
            );
        }
    }
    let mut command = openline(&["connect", url]);
    command.env("ALL_PROXY", "socks4://secret:1");
    let output = finish(command, b"");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("ALL_PROXY: ") && !said.contains("secret"),
        "{said}"
    );
    let output = run(&["connect", url, "--proxy", "https://proxy"], b"");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn tls_goes_through_a_proxy_from_end_to_end() {
    let server = Server::start(&["-q", "--tls-self-signed"]);
    let ca = server.self_signed();
    let (address, asked) = proxy(server.address);
    let proxied = ["--proxy", &address, "--ca", &ca];
    let output = run(
        &[&["connect", "wss://localhost:1234/"], &proxied[..]].concat(),
        b"a\n",
    );
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("a\n", "")
    );
    asked.join().unwrap();

    // The name is verified as without.
    let (address, asked) = proxy(server.address);
    let proxied = ["--proxy", &address, "--ca", &ca];
    let output = run(
        &[&["connect", "wss://other.example/"], &proxied[..]].concat(),
        b"a\n",
    );
    assert_eq!(output.status.code(), Some(8));
    assert!(text(&output.stderr).contains("and not for other.example"));
    asked.join().unwrap();
}

#[cfg(unix)]
#[test]
fn unix_sockets() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let path = std::env::temp_dir().join(format!("openline-way-{}.sock", std::process::id()));
    let path = path.display().to_string();
    let serve = || {
        let mut child = openline(&["serve", &format!("unix:{path}"), "-q", "--threads", "2"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, format!("listening on unix:{path}\n"));
        child
    };
    // Killed, it leaves its file behind, which is no reason for the next not to start.
    let mut killed = serve();
    killed.kill().unwrap();
    killed.wait().unwrap();
    let mut server = serve();
    let output = run(
        &["connect", "ws://app.example/", "--unix", &path],
        b"a\nb\n",
    );
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("a\nb\n", "")
    );
    let second = run(&["serve", &format!("unix:{path}")], b"");
    assert!(text(&second.stderr).contains("is in use already"));
    crate::support::signal(server.id(), "TERM");
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(!std::path::Path::new(&path).exists());
}

#[test]
fn what_is_lost_is_connected_again_and_nothing_of_the_input_is() {
    let server = Server::start(&["-q"]);
    let address = server.address;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        // The first is dropped before it has an answer.
        drop(listener.accept().unwrap());
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(address).unwrap();
        for (mut from, mut to) in [
            (client.try_clone().unwrap(), server.try_clone().unwrap()),
            (server, client),
        ] {
            thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
    let output = run(&["connect", &url, "--reconnect"], b"a\nb\n");
    assert_eq!(text(&output.stdout), "a\nb\n");
    let stderr = text(&output.stderr);
    assert!(stderr.contains("connecting again in 0."), "{stderr}");
    assert_eq!(output.status.code(), Some(0));
}
