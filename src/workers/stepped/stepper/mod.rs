//! One process's side of the scheduler: called by its memory before each access, it says what is about to be done, finds
//! out who goes next, and waits until that is this process. There is no scheduler apart from the processes.

mod trace;

pub(crate) use trace::{Note, Part};

use super::board::{BoardRef, duty};
use super::plan::Next;
use crate::case::{Access, Kill, Names, Place, Turn, Until};
use crate::memory::Life;
use crate::region::Region;
use crate::workers::bell::Sender;
use crate::workers::original::without_copies;
use std::cell::RefCell;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// The pid that a process has for its memory: the same for each life in a seat, as if the kernel had given it away again.
const FIRST_PID: u32 = 1_000;

thread_local! {
    static STEPPER: RefCell<Option<Stepper>> = const { RefCell::new(None) };
}

/// How a batch or an execution ended, as a number on the board.
pub(super) mod ended {
    pub(in super::super) const RUNS: u32 = 0;
    /// The executions that were asked for.
    pub(in super::super) const DONE: u32 = 1;
    /// The strategy has no other execution.
    pub(in super::super) const EXHAUSTED: u32 = 2;
    pub(in super::super) const JUDGED: u32 = 3;
    pub(in super::super) const STUCK: u32 = 4;
    pub(in super::super) const TOO_LONG: u32 = 5;
    pub(in super::super) const RACE: u32 = 6;
    pub(in super::super) const FULL: u32 = 7;
    pub(in super::super) const WAITS: u32 = 8;
    pub(in super::super) const WROTE: u32 = 9;
}

/// What a worker is, as one process after another.
pub(super) struct Stepper {
    board: BoardRef,
    notes: Arc<Region>,
    bell: Arc<Sender>,
    worker: usize,
    /// Where the subject is in this process, and where the others say that it is.
    subject: Arc<Region>,
    named_as: usize,
    alone: bool,
    scratch: Vec<u8>,
    /// Between executions there is nobody to be.
    sits: bool,
    process: usize,
    life: u32,
    /// Its mapping of the subject is read-only, ...
    read_only: bool,
    /// ... but for what is noted in it besides: here.
    beside: Option<Arc<Region>>,
    /// Steps are named and noted.
    traced: bool,
    /// The turns and kills that the case names, if they are.
    turns: Vec<Turn>,
    kills: Vec<Kill>,
    operation: Option<usize>,
    names: Names,
    /// The pending step, and where in the source it is.
    place: Option<Place>,
    at: Option<(String, u32, u32)>,
}

/// One life of one process.
pub(super) struct Sitting {
    pub(super) process: usize,
    pub(super) life: u32,
    /// The turns and kills to look out for, if steps are to be named and noted.
    pub(super) traced: Option<(Vec<Turn>, Vec<Kill>)>,
}

/// Gives this thread its stepper.
pub(super) fn install(
    (board, notes, bell): (BoardRef, Arc<Region>, Arc<Sender>),
    (worker, alone): (usize, bool),
    (subject, named_as): (Arc<Region>, usize),
) {
    STEPPER.set(Some(Stepper {
        board,
        notes,
        bell,
        worker,
        subject,
        named_as,
        alone,
        scratch: Vec::new(),
        sits: false,
        process: 0,
        life: 0,
        read_only: false,
        beside: None,
        traced: false,
        turns: Vec::new(),
        kills: Vec::new(),
        operation: None,
        names: Names::default(),
        place: None,
        at: None,
    }));
}

/// Runs `body` as a process whose accesses are steps.
pub(super) fn on<R>(sitting: Sitting, body: impl FnOnce() -> R) -> R {
    STEPPER.with_borrow_mut(|stepper| {
        let me = stepper.as_mut().expect("the worker has installed it");
        (me.process, me.life) = (sitting.process, sitting.life);
        me.read_only = me.board.plan(|plan| plan.read_only) >> me.process & 1 == 1;
        me.traced = sitting.traced.is_some();
        (me.turns, me.kills) = sitting.traced.unwrap_or_default();
        (me.sits, me.operation, me.place) = (true, None, None);
        me.names = Names::default();
    });
    let result = body();
    STEPPER.with_borrow_mut(|stepper| {
        if let Some(me) = stepper {
            me.sits = false;
        }
    });
    result
}

/// Calls `with` on this thread's stepper, if it is a process of an execution.
fn here<R>(with: impl FnOnce(&mut Stepper) -> R) -> Option<R> {
    STEPPER.with_borrow_mut(|stepper| stepper.as_mut().filter(|me| me.sits).map(with))
}

/// An operation begins.
pub(super) fn enter(number: usize) {
    here(|me| {
        me.operation = Some(number);
        me.board.plan(|plan| plan.enter(me.process, number));
    });
}

/// It has returned: the times of call and return.
pub(super) fn leave() -> (u64, u64) {
    here(|me| {
        me.operation = None;
        me.board.plan(|plan| plan.leave(me.process))
    })
    .unwrap_or_default()
}

/// The process is done, and so is its turn.
pub(super) fn done() {
    here(|me| {
        me.look();
        if me.traced && me.board.plan(|plan| plan.current()) == me.process as u32 {
            me.write(&Note::Turn(Turn {
                process: me.process as u16,
                until: Until::End,
            }));
        }
    });
}

/// What an access came to.
pub(crate) struct Done {
    /// What kind it turned out to be.
    pub(crate) kind: Access,
    /// The value to note.
    pub(crate) value: u64,
    /// What the word holds now, if that is something else.
    pub(crate) now: Option<u64>,
    /// Index of the part, if it is one of a payload that is copied in several steps.
    pub(crate) part: Option<Part>,
}

impl Done {
    /// Nothing has changed.
    pub(crate) fn seen(kind: Access, value: u64) -> Self {
        Self {
            kind,
            value,
            now: None,
            part: None,
        }
    }
}

/// One access: waits for its turn, does it, and notes it.
pub(crate) fn step<R>(
    kind: Access,
    word: u64,
    at: &Location<'_>,
    access: impl FnOnce() -> (R, Done),
) -> R {
    STEPPER.with_borrow_mut(|stepper| {
        let Some(me) = stepper.as_mut().filter(|me| me.sits) else {
            return access().0;
        };
        let word = without_copies(|| me.common(word));
        me.point(kind, word, at);
        if me.read_only && matches!(kind, Access::Store | Access::Update) {
            me.may_not_write(word, at);
        }
        let (result, done) = access();
        if done.now.is_some() {
            me.board.plan(|plan| plan.changed());
        }
        me.note(word, &done, at);
        me.remember();
        result
    })
}

/// A fence: no step, since all steps are in one order anyway, but it is noted.
pub(crate) fn fence(at: &Location<'_>) {
    here(|me| {
        if me.operation.is_some() {
            me.note(0, &Done::seen(Access::Fence, 0), at);
        }
    });
}

/// A turn of a spin.
pub(crate) fn spin(at: &Location<'_>) {
    let spun = here(|me| {
        // Who sleeps here for ever has come here all the same.
        me.note(0, &Done::seen(Access::Spin, 0), at);
        me.point(Access::Spin, 0, at);
    });
    if spun.is_none() {
        std::hint::spin_loop();
    }
}

/// Sleeps on a word, if `holds` says that it holds what it should.
pub(crate) fn wait(word: u64, at: &Location<'_>, look: impl FnOnce() -> (bool, u64)) {
    here(|me| {
        let word = me.common(word);
        me.point(Access::Wait, word, at);
        let (sleeps, value) = look();
        me.note(word, &Done::seen(Access::Wait, value), at);
        if sleeps {
            me.board.plan(|plan| plan.block(me.process));
            me.go_on();
        }
    });
}

/// Sleeps on a word, if `look` says that it holds what it should, and comes back when it is woken or when its time is
/// up, which may be whenever it gets a turn: whether it was in time.
pub(crate) fn wait_timeout(
    word: u64,
    at: &Location<'_>,
    look: impl FnOnce() -> (bool, u64),
) -> bool {
    let in_time = here(|me| {
        let word = me.common(word);
        me.point(Access::Wait, word, at);
        let (sleeps, value) = look();
        me.note(word, &Done::seen(Access::Wait, value), at);
        if !sleeps {
            return true;
        }
        me.board.plan(|plan| plan.queue(me.process));
        me.point(Access::Timeout, word, at);
        let woken = me.board.plan(|plan| plan.leave_queue(me.process));
        me.note(word, &Done::seen(Access::Timeout, woken.into()), at);
        woken
    });
    in_time.unwrap_or(true)
}

/// Wakes those that sleep on a word.
pub(crate) fn wake(word: u64, n: u32, at: &Location<'_>) {
    here(|me| {
        let word = me.common(word);
        me.point(Access::Wake, word, at);
        me.board.plan(|plan| plan.wake(word, n));
        me.note(word, &Done::seen(Access::Wake, n.into()), at);
    });
}

/// Who this process is, for its memory.
pub(crate) fn me() -> Option<Life> {
    here(|me| {
        let pid = u64::from(FIRST_PID) + me.process as u64;
        Life::from_bits(u64::from(me.life + 1) << 32 | pid)
    })
}

/// Whether a life still runs.
pub(crate) fn alive(life: Life, at: &Location<'_>) -> Option<bool> {
    here(|me| {
        me.point(Access::Alive, 0, at);
        let bits = life.to_bits();
        let process = (bits as u32).checked_sub(FIRST_PID);
        let number = ((bits >> 32) as u32).checked_sub(1);
        let alive = process.zip(number).is_some_and(|(process, number)| {
            me.board.plan(|plan| plan.alive(process as usize, number))
        });
        me.note(0, &Done::seen(Access::Alive, alive.into()), at);
        alive
    })
}

/// Data in a cell is about to be used: how many steps the process has taken until now.
pub(crate) fn enter_cell() -> u32 {
    here(|me| {
        me.look();
        me.board.plan(|plan| {
            plan.in_cells += 1;
            plan.of(me.process).steps
        })
    })
    .unwrap_or_default()
}
/// It was used, and whoever did is still in the cell. That is a step, if there was none meanwhile: somebody else may come.
pub(crate) fn use_cell(since: u32, kind: Access, word: u64, at: &Location<'_>) {
    here(|me| {
        if me.board.plan(|plan| plan.of(me.process).steps) == since {
            let word = me.common(word);
            me.point(kind, word, at);
            me.note(word, &Done::seen(kind, 0), at);
        }
        if kind == Access::Write {
            me.board.plan(|plan| plan.changed());
        }
    });
}
/// It is left.
pub(crate) fn leave_cell() {
    here(|me| {
        me.board
            .plan(|plan| plan.in_cells = plan.in_cells.saturating_sub(1));
        me.remember();
    });
}

/// Data is about to be written without a step: in a cell.
pub(crate) fn write(word: u64, at: &Location<'_>) {
    here(|me| {
        if me.read_only {
            me.may_not_write(me.common(word), at);
        }
    });
}

/// Where to note something in the subject that is not of its accesses, if its own mapping is read-only: another one, and
/// the offset there.
pub(crate) fn beside(word: u64) -> Option<(Arc<Region>, usize)> {
    here(|me| {
        let offset = (word as usize).checked_sub(me.subject.address());
        let offset = offset.filter(|&offset| me.read_only && offset < me.subject.len())?;
        let region = me.beside.get_or_insert_with(|| {
            // It comes with the rights of the first.
            let again = me.subject.twice().and_then(|again| {
                again.may_write(true)?;
                Ok(again)
            });
            Arc::new(again.expect("there is room for a few pages"))
        });
        Some((Arc::clone(region), offset))
    })
    .flatten()
}

/// This process and its life; for the cells, which tell who is in them.
pub(crate) fn seat() -> Option<(usize, u32)> {
    here(|me| (me.process, me.life))
}

/// Two processes are in one cell, one of them to write: that ends the execution, if the other one still lives.
pub(crate) fn race(other: usize, life: u32) {
    here(|me| {
        if me.board.plan(|plan| plan.alive(other, life)) {
            let process = me.process;
            me.write(&Note::Race { process, other });
            me.end(ended::RACE);
        }
    });
}

impl Stepper {
    /// A write where the mapping is read-only: the kernel would end the process here.
    fn may_not_write(&mut self, word: u64, at: &Location<'_>) {
        let within = self.named_as as u64..(self.named_as + self.subject.len()) as u64;
        if within.contains(&word) {
            self.note(word, &Done::seen(Access::Refused, 0), at);
            self.end(ended::WROTE);
        }
    }

    /// The address that all processes know a word by.
    #[inline]
    fn common(&self, word: u64) -> u64 {
        let (at, len) = (self.subject.address(), self.subject.len());
        match (word as usize)
            .checked_sub(at)
            .filter(|&offset| offset < len)
        {
            Some(offset) => (self.named_as + offset) as u64,
            None => word,
        }
    }

    /// A scheduling point: returns when this process may do what it is about to.
    #[inline]
    fn point(&mut self, kind: Access, word: u64, at: &Location<'_>) {
        if self.traced {
            self.look();
            self.name_pending(kind, at);
        }
        self.board
            .plan(|plan| plan.publish(self.process, kind, word));
        self.go_on();
        self.board.count_step(self.worker);
        self.board.plan(|plan| plan.take(self.process));
    }

    /// Finds out who goes next, and waits until that is this process.
    #[inline]
    fn go_on(&mut self) {
        let (before, next) = self.board.plan(|plan| (plan.current(), plan.decide()));
        if next == Next::Turn(self.process) {
            return;
        }
        let dies = next == Next::Die(self.process);
        if self.traced && before == self.process as u32 && !dies {
            self.note_turn();
        }
        match next {
            Next::Die(process) if process == self.process => self.die(),
            Next::Turn(process) => self.pass(process),
            Next::Die(process) => {
                self.board.plan(|plan| plan.condemn(process));
                self.pass(process);
            }
            Next::Stuck => self.end(ended::STUCK),
            Next::TooLong => self.end(ended::TOO_LONG),
            Next::Waits => self.end(ended::WAITS),
            // Not while this process has a step to take; a board that was spoilt says so all the same.
            Next::Over => self.end(ended::STUCK),
        }
        self.board.await_turn(self.worker, self.alone);
        if self.board.plan(|plan| plan.dying()) == self.process as u32 {
            self.die();
        }
    }

    fn pass(&self, process: usize) {
        let worker = self.board.plan(|plan| plan.worker_of(process));
        self.board.pass(Some(self.worker), worker);
    }

    /// Dies by SIGKILL, here and now. The supervisor sees it, and gives the turn on.
    fn die(&mut self) -> ! {
        self.board.plan(|plan| plan.die(self.process));
        self.note_death();
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        loop {
            nix::unistd::pause();
        }
    }

    /// Ends everything: the supervisor reads the board, and kills this crew.
    fn end(&self, how: u32) -> ! {
        self.board.duty.store(duty::NONE, Relaxed);
        // Release: pairs with the Acquire of the supervisor.
        self.board.ended.store(how, Release);
        self.bell.ring();
        loop {
            nix::unistd::pause();
        }
    }
}
