//! Executions that are given beforehand: choice by choice, as another strategy made them, or turn
//! by turn, as a saved case names them.

use super::{Choice, MAX_PROCESSES, SchedulePoint};

/// The most steps of an execution.
pub(crate) const MAX_STEPS: usize = 1 << 14;
/// The most turns of a saved schedule.
pub(crate) const MAX_TURNS: usize = 4_096;

/// The most kills that one after the other are put into given choices.
pub(crate) const MAX_KILLS: usize = 1_000;

/// Choices as bytes.
#[repr(C)]
pub(super) struct Choices {
    len: u32,
    next: u32,
    choices: [u8; MAX_STEPS],
    /// The executions that each end these choices with a kill, and the one of them that is under way: by the position
    /// of the choice whose process dies instead.
    kills: u32,
    now: u32,
    instead: [u16; MAX_KILLS],
}

impl Choices {
    pub(super) fn set(&mut self, choices: &[u8]) {
        let len = choices.len().min(MAX_STEPS);
        self.choices[..len].copy_from_slice(&choices[..len]);
        self.len = len as u32;
        (self.kills, self.now) = (0, 0);
    }
    /// Sets the choices at which a process dies instead, one in each execution. Those that are too many are left out.
    pub(super) fn kill_instead(&mut self, at: &[usize]) {
        for (to, &at) in self.instead.iter_mut().zip(at) {
            *to = at.min(MAX_STEPS) as u16;
        }
        self.kills = at.len().min(MAX_KILLS) as u32;
    }
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }
    /// Goes to the next execution, and returns whether there is one.
    pub(super) fn next(&mut self) -> bool {
        self.now += 1;
        self.kills == 0 || self.now < self.kills
    }
    pub(super) fn choose(&mut self, point: &SchedulePoint) -> Choice {
        let next = self.next as usize;
        self.next += 1;
        let mut len = (self.len as usize).min(MAX_STEPS);
        let mut dies = None;
        if self.kills > 0 {
            let instead = usize::from(self.instead[self.now as usize % MAX_KILLS]);
            (len, dies) = (len.min(instead + 1), Some(instead));
        }
        if next < len {
            let mut choice = Choice::from_byte(self.choices[next]);
            if let (Choice::Step(process), true) = (choice, dies == Some(next)) {
                choice = Choice::Kill(process);
            }
            let (Choice::Step(process) | Choice::Kill(process)) = choice;
            if (point.enabled | point.asleep) >> process & 1 == 1 {
                return choice;
            }
        }
        Choice::Step(point.default() as usize)
    }
}

/// The turns of processes, one after the other. The process itself finds the end of its turn: it
/// alone knows the name of its next step.
#[repr(C)]
pub(crate) struct Script {
    len: u32,
    now: u32,
    /// The number of turns that ended before the step that they name.
    matched: u32,
    /// The process of each turn, and the top bit if it names a step.
    turns: [u8; MAX_TURNS],
    /// For each process, about its pending step: one more than the turn that ends before it, and
    /// whether the process dies.
    ends: [u32; MAX_PROCESSES],
    dies: [u32; MAX_PROCESSES],
}

impl Script {
    pub(super) fn set(&mut self, turns: impl Iterator<Item = (usize, bool)>) {
        self.len = 0;
        for (to, (process, named)) in self.turns.iter_mut().zip(turns) {
            *to = (process % MAX_PROCESSES) as u8 | if named { 0x80 } else { 0 };
            self.len += 1;
        }
    }
    pub(super) fn begin(&mut self) {
        (self.now, self.matched) = (0, 0);
        (self.ends, self.dies) = ([0; MAX_PROCESSES], [0; MAX_PROCESSES]);
    }

    /// Returns the next turn of a process, or its current one.
    pub(crate) fn turn_of(&self, process: usize) -> Option<usize> {
        (self.now as usize..(self.len as usize).min(MAX_TURNS))
            .find(|&turn| (self.turns[turn] & 0x7f) as usize == process)
    }

    /// Notes which turn ends before a process's pending step, and whether the process dies there.
    pub(crate) fn pending(&mut self, process: usize, ends: Option<usize>, dies: bool) {
        self.ends[process] = ends.map_or(0, |turn| turn as u32 + 1);
        self.dies[process] = dies.into();
    }

    /// Returns the number of turns that ended before the step that they name.
    pub(crate) fn matched(&self) -> u32 {
        self.matched
    }

    pub(super) fn choose(&mut self, point: &SchedulePoint) -> Choice {
        while (self.now as usize) < (self.len as usize).min(MAX_TURNS) {
            let process = (self.turns[self.now as usize] & 0x7f) as usize % MAX_PROCESSES;
            let ended = self.ends[process] == self.now + 1;
            if ended {
                self.matched += 1;
            }
            if !ended && self.may_go_on(process, point) {
                return self.choice(process);
            }
            self.now += 1;
        }
        self.choice(point.default() as usize % MAX_PROCESSES)
    }

    /// Returns whether the process can move, or sleeps and should die there.
    fn may_go_on(&self, process: usize, point: &SchedulePoint) -> bool {
        point.can(process as u32) || self.dies[process] != 0 && point.asleep >> process & 1 == 1
    }

    fn choice(&mut self, process: usize) -> Choice {
        if self.dies[process] != 0 {
            self.dies[process] = 0;
            Choice::Kill(process)
        } else {
            Choice::Step(process)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the first choices of each execution of two processes that can always move, as bytes.
    fn executions(followed: &[u8], kills: &[usize]) -> Vec<Vec<u8>> {
        let mut choices = Box::new(Choices {
            len: 0,
            next: 0,
            choices: [0; MAX_STEPS],
            kills: 0,
            now: 0,
            instead: [0; MAX_KILLS],
        });
        choices.set(&[1, 1, 1]);
        choices.kill_instead(&[2]);
        // Another set of choices has no kills.
        choices.set(followed);
        if !kills.is_empty() {
            choices.kill_instead(kills);
        }
        let mut all = Vec::new();
        loop {
            choices.begin();
            let mut current = 0;
            let mut execution = Vec::new();
            for step in 0..5 {
                let point = SchedulePoint {
                    enabled: 0b11,
                    asleep: 0,
                    killable: 0b11,
                    current,
                    step,
                    conflicts: true,
                    probes: false,
                };
                let choice = choices.choose(&point);
                let (Choice::Step(process) | Choice::Kill(process)) = choice;
                current = process as u32;
                execution.push(choice.to_byte());
            }
            all.push(execution);
            if !choices.next() || all.len() > kills.len() {
                return all;
            }
        }
    }

    #[test]
    fn choices_are_followed_and_each_execution_kills_at_one_of_them() {
        // Without kills each execution is the same, as often as the batch goes on.
        assert_eq!(executions(&[0, 1, 0, 1], &[])[0], [0, 1, 0, 1, 1]);
        let killed = executions(&[0, 1, 0, 1], &[0, 2, 3]);
        assert_eq!(
            killed,
            [[0x80, 0, 0, 0, 0], [0, 1, 0x80, 0, 0], [0, 1, 0, 0x81, 1]]
        );
    }
}
