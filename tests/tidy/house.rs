//! The rules about everything around the code: README, scripts, dependencies, the top level.

use crate::source::{Repository, tokens};
use crate::{COMMANDS, TOP_LEVEL, has, holds};

#[test]
fn what_the_readme_shows_is_compiled_and_run() {
    let sample = "```sh\ncargo run --release\ncargo test\n```\n```rust\n```\n";
    let planted = [
        ("README.md", sample.replace("```rust", "```rust,ignore")),
        ("README.md", sample.replace("```rust", "```text")),
        ("README.md", sample.replace("```rust", "```")),
        (
            "README.md",
            sample.replace("cargo test", "cargo test --release"),
        ),
        (
            "src/lib.rs",
            "//! #[cfg(doctest)] #[doc = include_str!(\"../README.md\")]".into(),
        ),
        ("ci/test.sh", "cargo test --lib\n# cargo test\n".into()),
    ];
    holds(
        unkept_readme,
        &planted
            .each_ref()
            .map(|(path, text)| (*path, text.as_str())),
    );
}

fn unkept_readme(repository: &Repository) -> Vec<String> {
    let mut complaints = vec![];
    let (mut fence, mut rust, mut commands) = (None, 0, vec![]);
    for line in repository.text("README.md").lines() {
        match (fence, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => {
                rust += usize::from(info.starts_with("rust"));
                if info.is_empty() || (info.starts_with("rust") && info.contains("ignore")) {
                    complaints.push(format!(
                        "README.md: a block opens with ```{info}: name its language, ignore nothing"
                    ));
                }
                fence = Some(info);
            }
            (Some(_), Some(_)) => fence = None,
            (Some("sh"), None) => commands.push(line.split(" #").next().unwrap_or("").trim()),
            _ => {}
        }
    }
    if rust == 0 {
        complaints.push("README.md: has no ```rust block: show a test".into());
    }
    let root = tokens(repository.text("src/lib.rs"));
    if !has(
        &root,
        &["doc", "=", "include_str", "!", "(", "\"../README.md\""],
    ) || !root.iter().any(|t| t.text == "doctest")
    {
        complaints.push(
            "src/lib.rs: lacks #[cfg(doctest)] #[doc = include_str!(\"../README.md\")]".into(),
        );
    }
    for (command, script) in COMMANDS {
        if !commands.contains(command) {
            complaints.push(format!(
                "README.md: no ```sh block has the line `{command}`"
            ));
        }
        if !repository.text(script).lines().any(|line| line == *command) {
            complaints.push(format!("{script}: lacks the README's `{command}`"));
        }
    }
    complaints
}

/// The script of `ci/` that takes an hour.
const BY_HAND: &str = "ci/soak.sh";

#[test]
fn every_ci_script_is_called_on_a_desk_and_on_the_server() {
    let rule = |repository: &Repository| {
        let mut complaints = vec![];
        for (path, text) in repository.under("ci/") {
            // A script that takes too long for both is named in the contributors' guide.
            let callers: &[&str] = match path == BY_HAND {
                true => &["CONTRIBUTING.md"],
                false => &[".ci/run", ".github/workflows/ci.yml"],
            };
            for &caller in callers {
                let called = |line: &str| {
                    !line.trim_start().starts_with('#')
                        && line
                            .split(|c: char| c.is_whitespace() || c == '`')
                            .any(|word| word == path)
                };
                if !repository.text(caller).lines().any(called) {
                    complaints.push(format!("{path}: not called by {caller}"));
                }
            }
            let mut head = text.lines();
            let proper = head.next() == Some("#!/usr/bin/env bash")
                && head.next().is_some_and(|line| line.starts_with("# Proves"))
                && head.next().is_some_and(|line| line.starts_with("# "))
                && head.find(|line| !line.starts_with("# ")) == Some("set -euo pipefail");
            if !proper {
                complaints.push(format!(
                    "{path}: opens with the shebang, two lines or more on what it proves, set -euo pipefail"
                ));
            }
        }
        complaints
    };
    let forgotten =
        "#!/usr/bin/env bash\n# Proves nothing.\n# Called by none.\nset -euo pipefail\n";
    holds(
        rule,
        &[("ci/forgotten.sh", forgotten), ("ci/fmt.sh", "cargo fmt\n")],
    );
}

/// Git keeps the mode of a script; the workflow of the server, and readers, call it by its path.
#[test]
fn every_script_may_be_executed() {
    let rule = |repository: &Repository| {
        let scripts = repository.under("").filter(|(path, text)| {
            path.starts_with("ci/") && path.ends_with(".sh") || text.starts_with("#!")
        });
        let barred = scripts.filter(|(path, _)| !repository.executable.contains(*path));
        barred
            .map(|(path, _)| format!("{path}: chmod +x it, and add it to git again"))
            .collect()
    };
    let script = Repository::read().text("ci/fmt.sh").to_string();
    holds(rule, &[("ci/fmt.sh", &script), (".ci/run", &script)]);
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let rule = |repository: &Repository| {
        let mut complaints = vec![];
        let (mut inside, mut above, mut explained) = (false, "", "");
        for line in repository.text("Cargo.toml").lines().map(str::trim) {
            if line.starts_with('[') {
                (inside, explained) = (line.trim_end_matches(']').ends_with("dependencies"), "");
            } else if inside && !line.is_empty() && !line.starts_with('#') {
                // One comment serves several releases of the same package. A heading of a word or
                // two does not count.
                let package = line
                    .split_once("package = ")
                    .map_or("", |(_, rest)| rest.split(',').next().unwrap_or(""));
                let own = above.starts_with('#') && above.split_whitespace().count() > 4;
                if !own && !line.contains(" # ") && (package.is_empty() || package != explained) {
                    complaints.push(format!(
                        "Cargo.toml: no comment says what this is for: {line}"
                    ));
                }
                explained = package;
            }
            above = line;
        }
        complaints
    };
    holds(
        rule,
        &[
            (
                "Cargo.toml",
                "[dev-dependencies]\n# Tests.\nserde = \"1\"\n",
            ),
            (
                "Cargo.toml",
                "[target.'cfg(unix)'.dependencies]\nnix = \"1\"",
            ),
        ],
    );
}

#[test]
fn the_top_level_holds_what_a_reader_expects() {
    let rule = |repository: &Repository| {
        let expected: Vec<_> = repository
            .text(".gitignore")
            .lines()
            .filter_map(|line| line.strip_prefix('/'))
            .map(|name| name.trim_end_matches('/'))
            .chain(TOP_LEVEL.split_whitespace())
            .collect();
        let odd = repository
            .top_level
            .iter()
            .filter(|name| !expected.contains(&name.as_str()));
        odd.map(|name| format!("{name}: not among TOP_LEVEL; does it belong in a folder?"))
            .collect()
    };
    holds(rule, &[("planted.txt", "")]);
}

/// Checks tests/README.md: a file in backquotes with a colon after it, and then the tests of that
/// file.
#[test]
fn every_test_that_the_map_names_exists() {
    let rule = |repository: &Repository| {
        let mut complaints = vec![];
        let mut named = 0;
        for line in repository.text("tests/README.md").lines() {
            let mut file = String::new();
            for (n, word) in line.split('`').enumerate() {
                if n % 2 == 0 {
                    continue;
                }
                let mut paths = [format!("tests/{word}"), word.to_string()].into_iter();
                let known = paths.find(|path| repository.files.contains_key(path));
                if let Some(path) = known.filter(|_| word.ends_with(".rs")) {
                    file = path;
                } else if !file.is_empty() && word.contains('_') {
                    named += 1;
                    let text = repository.text(&file);
                    let defined = text.contains(&format!("fn {word}("))
                        || text.contains(&format!("    {word}: "));
                    if !defined {
                        complaints.push(format!("tests/README.md: {file} has no test {word}"));
                    }
                }
            }
        }
        if named < 20 {
            complaints.push(format!("tests/README.md: names only {named} tests"));
        }
        complaints
    };
    let forgotten = "| x | `region.rs`: `a_test_that_is_missing` |\n".repeat(20);
    holds(
        rule,
        &[("tests/README.md", &forgotten), ("tests/README.md", "")],
    );
}
