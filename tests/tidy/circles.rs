//! The rule about the files of one folder: none of them reaches itself through what it imports.
//!
//! A folder's files are its `mod.rs`, its other files, and each of its subfolders as a whole. Declaring a module and passing
//! a name on (`mod a;`, `pub use a::B;`) use nothing; a name that is passed on counts for the file that defines it. Unit
//! tests (`mod tests`) may use whatever they test with.

use crate::holds;
use crate::imports::{files, paths, place};
use crate::source::{Repository, Token, tokens};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[test]
fn no_file_of_a_folder_reaches_itself() {
    // `log` uses `seal`.
    let planted = [(
        "src/workers/seal.rs",
        "//! .\nuse super::log::Log;\npub(crate) struct Seal;",
    )];
    holds(circles, &planted);

    // Two files, a folder and a file, and a folder's own items: each one through names that others pass on.
    let caught = [
        "mod a;\nmod b; | use super::b::B;\npub struct A; | fn f(_: super::a::A) {}\npub struct B;",
        "mod a;\nmod b;\npub use a::A;\npub use b::B; | use super::B;\npub struct A; | use crate::planted::A;\npub struct B;",
        "mod a;\npub struct Own;\nfn f(_: a::A) {} | use super::Own;\npub struct A;",
        "mod a;\npub use a::A;\npub struct Own(A); | use super::*;\npub struct A;",
        "mod a;\nmod b;\npub use a::A as Other;\npub use b::B; | use super::B;\npub struct A; | use super::Other;\npub struct B;",
    ];
    for text in caught {
        let complaints = circles(&folder(text));
        let about = complaints.iter().filter(|c| c.contains("src/planted/"));
        assert_eq!(about.count(), 1, "{text}\n{complaints:?}");
    }
    let harmless = [
        "mod a;\nmod b;\npub use a::A;\npub use b::B; | pub struct A;\nmod tests { use super::*; } | use super::A;\npub struct B;",
        "mod a;\nmod b;\npub struct Own; | use super::{Own, b::B};\npub struct A; | use super::Own; // super::a::A\npub struct B;",
        "mod a;\nmod b;\nfn f(_: a::A, _: b::B) {} | use super::b;\npub struct A(b::B); | pub struct B;",
    ];
    for text in harmless {
        let complaints = circles(&folder(text));
        assert!(complaints.is_empty(), "{text}\n{complaints:?}");
    }
}

/// Returns a repository of one folder: `mod.rs`, `a.rs` and `b.rs`, divided by bars.
fn folder(text: &str) -> Repository {
    let names = ["mod", "a", "b"].into_iter().zip(text.split(" | "));
    let empty = Repository {
        files: BTreeMap::new(),
        executable: Default::default(),
        top_level: BTreeSet::new(),
    };
    names.fold(empty, |repository, (name, text)| {
        repository.with(&format!("src/planted/{name}.rs"), &format!("//! .\n{text}"))
    })
}

/// A module's path from the crate's root.
type Module = Vec<String>;

/// A use of the items of one module in another, at `file:line`.
struct Use {
    at: String,
    from: Module,
    to: Module,
}

/// Returns a complaint for each folder in which files reach themselves: one shortest circle.
fn circles(repository: &Repository) -> Vec<String> {
    // By folder, and there by file: the files that it uses, and where.
    let mut folders: BTreeMap<Module, Uses> = BTreeMap::new();
    for Use { at, from, to } in uses(repository) {
        let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        // The modules of the crate have a rule of their own.
        if common == 0 || from == to {
            continue;
        }
        let name = |module: &Module| module.get(common).map_or("mod", String::as_str).to_owned();
        let folder = folders.entry(from[..common].to_vec()).or_default();
        let targets = folder.entry(name(&from)).or_default();
        targets.entry(name(&to)).or_insert(at);
    }
    let shortest = |(folder, files): (&Module, _)| {
        let circle = shortest_circle(files)?;
        Some(format!(
            "src/{}: files in a circle: {}",
            folder.join("/"),
            circle.join(" -> ")
        ))
    };
    folders.iter().filter_map(shortest).collect()
}

/// The files of a folder, with the files that each uses, and where.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

/// Returns the files of a shortest circle, each with the place at which it uses the next.
fn shortest_circle(uses: &Uses) -> Option<Vec<String>> {
    let circle = uses.keys().filter_map(|file| way_back(uses, file));
    let circle = circle.min_by_key(Vec::len)?;
    let after = |i: usize| circle[(i + 1) % circle.len()];
    let named = |(i, file): (usize, &&String)| format!("{file} ({})", uses[*file][after(i)]);
    Some(circle.iter().enumerate().map(named).collect())
}

/// Returns the files of a shortest way from a file to itself.
fn way_back<'a>(uses: &'a Uses, start: &'a String) -> Option<Vec<&'a String>> {
    let mut seen = BTreeSet::new();
    let mut ways = VecDeque::from([vec![start]]);
    while let Some(way) = ways.pop_front() {
        for to in uses
            .get(way[way.len() - 1])
            .into_iter()
            .flat_map(BTreeMap::keys)
        {
            if to == start {
                return Some(way);
            }
            if seen.insert(to) {
                ways.push_back([way.as_slice(), &[to]].concat());
            }
        }
    }
    None
}

/// One name of a `use`, at its line: its path from the crate's root, and the name that it has in the file.
struct Imported {
    line: usize,
    path: Vec<String>,
    name: String,
}

/// One file: its module, the names that it imports, and its tokens outside of `use` and `mod x;`.
struct File<'a> {
    module: Module,
    path: &'a str,
    children: BTreeSet<String>,
    imported: Vec<Imported>,
    own: Vec<Token>,
}

/// Returns all uses of one module's items in another.
fn uses(repository: &Repository) -> Vec<Use> {
    let modules: BTreeSet<Module> = files(repository).map(|(_, file)| place(file)).collect();
    let root = std::iter::once((String::new(), "src/lib.rs"));
    let files: Vec<File> = files(repository)
        .chain(root)
        .map(|(_, path)| File::read(path, repository, &modules))
        .collect();
    // The names of each module that come from elsewhere; macros have theirs at the root.
    let mut names: BTreeMap<(Module, String), Vec<String>> = BTreeMap::new();
    for file in &files {
        for import in &file.imported {
            names.insert(
                (file.module.clone(), import.name.clone()),
                import.path.clone(),
            );
        }
        for name in file.own.windows(3).filter(|w| w[0].text == "macro_rules") {
            let name = name[2].text.clone();
            let path = [file.module.as_slice(), std::slice::from_ref(&name)].concat();
            names.insert((vec![], name), path);
        }
    }
    let mut found = Vec::new();
    for file in &files {
        let mut note = |line: usize, path: &[String], is_used: bool| {
            let to = defined_in(path, &modules, &names);
            // A folder that passes a name on does not use it.
            if is_used || !to.starts_with(&file.module) {
                let (at, from) = (format!("{}:{line}", file.path), file.module.clone());
                found.push(Use { at, from, to });
            }
        };
        let used = file.used();
        for import in &file.imported {
            let is_used = import.name == "*" || used.contains(import.name.as_str());
            note(import.line, &import.path, is_used);
        }
        for (line, path) in file.spelt_out() {
            note(line, &path, true);
        }
    }
    found
}

/// Returns the module that defines what a path names.
fn defined_in(
    path: &[String],
    modules: &BTreeSet<Module>,
    names: &BTreeMap<(Module, String), Vec<String>>,
) -> Module {
    let mut path = path.to_vec();
    // As many steps as names can be passed on, and no end of them where two name one another.
    for _ in 0..16 {
        let depth = (0..=path.len())
            .rev()
            .find(|&n| n == 0 || modules.contains(&path[..n]));
        let depth = depth.unwrap_or(0);
        let Some(name) = path.get(depth) else { break };
        match names.get(&(path[..depth].to_vec(), name.clone())) {
            Some(other) if *other != path => {
                path = other.iter().chain(&path[depth + 1..]).cloned().collect();
            }
            _ => {
                path.truncate(depth);
                break;
            }
        }
    }
    path
}

impl<'a> File<'a> {
    fn read(path: &'a str, repository: &Repository, modules: &BTreeSet<Module>) -> Self {
        let module = place(path);
        let below = modules
            .iter()
            .filter(|other| other.len() == module.len() + 1 && other.starts_with(&module));
        let mut file = Self {
            children: below.filter_map(|child| child.last().cloned()).collect(),
            module,
            path,
            imported: vec![],
            own: vec![],
        };
        file.divide(&tokens(repository.text(path)));
        file
    }

    /// Divides the tokens into the names that are imported and the rest.
    fn divide(&mut self, tokens: &[Token]) {
        let text = |i: usize| tokens.get(i).map_or("", |t: &Token| t.text.as_str());
        let mut modules: Vec<Option<String>> = vec![]; // open braces, those of inline modules with the name
        let (mut kept, mut i) = (vec![], 0);
        while i < tokens.len() {
            match text(i) {
                "use" => {
                    let end = (i..tokens.len()).find(|&end| text(end) == ";");
                    let end = end.unwrap_or(tokens.len());
                    let mut leaves = vec![];
                    leaves_of(&tokens[i + 1..end], &mut 0, &[], &mut leaves);
                    for (path, name) in leaves {
                        let here = self.module.iter().chain(modules.iter().flatten());
                        let here: Vec<String> = here.cloned().collect();
                        let path = absolute(path, &here, &self.children);
                        let line = tokens[i].line;
                        self.imported
                            .extend(path.map(|path| Imported { line, path, name }));
                    }
                    i = end;
                }
                "mod" if text(i + 2) == ";" => i += 2,
                "mod" if text(i + 1) == "tests" && text(i + 2) == "{" => i = closing(tokens, i + 2),
                // A visibility names modules without using them.
                "(" if i >= 1 && text(i - 1) == "pub" => {
                    while i < tokens.len() && text(i) != ")" {
                        i += 1;
                    }
                }
                "{" => {
                    let is_module = i >= 2 && text(i - 2) == "mod";
                    modules.push(is_module.then(|| text(i - 1).to_owned()));
                    kept.push(i);
                }
                "}" => {
                    modules.pop();
                    kept.push(i);
                }
                _ => kept.push(i),
            }
            i += 1;
        }
        let mut kept = kept.into_iter().peekable();
        let is_kept = |(i, token)| kept.next_if_eq(&i).map(|_| token);
        self.own = tokens
            .iter()
            .cloned()
            .enumerate()
            .filter_map(is_kept)
            .collect();
    }

    /// Returns the names that the file uses itself: not those of methods and fields, nor the ends of paths, nor those that are
    /// written as variables are.
    fn used(&self) -> BTreeSet<&str> {
        let text = |i: usize| self.own.get(i).map_or("", |t: &Token| t.text.as_str());
        let before = |i: usize| i.checked_sub(1).map_or("", text);
        let is_use = |&i: &usize| {
            let is_called = ["(", "::", "!"].contains(&text(i + 1));
            let is_type = text(i).starts_with(char::is_uppercase) && text(i + 1) != ":";
            ![".", "::", "fn"].contains(&before(i)) && (is_called || is_type)
        };
        (0..self.own.len()).filter(is_use).map(text).collect()
    }

    /// Returns the paths within the crate that the file spells out outside of `use`.
    fn spelt_out(&self) -> Vec<(usize, Vec<String>)> {
        let whole = paths(&self.own, &self.module).into_iter();
        let whole = whole.filter(|(_, path)| path[0] == "crate");
        let whole = whole.map(|(line, path)| (line, path[1..].to_vec()));
        let of_child = self.own.windows(4).filter(|w| {
            self.children.contains(&w[1].text)
                && w[2].text == "::"
                && ![".", "::"].contains(&&*w[0].text)
        });
        let of_child = of_child.map(|w| {
            let path = [&w[1].text, &w[3].text].into_iter().cloned();
            (w[1].line, self.module.iter().cloned().chain(path).collect())
        });
        whole.chain(of_child).collect()
    }
}

/// Returns the place of the brace that closes the one at `tokens[i]`.
fn closing(tokens: &[Token], i: usize) -> usize {
    let mut open = 0;
    let closes = |(_, token): &(usize, &Token)| {
        open += match token.text.as_str() {
            "{" => 1,
            "}" => -1,
            _ => 0,
        };
        open == 0
    };
    let mut after = tokens.iter().enumerate().skip(i);
    after.find(closes).map_or(tokens.len(), |(end, _)| end)
}

/// Adds the leaves of a `use`: the path of each, and its name in the file.
fn leaves_of(
    tokens: &[Token],
    i: &mut usize,
    before: &[String],
    leaves: &mut Vec<(Vec<String>, String)>,
) {
    let text = |i: usize| tokens.get(i).map_or("", |t: &Token| t.text.as_str());
    let mut path = before.to_vec();
    loop {
        match text(*i) {
            "{" => {
                *i += 1;
                while !["}", ""].contains(&text(*i)) {
                    leaves_of(tokens, i, &path, leaves);
                    *i += usize::from(text(*i) == ",");
                }
                *i += 1;
                return;
            }
            "self" if !path.is_empty() => {}
            "" => return,
            part => path.push(part.to_owned()),
        }
        *i += 1;
        match text(*i) {
            "::" => *i += 1,
            "as" => {
                leaves.push((path, text(*i + 1).to_owned()));
                *i += 2;
                return;
            }
            _ => {
                let name = path.last().cloned().unwrap_or_default();
                leaves.push((path, name));
                return;
            }
        }
    }
}

/// Returns a path from the crate's root, if it leads into the crate.
fn absolute(
    path: Vec<String>,
    here: &[String],
    children: &BTreeSet<String>,
) -> Option<Vec<String>> {
    let first = path.first()?;
    if first == "crate" {
        return Some(path[1..].to_vec());
    }
    let steps = path
        .iter()
        .take_while(|part| ["super", "self"].contains(&part.as_str()));
    let (steps, ups) = (
        steps.clone().count(),
        steps.filter(|part| *part == "super").count(),
    );
    if steps == 0 && !children.contains(first) {
        return None;
    }
    let kept = here[..here.len().saturating_sub(ups)].iter();
    Some(kept.chain(&path[steps..]).cloned().collect())
}
