//! The rules about dependencies between modules: imports, purity, and where `unsafe` is.

use crate::imports::{imports, modules, paths_of};
use crate::source::{Repository, Token, tokens};
use crate::{IMPURE, LAYERS, PURE, UNSAFE, has, holds};

#[test]
fn imports_go_one_way() {
    let planted = [
        ("src/engine/planted.rs", "//! .\nuse crate::publish::Ring;"),
        (
            "src/memory/planted.rs",
            "//! .\nuse super::super::{error, case::Case};",
        ),
        (
            "src/memory/planted.rs",
            "//! .\nfn f() -> crate::Region { todo!() }",
        ),
        (
            "src/region/planted.rs",
            "//! .\nuse crate::{memory::{self, Incarnation}, spec::{Spec}};",
        ),
        (
            "src/case/planted.rs",
            "//! .\nmod tests { mod deep { use super::super::super::super::engine; } }",
        ),
        (
            "src/check/planted.rs",
            "//! .\nmacro_rules! m { () => { $crate::engine::Run } }",
        ),
        ("src/spec/planted.rs", "//! .\nuse crate::*;"),
        ("src/planted.rs", "//! A module without a row."),
        ("src/main.rs", "//! .\nuse forkcheck::workers::Pool;"),
    ];
    holds(upward_imports, &planted);
    let harmless = r##"//! crate::publish
        /* /* */ crate::publish */ const A: &str = "crate::publish"; const B: char = '"'; // crate::publish
        const C: &str = r#"" crate::publish"#; use self::planted; fn f<'a>(_: &'a crate::case::Case) {}
        mod tests { use super::*; mod deep { use super::{super::hidden, *}; } }
        macro_rules! m { ($name:ident) => { mod $name { use super::*; } } }"##;
    let planted = Repository::read().with("src/engine.rs", harmless);
    assert_eq!(
        upward_imports(&planted),
        [""; 0],
        "comments, strings and a module's own names are no imports"
    );
}

#[test]
fn the_layers_have_no_cycle() {
    for (row, (from, allowed)) in LAYERS.iter().enumerate() {
        for to in allowed.split_whitespace() {
            let below = LAYERS[row + 1..].iter().any(|(name, _)| *name == to);
            assert!(below, "{from} may import {to}, which has no row below it");
        }
    }
}

fn upward_imports(repository: &Repository) -> Vec<String> {
    let mut complaints: Vec<_> = modules(repository)
        .into_iter()
        .filter(|(module, _)| !LAYERS.iter().any(|(name, _)| name == module))
        .map(|(module, path)| {
            format!("{path}: module {module} has no row in LAYERS: say what it may import")
        })
        .collect();
    for import in imports(repository) {
        let allowed = LAYERS
            .iter()
            .find(|(name, _)| *name == import.from)
            .map_or("", |(_, allowed)| allowed);
        match &import.to {
            Err(name) => complaints.push(format!(
                "{}: cannot tell which module crate::{name} belongs to",
                import.at
            )),
            Ok(to) if to == "error" || allowed.split_whitespace().any(|name| name == to) => {}
            Ok(to) => complaints.push(format!(
                "{}: {} imports {to}, and may import: {allowed}",
                import.at, import.from
            )),
        }
    }
    complaints
}

#[test]
fn checks_and_strategies_are_pure() {
    let planted = [
        (
            "src/check/planted.rs",
            "//! .\nuse std::{collections::HashMap, time::Instant};",
        ),
        ("src/check/planted.rs", "//! .\nuse ::std::fs;"),
        ("src/schedule/planted.rs", "//! .\nuse nix::unistd;"),
        (
            "src/schedule/planted.rs",
            "//! .\nfn f(_: core::time::Duration) {}",
        ),
        ("src/schedule.rs", "//! .\nuse libc as c;"),
    ];
    let rule = |repository: &Repository| {
        let paths = PURE.iter().flat_map(|module| paths_of(repository, module));
        let impure = paths.filter(|(_, path)| {
            let path = path.replacen("core::", "std::", 1);
            path == "std::*"
                || IMPURE
                    .split_whitespace()
                    .any(|i| path == i || path.starts_with(&format!("{i}::")))
        });
        impure
            .map(|(at, path)| format!("{at}: {path} in a module that is pure"))
            .collect()
    };
    holds(rule, &planted);
}

#[test]
fn unsafe_is_where_the_list_says_and_says_so_itself() {
    let planted = [
        (
            "src/planted.rs",
            "//! .\n#![allow(unsafe_code, reason = \"r\")]\nfn f() { unsafe {} }",
        ),
        ("tests/planted.rs", "//! .\nunsafe extern \"C\" {}"),
        (
            "src/memory/hardware.rs",
            "//! Without its allow.\nfn f() { unsafe {} }",
        ),
        (
            "src/memory/hardware.rs",
            "//! Without a reason.\n#![allow(unsafe_code)]\nfn f() { unsafe {} }",
        ),
        (
            "src/memory/hardware.rs",
            "//! A row too many: none left here.",
        ),
    ];
    let rule = |repository: &Repository| {
        let uses = |tokens: &[Token]| tokens.iter().any(|token| token.text == "unsafe");
        let mut complaints = vec![];
        for (path, tokens) in repository.rust().filter(|(_, tokens)| uses(tokens)) {
            if !UNSAFE.iter().any(|(listed, _)| *listed == path) {
                complaints.push(format!("{path}: unsafe, and not in the list UNSAFE"));
            }
            if !has(&tokens, &["allow", "(", "unsafe_code", ",", "reason", "="]) {
                complaints.push(format!("{path}: lacks allow(unsafe_code, reason = ...)"));
            }
        }
        let idle = UNSAFE
            .iter()
            .filter(|(listed, _)| !uses(&tokens(repository.text(listed))));
        complaints.extend(
            idle.map(|(path, _)| format!("{path}: in the list UNSAFE, and has none or is gone")),
        );
        complaints
    };
    holds(rule, &planted);
}
