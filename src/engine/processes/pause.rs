//! Instruction-level pauses: in some executions one process stops at a machine instruction of an
//! operation while the others go on.
//!
//! Under `processes`, two adjacent stores leave a window of a nanosecond or none at all, so a
//! reader rarely comes between them. A pause makes the window microseconds, at any instruction that
//! is drawn.
//!
//! Instructions become known as a process takes them one by one, until it pauses. That takes as long as thousands of other
//! executions, so it gets a limited share of the time. Then one execution in eight has a breakpoint at a known one. Where
//! calls hardly overlap otherwise, on one processor or on a busy machine, each execution has a pause until one in twenty overlaps.
//! All words are `Relaxed`: a wrong one costs an execution.

use super::clock;
use super::code::{Code, GOLDEN};
use super::learnt::Learnt;
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
/// After this many pauses without a failure at the position of one that failed, there are no more.
const IN_VAIN: u32 = 64;
/// The calls of at least one in this many executions have to overlap.
const MIN_OVERLAP: u64 = 20;
/// If fewer than one in this many executions overlap, the others often have no processor when one process pauses.
const CONCURRENT: u64 = 4;
/// How often a process goes on at a breakpoint before it pauses there.
const TIMES: [u32; 8] = [0, 0, 0, 0, 0, 1, 2, 3];

#[repr(C)]
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
        let every = self.failed.get().map_or(EVERY, |_| REPEAT_EVERY);
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
                && (known > 0 || !position.is_breakpoint())
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
        // Multiples of the golden ratio choose the instructions: they soon cover all parts of an operation evenly.
        let offset = learnt.offset.load(Relaxed);
        let part = offset.wrapping_add((turn / able).wrapping_mul(GOLDEN)) >> 32;
        let target = if steps {
            // A quarter of them lies beyond its supposed end, so that a longer operation is noticed.
            let length = u64::from(learnt.length(process)) * 5 / 4;
            Target::After(1 + ((part * length) >> 32) as u32)
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
mod tests {
    use super::*;
    use crate::engine::processes::control::Control;
    use crate::engine::processes::{code::Instruction, learnt::LENGTH};
    use crate::region::Region;

    fn regions() -> (Region, Region) {
        let control = Region::anonymous(size_of::<Control>()).unwrap();
        (control, Learnt::region().unwrap())
    }

    /// Returns the pauses and what was learnt, at the begin of a program.
    fn begun((control, learnt): &(Region, Region), failed: Option<Position>) -> (&Pauses, &Learnt) {
        let (control, learnt): (&Control, &Learnt) =
            (control.get(0).unwrap(), learnt.get(0).unwrap());
        learnt.begin(7);
        control.pauses.forget(failed);
        (&control.pauses, learnt)
    }

    fn drawn(operations: &[usize], times: u64) -> Vec<(u32, u32, u32)> {
        let regions = regions();
        let (pauses, learnt) = begun(&regions, None);
        let begun = pauses.begun.load(Relaxed);
        let all = (1..=times).filter_map(|time| {
            pauses.draw(begun + time, time, operations, learnt);
            pauses.current.get().map(|at| {
                let Target::After(instructions) = at.target else {
                    panic!("nothing is known: {at:?}");
                };
                let drawn = (at.process, at.operation, instructions);
                assert!(pauses.ended(&AtomicU64::new(clock::now())));
                pauses.step_time.store(0, Relaxed);
                drawn
            })
        });
        all.collect()
    }

    #[test]
    fn every_instruction_of_every_process_with_operations_is_drawn_and_beyond_the_end() {
        assert_eq!(drawn(&[3], 100), [], "no other process");
        assert_eq!(drawn(&[3, 0], 100), []);
        let some = if cfg!(target_arch = "x86_64") { 500 } else { 0 };
        let all = drawn(&[3, 0, 1], some);
        assert_eq!(all.len(), some as usize);
        for process in [0, 2] {
            let own = all.iter().filter(|drawn| drawn.0 == process);
            let mut at: Vec<_> = own.map(|drawn| drawn.2).collect();
            at.sort_unstable();
            at.dedup();
            let expected: Vec<_> = (1..=LENGTH + LENGTH / 4).collect();
            assert!(some == 0 || at == expected, "{at:?}");
        }
        let most = |process| if process == 0 { 3 } else { 1 };
        assert!(all.iter().all(|drawn| drawn.1 < most(drawn.0)));
    }

    #[test]
    fn instructions_are_taken_one_by_one_for_a_share_of_the_time() {
        let regions = regions();
        let (pauses, learnt) = begun(&regions, None);
        let begun = pauses.begun.load(Relaxed);
        pauses.step_time.store(1_000, Relaxed);
        pauses.draw(begun + 1_000 * STEP_SHARE, 1, &[1, 1], learnt);
        assert_eq!(pauses.part(0, 1, 1), Part::None);
        pauses.draw(begun + 1_000 * STEP_SHARE + 1, 1, &[1, 1], learnt);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(pauses.part(0, 1, 1), Part::Pauses(0));
            assert!(matches!(pauses.part(1, 1, 1), Part::Waits(0, 1..=8_192)));
        }
    }

    /// Returns the pauses of that many executions, where these instructions are known and no time is left for taking others one by one.
    fn breakpoints(known: u64, times: u64, breakpoints: bool) -> Vec<Option<(Instruction, u32)>> {
        let regions = regions();
        let (pauses, learnt) = begun(&regions, None);
        let begun = pauses.begun.load(Relaxed);
        for address in 1..=known {
            learnt.known.add(Instruction { address, bytes: 0 });
        }
        if !breakpoints {
            learnt.refuse_breakpoints();
        }
        pauses.step_time.store(u64::MAX, Relaxed);
        let all = (0..times).map(|time| {
            pauses.draw(begun + 1 + time, time, &[2, 0, 1], learnt);
            let target = pauses.current.get().map(|position| position.target);
            pauses.breakpoint_time.store(0, Relaxed);
            pauses.ended(&AtomicU64::new(clock::now()));
            target.map(|target| match target {
                Target::Before(instruction, times) => (instruction, times),
                Target::After(_) => panic!("no time is left for it"),
            })
        });
        all.collect()
    }

    #[test]
    fn one_execution_in_eight_has_a_breakpoint_and_each_known_instruction_is_drawn() {
        assert_eq!(breakpoints(0, 100, true), vec![None; 100]);
        assert_eq!(breakpoints(9, 100, false), vec![None; 100]);
        let all = breakpoints(9, 1_000, true);
        if cfg!(target_arch = "x86_64") {
            let mut drawn: Vec<_> = all.iter().flatten().collect();
            assert_eq!(drawn.len() as u64, 1_000 / EVERY);
            assert!(all.iter().step_by(EVERY as usize).all(Option::is_some));
            assert!((1..=3).all(|times| drawn.iter().any(|drawn| drawn.1 == times)));
            drawn.sort_unstable_by_key(|drawn| drawn.0.address);
            drawn.dedup_by_key(|drawn| drawn.0);
            assert_eq!(drawn.len(), 9);
        }
    }

    #[test]
    fn a_refused_breakpoint_is_the_last_and_steps_take_their_place_where_calls_hardly_overlap() {
        let regions = regions();
        let (pauses, learnt) = begun(&regions, None);
        let begun = pauses.begun.load(Relaxed);
        let instruction = Instruction {
            address: 1,
            bytes: 0,
        };
        learnt.known.add(instruction);
        pauses.step_time.store(u64::MAX, Relaxed);
        pauses.decide(MIN_OVERLAP, 0);
        let target = || {
            pauses.draw(begun + 1, 1, &[1, 1], learnt);
            pauses.current.get().map(|position| position.target)
        };
        let before = target();
        learnt.refuse_breakpoints();
        let after = target();
        if cfg!(target_arch = "x86_64") {
            assert!(matches!(before, Some(Target::Before(..))));
            assert!(matches!(after, Some(Target::After(_))));
        }
    }

    #[test]
    fn every_second_pause_is_where_an_execution_failed_if_that_operation_is_still_there() {
        let failed = Position {
            process: 1,
            operation: 2,
            target: Target::After(3_000),
        };
        let regions = regions();
        let same = |operations: &[usize]| {
            let (pauses, learnt) = begun(&regions, Some(failed));
            let begun = pauses.begun.load(Relaxed);
            let drawn = (1..=8).map(|time| {
                pauses.step_time.store(0, Relaxed);
                pauses.draw(begun + time, time, operations, learnt);
                pauses.current.get() == Some(failed)
            });
            drawn.collect::<Vec<_>>()
        };
        if cfg!(target_arch = "x86_64") {
            assert_eq!(same(&[3, 3]), [true, false].repeat(4));
        }
        let (pauses, learnt) = begun(&regions, Some(failed));
        for time in 0..4 * u64::from(IN_VAIN) {
            pauses.step_time.store(0, Relaxed);
            pauses.draw(clock::now() + 1 + time, time, &[3, 3], learnt);
        }
        let is_given_up = pauses.failed.get().is_none();
        assert_eq!(is_given_up, cfg!(target_arch = "x86_64"), "it was in vain");
        assert_eq!(same(&[3, 2]), [false; 8], "it has fewer operations");
        assert_eq!(same(&[3]), [false; 8]);
    }

    #[test]
    fn the_last_pause_is_that_of_the_last_execution_and_of_none_before() {
        let regions = regions();
        let (pauses, learnt) = begun(&regions, None);
        let begun = pauses.begun.load(Relaxed);
        pauses.draw(begun + 1, 1, &[1, 1], learnt);
        let drawn = pauses.last();
        assert_eq!(drawn.is_some(), cfg!(target_arch = "x86_64"));
        pauses.ended(&AtomicU64::new(clock::now()));
        assert_eq!(pauses.last(), drawn);
        pauses.failed();
        assert_eq!(pauses.failed.get(), drawn, "it has failed there");
        pauses.step_time.store(u64::MAX, Relaxed);
        pauses.draw(begun + 1, 2, &[1, 1], learnt);
        assert_eq!(pauses.last(), None, "this one has no pause");
    }
}
