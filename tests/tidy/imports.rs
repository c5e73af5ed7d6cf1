//! The uses of one top-level module of `src/` by another: by `crate::`, `$crate::`, `super::`, and
//! `forkcheck::` in the command.

use crate::source::{Repository, Token, is_word, tokens};
use std::collections::BTreeMap;

/// `from` names something of `to`, at `file:line`; the error is a name at the crate's root that no module explains.
pub(crate) struct Import {
    pub(crate) at: String,
    pub(crate) from: String,
    pub(crate) to: Result<String, String>,
}

/// Returns the top-level modules, each with a file of it. `main` is one; `lib` is the root and does
/// not count.
pub(crate) fn modules(repository: &Repository) -> BTreeMap<String, String> {
    let files = repository
        .under("src/")
        .filter(|(path, _)| path.ends_with(".rs") && *path != "src/lib.rs");
    files
        .map(|(path, _)| (place(path)[0].clone(), path.to_owned()))
        .collect()
}

/// `src/a/b.rs` is `[a, b]`, `src/a/mod.rs` is `[a]`, `src/lib.rs` is `[]`.
pub(crate) fn place(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let path = if path == "lib" {
        ""
    } else {
        path.trim_end_matches("/mod")
    };
    path.split('/')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(crate) fn imports(repository: &Repository) -> Vec<Import> {
    let modules = modules(repository);
    let root = root_names(repository);
    let mut found = vec![];
    for (from, file) in files(repository) {
        for (line, mut path) in paths(&tokens(repository.text(file)), &place(file)) {
            match path.remove(0).as_str() {
                "crate" => {}
                "forkcheck" if from == "main" => {}
                _ => continue,
            }
            let Some(name) = path.into_iter().next() else {
                continue;
            };
            let to = if modules.contains_key(&name) {
                Ok(name)
            } else {
                root.get(&name).cloned().ok_or(name)
            };
            if to.as_ref() != Ok(&from) {
                found.push(Import {
                    at: format!("{file}:{line}"),
                    from: from.clone(),
                    to,
                });
            }
        }
    }
    found
}

/// Returns every path that `module` spells out from a crate's name or from its own root, with its
/// place.
pub(crate) fn paths_of<'a>(
    repository: &'a Repository,
    module: &'a str,
) -> impl Iterator<Item = (String, String)> {
    let files = files(repository).filter(move |(from, _)| from == module);
    files.flat_map(|(_, file)| {
        let found = paths(&tokens(repository.text(file)), &place(file));
        found
            .into_iter()
            .map(move |(line, path)| (format!("{file}:{line}"), path.join("::")))
    })
}

pub(crate) fn files(repository: &Repository) -> impl Iterator<Item = (String, &str)> {
    let rust = repository
        .under("src/")
        .filter(|(path, _)| path.ends_with(".rs"));
    rust.filter_map(|(path, _)| Some((place(path).first()?.clone(), path)))
}

/// Returns the names at the root that come from a module: `pub use a::Name` in lib.rs, and exported
/// macros.
fn root_names(repository: &Repository) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let root = tokens(repository.text("src/lib.rs"));
    for (i, _) in root.iter().enumerate().filter(|(_, t)| t.text == "use") {
        for path in expand(&root, i + 1).0 {
            let path: Vec<_> = path
                .into_iter()
                .skip_while(|part| part == "crate" || part == "self")
                .collect();
            if let [module, .., name] = &path[..] {
                names.insert(name.clone(), module.clone());
            }
        }
    }
    for (module, file) in files(repository) {
        let tokens = tokens(repository.text(file));
        let macros = tokens
            .windows(3)
            .filter(|w| w[0].text == "macro_rules" && w[1].text == "!");
        names.extend(macros.map(|w| (w[2].text.clone(), module.clone())));
    }
    names
}

/// Returns the paths in `tokens`, with groups expanded, and with `super` resolved against `place`
/// and the inline modules around it: a path within the crate starts with `crate`, one into another
/// starts with the name of that crate.
pub(crate) fn paths(tokens: &[Token], place: &[String]) -> Vec<(usize, Vec<String>)> {
    let text = |i: usize| tokens.get(i).map_or("", |t: &Token| t.text.as_str());
    let before = |i: usize, n: usize| i.checked_sub(n).map_or("", text);
    let mut found = vec![];
    let mut braces: Vec<Option<String>> = vec![]; // open braces, those of inline modules with the name
    for (i, token) in tokens.iter().enumerate() {
        match text(i) {
            "{" => {
                let names_module = [before(i, 2), before(i, 3)].contains(&"mod"); // `mod a {`, `mod $a {`
                braces.push(names_module.then(|| before(i, 1).to_owned()));
            }
            "}" => drop(braces.pop()),
            _ => {}
        }
        let continues = before(i, 1) == "::"
            && before(i, 2) != "use"
            && before(i, 2).ends_with(|c: char| is_word(c) || c == '>');
        let starts = [
            "crate",
            "super",
            "self",
            "std",
            "core",
            "nix",
            "libc",
            "forkcheck",
        ]
        .contains(&text(i));
        if !starts
            || continues
            || (text(i + 1) != "::" && !["use", "crate"].contains(&before(i, 1)))
        {
            continue;
        }
        for path in expand(tokens, i).0 {
            let ups = path
                .iter()
                .take_while(|part| *part == "super" || *part == "self");
            let (steps, ups) = (
                ups.clone().count(),
                ups.filter(|part| *part == "super").count(),
            );
            let mut whole = path;
            if steps > 0 {
                let inside = place
                    .iter()
                    .cloned()
                    .chain(braces.iter().flatten().cloned());
                let here: Vec<_> = inside.collect();
                let kept = here[..here.len().saturating_sub(ups)].iter().cloned();
                whole = [String::from("crate")]
                    .into_iter()
                    .chain(kept)
                    .chain(whole.split_off(steps))
                    .collect();
            }
            found.push((token.line, whole));
        }
    }
    found
}

/// Returns the path that begins at `tokens[i]`, one for each leaf of its groups, and the position
/// of its end.
fn expand(tokens: &[Token], mut i: usize) -> (Vec<Vec<String>>, usize) {
    let text = |i: usize| tokens.get(i).map_or("", |t: &Token| t.text.as_str());
    let mut path = vec![];
    loop {
        if text(i) == "{" {
            let mut leaves = vec![];
            i += 1;
            while !["}", ""].contains(&text(i)) {
                if text(i) == "," {
                    i += 1;
                    continue;
                }
                let (found, end) = expand(tokens, i);
                leaves.extend(found.into_iter().map(|leaf| [path.clone(), leaf].concat()));
                i = end.max(i + 1);
            }
            return (leaves, i + 1);
        }
        if text(i) != "*" && !text(i).starts_with(is_word) {
            return (vec![path], i);
        }
        path.push(text(i).to_owned());
        i += 1;
        if text(i) == "as" {
            i += 2;
        }
        if text(i) != "::" {
            return (vec![path], i);
        }
        i += 1;
    }
}
