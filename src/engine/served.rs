//! The two halves of an engine: a [`Served`] in the test process asks, and [`serve`] in a zygote
//! answers.
//!
//! A request is a case, the roles and a budget; an answer is the result of a search, or an error as
//! text.

use super::{Answer, Budget, Covered, Run, incomplete};
use crate::case::{Case, History, Schedule};
use crate::check::Verdict;
use crate::error::Error;
use crate::process::{Channel, Job, Session, answer_requests, end_strays, print_backtraces};
use crate::reached;
use crate::spec::Spec;
use serde::{Serialize, de::DeserializeOwned};

/// The client of a zygote that runs one job, started at the first request.
#[derive(Default)]
pub(super) struct Served {
    session: Option<(&'static str, Session)>,
}

impl Served {
    /// Asks the zygote that runs `job`; after an error the next call starts a new one.
    pub(super) fn ask<S: Spec>(
        &mut self,
        job: &'static Job,
        case: &Case<S>,
        roles: &[String],
        budget: &Budget,
    ) -> Result<Answer<S>, Error> {
        let request = encode(&(case, roles, budget))?;
        let (name, mut session) = match self.session.take() {
            Some(kept) if kept.0 == job.name() => kept,
            _ => (job.name(), Session::start(job)?),
        };
        let answer = session.ask(&request)?;
        self.session = Some((name, session));
        decode::<Result<Answer<S>, String>>(&answer)?.map_err(Error::relayed)
    }

    /// Returns the last output of the zygote and its children.
    pub(super) fn output(&self) -> String {
        self.session
            .as_ref()
            .map(|(_, session)| session.output())
            .unwrap_or_default()
    }
}

/// The search of an engine in the zygote. It is `dyn`, so that what asks it is compiled once for each specification and not once for
/// each structure.
pub(super) type Search<'a, S> =
    dyn FnMut(Case<S>, Vec<String>, Budget) -> Result<Answer<S>, Error> + 'a;

/// Answers requests in the zygote until the client is gone, for engines that do not schedule steps.
pub(super) fn serve<S: Spec>(channel: &mut Channel, search: &mut Search<'_, S>) {
    serve_placed(channel, &mut |case, roles, budget| {
        if case.schedule == Schedule::Free && case.kills.is_empty() {
            return search(case, roles, budget);
        }
        let why = "the case places steps or kills, which this engine cannot";
        Ok((
            Covered::default(),
            Some(bare(case, Verdict::Unavailable(why.into()))),
        ))
    });
}

/// Answers requests in the zygote, for engines that schedule steps and kills.
pub(super) fn serve_placed<S: Spec>(channel: &mut Channel, search: &mut Search<'_, S>) {
    answer_each(channel, &mut |request| {
        let (case, roles, budget): (Case<S>, Vec<String>, Budget) = decode(request)?;
        print_backtraces(budget.backtraces)?;
        let (covered, run) = match refused(&case, &roles) {
            Some(verdict) => (Covered::default(), Some(bare(case, verdict))),
            None => search(case, roles, budget)?,
        };
        let reached = reached::taken();
        encode(&Ok::<Answer<S>, String>((
            Covered { reached, ..covered },
            run,
        )))
    });
}

/// Returns the bytes of the answer to the bytes of a request.
type Answers<'a> = dyn FnMut(&[u8]) -> Result<Vec<u8>, Error> + 'a;

/// Answers each request by what `answer` encodes, or by its error. It is `dyn`, as each structure would otherwise compile this
/// function for each engine.
fn answer_each(channel: &mut Channel, answer: &mut Answers<'_>) {
    grow_stack();
    answer_requests();
    reached::follow();
    while let Some(request) = channel.next() {
        let answer = answer(&request);
        let answer = match end_strays() {
            left if left.is_empty() => answer,
            left => Err(Error::invalid(
                format!("operations left processes behind that cannot be killed: {left:?}"),
                "end them by hand, and let operations start none that outlive them",
            )),
        };
        // An error has the same bytes whatever the answer's type.
        let told = |error: Error| encode(&Err::<(), String>(error.to_string()));
        let Ok(bytes) = answer.or_else(told) else {
            return;
        };
        if channel.reply(&bytes).is_err() {
            return;
        }
    }
}

/// The stack that this process, and each that it forks, has before code of the suite runs in them.
const STACK: usize = 256 << 10;

/// Makes the stack of this process grow while it may: code of the suite may lower a limit on memory, and that alone is no
/// finding.
#[inline(never)]
fn grow_stack() {
    std::hint::black_box(&mut [0u8; STACK]);
}

/// Returns the verdict on a case that no such engine can run.
fn refused<S: Spec>(case: &Case<S>, roles: &[String]) -> Option<Verdict<S>> {
    let (processes, expected) = (case.program.len(), roles.len());
    if processes != expected {
        return Some(Verdict::Unknown(format!(
            "the case has {processes} processes and the suite {expected}; it was made for another suite"
        )));
    }
    if case.operations() == 0 {
        return incomplete(case, &History { calls: Vec::new() });
    }
    None
}

/// Makes a run of which only the verdict is known.
pub(super) fn bare<S: Spec>(case: Case<S>, verdict: Verdict<S>) -> Run<S> {
    let history = History {
        calls: vec![Vec::new(); case.program.len()],
    };
    Run {
        case,
        history,
        steps: Vec::new(),
        verdict,
        scope: None,
    }
}

const AGREE: &str = "make sure that Serialize and Deserialize of the setup, operations and results agree (no untagged enums)";

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    postcard::to_stdvec(value)
        .map_err(|e| Error::system("encode a message of the zygote", e, AGREE))
}

/// Decodes all of `bytes` as a value. Bytes left over mean that the two sides use different types.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let error = |e| Error::system("decode a message of the zygote", e, AGREE);
    match postcard::take_from_bytes(bytes).map_err(error)? {
        (value, []) => Ok(value),
        _ => Err(error(postcard::Error::DeserializeBadEncoding)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_left_over_are_an_error_and_never_another_value() {
        // An Ok with a value behind it begins like a None. It was once taken for one, and a finding
        // was lost.
        let bytes = encode(&Ok::<_, String>((3u64, Some(7u64)))).unwrap();
        assert!(decode::<Option<u64>>(&bytes).is_err());
        assert_eq!(
            decode::<Result<(u64, Option<u64>), String>>(&bytes).unwrap(),
            Ok((3, Some(7)))
        );
    }
}
