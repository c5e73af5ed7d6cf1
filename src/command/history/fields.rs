//! The fields of a line, each read once. Missing, invalid and unused fields are errors.

use forkcheck::Spec;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt::{self, Debug, Formatter};

/// The bound below which integers are exact as `f64`.
const EXACT: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;

/// Any JSON value, as its shortest text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Json(pub(super) String);

impl Debug for Json {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        Self(value.to_string())
    }
}

/// A line of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) process: Value,
    pub(super) call: u64,
    #[serde(default, rename = "return")]
    pub(super) returned: Option<u64>,
    pub(super) op: String,
    #[serde(default, deserialize_with = "given")]
    key: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    value: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    expected: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    result: Option<Value>,
}

/// Reads a field that is present, even if it is null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    match rounded(&value) {
        Some(number) => Err(D::Error::custom(format!(
            "{number} is rounded, and may be equal to another number: give it as a string"
        ))),
        None => Ok(Some(value)),
    }
}

/// Returns the first number in a value that is too large to be read exactly.
fn rounded(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().filter(|number| number.abs() >= EXACT)
        }
        Value::Array(values) => values.iter().find_map(rounded),
        Value::Object(fields) => fields.values().find_map(rounded),
        _ => None,
    }
}

impl Line {
    /// Returns the arguments and the result, each to be read once; [`Fields::unread`] reports the
    /// rest.
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields {
            line: self,
            key: self.key.as_ref(),
            value: self.value.as_ref(),
            expected: self.expected.as_ref(),
            result: self.result.as_ref(),
        }
    }
}

/// Fields of a line that were not read yet.
pub(super) struct Fields<'a> {
    pub(super) line: &'a Line,
    key: Option<&'a Value>,
    value: Option<&'a Value>,
    expected: Option<&'a Value>,
    pub(super) result: Option<&'a Value>,
}

/// An operation and its result; none if the call never returned.
pub(super) type OpAndRet<S> = (<S as Spec>::Op, Option<<S as Spec>::Ret>);

impl<'a> Fields<'a> {
    fn missing(&self, field: &str, what: &str) -> String {
        format!("{} has no {field:?}: {what}", self.line.op)
    }
    pub(super) fn key(&mut self) -> Result<Json, String> {
        let key = self.key.take().map(Json::from);
        key.ok_or_else(|| self.missing("key", "give it the key"))
    }
    pub(super) fn value(&mut self) -> Result<Json, String> {
        let value = self.value.take().map(Json::from);
        value.ok_or_else(|| self.missing("value", "give it the value"))
    }
    pub(super) fn expected(&mut self) -> Result<Json, String> {
        let value = self.expected.take().map(Json::from);
        value.ok_or_else(|| self.missing("expected", "give it the value that is to be replaced"))
    }
    pub(super) fn number(&mut self) -> Result<i64, String> {
        let value = self.value.take().and_then(Value::as_i64);
        value.ok_or_else(|| self.missing("value", "give it an integer"))
    }
    /// Returns the result of a call that returned, converted by `read`.
    pub(super) fn result<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        if self.line.returned.is_none() {
            return Ok(None);
        }
        let result = self.result.take();
        let missing = || self.missing("result", &format!("it returned, so give it {what}"));
        let wrong =
            |result: &Value| format!("the result of {} is {result}: give it {what}", self.line.op);
        let result = result.ok_or_else(missing)?;
        read(result).map(Some).ok_or_else(|| wrong(result))
    }
    pub(super) fn flag(&mut self) -> Result<Option<bool>, String> {
        self.result("true or false", Value::as_bool)
    }
    /// Returns `ret` for a call that returned nothing: null, true, or no field.
    pub(super) fn nothing<T>(&mut self, ret: T) -> Result<Option<T>, String> {
        match self.result.take() {
            None | Some(Value::Null | Value::Bool(true)) => {
                Ok(self.line.returned.is_some().then_some(ret))
            }
            Some(result) => Err(format!(
                "the result of {} is {result}: it returns nothing, so leave it out",
                self.line.op
            )),
        }
    }
    /// Returns an error if a field of the line was not read.
    pub(super) fn unread(&self) -> Result<(), String> {
        let fields = [
            ("key", self.key),
            ("value", self.value),
            ("expected", self.expected),
            ("result", self.result),
        ];
        match fields.iter().find(|(_, value)| value.is_some()) {
            Some(("result", _)) => Err(
                "a result without a return: give the time of the return, or leave out the result"
                    .into(),
            ),
            Some((field, _)) => Err(format!("{} takes no {field:?}: leave it out", self.line.op)),
            None => Ok(()),
        }
    }
    pub(super) fn unknown<T>(&self, known: &str) -> Result<T, String> {
        Err(format!(
            "no operation {:?}: this spec has {known}",
            self.line.op
        ))
    }
}
