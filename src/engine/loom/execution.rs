//! One execution of a model as it runs: its steps, the waiting processes, and why it ends early.
//!
//! loom runs all threads of a model on one thread of the system, so this is thread-local. It exists
//! only between [`start`] and [`take_steps`]; a plain `loom::model` has none of it. Nothing here is
//! an access of the model.

use super::order::{Found, Order};
use super::orders::Orders;
use super::view::THREADS;
use crate::case::{Access, Form, Step};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering, Ordering::Relaxed};

/// Steps of one execution that are kept.
const STEPS: usize = 4_096;
/// The spins in one operation after which no other orders are tried: two processes that spin could
/// let each other pass without end.
const SPINS_EXPLORED: usize = 2;
/// The spins, by each unfinished process and without any change, after which the spec is asked
/// whether they may wait.
const MAY_WAIT: usize = 16;
/// The spins of that kind after which the processes count as stuck, since they may give up after
/// some tries. As in `stepped`.
const PROBES: usize = 256;
/// The accesses within which a process has to finish once it unwinds from an execution that has
/// ended.
const UNWINDING: usize = 100_000;

/// The phase of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Attach,
    Operation(usize),
    Detach,
}

/// The reason why an execution ended before its processes were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All unfinished processes wait, and always will.
    Still,
    /// No such execution exists: a store came between the halves of an exchange.
    Impossible,
    /// A process keeps finding an old value although another has been stored: fair orders are
    /// explored without it.
    Unfair,
}

/// The way in which an unfinished process waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    Asleep,
    Spins,
}

/// A process that waits as its execution ends, with its phase and the way it waits.
pub(super) type Waiter = (usize, Phase, Waits);

struct Process {
    phase: Phase,
    done: bool,
    asleep: bool,
    /// The spins in this phase, and those since anything changed.
    spins: usize,
    idle: usize,
    /// The accesses since the process learned that the execution has ended.
    unwinds: Option<usize>,
}

pub(super) struct Execution {
    processes: Vec<Process>,
    pub(super) orders: Orders,
    /// Words and cells by the number under which `order` knows them.
    pub(super) objects: Vec<usize>,
    /// The value that each process found last in each object.
    found: Vec<[Option<u64>; THREADS]>,
    pub(super) steps: Vec<Step>,
    /// The steps of two accesses that race.
    pub(super) race: Option<[usize; 2]>,
    ended: Option<End>,
    waiters: Vec<Waiter>,
    may_wait: Rc<dyn Fn() -> bool>,
}

thread_local! {
    static NOW: RefCell<Option<Execution>> = const { RefCell::new(None) };
    /// In some execution so far, a load or a store asked for `SeqCst`.
    static SEQ_CST: Cell<bool> = const { Cell::new(false) };
    /// In some execution so far, an operation touched a word or a cell.
    static TOUCHED: Cell<bool> = const { Cell::new(false) };
    /// In some execution so far, a process spun for longer than other orders are explored.
    static CUT: Cell<bool> = const { Cell::new(false) };
}

loom::thread_local! {
    /// The process of the model that the current thread is.
    static SELF: Cell<Option<usize>> = Cell::new(None);
}

/// The panic payload that unwinds an operation of an execution that has ended.
struct Abandoned;

/// A word or a cell as an execution knows it: 0 before it is first touched, otherwise its number
/// plus 1.
#[derive(Debug, Default)]
pub(super) struct Key(AtomicUsize);

/// Starts an execution. `may_wait` says whether processes in the middle of an operation may wait
/// there indefinitely.
pub(super) fn start(processes: usize, may_wait: Rc<dyn Fn() -> bool>) {
    let processes = (0..processes).map(|_| Process {
        phase: Phase::Attach,
        done: false,
        asleep: false,
        spins: 0,
        idle: 0,
        unwinds: None,
    });
    NOW.set(Some(Execution {
        processes: processes.collect(),
        orders: Orders::default(),
        objects: Vec::new(),
        found: Vec::new(),
        steps: Vec::new(),
        race: None,
        ended: None,
        waiters: Vec::new(),
        may_wait,
    }));
}

/// Runs `run` on the execution and the calling process, if they exist.
pub(super) fn with<R>(run: impl FnOnce(&mut Execution, usize) -> R) -> Option<R> {
    NOW.with_borrow_mut(|now| {
        let now = now.as_mut()?;
        Some(run(now, SELF.with(Cell::get)?))
    })
}

/// Notes a `SeqCst` load or store. loom takes those for weaker ones, so it reports impossible
/// executions.
pub(super) fn look_at(order: Ordering) {
    if order == Ordering::SeqCst {
        SEQ_CST.set(true);
    }
}
pub(super) fn met_seq_cst() -> bool {
    SEQ_CST.get()
}
pub(super) fn was_touched() -> bool {
    TOUCHED.get()
}
pub(super) fn reached_the_spin_bound() -> bool {
    CUT.get()
}

/// Returns why the execution ended, if it did before its processes were done.
pub(super) fn ended() -> Option<End> {
    NOW.with(|now| now.try_borrow().ok()?.as_ref()?.ended)
}
/// Returns the processes that wait indefinitely, if the execution ended because of them.
pub(super) fn waiters() -> Vec<Waiter> {
    NOW.with_borrow(|now| now.as_ref().map_or(Vec::new(), |now| now.waiters.clone()))
}
/// Takes the steps, and the two among them that race, if any do.
pub(super) fn take_steps() -> (Vec<Step>, Option<[usize; 2]>) {
    let now = NOW.with(|now| now.try_borrow_mut().ok()?.take());
    now.map_or((Vec::new(), None), |now| (now.steps, now.race))
}

/// Makes the calling thread this process from now on.
pub(super) fn enter(process: usize) {
    SELF.with(|own| own.set(Some(process)));
}
/// Ends the calling thread's part as a process.
pub(super) fn exit() {
    SELF.with(|own| own.set(None));
}
/// Returns the calling process.
pub(super) fn process() -> Option<usize> {
    SELF.with(Cell::get)
}
pub(super) fn enter_phase(phase: Phase) {
    with(|now, process| {
        now.changed();
        let own = &mut now.processes[process];
        (own.phase, own.spins) = (phase, 0);
    });
}
/// Marks this process as done. Returns whether the sleeping processes have to learn that the
/// execution has ended.
pub(super) fn leave() -> bool {
    with(|now, process| {
        now.changed();
        now.processes[process].done = true;
        now.ended.is_some() || now.is_still(usize::MAX)
    })
    .unwrap_or(false)
}

/// Runs a phase; returns `None` if the execution ended meanwhile.
///
/// # Errors
/// The payload of a panic in the phase.
pub(super) fn unless_abandoned<R>(
    phase: Phase,
    run: impl FnOnce() -> R,
) -> std::thread::Result<Option<R>> {
    enter_phase(phase);
    match catch_unwind(AssertUnwindSafe(run)) {
        // The phase caught the panic that was to unwind it, so its result means nothing.
        Ok(result) if was_reported() => {
            std::mem::forget(result);
            Ok(None)
        }
        Ok(result) => Ok(Some(result)),
        Err(payload) if payload.is::<Abandoned>() => Ok(None),
        Err(payload) => Err(payload),
    }
}

/// Returns whether the calling process learned that the execution has ended.
fn was_reported() -> bool {
    with(|now, process| now.processes[process].unwinds.is_some()).unwrap_or(false)
}

/// Returns whether the calling process is still part of the model. When the execution ends, the
/// next access of a process unwinds it; its accesses while it unwinds are not part of the model.
pub(super) fn goes_on() -> bool {
    let reported = with(|now, process| {
        now.ended?;
        let unwinds = &mut now.processes[process].unwinds;
        *unwinds = Some(unwinds.map_or(0, |accesses| accesses + 1));
        *unwinds
    });
    match reported.flatten() {
        None => true,
        Some(0) => resume_unwind(Box::new(Abandoned)),
        Some(accesses) => {
            // The panic hook reads the execution, so it must not be borrowed here.
            assert!(
                accesses < UNWINDING,
                "a destructor waits while its operation unwinds"
            );
            false
        }
    }
}

/// Ends the execution: the processes unwind at their next accesses. Their later accesses are not
/// explored.
pub(super) fn stop(why: End) {
    with(|now, _| {
        if why == End::Unfair {
            CUT.set(true);
        }
        now.ended.get_or_insert(why);
    });
    loom::skip_branch();
}

/// Ends the execution and unwinds the calling process.
pub(super) fn end(why: End) {
    stop(why);
    goes_on();
}

impl Execution {
    pub(super) fn changed(&mut self) {
        self.processes.iter_mut().for_each(|other| other.idle = 0);
    }

    /// Returns whether all unfinished processes sleep, or have spun `turns` times since anything
    /// changed; the execution then ends.
    fn is_still(&mut self, turns: usize) -> bool {
        let waits = |process: &Process| process.asleep || process.idle >= turns;
        let mut undone = self.processes.iter().filter(|process| !process.done);
        if undone.clone().next().is_none() || !undone.all(waits) {
            return false;
        }
        let undone = self.processes.iter().enumerate();
        let undone = undone.filter(|(_, process)| !process.done);
        let waiters = undone.map(|(number, process)| {
            let how = if process.asleep {
                Waits::Asleep
            } else {
                Waits::Spins
            };
            (number, process.phase, how)
        });
        self.waiters = waiters.collect();
        self.ended = Some(End::Still);
        true
    }

    pub(super) fn object(&mut self, key: &Key, new: impl FnMut(&mut Order) -> usize) -> usize {
        let number = key.0.load(Relaxed);
        if number > 0 {
            return number - 1;
        }
        self.objects.push(self.orders.each(new));
        self.found.push([None; THREADS]);
        key.0.store(self.objects.len(), Relaxed);
        self.objects.len() - 1
    }

    /// Notes the value that a process found in a word; returns why the execution ends with it, if
    /// it does.
    pub(super) fn find(
        &mut self,
        process: usize,
        object: usize,
        value: u64,
        found: Found,
    ) -> Option<End> {
        if self.found[object][process].replace(value) != Some(value) {
            self.changed();
        }
        match found {
            Found::Latest | Found::Stale(_) => None,
            Found::Overdue => Some(End::Unfair),
            Found::Impossible => Some(End::Impossible),
        }
    }

    pub(super) fn note(
        &mut self,
        process: usize,
        access: Access,
        object: Option<usize>,
        value: u64,
        at: &Location<'_>,
    ) -> Option<usize> {
        let operation = match self.processes[process].phase {
            Phase::Operation(number) => Some(number),
            Phase::Attach | Phase::Detach => None,
        };
        if operation.is_some() && object.is_some() {
            TOUCHED.set(true);
        }
        if self.steps.len() >= STEPS {
            return None;
        }
        self.steps.push(Step {
            process,
            operation,
            access,
            word: object,
            offset: None,
            element: None,
            part: None,
            value,
            form: Form::Unsigned,
            now: (access == Access::Store).then_some(value),
            stale: None,
            file: at.file().into(),
            line: at.line(),
            column: at.column(),
        });
        Some(self.steps.len() - 1)
    }

    /// Sets the form in which the values of a step are written.
    pub(super) fn write_as(&mut self, step: Option<usize>, form: Form) {
        if let Some(step) = step {
            self.steps[step].form = form;
        }
    }

    /// Marks a step that found an earlier value than the latest.
    pub(super) fn mark(&mut self, step: Option<usize>, found: Found) {
        if let (Some(step), Found::Stale(later)) = (step, found) {
            self.steps[step].stale = later;
        }
    }
}

/// Notes a spin, in which other processes go first.
pub(super) fn spin(at: &Location<'_>) {
    with(|now, process| {
        now.orders.each(|order| order.spin(process));
        now.note(process, Access::Spin, None, 0, at);
        now.processes[process].idle += 1;
    });
    if waited_too_often() {
        CUT.set(true);
        loom::skip_branch();
    }
    if is_still() {
        end(End::Still);
    }
    loom::hint::spin_loop();
}

/// Returns whether all unfinished processes wait and always will, or may.
fn is_still() -> bool {
    let asked = with(|now, _| {
        let undone = || now.processes.iter().filter(|process| !process.done);
        let idle = undone().filter(|process| !process.asleep);
        let inside = |process: &Process| matches!(process.phase, Phase::Operation(_));
        let asks = idle.map(|process| process.idle).min() == Some(MAY_WAIT);
        (asks && undone().all(inside)).then(|| Rc::clone(&now.may_wait))
    });
    let may_wait = asked.flatten().is_some_and(|may_wait| may_wait());
    let turns = if may_wait { MAY_WAIT } else { PROBES };
    with(|now, _| now.is_still(turns)).unwrap_or(false)
}

/// Returns whether the process has waited or spun in this phase as often as other orders are
/// explored.
pub(super) fn waited_too_often() -> bool {
    with(|now, process| {
        let spins = &mut now.processes[process].spins;
        *spins += 1;
        *spins > SPINS_EXPLORED
    })
    .unwrap_or(false)
}

/// Notes that this process sleeps; returns whether all do, so that the execution has ended.
pub(super) fn falls_asleep() -> bool {
    with(|now, process| {
        now.processes[process].asleep = true;
        now.is_still(usize::MAX)
    })
    .unwrap_or(false)
}

/// Notes that a process was woken.
pub(super) fn wake(process: usize) {
    with(|now, _| {
        now.changed();
        now.processes[process].asleep = false;
    });
}

/// Notes that this process has taken the lock of the futexes.
pub(super) fn lock() {
    with(|now, process| now.orders.each(|order| order.lock(process)));
}

/// Notes that this process is about to release that lock.
pub(super) fn unlock() {
    with(|now, process| now.orders.each(|order| order.unlock(process)));
}
