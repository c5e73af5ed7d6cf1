//! Reads a file of one call per line.

use super::fields::{Fields, Line, OpAndRet};
use forkcheck::Spec;
use forkcheck::case::{Call, History};
use serde_json::Value;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The most bytes of a line.
const LINE: usize = 1 << 20;

/// The calls of a file.
pub(super) struct Recorded<S: Spec> {
    /// The names of the processes in the file.
    pub(super) names: Vec<String>,
    pub(super) history: History<S>,
    /// The line of each call.
    pub(super) lines: Vec<Vec<usize>>,
}

/// Reads a file. An error begins with the line, or says what is wrong with the file.
pub(super) fn recorded<S: Spec>(
    file: &Path,
    read: fn(&mut Fields<'_>) -> Result<OpAndRet<S>, String>,
) -> Result<Recorded<S>, String> {
    // Opening a FIFO that has no writer does not wait, and is refused below.
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

/// Returns the process and the call of a line.
fn call<S: Spec>(
    bytes: &[u8],
    read: fn(&mut Fields<'_>) -> Result<OpAndRet<S>, String>,
) -> Result<(Value, Call<S>), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8; JSON is".to_string())?;
    let line: Line = serde_json::from_str(text).map_err(|error| {
        // serde_json counts lines within the text that it got; the line number comes from the file.
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
    // The two greatest times are reserved for calls that did not return.
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
