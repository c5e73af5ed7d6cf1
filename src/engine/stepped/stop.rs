//! A step before which a process stops, so that a debugger can be attached to it: it tells its id to the process that asked, and
//! stops by SIGSTOP.

use crate::engine::StopAt;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed};

/// A [`StopAt`] in shared memory, where the process that has the turn finds it.
#[repr(C)]
pub(super) struct Pause {
    /// The number of the step, counted from 1; 0 for none.
    step: AtomicU32,
    asker: AtomicU32,
    pipe: AtomicI32,
    /// The steps that were noted so far.
    noted: AtomicU32,
    /// 1: a process stands still for a debugger.
    stands: AtomicU32,
}

impl Pause {
    /// Sets the step for the next execution, or none.
    pub(super) fn set(&self, stop: Option<StopAt>) {
        self.noted.store(0, Relaxed);
        self.stands.store(0, Relaxed);
        let step = stop.map_or(0, |stop| stop.step.saturating_add(1));
        if let Some(stop) = stop {
            self.asker.store(stop.asker, Relaxed);
            self.pipe.store(stop.pipe, Relaxed);
        }
        self.step.store(step, Relaxed);
    }

    /// Counts a step that is noted.
    pub(super) fn count(&self) {
        self.noted
            .store(self.noted.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Returns whether a process stands still for a debugger: that is no hang.
    pub(super) fn stands(&self) -> bool {
        self.stands.load(Relaxed) != 0
    }

    /// Stops the calling process, if the next step to be noted is the one that was asked for.
    pub(super) fn before_step(&self) {
        let step = self.step.load(Relaxed);
        if step == 0 || step != self.noted.load(Relaxed).wrapping_add(1) {
            return;
        }
        self.step.store(0, Relaxed);
        let (asker, pipe) = (self.asker.load(Relaxed), self.pipe.load(Relaxed));
        let pipe = OpenOptions::new()
            .write(true)
            .open(format!("/proc/{asker}/fd/{pipe}"));
        // If it cannot be told, nothing would continue this process.
        let told = pipe.and_then(|mut pipe| writeln!(pipe, "{}", std::process::id()));
        if told.is_ok() {
            self.stands.store(1, Relaxed);
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP);
            self.stands.store(0, Relaxed);
        }
    }
}
