//! What peers without manners cost a server: those that flood it and never read, beside one that
//! behaves, and those that declare a large frame and send nothing of it.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openline::proto::Opcode;
use serde_json::json;

use crate::Common;
use crate::builtin::Builtin;
use crate::load::{self, Exchange, Generator, KEY, Load, masked_frame};
use crate::process::{Command, GENERATOR_CORE, Server, pin, raise_file_limit};
use crate::rounds::Work;

/// Peers that send Pings and messages of 64 KiB as fast as they can and never read, for `seconds`:
/// how much the server's memory grows, and how long one that behaves waits for its echoes.
pub fn flood(peers: usize, seconds: u64, common: Common) -> Result<(), Box<dyn Error>> {
    pin(GENERATOR_CORE)?;
    for command in commands(common.servers("echo")?)? {
        let server = Server::start(&command)?;
        let mut good = load::open(&server, 0)?;
        let quiet = round_trips(&mut good, || false)?;
        let before = server.resident()?;
        let window = Duration::from_secs(seconds);
        let floods = (0..peers).map(|n| {
            let stream = load::open(&server, n + 1)?;
            Ok(thread::spawn(move || send_without_reading(stream, window)))
        });
        let floods: Vec<JoinHandle<u64>> = floods.collect::<Result<_, Box<dyn Error>>>()?;
        let mut most = before;
        let busy = round_trips(&mut good, || {
            most = most.max(server.resident().unwrap_or_default());
            floods.iter().any(|flood| !flood.is_finished())
        })?;
        let sent: u64 = floods
            .into_iter()
            .map(|flood| flood.join().unwrap_or(0))
            .sum();
        let grown = most.saturating_sub(before);
        if common.json {
            let line = json!({
                "what": "flood", "server": server.name, "peers": peers, "seconds": seconds,
                "bytes_grown": grown, "bytes_sent": sent,
                "p99_quiet_us": quiet.as_secs_f64() * 1e6, "p99_us": busy.as_secs_f64() * 1e6,
            });
            println!("{line}");
        } else {
            println!(
                "{:<20} {peers} peers flood for {seconds} s: memory grows by {:.1} MiB, \
                 p99 beside them {:.3} ms ({:.3} ms before)",
                server.name,
                grown as f64 / f64::from(1 << 20),
                busy.as_secs_f64() * 1e3,
                quiet.as_secs_f64() * 1e3,
            );
        }
    }
    Ok(())
}

/// Peers that declare a frame of a mebibyte and send nothing of it: resident bytes of each, beyond
/// those of a connection that is idle.
pub fn claim(peers: usize, common: Common) -> Result<(), Box<dyn Error>> {
    let files = raise_file_limit()?;
    if files < peers as u64 + 100 {
        return Err(format!("the limit of {files} open files is too low").into());
    }
    for command in commands(common.servers("echo")?)? {
        let server = Server::start(&command)?;
        // What the first connection makes a server allocate once for all is not counted.
        let one = Load::new(1, 1, 20);
        let exchange = Exchange::binary(&server, one.size);
        Generator::open(&server, one, &exchange)?.run(MOMENT)?;
        thread::sleep(MOMENT);
        let before = server.resident()?;
        let mut streams = Vec::new();
        for n in 0..peers {
            streams.push(load::open(&server, n)?);
        }
        thread::sleep(MOMENT);
        let idle = server.resident()?;
        for stream in &mut streams {
            stream.write_all(&load::header(Opcode::Binary, 1 << 20, Some(KEY)))?;
        }
        thread::sleep(MOMENT);
        let claimed = server.resident()?;
        let each = |from: u64| claimed.saturating_sub(from) as f64 / peers as f64;
        if common.json {
            let line = json!({
                "what": "claim", "server": server.name, "peers": peers,
                "bytes_each": each(before), "bytes_beyond_idle": each(idle),
            });
            println!("{line}");
        } else {
            println!(
                "{:<20} {peers} peers declare a mebibyte: {:.0} bytes each, \
                 {:.0} beyond what they cost idle",
                server.name,
                each(before),
                each(idle),
            );
        }
    }
    Ok(())
}

fn commands(others: Vec<Command>) -> Result<Vec<Command>, Box<dyn Error>> {
    let mut commands = vec![Command::builtin(Builtin::Openline)?];
    commands.extend(others);
    Ok(commands)
}

/// Sends as fast as the server lets it, and keeps the connection until the time is over; returns
/// the bytes that went.
fn send_without_reading(mut stream: TcpStream, window: Duration) -> u64 {
    let message = masked_frame(Opcode::Binary, &[0; 64 << 10]);
    let ping = masked_frame(Opcode::Ping, &[0; 125]);
    let frames = [ping.repeat(64), message].concat();
    let begun = Instant::now();
    let mut at = 0;
    let mut sent = 0;
    while let Some(left) = window.checked_sub(begun.elapsed()) {
        let patience = left.max(Duration::from_millis(1));
        if stream.set_write_timeout(Some(patience)).is_err() {
            break;
        }
        match stream.write(&frames[at..]) {
            Ok(n) => {
                at = (at + n) % frames.len();
                sent += n as u64;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // The server has had enough: this connection costs it nothing more.
            Err(_) => {
                thread::sleep(left);
                break;
            }
        }
    }
    sent
}

/// One message there and back each millisecond, for half a second at least and as long as `more`
/// says; the 99th of a hundred.
fn round_trips(
    stream: &mut TcpStream,
    mut more: impl FnMut() -> bool,
) -> Result<Duration, Box<dyn Error>> {
    let message = masked_frame(Opcode::Binary, b"still there?");
    let mut echo = vec![0; 2 + 12];
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) || more() {
        let sent = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut echo)?;
        times.push(sent.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    times.sort_unstable();
    Ok(times[times.len() * 99 / 100])
}

const MOMENT: Duration = Duration::from_millis(300);
