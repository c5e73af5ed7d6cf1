//! Instruction-level pauses: in some executions one process stops at a machine instruction of an
//! operation while the others go on.
//!
//! Under `processes`, two adjacent stores leave a window of a nanosecond or none at all, so a
//! reader rarely comes between them. A pause makes the window microseconds, at any instruction that
//! is drawn.
//!
//! Instructions become known as a process takes them one by one, until it pauses. That takes as long as thousands of other
//! executions, so it gets a limited share of the time. Then one execution in eight has a pause at a known one, by a breakpoint. Where
//! calls hardly overlap otherwise, on one processor or on a busy machine, each execution has a pause until one in twenty overlaps.
//! All words are `Relaxed`: a wrong one costs an execution.

use super::clock;
use super::code::{Code, Known};
use super::point::{Others, Patience, Pause, Place, Point, Way};
use super::position::{Position, SharedPosition};
use crate::schedule::{MAX_PROCESSES, split_mix};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The part of the time that executions get in which instructions are taken one by one is one in this many; and the most that those
/// with a breakpoint get, where processes wait for each other and so a pause takes long.
const SHARE: u64 = 8;
const MOST: u64 = 2;
/// One execution in as many has a breakpoint; and in a program like one that failed at a pause.
const EVERY: u64 = 8;
const AGAIN: u64 = 2;
/// The length of an operation in instructions: before one has ended and shown it; at least; at
/// most.
const LENGTH: u32 = 64;
const SHORTEST: u32 = 8;
const LONGEST: u32 = 4_096;
/// In nanoseconds: the longest pause is 2 to this power, the shortest a 64th of it; all magnitudes
/// are as likely.
const PAUSE: u32 = 13;
/// The executions that show whether calls overlap: at least one in as many has to.
const FEW: u64 = 20;
/// One execution in as many that overlaps: where it is fewer, the others often have no processor when one process pauses.
const SOME: u64 = 4;
/// 2 to the power of 64, divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// How often a process goes on at a breakpoint before it pauses there.
const TIMES: [u32; 8] = [0, 0, 0, 0, 0, 1, 2, 3];

#[repr(C)]
pub(super) struct Pauses {
    /// The pause of this execution, of the one before, and of one that failed.
    current: SharedPosition,
    previous: SharedPosition,
    pub(super) failed: SharedPosition,
    /// The progress of that process.
    way: Way,
    /// The time when this program began, and the time that its executions took in which instructions were taken one by one, and those
    /// with a breakpoint.
    begun: AtomicU64,
    stepped: AtomicU64,
    stopped: AtomicU64,
    count: AtomicU64,
    /// The executions of this program without a pause, and those of them whose calls overlapped.
    plain: AtomicU64,
    met: AtomicU64,
    /// 1: the next pause lasts until the others have made calls.
    waits_for_calls: AtomicU32,
    /// 1: the next execution has a pause, however long that takes.
    always: AtomicU32,
    /// The number of executions of this program, and of pauses drawn for it.
    executions: AtomicU64,
    drawn: AtomicU64,
    /// 1: no breakpoints.
    no_breakpoints: AtomicU32,
    /// The number of pauses drawn, for all programs, of each kind, and the position of the first.
    turn: AtomicU64,
    stops: AtomicU64,
    offset: AtomicU64,
    /// The approximate number of instructions in an operation of each process.
    lengths: [AtomicU32; MAX_PROCESSES],
    /// The instructions that were taken one by one.
    pub(super) known: Known,
}

/// The part of one process in an execution with a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// None: no process pauses.
    None,
    /// Pauses in this operation.
    Pauses(usize),
    /// Begins this operation this many nanoseconds after the other process has paused.
    Waits(usize, u64),
}

impl Pauses {
    /// Decides whether the next executions have pauses, after `executions` of this program,
    /// `overlapping` of them with calls that overlapped.
    pub(super) fn decide(&self, executions: u64, overlapping: u64) {
        let is_rare = |met: u64, of: u64, one_in: u64| met.saturating_mul(one_in) < of;
        let (met, plain) = (self.met.load(Relaxed), self.plain.load(Relaxed));
        let waits = executions >= FEW && is_rare(met, plain, SOME);
        self.waits_for_calls.store(waits.into(), Relaxed);
        let always = executions >= FEW && is_rare(overlapping, executions, FEW);
        self.always.store(always.into(), Relaxed);
    }

    /// Counts an execution without a pause whose calls overlapped.
    pub(super) fn met(&self) {
        self.met.fetch_add(1, Relaxed);
    }

    /// Returns whether calls hardly overlapped except by pauses, in all executions of this program.
    pub(super) fn were_needed(&self) -> bool {
        let met = self.met.load(Relaxed).saturating_mul(FEW);
        self.executions.load(Relaxed) >= FEW && self.count() > 0 && met < self.plain.load(Relaxed)
    }

    /// Returns whether the next execution has a pause however long that takes.
    fn are_always(&self) -> bool {
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

    /// Begins another program. Every second pause is at the position where an execution failed, if there was one: it fails
    /// there again, and so does a smaller program.
    pub(super) fn forget(&self, seed: u64, failed: Option<Position>, breakpoints: bool) {
        // The lengths of operations are learnt from all programs of a structure.
        if self.turn.load(Relaxed) == 0 {
            self.offset.store(seed, Relaxed);
            self.lengths
                .iter()
                .for_each(|length| length.store(LENGTH, Relaxed));
        }
        self.waits_for_calls.store(0, Relaxed);
        self.always.store(0, Relaxed);
        self.current.set(None);
        self.previous.set(None);
        self.failed.set(failed);
        self.executions.store(0, Relaxed);
        self.drawn.store(0, Relaxed);
        self.no_breakpoints.store((!breakpoints).into(), Relaxed);
        self.begun.store(clock::now(), Relaxed);
        self.stepped.store(0, Relaxed);
        self.stopped.store(0, Relaxed);
        self.count.store(0, Relaxed);
        self.plain.store(0, Relaxed);
        self.met.store(0, Relaxed);
    }

    /// Draws whether a process pauses in the execution that is about to start, which one, and
    /// where.
    pub(super) fn draw(&self, now: u64, mut seed: u64, operations: &[usize]) {
        let lived = now.saturating_sub(self.begun.load(Relaxed));
        let number = self.executions.fetch_add(1, Relaxed);
        let able = operations.iter().filter(|&&count| count > 0).count() as u64;
        let has_time = |spent: &AtomicU64, share| spent.load(Relaxed).saturating_mul(share) < lived;
        let known = match self.no_breakpoints.load(Relaxed) {
            0 => self.known.count(),
            _ => 0,
        };
        let every = self.failed.get().map_or(EVERY, |_| AGAIN);
        let is_turn = number.is_multiple_of(every) && has_time(&self.stopped, MOST);
        let steps = has_time(&self.stepped, SHARE) || self.are_always() && known == 0;
        let stops = known > 0 && (is_turn || self.are_always());
        self.current.set(None);
        if !cfg!(target_arch = "x86_64") || able < 2 || !steps && !stops {
            return;
        }
        let drawn = self.drawn.fetch_add(1, Relaxed);
        self.way.taken.store(0, Relaxed);
        self.way.when.store(0, Relaxed);
        let is_possible = |position: &Position| {
            let operations = operations.get(position.process as usize);
            operations.is_some_and(|&operations| operations > position.operation as usize)
                && (self.no_breakpoints.load(Relaxed) == 0 || !position.is_breakpoint())
        };
        if let Some(failed) = self.failed.get().filter(is_possible)
            && drawn.is_multiple_of(2)
        {
            return self.current.set(Some(failed));
        }
        let turns = if steps { &self.turn } else { &self.stops };
        let turn = turns.fetch_add(1, Relaxed);
        let mut busy = (0..operations.len()).filter(|&process| operations[process] > 0);
        let process = busy.nth((turn % able) as usize).unwrap_or(0);
        let operation = (split_mix(&mut seed) % operations[process] as u64) as u32;
        // Multiples of the golden ratio choose the instructions: they soon cover all parts of an operation evenly.
        let part = self
            .offset
            .load(Relaxed)
            .wrapping_add((turn / able).wrapping_mul(GOLDEN))
            >> 32;
        let place = if steps {
            // A quarter of them lies beyond its supposed end, so that a longer operation is noticed.
            let length = u64::from(self.lengths[process].load(Relaxed)) * 5 / 4;
            Place::After(1 + ((part * length) >> 32) as u32)
        } else {
            let Some(instruction) = self.known.get(((part * known as u64) >> 32) as usize) else {
                return;
            };
            // In a loop, the first time may not be the one that matters.
            Place::Before(
                instruction,
                TIMES[split_mix(&mut seed) as usize % TIMES.len()],
            )
        };
        self.current.set(Some(Position {
            process: process as u32,
            operation,
            place,
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

    /// Returns where to pause, in this code, and for how long: for nanoseconds, or, if `others` need the
    /// processor, for some of their calls.
    pub(super) fn point<'a>(
        &'a self,
        code: &'a Code,
        others: Option<Others<'a>>,
        mut seed: u64,
    ) -> Point<'a> {
        let pause = magnitude(&mut seed);
        let current = self.current.get();
        // An event is the begin or the return of a call.
        let events = 1 + split_mix(&mut seed) % 4;
        Point {
            place: current.map_or(Place::After(1), |position| position.place),
            pause: others.map_or(Pause::Nanoseconds(pause), |others| {
                Pause::Events(events, others)
            }),
            way: &self.way,
            code: Some((code, &self.known)),
        }
    }

    /// Learns from an operation of process `me` that has ended; `paused` says that it paused before
    /// its end.
    pub(super) fn learn(&self, me: usize, paused: bool) {
        self.count.fetch_add(paused.into(), Relaxed);
        let current = self.current.get();
        if current.is_some_and(|position| position.is_breakpoint()) {
            return;
        }
        let taken = self.way.taken.load(Relaxed);
        let length = self.lengths[me].load(Relaxed);
        let length = if !paused {
            (length + taken) / 2
        } else if taken > length {
            // It continued beyond its supposed end.
            2 * taken
        } else {
            length
        };
        self.lengths[me].store(length.clamp(SHORTEST, LONGEST), Relaxed);
    }

    /// Waits until the other process has paused, and then for a while.
    pub(super) fn wait(&self, alone: bool, longer: u64) {
        let mut patience = Patience::new(0);
        loop {
            let (now, when) = (clock::now(), self.way.when.load(Relaxed));
            let taken = self.way.taken.load(Relaxed).into();
            if when > 0 && now >= when.saturating_add(longer)
                || when == 0 && patience.is_over(taken)
            {
                return;
            }
            if !alone {
                std::thread::yield_now();
            }
        }
    }

    /// Ends an execution that began at `start`, and returns whether a process should have paused in
    /// it.
    pub(super) fn ended(&self, start: &AtomicU64) -> bool {
        let position = self.current.get();
        if let Some(position) = position {
            let took = clock::now().saturating_sub(start.load(Relaxed));
            let spent = if position.is_breakpoint() {
                &self.stopped
            } else {
                &self.stepped
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

/// Returns nanoseconds: all magnitudes are as likely.
fn magnitude(seed: &mut u64) -> u64 {
    let drawn = split_mix(seed);
    let most = 1u64 << (PAUSE - (drawn % 6) as u32);
    most / 2 + (drawn >> 8) % (most / 2)
}

#[cfg(test)]
mod tests {
    use super::super::{code::Instruction, point::PATIENCE};
    use super::*;
    use crate::engine::processes::control::Control;
    use crate::region::Region;

    fn drawn(operations: &[usize], times: u64) -> Vec<(u32, u32, u32)> {
        let region = Region::anonymous(size_of::<Control>()).unwrap();
        let control: &Control = region.get(0).unwrap();
        let pauses = &control.pauses;
        pauses.forget(7, None, true);
        let begun = pauses.begun.load(Relaxed);
        let all = (1..=times).filter_map(|time| {
            pauses.draw(begun + time, time, operations);
            pauses.current.get().map(|at| {
                let Place::After(instructions) = at.place else {
                    panic!("nothing is known: {at:?}");
                };
                let drawn = (at.process, at.operation, instructions);
                assert!(pauses.ended(&AtomicU64::new(clock::now())));
                pauses.stepped.store(0, Relaxed);
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
            let mut at: Vec<_> = all
                .iter()
                .filter(|drawn| drawn.0 == process)
                .map(|drawn| drawn.2)
                .collect();
            at.sort_unstable();
            at.dedup();
            let expected: Vec<_> = (1..=LENGTH + LENGTH / 4).collect();
            assert!(some == 0 || at == expected, "{at:?}");
        }
        assert!(
            all.iter()
                .all(|&(process, operation, _)| operation < if process == 0 { 3 } else { 1 })
        );
    }

    #[test]
    fn a_length_is_learnt_from_operations_that_end_and_pauses_get_their_share_of_the_time_alone() {
        let region = Region::anonymous(size_of::<Control>()).unwrap();
        let control: &Control = region.get(0).unwrap();
        let pauses = &control.pauses;
        pauses.forget(7, None, true);
        let length = || pauses.lengths[1].load(Relaxed);
        pauses.way.taken.store(LENGTH + 5, Relaxed);
        pauses.learn(1, true);
        assert!(length() > LENGTH + 5, "it has not ended");
        pauses.way.taken.store(20, Relaxed);
        (0..100).for_each(|_| pauses.learn(1, false));
        assert!((20..25).contains(&length()), "it has 20");
        assert_eq!(pauses.count(), 1, "where it did");

        let begun = pauses.begun.load(Relaxed);
        pauses.stepped.store(1_000, Relaxed);
        pauses.draw(begun + 1_000 * SHARE, 1, &[1, 1]);
        assert_eq!(pauses.part(0, 1, 1), Part::None);
        pauses.draw(begun + 1_000 * SHARE + 1, 1, &[1, 1]);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(pauses.part(0, 1, 1), Part::Pauses(0));
            assert!(matches!(pauses.part(1, 1, 1), Part::Waits(0, 1..=8_192)));
        }
    }

    /// Returns the pauses of that many executions after the first, where these instructions are known and all time is spent.
    fn stops(known: u64, times: u64, breakpoints: bool) -> Vec<Option<(Instruction, u32)>> {
        let region = Region::anonymous(size_of::<Control>()).unwrap();
        let control: &Control = region.get(0).unwrap();
        let pauses = &control.pauses;
        pauses.forget(7, None, breakpoints);
        let begun = pauses.begun.load(Relaxed);
        for address in 1..=known {
            pauses.known.add(Instruction { address, bytes: 0 });
        }
        pauses.stepped.store(u64::MAX, Relaxed);
        let all = (0..times).map(|time| {
            pauses.draw(begun + 1 + time, time, &[2, 0, 1]);
            let place = pauses.current.get().map(|position| position.place);
            pauses.stopped.store(0, Relaxed);
            pauses.ended(&AtomicU64::new(clock::now()));
            place.map(|place| match place {
                Place::Before(instruction, times) => (instruction, times),
                Place::After(_) => panic!("no time is left for it"),
            })
        });
        all.collect()
    }

    #[test]
    fn one_execution_in_eight_has_a_breakpoint_and_each_known_instruction_is_drawn() {
        assert_eq!(stops(0, 100, true), vec![None; 100]);
        assert_eq!(stops(9, 100, false), vec![None; 100]);
        let all = stops(9, 1_000, true);
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
    fn every_second_pause_is_where_an_execution_failed_if_that_operation_is_still_there() {
        let region = Region::anonymous(size_of::<Control>()).unwrap();
        let control: &Control = region.get(0).unwrap();
        let pauses = &control.pauses;
        let failed = Position {
            process: 1,
            operation: 2,
            place: Place::After(3_000),
        };
        let same = |operations: &[usize]| {
            pauses.forget(7, Some(failed), true);
            let begun = pauses.begun.load(Relaxed);
            let drawn = (1..=8).map(|time| {
                pauses.stepped.store(0, Relaxed);
                pauses.draw(begun + time, time, operations);
                pauses.current.get() == Some(failed)
            });
            drawn.collect::<Vec<_>>()
        };
        if cfg!(target_arch = "x86_64") {
            assert_eq!(same(&[3, 3]), [true, false].repeat(4));
        }
        assert_eq!(same(&[3, 2]), [false; 8], "it has fewer operations");
        assert_eq!(same(&[3]), [false; 8]);
        pauses.ended(&AtomicU64::new(clock::now()));
        assert_eq!(pauses.current.get(), None);
    }

    #[test]
    fn a_wait_ends_after_the_pause_or_when_nothing_moves_any_more() {
        let region = Region::anonymous(size_of::<Control>()).unwrap();
        let control: &Control = region.get(0).unwrap();
        let pauses = &control.pauses;
        let began = clock::now();
        pauses.way.when.store(began, Relaxed);
        pauses.wait(false, 3_000_000);
        assert!(
            clock::now() >= began + 3_000_000,
            "it has paused, and that is not long ago"
        );
        // No process pauses, ever: it takes its instructions, and then none.
        pauses.way.when.store(0, Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while clock::now() < began + 3 * PATIENCE {
                    pauses.way.taken.fetch_add(1, Relaxed);
                    std::thread::yield_now();
                }
            });
            pauses.wait(false, 0);
        });
        assert!(clock::now() >= began + PATIENCE);
    }
}
