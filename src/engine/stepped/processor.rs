//! The processor of a crew's forked workers. One of them moves at a time, so one processor is enough for all, and a turn
//! that stays on it takes microseconds. A worker on another processor would first have to be woken there, and would wait
//! until other work leaves it: a millisecond or more on a busy machine. sched_setaffinity(2).

use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

/// The processor on which the workers of a crew run, once they were told.
#[derive(Default)]
pub(super) struct Processor(Option<usize>);

impl Processor {
    /// Moves these workers to the caller's processor, which is free once the caller waits for them.
    pub(super) fn gather(&mut self, workers: impl Iterator<Item = u32>) {
        let now = sched_getcpu().ok();
        if std::mem::replace(&mut self.0, now) != now {
            workers.for_each(|worker| self.add(worker));
        }
    }

    /// Moves a worker to the processor of the others.
    pub(super) fn add(&self, worker: u32) {
        let Some(processor) = self.0 else { return };
        let mut set = CpuSet::new();
        let set = set.set(processor).map(|()| set);
        // If this is refused, the kernel chooses the processor.
        let _ = set.and_then(|set| sched_setaffinity(Pid::from_raw(worker as i32), &set));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::in_fresh_process;
    use nix::sched::sched_getaffinity;

    /// Returns the processors that this process may run on, before it was gathered and after.
    fn gathered(_: ()) -> [usize; 2] {
        let processors = || {
            let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
            let is_in = |&processor: &usize| set.is_set(processor).unwrap();
            (0..CpuSet::count()).filter(is_in).count()
        };
        let before = processors();
        Processor::default().gather([std::process::id()].into_iter());
        [before, processors()]
    }

    #[test]
    fn workers_that_were_gathered_have_one_processor() {
        let [before, after] = in_fresh_process(gathered, ()).unwrap();
        assert!(before >= after && after == 1, "{before}, {after}");
    }
}
