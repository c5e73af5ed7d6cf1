//! `forkcheck list`: the built-in structures.

use super::builtins;
use super::json;
use super::print::{say, table};
use super::standing::{Standing, expected};

/// Prints the structures as a table or as JSON.
pub(super) fn list(json: bool) -> Standing {
    let all = builtins::all();
    if json {
        for builtin in &all {
            say!("{}", json::structure(builtin));
        }
        return Standing::AsExpected;
    }
    let mut table = table(
        ["structure", "expected", "engines", "what it is"],
        &[(2, 9), (3, 20)],
    );
    for builtin in &all {
        let engines: Vec<&str> = builtin.engines.iter().map(|(engine, _)| *engine).collect();
        table.add_row([
            builtin.name,
            expected(!builtin.planted.is_empty()),
            &engines.join(", "),
            builtin.about,
        ]);
    }
    say!("{table}");
    Standing::AsExpected
}
