//! The repository as text, and Rust text as tokens without comments. Called by every rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Every text file of the project by its path from the root, those of them that may be executed, and the names at the top level.
#[derive(Clone)]
pub(crate) struct Repository {
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) executable: BTreeSet<String>,
    pub(crate) top_level: BTreeSet<String>,
}

impl Repository {
    pub(crate) fn read() -> Self {
        let mut repository = Self {
            files: BTreeMap::new(),
            executable: BTreeSet::new(),
            top_level: BTreeSet::new(),
        };
        repository.walk(Path::new(env!("CARGO_MANIFEST_DIR")), "");
        for file in [
            "src/lib.rs",
            "tests/tidy/main.rs",
            "Cargo.toml",
            "README.md",
            ".ci/run",
            ".github/workflows/ci.yml",
        ] {
            assert!(
                repository.files.contains_key(file),
                "{file} is missing: nothing was read, or it was moved"
            );
        }
        repository
    }

    fn walk(&mut self, folder: &Path, prefix: &str) {
        for entry in
            fs::read_dir(folder).unwrap_or_else(|e| panic!("read {}: {e}", folder.display()))
        {
            let path = entry.expect("list a folder").path();
            let name = path
                .file_name()
                .expect("an entry has a name")
                .to_string_lossy()
                .into_owned();
            let key = format!("{prefix}{name}");
            if prefix.is_empty() {
                self.top_level.insert(name.clone());
            }
            if path.is_dir() {
                if !["target", ".git"].contains(&name.as_str()) {
                    self.walk(&path, &format!("{key}/"));
                }
            } else if key == ".ci/run"
                || key == ".gitignore"
                || [".rs", ".sh", ".toml", ".md", ".yml"]
                    .iter()
                    .any(|end| name.ends_with(end))
            {
                let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {key}: {e}"));
                let about = fs::metadata(&path).unwrap_or_else(|e| panic!("look at {key}: {e}"));
                if about.permissions().mode() & 0o111 == 0o111 {
                    self.executable.insert(key.clone());
                }
                self.files.insert(key, text);
            }
        }
    }

    /// Returns the same repository with one file added or replaced, which may not be executed.
    pub(crate) fn with(&self, path: &str, text: &str) -> Self {
        let mut planted = self.clone();
        planted.files.insert(path.into(), text.into());
        planted.executable.remove(path);
        planted
            .top_level
            .insert(path.split('/').next().expect("split yields one").into());
        planted
    }

    /// Returns the text of one file; empty if it does not exist.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.get(path).map_or("", String::as_str)
    }

    pub(crate) fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .filter(move |(path, _)| path.starts_with(folder))
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, Arc<[Token]>)> {
        self.under("")
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path, tokens(text)))
    }
}

/// A word, a string with its quotes, `::`, or one other character.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Returns Rust text as tokens. It skips comments and blanks; a string or a character is one token,
/// and its content does not count.
///
/// Each text is read once: a rule sees all files again for each offence that is planted.
pub(crate) fn tokens(source: &str) -> Arc<[Token]> {
    static KNOWN: Mutex<BTreeMap<String, Arc<[Token]>>> = Mutex::new(BTreeMap::new());
    let known = KNOWN
        .lock()
        .expect("no rule panics here")
        .get(source)
        .cloned();
    known.unwrap_or_else(|| {
        let tokens: Arc<[Token]> = split(source).into();
        let mut known = KNOWN.lock().expect("no rule panics here");
        known.insert(source.to_owned(), Arc::clone(&tokens));
        tokens
    })
}

fn split(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut found, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let start = i;
        match at(i) {
            c if c.is_whitespace() => i += 1,
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            '"' => i = after_quote(&chars, i + 1, '"'),
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => i = after_quote(&chars, i + 1, '\''),
            ':' if at(i + 1) == ':' => i += 2,
            c if is_word(c) || c == '\'' => {
                i += 1;
                while is_word(at(i)) {
                    i += 1;
                }
                let hashes = (i..chars.len()).take_while(|&j| at(j) == '#').count();
                let raw = chars[start..i].ends_with(&['r']) && i - start <= 2;
                if raw && at(i + hashes) == '"' {
                    i += hashes + 1;
                    while i < chars.len()
                        && !(at(i) == '"' && (1..=hashes).all(|j| at(i + j) == '#'))
                    {
                        i += 1;
                    }
                    i += hashes + 1;
                }
            }
            _ => i += 1,
        }
        i = i.min(chars.len());
        let text: String = chars[start..i].iter().collect();
        let blank = text.starts_with(char::is_whitespace)
            || text.starts_with("//")
            || text.starts_with("/*");
        let lines = text.matches('\n').count();
        if !blank {
            found.push(Token { text, line });
        }
        line += lines;
    }
    found
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn after_quote(chars: &[char], mut i: usize, quote: char) -> usize {
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}
