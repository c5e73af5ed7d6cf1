//! Instruction-level pauses: in some executions one process stops at a machine instruction of an
//! operation while the others go on.
//!
//! Under `processes`, two adjacent stores leave a window of a nanosecond or none at all, so a
//! reader rarely comes between them. A pause makes the window microseconds, at any instruction that
//! is drawn.
//!
//! Instructions become known as a process takes them one by one, until it pauses. That takes as long as thousands of other
//! executions, so it gets a limited share of the time. Then one execution in eight has a breakpoint at a known one. Where
//! calls hardly overlap otherwise, on one processor or on a busy machine, half of the time goes to executions with a breakpoint, and
//! each has one until one in twenty overlaps.
//! All words are `Relaxed`: a wrong one costs an execution.

use super::clock;
use super::code::{Code, GOLDEN};
use super::learnt::{Learnt, MOST_INSTRUCTIONS};
use super::point::{Others, Part, Pause, Point, Progress, Target, magnitude};
use super::position::{Position, SharedPosition};
use crate::schedule::split_mix;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Executions in which instructions are taken one by one get at most one in this many parts of the time.
const STEP_SHARE: u64 = 8;
/// Stepped executions get at most one in this many parts of the time where breakpoints are refused.
const STEP_SHARE_ALONE: u64 = 2;
/// Executions with a breakpoint get at most one in this many parts of the time: a pause takes long where processes wait for each other.
const BREAKPOINT_SHARE: u64 = 2;
/// One in this many executions has a breakpoint.
const EVERY: u64 = 8;
/// One in this many executions has a breakpoint once an execution has failed at a pause.
const REPEAT_EVERY: u64 = 2;
/// The number of instructions that take no longer than some hundreds of executions. A pause after at most that many, where an
/// execution failed, is repeated whatever time is left for them.
const FEW: u32 = 128;
/// After this many pauses without a failure at the position of one that failed, there are no more.
const IN_VAIN: u32 = 64;
/// The calls of at least one in this many executions have to overlap.
const MIN_OVERLAP: u64 = 20;
/// If fewer than one in this many executions overlap, the others often have no processor when one process pauses.
const CONCURRENT: u64 = 4;
/// The distance of two processes in the order of the instructions: the fraction of the square root of two, of which no multiple comes
/// near one of the golden ratio.
const APART: u64 = 0x6a09_e667_f3bc_c909;
/// How often a process goes on at a breakpoint before it pauses there.
const TIMES: [u32; 8] = [0, 0, 0, 0, 0, 1, 2, 3];

#[repr(C)]
#[cfg_attr(test, derive(Default))]
pub(super) struct Pauses {
    /// The pause of this execution, of the one before, and of one that failed.
    current: SharedPosition,
    previous: SharedPosition,
    pub(super) failed: SharedPosition,
    /// The pauses at the position of the one that failed, since an execution failed there.
    in_vain: AtomicU32,
    /// The progress of that process.
    pub(super) progress: Progress,
    /// The time when this program began.
    begun: AtomicU64,
    /// The time that its executions took in which instructions were taken one by one.
    step_time: AtomicU64,
    /// The time that its executions with a breakpoint took.
    breakpoint_time: AtomicU64,
    /// The number of its operations with a pause.
    count: AtomicU64,
    /// The executions of this program without a pause, and those of them whose calls overlapped.
    plain: AtomicU64,
    overlapping_plain: AtomicU64,
    /// 1: the next pause lasts until the others have made calls.
    waits_for_calls: AtomicU32,
    /// 1: the next execution has a pause if there is time for it.
    often: AtomicU32,
    /// 1: the next execution has a pause, however long that takes.
    always: AtomicU32,
    /// The number of executions of this program, and of pauses drawn for it.
    executions: AtomicU64,
    drawn: AtomicU64,
}

impl Pauses {
    /// Decides whether the next executions have pauses, after `executions` of this program,
    /// `overlapping` of them with calls that overlapped.
    pub(super) fn decide(&self, executions: u64, overlapping: u64) {
        let is_rare = |met: u64, of: u64, one_in: u64| met.saturating_mul(one_in) < of;
        let met = self.overlapping_plain.load(Relaxed);
        let plain = self.plain.load(Relaxed);
        let waits = executions >= MIN_OVERLAP && is_rare(met, plain, CONCURRENT);
        self.waits_for_calls.store(waits.into(), Relaxed);
        let often = executions >= MIN_OVERLAP && is_rare(met, plain, MIN_OVERLAP);
        self.often.store(often.into(), Relaxed);
        let always = executions >= MIN_OVERLAP && is_rare(overlapping, executions, MIN_OVERLAP);
        self.always.store(always.into(), Relaxed);
    }

    /// Counts an execution without a pause whose calls overlapped.
    pub(super) fn overlapped(&self) {
        self.overlapping_plain.fetch_add(1, Relaxed);
    }

    /// Returns whether calls hardly overlapped except by pauses, in all executions of this program.
    pub(super) fn were_relied_on(&self) -> bool {
        let met = self
            .overlapping_plain
            .load(Relaxed)
            .saturating_mul(MIN_OVERLAP);
        self.executions.load(Relaxed) >= MIN_OVERLAP
            && self.count() > 0
            && met < self.plain.load(Relaxed)
    }

    /// Returns whether the next execution has a pause however long that takes.
    fn must_pause(&self) -> bool {
        self.always.load(Relaxed) == 1
    }

    /// Returns whether the others need time to get a processor of their own.
    pub(super) fn wait_for_calls(&self) -> bool {
        self.waits_for_calls.load(Relaxed) == 1
    }

    /// Returns the pause of the execution that was the last, which may not have ended.
    pub(super) fn last(&self) -> Option<Position> {
        self.current.get().or_else(|| self.previous.get())
    }

    /// Notes that the last execution failed: if it had a pause, others are at the same position.
    pub(super) fn failed(&self) {
        let last = self.previous.get();
        if self.failed.get().is_none() {
            self.failed.set(last);
        }
        if self.failed.get() == last {
            self.in_vain.store(0, Relaxed);
        }
    }

    /// Begins another program. Every second pause is at the position where an execution failed, if there was one: it fails
    /// there again, and so does a smaller program.
    pub(super) fn forget(&self, failed: Option<Position>) {
        self.waits_for_calls.store(0, Relaxed);
        self.often.store(0, Relaxed);
        self.always.store(0, Relaxed);
        self.current.set(None);
        self.previous.set(None);
        self.failed.set(failed);
        self.in_vain.store(0, Relaxed);
        self.executions.store(0, Relaxed);
        self.drawn.store(0, Relaxed);
        self.begun.store(clock::now(), Relaxed);
        self.step_time.store(0, Relaxed);
        self.breakpoint_time.store(0, Relaxed);
        self.count.store(0, Relaxed);
        self.plain.store(0, Relaxed);
        self.overlapping_plain.store(0, Relaxed);
    }

    /// Draws whether a process pauses in the execution that is about to start, which one, and
    /// where.
    pub(super) fn draw(&self, now: u64, mut seed: u64, operations: &[usize], learnt: &Learnt) {
        let lived = now.saturating_sub(self.begun.load(Relaxed));
        let number = self.executions.fetch_add(1, Relaxed);
        let able = operations.iter().filter(|&&count| count > 0).count() as u64;
        let has_time = |spent: &AtomicU64, share| spent.load(Relaxed).saturating_mul(share) < lived;
        let (known, share) = match learnt.has_refused() {
            false => (learnt.known.count(), STEP_SHARE),
            true => (0, STEP_SHARE_ALONE),
        };
        let every = match self.failed.get() {
            _ if self.often.load(Relaxed) == 1 => 1,
            Some(_) => REPEAT_EVERY,
            None => EVERY,
        };
        let is_turn =
            number.is_multiple_of(every) && has_time(&self.breakpoint_time, BREAKPOINT_SHARE);
        let steps = has_time(&self.step_time, share) || self.must_pause() && known == 0;
        let stops = known > 0 && (is_turn || self.must_pause());
        self.current.set(None);
        self.previous.set(None);
        if !cfg!(target_arch = "x86_64") || able < 2 || !steps && !stops {
            return;
        }
        let drawn = self.drawn.fetch_add(1, Relaxed);
        self.progress.reset();
        let is_possible = |position: &Position| {
            let operations = operations.get(position.process as usize);
            operations.is_some_and(|&operations| operations > position.operation as usize)
                && match position.target {
                    Target::Before(..) => known > 0,
                    Target::After(instructions) => steps || instructions <= FEW,
                }
        };
        if let Some(failed) = self.failed.get().filter(is_possible)
            && drawn.is_multiple_of(2)
        {
            self.current.set(Some(failed));
            // The failure may have had another cause than that pause.
            if self.in_vain.fetch_add(1, Relaxed) >= IN_VAIN {
                self.failed.set(None);
            }
            return;
        }
        let turns = if steps {
            &learnt.step_pauses
        } else {
            &learnt.breakpoint_pauses
        };
        let turn = turns.fetch_add(1, Relaxed);
        let mut busy = (0..operations.len()).filter(|&process| operations[process] > 0);
        let process = busy.nth((turn % able) as usize).unwrap_or(0);
        let operation = (split_mix(&mut seed) % operations[process] as u64) as u32;
        // Multiples of the golden ratio choose the instructions: they soon cover all parts of an operation evenly. Each process begins
        // elsewhere, since all of them may do the same.
        let offset = learnt.offset.load(Relaxed);
        let offset = offset.wrapping_add((process as u64).wrapping_mul(APART));
        let part = offset.wrapping_add((turn / able).wrapping_mul(GOLDEN)) >> 32;
        let target = if steps {
            match learnt.length(process) {
                // All of it is taken once, so that its instructions are known.
                None => Target::After(MOST_INSTRUCTIONS),
                // A quarter of them lies beyond its supposed end, so that a longer operation is noticed.
                Some(length) => {
                    Target::After(1 + ((part * (u64::from(length) * 5 / 4)) >> 32) as u32)
                }
            }
        } else {
            let number = (part * known as u64) >> 32;
            let Some(instruction) = learnt.known.get(number as usize) else {
                return;
            };
            // In a loop, the first time may not be the one that matters.
            let times = TIMES[split_mix(&mut seed) as usize % TIMES.len()];
            Target::Before(instruction, times)
        };
        self.current.set(Some(Position {
            process: process as u32,
            operation,
            target,
        }));
    }

    /// Returns the part of process `me`, which has that many operations, in this execution.
    pub(super) fn part(&self, me: usize, operations: usize, mut seed: u64) -> Part {
        match self.current.get() {
            None => Part::None,
            Some(position) if position.process as usize == me => {
                Part::Pauses(position.operation as usize)
            }
            _ if operations == 0 => Part::None,
            _ => {
                seed ^= (me as u64 + 1) << 48;
                let first = (split_mix(&mut seed) % operations as u64) as usize;
                Part::Waits(first, magnitude(&mut seed))
            }
        }
    }

    /// Returns where to pause, and for how long: for nanoseconds, or, if `others` need the processor, for some of their calls.
    pub(super) fn point<'a>(
        &'a self,
        code: (&'a Code, &'a Learnt),
        others: Option<Others<'a>>,
        mut seed: u64,
    ) -> Point<'a> {
        let pause = magnitude(&mut seed);
        let current = self.current.get();
        // An event is the begin or the return of a call.
        let events = 1 + split_mix(&mut seed) % 4;
        Point {
            target: current.map_or(Target::After(1), |position| position.target),
            pause: others.map_or(Pause::Nanoseconds(pause), |others| {
                Pause::Events(events, others)
            }),
            progress: &self.progress,
            code: Some(code),
        }
    }

    /// Learns from an operation of process `me` that has ended; `paused` says that it paused before
    /// its end.
    pub(super) fn learn(&self, me: usize, paused: bool, learnt: &Learnt) {
        self.count.fetch_add(paused.into(), Relaxed);
        let current = self.current.get();
        if current.is_some_and(|position| !position.is_breakpoint()) {
            learnt.learn(me, self.progress.taken.load(Relaxed), paused);
        }
    }

    /// Ends an execution that began at `start`, and returns whether a process should have paused in
    /// it.
    pub(super) fn ended(&self, start: &AtomicU64) -> bool {
        let position = self.current.get();
        if let Some(position) = position {
            let took = clock::now().saturating_sub(start.load(Relaxed));
            let spent = match position.is_breakpoint() {
                true => &self.breakpoint_time,
                false => &self.step_time,
            };
            spent.fetch_add(took, Relaxed);
            self.current.set(None);
        } else {
            self.plain.fetch_add(1, Relaxed);
        }
        self.previous.set(position);
        position.is_some()
    }

    /// Returns the number of operations with a pause.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }
}

#[cfg(test)]
mod tests;
