//! The part of the scheduler in each process. A process's memory calls it before each access. It
//! publishes the pending step, decides which process goes next, and waits until that is this
//! process. There is no other scheduler.
//!
//! A process is a worker of its own, or a coroutine of the [`host`]: they differ in how they wait and how they end.

mod alone;
mod code;
pub(crate) mod identity;
mod invariant;
mod note;
mod trace;

pub(crate) use alone::alone;
#[cfg(forkcheck_instrumented)]
pub(crate) use code::{
    access, beyond, changed, clash, private_word, short, starts_thread, version,
};
pub(super) use note::Trace;
pub(crate) use note::{Done, Note, Part};

use super::board::{BoardRef, duty};
use super::coroutine::{self, Ask, Resumed};
pub(crate) use super::location::At;
use super::novelty::Novelty;
use super::scheduler::decision::{Decision, Stop};
use crate::case::{Access, Turn, Until};
use crate::check::is_of_the_spec;
use crate::process::leave_caught_panics_to;
use crate::region::Region;
use crate::workers::bell::Sender;
use crate::workers::original::without_copies;
use std::cell::{Cell, OnceCell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

thread_local! {
    /// The process that runs on this thread.
    static CURRENT: Cell<Option<&'static Stepper>> = const { Cell::new(None) };
}

/// The way in which a process waits for its turn.
pub(super) enum Executor {
    /// A worker sleeps.
    Worker { bell: Arc<Sender> },
    /// A coroutine gives control back to the host.
    Coroutine {
        resumed: Resumed,
        novelty: Rc<Novelty>,
    },
}

/// A process as its memory sees it: one incarnation after another.
pub(super) struct Stepper {
    board: BoardRef,
    notes: Arc<Region>,
    executor: Executor,
    worker: usize,
    /// The mapping of the structure in this process, and its address as all others name it.
    structure: Arc<Region>,
    address: usize,
    len: usize,
    named_as: usize,
    /// It is code that was compiled with instrumentation: plain writes that no other process sees are no steps, so its bytes are not
    /// compared.
    instrumented: bool,
    /// Whether an execution runs: between executions the thread is no process.
    active: Cell<bool>,
    process: Cell<usize>,
    incarnation: Cell<u32>,
    operation: Cell<Option<usize>>,
    /// Whether its mapping of the structure is read-only.
    read_only: Cell<bool>,
    /// Another mapping, for notes in the structure where the first is read-only.
    writable_alias: OnceCell<Arc<Region>>,
    /// Whether steps are named and noted.
    traced: Cell<bool>,
    trace: RefCell<Trace>,
    /// The function that panics where the structure's invariant does not hold, if it has one.
    invariant: Cell<Option<fn(&Region)>>,
}

/// The process that a thread is while it runs code under test.
pub(super) struct AsProcess {
    pub(super) number: usize,
    /// The number of its incarnation.
    pub(super) incarnation: u32,
    /// The turns and kills of the case, if steps are to be named and noted.
    pub(super) traced: Option<Box<Trace>>,
    /// The function that panics where the invariant does not hold.
    pub(super) invariant: Option<fn(&Region)>,
}

/// Makes a process that lives as long as this program.
pub(super) fn install(
    (board, notes, executor): (BoardRef, Arc<Region>, Executor),
    worker: usize,
    (structure, named_as): (Arc<Region>, usize),
    instrumented: bool,
) -> &'static Stepper {
    leave_caught_panics_to(is_of_the_spec);
    Box::leak(Box::new(Stepper {
        board,
        notes,
        executor,
        worker,
        address: structure.address(),
        len: structure.len(),
        structure,
        named_as,
        instrumented,
        active: Cell::new(false),
        process: Cell::new(0),
        incarnation: Cell::new(0),
        operation: Cell::new(None),
        read_only: Cell::new(false),
        writable_alias: OnceCell::new(),
        traced: Cell::new(false),
        trace: RefCell::new(Trace::default()),
        invariant: Cell::new(None),
    }))
}

/// Makes this thread the given process, or none.
#[inline]
pub(super) fn become_process(process: Option<&'static Stepper>) {
    CURRENT.with(|current| current.set(process));
}

/// Runs `body` as a process whose accesses are steps.
pub(super) fn on<R>(process: AsProcess, body: impl FnOnce() -> R) -> R {
    let me = CURRENT.get().expect("the worker has installed it");
    me.process.set(process.number);
    me.incarnation.set(process.incarnation);
    let read_only = me.board.plan(|plan| plan.read_only);
    me.read_only.set(read_only >> process.number & 1 == 1);
    me.traced.set(process.traced.is_some());
    if let Some(trace) = process.traced {
        me.trace.replace(*trace);
    }
    me.operation.set(None);
    me.invariant.set(process.invariant);
    me.active.set(true);
    me.check_invariant();
    let result = body();
    me.active.set(false);
    result
}

/// Returns this thread's process, if an execution runs on it.
#[inline]
fn here() -> Option<&'static Stepper> {
    CURRENT
        .with(|current| current.get())
        .filter(|me| me.active.get())
}

/// Notes that an operation begins.
pub(super) fn enter(number: usize) {
    if let Some(me) = here() {
        me.operation.set(Some(number));
        me.board.plan(|plan| plan.enter(me.process.get(), number));
    }
}

/// Notes that the operation has returned, and returns the times of call and return.
pub(super) fn leave() -> (u64, u64) {
    let times = here().map(|me| {
        me.operation.set(None);
        me.board.plan(|plan| plan.leave(me.process.get()))
    });
    times.unwrap_or_default()
}

/// Notes that the process, and so its turn, is done.
pub(super) fn done() {
    let Some(me) = here() else { return };
    me.look();
    if me.traced.get() && me.board.plan(|plan| plan.current()) == me.process.get() as u32 {
        me.write(&Note::Turn(Turn {
            process: me.process.get() as u16,
            until: Until::End,
        }));
    }
}

/// Does one access: waits for its turn, does it, and notes it.
#[inline]
pub(crate) fn step<R>(
    kind: Access,
    word: u64,
    at: &Location<'_>,
    body: impl FnOnce() -> (R, Done),
) -> R {
    let Some(me) = here() else {
        alone::step();
        return body().0;
    };
    let at = at.into();
    let word = without_copies(|| me.common(word));
    me.point(kind, word, at);
    if me.read_only.get() && matches!(kind, Access::Store | Access::Update) {
        me.may_not_write(word, at);
    }
    let (result, done) = body();
    let changes = done.now.is_some();
    if changes {
        me.board.plan(|plan| plan.changed());
    }
    me.note(word, done, at);
    me.remember();
    if changes {
        me.check_invariant();
    }
    result
}

/// Notes a fence. It is no step, since all steps are in one total order.
pub(crate) fn fence<'a>(at: impl Into<At<'a>>) {
    if let Some(me) = here().filter(|me| me.operation.get().is_some()) {
        me.pause_before(Access::Fence);
        me.note(0, Done::seen(Access::Fence, 0), at.into());
    }
}

/// Takes one iteration of a spin as a step.
pub(crate) fn spin<'a>(at: impl Into<At<'a>>) {
    let at = at.into();
    let Some(me) = here() else {
        return alone::spin();
    };
    // A process that waits here indefinitely has reached this line all the same.
    me.pause_before(Access::Fence);
    me.note(0, Done::seen(Access::Spin, 0), at);
    me.point(Access::Spin, 0, at);
}

/// Sleeps on a word, if `look` says that it holds the expected value.
pub(crate) fn wait<'a>(word: u64, at: impl Into<At<'a>>, look: impl FnOnce() -> (bool, u64)) {
    let Some(me) = here() else {
        return alone::wait(look);
    };
    let at = at.into();
    let word = me.common(word);
    me.point(Access::Wait, word, at);
    let (sleeps, value) = look();
    me.note(word, Done::seen(Access::Wait, value), at);
    if sleeps {
        me.note_private(word);
        me.board.plan(|plan| plan.block(me.process.get()));
        me.go_on();
    }
}

/// Sleeps on a word, if `look` says that it holds what it should, and comes back when it is woken or when its time is
/// up, which may be whenever it gets a turn: whether it was in time.
pub(crate) fn wait_timeout<'a>(
    word: u64,
    at: impl Into<At<'a>>,
    look: impl FnOnce() -> (bool, u64),
) -> bool {
    let Some(me) = here() else {
        return alone::wait_timeout(look);
    };
    let at = at.into();
    let word = me.common(word);
    me.point(Access::Wait, word, at);
    let (sleeps, value) = look();
    me.note(word, Done::seen(Access::Wait, value), at);
    if !sleeps {
        return true;
    }
    me.board.plan(|plan| plan.queue(me.process.get()));
    me.point(Access::Timeout, word, at);
    let woken = me.board.plan(|plan| plan.leave_queue(me.process.get()));
    me.note(word, Done::seen(Access::Timeout, woken.into()), at);
    woken
}

/// Wakes those that sleep on a word.
pub(crate) fn wake<'a>(word: u64, n: u32, at: impl Into<At<'a>>) -> u32 {
    let Some(me) = here() else { return 0 };
    let at = at.into();
    let word = me.common(word);
    me.point(Access::Wake, word, at);
    let woken = me.board.plan(|plan| plan.wake(word, n));
    me.note(word, Done::seen(Access::Wake, n.into()), at);
    woken
}

/// Notes that this process begins to use the data of a cell, and returns the number of steps that
/// it has taken.
pub(crate) fn enter_cell() -> u32 {
    let Some(me) = here() else { return 0 };
    me.look();
    me.board.plan(|plan| {
        plan.in_cells += 1;
        plan.of(me.process.get()).steps
    })
}
/// Notes the use of a cell in which this process still is. It is a step, if there was none
/// meanwhile: another process may enter.
pub(crate) fn use_cell(since: u32, kind: Access, word: u64, at: &Location<'_>) {
    let Some(me) = here() else { return };
    let at = at.into();
    if me.board.plan(|plan| plan.of(me.process.get()).steps) == since {
        let word = me.common(word);
        me.point(kind, word, at);
        me.note(word, Done::seen(kind, 0), at);
    }
    if kind == Access::Write {
        me.board.plan(|plan| plan.changed());
    }
}
/// Notes that this process leaves the cell.
pub(crate) fn leave_cell() {
    let Some(me) = here() else { return };
    me.board
        .plan(|plan| plan.in_cells = plan.in_cells.saturating_sub(1));
    me.remember();
    me.check_invariant();
}

/// Checks a write that is no step, in a cell, before it is done.
pub(crate) fn write(word: u64, at: &Location<'_>) {
    if let Some(me) = here().filter(|me| me.read_only.get()) {
        me.may_not_write(me.common(word), at.into());
    }
}

/// Returns a writable mapping and the offset in it for notes in the structure that are no accesses
/// of its own, if its own mapping is read-only.
pub(crate) fn writable_alias(word: u64) -> Option<(Arc<Region>, usize)> {
    let me = here().filter(|me| me.read_only.get())?;
    let offset = (word as usize).checked_sub(me.structure.address());
    let offset = offset.filter(|&offset| offset < me.structure.len())?;
    let region = me.writable_alias.get_or_init(|| {
        // The new mapping has the rights of the first.
        let again = me.structure.map_again().and_then(|again| {
            again.may_write(true)?;
            Ok(again)
        });
        Arc::new(again.expect("there is room for a few pages"))
    });
    Some((Arc::clone(region), offset))
}

/// Returns this process and its incarnation; cells note which processes are in them.
pub(crate) fn incarnation() -> Option<(usize, u32)> {
    here().map(|me| (me.process.get(), me.incarnation.get()))
}

/// Ends the execution because two processes are in one cell, one of them to write, if the other one
/// still lives.
pub(crate) fn race(other: usize, incarnation: u32) {
    let Some(me) = here() else { return };
    if me.board.plan(|plan| plan.alive(other, incarnation)) {
        let process = me.process.get();
        me.write(&Note::Race { process, other });
        me.end(Stop::Race);
    }
}

impl Stepper {
    pub(super) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Ends the execution at a write where the mapping is read-only: the kernel would end the
    /// process here.
    fn may_not_write(&self, word: u64, at: At<'_>) {
        let within = self.named_as as u64..(self.named_as + self.len) as u64;
        if within.contains(&word) {
            self.note(word, Done::seen(Access::Refused, 0), at);
            self.end(Stop::Wrote);
        }
    }

    /// Returns the address by which all processes name a word.
    #[inline]
    fn common(&self, word: u64) -> u64 {
        let offset = (word as usize).checked_sub(self.address);
        let offset = offset.filter(|&offset| offset < self.len);
        offset.map_or(word, |offset| (self.named_as + offset) as u64)
    }

    /// Waits at a scheduling point until this process may take its pending step.
    #[inline(always)]
    fn point(&self, kind: Access, word: u64, at: At<'_>) {
        if self.traced.get() {
            self.look();
            self.name_pending(kind, at);
        }
        self.pass_point(kind, word);
    }

    fn pass_point(&self, kind: Access, word: u64) {
        let process = self.process.get();
        self.board.plan(|plan| plan.publish(process, kind, word));
        self.go_on();
        if let Executor::Worker { .. } = self.executor {
            // A host counts executions instead, which are short.
            self.board.count_step(self.worker);
        }
        self.board.plan(|plan| plan.take(process));
        self.pause_before(kind);
    }

    /// Decides which process goes next, and waits until that is this process. A part of its callers: the processor does not
    /// predict a return behind a switch to another stack.
    #[inline(always)]
    fn go_on(&self) {
        let (before, next) = self.board.plan(|plan| (plan.current(), plan.decide()));
        let me = self.process.get() as u8;
        if next == Decision::Run(me) {
            return;
        }
        let dies = next == Decision::Kill(me);
        if self.traced.get() && before == u32::from(me) && !dies {
            self.note_turn();
        }
        match &self.executor {
            // All coroutines share the thread that unwinds: the others would seem to panic too.
            Executor::Coroutine { .. } if std::thread::panicking() => self.end(Stop::Differs),
            Executor::Coroutine { resumed, .. } => coroutine::suspend(resumed, Ask::Next(next)),
            Executor::Worker { .. } => self.give_on(next),
        }
    }

    /// Passes the turn to the next process, and waits until it comes back.
    fn give_on(&self, decision: Decision) {
        let me = self.process.get() as u8;
        if decision == Decision::Kill(me) {
            self.die();
        }
        match self.board.carry_out(Some(self.worker), decision) {
            None => {}
            // This process still has a step to take, so only a damaged board leads here.
            Some(Stop::Over) => self.end(Stop::Stuck),
            Some(why) => self.end(why),
        }
        self.board.await_turn(self.worker);
        if self.board.plan(|plan| plan.dying()) == u32::from(me) {
            self.die();
        }
    }

    /// Dies by SIGKILL. The supervisor notices it, and passes the turn on.
    fn die(&self) -> ! {
        self.board.plan(|plan| plan.die(self.process.get()));
        self.pause_before(Access::Killed);
        self.note_death();
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        loop {
            nix::unistd::pause();
        }
    }

    /// Ends the execution, and this process: the host takes its stack, or the supervisor kills this
    /// crew.
    fn end(&self, why: Stop) -> ! {
        match &self.executor {
            Executor::Coroutine { resumed, .. } => loop {
                coroutine::suspend(resumed, Ask::End(why));
            },
            Executor::Worker { bell } => {
                self.board.duty.store(duty::NONE, Relaxed);
                self.board.stop(why);
                bell.ring();
                loop {
                    nix::unistd::pause();
                }
            }
        }
    }
}
