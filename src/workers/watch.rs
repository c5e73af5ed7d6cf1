//! Notices that nothing moves any more. It counts processor time, not the clock on the wall, so that a
//! throttled or loaded machine is not called a hang: processes that burn time without progress are endless,
//! processes that all sleep through many looks are deadlocked, and processes that merely wait for a
//! processor are neither.

use super::futex::PrivateWait;
use std::time::Duration;

/// Processor time without progress after which an operation is called endless.
pub(crate) const ENDLESS: Duration = Duration::from_secs(2);
/// Looks in a row at which every unfinished process slept (S), or was stopped by a signal (T): not for the disk (D), nor
/// held by a debugger (t) other than us.
const ASLEEP: u32 = 40;
/// The same with processes that wait for a device (D) among them: one whose vfork(2) does not return looks like that.
const BLOCKED: u32 = 1_200;
/// How long to wait between two looks.
pub(crate) const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// What is wrong with a process that does not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// It used so much processor time without progress.
    Endless(Duration),
    /// It sleeps, and so does everybody who could wake it.
    Asleep,
    /// The same, and a signal stopped it: SIGSTOP, or one of the terminal's.
    Stopped,
}

/// Looks at a set of processes again and again.
pub(crate) struct Watch {
    progress: u64,
    /// Processor time of each process when progress was last seen.
    since: Vec<Option<Duration>>,
    /// Processor time at the last look.
    last: Vec<Option<Duration>>,
    asleep: u32,
    blocked: u32,
}

impl Watch {
    pub(crate) fn new(processes: usize) -> Self {
        Self {
            progress: u64::MAX,
            since: vec![None; processes],
            last: vec![None; processes],
            asleep: 0,
            blocked: 0,
        }
    }

    /// One look: `progress` is any number that changes while things move, `unfinished` are the processes
    /// (by index and pid) that have still to do something. Says who is stuck, if that has become clear.
    pub(crate) fn look(
        &mut self,
        progress: u64,
        unfinished: &[(usize, u32)],
    ) -> Option<(usize, Stuck)> {
        if progress != self.progress {
            self.progress = progress;
            self.since.fill(None);
            self.last.fill(None);
            self.asleep = 0;
            self.blocked = 0;
        }
        let mut all_asleep = !unfinished.is_empty();
        let mut all_blocked = all_asleep;
        for &(index, pid) in unfinished {
            let (state, used) = stat(pid)?;
            let sleeping = matches!(state, 'S' | 'T' | 'Z');
            // Certain at the first look.
            if sleeping && PrivateWait::of(pid).is_some() {
                return Some((index, Stuck::Asleep));
            }
            let since = *self.since[index].get_or_insert(used);
            if used.saturating_sub(since) >= ENDLESS {
                return Some((index, Stuck::Endless(used - since)));
            }
            let moved = self.last[index]
                .replace(used)
                .is_none_or(|last| used > last);
            all_asleep &= sleeping && !moved;
            all_blocked &= (sleeping || state == 'D') && !moved;
        }
        self.asleep = if all_asleep { self.asleep + 1 } else { 0 };
        self.blocked = if all_blocked { self.blocked + 1 } else { 0 };
        if self.asleep < ASLEEP && self.blocked < BLOCKED {
            return None;
        }
        let stopped = unfinished.iter().find(|(_, pid)| is_stopped(*pid));
        Some(match stopped {
            Some(&(index, _)) => (index, Stuck::Stopped),
            None => (unfinished[0].0, Stuck::Asleep),
        })
    }
}

/// Whether a process sleeps or waits for a device, and the processor time it has used: fields 3, 14 and 15 of `/proc/PID/stat`,
/// proc_pid_stat(5), in clock ticks. `None` if it is gone.
pub(super) fn state_and_time(pid: u32) -> Option<(bool, Duration)> {
    let (state, used) = stat(pid)?;
    // Z: the first thread has ended and others have not; the end of a process is seen by its pidfd.
    Some((matches!(state, 'S' | 'T' | 'Z' | 'D'), used))
}

fn is_stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state == 'T')
}

fn stat(pid: u32) -> Option<(char, Duration)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .unwrap_or(100) as u64;
    let mut state = fields.first()?.chars().next()?;
    if state == 't' && is_traced_by_us(pid) {
        state = 'T';
    }
    Some((state, Duration::from_millis(ticks * 1000 / per_second)))
}

/// Whether it asked for that: we trace nothing, so we continue nothing that stops for us. ptrace(2), `PTRACE_TRACEME`.
fn is_traced_by_us(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() == std::process::id().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_moves_is_never_stuck() {
        let mut watch = Watch::new(1);
        let me = [(0, std::process::id())];
        assert!((0..100).all(|progress| watch.look(progress, &me).is_none()));
    }

    #[test]
    fn a_process_that_burns_time_without_progress_is_endless() {
        let mut watch = Watch::new(1);
        let me = [(0, std::process::id())];
        let used = || state_and_time(me[0].1).unwrap().1;
        let stuck = std::iter::repeat_with(|| {
            // Between two looks it has burnt some, however fast it runs.
            let before = used();
            while used() == before {
                std::hint::spin_loop();
            }
            watch.look(0, &me)
        });
        assert!(
            matches!(stuck.flatten().next(), Some((0, Stuck::Endless(used))) if used >= ENDLESS)
        );
    }

    #[test]
    fn nobody_unfinished_is_not_stuck() {
        let mut watch = Watch::new(1);
        assert!((0..2 * ASLEEP).all(|_| watch.look(0, &[]).is_none()));
    }
}
