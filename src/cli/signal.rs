//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second is obeyed at once.

use std::io;

/// Has `end` called, in a thread of its own, at the first signal. The second ends the process.
#[cfg(unix)]
pub(crate) fn on_first(end: impl FnOnce() + Send + 'static) -> io::Result<()> {
    use std::process;
    use std::thread;

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut end = Some(end);
            for signal in signals.forever() {
                match end.take() {
                    Some(end) => end(),
                    // What shells report for a process that a signal ended.
                    None => process::exit(128 + signal),
                }
            }
        })?;
    Ok(())
}

/// Has `again` called, in a thread of its own, at every SIGHUP.
#[cfg(unix)]
pub(crate) fn on_hang_up(again: impl Fn() + Send + 'static) -> io::Result<()> {
    use std::thread;

    use signal_hook::consts::SIGHUP;
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGHUP])?;
    let wait = move || signals.forever().for_each(|_| again());
    let waiting = thread::Builder::new()
        .name("hang-up".to_owned())
        .spawn(wait);
    waiting.map(|_| ())
}

/// There is no such signal.
#[cfg(not(unix))]
pub(crate) fn on_hang_up(_: impl Fn() + Send + 'static) -> io::Result<()> {
    Ok(())
}

/// Where there are no such signals, Ctrl-C ends the process.
#[cfg(not(unix))]
pub(crate) fn on_first(_: impl FnOnce() + Send + 'static) -> io::Result<()> {
    Ok(())
}
