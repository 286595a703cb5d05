//! A network in which TCP does not pace what is sent.
//!
//! BBR, the congestion control of many a server, spreads what is sent over time, by a timer and by
//! the bandwidth that it believes in. On loopback it says nothing of the server: what large
//! messages cost falls into several states, a factor of two apart, by chance. Namespaces have a
//! setting each, so what else runs on the machine keeps its own.

use std::error::Error;
use std::fs;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

/// Takes the calling thread, and the processes that it starts from now on, to a network of their
/// own where that is needed; says so where it cannot be done.
pub fn enter() -> Result<(), Box<dyn Error>> {
    let used = fs::read_to_string(USED)?;
    let used = used.trim();
    if !used.starts_with(PACING) {
        return Ok(());
    }
    let allowed = fs::read_to_string(ALLOWED)?;
    let allowed = |name: &&str| allowed.split_whitespace().any(|allowed| allowed == *name);
    let Some(other) = ["cubic", "reno"].into_iter().find(allowed) else {
        warn(used, "this system has no other congestion control");
        return Ok(());
    };
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        warn(used, &format!("run as root for a network without: {error}"));
        return Ok(());
    }
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()
        .map_err(|error| format!("ip, of iproute2, is needed: {error}"))?;
    if !up.success() {
        return Err("ip cannot bring up loopback in a network of our own".into());
    }
    fs::write(USED, other)?;
    Ok(())
}

fn warn(used: &str, why: &str) {
    eprintln!(
        "note: TCP paces here ({used}), so what large messages cost is in part chance; {why}"
    );
}

const USED: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
/// What the names of those begin with that pace.
const PACING: &str = "bbr";
