//! The built-in structures as the command checks them, each on each engine: a small part of the
//! work without options. A planted bug has to be found, so it gets all executions, and more time.

use serde_json::Value;
use std::process::Command;

/// Checks a structure on an engine, and returns the line of JSON. `environment` bounds the check.
fn checked(structure: &str, engine: &str, environment: &[(&str, &str)]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forkcheck"));
    command.args(["check", structure, "--engine", engine, "--json"]);
    let output = command
        .args(["--cases", "8"])
        .env_remove("FORKCHECK_REPLAY")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(printed.trim()).unwrap_or_else(|error| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {printed}{complaint}")
    })
}

/// Asserts `ok` for a structure without a bug, or without one that this engine can see.
fn passes(structure: &str, engine: &str) {
    let few = [("FORKCHECK_SEED", "1"), ("FORKCHECK_EXECUTIONS", "1000")];
    let outcome = checked(structure, engine, &few);
    assert_eq!(outcome["expected"], "ok", "{outcome}");
    assert_eq!(outcome["verdict"], "ok", "{outcome}");
    assert!(
        outcome["covered"]["executions"].as_u64() > Some(0),
        "{outcome}"
    );
}

/// Asserts that a planted bug is found. `pauses_miss_it`: its window is a few instructions among
/// thousands, so on one processor, or a busy one, `processes` may miss it if calls overlapped only
/// by instruction-level pauses in all programs.
fn is_found(structure: &str, engine: &str, (kind, why): (&str, &str), pauses_miss_it: bool) {
    let outcome = checked(structure, engine, &[("FORKCHECK_SECONDS", "120")]);
    assert_eq!(outcome["expected"], "finding", "{outcome}");
    if pauses_miss_it && engine == "processes" && outcome["verdict"] == "ok" {
        let covered = &outcome["covered"];
        assert_eq!(covered["by_pauses"], covered["programs"], "{outcome}");
        return;
    }
    assert_eq!(outcome["verdict"], "finding", "{outcome}");
    let kind = match (engine, kind) {
        ("loom", NOT_LINEARIZABLE) => "NOT SEQUENTIALLY CONSISTENT",
        _ => kind,
    };
    assert_eq!(outcome["kind"], kind, "{outcome}");
    let told = outcome["headline"].as_str().unwrap();
    assert!(told.starts_with(why), "{outcome}");
}

macro_rules! on_each_engine {
    ($($structure:ident: |$engine:ident| $check:expr;)*) => {
        $(mod $structure {
            use super::*;
            const NAME: &str = stringify!($structure);
            fn on($engine: &str) {
                $check
            }
            #[test]
            fn processes() {
                on("processes");
            }
            #[test]
            fn stepped() {
                on("stepped");
            }
            #[test]
            fn kills() {
                on("kills");
            }
            #[test]
            fn loom() {
                on("loom");
            }
        })*
        #[test]
        fn each_structure_of_the_command_is_here() {
            let here = [$(stringify!($structure)),*];
            let mut command = Command::new(env!("CARGO_BIN_EXE_forkcheck"));
            let list = command.args(["list", "--json"]).output().unwrap();
            let lines: Vec<Value> = String::from_utf8_lossy(&list.stdout)
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let listed: Vec<_> = lines.iter().map(|line| line["structure"].as_str().unwrap()).collect();
            assert_eq!(listed, here);
            let engines = serde_json::json!(["processes", "stepped", "kills", "loom"]);
            assert!(lines.iter().all(|line| line["engines"] == engines), "{lines:?}");
        }
    };
}

const NOT_LINEARIZABLE: &str = "NOT LINEARIZABLE";

on_each_engine! {
    one_shot: |engine| passes(NAME, engine);
    early_flag: |engine| is_found(NAME, engine, (NOT_LINEARIZABLE, "getter: Get returned"), false);
    seq_lock: |engine| passes(NAME, engine);
    early_publish: |engine| is_found(NAME, engine, (NOT_LINEARIZABLE, "reader: Read returned"), true);
    dead_writer: |engine| match engine {
        "kills" => is_found(NAME, engine, ("NOT CRASH-TOLERANT", "writer killed in Write"), false),
        _ => passes(NAME, engine),
    };
    latest: |engine| passes(NAME, engine);
    double_buffer: |engine| is_found(NAME, engine, (NOT_LINEARIZABLE, "reader: Read returned"), false);
    ring: |engine| passes(NAME, engine);
    early_index: |engine| is_found(NAME, engine, (NOT_LINEARIZABLE, "consumer: Pop returned"), false);
    event_count: |engine| passes(NAME, engine);
    lost_wake: |engine| is_found(NAME, engine, ("DEADLOCK", ""), false);
}
