//! Accepts that fail, under a loop that runs.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::net::config::LoopConfig;
use crate::net::event_loop::{EventLoop, Seed};
use crate::net::handler::Message;
use crate::net::listener::Listener;
use crate::net::peer::Peer;

#[test]
fn a_failed_accept_is_tried_again_after_a_pause_and_without_spinning() {
    const PAUSE: Duration = Duration::from_millis(40);
    /// Too many open files, in the process and in the system; no memory.
    const USED_UP: [i32; 3] = [24, 23, 12];
    let config = LoopConfig {
        accept_pause: PAUSE,
        ..LoopConfig::default()
    };
    let mut seed = Seed::group(1, &config).unwrap().remove(0);
    let listener = Listener::bind("127.0.0.1:0", &config).unwrap();
    let address = listener.address();
    {
        let mut faults = listener.faults.lock().unwrap();
        for errno in USED_UP {
            // These two are no reason to pause: the next in line may be all right.
            faults.push_back(io::ErrorKind::ConnectionAborted.into());
            faults.push_back(io::ErrorKind::Interrupted.into());
            faults.push_back(io::Error::from_raw_os_error(errno));
        }
    }
    seed.listen(listener);
    let remote = seed.remote();
    let echo = |peer: &mut Peer<'_>, message: Message<'_>| peer.send(message);
    let mut server = EventLoop::from_seed(seed, echo, config).unwrap();
    let _client = TcpStream::connect(address).unwrap();
    let begun = Instant::now();
    let mut turns = 0;
    while remote.metrics().snapshot().accepts == 0 {
        server
            .turn(Some(Instant::now() + Duration::from_secs(5)))
            .unwrap();
        turns += 1;
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    let pauses = u32::try_from(USED_UP.len()).unwrap();
    assert!(begun.elapsed() >= PAUSE * pauses);
    // One for each pause, some for a clock that is not exact, and the accept.
    assert!(turns <= 4 * pauses + 2, "{turns} turns");
    let counts = remote.metrics().snapshot();
    assert_eq!(
        (counts.accepts, counts.accept_failures),
        (1, u64::from(pauses))
    );
}
