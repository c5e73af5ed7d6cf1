//! `cargo forkcheck`: runs cargo so that code which is not written for
//! [`Memory`](forkcheck::Memory) is built with LLVM's ThreadSanitizer pass, whose calls the library
//! answers. Cargo runs the same program as its compiler wrapper.
//!
//! | called as | by | it |
//! |---|---|---|
//! | `cargo-forkcheck forkcheck test ...` | a user, as `cargo forkcheck test ...` | runs cargo with the arguments as they are |
//! | `cargo-forkcheck rustc ...` | cargo, with [`WRAPS`] set | runs the compiler with the pass, where the crate is to have it |

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Set for cargo, and so for the wrapper: the user's own wrapper, or nothing.
const WRAPS: &str = "CARGO_FORKCHECK_WRAPS";

/// Set for the wrapper: a library with the functions that programs without forkcheck call.
const ALONE: &str = "CARGO_FORKCHECK_ALONE";

/// Set by a user: names of crates that are built without the pass, and whose accesses are not seen.
const LEFT_PLAIN: &str = "CARGO_FORKCHECK_PLAIN";

/// The answer to `cargo forkcheck --help`.
const HELP: &str = "\
Runs cargo with instrumentation, so that `stepped` and `kills` see the accesses of unmodified code.

Usage: cargo forkcheck <COMMAND OF CARGO> [ITS OPTIONS]

  cargo forkcheck test         runs the tests of this package
  cargo forkcheck nextest run  runs them with nextest
  cargo forkcheck run          runs a program of this package

Environment:
  CARGO_FORKCHECK_PLAIN  crates to leave without instrumentation: their accesses are not seen";

/// The condition for code that is instrumented, or that answers instrumented code.
const CFG: &str = "forkcheck_instrumented";

/// The options that add the pass, all of them stable. `forceattrs` gives each function the
/// attribute that the pass requires before it instruments plain accesses.
const PASS: [&str; 5] = [
    "-Cpasses=forceattrs",
    "-Cpasses=function(tsan)",
    "-Cllvm-args=-force-attribute=sanitize_thread",
    "-Cllvm-args=-tsan-distinguish-volatile",
    "-Cllvm-args=-tsan-instrument-func-entry-exit=0",
];

/// Crates that answer instrumented code, and their dependencies.
const PLAIN: &[&str] = &[
    "forkcheck",
    "addr2line",
    "corosensei",
    "fallible_iterator",
    "gimli",
    "libc",
    "memmap2",
    "nix",
    "object",
    "postcard",
    "proptest",
    "ron",
    "scopeguard",
];

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let first = arguments.next().unwrap_or_default();
    let failed = match env::var_os(WRAPS) {
        Some(inner) if first != "forkcheck" => compile(first, arguments.collect(), &inner),
        _ => cargo(arguments.collect()),
    };
    eprintln!("cargo forkcheck: {failed}");
    ExitCode::from(2)
}

/// Runs cargo in place of this process; returns the reason why that failed.
fn cargo(mut arguments: Vec<OsString>) -> String {
    let command = arguments.first().and_then(|first| first.to_str());
    let command = command.unwrap_or_default().to_owned();
    if command == "--help" || command == "-h" {
        println!("{HELP}");
        std::process::exit(0);
    }
    if command.is_empty() || command.starts_with('-') {
        return "name a command of cargo: cargo forkcheck test, cargo forkcheck nextest run".into();
    }
    if command == "test" || command == "t" {
        match only_tests(&mut arguments) {
            Ok(()) => {}
            Err(why) => return why,
        }
    }
    let target = match value(&arguments, "--target").map_or_else(host, Ok) {
        Ok(target) => target,
        Err(why) => return why,
    };
    let directory = match target_directory(&arguments) {
        Ok(directory) => directory,
        Err(why) => return why,
    };
    let me = match env::current_exe() {
        Ok(me) => me,
        Err(error) => return format!("this program does not know its own path: {error}"),
    };
    let alone = match alone(&directory, &target) {
        Ok(alone) => alone,
        Err(why) => return why,
    };
    let mut cargo = Command::new(tool("CARGO", "cargo"));
    cargo
        .env(ALONE, alone)
        .args(arguments)
        .env(WRAPS, env::var_os("RUSTC_WRAPPER").unwrap_or_default())
        .env("RUSTC_WRAPPER", me)
        // With a target, build scripts and procedural macros are built without the options of the target's crates.
        .env("CARGO_BUILD_TARGET", &target)
        // Cargo does not know the options that the wrapper adds: objects with the pass and without
        // it must not be mixed.
        .env("CARGO_TARGET_DIR", directory);
    for language in ["CFLAGS", "CXXFLAGS"] {
        let (name, flags) = c_flags(language, &target);
        cargo.env(name, flags);
    }
    format!("cargo did not start: {}", cargo.exec())
}

/// Leaves documentation tests out: rustdoc compiles them without the wrapper, so they would not link.
fn only_tests(arguments: &mut Vec<OsString>) -> Result<(), String> {
    let end = arguments.iter().position(|argument| argument == "--");
    let own = &arguments[..end.unwrap_or(arguments.len())];
    if own.iter().any(|argument| argument == "--doc") {
        return Err("documentation tests are not instrumented: run cargo test --doc".into());
    }
    let selects = |argument: &OsString| {
        let text = argument.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        matches!(
            name,
            "--lib"
                | "--bins"
                | "--bin"
                | "--tests"
                | "--test"
                | "--examples"
                | "--example"
                | "--benches"
                | "--bench"
                | "--all-targets"
        )
    };
    if !own.iter().any(selects) {
        eprintln!("cargo forkcheck: documentation tests are left out");
        arguments.insert(1, "--tests".into());
    }
    Ok(())
}

/// Returns the value of an option, written as one word or as two.
fn value(arguments: &[OsString], option: &str) -> Option<String> {
    let mut arguments = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == option {
            return arguments.next().map(|value| value.to_string_lossy().into());
        }
        if let Some(value) = text
            .strip_prefix(option)
            .and_then(|rest| rest.strip_prefix('='))
        {
            return Some(value.into());
        }
    }
    None
}

fn tool(variable: &str, name: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| name.into())
}

/// Returns the output of a program, if it succeeds.
fn printed(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output();
    let output = output.map_err(|error| format!("{name} did not start: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into())
}

/// Returns the target that the compiler builds for by default.
fn host() -> Result<String, String> {
    if let Some(target) = env::var_os("CARGO_BUILD_TARGET") {
        return Ok(target.to_string_lossy().into());
    }
    let version = printed(Command::new(tool("RUSTC", "rustc")).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc -vV names no host".into())
}

/// Returns a directory of its own in the one that cargo would use.
fn target_directory(arguments: &[OsString]) -> Result<PathBuf, String> {
    // Objects with the pass and without it may not meet, and cargo does not know which are which.
    let left = env::var(LEFT_PLAIN).unwrap_or_default();
    let own = match left.split_whitespace().collect::<Vec<_>>().join("-") {
        none if none.is_empty() => "forkcheck".to_owned(),
        names => format!("forkcheck-without-{names}"),
    };
    if let Some(directory) = value(arguments, "--target-dir") {
        return Ok(Path::new(&directory).join(own));
    }
    let mut metadata = Command::new(tool("CARGO", "cargo"));
    metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
    if let Some(manifest) = value(arguments, "--manifest-path") {
        metadata.args(["--manifest-path", &manifest]);
    }
    let metadata: serde_json::Value = serde_json::from_str(&printed(&mut metadata)?)
        .map_err(|error| format!("cargo metadata printed something else: {error}"))?;
    let directory = metadata["target_directory"].as_str();
    let directory = directory.ok_or("cargo metadata names no target directory")?;
    Ok(Path::new(directory).join(own))
}

/// Compiles the functions for programs that are built from instrumented crates and do not link
/// forkcheck.
fn alone(directory: &Path, target: &str) -> Result<PathBuf, String> {
    let failed = |error| format!("{} cannot be written: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    let source = directory.join("forkcheck_alone.rs");
    // Another cargo may compile it at the same time.
    let whole = directory.join(format!("forkcheck_alone-{}.rs", std::process::id()));
    std::fs::write(&whole, include_str!("wrapper/alone.rs")).map_err(failed)?;
    std::fs::rename(&whole, &source).map_err(failed)?;
    let library = directory.join(format!("libforkcheck_alone-{target}.rlib"));
    let mut compiler = Command::new(tool("RUSTC", "rustc"));
    compiler.args(["--crate-type=rlib", "--edition=2024", "-Copt-level=2"]);
    compiler.args(["--target", target, "-o"]).arg(&library);
    printed(compiler.arg(source)).map(|_| library)
}

/// Returns the variable that the `cc` crate reads first for this target, with the flags that it
/// would have read and the pass.
fn c_flags(language: &str, target: &str) -> (String, OsString) {
    let name = format!("{language}_{}", target.replace('-', "_"));
    let read = [
        format!("{language}_{target}"),
        name.clone(),
        format!("TARGET_{language}"),
        language.to_owned(),
    ];
    let mut flags = read.iter().find_map(env::var_os).unwrap_or_default();
    flags.push(" -fsanitize=thread -g");
    (name, flags)
}

/// Runs the compiler in place of this process, through the user's own wrapper; returns the reason
/// why that failed.
fn compile(compiler: OsString, arguments: Vec<OsString>, inner: &OsStr) -> String {
    let arguments = instrumented(arguments);
    let mut command = if inner.is_empty() {
        Command::new(&compiler)
    } else {
        let mut command = Command::new(inner);
        command.arg(&compiler);
        command
    };
    let error = command.args(arguments).exec();
    format!("{} did not start: {error}", compiler.to_string_lossy())
}

/// Returns the arguments of a compiler, with the options that the crate needs: none, if it is not
/// for the target.
fn instrumented(arguments: Vec<OsString>) -> Vec<OsString> {
    let crate_name = value(&arguments, "--crate-name");
    let is_for_target = value(&arguments, "--target").is_some();
    let Some(name) = crate_name else {
        return arguments;
    };
    if !is_for_target {
        // Of build scripts and procedural macros, code in C is compiled with the flags of the target all the same.
        let links = name != "___";
        return arguments
            .into_iter()
            .chain(link_alone().filter(|_| links))
            .collect();
    }
    let cfg = ["--cfg".to_owned(), CFG.to_owned()].map(OsString::from);
    if name == "___" {
        // Cargo asks for the target's conditions, by which it chooses dependencies.
        return arguments.into_iter().chain(cfg).collect();
    }
    let mut arguments = optimised(arguments);
    arguments.extend(cfg);
    arguments.extend(["--check-cfg".into(), format!("cfg({CFG})").into()]);
    let left = env::var(LEFT_PLAIN).unwrap_or_default();
    let is_plain = PLAIN.contains(&&*name) || left.split_whitespace().any(|left| left == name);
    if !is_plain && value(&arguments, "--crate-type").as_deref() != Some("proc-macro") {
        arguments.extend(PASS.map(OsString::from));
    }
    arguments.extend(link_alone());
    arguments
}

/// The option by which a program links what code in C calls, where forkcheck is not part of it.
fn link_alone() -> Option<OsString> {
    let mut option = OsString::from("-Clink-arg=");
    option.push(env::var_os(ALONE)?);
    Some(option)
}

/// Returns the arguments with optimisation, without which generics are linked from crates that were built without the pass, and with lines.
fn optimised(arguments: Vec<OsString>) -> Vec<OsString> {
    let (mut level, mut asserts, mut lines) = (None, false, false);
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy().into_owned();
        let (words, option) = match text.as_str() {
            "-C" | "--codegen" => match arguments.next() {
                Some(next) => (
                    vec![argument, next.clone()],
                    next.to_string_lossy().into_owned(),
                ),
                None => (vec![argument], String::new()),
            },
            _ => {
                let option = text.strip_prefix("-C").or(text.strip_prefix("--codegen="));
                let option = option.unwrap_or_default().to_owned();
                (vec![argument], option)
            }
        };
        match option.split_once('=') {
            Some(("opt-level", found)) => level = Some(found.to_owned()),
            // Reports name lines.
            Some(("strip", _)) => {}
            Some((name, found)) => {
                asserts |= name == "debug-assertions";
                let has_lines = name == "debuginfo" && found != "0" && found != "none";
                lines |= has_lines;
                if name != "debuginfo" || has_lines {
                    kept.extend(words);
                }
            }
            None => kept.extend(words),
        }
    }
    let enough = level.clone().filter(|level| level == "2" || level == "3");
    kept.push(format!("-Copt-level={}", enough.unwrap_or_else(|| "2".into())).into());
    let unoptimised = level.is_none_or(|level| level == "0");
    if unoptimised && !asserts {
        // Debug assertions are on by default where nothing is optimised.
        kept.push("-Cdebug-assertions=on".into());
    }
    if !lines {
        kept.push("-Cdebuginfo=line-tables-only".into());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> String {
        let arguments = text.split_whitespace().map(OsString::from).collect();
        let options = instrumented(arguments).into_iter();
        let options: Vec<String> = options
            .map(|option| option.to_string_lossy().into())
            .collect();
        options.join(" ")
    }

    #[test]
    fn crates_of_the_target_have_the_pass_and_what_answers_it_has_none() {
        let has_pass = |text| options(text).contains("-Cpasses=function(tsan)");
        assert!(has_pass(
            "--crate-name heapless --crate-type lib --target x86_64-unknown-linux-gnu"
        ));
        assert!(has_pass(
            "--crate-name a --test --target=x86_64-unknown-linux-gnu"
        ));
        assert!(!has_pass(
            "--crate-name forkcheck --crate-type lib --target x"
        ));
        assert!(!has_pass(
            "--crate-name build_script_build --crate-type bin"
        ));
        assert!(!has_pass(
            "--crate-name derive --crate-type proc-macro --target x"
        ));
        assert_eq!(options("-vV"), "-vV");
    }

    #[test]
    fn all_of_them_are_optimised_and_keep_lines_and_assertions() {
        let debug = options("--crate-name a --target x -C debuginfo=2");
        assert!(
            debug.contains("-Copt-level=2 -Cdebug-assertions=on"),
            "{debug}"
        );
        let release = options("--crate-name a --target x -C opt-level=3 -C strip=debuginfo");
        assert!(
            release.contains("-Copt-level=3 -Cdebuginfo=line-tables-only"),
            "{release}"
        );
        assert!(
            !release.contains("strip") && !release.contains("assertions"),
            "{release}"
        );
        let small = options("--crate-name a --target x -Copt-level=s");
        assert!(
            small.contains("-Copt-level=2") && !small.contains("assertions"),
            "{small}"
        );
        assert!(options("--crate-name ___ --target x").ends_with("--cfg forkcheck_instrumented"));
    }
}
