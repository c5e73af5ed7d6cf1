//! Tokens: one case as a word that can be pasted, through a log or an environment variable. A
//! pasted token is not trusted: its checksum is compared, and each process, operation and step in
//! it is checked against its own program.

use super::form::{VERSION, out_of_range};
use crate::case::{Case, Kill, Program, Schedule};
use crate::error::Error;
use crate::spec::Spec;
use serde::Deserialize;

/// The contents of a token.
#[derive(Debug, PartialEq)]
pub(crate) struct Token<S: Spec> {
    pub(crate) suite: String,
    pub(crate) engine: String,
    pub(crate) case: Case<S>,
}

/// A case in the form of earlier versions.
#[derive(Deserialize)]
#[serde(bound = "")]
#[expect(dead_code, reason = "it is read to see whether that is all there is")]
struct WithoutPrefix<S: Spec> {
    setup: S::Setup,
    #[serde(deserialize_with = "crate::case::program")]
    program: Program<S>,
    schedule: Schedule,
    kills: Vec<Kill>,
}

/// Returns one case as a word that can be pasted: `fk1:`, the suite, engine and case in postcard as
/// hexadecimal digits, and eight digits that show whether all of it was pasted.
pub(crate) fn token<S: Spec>(suite: &str, engine: &str, case: &Case<S>) -> Result<String, Error> {
    let unwritten = |e| Error::system("write a case as a token", e, "use the saved file instead");
    // Earlier versions had no prefix: it comes last, and only if there is one.
    let Case {
        setup,
        program,
        schedule,
        kills,
        prefix,
    } = case;
    let earlier = (suite, engine, setup, program, schedule, kills);
    let mut bytes = postcard::to_stdvec(&earlier).map_err(unwritten)?;
    if !prefix.is_empty() {
        bytes.extend(postcard::to_stdvec(prefix).map_err(unwritten)?);
    }
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("fk{VERSION}:{digits}{:08x}", sum(&bytes)))
}

/// Returns whether a word is meant as a token.
pub(crate) fn is_token(word: &str) -> bool {
    let digits = word.trim().strip_prefix("fk");
    digits.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains(':'))
}

/// Returns the suite and the engine of a token.
pub(crate) fn whose(token: &str) -> Result<(String, String), Error> {
    unpacked(token).map(|(suite, engine, _)| (suite, engine))
}

/// Reads a token back, for this suite and engine.
pub(crate) fn from_token<S: Spec>(
    token: &str,
    suite: &str,
    engine: &str,
) -> Result<Token<S>, Error> {
    let (of_suite, of_engine, case) = unpacked(token)?;
    if (of_suite.as_str(), of_engine.as_str()) != (suite, engine) {
        return Err(Error::invalid(
            format!(
                "the token holds a case of {of_suite}::{of_engine}, and this is {suite}::{engine}"
            ),
            "run that test alone, with the command from its report, or unset FORKCHECK_REPLAY",
        ));
    }
    let with_prefix = match postcard::take_from_bytes::<WithoutPrefix<S>>(&case) {
        Ok((_, [])) => [case.as_slice(), &[0]].concat(),
        _ => case,
    };
    let case = postcard::take_from_bytes(&with_prefix).and_then(|(case, rest)| match rest {
        [] => Ok(case),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    });
    let case = case.map_err(|e| {
        Error::system(
            format!("read the case in the token {:?}", shown(token)),
            e,
            "it was made before the suite's setup or operations changed their form: check out the revision it is from",
        )
    })?;
    let case: Case<S> = case;
    let operations: Vec<usize> = case.program.iter().map(Vec::len).collect();
    if let Some(slip) = out_of_range(&operations, &case.schedule, &case.kills, &case.prefix) {
        return Err(Error::invalid(
            format!("the token {:?} says {slip}", shown(token)),
            "paste the token that a report printed",
        ));
    }
    Ok(Token {
        suite: of_suite,
        engine: of_engine,
        case,
    })
}

/// Returns as much of a token as fits in an error.
fn shown(token: &str) -> String {
    let token = token.trim();
    if token.len() > 40 {
        format!("{}...", token.chars().take(40).collect::<String>())
    } else {
        token.to_owned()
    }
}

/// Returns the suite and engine of a token, and its case in postcard.
fn unpacked(token: &str) -> Result<(String, String, Vec<u8>), Error> {
    let wrong = |what: String| {
        Error::invalid(
            what,
            "paste the whole token from a report (fk1:...), or unset FORKCHECK_REPLAY",
        )
    };
    let shown = shown(token);
    let Some((version, digits)) = token
        .trim()
        .strip_prefix("fk")
        .and_then(|rest| rest.split_once(':'))
    else {
        return Err(wrong(format!(
            "FORKCHECK_REPLAY is {shown:?}, which is not a token"
        )));
    };
    if version != VERSION.to_string() {
        return Err(wrong(format!(
            "the token {shown:?} has version {version:?}, and this forkcheck reads version {VERSION}"
        )));
    }
    let bytes = hexadecimal(digits).ok_or_else(|| {
        wrong(format!(
            "the token {shown:?} holds something that is no digit, or was cut"
        ))
    })?;
    let Some((bytes, check)) = bytes.split_last_chunk::<4>() else {
        return Err(wrong(format!("the token {shown:?} was cut")));
    };
    if u32::from_be_bytes(*check) != sum(bytes) {
        return Err(wrong(format!(
            "the token {shown:?} was cut or changed: its sum does not match"
        )));
    }
    let whose = postcard::take_from_bytes::<(String, String)>(bytes);
    let ((suite, engine), case) =
        whose.map_err(|e| wrong(format!("the token {shown:?} names no suite ({e})")))?;
    Ok((suite, engine, case.to_vec()))
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?, 16).ok()
        })
        .collect()
}

/// Returns the FNV-1a hash in 32 bits, which detects cut and mistyped tokens but not malice.
fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
