//! The source lines of the two accesses that matter most: those that the headline of a race names; or the access at which a near miss differs, or
//! the kill, and the access that shows the failure.

use super::data::{Excerpt, Report};
use super::rows::{Table, table};
use crate::case::{Access, Step};
use crate::source;

impl Report {
    /// Returns the excerpts of a report whose other fields are complete, in the order of their steps. An access whose source
    /// cannot be read has none.
    pub(super) fn find_excerpts(&self) -> Vec<Excerpt> {
        if self.names_places() {
            return self.named_excerpts();
        }
        let table = table(self);
        let steps = [self.cause(), self.symptom()].into_iter().flatten();
        let mut steps: Vec<usize> = steps.map(|step| self.shown(&table, step)).collect();
        steps.sort_unstable();
        steps.dedup();
        let excerpts = steps.into_iter();
        excerpts.filter_map(|step| self.excerpt(step)).collect()
    }

    /// Returns the row, counted from 1, and the step of the access that shows the failure, if the engine sees steps.
    pub(crate) fn telling_row(&self) -> Option<(usize, usize)> {
        let table = table(self);
        let step = self.shown(&table, self.symptom()?);
        Some((table.of_step(step)? + 1, step))
    }

    /// Returns the step that the row of this one shows, if this one was folded.
    fn shown(&self, table: &Table, step: usize) -> usize {
        let shown = table.of_step(step).and_then(|row| table.rows[row].step);
        // Where all of an operation is repeated, the row may be that of another one.
        let is_of_same = |&shown: &usize| self.steps[shown].operation == self.steps[step].operation;
        shown.filter(is_of_same).unwrap_or(step)
    }

    /// Returns whether its headline names the places of its accesses: the second access of a race is no step, since it ends the
    /// execution, and plain accesses are none.
    fn names_places(&self) -> bool {
        matches!(self.kind.as_deref(), Some("DATA RACE" | "USE AFTER FREE"))
    }

    /// Returns the excerpts of the first two places in the headline, labelled with the words before them.
    fn named_excerpts(&self) -> Vec<Excerpt> {
        let mut excerpts = Vec::new();
        let mut words: Vec<&str> = Vec::new();
        for word in self.headline.split_whitespace() {
            let place = word.trim_end_matches([';', ',', '.']).rsplit_once(':');
            let place = place.and_then(|(file, line)| Some((file, line.parse::<u32>().ok()?)));
            let Some((file, line)) = place.filter(|(file, _)| file.contains('.')) else {
                words.push(word);
                continue;
            };
            let label = words.join(" ");
            let label = label.trim_start_matches("and ").trim_end_matches(" at");
            excerpts.extend(self.excerpt_of(file, line, label));
            words.clear();
        }
        excerpts.truncate(2);
        excerpts
    }

    /// Returns the excerpt of a place. Its step is known if it is the only one there.
    fn excerpt_of(&self, file: &str, line: u32, label: &str) -> Option<Excerpt> {
        let below = format!("/{file}");
        let is_there = |step: &Step| {
            step.line == line
                && (step.file == file || step.file.ends_with(&below))
                && step.access != Access::Killed
        };
        let mut there = (0..self.steps.len()).filter(|&step| is_there(&self.steps[step]));
        let (first, more) = (there.next(), there.next().is_some());
        if let Some(step) = first {
            let step = self.excerpt(step)?;
            return Some(Excerpt {
                step: step.step.filter(|_| !more),
                label: label.to_owned(),
                ..step
            });
        }
        let (_, text) = source::around(file, line, 0).into_iter().next()?;
        let indent = text.chars().take_while(|c| c.is_whitespace()).count();
        Some(Excerpt {
            step: None,
            label: label.to_owned(),
            file: file.to_owned(),
            line,
            column: u32::try_from(indent + 1).ok()?,
            length: text.trim().chars().count().max(1),
            text,
        })
    }

    /// Returns the kill, the store that a stale load missed, or the access at which a near miss
    /// differs.
    pub(super) fn cause(&self) -> Option<usize> {
        let mut steps = self.steps.iter();
        let killed = steps.position(|step| step.access == Access::Killed);
        let stale = || self.steps[self.symptom()?].stale;
        let mut near_misses = self.near_misses.iter();
        killed
            .or_else(stale)
            .or_else(|| near_misses.find_map(|near_miss| near_miss.step))
    }

    /// Returns the last access of the operation that no order explains, or that never ends; or else the last of all. One that
    /// reads says most, and most of all one that reads a stale value.
    fn symptom(&self) -> Option<usize> {
        let reads = |step: &Step| {
            matches!(
                step.access,
                Access::Load
                    | Access::Update
                    | Access::Miss
                    | Access::Wait
                    | Access::Read
                    | Access::Refused
            )
        };
        // The last step is the one that broke it.
        if self.kind.as_deref() == Some("INVARIANT VIOLATED") {
            return self.steps.len().checked_sub(1);
        }
        let last = |of: &dyn Fn(&Step) -> bool| {
            let steps = || self.steps.iter();
            let stale = steps().rposition(|step| of(step) && step.stale.is_some());
            stale
                .or_else(|| steps().rposition(|step| of(step) && reads(step)))
                .or_else(|| steps().rposition(of))
        };
        let blocked = self.linearization.iter();
        let mut blocked = blocked.flat_map(|attempt| &attempt.blocked);
        let of_blocked = blocked.find_map(|&(process, operation)| {
            last(&|step| (step.process, step.operation) == (process, Some(operation)))
        });
        of_blocked.or_else(|| last(&|_| true))
    }

    fn excerpt(&self, number: usize) -> Option<Excerpt> {
        let step = self.steps.get(number)?;
        let (_, text) = source::around(&step.file, step.line, 0)
            .into_iter()
            .next()?;
        let name = &self.processes.get(step.process)?.name;
        let label = match step.access {
            Access::Killed => format!("{name} is killed before this"),
            _ => format!("{name}: {}", self.access(step)),
        };
        let from = (step.column as usize).saturating_sub(1);
        let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
        let length = text.chars().skip(from).take_while(is_name).count().max(1);
        Some(Excerpt {
            step: Some(number),
            label,
            file: step.file.clone(),
            line: step.line,
            column: step.column,
            text,
            length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::data::{NearMiss, Process};
    use super::super::marked::write_excerpts;
    use super::super::screen::Screen;
    use super::*;
    use std::panic::Location;

    struct Word;
    impl Word {
        #[track_caller]
        fn load(&self) -> &'static Location<'static> {
            Location::caller()
        }
    }

    fn step(process: usize, access: Access, at: &Location<'_>) -> Step {
        Step {
            word: Some(0),
            value: 3,
            ..Step::at(process, access, (at.file(), at.line(), at.column()))
        }
    }

    fn report(kind: &str, steps: Vec<Step>) -> Report {
        let process = |name: &str| Process {
            name: name.into(),
            role: name.into(),
            operations: Vec::new(),
        };
        let mut report = Report {
            kind: Some(kind.into()),
            processes: ["writer", "reader"].map(process).into(),
            steps,
            ..Report::default()
        };
        report.excerpts = report.find_excerpts();
        report
    }

    #[test]
    fn the_mark_is_below_the_access_and_has_its_row() {
        let word = Word;
        let at = word.load();
        let report = report("NOT LINEARIZABLE", vec![step(1, Access::Load, at)]);
        let mut text = String::new();
        write_excerpts(
            &mut text,
            &[(&report.excerpts[0], Some(7))],
            Screen::plain(100),
        )
        .unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            format!("    --> {}:{}:{}", file!(), at.line(), at.column())
        );
        assert_eq!(
            lines[1],
            format!("{:>4} | let at = word.load();", at.line())
        );
        assert_eq!(
            lines[2],
            "     |               ^^^^ row 7: reader: .load -> 3"
        );
        // A narrow terminal has the label below, and a line that is too long is cut around the access.
        let long = Excerpt {
            text: format!("{}word.load();{}", "x".repeat(90), "y".repeat(90)),
            column: 96,
            ..report.excerpts[0].clone()
        };
        let mut text = String::new();
        write_excerpts(&mut text, &[(&long, Some(7))], Screen::plain(40)).unwrap();
        assert!(
            text.lines().skip(1).all(|line| line.chars().count() <= 40),
            "{text}"
        );
        let lines: Vec<&str> = text.lines().collect();
        let mark = lines[2].find('^').unwrap();
        let marked: String = lines[1].chars().skip(mark).take(4).collect();
        assert_eq!((&*marked, &lines[2][mark..]), ("load", "^^^^"), "{text}");
        assert!(lines[3].ends_with("row 7: reader: .load -> 3"), "{text}");
    }

    #[test]
    fn a_kill_comes_before_a_near_miss_and_a_stale_load_has_the_store_that_it_missed() {
        let (one, other) = (Word, Word);
        let (first, second) = (one.load(), other.load());
        let numbers = |report: &Report| {
            let excerpts = report.excerpts.iter();
            excerpts
                .filter_map(|excerpt| excerpt.step)
                .collect::<Vec<_>>()
        };
        let steps = vec![
            step(0, Access::Store, first),
            step(0, Access::Killed, second),
            step(1, Access::Load, first),
            step(1, Access::Spin, second),
            step(1, Access::Load, first),
            step(1, Access::Spin, second),
        ];
        let killed = report("NOT CRASH-TOLERANT", steps.clone());
        assert_eq!(numbers(&killed), [1, 2]);
        // The row of the first of its loads is in the table.
        assert_eq!(killed.telling_row(), Some((3, 2)));
        assert_eq!(killed.excerpts[0].label, "writer is killed before this");
        let without_kill = vec![steps[0].clone(), steps[2].clone(), steps[0].clone()];
        let mut near = report("NOT LINEARIZABLE", without_kill.clone());
        near.near_misses = vec![NearMiss {
            words: "later".into(),
            step: Some(0),
            execution: None,
        }];
        near.excerpts = near.find_excerpts();
        assert_eq!(numbers(&near), [0, 1]);
        let mut stale = without_kill;
        stale[1].stale = Some(0);
        stale[2].access = Access::Load;
        assert_eq!(
            numbers(&report("NOT SEQUENTIALLY CONSISTENT", stale)),
            [0, 1]
        );
    }

    #[test]
    fn a_race_has_the_places_of_its_headline_whether_they_are_steps_or_not() {
        let (one, other) = (Word, Word);
        let first = one.load();
        let second = other.load();
        let (file, line) = (first.file(), first.line());
        let base = file.rsplit('/').next().unwrap();
        let mut race = report("DATA RACE", vec![step(0, Access::Write, second)]);
        race.headline = format!(
            "writer in Write(7) writes at {base}:{} and reader in Read reads at {file}:{line} the same data: 7",
            second.line()
        );
        let excerpts = race.find_excerpts();
        let found: Vec<_> = excerpts
            .iter()
            .map(|e| (e.step, &*e.label, e.line))
            .collect();
        let (writer, reader) = ("writer in Write(7) writes", "reader in Read reads");
        assert_eq!(
            found,
            [(Some(0), writer, second.line()), (None, reader, line)]
        );
        let mut text = String::new();
        write_excerpts(&mut text, &[(&excerpts[1], None)], Screen::plain(100)).unwrap();
        assert!(text.contains("let first = one.load();\n"), "{text}");
        assert!(text.contains("^^^ reader in Read reads\n"), "{text}");
        // Of two steps at one place either may be meant.
        race.steps.push(step(1, Access::Read, second));
        assert_eq!(race.find_excerpts()[0].step, None);
        race.headline = "two accesses to the same data: 7".into();
        assert!(race.find_excerpts().is_empty());
    }

    #[test]
    fn an_access_whose_source_cannot_be_read_has_no_excerpt() {
        let word = Word;
        let mut gone = step(0, Access::Load, word.load());
        gone.file = "no/such/file.rs".into();
        assert!(report("DEADLOCK", vec![gone]).excerpts.is_empty());
        let mut beyond = step(0, Access::Load, word.load());
        beyond.line = 1_000_000;
        assert!(report("DEADLOCK", vec![beyond]).excerpts.is_empty());
    }
}
