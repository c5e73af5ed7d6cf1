//! `loom`: the structure on the atomics of loom's memory model, each process a thread of the model.
//!
//! loom tries the orders of a small program, and the executions that a weak memory allows in them.
//! It is a second opinion. loom 0.7.3 misses some allowed executions (loom issues 166 and 392). The
//! impossible ones that it reports (254, 389) are recognised by the order of the stores, which is
//! tracked in addition. The executions that it misses depend on which process begins, so each
//! process begins once.
//! The model runs in a forked child of the zygote, so that a structure that aborts, exits or never
//! returns is a verdict like any other.

mod execution;
mod explore;
mod known;
mod memory;
mod order;
mod orders;
mod panics;
mod view;

use explore::{BOUNDS, Explored};
#[doc(hidden)]
pub use memory::Loom as LoomMemory;
use panics::STACK_MIB;
use view::THREADS;

use super::served::{self, Served, bare, decode};
use super::{Answer, Budget, Covered, Engine, IF_SLOW};
use crate::case::{Case, Program};
use crate::check::{Criterion, Finding, Kind, Verdict};
use crate::error::Error;
use crate::memory::refusal_of_futex;
use crate::process::{self, Channel, Exit, Job};
use crate::region::Region;
use crate::spec::Spec;
use crate::structure::WithHandles;
use crate::workers::{BETWEEN_LOOKS, NO_POLL, Sender, Stuck, Watch};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{PipeReader, Read};
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The explored operations of each of two processes: as many as loom can explore in seconds. With
/// more processes each does one of its operations, and one of them a second.
const OF_TWO: usize = 2;
/// The verdict for an answer that cannot be read.
const GARBLED: &str = "the answer of the model is garbled: an operation wrote to a descriptor that it did not open, or the setup, \
    operations and results do not agree in Serialize and Deserialize (no untagged enums)";
/// loom's model of weak memory.
///
/// ```
/// use forkcheck::engine::loom::Loom;
/// use forkcheck::prelude::*;
/// # use forkcheck::spec::{Counter, CounterOp, CounterRet};
/// # struct Sum<M: Memory>(M::AtomicI64);
/// # impl<M: Memory> Structure for Sum<M> {
/// #     type Memory = M;
/// #     type Spec = Counter;
/// #     fn new(first: &i64) -> Self { Sum(Atomic::new(*first)) }
/// #     fn apply(&self, op: &CounterOp) -> CounterRet {
/// #         match op {
/// #             CounterOp::Add(n) => { self.0.fetch_add(*n, Ordering::AcqRel); CounterRet::Added }
/// #             CounterOp::Read => CounterRet::Value(self.0.load(Ordering::Acquire)),
/// #         }
/// #     }
/// # }
/// let suite = Suite::new(forkcheck::site!(), "sum")
///     .setup(Just(0))
///     .role("adder", 2, 1..=2, Just(CounterOp::Add(1)))
///     .cases(1)
///     .executions(20)
///     .regressions(None);
/// let outcome = suite.check::<Loom, Sum<_>>()?;
/// assert!(outcome.covered.executions > 0);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Default)]
pub struct Loom {
    served: Served,
}

impl Engine for Loom {
    type Memory = LoomMemory;
    const NAME: &'static str = "loom";
    const CRITERION: Criterion = Criterion::ProgramOrder;
    const LIMITATIONS: &'static str = "more preemptions than are named here; more than two iterations of a spin; kills; the order in real time of \
        calls of different processes; executions that loom 0.7.3 misses (loom issues 166, 392)";
    const EXPLORES: bool = true;
    const TRUNCATES: bool = true;

    /// Shortens a program to at most two operations per process. With more than two processes it
    /// keeps one for each and a second for one of them, which differs from program to program.
    fn fit<S: Spec>(mut program: Program<S>) -> Program<S> {
        if program.len() > 2 {
            let drawn: usize = program.iter().map(Vec::len).sum();
            let more = (0..program.len()).filter(|&process| program[process].len() > 1);
            let more: Vec<usize> = more.collect();
            let second = more.get(drawn % more.len().max(1)).copied();
            for (process, ops) in program.iter_mut().enumerate() {
                ops.truncate(if second == Some(process) { 2 } else { 1 });
            }
        }
        program.iter_mut().for_each(|ops| ops.truncate(OF_TWO));
        program
    }

    fn search<S: WithHandles<Memory = LoomMemory>>(
        &mut self,
        case: &Case<S::Spec>,
        roles: &[String],
        budget: &Budget,
    ) -> Result<Answer<S::Spec>, Error> {
        self.served.ask(Serve::<S>::JOB, case, roles, budget)
    }

    fn output(&self) -> String {
        self.served.output()
    }
}

/// The job in the zygote for one structure.
struct Serve<S>(PhantomData<S>);

impl<S: WithHandles<Memory = LoomMemory>> Serve<S> {
    const JOB: &'static Job = &Job::new(std::any::type_name::<Self>, serve::<S>);
}

fn serve<S: WithHandles<Memory = LoomMemory>>(channel: &mut Channel) {
    served::serve(channel, &mut |case, roles, budget| {
        let (executions, explored) = supervise(explore::execute::<S>, &case, &roles, &budget)?;
        let failing = explored
            .run
            .as_ref()
            .is_some_and(|run| matches!(run.verdict, Verdict::Finding(_)));
        let within = |rounds| u64::from(explored.run.is_none() && explored.rounds == rounds);
        let all = within(BOUNDS.len());
        let covered = Covered {
            programs: 1,
            executions,
            accesses: u64::from(explored.touched),
            timed_out: u64::from(explored.timed_out),
            failing: u64::from(failing),
            exhausted: all * u64::from(!explored.spin_bound_reached),
            but_for_spins: all * u64::from(explored.spin_bound_reached),
            within_three: within(4),
            within_two: within(3),
            within_one: within(2),
            within_none: within(1),
            ..Covered::default()
        };
        Ok((covered, explored.run))
    });
}

/// Runs the model in a child and watches it. Returns first the number of executions that the model
/// began.
fn supervise<S: Spec>(
    execute: explore::Execute<S>,
    case: &Case<S>,
    roles: &[String],
    budget: &Budget,
) -> Result<(u64, Explored<S>), Error> {
    let ended = |verdict| Explored {
        executions: 0,
        rounds: 0,
        spin_bound_reached: false,
        touched: true,
        timed_out: false,
        run: Some(bare(case.clone(), verdict)),
    };
    if roles.len() > THREADS {
        let why = format!(
            "loom explores at most {THREADS} processes, and there are {}",
            roles.len()
        );
        return Ok((0, ended(Verdict::Unavailable(why))));
    }
    // loom aborts the process where it cannot allocate.
    let room = room_of(roles.len());
    has_room_for(room)?;
    let shared = Arc::new(Region::anonymous(size_of::<explore::Counters>())?);
    let [counter, answered, spec_steps]: &explore::Counters = shared.get(0)?;
    let (mut answers, answer) = Sender::new()?;
    fcntl(&answers, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map_err(|errno| Error::system("set up a pipe", errno, "report this"))?;
    let mut child =
        process::spawn(|| explore::explore(execute, case, roles, budget, &shared, answer))?;
    let mut bytes = Vec::new();
    let mut watch = Watch::new(1, budget.watchdog);
    // The loop ends with the process: an operation may close the pipe earlier, and a process that
    // it started may keep the pipe open.
    let mut open = true;
    let exit = loop {
        let ends = [open.then(|| answers.as_fd()), Some(child.pidfd())];
        let mut watched: Vec<_> = (ends.into_iter().flatten())
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(
            &mut watched,
            PollTimeout::from(BETWEEN_LOOKS.as_millis() as u8),
        ) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(Error::system("wait for the model", errno, NO_POLL));
            }
        }
        let over = child.wait_timeout(Duration::ZERO)?;
        open = open && receive(&mut answers, &mut bytes)?;
        if let Some(exit) = over {
            break exit;
        }
        let progress = counter.load(Relaxed).wrapping_add(spec_steps.load(Relaxed));
        if let Some((_, stuck)) = watch.look(progress, &[(0, child.id())]) {
            let detail = match stuck {
                Stuck::Endless(used) => format!(
                    "one execution of the model used {:.1} s of processor time: an operation loops without touching shared memory; {IF_SLOW}",
                    used.as_secs_f64()
                ),
                Stuck::Asleep => {
                    "the model sleeps: an operation waits for something that is not of this memory"
                        .into()
                }
                Stuck::Stopped => {
                    "the model was stopped by a signal, and nothing continues it".into()
                }
            };
            let verdict = Verdict::Finding(Finding {
                kind: Kind::Endless,
                detail,
                explanation: None,
            });
            return Ok((counter.load(Relaxed), ended(verdict)));
        }
    };
    let count = counter.load(Relaxed);
    if !bytes.is_empty() {
        let Ok(explored) = decode::<Explored<S>>(&bytes) else {
            return Ok((count, ended(Verdict::Unknown(GARBLED.into()))));
        };
        return Ok((explored.executions, explored));
    }
    if exit == Exit::Signal(libc::SIGABRT)
        && let Some(errno) = refusal_of_futex()
    {
        // The C library aborts if one of its own waits is refused.
        return Err(Error::call("run the model of loom", errno, "futex", ""));
    }
    if exit == Exit::Signal(libc::SIGABRT) {
        // The model may have needed more.
        has_room_for(2 * room)?;
    }
    let verdict = match exit {
        Exit::Code(0) if answered.load(Relaxed) != 0 => Verdict::Unknown(
            "the model ended without an answer: an operation closed a descriptor that it did not open, or opened its own in its \
             place; let operations close only descriptors that they opened".into(),
        ),
        Exit::Signal(libc::SIGKILL) => {
            Verdict::Unknown("the model was killed from outside (SIGKILL: by hand, or for want of memory); run it again".into())
        }
        exit => {
            let or = if exit == Exit::Signal(libc::SIGSEGV) {
                format!(": an access to memory that is none, or a stack overflow in the model beyond {STACK_MIB} MiB")
            } else {
                String::new()
            };
            Verdict::Finding(Finding {
                kind: Kind::Died,
                detail: format!("the structure ended the model's process: {exit}{or}"),
                explanation: None,
            })
        }
    };
    Ok((count, ended(verdict)))
}

/// The memory that the model of N processes may need besides the stacks of its threads, in bytes.
const HEAP: usize = 8 << 20;

/// Returns the memory that a model needs: a stack for each process and for the thread that starts
/// them, and loom's allocations.
fn room_of(processes: usize) -> usize {
    (processes + 1) * (STACK_MIB << 20) + HEAP
}

/// Returns an error if that many bytes of address space are not free, or of memory where each
/// mapped byte counts.
fn has_room_for(bytes: usize) -> Result<(), Error> {
    Region::anonymous(bytes).map(drop)
}

/// Reads the part of the answer that has arrived. Returns whether more may come.
fn receive(answers: &mut PipeReader, bytes: &mut Vec<u8>) -> Result<bool, Error> {
    let mut chunk = [0; 1 << 16];
    loop {
        match answers.read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::system("read the model's answer", e, "report this")),
        }
    }
}
