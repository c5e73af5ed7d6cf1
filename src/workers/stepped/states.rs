//! Where the processes of an execution are.

/// Where a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has not come to its first step.
    Fresh,
    /// Its next step is known.
    Ready,
    /// In `spin_loop`, and nothing has changed since it looked.
    Spinning,
    /// In `wait`, until somebody wakes it.
    Blocked,
    /// It has done its program.
    Done,
    /// It was killed, and nobody sits down in its seat.
    Dead,
}

/// Where all processes are, as sets of bits: what a decision needs, so that nobody has to look into another's [`Process`].
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct States {
    pub(super) fresh: u8,
    ready: u8,
    spinning: u8,
    blocked: u8,
    dead: u8,
    /// Of those that are ready: they have changed nothing for so long that they are taken for ones that wait.
    pub(super) idle: u8,
    /// Of those that are ready: they have spun for so long that others go first.
    pub(super) lazy: u8,
}

impl States {
    #[inline]
    pub(super) fn set(&mut self, process: usize, state: State) {
        let bit = 1 << process;
        for (set, of) in [
            (&mut self.fresh, State::Fresh),
            (&mut self.ready, State::Ready),
            (&mut self.spinning, State::Spinning),
            (&mut self.blocked, State::Blocked),
            (&mut self.dead, State::Dead),
        ] {
            *set = if of == state { *set | bit } else { *set & !bit };
        }
        self.idle &= !bit;
        self.lazy &= !bit;
    }

    pub(super) fn of(&self, process: usize) -> State {
        let sets = [
            (self.fresh, State::Fresh),
            (self.ready, State::Ready),
            (self.spinning, State::Spinning),
            (self.blocked, State::Blocked),
            (self.dead, State::Dead),
        ];
        let is_in = sets.iter().find(|(set, _)| set >> process & 1 == 1);
        is_in.map_or(State::Done, |&(_, state)| state)
    }

    /// Memory has changed: whoever waits for that may look again.
    #[inline]
    pub(super) fn changed(&mut self) {
        self.ready |= self.spinning;
        (self.spinning, self.idle) = (0, 0);
    }

    /// Whether somebody spins who, for all that is known, waits for a change.
    pub(super) fn spins(&self) -> bool {
        self.spinning != 0
    }

    /// Who waits, for a change or to be woken.
    pub(super) fn asleep(&self) -> u8 {
        self.spinning | self.blocked
    }

    /// Who can take a step: also those that have not come to their first, which is never one that waits.
    #[inline]
    pub(super) fn enabled(&self) -> u8 {
        let can = self.ready | self.fresh;
        let busy = can & !self.idle & !self.lazy;
        if busy != 0 { busy } else { can }
    }
}
