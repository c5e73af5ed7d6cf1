//! `forkcheck history`: judges a history from a file of JSON lines by a ready spec.

use super::Standing;
use clap::ValueEnum;
use forkcheck::Spec;
use forkcheck::case::{Call, History};
use forkcheck::check::{Limits, Verdict};
use forkcheck::recorded::{Judged, judge};
use forkcheck::subject::{
    CasOp, CasRegister, CasRet, Counter, CounterOp, CounterRet, Lock, LockOp, LockRet, Map, MapOp,
    MapRet, Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet, Set, SetOp, Stack,
    StackOp, StackRet,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes of a line, at most.
const LINE: usize = 1 << 20;

/// The ready specs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Ready {
    /// Reads return the last value written.
    Register,
    /// A register with compare-and-swap.
    Cas,
    /// First in, first out.
    Queue,
    /// Last in, first out.
    Stack,
    /// Elements, judged one by one.
    Set,
    /// Keys and values, judged key by key.
    Map,
    /// A sum.
    Counter,
    /// A lock with an owner.
    Lock,
}

/// Any JSON value, as its shortest text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Json(String);

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
struct Line {
    process: Value,
    call: u64,
    #[serde(default, rename = "return")]
    returned: Option<u64>,
    op: String,
    #[serde(default, deserialize_with = "given")]
    key: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    value: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    expected: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    result: Option<Value>,
}

/// A field that is there, if only as null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Line {
    /// The arguments and the result, each of which may be asked for once; the rest is told by [`Fields::unread`].
    fn fields(&self) -> Fields<'_> {
        Fields {
            line: self,
            key: self.key.as_ref(),
            value: self.value.as_ref(),
            expected: self.expected.as_ref(),
            result: self.result.as_ref(),
        }
    }
}

/// What of a line was not read yet.
struct Fields<'a> {
    line: &'a Line,
    key: Option<&'a Value>,
    value: Option<&'a Value>,
    expected: Option<&'a Value>,
    result: Option<&'a Value>,
}

/// An operation and its result; none if the call never returned.
type OpAndRet<S> = (<S as Spec>::Op, Option<<S as Spec>::Ret>);

impl<'a> Fields<'a> {
    fn missing(&self, field: &str, what: &str) -> String {
        format!("{} has no {field:?}: {what}", self.line.op)
    }
    fn key(&mut self) -> Result<Json, String> {
        let key = self.key.take().map(Json::from);
        key.ok_or_else(|| self.missing("key", "give it the key"))
    }
    fn value(&mut self) -> Result<Json, String> {
        let value = self.value.take().map(Json::from);
        value.ok_or_else(|| self.missing("value", "give it the value"))
    }
    fn expected(&mut self) -> Result<Json, String> {
        let value = self.expected.take().map(Json::from);
        value.ok_or_else(|| self.missing("expected", "give it the value that is to be replaced"))
    }
    fn number(&mut self) -> Result<i64, String> {
        let value = self.value.take().and_then(Value::as_i64);
        value.ok_or_else(|| self.missing("value", "give it an integer"))
    }
    /// The result of a call that returned, through `read`.
    fn result<T>(
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
    fn flag(&mut self) -> Result<Option<bool>, String> {
        self.result("true or false", Value::as_bool)
    }
    /// Of an operation that returns nothing: null, true, or left out.
    fn nothing<T>(&mut self, ret: T) -> Result<Option<T>, String> {
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
    /// Whether all of the line was read.
    fn unread(&self) -> Result<(), String> {
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
    fn unknown<T>(&self, known: &str) -> Result<T, String> {
        Err(format!(
            "no operation {:?}: this spec has {known}",
            self.line.op
        ))
    }
}

fn any(value: &Value) -> Option<Json> {
    Some(value.into())
}

fn or_none(value: &Value) -> Option<Option<Json>> {
    Some((!value.is_null()).then(|| value.into()))
}

fn of_register(line: &mut Fields<'_>) -> Result<OpAndRet<Register<Json>>, String> {
    Ok(match &*line.line.op {
        "write" => (
            RegisterOp::Write(line.value()?),
            line.nothing(RegisterRet::Written)?,
        ),
        "read" => {
            let value = line.result("the value that was read", any)?;
            (RegisterOp::Read, value.map(RegisterRet::Value))
        }
        _ => return line.unknown("write and read"),
    })
}

fn of_cas(line: &mut Fields<'_>) -> Result<OpAndRet<CasRegister<Json>>, String> {
    Ok(match &*line.line.op {
        "write" => (CasOp::Write(line.value()?), line.nothing(CasRet::Written)?),
        "read" => {
            let value = line.result("the value that was read", any)?;
            (CasOp::Read, value.map(CasRet::Value))
        }
        "cas" => {
            let op = CasOp::Cas(line.expected()?, line.value()?);
            (op, line.flag()?.map(CasRet::Swapped))
        }
        _ => return line.unknown("write, read and cas"),
    })
}

fn of_queue(line: &mut Fields<'_>) -> Result<OpAndRet<Queue<Json>>, String> {
    Ok(match &*line.line.op {
        "push" => (
            QueueOp::Push(line.value()?),
            line.nothing(QueueRet::Pushed)?,
        ),
        "pop" => {
            let item = line.result("the item, or null if there was none", or_none)?;
            let ret = item.map(|item| item.map_or(QueueRet::Empty, QueueRet::Popped));
            (QueueOp::Pop, ret)
        }
        _ => return line.unknown("push and pop"),
    })
}

fn of_stack(line: &mut Fields<'_>) -> Result<OpAndRet<Stack<Json>>, String> {
    Ok(match &*line.line.op {
        "push" => (
            StackOp::Push(line.value()?),
            line.nothing(StackRet::Pushed)?,
        ),
        "pop" => {
            let item = line.result("the item, or null if there was none", or_none)?;
            let ret = item.map(|item| item.map_or(StackRet::Empty, StackRet::Popped));
            (StackOp::Pop, ret)
        }
        _ => return line.unknown("push and pop"),
    })
}

fn of_set(line: &mut Fields<'_>) -> Result<OpAndRet<Set<Json>>, String> {
    let op = match &*line.line.op {
        "add" => SetOp::Add,
        "remove" => SetOp::Remove,
        "contains" => SetOp::Contains,
        _ => return line.unknown("add, remove and contains"),
    };
    Ok((op(line.value()?), line.flag()?))
}

fn of_map(line: &mut Fields<'_>) -> Result<OpAndRet<Map<Json, Json>>, String> {
    Ok(match &*line.line.op {
        "put" => (
            MapOp::Put(line.key()?, line.value()?),
            line.nothing(MapRet::Done)?,
        ),
        "remove" => (MapOp::Remove(line.key()?), line.nothing(MapRet::Done)?),
        "get" => {
            let value = line.result("the value, or null if there was none", or_none)?;
            (MapOp::Get(line.key()?), value.map(MapRet::Value))
        }
        _ => return line.unknown("put, remove and get"),
    })
}

fn of_counter(line: &mut Fields<'_>) -> Result<OpAndRet<Counter>, String> {
    Ok(match &*line.line.op {
        "add" => (
            CounterOp::Add(line.number()?),
            line.nothing(CounterRet::Added)?,
        ),
        "read" => {
            let value = line.result("the integer that was read", Value::as_i64)?;
            (CounterOp::Read, value.map(CounterRet::Value))
        }
        _ => return line.unknown("add and read"),
    })
}

fn of_lock(line: &mut Fields<'_>) -> Result<OpAndRet<Lock>, String> {
    let ret = |done: bool, ret| if done { ret } else { LockRet::Refused };
    Ok(match &*line.line.op {
        "lock" => (LockOp::Lock, line.nothing(LockRet::Acquired)?),
        "try_lock" => {
            let acquired = line.flag()?;
            (
                LockOp::TryLock,
                acquired.map(|acquired| ret(acquired, LockRet::Acquired)),
            )
        }
        "unlock" => {
            let refused = line.result == Some(&Value::Bool(false));
            if refused {
                line.result = None;
            }
            let released = line.nothing(ret(!refused, LockRet::Released))?;
            (LockOp::Unlock, released)
        }
        _ => return line.unknown("lock, try_lock and unlock"),
    })
}

/// Judges the history in a file, and prints what came of it.
pub(super) fn history(file: &Path, spec: Ready, limits: Limits, json: bool) -> Standing {
    let told = match spec {
        Ready::Register => told::<Register<Json>>(file, &Json("null".into()), of_register, limits),
        Ready::Cas => told::<CasRegister<Json>>(file, &Json("null".into()), of_cas, limits),
        Ready::Queue => told::<Queue<Json>>(file, &usize::MAX, of_queue, limits),
        Ready::Stack => told::<Stack<Json>>(file, &(), of_stack, limits),
        Ready::Set => told::<Set<Json>>(file, &(), of_set, limits),
        Ready::Map => told::<Map<Json, Json>>(file, &(), of_map, limits),
        Ready::Counter => told::<Counter>(file, &0, of_counter, limits),
        Ready::Lock => told::<Lock>(file, &(), of_lock, limits),
    };
    match told {
        Err(error) => {
            eprintln!("error: {}{error}", file.display());
            Standing::CannotSay
        }
        Ok(told) => {
            if json {
                let name = spec.to_possible_value();
                let mut object = told.object;
                object["spec"] = name.map(|name| name.get_name().to_owned()).into();
                println!("{object}");
            } else {
                println!("{}", told.report);
            }
            told.standing
        }
    }
}

/// What is to be printed.
struct Told {
    standing: Standing,
    report: String,
    object: Value,
}

fn told<S: Spec>(
    file: &Path,
    setup: &S::Setup,
    read: fn(&mut Fields<'_>) -> Result<OpAndRet<S>, String>,
    limits: Limits,
) -> Result<Told, String> {
    let Recorded {
        names,
        history,
        lines,
    } = recorded::<S>(file, read)?;
    let name = file.display().to_string();
    let judged = judge(&name, &names, setup, &history, limits);
    let Judged {
        verdict,
        mut report,
        why,
        reason,
        blamed,
    } = judged;
    let line = blamed.map(|(process, call)| lines[process][call]);
    if let Some(line) = line {
        report += &format!("\n line:   {line}");
    }
    let (standing, word, kind, unknown) = match verdict {
        Verdict::Ok => (Standing::AsExpected, "ok", None, None),
        Verdict::Finding(finding) => (Standing::NotAsExpected, "finding", Some(finding.kind), None),
        Verdict::Unknown(why) => {
            // The limits are options here.
            let why = why.replace("Limits::", "--");
            report = report.replace("Limits::", "--");
            (Standing::CannotSay, "unknown", None, Some(why))
        }
        Verdict::Unavailable(why) => (Standing::CannotSay, "unavailable", None, Some(why)),
    };
    let calls = || history.calls.iter().flatten();
    let object = json!({
        "history": name,
        "verdict": word,
        "kind": kind.map(|kind| kind.to_string().to_lowercase()),
        "reason": unknown,
        "processes": names.len(),
        "calls": calls().count(),
        "pending": calls().filter(|call| call.ret.is_none()).count(),
        "why": why,
        "line": line,
        "explanation": reason,
    });
    Ok(Told {
        standing,
        report,
        object,
    })
}

/// The calls of a file.
struct Recorded<S: Spec> {
    /// The processes, as the file calls them.
    names: Vec<String>,
    history: History<S>,
    /// The line of each call.
    lines: Vec<Vec<usize>>,
}

/// Reads a file; an error begins with the line, or says what is wrong with the file.
fn recorded<S: Spec>(
    file: &Path,
    read: fn(&mut Fields<'_>) -> Result<OpAndRet<S>, String>,
) -> Result<Recorded<S>, String> {
    // A FIFO without a writer is opened at once, and refused.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(file);
    let opened = opened.map_err(|error| format!(": {error}"))?;
    let about = opened.metadata().map_err(|error| format!(": {error}"))?;
    if !about.is_file() {
        return Err(": not a file; give the path of a file with one call a line".into());
    }
    let mut input = BufReader::new(opened);
    let mut processes: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::new();
    let mut calls: Vec<Vec<(usize, Call<S>)>> = Vec::new();
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let limited = (&mut input).take(LINE as u64 + 1);
        let n = { limited }
            .read_until(b'\n', &mut bytes)
            .map_err(|error| format!(", line {number}: {error}"))?;
        if n == 0 {
            break;
        }
        let wrong = |what: String| format!(", line {number}: {what}");
        if n > LINE {
            return Err(wrong(format!(
                "longer than {LINE} bytes; give one call a line"
            )));
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let (process, call) = call(&bytes, read).map_err(wrong)?;
        let next = processes.len();
        let process = *processes.entry(process.to_string()).or_insert_with(|| {
            names.push(match process {
                Value::String(name) => name,
                number => format!("process {number}"),
            });
            calls.push(Vec::new());
            next
        });
        calls[process].push((number, call));
    }
    if calls.is_empty() {
        return Err(
            ": it holds no call; give one a line, such as {\"process\": 0, \"call\": 1, \"return\": 2, \"op\": ...}"
                .into(),
        );
    }
    for (process, calls) in calls.iter_mut().enumerate() {
        calls.sort_by_key(|(_, call)| (call.invoked, call.returned));
        for two in calls.windows(2) {
            let ((first, before), (second, after)) = (&two[0], &two[1]);
            if before.returned > after.invoked {
                let how = if before.ret.is_none() {
                    "which never returned; call it another process from there on"
                } else {
                    "which had not returned; a process makes one call after the other"
                };
                return Err(format!(
                    ", line {second}: {} called at {} after line {first}, {how}",
                    names[process], after.invoked
                ));
            }
        }
    }
    let (lines, calls) = (calls.into_iter())
        .map(|calls| calls.into_iter().unzip())
        .unzip();
    Ok(Recorded {
        names,
        history: History { calls },
        lines,
    })
}

/// The process and the call of a line.
fn call<S: Spec>(
    bytes: &[u8],
    read: fn(&mut Fields<'_>) -> Result<OpAndRet<S>, String>,
) -> Result<(Value, Call<S>), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8; JSON is".to_string())?;
    let line: Line = serde_json::from_str(text).map_err(|error| {
        // The line is that of the file.
        let error = error.to_string();
        let what = error.split(" at line ").next().unwrap_or(&error);
        format!(
            "{what}; a call is {{\"process\": 0, \"call\": 1, \"return\": 2, \"op\": \"read\", \"result\": 7}}"
        )
    })?;
    if !(line.process.is_string() || line.process.is_number()) {
        return Err(format!(
            "the process is {}: give a number or a name",
            line.process
        ));
    }
    // The two last times mean calls that did not return.
    let latest = Call::<S>::DIED - 1;
    if let Some(returned) = line.returned
        && (returned < line.call || returned > latest)
    {
        return Err(format!(
            "it returned at {returned}, and was called at {}: give times of one clock, below 2^64 - 2",
            line.call
        ));
    }
    let mut fields = line.fields();
    let (op, ret) = read(&mut fields)?;
    fields.unread()?;
    let call = Call {
        op,
        ret,
        invoked: line.call.min(latest),
        returned: line.returned.unwrap_or(Call::<S>::NEVER),
    };
    Ok((line.process, call))
}
