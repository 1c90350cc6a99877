//! Limits a process to a share of a core, as Lambda does for functions with little memory. Stops and continues
//! the process by signals, which needs neither control groups nor root.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Interval of the checks of the process's CPU time. Lambda also uses periods of a few milliseconds.
const PERIOD: Duration = Duration::from_millis(2);

/// Most unused CPU time that a process can use later, as in Linux's bandwidth control.
const BURST: Duration = Duration::from_millis(10);

/// Limits a process to a share of one core until this is dropped.
pub struct Throttle {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<Duration>>,
}

impl Throttle {
    /// Limits the process to `share` of one core: 1.0 / 7.0 for a function of 256 MB.
    pub fn start(process: u32, share: f64) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let until = ends.clone();
        let thread = std::thread::spawn(move || hold(process, share, &until));
        Self {
            ends,
            thread: Some(thread),
        }
    }

    /// Ends the limit; returns the CPU time that the process used under it.
    pub fn end(mut self) -> Duration {
        self.ends.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it ends once");
        thread.join().expect("the process is there")
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn hold(process: u32, share: f64, ends: &AtomicBool) -> Duration {
    let id = i32::try_from(process)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process");
    let from = cpu(process);
    let (mut seen, mut at, mut saved) = (from, Instant::now(), 0.0_f64);
    while !ends.load(Ordering::Relaxed) {
        std::thread::sleep(PERIOD);
        let (used, now) = (cpu(process), Instant::now());
        let earned = (now - at).as_secs_f64() * share;
        saved = (saved + earned).min(BURST.as_secs_f64()) - used.saturating_sub(seen).as_secs_f64();
        (seen, at) = (used, now);
        if saved < 0.0 {
            kill_process(id, Signal::STOP).expect("the process is ours");
            std::thread::sleep(Duration::from_secs_f64(-saved / share));
            kill_process(id, Signal::CONT).expect("the process is ours");
        }
    }
    seen.saturating_sub(from)
}

/// CPU time of all threads of a process, to the nanosecond: the first field of
/// <https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat>.
pub fn cpu(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("a running process on Linux");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .map(Duration::from_nanos)
        .sum()
}
