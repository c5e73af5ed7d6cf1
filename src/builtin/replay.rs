//! Cases that failed before, from a token or a file, for whichever suite they are.

use crate::error::Error;
use crate::regression;
use crate::report;
use crate::spec::Spec;
use std::path::Path;

/// A case that failed before.
#[derive(Clone, Debug)]
pub struct Known {
    /// The suite that it is of, if that is one of those it was looked for in.
    pub suite: Option<String>,
    /// The engine that found it.
    pub engine: String,
    /// The command that runs it again, where it is not of a built-in structure.
    pub command: String,
    case: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Token(String),
    /// The suite, and the case as text.
    Text(String, Box<ron::value::RawValue>),
}

impl Known {
    /// Its token, if its operations are those of the spec.
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

/// Returns the cases that `target` holds: a token from a report, or a file of saved cases. They may be of these `suites`, by
/// their names.
///
/// # Errors
/// It is neither, or cannot be read.
pub fn known(target: &str, suites: &[&str]) -> Result<Vec<Known>, Error> {
    if regression::is_token(target) {
        let (suite, engine) = regression::whose(target)?;
        return Ok(vec![Known {
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
    let known = entries.into_iter().map(|(engine, case)| Known {
        suite: suite.clone(),
        command: "cargo test".into(),
        engine,
        case: Form::Text(suite.clone().unwrap_or_default(), case),
    });
    Ok(known.collect())
}
