//! A finding as annotations of GitHub Actions: lines of output that the page of changes shows
//! next to the source lines.

use super::data::Report;
use crate::case::Step;
use crate::source;
use std::panic::Location;
use std::path::Path;

impl Report {
    /// Returns the annotations, one a line: an error for a finding and a warning for another verdict, at the first of the
    /// accesses that matter, and a notice at the second. Where no source of them can be read, the first is at the kill or the
    /// access at which a near miss differs, or else at the last access; without steps it is at `test`. `checkout` is the
    /// directory to which file names are relative.
    pub(crate) fn annotations(&self, test: &Location<'_>, checkout: &Path) -> String {
        let has_excerpts = |report: &&Report| !report.excerpts.is_empty();
        let of_steps = self.cross_check.as_deref().unwrap_or(self);
        let shown = Some(self).filter(has_excerpts).unwrap_or(of_steps);
        let (first, second) = (shown.excerpts.first(), shown.excerpts.get(1));
        let (file, line) = match (first, shown.telling_step()) {
            (Some(excerpt), _) => (&*excerpt.file, excerpt.line),
            (None, Some(step)) => (&*step.file, step.line),
            (None, None) => (test.file(), test.line()),
        };
        let level = match self.verdict {
            "unknown" | "unavailable" => "warning",
            _ => "error",
        };
        let mut message = self.headline.clone();
        for (label, command) in [("replay", &self.replay), ("steps", &self.steps_by)] {
            if let Some(command) = command {
                message.push_str(&format!("\n{label}: {command}"));
            }
        }
        let mut lines = self.annotation(level, file, line, &message, checkout);
        if let Some(second) = second {
            let notice =
                self.annotation("notice", &second.file, second.line, &second.label, checkout);
            lines.push('\n');
            lines.push_str(&notice);
        }
        lines
    }

    fn annotation(
        &self,
        level: &str,
        file: &str,
        line: u32,
        message: &str,
        checkout: &Path,
    ) -> String {
        let found = source::found(file);
        let found = found.as_deref().unwrap_or(Path::new(file));
        let file = found.strip_prefix(checkout).unwrap_or(found);
        let kind = self.kind.as_deref().unwrap_or(self.verdict);
        let title = property(&format!("{kind} {}", self.test));
        let file = property(&file.display().to_string());
        format!(
            "::{level} file={file},line={line},title={title}::{}",
            escaped(message)
        )
    }

    fn telling_step(&self) -> Option<&Step> {
        let cause = self.cause().and_then(|step| self.steps.get(step));
        cause.or(self.steps.last())
    }
}

/// Returns a text as the message of a workflow command.
fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Returns a text as the value of a property of a workflow command.
fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::data::Excerpt;
    use super::*;
    use crate::case::Access;

    /// Returns the report of a race whose accesses are in lines 20 and 30, and whose last step is in line 99.
    fn race(kind: &str) -> Report {
        let step = |process, access, line| Step::at(process, access, (file!(), line, 5));
        let excerpt = |step: Option<usize>, label: &str, line: u32| Excerpt {
            step,
            label: label.into(),
            file: file!().into(),
            line,
            column: 5,
            text: "    word.load();".into(),
            length: 4,
        };
        Report {
            test: "rings::ring::stepped".into(),
            verdict: "finding",
            kind: Some(kind.into()),
            headline: "writer writes at a.rs:20 and reader reads at a.rs:30 the same data".into(),
            steps: vec![step(0, Access::Write, 20), step(1, Access::Spin, 99)],
            excerpts: vec![
                excerpt(Some(0), "writer writes", 20),
                excerpt(None, "reader reads: 100 %", 30),
            ],
            ..Report::default()
        }
    }

    fn annotations(report: &Report) -> Vec<String> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
        let annotations = report.annotations(Location::caller(), checkout);
        annotations.lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_of_the_two_accesses_that_matter_has_an_annotation() {
        for kind in ["DATA RACE", "USE AFTER FREE"] {
            let title = format!("title={kind} rings%3A%3Aring%3A%3Astepped");
            assert_eq!(
                annotations(&race(kind)),
                [
                    format!(
                        "::error file=src/report/annotation.rs,line=20,{title}::writer writes at a.rs:20 and reader reads at \
                         a.rs:30 the same data"
                    ),
                    format!(
                        "::notice file=src/report/annotation.rs,line=30,{title}::reader reads: 100 %25"
                    ),
                ]
            );
        }
        // A finding of forked processes has its accesses in the report of `stepped`, if that fails too.
        let mut forked = Report {
            cross_check: Some(Box::new(race("DATA RACE"))),
            headline: "a race".into(),
            verdict: "finding",
            ..Report::default()
        };
        let lines = annotations(&forked);
        assert!(
            lines[0].contains(",line=20,") && lines[0].ends_with("::a race"),
            "{lines:?}"
        );
        assert!(lines[1].contains(",line=30,"), "{lines:?}");
        forked.cross_check = Some(Box::default());
        assert!(!annotations(&forked)[0].contains(",line=20,"));
        // Without a source that can be read, the last step is left.
        let mut unread = race("DATA RACE");
        unread.excerpts.clear();
        let lines = annotations(&unread);
        assert!(
            lines.len() == 1 && lines[0].contains(",line=99,"),
            "{lines:?}"
        );
    }

    #[test]
    fn an_annotation_has_the_commands_of_its_report() {
        let mut report = race("DATA RACE");
        report.replay = Some("FORKCHECK_REPLAY=fk1:00 cargo test".into());
        report.steps_by = Some("cargo forkcheck test -p rings".into());
        let lines = annotations(&report);
        assert!(
            lines[0].ends_with("%0Areplay: FORKCHECK_REPLAY=fk1:00 cargo test%0Asteps: cargo forkcheck test -p rings"),
            "{lines:?}"
        );
        assert!(!lines[1].contains("replay"), "{lines:?}");
    }

    #[test]
    fn what_is_no_finding_is_a_warning() {
        for (verdict, command) in [
            ("unknown", "::warning "),
            ("unavailable", "::warning "),
            ("finding", "::error "),
        ] {
            let report = Report {
                verdict,
                ..Report::default()
            };
            let lines = annotations(&report);
            assert!(
                lines.len() == 1 && lines[0].starts_with(command),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn an_annotation_is_one_line_whatever_is_in_it_and_names_its_file_from_the_checkout() {
        let at = Location::caller();
        let report = Report {
            test: "rings::ring::kills".into(),
            verdict: "unknown",
            headline: "100 %\nof it: a, b\r".into(),
            ..Report::default()
        };
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
        let line = at.line();
        assert_eq!(
            report.annotations(at, checkout),
            format!(
                "::warning file=src/report/annotation.rs,line={line},title=unknown rings%3A%3Aring%3A%3Akills::100 %25%0Aof it: a, b%0D"
            )
        );
        // From the directory above, as in a checkout of several projects.
        let above = report.annotations(at, checkout.parent().unwrap());
        let project = checkout.file_name().unwrap().to_str().unwrap();
        assert!(
            above.contains(&format!("file={project}/src/report/annotation.rs,")),
            "{above}"
        );
    }
}
