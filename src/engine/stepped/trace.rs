//! An execution in words and as data: its steps, its case with turns and kills, and what each
//! process waits for.

use crate::case::{Access, Case, History, Kill, Schedule, Step, Turn, Until, named};
use crate::check::Finding;
use crate::check::{Kind, Verdict};
use crate::engine::served::bare;
use crate::engine::stepped::{MOST_STEPS, Note, Outside};
use crate::engine::{Covered, Run};
use crate::schedule::MAX_STEPS;
use crate::spec::Spec;
use crate::structure::Progress;

/// Returns the steps that were noted, with words numbered in the order of their addresses.
pub(super) fn steps(notes: &[Note]) -> Vec<Step> {
    let noted = notes.iter().filter_map(|note| match note {
        Note::Step(step) => Some(step),
        _ => None,
    });
    let mut words: Vec<u64> = noted.clone().map(|step| step.word).collect();
    words.retain(|&word| word != 0);
    words.sort_unstable();
    words.dedup();
    noted
        .map(|step| Step {
            process: step.process,
            operation: step.operation,
            access: step.access,
            word: words.binary_search(&step.word).ok(),
            offset: step.offset,
            element: None,
            part: step.part.clone(),
            value: step.value,
            form: step.form,
            now: step.now,
            stale: None,
            file: step.file.clone(),
            line: step.line,
            column: step.column,
        })
        .collect()
}

/// Returns the case with the turns and kills that were noted.
pub(super) fn case<S: Spec>(case: &Case<S>, notes: &[Note]) -> Case<S> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut kills: Vec<Kill> = Vec::new();
    for note in notes {
        match note {
            Note::Turn(turn) => turns.push(turn.clone()),
            Note::Kill(kill) => kills.push(kill.clone()),
            _ => {}
        }
    }
    Case {
        schedule: Schedule::Turns(turns),
        kills,
        ..case.clone()
    }
}

/// Counts the turns and kills of a case that were requested and matched.
pub(super) fn requested<S: Spec>(case: &Case<S>, matched: u32, died: u32) -> Covered {
    let named = match &case.schedule {
        Schedule::Turns(turns) => turns
            .iter()
            .filter(|turn| matches!(turn.until, Until::Before(_)))
            .count(),
        Schedule::Free => 0,
    };
    Covered {
        programs: 1,
        executions: 1,
        requested: (named + case.kills.len()) as u64,
        matched: u64::from(matched) + u64::from(died).min(case.kills.len() as u64),
        ..Covered::default()
    }
}

/// Returns the run of a program that failed, and did not fail when the same choices were made
/// again.
pub(super) fn not_deterministic<S: Spec>(case: &Case<S>) -> Run<S> {
    bare(
        case.clone(),
        Verdict::Finding(Finding {
            kind: Kind::NotDeterministic,
            detail: "it failed once, and did not when the same steps were taken in the same order: it depends on time, chance, \
                addresses or something private to a process"
                .into(),
            explanation: None,
        }),
    )
}

/// Describes an execution in words: where each process was.
pub(super) struct Narrator<'a, S: Spec> {
    pub(super) case: &'a Case<S>,
    pub(super) roles: &'a [String],
    pub(super) history: &'a History<S>,
    pub(super) notes: &'a [Note],
}

impl<S: Spec> Narrator<'_, S> {
    /// Returns a process, and the operation that it is in, in words.
    pub(super) fn place(&self, process: usize) -> String {
        let role = named(self.roles, process);
        let pending = self
            .history
            .calls
            .get(process)
            .and_then(|calls| calls.last().filter(|call| call.ret.is_none()));
        match pending {
            Some(call) => format!("{role}: {:?}", call.op),
            None => role,
        }
    }

    /// Returns the killed processes in words; empty if there are none.
    fn killed(&self) -> Vec<String> {
        let steps: Vec<_> = self
            .notes
            .iter()
            .filter_map(|note| match note {
                Note::Step(step) => Some(step),
                _ => None,
            })
            .collect();
        let kills = steps.iter().enumerate();
        kills
            .filter(|(_, step)| step.access == Access::Killed)
            .map(|(at, kill)| {
                // Looks whether this incarnation has been in an operation.
                let before = steps[..at].iter().rev();
                let mut earlier = before
                    .filter(|step| step.process == kill.process)
                    .take_while(|step| step.access != Access::Killed);
                let nothing_to_do = self
                    .case
                    .program
                    .get(kill.process)
                    .is_none_or(Vec::is_empty);
                let outside = match earlier.any(|step| step.operation.is_some()) {
                    _ if nothing_to_do => "`attach` or the drop of its handle",
                    true => "the drop of its handle",
                    false => "`attach`",
                };
                let role = named(self.roles, kill.process);
                let ops = self.case.program.get(kill.process);
                let op = ops
                    .zip(kill.operation)
                    .and_then(|(ops, number)| ops.get(number));
                let doing = op.map_or(outside.into(), |op| format!("{op:?}"));
                let before = match kill.file.rsplit('/').next() {
                    // A wait in the C library.
                    None | Some("") => String::new(),
                    Some(file) => format!(" before {file}:{}", kill.line),
                };
                format!("{role} killed in {doing}{before}")
            })
            .collect()
    }

    /// Describes a standstill: its kind, and what each process waits for. Some may wait outside of
    /// operations.
    pub(super) fn stuck(&self, outside: &[(usize, Outside)]) -> (Kind, String) {
        let mut waits = Vec::new();
        let mut spins = false;
        for process in 0..self.roles.len() {
            let steps = self.notes.iter().rev().filter_map(|note| match note {
                Note::Step(step) if step.process == process => Some(step),
                _ => None,
            });
            let mut steps = steps.peekable();
            let Some(last) = steps.peek().map(|step| step.access) else {
                continue;
            };
            let pending = self.history.calls[process]
                .last()
                .is_some_and(|call| call.ret.is_none());
            let outside = outside.iter().find(|&&(other, _)| process == other);
            if last == Access::Killed || !pending && outside.is_none() {
                continue;
            }
            let mut touched = steps.filter(|step| {
                matches!(
                    step.access,
                    Access::Load | Access::Update | Access::Miss | Access::Wait
                )
            });
            let seen = touched.next().map(|step| {
                let word = crate::source::path(&step.file, step.line, step.column)
                    .map_or_else(|| "a word".into(), |path| path.short());
                format!(", where {word} is {}", step.form.shown(step.value))
            });
            spins |= last != Access::Wait;
            let role = named(self.roles, process);
            let what = match outside {
                None => format!("{} waits indefinitely", self.place(process)),
                Some((_, Outside::Attach)) => format!("{role} never gets through `attach`"),
                Some((_, Outside::Drop)) => {
                    format!("{role} never gets through the drop of its handle")
                }
            };
            let is_private = self.notes.iter().rev().find_map(|note| match note {
                Note::Step(step) if step.process == process && step.access != Access::Wait => {
                    Some(false)
                }
                Note::PrivateFutex { process: other } if *other == process => Some(true),
                _ => None,
            });
            let private = match is_private {
                Some(true) => {
                    ", on a private futex (FUTEX_PRIVATE_FLAG), which no other process wakes"
                }
                _ => "",
            };
            waits.push(format!("{what}{}{private}", seen.unwrap_or_default()));
        }
        let killed = self.killed();
        let kind = if !killed.is_empty() {
            Kind::NotCrashTolerant
        } else if spins {
            Kind::Livelock
        } else {
            Kind::Deadlock
        };
        let all: Vec<String> = killed.into_iter().chain(waits).collect();
        (kind, all.join("; "))
    }

    /// Returns whether the steps of an execution that was too long access one word after the other,
    /// and not the same ones.
    pub(super) fn goes_on(&self) -> bool {
        let (mut steps, mut words) = (0, std::collections::HashSet::new());
        for note in self.notes {
            if let Note::Step(step) = note {
                steps += 1;
                words.insert((step.process, step.operation, step.word));
            }
        }
        2 * words.len() > steps
    }

    /// Describes an operation that takes more steps of its own than were promised, or than can be
    /// followed.
    pub(super) fn too_long(&self, promised: Progress) -> String {
        let unfinished = (0..self.roles.len()).filter(|&process| {
            self.history.calls[process]
                .last()
                .is_some_and(|call| call.ret.is_none())
        });
        let names: Vec<String> = unfinished.map(|process| self.place(process)).collect();
        let own = |steps| match steps {
            1 => "1 step of its own".to_owned(),
            steps => format!("{steps} steps of its own"),
        };
        let bound = match promised {
            Progress::Any => format!("{}, or {MAX_STEPS} of all", own(MOST_STEPS)),
            Progress::LockFree(steps) => {
                format!("{}, counted again when another one ended", own(steps))
            }
            Progress::WaitFree(steps) => own(steps),
        };
        if names.is_empty() {
            return format!("the last operation returned, but not within {bound}");
        }
        format!("{} did not return within {bound}", names.join(" and "))
    }

    /// Returns the accesses that ended the execution, each with its process.
    fn clash(&self) -> Option<(String, Option<String>)> {
        let words =
            |(process, words): &(usize, String)| format!("{} {words}", named(self.roles, *process));
        self.notes.iter().rev().find_map(|note| match note {
            Note::Clash { mine, other } => Some((words(mine), other.as_ref().map(words))),
            _ => None,
        })
    }

    pub(super) fn wrote(&self) -> String {
        let last = self.notes.iter().rev().find_map(|note| match note {
            Note::Step(step) => Some(step.process),
            _ => None,
        });
        let name = last.map_or("a process".into(), |process| self.place(process));
        format!("{name} writes, where its mapping is read-only")
    }

    /// Describes the step after which the invariant does not hold, which is the last one.
    pub(super) fn invariant(&self) -> String {
        let broken = self.notes.iter().rev().find_map(|note| match note {
            Note::Invariant { process, words } => Some((*process, words)),
            _ => None,
        });
        let Some((process, words)) = broken else {
            return "the invariant does not hold".into();
        };
        let mut steps = self.notes.iter().rev().filter_map(|note| match note {
            Note::Step(step) => Some(step),
            _ => None,
        });
        let after = match steps.next() {
            Some(step) if step.process == process && step.access != Access::Killed => {
                let file = step.file.rsplit('/').next().unwrap_or_default();
                format!("after {file}:{} in {}", step.line, self.place(process))
            }
            _ => format!("before the first step of {}", named(self.roles, process)),
        };
        format!("{after}, the invariant {words}")
    }

    pub(super) fn race(&self) -> String {
        if let Some((mine, other)) = self.clash() {
            return match other {
                Some(other) => format!("{mine}; {other}; nothing orders the two"),
                None => mine,
            };
        }
        let outside = self.notes.iter().rev().find_map(|note| match note {
            Note::Outside(words) => Some(words),
            _ => None,
        });
        if let Some(words) = outside {
            return words.clone();
        }
        let race = self.notes.iter().rev().find_map(|note| match note {
            Note::Race { process, other } => Some((*process, *other)),
            _ => None,
        });
        match race {
            Some((process, other)) => format!(
                "{} comes to data while {} is at it, and one of them writes",
                self.place(process),
                self.place(other)
            ),
            None => "two processes are at the same data at once, and one of them writes".into(),
        }
    }
}
