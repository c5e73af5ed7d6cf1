//! A finding as an annotation of GitHub Actions: a line of output that the page of changes shows
//! next to the source line.

use super::data::Report;
use crate::case::{Access, Step};
use crate::source;
use std::panic::Location;
use std::path::Path;

impl Report {
    /// Returns the annotation. It is placed at the access at which the failing execution and a
    /// passing one differ, or else at the kill, or else at the last access, and without steps at
    /// `test`. `checkout` is the directory to which file names are relative.
    pub(crate) fn annotation(&self, test: &Location<'_>, checkout: &Path) -> String {
        let steps = self.cross_check.as_deref().map_or(self, |stepped| stepped);
        let (file, line) = match steps.telling_step() {
            Some(step) => (&*step.file, step.line),
            None => (test.file(), test.line()),
        };
        let found = source::found(file);
        let found = found.as_deref().unwrap_or(Path::new(file));
        let file = found.strip_prefix(checkout).unwrap_or(found);
        let kind = self.kind.as_deref().unwrap_or(self.verdict);
        let title = property(&format!("{kind} {}", self.test));
        let replay = self.replay.iter();
        let replay: String = replay.map(|replay| format!("\nreplay: {replay}")).collect();
        format!(
            "::error file={},line={line},title={title}::{}",
            property(&file.display().to_string()),
            escaped(&format!("{}{replay}", self.headline))
        )
    }

    fn telling_step(&self) -> Option<&Step> {
        let mut near_misses = self.near_misses.iter();
        let parts = near_misses.find_map(|near_miss| self.steps.get(near_miss.step?));
        let mut steps = self.steps.iter();
        parts
            .or_else(|| steps.find(|step| step.access == Access::Killed))
            .or(self.steps.last())
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
    use super::*;

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
            report.annotation(at, checkout),
            format!(
                "::error file=src/report/annotation.rs,line={line},title=unknown rings%3A%3Aring%3A%3Akills::100 %25%0Aof it: a, b%0D"
            )
        );
        // From the directory above, as in a checkout of several projects.
        let above = report.annotation(at, checkout.parent().unwrap());
        let project = checkout.file_name().unwrap().to_str().unwrap();
        assert!(
            above.contains(&format!("file={project}/src/report/annotation.rs,")),
            "{above}"
        );
    }
}
