//! Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010):
//! each process has a priority, and the enabled one with the highest takes the next step. At a few
//! priority-change points, which are drawn beforehand, that process falls behind all others. A bug
//! of depth d is found with a chance of at least 1 / (n k^(d-1)), for n processes and k steps.

use super::draw::{below, split_mix};
use super::random::Deaths;
use super::{Choice, MAX_PROCESSES, SchedulePoint};

/// The most priority-change points of an execution.
const MAX_POINTS: usize = 4;
/// The bound below which the priorities from change points lie; the initial ones lie above.
const FALLEN: u8 = 100;
const FIRST: u8 = 200;
const _: () =
    assert!(FIRST as usize + MAX_PROCESSES <= u8::MAX as usize && FALLEN as usize > MAX_POINTS);
/// Up to this many processes draw the priorities of as many, so that a seed means the same
/// executions as in versions that had no more.
const FEW: usize = 8;

/// The state of a choice is one cache line, which moves with the turn.
#[repr(C, align(64))]
pub(super) struct Pct {
    priority: [u8; MAX_PROCESSES],
    change: [u32; MAX_POINTS],
    lowest: u8,
    points: u8,
    /// The number of processes, and the one of them with the highest priority.
    processes: u8,
    highest: u8,
    /// No change point that is still to come is earlier than this step.
    next: u32,
    /// The steps of the longest execution so far, among which change points are drawn.
    length: u32,
    seed: u64,
    execution: u64,
    /// In the next cache line, which is not written where no process is killed.
    deaths: Deaths,
}

const _: () = assert!(std::mem::offset_of!(Pct, deaths) <= 64);

impl Pct {
    pub(super) fn set(&mut self, seed: u64, points: u32, kills: u32) {
        (self.seed, self.execution) = (seed, 0);
        self.points = points.min(MAX_POINTS as u32) as u8;
        self.length = 16;
        self.deaths.set(kills);
    }
    pub(super) fn begin(&mut self, processes: usize) {
        let mut state = self.seed.wrapping_add(self.execution);
        state = split_mix(&mut state);
        self.execution += 1;
        // Above those that the change points give out.
        self.lowest = FALLEN;
        for (process, priority) in self.priority.iter_mut().enumerate() {
            *priority = FIRST + process as u8;
        }
        let drawn = if processes > FEW { MAX_PROCESSES } else { FEW };
        for process in (1..drawn).rev() {
            self.priority
                .swap(process, below(&mut state, process as u32 + 1) as usize);
        }
        for change in &mut self.change {
            *change = 1 + below(&mut state, self.length.max(1));
        }
        (self.next, self.processes) = (0, processes as u8);
        self.find_highest();
        self.deaths.begin(&mut state);
    }
    pub(super) fn learn(&mut self, steps: u32) {
        // Written only where it changes: the next process has it in its cache.
        if steps > self.length {
            self.length = steps;
        }
    }
    pub(super) fn kills(&self) -> bool {
        self.deaths.any()
    }
    #[inline(always)]
    pub(super) fn choose(&mut self, point: &SchedulePoint) -> Choice {
        if point.step >= self.next {
            self.change(point);
        }
        let highest = u32::from(self.highest);
        if point.can(highest) {
            return self.deaths.of(highest, point);
        }
        let (mut first, mut others) = (point.default(), point.enabled);
        while others != 0 {
            let process = others.trailing_zeros();
            others &= others - 1;
            if self.priority[process as usize] > self.priority[first as usize] {
                first = process;
            }
        }
        self.deaths.of(first, point)
    }

    /// Lets the current process fall behind all others, if this is a change point.
    fn change(&mut self, point: &SchedulePoint) {
        let points = (self.points as usize).min(MAX_POINTS);
        if self.change[..points].contains(&point.step)
            && let Some(priority) = self.priority.get_mut(point.current as usize)
            // Only once: after a kill at this point, the point comes again.
            && *priority >= FIRST
        {
            *priority = self.lowest;
            self.lowest = self.lowest.saturating_sub(1);
            self.find_highest();
        }
        // The same step may come again, with another process.
        let to_come = self.change[..points].iter().filter(|&&at| at >= point.step);
        self.next = to_come.copied().min().unwrap_or(u32::MAX);
    }

    fn find_highest(&mut self) {
        let processes = usize::from(self.processes).min(MAX_PROCESSES);
        let highest = (0..processes).max_by_key(|&process| self.priority[process]);
        self.highest = highest.unwrap_or(0) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> Pct {
        Pct {
            priority: [0; MAX_PROCESSES],
            change: [0; MAX_POINTS],
            lowest: 0,
            points: 0,
            processes: 0,
            highest: 0,
            next: 0,
            length: 0,
            seed: 0,
            execution: 0,
            deaths: Deaths::default(),
        }
    }

    /// Returns the choice by the definition: without what [`Pct::choose`] remembers from point to point.
    fn by_definition(pct: &mut Pct, point: &SchedulePoint) -> Choice {
        if pct.change[..pct.points as usize].contains(&point.step)
            && let Some(priority) = pct.priority.get_mut(point.current as usize)
            && *priority >= FIRST
        {
            *priority = pct.lowest;
            pct.lowest -= 1;
        }
        let enabled = (0..MAX_PROCESSES as u32).filter(|&process| point.can(process));
        let first = enabled.max_by_key(|&process| pct.priority[process as usize]);
        pct.deaths.of(first.unwrap(), point)
    }

    /// Returns the choices of one execution in which the enabled processes are drawn at each point. A point comes again
    /// where a process was killed, or was done without a step.
    fn choices(
        (seed, processes, kills): (u64, usize, u32),
        choose: impl Fn(&mut Pct, &SchedulePoint) -> Choice,
    ) -> Vec<Choice> {
        let mut pct = new();
        pct.set(seed, 3, kills);
        let (mut drawn, mut choices) = (seed, Vec::new());
        for _ in 0..3 {
            pct.begin(processes);
            let (mut current, mut step) = (crate::schedule::NO_PROCESS, 0);
            while step < 40 {
                let point = SchedulePoint {
                    enabled: 1 + below(&mut drawn, (1 << processes) - 1),
                    asleep: 0,
                    killable: u32::MAX,
                    current,
                    step,
                    conflicts: true,
                    probes: false,
                };
                let choice = choose(&mut pct, &point);
                choices.push(choice);
                match choice {
                    Choice::Step(process) => current = process as u32,
                    Choice::Kill(_) => current = crate::schedule::NO_PROCESS,
                }
                step += u32::from(matches!(choice, Choice::Step(_)) && below(&mut drawn, 5) > 0);
            }
            pct.learn(step);
        }
        choices
    }

    #[test]
    fn what_is_remembered_from_point_to_point_changes_no_choice() {
        for seed in 0..400 {
            for of in [
                (seed, 2, 0),
                (seed, 3, 1),
                (seed, 9, 0),
                (seed, MAX_PROCESSES, 2),
            ] {
                let fast = choices(of, |pct, point| pct.choose(point));
                assert_eq!(fast, choices(of, by_definition), "{of:?}");
            }
        }
        // One that never falls behind is noticed.
        let never = |pct: &mut Pct, point: &SchedulePoint| {
            pct.next = u32::MAX;
            pct.choose(point)
        };
        let seen = (0..400)
            .any(|seed| choices((seed, 3, 0), never) != choices((seed, 3, 0), by_definition));
        assert!(seen);
    }

    #[test]
    fn each_of_many_processes_is_the_first_and_the_last_of_some_execution() {
        for processes in [2, 8, 9, MAX_PROCESSES] {
            let mut pct = new();
            pct.set(7, 1, 0);
            let (mut first, mut last) = (vec![0; processes], vec![0; processes]);
            for _ in 0..200 * processes {
                pct.begin(processes);
                let order = |process: &usize| pct.priority[*process];
                let highest = (0..processes).max_by_key(order).unwrap();
                first[highest] += 1;
                last[(0..processes).min_by_key(order).unwrap()] += 1;
                // A change point puts it behind all others.
                pct.change = [3; MAX_POINTS];
                pct.next = 0;
                let mut point = SchedulePoint {
                    enabled: (1 << processes) - 1,
                    asleep: 0,
                    killable: 0,
                    current: highest as u32,
                    step: 2,
                    conflicts: true,
                    probes: false,
                };
                assert_eq!(pct.choose(&point), Choice::Step(highest));
                point.step = 3;
                assert_ne!(pct.choose(&point), Choice::Step(highest));
            }
            // Each about 200 times.
            let often = first
                .iter()
                .chain(&last)
                .all(|times| (120..=280).contains(times));
            assert!(often, "{first:?} {last:?}");
        }
    }
}
