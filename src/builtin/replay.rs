//! Cases that failed before, from a token or a file, for whichever suite they are.

use super::all;
use crate::error::Error;
use crate::regression;
use crate::report;
use crate::spec::Spec;
use std::path::Path;

/// A case that failed before.
#[derive(Clone, Debug)]
pub struct Known {
    /// The name of the built-in structure, if it is of one.
    pub builtin: Option<&'static str>,
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

/// The cases that `target` holds: a token from a report, or a file of saved cases.
///
/// # Errors
/// It is neither, or cannot be read.
pub fn known(target: &str) -> Result<Vec<Known>, Error> {
    if regression::is_token(target) {
        let (suite, engine) = regression::whose(target)?;
        let builtin = all().into_iter().find(|builtin| builtin.suite == suite);
        return Ok(vec![Known {
            builtin: builtin.map(|builtin| builtin.name),
            command: format!(
                "FORKCHECK_REPLAY={} {}",
                target.trim(),
                report::command_of_suite(&suite, &engine)
            ),
            engine,
            case: Form::Token(target.trim().to_owned()),
        }]);
    }
    let file = Path::new(target);
    let named = |builtin: &super::Builtin| regression::file_of(Path::new(""), &builtin.suite);
    let builtin = all()
        .into_iter()
        .find(|builtin| file.file_name() == named(builtin).file_name());
    let entries = regression::entries(file)?;
    let known = entries.into_iter().map(|(engine, case)| Known {
        builtin: builtin.as_ref().map(|builtin| builtin.name),
        command: "cargo test".into(),
        engine,
        case: Form::Text(
            builtin
                .as_ref()
                .map_or(String::new(), |builtin| builtin.suite.clone()),
            case,
        ),
    });
    Ok(known.collect())
}
