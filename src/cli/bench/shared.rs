//! What the threads of a run tell each other: how far each is, and when it begins and ends.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// When it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) from: Instant,
    pub(super) until: Instant,
}

impl Window {
    #[inline]
    pub(super) fn contains(self, moment: Instant) -> bool {
        moment >= self.from && moment < self.until
    }
}

/// Between the thread that conducts and those that generate.
///
/// The numbers are written by one thread each, and are only to be shown or compared: nothing else
/// is ordered by them.
#[derive(Debug)]
pub(super) struct Shared {
    /// How many connections may be opened by now.
    pub(super) may_open: AtomicUsize,
    window: OnceLock<Window>,
    is_ending: AtomicBool,
    is_stopped: AtomicBool,
    fault: Mutex<Option<String>>,
    workers: Vec<Counts>,
}

/// How far one thread is.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Attempts that came to an end, opened or not.
    pub(super) attempted: AtomicU64,
    pub(super) opened: AtomicU64,
    /// Those that are open.
    pub(super) open: AtomicU64,
    /// Echoes, deliveries or handshakes, in the window or not.
    pub(super) answered: AtomicU64,
    /// Messages that are under way.
    pub(super) outstanding: AtomicU64,
    pub(super) is_done: AtomicBool,
}

/// The same for all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) attempted: u64,
    pub(super) opened: u64,
    pub(super) open: u64,
    pub(super) answered: u64,
    pub(super) outstanding: u64,
    /// Whether all threads are done.
    pub(super) is_done: bool,
}

impl Shared {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            may_open: AtomicUsize::new(0),
            window: OnceLock::new(),
            is_ending: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            fault: Mutex::new(None),
            workers: (0..threads).map(|_| Counts::default()).collect(),
        }
    }

    /// Says when it counts; once.
    pub(super) fn set_window(&self, window: Window) {
        // Who was told does not ask again.
        let _ = self.window.set(window);
    }

    pub(super) fn window(&self) -> Option<Window> {
        self.window.get().copied()
    }

    /// Has nothing more sent; what is under way may still come back.
    pub(super) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Has it end, and nothing waited for.
    pub(super) fn stop(&self) {
        self.end();
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Something that makes the figures worthless: the first is kept, and the run ends.
    #[cold]
    pub(super) fn fail(&self, fault: String) {
        let mut first = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(fault);
        drop(first);
        self.stop();
    }

    pub(super) fn take_fault(&self) -> Option<String> {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.take()
    }

    pub(super) fn counts(&self, worker: usize) -> &Counts {
        &self.workers[worker]
    }

    pub(super) fn sum(&self) -> Sum {
        let mut sum = Sum {
            is_done: true,
            ..Sum::default()
        };
        for counts in &self.workers {
            sum.attempted += counts.attempted.load(Ordering::Relaxed);
            sum.opened += counts.opened.load(Ordering::Relaxed);
            sum.open += counts.open.load(Ordering::Relaxed);
            sum.answered += counts.answered.load(Ordering::Relaxed);
            sum.outstanding += counts.outstanding.load(Ordering::Relaxed);
            sum.is_done &= counts.is_done.load(Ordering::Relaxed);
        }
        sum
    }
}
