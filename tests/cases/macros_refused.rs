//! Forms that `suite!` and `scenario!` refuse: each has its message, at the line of its macro, and nothing else is reported.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What each wrong form is written after.
const BEFORE: &str = "//! Wrong uses of the macros.
#![allow(unused)]
use forkcheck::prelude::*;
use forkcheck::spec::{Counter, CounterOp, CounterRet};
struct Word<M: Memory>(M::AtomicU32);
struct Cells<M: Memory, T>(M::AtomicU32, std::marker::PhantomData<T>);
struct Sum<M: Memory>(M::AtomicI64);
impl<M: Memory> Structure for Sum<M> {
    type Memory = M;
    type Spec = Counter;
    fn new(first: &i64) -> Self { Sum(Atomic::new(*first)) }
    fn apply(&self, _: &CounterOp) -> CounterRet { CounterRet::Added }
}
";

/// Forms, each on a line of its own, and the messages; none where the form is right.
const FORMS: &[(&str, Option<&str>)] = &[
    (
        "forkcheck::suite! { right: Sum<_>, setup: Just(0), reader: 1..=4 ops of Just(CounterOp::Read), }",
        None,
    ),
    (
        "forkcheck::scenario! { works: Word<_>, new: Word(Atomic::new(0)), one: |word| { word.0.load(Ordering::Relaxed); }, }",
        None,
    ),
    (
        "forkcheck::suite! { Sum }",
        Some("suite!: expected `name: Structure<_>, role: 1..=4 ops of strategy,`"),
    ),
    (
        "forkcheck::suite! { no_role: Sum<_>, reader 4 }",
        Some(
            "suite!: expected `role: 1..=4 ops of strategy,` or `setup: strategy,` or `with: .setting(value),`, and there is `reader 4`",
        ),
    ),
    (
        "forkcheck::suite! { no_ops: Sum<_>, reader: 1..=4 of Just(CounterOp::Read), }",
        Some(
            "suite!: the role `reader` is written `reader: 1..=4 ops of strategy,` or `reader: 2 processes, 1..=4 ops of strategy,`",
        ),
    ),
    (
        "forkcheck::suite! { no_number: Sum<_>, reader: processes, 1..=4 ops of Just(CounterOp::Read), }",
        Some(
            "suite!: the role `reader` is written `reader: 1..=4 ops of strategy,` or `reader: 2 processes, 1..=4 ops of strategy,`",
        ),
    ),
    (
        "forkcheck::suite! { parameter: Cells<_, std::num::Wrapping<u8>>, reader: 1..=4 ops of Just(CounterOp::Read), }",
        Some(
            "suite!: in `Cells<_ ...>` each parameter after the memory is one word, number or block, and then come `,` and the roles; \
             name any other structure by a type: `type Short<M> = Cells<M, ...>;`, and write `Short<_>`",
        ),
    ),
    (
        "forkcheck::scenario! { Word }",
        Some(
            "scenario!: expected `name: Structure<_>, new: expression, role: |structure| { ... },`",
        ),
    ),
    (
        "forkcheck::scenario! { no_new: Word<_>, one: |word| {} }",
        Some(
            "scenario!: expected `new: expression, role: |structure| { ... },`, and there is `one: |word| {}`",
        ),
    ),
    (
        "forkcheck::scenario! { cells: Cells<_, std::num::Wrapping<u8>>, new: Cells(0), one: |cells| {}, }",
        Some(
            "scenario!: in `Cells<_ ...>` each parameter after the memory is one word, number or block, and then come `,` and `new: \
             expression,`; name any other structure by a type: `type Short<M> = Cells<M, ...>;`, and write `Short<_>`",
        ),
    ),
    (
        "forkcheck::scenario! { last: Word<_>, new: Word(Atomic::new(0)), one: |word| {}, finally: |word| {}, finally: |word| {}, }",
        Some(
            "scenario!: `finally: |structure| { ... },` stands once, and runs in no process of its own",
        ),
    ),
    (
        "forkcheck::scenario! { many: Word<_>, new: Word(Atomic::new(0)), one: |word| {}, always: 2 processes, |word| {}, }",
        Some(
            "scenario!: `always: |structure| { ... },` stands once, and runs in no process of its own",
        ),
    ),
    (
        "forkcheck::scenario! { no_body: Word<_>, new: Word(Atomic::new(0)), one: 3, }",
        Some(
            "scenario!: expected `role: |structure| { ... },` or `role: 2 processes, |structure| { ... },`, at last `always: \
             |structure| { ... },`, `finally: |structure| { ... },` and `with: .setting(value),`, and there is `one: 3,`",
        ),
    ),
];

/// Returns the directories with compiled crates: that of this program, and with `--target` that of procedural macros.
fn directories() -> Vec<PathBuf> {
    let me = std::env::current_exe().expect("a test is a file");
    let own = me.parent().expect("a file is in a directory");
    let profile = own.parent().and_then(Path::file_name);
    let profile = profile.expect("crates are in a profile's directory");
    let host = own.ancestors().nth(3).map(|target| target.join(profile));
    let host = host.map(|host| host.join("deps"));
    let all = [Some(own.to_owned()), host.filter(|host| host.is_dir())];
    all.into_iter().flatten().collect()
}

/// Returns the libraries that were built of this crate, the last one first: with other features, or by another compiler.
fn libraries(directory: &Path) -> Vec<PathBuf> {
    let files = directory.read_dir().expect("it has this program");
    let paths = files.map(|file| file.expect("it can be read").path());
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libforkcheck-") && name.ends_with(".rlib")
    };
    let mut libraries: Vec<PathBuf> = paths.filter(is_library).collect();
    let made = |path: &PathBuf| path.metadata().and_then(|data| data.modified()).ok();
    libraries.sort_by_key(|path| std::cmp::Reverse(made(path)));
    libraries
}

/// Returns the errors of a source, each with its line, as the compiler tells them.
fn errors(source: &str) -> Vec<(usize, String)> {
    let scratch = tempfile::tempdir().expect("there is room for a file");
    let file = scratch.path().join("wrong.rs");
    std::fs::write(&file, source).expect("there is room for a file");
    let directories = directories();
    let mut told = String::new();
    for library in libraries(&directories[0]) {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
        rustc.args(["--edition", "2024", "--test", "--emit", "metadata"]);
        rustc.args(["--error-format", "short"]).arg(&file);
        rustc.arg("--extern").arg({
            let mut named = std::ffi::OsString::from("forkcheck=");
            named.push(&library);
            named
        });
        for directory in &directories {
            let mut option = std::ffi::OsString::from("dependency=");
            option.push(directory);
            rustc.arg("-L").arg(option);
        }
        rustc.env("CARGO_PKG_NAME", "wrong");
        rustc.env("CARGO_MANIFEST_DIR", scratch.path());
        let output = rustc.current_dir(scratch.path()).output();
        let output = output.expect("there is a compiler");
        told = String::from_utf8_lossy(&output.stderr).into_owned();
        // Another compiler made it, one of its own libraries is gone, or it is the core alone.
        if !["E0514", "E0460", "E0463", "E0432"]
            .iter()
            .any(|code| told.contains(code))
        {
            break;
        }
    }
    let lines = told.lines().filter_map(|told| {
        let told = told.strip_prefix(file.to_str()?)?.strip_prefix(':')?;
        let (line, told) = told.split_once(':')?;
        let (_column, told) = told.split_once(": ")?;
        let message = told.strip_prefix("error")?;
        Some((
            line.parse().ok()?,
            message.trim_start_matches(": ").to_owned(),
        ))
    });
    let errors: Vec<_> = lines.collect();
    assert!(!errors.is_empty(), "the compiler says\n{told}");
    errors
}

#[test]
fn a_wrong_form_is_refused_at_its_line_in_words_and_a_right_one_is_not() {
    let forms: Vec<&str> = FORMS.iter().map(|(form, _)| *form).collect();
    let source = format!("{BEFORE}{}\n", forms.join("\n"));
    let first = BEFORE.lines().count() + 1;
    let expected: Vec<_> = (first..)
        .zip(FORMS)
        .filter_map(|(line, (_, message))| Some((line, (*message)?.to_owned())))
        .collect();
    assert_eq!(errors(&source), expected, "{source}");
}
