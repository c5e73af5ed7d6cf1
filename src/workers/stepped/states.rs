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

/// Where all processes are: what a decision needs, so that nobody has to look into another's [`Process`]. A set of bits for
/// each state, a byte each of one word: it is written and read at each step, and parts of it are slow to be read back.
///
/// [`Process`]: super::process::Process
#[repr(transparent)]
#[derive(Clone, Copy, Default)]
pub(super) struct States(u64);

/// The bytes of those that can take a step, in the order of [`State`]; those of them ...
const FRESH: u32 = 0;
const READY: u32 = 8;
const SPINNING: u32 = 16;
const BLOCKED: u32 = 24;
const DEAD: u32 = 32;
/// ... that are ready and have changed nothing for so long that they are taken for ones that wait, ...
const IDLE: u32 = 40;
/// ... or have spun for so long that others go first.
const LAZY: u32 = 48;
/// One process in all bytes.
const EVERYWHERE: u64 = 0x01_01_01_01_01_01_01;

impl States {
    #[inline]
    fn set_of(self, byte: u32) -> u8 {
        (self.0 >> byte) as u8
    }

    #[inline]
    pub(super) fn set(&mut self, process: usize, state: State) {
        self.0 &= !(EVERYWHERE << process);
        let byte = match state {
            State::Fresh => FRESH,
            State::Ready => READY,
            State::Spinning => SPINNING,
            State::Blocked => BLOCKED,
            State::Dead => DEAD,
            State::Done => return,
        };
        self.0 |= 1 << (byte + process as u32);
    }

    pub(super) fn of(self, process: usize) -> State {
        let sets = [
            (FRESH, State::Fresh),
            (READY, State::Ready),
            (SPINNING, State::Spinning),
            (BLOCKED, State::Blocked),
            (DEAD, State::Dead),
        ];
        let is_in = sets
            .iter()
            .find(|&&(byte, _)| self.set_of(byte) >> process & 1 == 1);
        is_in.map_or(State::Done, |&(_, state)| state)
    }

    /// Memory has changed: whoever waits for that may look again.
    #[inline]
    pub(super) fn changed(&mut self) {
        self.0 |= u64::from(self.set_of(SPINNING)) << READY;
        self.0 &= !(0xff << SPINNING | 0xff << IDLE);
    }

    /// This one, who is ready, has changed nothing for long.
    #[inline]
    pub(super) fn idles(&mut self, process: usize) {
        self.0 |= 1 << (IDLE + process as u32);
    }
    /// This one, who is ready, has spun for long.
    #[inline]
    pub(super) fn is_lazy(&mut self, process: usize) {
        self.0 |= 1 << (LAZY + process as u32);
    }
    #[inline]
    pub(super) fn lazy(self) -> u8 {
        self.set_of(LAZY)
    }
    pub(super) fn nobody_is_lazy(&mut self) {
        self.0 &= !(0xff << LAZY);
    }

    /// Who has not come to its first step.
    #[inline]
    pub(super) fn fresh(self) -> u8 {
        self.set_of(FRESH)
    }

    /// Whether somebody spins who, for all that is known, waits for a change.
    #[inline]
    pub(super) fn spins(self) -> bool {
        self.set_of(SPINNING) != 0
    }

    /// Who waits, for a change or to be woken.
    #[inline]
    pub(super) fn asleep(self) -> u8 {
        self.set_of(SPINNING) | self.set_of(BLOCKED)
    }

    /// Who can take a step: also those that have not come to their first, which is never one that waits.
    #[inline]
    pub(super) fn enabled(self) -> u8 {
        let can = self.set_of(READY) | self.fresh();
        let busy = can & !self.set_of(IDLE) & !self.lazy();
        if busy != 0 { busy } else { can }
    }
}
