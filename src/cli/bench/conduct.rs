//! A run from its beginning to its end: threads are started, connections opened step by step, the
//! window set, and an end made whatever the server does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use openline::net::LoopConfig;

use crate::cli::bench::plan::{Mode, Plan};
use crate::cli::bench::process::{Process, Spent};
use crate::cli::bench::progress::Progress;
use crate::cli::bench::shared::{Shared, Sum, Window};
use crate::cli::bench::tally::Tally;
use crate::cli::bench::worker::Worker;

/// How often is looked how far it is.
const STEP: Duration = Duration::from_millis(20);
/// How long a server may take to come to rest before its memory is looked at.
const REST: Duration = Duration::from_millis(500);

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// How long was measured.
    pub(super) measured: Duration,
    /// How long it took to open all connections.
    pub(super) opening: Option<Duration>,
    /// What makes the figures worthless.
    pub(super) fault: Option<String>,
    /// The messages that a server left unanswered for so long that no more was waited for.
    pub(super) stalled: Option<u64>,
    pub(super) server: Option<ServerCost>,
    /// How many cores the generator kept busy, where the kernel says so.
    pub(super) generator_cores: Option<f64>,
}

/// What it cost the server's process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerCost {
    /// Nanoseconds of all cores for each message.
    pub(super) cpu_time: Option<f64>,
    /// How many cores it kept busy.
    pub(super) cores: Option<f64>,
    /// Bytes, at the end of the window.
    pub(super) resident: Option<u64>,
    /// Bytes, of every connection but the first.
    pub(super) resident_each: Option<f64>,
}

/// Runs it all.
pub(super) fn run(
    plan: &Arc<Plan>,
    shared: &Arc<Shared>,
    config: &LoopConfig,
    process: Option<Process>,
    progress: &Progress,
) -> io::Result<Outcome> {
    let workers = (0..plan.threads).map(|number| Worker::new(number, plan, shared, config.clone()));
    let workers: Vec<Worker> = workers.collect::<io::Result<_>>()?;
    let mut threads = Vec::new();
    for (number, worker) in workers.into_iter().enumerate() {
        let name = format!("generator-{number}");
        let started = thread::Builder::new().name(name);
        threads.push(started.spawn(move || worker.run()));
    }
    if threads.iter().any(Result::is_err) {
        shared.stop();
    }
    let mut conductor = Conductor {
        plan,
        shared,
        process,
        progress,
        opening: None,
        stalled: None,
        answer: (Instant::now(), 0),
        before: None,
        cost: process.map(|_| ServerCost::default()),
        generator: None,
        generator_cores: None,
        window: None,
        ended: None,
    };
    let conducted = conductor.conduct();
    if conducted.is_err() {
        shared.stop();
    }
    let mut tally = Tally::new();
    for thread in threads {
        let counted = thread?.join();
        tally.add(counted.map_err(|_| io::Error::other("a thread panicked"))??);
    }
    conducted?;
    Ok(Outcome {
        tally,
        measured: conductor.measured(),
        opening: conductor.opening,
        fault: shared.take_fault(),
        stalled: conductor.stalled,
        server: conductor.cost,
        generator_cores: conductor.generator_cores,
    })
}

struct Conductor<'a> {
    plan: &'a Plan,
    shared: &'a Shared,
    process: Option<Process>,
    progress: &'a Progress,
    opening: Option<Duration>,
    stalled: Option<u64>,
    /// When answers last came, and how many there were.
    answer: (Instant, u64),
    /// The process's time, and the answers, when the window began.
    before: Option<(Spent, u64)>,
    cost: Option<ServerCost>,
    /// The generator's own time when the window began.
    generator: Option<Spent>,
    generator_cores: Option<f64>,
    window: Option<Window>,
    ended: Option<Instant>,
}

impl Conductor<'_> {
    fn conduct(&mut self) -> io::Result<()> {
        let baseline = self.baseline()?;
        self.open()?;
        let now = Instant::now();
        let from = now + self.plan.warm_up;
        let window = Window {
            from,
            until: from + self.plan.duration,
        };
        if self.plan.mode == Mode::Idle {
            self.sleep_until(now + REST);
        }
        self.answer.0 = Instant::now();
        self.window = Some(window);
        self.shared.set_window(window);
        if let (Some(process), Some(baseline), Some(cost)) =
            (self.process, baseline, &mut self.cost)
        {
            let grown = process.resident()?.saturating_sub(baseline);
            let others = self.shared.sum().open.saturating_sub(1);
            cost.resident_each = (others > 0).then(|| grown as f64 / others as f64);
        }
        loop {
            let now = Instant::now();
            let sum = self.shared.sum();
            if now >= window.from {
                self.begin_cost(sum)?;
            }
            if self.ended.is_none() && (now >= window.until || self.shared.is_ending()) {
                self.ended = Some(now);
                self.end_cost(sum)?;
            }
            if sum.is_done {
                self.ended.get_or_insert(now);
                return Ok(());
            }
            self.watch(sum, now);
            self.progress.measure(sum, now, window);
            thread::sleep(STEP);
        }
    }

    /// The server's memory with one connection, where it is to be told what more of them take.
    fn baseline(&mut self) -> io::Result<Option<u64>> {
        let (Mode::Idle, Some(process)) = (self.plan.mode, self.process) else {
            return Ok(None);
        };
        self.shared.may_open.store(1, Ordering::Relaxed);
        while self.shared.sum().attempted < 1 && !self.is_interrupted() {
            thread::sleep(STEP);
        }
        self.sleep_until(Instant::now() + REST);
        process.resident().map(Some)
    }

    /// Lets the connections be opened, at once or over the ramp.
    fn open(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let all = self.plan.connections;
        loop {
            let elapsed = begun.elapsed();
            let may = match elapsed < self.plan.ramp {
                true => {
                    let part = all as u128 * elapsed.as_nanos() / self.plan.ramp.as_nanos();
                    // The first at once.
                    usize::try_from(part).map_or(all, |part| part + 1)
                }
                false => all,
            };
            self.shared.may_open.store(may.min(all), Ordering::Relaxed);
            let sum = self.shared.sum();
            if sum.attempted >= all as u64 {
                self.opening = Some(begun.elapsed());
                return Ok(());
            }
            if self.is_interrupted() || sum.is_done {
                return Ok(());
            }
            self.watch(sum, Instant::now());
            self.progress.open(sum, all);
            thread::sleep(STEP);
        }
    }

    /// Ends what a server does not go on with.
    fn watch(&mut self, sum: Sum, now: Instant) {
        if sum.answered != self.answer.1 || sum.outstanding == 0 {
            self.answer = (now, sum.answered);
        } else if now - self.answer.0 > self.plan.timeout && !self.shared.is_stopped() {
            self.stalled = Some(sum.outstanding);
            self.shared.stop();
        }
    }

    fn begin_cost(&mut self, sum: Sum) -> io::Result<()> {
        if let (Some(process), None) = (self.process, self.before) {
            self.before = Some((process.spent()?, sum.answered));
        }
        if self.generator.is_none() {
            // Only Linux says it.
            self.generator = Process::this().spent().ok();
        }
        Ok(())
    }

    fn end_cost(&mut self, sum: Sum) -> io::Result<()> {
        let generator = Process::this().spent().ok();
        self.generator_cores = generator
            .zip(self.generator)
            .and_then(|(now, before)| now.cores_since(before));
        let (Some(process), Some(cost)) = (self.process, &mut self.cost) else {
            return Ok(());
        };
        // A server that has gone has no memory, and is told of by what failed.
        cost.resident = process.resident().ok();
        let spent = process.spent().ok();
        if let (Some(spent), Some((before, answered))) = (spent, self.before) {
            let messages = sum.answered - answered;
            let ran = spent.nanoseconds.saturating_sub(before.nanoseconds);
            cost.cpu_time = (messages > 0).then(|| ran as f64 / messages as f64);
            cost.cores = spent.cores_since(before);
        }
        Ok(())
    }

    fn measured(&self) -> Duration {
        let (Some(window), Some(ended)) = (self.window, self.ended) else {
            return Duration::ZERO;
        };
        window
            .until
            .min(ended)
            .saturating_duration_since(window.from)
    }

    fn is_interrupted(&self) -> bool {
        self.shared.is_ending()
    }

    fn sleep_until(&self, until: Instant) {
        while Instant::now() < until && !self.is_interrupted() {
            thread::sleep(STEP);
        }
    }
}
