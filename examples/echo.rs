//! An echo server in one line: `cargo run --example echo`, and talk to ws://127.0.0.1:9001.

fn main() -> std::io::Result<()> {
    openline::net::serve("127.0.0.1:9001", |peer, message| peer.send(message))
}
