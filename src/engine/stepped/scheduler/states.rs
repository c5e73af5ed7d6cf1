//! The states of the processes of an execution.

use crate::schedule::MAX_PROCESSES;

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum State {
    /// It has not reached its first step.
    Fresh,
    /// The next step of the process is known.
    Ready,
    /// It is in `spin_loop`, and nothing has changed since it looked.
    Spinning,
    /// It is in `wait`, until another process wakes it.
    Blocked,
    /// It has finished its program.
    Done,
    /// It was killed, and no incarnation follows.
    Dead,
}

/// The states of all processes: all that a decision needs, so that no process has to read another's [`Process`]. For
/// each state a set of [`SET`] bits. Those that change at each step are in one word, written and read whole: a word that
/// is read back together with its neighbour, or in part, costs as much as some dozen instructions.
///
/// [`Process`]: super::process::Process
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(in super::super) struct States {
    /// The sets of the processes that are ready, fresh, spinning, blocked.
    sets: u64,
    /// The sets that are empty most of the time.
    marks: u64,
}

/// The bits of a set: one for each process.
const SET: u32 = 16;
const _: () = assert!(MAX_PROCESSES <= SET as usize);

/// The sets of `sets`, each by its lowest bit.
const READY: u32 = 0;
const FRESH: u32 = SET;
const SPINNING: u32 = 2 * SET;
const BLOCKED: u32 = 3 * SET;
/// The sets of `marks`. The processes that are ready and have changed nothing for so long that they count as waiting.
const IDLE: u32 = 0;
/// The processes that have spun for so long that others go first.
const LAZY: u32 = SET;
const DEAD: u32 = 2 * SET;
/// One set.
const ALL: u64 = (1 << SET) - 1;
/// The bits of one process in all sets.
const EVERYWHERE: u64 = 1 | 1 << SET | 1 << (2 * SET) | 1 << (3 * SET);

/// Returns one of the sets of a word.
#[inline]
fn set_of(word: u64, lowest: u32) -> u16 {
    (word >> lowest) as u16
}

impl States {
    #[inline]
    pub(in super::super) fn set(&mut self, process: usize, state: State) {
        let bit = |lowest: u32| 1u64 << (lowest + process as u32);
        let set = match state {
            State::Fresh => bit(FRESH),
            State::Ready => bit(READY),
            State::Spinning => bit(SPINNING),
            State::Blocked => bit(BLOCKED),
            State::Dead | State::Done => 0,
        };
        self.sets = self.sets & !(EVERYWHERE << process) | set;
        if self.marks != 0 {
            self.marks &= !(EVERYWHERE << process);
        }
        if state == State::Dead {
            self.marks |= bit(DEAD);
        }
    }

    pub(in super::super) fn of(self, process: usize) -> State {
        let sets = [
            (self.sets, FRESH, State::Fresh),
            (self.sets, READY, State::Ready),
            (self.sets, SPINNING, State::Spinning),
            (self.sets, BLOCKED, State::Blocked),
            (self.marks, DEAD, State::Dead),
        ];
        let is_in = sets
            .iter()
            .find(|&&(word, lowest, _)| set_of(word, lowest) >> process & 1 == 1);
        is_in.map_or(State::Done, |&(_, _, state)| state)
    }

    /// Notes a change of memory: processes that wait for one may look again.
    #[inline]
    pub(in super::super) fn changed(&mut self) {
        let spinning = u64::from(set_of(self.sets, SPINNING));
        self.sets = self.sets & !(ALL << SPINNING) | spinning << READY;
        if self.marks != 0 {
            self.marks &= !(ALL << IDLE);
        }
    }

    /// Marks a ready process that has changed nothing for long.
    #[inline]
    pub(in super::super) fn mark_unproductive(&mut self, process: usize) {
        self.marks |= 1 << (IDLE + process as u32);
    }
    /// Marks a ready process that has spun for long.
    #[inline]
    pub(in super::super) fn deprioritise(&mut self, process: usize) {
        self.marks |= 1 << (LAZY + process as u32);
    }
    #[inline]
    pub(in super::super) fn deprioritised(self) -> u16 {
        set_of(self.marks, LAZY)
    }
    pub(in super::super) fn restore_priorities(&mut self) {
        self.marks &= !(ALL << LAZY);
    }

    /// Returns the processes that have not reached their first step.
    #[inline]
    pub(in super::super) fn fresh(self) -> u16 {
        set_of(self.sets, FRESH)
    }

    /// Returns whether some process spins that, as far as is known, waits for a change.
    #[inline]
    pub(in super::super) fn spins(self) -> bool {
        set_of(self.sets, SPINNING) != 0
    }

    /// Returns the processes that wait, for a change or to be woken.
    #[inline]
    pub(in super::super) fn asleep(self) -> u16 {
        set_of(self.sets, SPINNING) | set_of(self.sets, BLOCKED)
    }

    /// Returns the processes that can take a step, including those that have not reached their first, which never
    /// waits.
    #[inline]
    pub(in super::super) fn enabled(self) -> u16 {
        let can = set_of(self.sets, READY) | self.fresh();
        if self.marks == 0 {
            return can;
        }
        let busy = can & !set_of(self.marks, IDLE) & !self.deprioritised();
        if busy != 0 { busy } else { can }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 6] = [
        State::Fresh,
        State::Ready,
        State::Spinning,
        State::Blocked,
        State::Done,
        State::Dead,
    ];

    #[test]
    fn each_of_sixteen_processes_is_in_one_state_and_changes_no_other() {
        let mut states = States::default();
        let mut expected = [State::Done; MAX_PROCESSES];
        for round in 0..STATES.len() {
            for process in 0..MAX_PROCESSES {
                expected[process] = STATES[(round + 5 * process) % STATES.len()];
                states.set(process, expected[process]);
                states.mark_unproductive(process);
                states.deprioritise(process);
                states.set(process, expected[process]);
                for (other, state) in expected.iter().enumerate() {
                    assert_eq!(states.of(other), *state, "{other} of {round}, {process}");
                }
                let all = |which: &[State]| -> u16 {
                    let of = |n: usize| u16::from(which.contains(&expected[n])) << n;
                    (0..MAX_PROCESSES).map(of).sum()
                };
                assert_eq!(states.enabled(), all(&[State::Fresh, State::Ready]));
                assert_eq!(states.asleep(), all(&[State::Spinning, State::Blocked]));
                assert_eq!(states.fresh(), all(&[State::Fresh]));
                assert_eq!(states.deprioritised(), 0);
            }
        }
    }

    #[test]
    fn a_change_lets_those_that_spin_look_again_and_those_that_idle_go_on() {
        let last = MAX_PROCESSES - 1;
        let mut states = States::default();
        states.set(0, State::Ready);
        states.set(last, State::Spinning);
        states.set(1, State::Blocked);
        states.mark_unproductive(0);
        assert!(states.spins());
        states.changed();
        assert!(!states.spins());
        assert_eq!(states.of(last), State::Ready);
        assert_eq!(states.of(1), State::Blocked);
        assert_eq!(states.enabled(), 1 | 1 << last);
        states.deprioritise(last);
        assert_eq!((states.enabled(), states.deprioritised()), (1, 1 << last));
        states.restore_priorities();
        assert_eq!(states.enabled(), 1 | 1 << last);
    }
}
