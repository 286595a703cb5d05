//! What an idle connection costs in resident memory, fresh from its handshake and again after
//! one message, which should leave no buffer behind.
//!
//! With compression agreed, the first is what it costs unused, and the message is compressed.

use std::error::Error;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::Common;
use crate::builtin::Builtin;
use crate::compressed;
use crate::load::{Exchange, Generator, Load};
use crate::process::{Command, Server, raise_file_limit};
use crate::rounds::Work;

/// `level` is that of compression, where it is to be agreed.
pub fn run(connections: usize, level: Option<u32>, common: Common) -> Result<(), Box<dyn Error>> {
    let files = raise_file_limit()?;
    if files < connections as u64 + 100 {
        return Err(format!("the limit of {files} open files is too low").into());
    }
    let (mut commands, mode) = match level {
        None => (
            vec![
                Command::builtin(Builtin::Raw)?,
                Command::builtin(Builtin::Openline)?,
            ],
            "echo",
        ),
        Some(_) => (
            vec![Command::builtin(Builtin::OpenlineCompressed)?],
            "compressed",
        ),
    };
    commands.extend(common.servers(mode)?);
    for command in &commands {
        let command = command.fill("level", &level.unwrap_or_default().to_string());
        let server = Server::start(&command)?;
        let exchange = match level {
            None => Exchange::binary(&server, load(1).size),
            // Long enough to be worth it.
            Some(level) => compressed::exchange(&server, &compressed::orders(1 << 10), level)?,
        };
        // What the first connection makes a server allocate once for all is not counted.
        Generator::open(&server, load(1), &exchange)?.run(MOMENT)?;
        let before = rest(&server)?;
        let mut generator = Generator::open(&server, load(connections), &exchange)?;
        let each = |resident: u64| resident.saturating_sub(before) as f64 / connections as f64;
        let opened = each(rest(&server)?);
        generator.run(Duration::ZERO)?;
        let used = each(rest(&server)?);
        if common.json {
            let line = json!({
                "what": "idle", "variant": level.map_or("plain", |_| "compressed"),
                "server": server.name, "connections": connections,
                "bytes_opened": opened, "bytes_used": used,
            });
            println!("{line}");
        } else {
            println!(
                "{:<20} {connections} connections: {opened:.0} bytes each after the handshake, \
                 {used:.0} after a message",
                server.name
            );
        }
    }
    Ok(())
}

/// The server's resident bytes once it has come to rest.
fn rest(server: &Server) -> Result<u64, Box<dyn Error>> {
    thread::sleep(MOMENT);
    server.resident()
}

fn load(connections: usize) -> Load {
    Load::new(connections, 1, 20)
}

const MOMENT: Duration = Duration::from_millis(300);
