//! The rule about words that the glossary replaces: in what users read, and in the names and comments of the library.

use crate::holds;
use crate::source::Repository;

/// Words and phrases, each with its replacement.
const REPLACED: &[(&str, &str)] = &[
    ("who", "the process"),
    ("whom", "the process"),
    ("whoever", "a process that"),
    ("nobody", "no process"),
    ("somebody", "a process"),
    ("everybody", "all processes"),
    ("seat", "handle"),
    ("seats", "handles"),
    ("sit down", "attach"),
    ("get up", "detach"),
    ("life", "incarnation"),
    ("subject", "structure"),
    ("subjects", "structures"),
    ("anew", "again"),
    ("for ever", "indefinitely"),
    ("so many", "a number"),
    ("for no reason", "spuriously"),
    ("in good time", "a time limit"),
    ("blind to", "does not check"),
    ("nearby", "near miss"),
    ("condemn", "schedule a kill"),
    ("partly", "within a bound"),
];

/// Files that have such a word with another meaning: the seats of a train, the field of saved cases and tokens, and names of before.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("CHANGELOG.md", "life"),
    ("docs/src/glossary.md", "life"),
    ("docs/src/state_machines.md", "seat"),
    ("docs/src/state_machines.md", "seats"),
    ("tests/README.md", "seat"),
    ("tests/README.md", "seats"),
    ("src/case/mod.rs", "life"),
    ("src/report/data.rs", "life"),
];

#[test]
fn words_that_the_glossary_replaces_are_not_used() {
    holds(
        replaced_words,
        &[
            ("src/planted.rs", "//! Wakes whoever sleeps.\n"),
            ("src/planted.rs", "//! .\nfn seat_of(process: usize) {}\n"),
            (
                "src/a/planted.rs",
                "//! .\nconst WHY: &str = \"nobody wakes it\";\n",
            ),
            ("README.md", "It waits for\never.\n"),
            ("docs/src/planted.md", "One Life of a process.\n"),
            ("CHANGELOG.md", "- `Latest::writer`, for who writes.\n"),
        ],
    );
}

/// Complains of each line of prose, or of the library, in which a replaced word or phrase begins.
fn replaced_words(repository: &Repository) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in repository.under("") {
        let is_prose = path.ends_with(".md");
        if !(is_prose || path.starts_with("src/") && path.ends_with(".rs")) {
            continue;
        }
        let words = words(text);
        for (at, (line, word)) in words.iter().enumerate() {
            let next = words.get(at + 1).map_or("", |(_, next)| next.as_str());
            let third = words.get(at + 2).map_or("", |(_, third)| third.as_str());
            let found = REPLACED.iter().find(|(replaced, _)| {
                let mut parts = replaced.split(' ');
                [word.as_str(), next, third]
                    .iter()
                    .all(|word| parts.next().is_none_or(|part| part == *word))
            });
            if let Some((replaced, better)) = found
                && !EXCEPTIONS.contains(&(path, replaced))
            {
                complaints.push(format!(
                    "{path}:{line}: \"{replaced}\": say {better}, or what the glossary has"
                ));
            }
        }
    }
    complaints
}

/// Returns the words of a text with their lines, in lower case; the parts of a name are words.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let parts = line.split(|c: char| !c.is_alphabetic());
        let parts = parts.filter(|part| !part.is_empty());
        found.extend(parts.map(|part| (number, part.to_lowercase())));
    }
    found
}
