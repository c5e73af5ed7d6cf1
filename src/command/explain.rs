//! `forkcheck explain`: what a verdict or a limitation means, and what to do. The text is that of
//! the guide's page.

use super::print::{complain, say};
use super::standing::Standing;

/// The page, with a section for each.
const PAGE: &str = include_str!("../../docs/src/verdicts.md");

/// Prints the section of a name, or all names.
pub(super) fn explain(name: &[String]) -> Standing {
    let name = name.join(" ");
    if plain(&name).is_empty() {
        say!("{}", names(|_| true).join("\n"));
        return Standing::AsExpected;
    }
    match section(&name) {
        Ok((heading, text)) => {
            say!("{heading}\n\n{text}");
            Standing::AsExpected
        }
        Err(near) => {
            let remedy = match near.as_slice() {
                [] => "`forkcheck explain` lists what there is".into(),
                near => format!("name one of {}", near.join(", ")),
            };
            complain!("error: no one section is called {name:?}; {remedy}");
            Standing::CannotSay
        }
    }
}

/// Returns the sections, each with its heading and its text.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    let sections = PAGE.split("\n### ").skip(1);
    sections.map(|section| {
        let (heading, text) = section.split_once('\n').unwrap_or((section, ""));
        let text = text.split("\n## ").next().unwrap_or(text);
        (heading, text.trim())
    })
}

fn names(fits: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let headings = sections().map(|(heading, _)| heading);
    headings.filter(|heading| fits(&plain(heading))).collect()
}

/// Returns a name in the form that is compared: in lower case, without the additions of a report or
/// a page.
fn plain(name: &str) -> String {
    let name = name.to_lowercase().replace(['`', '*', '-', '_'], " ");
    let name = name.trim_start_matches("not checked:");
    let words: Vec<&str> = name.split_whitespace().collect();
    words.join(" ").trim_end_matches(['.', ';', ',']).to_owned()
}

/// Returns whether a name has these words, as whole words: `token` does not have `ok`.
fn has_words(name: &str, words: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric();
    name.match_indices(words).any(|(at, _)| {
        !name[..at].ends_with(is_part) && !name[at + words.len()..].starts_with(is_part)
    })
}

/// Returns the section of a name: the one of that name; else the longest one within the name, as a
/// report's name has more words; else the only one whose heading holds it.
///
/// # Errors
/// Returns the headings that hold it, if there are several.
fn section(name: &str) -> Result<(&'static str, &'static str), Vec<&'static str>> {
    let name = plain(name);
    let called = |heading: &str| plain(heading) == name;
    let said = |heading: &str| has_words(&name, &plain(heading));
    if let Some(found) = sections().find(|(heading, _)| called(heading)) {
        return Ok(found);
    }
    let within = sections().filter(|(heading, _)| said(heading));
    if let Some(found) = within.max_by_key(|(heading, _)| heading.len()) {
        return Ok(found);
    }
    match names(|heading| heading.contains(&name)).as_slice() {
        [one] => sections()
            .find(|(heading, _)| heading == one)
            .ok_or_else(Vec::new),
        several => Err(several.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forkcheck::check::Kind;
    use forkcheck::engine::{Engine, Kills, KillsCode, Processes, Stepped, SteppedCode};

    /// All kinds.
    const KINDS: [Kind; 17] = [
        Kind::NotLinearizable,
        Kind::NotSequentiallyConsistent,
        Kind::Panic,
        Kind::InvariantViolated,
        Kind::SpecPanic,
        Kind::Died,
        Kind::Endless,
        Kind::Deadlock,
        Kind::Livelock,
        Kind::NotCrashTolerant,
        Kind::NotLockFree,
        Kind::StepBound,
        Kind::DataRace,
        Kind::UseAfterFree,
        Kind::WriteToReadOnly,
        Kind::PrivatePointer,
        Kind::NotDeterministic,
    ];

    #[test]
    fn each_verdict_has_a_section_that_says_what_it_means_and_what_to_do() {
        let kinds = KINDS.map(|kind| kind.to_string());
        let others = ["ok", "UNKNOWN", "UNAVAILABLE", "not run"].map(String::from);
        for name in kinds.iter().chain(&others) {
            let (heading, text) = section(name).unwrap_or_else(|near| panic!("{name}: {near:?}"));
            assert_eq!(plain(heading), plain(name));
            assert!(text.contains("**What to do.**"), "{heading}: {text}");
        }
    }

    #[test]
    fn a_word_that_holds_the_name_of_a_section_is_not_that_section() {
        assert!(section("token").is_err(), "it holds `ok`");
        assert_eq!(section("it is ok").unwrap().0, "ok");
        assert!(has_words("weak memory (rc11)", "weak memory"));
        assert!(!has_words("tokens", "ok") && !has_words("book", "ok"));
    }

    #[test]
    fn each_limitation_of_each_engine_has_a_section() {
        let mut limitations = vec![
            Processes::LIMITATIONS,
            Stepped::LIMITATIONS,
            Kills::LIMITATIONS,
            SteppedCode::LIMITATIONS,
            KillsCode::LIMITATIONS,
        ];
        #[cfg(feature = "loom")]
        limitations.push(forkcheck::engine::loom::Loom::LIMITATIONS);
        // The names that a report adds to those of its engine.
        let added = [
            "kills of reader",
            "the invariant between steps",
            "pids that the kernel gives away again (to choose one takes CAP_CHECKPOINT_RESTORE here)",
            "calls on several processors at the same time, in 3 programs: there they met only where a process was paused",
            "atomic instructions that were not instrumented (`fetch_max`, `fetch_min`, inline assembly), in a::b",
            "other results of calls that leave the schedule, which operations make: clock_gettime",
            "processes, in 3 programs: there each has statics, thread-locals and private futexes of its own, and did something else",
            "pointers to private memory that operations store, in 1 program that could not be looked through operation by operation",
        ];
        let items = limitations.iter().flat_map(|all| all.split("; "));
        for item in items.chain(added) {
            let (_, text) = section(item).unwrap_or_else(|near| panic!("{item}: {near:?}"));
            assert!(text.contains("**What to do.**"), "{item}: {text}");
        }
    }

    #[test]
    fn a_name_that_is_none_or_several_is_no_section() {
        assert!(section("no such thing").is_err_and(|near| near.is_empty()));
        assert!(section("not").is_err_and(|near| near.len() > 1));
        assert!(section("not checked: weak memory (execution is sequentially consistent)").is_ok());
    }
}
