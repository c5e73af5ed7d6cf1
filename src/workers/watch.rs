//! Notices that no process makes progress. It counts processor time, not wall-clock time, so a throttled or loaded
//! machine is not called a hang. Processes that use time without progress are endless; processes that all sleep
//! through many looks are deadlocked; processes that merely wait for a processor are neither.

use super::futex::PrivateWait;
use crate::memory::pidfd::number_in_proc;
use crate::process::printed_panics;
use std::time::Duration;

/// The watchdog's time, if the suite and the environment set none: the processor time without progress after which an
/// operation is called endless, and the time of the looks in a row at which every unfinished process was asleep (it
/// did not wait for the disk, D, nor was it stopped by a debugger other than this process, t).
pub(crate) const WATCHDOG: Duration = Duration::from_secs(2);
/// The processor time without progress that is endless while a process prints a panic, if the watchdog's time is
/// shorter: the standard library reads the names of a backtrace from the debug information of the whole program,
/// which takes up to a second on a free processor.
const PRINTING: Duration = Duration::from_secs(20);
/// The panics that count as progress once they have been printed.
const PRINTED: u32 = 20;
/// The looks in a row at which every unfinished process was asleep or in D: a process whose vfork(2) does not return
/// is in D, too.
const BLOCKED: u32 = 1_200;
/// The looks in a row at which every unfinished process was asleep and a signal had stopped one of them: that one
/// does not wait for anything that takes time, and nothing in a check continues it.
const STOPPED: u32 = 10;
/// The time between two looks.
pub(crate) const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The reason why a process does not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// It used this much processor time without progress.
    Endless(Duration),
    /// It sleeps, and so does each process that could wake it.
    Asleep,
    /// A signal stopped it (SIGSTOP, or one of the terminal's), and the others sleep.
    Stopped,
}

/// Looks repeatedly at a set of processes.
pub(crate) struct Watch {
    /// The processor time without progress that is endless.
    endless: Duration,
    /// The looks in a row at sleeping processes that are a deadlock.
    deadlock: u32,
    progress: u64,
    /// The processor time of each process when progress was last seen.
    since: Vec<Option<Duration>>,
    /// The processor time at the last look.
    last: Vec<Option<Duration>>,
    asleep: u32,
    stopped: u32,
    blocked: u32,
}

impl Watch {
    pub(crate) fn new(processes: usize, watchdog: Duration) -> Self {
        let looks = watchdog.as_millis() / BETWEEN_LOOKS.as_millis();
        Self {
            endless: watchdog,
            deadlock: u32::try_from(looks).unwrap_or(u32::MAX).max(1),
            progress: u64::MAX,
            since: vec![None; processes],
            last: vec![None; processes],
            asleep: 0,
            stopped: 0,
            blocked: 0,
        }
    }

    /// Takes one look. `progress` is any number that changes while things move, `unfinished` are the processes (by
    /// index and pid) that still have work to do. Returns the one that is stuck, once that is clear.
    pub(crate) fn look(
        &mut self,
        progress: u64,
        unfinished: &[(usize, u32)],
    ) -> Option<(usize, Stuck)> {
        let mut seen = Vec::new();
        for &(index, pid) in unfinished {
            let number = number_in_proc(pid)?;
            let (state, used) = stat(number)?;
            // This is certain at the first look.
            if is_asleep(state) && PrivateWait::of_number(number).is_some() {
                return Some((index, Stuck::Asleep));
            }
            seen.push((index, state, used));
        }
        let (printed, prints) = printed_panics();
        let endless = match prints {
            true => self.endless.max(PRINTING),
            false => self.endless,
        };
        // A process that panics repeatedly does not make progress by that.
        let printed = u64::from(printed.min(PRINTED));
        self.count(progress.wrapping_add(printed), endless, &seen)
    }

    /// Counts one look at processes in these states, which have used that much processor time.
    fn count(
        &mut self,
        progress: u64,
        endless: Duration,
        unfinished: &[(usize, char, Duration)],
    ) -> Option<(usize, Stuck)> {
        if progress != self.progress {
            self.progress = progress;
            self.since.fill(None);
            self.last.fill(None);
            self.asleep = 0;
            self.stopped = 0;
            self.blocked = 0;
        }
        let mut all_asleep = !unfinished.is_empty();
        let mut all_blocked = all_asleep;
        for &(index, state, used) in unfinished {
            let since = *self.since[index].get_or_insert(used);
            if used.saturating_sub(since) >= endless {
                return Some((index, Stuck::Endless(used - since)));
            }
            let moved = self.last[index]
                .replace(used)
                .is_none_or(|last| used > last);
            all_asleep &= is_asleep(state) && !moved;
            all_blocked &= (is_asleep(state) || state == 'D') && !moved;
        }
        let stopped = unfinished.iter().find(|(_, state, _)| *state == 'T');
        let counted = |looks: u32, again: bool| if again { looks + 1 } else { 0 };
        self.asleep = counted(self.asleep, all_asleep);
        self.stopped = counted(self.stopped, all_asleep && stopped.is_some());
        self.blocked = counted(self.blocked, all_blocked);
        if self.asleep < self.deadlock
            && self.stopped < STOPPED
            && self.blocked < self.deadlock.max(BLOCKED)
        {
            return None;
        }
        Some(match stopped {
            Some(&(index, ..)) => (index, Stuck::Stopped),
            None => (unfinished[0].0, Stuck::Asleep),
        })
    }
}

/// Returns whether a process in this state goes on only when another one lets it: it sleeps (S), a signal stopped it
/// (T), or its first thread has ended while others have not (Z; its pidfd shows the end of the whole process).
fn is_asleep(state: char) -> bool {
    matches!(state, 'S' | 'T' | 'Z')
}

/// Returns whether a process sleeps or waits for a device, and the processor time it has used; `None` if it is gone.
pub(crate) fn state_and_time(pid: u32) -> Option<(bool, Duration)> {
    let (state, used) = stat(number_in_proc(pid)?)?;
    Some((is_asleep(state) || state == 'D', used))
}

/// Returns the state of a process and the processor time it has used: fields 3, 14 and 15 of `/proc/NUMBER/stat`, in clock
/// ticks. proc_pid_stat(5). A process that is stopped for this process, its tracer, is in T.
fn stat(number: u32) -> Option<(char, Duration)> {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .unwrap_or(100) as u64;
    let mut state = fields.first()?.chars().next()?;
    if state == 't' && is_traced_by_us(number) {
        state = 'T';
    }
    Some((state, Duration::from_millis(ticks * 1000 / per_second)))
}

/// Returns whether a process made this one its tracer: this process traces none, so it continues none that stops for
/// it. ptrace(2), `PTRACE_TRACEME`.
fn is_traced_by_us(number: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    let us = std::fs::read_link("/proc/self").ok();
    tracer.is_some_and(|tracer| us.is_some_and(|us| us.as_os_str() == tracer.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;
    use nix::sched::{CloneFlags, unshare};
    use nix::sys::signal::{Signal, raise};
    use std::time::Instant;

    /// The looks in the watchdog's time.
    const LOOKS: u32 = 40;

    #[test]
    fn a_process_that_moves_is_never_stuck() {
        let mut watch = Watch::new(1, WATCHDOG);
        let me = [(0, std::process::id())];
        assert!((0..100).all(|progress| watch.look(progress, &me).is_none()));
    }

    #[test]
    fn a_process_that_burns_time_without_progress_is_endless() {
        let mut watch = Watch::new(1, WATCHDOG);
        let me = [(0, std::process::id())];
        let used = || state_and_time(me[0].1).unwrap().1;
        let stuck = std::iter::repeat_with(|| {
            // Between two looks it has used some, however fast it runs.
            let before = used();
            while used() == before {
                std::hint::spin_loop();
            }
            watch.look(0, &me)
        });
        assert!(
            matches!(stuck.flatten().next(), Some((0, Stuck::Endless(used))) if used >= WATCHDOG)
        );
    }

    #[test]
    fn a_process_may_take_longer_while_it_prints_a_panic_and_not_indefinitely() {
        let burns = |used| [(0, 'R', used)];
        let used_up = |endless: Duration, used: Duration| {
            let mut watch = Watch::new(1, WATCHDOG);
            assert_eq!(watch.count(0, endless, &burns(Duration::ZERO)), None);
            watch.count(0, endless, &burns(used)).is_some()
        };
        assert!(used_up(WATCHDOG, WATCHDOG) && !used_up(PRINTING, WATCHDOG));
        assert!(used_up(PRINTING, PRINTING));
        // Once it has been printed, the time starts again.
        let mut watch = Watch::new(1, WATCHDOG);
        assert_eq!(watch.count(0, PRINTING, &burns(Duration::ZERO)), None);
        assert_eq!(watch.count(1, WATCHDOG, &burns(WATCHDOG)), None);
    }

    #[test]
    fn a_stopped_process_is_seen_where_proc_shows_another_pid_namespace() {
        fn look() -> String {
            let stops = || raise(Signal::SIGSTOP).unwrap();
            let child = process::spawn(stops).unwrap();
            let mut watch = Watch::new(1, WATCHDOG);
            let until = Instant::now() + Duration::from_secs(10);
            while Instant::now() < until {
                if let Some((_, stuck)) = watch.look(0, &[(0, child.id())]) {
                    return format!("{stuck:?}");
                }
            }
            "nothing".into()
        }
        let seen = |()| {
            unshare(CloneFlags::CLONE_NEWPID).ok()?;
            Some(process::run(look).map_err(|error| error.to_string()))
        };
        match process::in_fresh_process(seen, ()).unwrap() {
            Some(seen) => assert_eq!(seen, Ok("Stopped".into())),
            None => eprintln!("SKIPPED: no pid namespace is permitted here"),
        }
    }

    #[test]
    fn no_unfinished_process_is_not_stuck() {
        let mut watch = Watch::new(1, WATCHDOG);
        assert!((0..2 * LOOKS).all(|_| watch.look(0, &[]).is_none()));
    }

    /// Returns the look, counted from 1, at which processes in these states are stuck, and how.
    fn stuck_at(states: &str) -> Option<(u32, usize, Stuck)> {
        let seen = states.chars().enumerate();
        let seen: Vec<_> = seen
            .map(|(index, state)| (index, state, Duration::ZERO))
            .collect();
        let mut watch = Watch::new(seen.len(), WATCHDOG);
        (1..=2 * BLOCKED).find_map(|look| {
            let (index, stuck) = watch.count(0, WATCHDOG, &seen)?;
            Some((look, index, stuck))
        })
    }

    #[test]
    fn a_longer_watchdog_takes_more_looks_and_more_processor_time() {
        let after = |watchdog, each: Duration, state| {
            let mut watch = Watch::new(1, watchdog);
            (0..1_000).find(|&look| {
                watch
                    .count(0, watchdog, &[(0, state, each * look)])
                    .is_some()
            })
        };
        let asleep = |watchdog| after(watchdog, Duration::ZERO, 'S');
        let busy = |watchdog| after(watchdog, Duration::from_millis(10), 'R');
        assert_eq!(asleep(WATCHDOG), Some(LOOKS));
        assert_eq!(asleep(2 * WATCHDOG), Some(2 * LOOKS));
        assert_eq!(asleep(Duration::from_millis(1)), Some(1));
        assert_eq!(busy(WATCHDOG), Some(200));
        assert_eq!(busy(2 * WATCHDOG), Some(400));
        assert_eq!(busy(WATCHDOG / 10), Some(20));
    }

    #[test]
    fn processes_are_stuck_where_none_of_them_goes_on_by_itself() {
        // The first look has nothing to compare the processor time with.
        let asleep = Some((LOOKS + 1, 0, Stuck::Asleep));
        assert_eq!(stuck_at("S"), asleep);
        assert_eq!(stuck_at("SS"), asleep);
        assert_eq!(stuck_at("Z"), asleep, "its first thread has ended");
        assert_eq!(stuck_at("ST"), Some((STOPPED + 1, 1, Stuck::Stopped)));
        let blocked = Some((BLOCKED + 1, 0, Stuck::Asleep));
        assert_eq!(stuck_at("D"), blocked, "as in a vfork that does not return");
        assert_eq!(stuck_at("SD"), blocked);
        assert_eq!(stuck_at("DT"), Some((BLOCKED + 1, 1, Stuck::Stopped)));
        for goes_on in ["R", "SR", "t", "DR", "RT"] {
            assert_eq!(stuck_at(goes_on), None, "{goes_on}");
        }
    }
}
