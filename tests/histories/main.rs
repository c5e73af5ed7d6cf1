//! Recorded histories of real systems in the formats of Jepsen and porcupine, with their labels.
//!
//! The histories in this folder are small ones of the project. `FORKCHECK_HISTORIES=DIRECTORY`
//! names a directory with an `index.tsv` (columns `file`, `model`, `expected`; porcupine's test
//! data have this layout), in which every label has to be right: `FORKCHECK_HISTORIES=... cargo
//! test --test histories -- --nocapture` prints a line for each.

#[cfg(feature = "cli")]
mod command;
mod format;
mod generate;
mod size;

use forkcheck::check::{Criterion, Limits, Verdict, check};
use format::{History, Model, parse};
use std::path::{Path, PathBuf};

/// Returns `linearizable`, `not_linearizable`, or the reason why it is unknown.
fn label(history: &History) -> String {
    let limits = Limits::default();
    let word = |ok, unknown| match (ok, unknown) {
        (true, _) => "linearizable".to_owned(),
        (false, Some(why)) => why,
        (false, None) => "not_linearizable".to_owned(),
    };
    match history {
        History::Register(history) => match check(&None, history, Criterion::RealTime, limits) {
            Verdict::Unknown(why) => word(false, Some(why)),
            verdict => word(verdict == Verdict::Ok, None),
        },
        History::Map(history) => match check(&(), history, Criterion::RealTime, limits) {
            Verdict::Unknown(why) => word(false, Some(why)),
            verdict => word(verdict == Verdict::Ok, None),
        },
    }
}

fn registers(text: &str) -> String {
    label(&parse(Model::Register, text).unwrap())
}

#[test]
fn a_register_that_keeps_what_was_written_is_linearizable() {
    let text = "
INFO  jepsen.util - 0 :invoke :write 1
INFO  jepsen.util - 1 :invoke :read nil
INFO  jepsen.util - 1 :ok :read nil
INFO  jepsen.util - 0 :ok :write 1
INFO  jepsen.util - 1 :invoke :cas [1 2]
INFO  jepsen.util - 1 :ok :cas [1 2]
INFO  jepsen.util - 0 :invoke :cas [1 3]
INFO  jepsen.util - 0 :fail :cas [1 3]
INFO  jepsen.util - 0 :invoke :read nil
INFO  jepsen.util - 0 :ok :read 2";
    assert_eq!(registers(text), "linearizable");
    assert_eq!(
        registers(&text.replace(":ok :read 2", ":ok :read 1")),
        "not_linearizable"
    );
    assert_eq!(
        registers(&text.replace(":fail :cas", ":ok :cas")),
        "not_linearizable"
    );
}

#[test]
fn a_call_that_timed_out_took_effect_at_any_later_time_or_never() {
    let text = "
INFO  jepsen.util - 0 :invoke :write 1
INFO  jepsen.util - 0 :info :write :timed-out
INFO  jepsen.util - 1 :invoke :write 2
INFO  jepsen.util - 1 :ok :write 2
INFO  jepsen.util - 1 :invoke :read nil
INFO  jepsen.util - 1 :ok :read 2
INFO  jepsen.util - 2 :invoke :read nil
INFO  jepsen.util - 2 :fail :read :timed-out
INFO  jepsen.util - 1 :invoke :read nil
INFO  jepsen.util - 1 :ok :read 1";
    assert_eq!(registers(text), "linearizable");
    let and_back = format!(
        "{text}\nINFO  jepsen.util - 1 :invoke :read nil\nINFO  jepsen.util - 1 :ok :read 2"
    );
    assert_eq!(registers(&and_back), "not_linearizable");
}

#[test]
fn a_map_is_judged_key_by_key() {
    let text = r#"
{:process 0, :type :invoke, :f :append, :key "a", :value "x"}
{:process 1, :type :invoke, :f :append, :key "a", :value "y"}
{:process 2, :type :invoke, :f :put, :key "b", :value "z"}
{:process 0, :type :ok, :f :append, :key "a", :value "x"}
{:process 1, :type :ok, :f :append, :key "a", :value "y"}
{:process 2, :type :ok, :f :put, :key "b", :value "z"}
{:process 0, :type :invoke, :f :get, :key "a", :value nil}
{:process 0, :type :ok, :f :get, :key "a", :value "yx"}
{:process 1, :type :invoke, :f :get, :key "b", :value nil}
{:process 1, :type :ok, :f :get, :key "b", :value "z"}"#;
    let maps = |text: &str| label(&parse(Model::Map, text).unwrap());
    assert_eq!(maps(text), "linearizable");
    assert_eq!(maps(&text.replace("\"yx\"", "\"xyx\"")), "not_linearizable");
    let stale = text.replace(
        ":ok, :f :get, :key \"b\", :value \"z\"",
        ":ok, :f :get, :key \"b\", :value \"\"",
    );
    assert_eq!(maps(&stale), "not_linearizable");
}

#[test]
fn a_line_that_is_no_event_is_an_error_that_names_it() {
    let error = |model, text| parse(model, text).err().unwrap();
    assert!(error(Model::Register, "\n0 :invoke :frob 1").contains("line 2"));
    assert!(error(Model::Register, "0 :ok :read 1").contains("line 1"));
    assert!(error(Model::Map, "{:process 0, :type :ok").contains("line 1"));
}

#[test]
fn every_label_of_the_histories_that_the_environment_names_is_right() {
    let Some(directory) = std::env::var_os("FORKCHECK_HISTORIES").map(PathBuf::from) else {
        println!("skipped: FORKCHECK_HISTORIES names no directory of recorded histories");
        return;
    };
    let wrong: Vec<String> = indexed(&directory)
        .into_iter()
        .filter_map(|(file, model, expected)| {
            let text = std::fs::read_to_string(directory.join(&file)).unwrap();
            let found = label(&parse(model, &text).unwrap_or_else(|e| panic!("{file}: {e}")));
            println!("{file}: {found}");
            (found != expected).then(|| format!("{file}: {found}, labelled {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the rows of an index: file, model, label.
fn indexed(directory: &Path) -> Vec<(String, Model, String)> {
    let index = std::fs::read_to_string(directory.join("index.tsv")).unwrap();
    let rows: Vec<_> = index
        .lines()
        .skip(1)
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let model = match columns[1] {
                "register" => Model::Register,
                "kv" => Model::Map,
                other => panic!("index.tsv: no model {other:?}"),
            };
            (columns[0].to_owned(), model, columns[2].to_owned())
        })
        .collect();
    assert!(!rows.is_empty(), "index.tsv names no history");
    rows
}
