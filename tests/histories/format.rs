//! Reads histories in the formats of Jepsen's etcd test and porcupine's key-value test, and defines
//! their specs.
//!
//! One event a line, in real-time order; the time of an event is the number of its line.

use forkcheck::Spec;
use forkcheck::case::{self, Call};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// The kind of system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// A register with compare-and-set, at first nil.
    Register,
    /// A map from strings to strings, at first empty.
    Map,
}

/// A history of one of the models.
pub(crate) enum History {
    Register(case::History<Register>),
    Map(case::History<Map>),
}

/// A register with compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Register(Option<i64>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum RegisterOp {
    Read,
    Write(i64),
    Cas(i64, i64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum RegisterRet {
    Value(Option<i64>),
    /// A read with an unknown value.
    Nothing,
    Written,
    Swapped(bool),
}

impl Spec for Register {
    type Setup = Option<i64>;
    type Op = RegisterOp;
    type Ret = RegisterRet;
    fn start(first: &Option<i64>) -> Self {
        Self(*first)
    }
    fn step(&mut self, _: usize, op: &RegisterOp) -> RegisterRet {
        match *op {
            RegisterOp::Read => RegisterRet::Value(self.0),
            RegisterOp::Write(value) => {
                self.0 = Some(value);
                RegisterRet::Written
            }
            RegisterOp::Cas(from, to) => {
                let swapped = self.0 == Some(from);
                if swapped {
                    self.0 = Some(to);
                }
                RegisterRet::Swapped(swapped)
            }
        }
    }
    fn accept(&mut self, _: usize, op: &RegisterOp, ret: &RegisterRet) -> bool {
        self.step(0, op) == *ret || *ret == RegisterRet::Nothing
    }
    fn only_reads(op: &RegisterOp, ret: &RegisterRet) -> bool {
        *op == RegisterOp::Read || *ret == RegisterRet::Swapped(false)
    }
}

/// A map from strings to strings that can be appended to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Map(BTreeMap<String, String>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MapOp {
    key: String,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum What {
    Get,
    Put(String),
    Append(String),
}

impl Spec for Map {
    type Setup = ();
    type Op = MapOp;
    /// The value read; empty for the others.
    type Ret = String;
    fn start(_: &()) -> Self {
        Self(BTreeMap::new())
    }
    fn step(&mut self, _: usize, MapOp { key, what }: &MapOp) -> String {
        // A read leaves the state as it is: no entry.
        if *what == What::Get {
            return self.0.get(key).cloned().unwrap_or_default();
        }
        let value = self.0.entry(key.clone()).or_default();
        match what {
            What::Get => {}
            What::Put(new) => value.clone_from(new),
            What::Append(more) => value.push_str(more),
        }
        String::new()
    }
    fn only_reads(op: &MapOp, _: &String) -> bool {
        op.what == What::Get
    }
    fn key(op: &MapOp) -> u64 {
        // FNV-1a: any hash would do.
        op.key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

/// Reads a history; blank lines are ignored.
pub(crate) fn parse(model: Model, text: &str) -> Result<History, String> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    Ok(match model {
        Model::Register => History::Register(calls(lines, of_register)?),
        Model::Map => History::Map(calls(lines, of_map)?),
    })
}

/// A process and its event.
type Line<S> = (u64, Event<S>);

enum Event<S: Spec> {
    Invoke(S::Op),
    Return(S::Ret),
    /// It is not known whether the call took effect, and it never will be.
    Lost,
}

fn calls<'a, S: Spec>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    read: fn(&str) -> Option<Line<S>>,
) -> Result<case::History<S>, String> {
    let mut numbers = HashMap::new();
    let mut calls: Vec<Vec<Call<S>>> = Vec::new();
    for (number, line) in lines {
        let wrong = |what| format!("line {}, {what}: {line}", number + 1);
        let (process, event) = read(line).ok_or_else(|| wrong("not an event"))?;
        let process = *numbers.entry(process).or_insert_with(|| {
            calls.push(Vec::new());
            calls.len() - 1
        });
        let open = calls[process].last_mut().filter(|call| call.ret.is_none());
        match (event, open) {
            (Event::Invoke(op), None) => calls[process].push(Call {
                op,
                ret: None,
                invoked: number as u64,
                returned: Call::<S>::NEVER,
            }),
            (Event::Return(ret), Some(call)) => {
                call.ret = Some(ret);
                call.returned = number as u64;
            }
            (Event::Lost, Some(_)) => {}
            (Event::Invoke(_), Some(_)) => return Err(wrong("a call within a call")),
            (_, None) => return Err(wrong("a return without a call")),
        }
    }
    Ok(case::History { calls })
}

/// `INFO jepsen.util - PROCESS :invoke|:ok|:fail|:info :read|:write|:cas VALUE`
fn of_register(line: &str) -> Option<Line<Register>> {
    let line = line.rsplit(" - ").next()?;
    let words: Vec<&str> = line
        .split(|c: char| c.is_whitespace() || matches!(c, '[' | ']'))
        .filter(|word| !word.is_empty())
        .collect();
    let (process, rest) = words.split_first()?;
    let value = |word: &str| match word {
        "nil" => Some(None),
        number => number.parse().ok().map(Some),
    };
    let event = match rest {
        [":invoke", ":read", _] => Event::Invoke(RegisterOp::Read),
        [":invoke", ":write", to] => Event::Invoke(RegisterOp::Write(to.parse().ok()?)),
        [":invoke", ":cas", from, to] => {
            Event::Invoke(RegisterOp::Cas(from.parse().ok()?, to.parse().ok()?))
        }
        [":ok", ":read", got] => Event::Return(RegisterRet::Value(value(got)?)),
        [":fail", ":read", _] => Event::Return(RegisterRet::Nothing),
        [":ok", ":write", _] => Event::Return(RegisterRet::Written),
        [":ok", ":cas", _, _] => Event::Return(RegisterRet::Swapped(true)),
        [":fail", ":cas", _, _] => Event::Return(RegisterRet::Swapped(false)),
        [":info", ":write" | ":cas", ..] => Event::Lost,
        _ => return None,
    };
    Some((process.parse().ok()?, event))
}

/// `{:process P, :type :invoke|:ok, :f :get|:put|:append, :key "K", :value nil|"V"}`
fn of_map(line: &str) -> Option<Line<Map>> {
    let after = |name: &str| line.split_once(name).map(|(_, rest)| rest.trim_start());
    let word = |name: &str| after(name)?.split([',', '}']).next();
    let string = |name: &str| {
        Some(
            after(name)?
                .strip_prefix('"')?
                .split_once('"')?
                .0
                .to_owned(),
        )
    };
    let process = word(":process")?.parse().ok()?;
    let what = word(":f ")?;
    let event = match (word(":type")?, what) {
        (":invoke", _) => {
            let what = match what {
                ":get" => What::Get,
                ":put" => What::Put(string(":value")?),
                ":append" => What::Append(string(":value")?),
                _ => return None,
            };
            let key = string(":key")?;
            Event::Invoke(MapOp { key, what })
        }
        (":ok", ":get") => Event::Return(string(":value")?),
        (":ok", ":put" | ":append") => Event::Return(String::new()),
        _ => return None,
    };
    Some((process, event))
}
