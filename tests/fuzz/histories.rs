//! Recorded histories, read and judged as by `forkcheck history`.

#[path = "../../src/command/history/fields.rs"]
mod fields;
#[path = "../../src/command/history/input.rs"]
mod input;
#[path = "../../src/command/history/specs.rs"]
mod specs;

use crate::inputs::{bytes, text};
use crate::{count, each, in_proportion};
use fields::{Fields, Json, OpAndRet};
use forkcheck::Spec;
use forkcheck::check::Limits;
use forkcheck::recorded::judge;
use forkcheck::spec::{
    Barrier, CasRegister, Counter, Event, Lock, Map, Queue, Register, RelaxedQueue, Semaphore, Set,
    Stack,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;
use specs::{
    of_barrier, of_cas, of_counter, of_event, of_lock, of_map, of_queue, of_register,
    of_relaxed_queue, of_semaphore, of_set, of_stack,
};
use std::fs;
use std::path::Path;

/// A valid history for each spec.
const VALID: [&str; 11] = [
    r#"{"process": 0, "call": 1, "return": 2, "op": "release"}
{"process": 1, "call": 3, "return": 4, "op": "try_acquire", "result": true}
"#,
    r#"{"process": 0, "call": 1, "return": 4, "op": "arrive"}
{"process": 1, "call": 2, "return": 3, "op": "arrive"}
{"process": 0, "call": 5, "return": 6, "op": "leave"}
"#,
    r#"{"process": 0, "call": 1, "return": 2, "op": "set"}
{"process": 1, "call": 3, "return": 4, "op": "is_set", "result": true}
"#,
    r#"{"process": 0, "call": 1, "return": 4, "op": "write", "value": 7}
{"process": "b", "call": 2, "return": 3, "op": "read", "result": null}
{"process": 1, "call": 5, "op": "read"}
"#,
    r#"{"process": 0, "call": 1, "return": 4, "op": "write", "value": 7}
{"process": 2, "call": 6, "return": 9, "op": "cas", "expected": 7, "value": [1.5], "result": true}
"#,
    r#"{"process": 0, "call": 1, "return": 4, "op": "push", "value": 7}
{"process": 1, "call": 2, "return": 3, "op": "pop", "result": 7}
{"process": 1, "call": 4, "return": 18446744073709551613, "op": "pop", "result": null}
"#,
    r#"{"process": 0, "call": 1, "op": "push", "value": {"a": 7}}
{"process": 1, "call": 2, "return": 3, "op": "pop", "result": {"a": 7}}
"#,
    r#"{"process": 0, "call": 1, "return": 4, "op": "add", "value": 7, "result": true}
{"process": 1, "call": 2, "return": 3, "op": "remove", "value": 7, "result": false}
{"process": 1, "call": 4, "op": "contains", "value": 7}
"#,
    r#"{"process": 2, "call": 2, "return": 3, "op": "put", "key": "k", "value": 7}
{"process": 2, "call": 5, "return": 8, "op": "get", "key": "k", "result": 7}
{"process": 3, "call": 5, "return": 8, "op": "remove", "key": "k"}
"#,
    r#"{"process": 0, "call": 7, "return": 8, "op": "add", "value": -9223372036854775808}
{"process": 0, "call": 9, "return": 10, "op": "add", "value": -1}
{"process": 0, "call": 11, "return": 12, "op": "read", "result": 9223372036854775807}
"#,
    r#"{"process": 0, "call": 1, "return": 4, "op": "lock"}
{"process": 1, "call": 2, "return": 3, "op": "try_lock", "result": false}
{"process": 0, "call": 5, "return": 6, "op": "unlock"}
"#,
];

/// Returns lines in which each field is present or missing, whatever the operation needs.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let ops = "write read cas push pop add remove contains put get lock try_lock unlock acquire try_acquire release \
        arrive leave set reset wait is_set other";
    let ops: Vec<&str> = ops.split_whitespace().collect();
    let values = [
        "7",
        "null",
        "true",
        "false",
        "\"k\"",
        "[]",
        "1e300",
        "-9223372036854775808",
    ];
    let field = |name: &'static str| {
        let value = select(values.to_vec()).prop_map(move |value| format!(", \"{name}\": {value}"));
        prop_oneof![Just(String::new()), value]
    };
    let fields = (
        field("key"),
        field("value"),
        field("expected"),
        field("result"),
    );
    let line = (0..3u8, select(ops), 0..9u8, 0..12u8, fields).prop_map(
        |(process, op, call, took, (key, value, expected, result))| {
            let returned = match took {
                0..9 => format!(", \"return\": {}", call + took),
                _ => String::new(),
            };
            format!(
                "{{\"process\": {process}, \"op\": \"{op}\", \"call\": {call}{returned}{key}{value}{expected}{result}}}\n"
            )
        },
    );
    vec(line, 1..6).prop_map(|lines| lines.concat().into_bytes())
}

fn judged<S: Spec>(
    file: &Path,
    len: usize,
    setup: &S::Setup,
    read: fn(&mut Fields<'_>) -> Result<OpAndRet<S>, String>,
) -> bool {
    let recorded = in_proportion(len, || input::recorded::<S>(file, read));
    let Ok(recorded) = recorded else { return false };
    assert_eq!(recorded.names.len(), recorded.lines.len());
    // The limits bound the memory of the search as well.
    let limits = Limits {
        states: 1_000,
        steps: 10_000,
    };
    let judged = judge("fuzz", &recorded.names, setup, &recorded.history, limits);
    assert!(!judged.report.to_string().is_empty());
    true
}

#[test]
fn any_history_is_judged_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("history");
    let read = move |text: &Vec<u8>| {
        let (file, len) = (&directory.path().join("history"), text.len());
        fs::write(file, text).unwrap();
        let null = Json("null".into());
        [
            judged::<Register<Json>>(file, len, &null, of_register),
            judged::<CasRegister<Json>>(file, len, &null, of_cas),
            judged::<Queue<Json>>(file, len, &usize::MAX, of_queue),
            judged::<Stack<Json>>(file, len, &(), of_stack),
            judged::<Set<Json>>(file, len, &(), of_set),
            judged::<Map<Json, Json>>(file, len, &(), of_map),
            judged::<Counter>(file, len, &0, of_counter),
            judged::<Lock>(file, len, &(), of_lock),
            judged::<RelaxedQueue<Json>>(file, len, &usize::MAX, of_relaxed_queue),
            judged::<Semaphore>(file, len, &0, of_semaphore),
            judged::<Barrier>(file, len, &2, of_barrier),
            judged::<Event>(file, len, &false, of_event),
        ]
        .contains(&true)
    };
    assert!(read(&VALID[0].into()), "{}", file.display());
    let valid = VALID.map(|text| text.as_bytes().to_vec()).to_vec();
    let text = text(&VALID).prop_map(String::into_bytes);
    let inputs = prop_oneof![2 => text, 1 => bytes(valid), 2 => lines()];
    each(inputs, count(), move |bytes| {
        read(bytes);
    });
}
