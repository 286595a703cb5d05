//! A network in which TCP does not pace what is sent.
//!
//! BBR, the congestion control of many a server, spreads what is sent over time: by a timer, and by
//! the bandwidth that it believes in. On loopback that says nothing of a server, and what a large
//! message costs falls into several states, a factor of two apart, by chance. Each network namespace
//! has a setting of its own, so the machine keeps the one that it has.

use std::error::Error;
use std::fs::{self, File};
use std::process::Command;

use nix::sched::{CloneFlags, setns, unshare};

const USED: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
/// What the names of those begin with that pace.
const PACING: &str = "bbr";
/// Those that do not, the usual one first.
const UNPACED: [&str; 2] = ["cubic", "reno"];

/// Takes the calling thread, and the processes that it starts from now on, to a network of their
/// own where that is needed; says so where it cannot be done.
pub fn enter() {
    // A system that does not say has no such choice.
    let used = fs::read_to_string(USED).unwrap_or_default();
    if used.starts_with(PACING)
        && let Err(error) = leave_pacing()
    {
        eprintln!(
            "note: TCP paces here ({}), so what large messages cost is in part chance; a network \
             without, which takes root, iproute2 and another congestion control, cannot be made: \
             {error}",
            used.trim()
        );
    }
}

fn leave_pacing() -> Result<(), Box<dyn Error>> {
    let allowed = fs::read_to_string(ALLOWED)?;
    let is_allowed = |name: &&str| allowed.split_whitespace().any(|allowed| allowed == *name);
    let other = UNPACED.into_iter().find(is_allowed);
    let other = other.ok_or("no other congestion control is allowed")?;
    let machine = File::open("/proc/self/ns/net")?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let done = bring_up().and_then(|()| Ok(fs::write(USED, other)?));
    if done.is_err() {
        setns(machine, CloneFlags::CLONE_NEWNET)?;
    }
    done
}

/// In a new network even loopback is down.
fn bring_up() -> Result<(), Box<dyn Error>> {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()
        .map_err(|error| format!("ip: {error}"))?;
    match up.success() {
        true => Ok(()),
        false => Err(format!("ip link set lo up: {up}").into()),
    }
}
