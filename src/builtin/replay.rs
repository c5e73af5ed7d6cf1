//! Saved cases from a token or a file, of any suite.

use crate::error::Error;
use crate::regression;
use crate::report;
use crate::spec::Spec;
use std::path::Path;

/// A saved case.
#[derive(Clone, Debug)]
pub struct SavedCase {
    /// The case's suite, if it is one of those given to [`known`].
    pub suite: Option<String>,
    /// The engine that found it.
    pub engine: String,
    /// The command that replays it, where it is not of a built-in structure.
    pub command: String,
    case: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Token(String),
    /// The suite, and the case as text.
    Text(String, Box<ron::value::RawValue>),
}

impl SavedCase {
    /// Returns its token, if its operations are those of the spec.
    pub(super) fn token<S: Spec>(&self) -> Result<String, Error> {
        match &self.case {
            Form::Token(token) => Ok(token.clone()),
            Form::Text(suite, case) => {
                let case = regression::from_text::<S>(case)?;
                regression::token(suite, &self.engine, &case)
            }
        }
    }
}

/// Returns the cases in `target`: a token from a report, or a file of saved cases. The cases may be
/// of these `suites`, given by name.
///
/// # Errors
/// If `target` is neither, or cannot be read.
pub fn known(target: &str, suites: &[&str]) -> Result<Vec<SavedCase>, Error> {
    if regression::is_token(target) {
        let (suite, engine) = regression::whose(target)?;
        return Ok(vec![SavedCase {
            command: format!(
                "FORKCHECK_REPLAY={} {}",
                target.trim(),
                report::command_of_suite(&suite, &engine)
            ),
            suite: suites.contains(&&*suite).then_some(suite),
            engine,
            case: Form::Token(target.trim().to_owned()),
        }]);
    }
    let file = Path::new(target);
    let is_of = |suite: &&&str| {
        let named = regression::file_of(Path::new(""), suite);
        file.file_name() == named.file_name()
    };
    let suite = suites.iter().find(is_of).map(|suite| suite.to_string());
    let entries = regression::entries(file)?;
    let known = entries.into_iter().map(|(engine, case)| SavedCase {
        suite: suite.clone(),
        command: "cargo test".into(),
        engine,
        case: Form::Text(suite.clone().unwrap_or_default(), case),
    });
    Ok(known.collect())
}
