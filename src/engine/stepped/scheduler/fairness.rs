//! Fairness. A schedule proves nothing if a process waits by looking indefinitely, while the process that would end
//! its wait does not move (Musuvathi, Qadeer, "Fair stateless model checking", PLDI 2008). The rules, each with its
//! purpose:
//!
//! 1. A process that spins (`spin_loop`), and finds memory as it was at its last spin, is asleep until memory
//!    changes: a waiting loop then costs two steps, and if all processes sleep so, that is a standstill and not a
//!    long execution.
//! 2. Where no other process can move, those that sleep by rule 1 continue, [`PROBES`] times in a row: they may have
//!    spun to leave a word alone for a while, or to give up after some tries. A process that does so that often
//!    waits indefinitely.
//! 3. A process that took more than [`IDLE`] steps in a row without a change lets the others go first until something
//!    changes: it waits by looking, without the hint of `spin_loop`.
//! 4. A process that spun more than [`SPUN`] times lets the others go first, even if it changes memory at each spin
//!    (`while lock.swap(1) == 1`, or an attempt that is undone), until none of them can move; then all counts
//!    restart from 0.
//! 5. The time of a wait may be up whenever its process continues, but not more than [`PATIENT`] steps in a row in
//!    which nothing changes: a process that waits again each time its time is up waits indefinitely.

use super::states::{State, States};
use crate::case::Access;

/// See rule 2.
const PROBES: u16 = 256;
/// See rule 3.
const IDLE: u32 = 100;
/// See rule 4.
const SPUN: u32 = 20;
/// See rule 5.
const PATIENT: u32 = 50;

/// The state of a process for the rules.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Patience {
    /// The version of memory at its last spin.
    seen: u64,
    /// The version of memory at its last step, and the steps that it has taken in a row while that was the same.
    idle_at: u64,
    idle: u32,
    /// The number of spins since the others had to move.
    spun: u32,
}

/// The treatment of a process from the announcement of a step until it is taken.
pub(in super::super) struct Treatment {
    pub(in super::super) state: State,
    /// Lets the others go first by rule 3.
    pub(in super::super) unproductive: bool,
    /// Lets the others go first by rule 4.
    pub(in super::super) deprioritised: bool,
}

impl Patience {
    /// The state of a process that begins an incarnation.
    pub(in super::super) const NEW: Self = Self {
        seen: u64::MAX,
        idle_at: 0,
        idle: 0,
        spun: 0,
    };

    /// Begins an operation, whose spins have not looked at anything.
    pub(in super::super) fn enter(&mut self) {
        self.seen = u64::MAX;
    }

    /// Returns the treatment of a step of this kind before it is taken, while memory has this version.
    #[inline]
    pub(in super::super) fn before(&mut self, kind: Access, version: u64) -> Treatment {
        let mut state = State::Ready;
        if kind == Access::Spin {
            if self.seen == version {
                state = State::Spinning;
            }
            self.seen = version;
            self.spun += 1;
        }
        if kind == Access::Timeout && self.idle_at == version && self.idle > PATIENT {
            state = State::Spinning;
        }
        if self.idle_at != version {
            (self.idle_at, self.idle) = (version, 0);
        }
        Treatment {
            state,
            unproductive: self.idle > IDLE,
            deprioritised: self.spun > SPUN,
        }
    }

    /// Notes a step that was taken.
    #[inline]
    pub(in super::super) fn taken(&mut self, is_spin: bool, version: u64) {
        self.idle += 1;
        if is_spin {
            self.seen = version;
        }
    }

    /// Restarts the count of spins: the others had to move, and could not.
    pub(in super::super) fn reset_spins(&mut self) {
        self.spun = 0;
    }
}

/// Lets the processes that sleep by rule 1 continue where no other can, if they may; `probes` counts how often that
/// was done in a row.
#[inline]
pub(in super::super) fn probe(states: &mut States, probes: &mut u16) {
    if states.enabled() == 0 && states.spins() && *probes < PROBES {
        *probes += 1;
        states.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the treatment of a process that takes steps of this kind, while memory has the version that `version`
    /// gives for each.
    fn takes(steps: u32, kind: Access, version: impl Fn(u32) -> u64) -> (Treatment, u32) {
        let mut patience = Patience::NEW;
        patience.enter();
        let mut asleep = 0;
        for step in 0..steps {
            let treated = patience.before(kind, version(step));
            asleep += u32::from(treated.state == State::Spinning);
            patience.taken(kind == Access::Spin, version(step));
        }
        (patience.before(kind, version(steps)), asleep)
    }

    #[test]
    fn rule_1_a_spin_that_finds_memory_as_it_was_sleeps_and_no_other() {
        assert_eq!(takes(0, Access::Spin, |_| 1).0.state, State::Ready);
        assert_eq!(takes(1, Access::Spin, |_| 1).0.state, State::Spinning);
        assert_eq!(takes(1, Access::Spin, u64::from).0.state, State::Ready);
        assert_eq!(takes(9, Access::Load, |_| 1).0.state, State::Ready);
        // Another operation has not looked at anything.
        let mut patience = Patience::NEW;
        patience.before(Access::Spin, 1);
        patience.enter();
        assert_eq!(patience.before(Access::Spin, 1).state, State::Ready);
    }

    #[test]
    fn rule_2_processes_that_sleep_so_are_let_go_on_where_no_other_can_up_to_a_bound() {
        let mut states = States::default();
        states.set(0, State::Spinning);
        states.set(1, State::Ready);
        let mut probes = 0;
        probe(&mut states, &mut probes);
        assert_eq!((probes, states.of(0)), (0, State::Spinning), "another can");
        states.set(1, State::Blocked);
        for _ in 0..2 * PROBES {
            probe(&mut states, &mut probes);
            states.set(0, State::Spinning);
        }
        assert_eq!(probes, PROBES);
        probe(&mut states, &mut probes);
        assert_eq!(states.of(0), State::Spinning);
        assert_eq!(
            states.of(1),
            State::Blocked,
            "a process that was not woken stays asleep"
        );
    }

    #[test]
    fn rule_3_steps_that_change_nothing_let_others_go_first_after_a_while() {
        assert!(!takes(IDLE, Access::Load, |_| 1).0.unproductive);
        assert!(takes(IDLE + 1, Access::Load, |_| 1).0.unproductive);
        assert!(
            !takes(2 * IDLE, Access::Load, |step| u64::from(step / IDLE))
                .0
                .unproductive
        );
    }

    #[test]
    fn rule_4_spins_let_others_go_first_after_a_while_also_where_memory_changes() {
        assert!(!takes(SPUN - 1, Access::Spin, u64::from).0.deprioritised);
        assert!(takes(SPUN, Access::Spin, u64::from).0.deprioritised);
        assert!(!takes(2 * SPUN, Access::Update, u64::from).0.deprioritised);
        let mut patience = Patience::NEW;
        for version in 0..SPUN.into() {
            patience.before(Access::Spin, version);
        }
        patience.reset_spins();
        assert!(!patience.before(Access::Spin, 0).deprioritised);
    }

    #[test]
    fn rule_5_the_time_of_a_wait_is_up_some_times_in_a_row_and_again_once_something_changes() {
        let (treated, asleep) = takes(PATIENT + 1, Access::Timeout, |_| 1);
        assert_eq!((treated.state, asleep), (State::Spinning, 0));
        let changes = |step| u64::from(step / PATIENT);
        let (treated, asleep) = takes(3 * PATIENT, Access::Timeout, changes);
        assert_eq!((treated.state, asleep), (State::Ready, 0));
    }
}
