//! A snapshot of the resources of a soak, from the kernel: processes, descriptors, names, memory;
//! and the comparison of two.

use crate::MARK;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::fs::{read, read_dir, read_link, read_to_string};
use std::time::{Duration, Instant};

/// The growth of the resident memory that is not a leak, in KiB. The allocator keeps freed memory,
/// more of it where larger cases were drawn, and glibc keeps stacks of ended threads, at most 40
/// MiB of addresses, of which few pages were touched. A leak of one page in each check of an hour
/// is more: some 40 checks in each of some hundred rounds.
pub(crate) const RESIDENT: u64 = 24 << 10;

/// Returns the growth in mappings that is not a leak: glibc makes an arena (two lines) for each
/// thread that allocates at the same time as others, at most eight for each processor, and keeps at
/// most 40 MiB of stacks (two lines for each 2 MiB).
pub(crate) fn mappings() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    2 * 8 * processors + 2 * 20
}

/// Returns the mark of this soak in names.
pub(crate) fn mark() -> String {
    std::env::var(MARK).unwrap()
}

/// Returns the key of a System V segment of this soak.
pub(crate) fn key(number: u32) -> i32 {
    ((std::process::id() << 8 | number & 0xff) | 1 << 30).cast_signed() & i32::MAX
}

#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// All descendants, by name: those with a new parent are known by their environment.
    processes: BTreeMap<String, usize>,
    threads: usize,
    /// The descriptors by kind: the name of a file, a socket, a pipe.
    descriptors: BTreeMap<String, usize>,
    /// The names in `/dev/shm`.
    names: BTreeSet<String>,
    /// The files in the temporary directory, which is this soak's own.
    files: BTreeSet<String>,
    /// The System V segments with a key of this soak or created by it.
    segments: BTreeSet<String>,
    /// The lines of `/proc/self/maps`: of shared memory, and all.
    shared: usize,
    mappings: usize,
    /// The KiB in this process, and in its descendants, without those of files, which belong to the
    /// executed programs.
    resident: u64,
    of_descendants: u64,
}

impl Display for Held {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            processes,
            descriptors,
            threads,
            names,
            files,
            segments,
            shared,
            mappings,
            resident,
            of_descendants,
        } = self;
        let sum = |counts: &BTreeMap<String, usize>| counts.values().sum::<usize>();
        write!(
            f,
            "{} descendants, {threads} threads, {} descriptors, {} names, {} files, {} segments, {mappings} mappings ({shared} \
             shared), {resident} KiB, {of_descendants} KiB of descendants",
            sum(processes),
            sum(descriptors),
            names.len(),
            files.len(),
            segments.len()
        )
    }
}

impl Held {
    /// Takes a snapshot after the kernel has ended the children of an ended process, which takes a
    /// moment: it waits until there are no more of them than before.
    pub(crate) fn after(first: Option<&Held>) -> Self {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let held = Self::now();
            let is_settled = first.is_none_or(|first| {
                let one = usize::from(held.waits_for_the_machine(first));
                more(&held.processes, &first.processes).is_empty()
                    && held.threads <= first.threads + one
            });
            if is_settled || Instant::now() > until {
                return held;
            }
            std::thread::yield_now();
        }
    }

    pub(crate) fn now() -> Self {
        let descendants = descendants();
        let maps = read_to_string("/proc/self/maps").unwrap();
        let is_shared = |line: &&str| line.split(' ').nth(1).is_some_and(|p| p.ends_with('s'));
        let descriptors = entries("/proc/self/fd").into_iter();
        let descriptors = descriptors.filter_map(|number| {
            let target = read_link(format!("/proc/self/fd/{number}")).ok()?;
            Some(kind(&target.to_string_lossy()))
        });
        let mark = mark();
        let names = entries("/dev/shm").into_iter();
        Self {
            processes: counted(descendants.values().cloned()),
            threads: entries("/proc/self/task").len(),
            descriptors: counted(descriptors),
            names: names.filter(|name| name.contains(&mark)).collect(),
            files: files(std::env::temp_dir().to_str().unwrap()),
            segments: segments(),
            shared: maps.lines().filter(is_shared).count(),
            mappings: maps.lines().count(),
            resident: resident(std::process::id()),
            of_descendants: descendants.keys().copied().map(resident).sum(),
        }
    }

    /// Returns whether a thread waits for the lock of the machine. `processes` gives up after two
    /// minutes, and continues without it; the thread ends once it has the lock. A program waits so
    /// once.
    fn waits_for_the_machine(&self, first: &Held) -> bool {
        let lock = kind(&std::env::var("FORKCHECK_LOCK").unwrap());
        self.descriptors.get(&lock) == Some(&1)
            && !first.descriptors.contains_key(&lock)
            && self.threads > first.threads
    }

    /// Returns descriptions of everything that has grown.
    pub(crate) fn more_than(&self, first: &Held) -> Vec<String> {
        if self.waits_for_the_machine(first) {
            let lock = kind(&std::env::var("FORKCHECK_LOCK").unwrap());
            let mut without = self.clone();
            without.descriptors.remove(&lock);
            without.threads -= 1;
            return without.more_than(first);
        }
        let mut all = Vec::new();
        let mut note = |what: &str, more: Vec<String>| {
            all.extend(more.into_iter().map(|more| format!("{what}: {more}")));
        };
        let new = |now: &BTreeSet<String>, then: &BTreeSet<String>| {
            now.difference(then).cloned().collect::<Vec<_>>()
        };
        note("processes", more(&self.processes, &first.processes));
        note("descriptors", more(&self.descriptors, &first.descriptors));
        note("names", new(&self.names, &first.names));
        note("files", new(&self.files, &first.files));
        note("segments", new(&self.segments, &first.segments));
        let numbers = [
            ("threads", self.threads, first.threads, 0),
            ("shared mappings", self.shared, first.shared, 0),
            ("mappings", self.mappings, first.mappings, mappings()),
        ];
        for (what, now, then, tolerance) in numbers {
            if now > then + tolerance {
                note(what, vec![format!("{now}, not {then}")]);
            }
        }
        let memory = [
            ("memory", self.resident, first.resident),
            (
                "memory of descendants",
                self.of_descendants,
                first.of_descendants,
            ),
        ];
        for (what, now, then) in memory {
            if now > then + RESIDENT {
                note(what, vec![format!("{now} KiB, not {then}")]);
            }
        }
        all
    }
}

/// Returns the kind of a descriptor: its target, without the number of a socket or a process.
fn kind(target: &str) -> String {
    target.replace(|c: char| c.is_ascii_digit(), "")
}

fn counted(all: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_insert(0) += 1;
    }
    counts
}

/// Returns the kinds of which there are more than before.
fn more(now: &BTreeMap<String, usize>, then: &BTreeMap<String, usize>) -> Vec<String> {
    let then = |kind: &String| then.get(kind).copied().unwrap_or(0);
    let more = now.iter().filter(|(kind, count)| **count > then(kind));
    more.map(|(kind, count)| format!("{count} of {kind}, not {}", then(kind)))
        .collect()
}

/// Returns the names in a directory; none if it does not exist any more.
fn entries(directory: &str) -> Vec<String> {
    let all = read_dir(directory).into_iter().flatten().flatten();
    all.map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Returns all paths below a directory.
fn files(directory: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in entries(directory) {
        let path = format!("{directory}/{name}");
        all.append(&mut files(&path));
        all.insert(path);
    }
    all
}

/// Returns the descendants of this process, with their names: the children of each, and all
/// processes with the mark in their environment.
fn descendants() -> BTreeMap<u32, String> {
    let me = std::process::id();
    let mark = format!("{MARK}={}\0", mark());
    let mut others = BTreeMap::new();
    let mut found = BTreeMap::new();
    for pid in entries("/proc").iter().filter_map(|name| name.parse().ok()) {
        let file = |name| read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let (stat, environment) = (file("stat"), file("environ"));
        // proc_pid_stat(5): the name in parentheses, the state, the parent.
        let stat = String::from_utf8_lossy(&stat);
        let Some((name, fields)) = stat.rsplit_once(") ") else {
            continue;
        };
        let name = name.split_once('(').map_or("", |(_, name)| name).to_owned();
        let parent = fields.split(' ').nth(1).and_then(|text| text.parse().ok());
        let mut windows = environment.windows(mark.len());
        if pid != me && windows.any(|window| window == mark.as_bytes()) {
            found.insert(pid, name);
        } else if let Some(parent) = parent {
            others.insert(pid, (parent, name));
        }
    }
    loop {
        let is_ours = |parent: &u32| *parent == me || found.contains_key(parent);
        let child = others.iter().find(|(_, (parent, _))| is_ours(parent));
        let Some((&child, _)) = child else {
            return found;
        };
        let (_, name) = others.remove(&child).unwrap();
        found.insert(child, name);
    }
}

/// Returns the segments with a key of this soak, or created by this process. proc_sysvipc(5): key,
/// id, mode, size, creator.
fn segments() -> BTreeSet<String> {
    let rows = read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let is_ours = |row: &&str| {
        let fields: Vec<i64> = row
            .split_ascii_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        let keys = i64::from(key(0))..=i64::from(key(0xff));
        fields.len() > 4 && (keys.contains(&fields[0]) || fields[4] == std::process::id().into())
    };
    let ours = rows.lines().skip(1).filter(is_ours);
    ours.map(|row| row.split_ascii_whitespace().take(5).collect::<Vec<_>>())
        .map(|fields| fields.join(" "))
        .collect()
}

/// Returns the KiB of a process that are resident and of no file; 0 if it has ended.
fn resident(pid: u32) -> u64 {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let of = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    of("RssAnon:").unwrap_or(0) + of("RssShmem:").unwrap_or(0)
}
