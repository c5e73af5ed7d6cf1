//! The rules about the guide in `docs`: pages, links, samples, and the paths that it names.

use crate::holds;
use crate::source::Repository;

const SUMMARY: &str = "docs/src/SUMMARY.md";

/// The length of README, in words.
const WORDS: usize = 1_000;

/// Pages of the guide, without the list of them.
fn pages(repository: &Repository) -> impl Iterator<Item = (&str, &str)> {
    let pages = repository.under("docs/");
    pages.filter(|(path, _)| path.ends_with(".md") && *path != SUMMARY)
}

/// Targets of the links in a text, outside of blocks of code.
fn links(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        inside ^= line.starts_with("```");
        if !inside {
            let targets = line.split("](").skip(1);
            found.extend(targets.filter_map(|rest| rest.split(')').next()));
        }
    }
    found
}

/// The anchors of a page: its headings as mdBook and others name them.
fn anchors(text: &str) -> Vec<String> {
    let mut inside = false;
    let headings = text.lines().filter_map(|line| {
        inside ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        (!inside && heading.len() < line.len()).then(|| heading.trim())
    });
    let name = |heading: &str| {
        let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
        let name: String = heading.chars().filter(kept).collect();
        name.to_lowercase().replace(' ', "-")
    };
    headings.map(name).collect()
}

/// Returns whether a path from the root is that of a file or a folder.
fn is_there(repository: &Repository, path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    repository.files.contains_key(path)
        || repository.top_level.contains(path)
        || repository.under(&folder).next().is_some()
}

#[test]
fn every_page_of_the_guide_is_listed_once() {
    let rule = |repository: &Repository| {
        let listed = links(repository.text(SUMMARY));
        let mut complaints = Vec::new();
        for (path, _) in pages(repository) {
            let name = path.trim_start_matches("docs/src/");
            if listed.iter().filter(|link| **link == name).count() != 1 {
                complaints.push(format!("{path}: is not listed once in {SUMMARY}"));
            }
        }
        complaints
    };
    holds(rule, &[("docs/src/forgotten.md", "# Forgotten\n")]);
}

#[test]
fn every_link_of_readme_and_guide_leads_somewhere() {
    let rule = |repository: &Repository| {
        let mut complaints = Vec::new();
        let all = pages(repository)
            .chain([SUMMARY, "README.md"].map(|path| (path, repository.text(path))));
        for (path, text) in all {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            for link in links(text).into_iter().filter(|link| !link.contains("://")) {
                let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = match (target, folder) {
                    ("", _) => path.to_owned(),
                    (target, "") => target.to_owned(),
                    (target, folder) => format!("{folder}/{target}"),
                };
                let leads = is_there(repository, &target)
                    && (anchor.is_empty()
                        || anchors(repository.text(&target)).contains(&anchor.to_owned()));
                if !leads {
                    complaints.push(format!("{path}: nothing is at {link}"));
                }
            }
        }
        complaints
    };
    holds(
        rule,
        &[
            ("README.md", "[x](docs/src/none.md)"),
            ("README.md", "[x](docs/src/engines.md#no-heading)"),
            ("docs/src/engines.md", "[x](../../README.md)"),
            ("docs/src/engines.md", "[x](#no-heading)"),
            (SUMMARY, "- [x](none.md)"),
        ],
    );
}

/// A path of the repository in backquotes is no link, since a book is read without the repository.
#[test]
fn every_path_that_the_guide_names_is_there() {
    let rule = |repository: &Repository| {
        let mut complaints = Vec::new();
        for (path, text) in pages(repository) {
            let roots = ["src/", "tests/zoo", "examples/", "ci/", "tests/README.md"];
            let named = text.split('`').skip(1).step_by(2);
            for named in named.filter(|word| roots.iter().any(|root| word.starts_with(root))) {
                if !named.contains([' ', '\n']) && !is_there(repository, named) {
                    complaints.push(format!("{path}: there is no {named}"));
                }
            }
        }
        complaints
    };
    holds(
        rule,
        &[("docs/src/engines.md", "See `examples/none.rs`.\n")],
    );
}

#[test]
fn what_the_guide_shows_is_compiled() {
    let rule = |repository: &Repository| {
        let mut complaints = Vec::new();
        for (path, text) in pages(repository) {
            let mut inside = false;
            let mut shows = false;
            for line in text.lines().filter(|line| line.starts_with("```")) {
                inside = !inside;
                let language = line.trim_start_matches('`');
                shows |= inside && language.starts_with("rust");
                if inside && (language.is_empty() || language.contains("ignore")) {
                    complaints.push(format!(
                        "{path}: a block opens with {line}: name its language, ignore nothing"
                    ));
                }
            }
            if shows
                && !repository
                    .text("src/lib.rs")
                    .contains(&format!("\"../{path}\""))
            {
                complaints.push(format!(
                    "{path}: src/lib.rs lacks #[doc = include_str!(\"../{path}\")]"
                ));
            }
        }
        complaints
    };
    holds(
        rule,
        &[
            ("docs/src/engines.md", "```\nx\n```\n"),
            ("docs/src/engines.md", "```rust,ignore\nx\n```\n"),
            ("docs/src/forgotten.md", "```rust\nfn main() {}\n```\n"),
        ],
    );
}

/// The memories of engines, and the files that document them.
const MEMORIES: [(&str, &str); 2] = [
    ("SteppedMemory", "src/engine/stepped/memory.rs"),
    ("LoomMemory", "src/engine/loom/memory.rs"),
];

#[test]
fn what_users_read_writes_an_underscore_for_the_memory_of_an_engine() {
    let rule = |repository: &Repository| {
        let mut complaints = Vec::new();
        let is_read = |path: &str| {
            path == "README.md" || path.starts_with("docs/") || path.starts_with("examples/")
        };
        for (path, text) in repository.under("") {
            for (number, line) in text.lines().enumerate() {
                let is_doc = || path.starts_with("src/") && line.trim_start().starts_with("///");
                if !is_read(path) && !is_doc() {
                    continue;
                }
                let mut names = MEMORIES.iter();
                if let Some((name, _)) =
                    names.find(|(name, own)| line.contains(name) && path != *own)
                {
                    let number = number + 1;
                    complaints.push(format!(
                        "{path}:{number}: names {name}: write `_`, as in `check::<Stepped, Page<_>>()`"
                    ));
                }
            }
        }
        complaints
    };
    holds(
        rule,
        &[
            ("README.md", "Page<SteppedMemory>\n"),
            (
                "docs/src/suites.md",
                "# use forkcheck::engine::SteppedMemory;\n",
            ),
            ("examples/ring.rs", "type Weak = Ring<LoomMemory>;\n"),
            ("src/lib.rs", "    /// check::<Loom, Page<LoomMemory>>()\n"),
        ],
    );
}

#[test]
fn readme_is_short() {
    let rule = |repository: &Repository| {
        let words = repository.text("README.md").split_whitespace().count();
        match words {
            0..=WORDS => vec![],
            _ => vec![format!(
                "README.md: {words} words, {WORDS} are enough: the guide has room"
            )],
        }
    };
    let long = "word ".repeat(WORDS + 1);
    holds(rule, &[("README.md", &long)]);
}
