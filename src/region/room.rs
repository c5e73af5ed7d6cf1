//! The memory of the machine and of this process's cgroups. The kernel kills a process that uses
//! more, so this check returns an error first. proc_meminfo(5), cgroups(7).
//!
//! A limit on the address space (RLIMIT_AS), and a kernel that never overcommits (`sysctl
//! vm.overcommit_memory=2`), refuse a mapping when it is made, and count all of it whether it is
//! used or not: that is an error with its remedy as well.

use super::refusal::refused;
use crate::Error;
use nix::errno::Errno;
use std::fs::read_to_string;
use std::path::Path;

/// The length below which nothing is checked.
const SMALL: u64 = 1 << 20;

/// Returns an error if `len` bytes cannot be taken up now.
pub(crate) fn check_free(len: u64, what: &str) -> Result<(), Error> {
    check(len, |room| room.free, what, "are free")
}

/// Returns an error if `len` bytes cannot be taken up however much is free.
pub(super) fn check_limit(len: usize, what: &str) -> Result<(), Error> {
    check(len as u64, |room| room.limit, what, "are there at all")
}

fn check(len: u64, most: fn(Room) -> u64, what: &str, of: &str) -> Result<(), Error> {
    if len < SMALL {
        return Ok(());
    }
    let most = most(Room::now());
    if len <= most {
        return Ok(());
    }
    let tried = format!("take up {len} bytes of memory for {what}, where {most} {of}");
    Err(refused(tried, Errno::ENOMEM))
}

/// Bytes of memory, with those that can be swapped out. An unknown number is no limit.
#[derive(Clone, Copy)]
struct Room {
    limit: u64,
    free: u64,
}

impl Room {
    const ENDLESS: Self = Self {
        limit: u64::MAX,
        free: u64::MAX,
    };

    fn now() -> Self {
        let Ok(machine) = read_to_string("/proc/meminfo") else {
            return Self::ENDLESS;
        };
        let bytes = |name| field(&machine, name).map(|kilobytes| kilobytes.saturating_mul(1024));
        let room = |all, free| Self {
            limit: bytes(all).unwrap_or(u64::MAX),
            free: bytes(free).unwrap_or(u64::MAX),
        };
        let memory = room("MemTotal:", "MemAvailable:");
        let swap = room("SwapTotal:", "SwapFree:");
        let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
        groups
            .lines()
            .filter_map(|line| Self::of_groups(line, swap))
            .fold(memory.and(swap), Self::least)
    }

    /// Returns the room of a group and of all groups around it, from a line of `/proc/self/cgroup`. If the path
    /// begins outside of the mount, as in a container, its last steps do not exist there, and the mount itself is
    /// this process's group.
    fn of_groups(line: &str, swap: Self) -> Option<Self> {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let mounts: &[&str] = match controllers {
            "" => &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"],
            some if some.split(',').any(|one| one == "memory") => &["/sys/fs/cgroup/memory"],
            _ => return None,
        };
        let directories = mounts.iter().flat_map(|mount| {
            let path = Path::new(path.trim_start_matches('/'));
            path.ancestors().map(|path| Path::new(mount).join(path))
        });
        directories
            .filter_map(|directory| Self::of_group(&directory, swap))
            .reduce(Self::least)
    }

    fn of_group(group: &Path, swap: Self) -> Option<Self> {
        let number = |name| read_to_string(group.join(name)).ok()?.trim().parse().ok();
        // Cached pages of files are given up as soon as memory is needed.
        let cached = |prefix| {
            let stat = read_to_string(group.join("memory.stat")).unwrap_or_default();
            let of = |kind| field(&stat, &format!("{prefix}{kind}_file")).unwrap_or(0);
            of("inactive").saturating_add(of("active"))
        };
        let room = |limit, used, prefix| {
            let limit: u64 = number(limit)?;
            let used = number(used).unwrap_or(0).saturating_sub(cached(prefix));
            let free = limit.saturating_sub(used);
            Some(Self { limit, free })
        };
        // Version 2 has a separate limit for swap; version 1 limits memory and swap together.
        let swap_of_2 = number("memory.swap.max").map_or(swap, |limit| {
            let used = number("memory.swap.current").unwrap_or(0);
            let free = limit.saturating_sub(used);
            Self { limit, free }.least(swap)
        });
        let of_2 = room("memory.max", "memory.current", "").map(|room| room.and(swap_of_2));
        let memory = ("memory.limit_in_bytes", "memory.usage_in_bytes");
        let both = ("memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes");
        let of_1 = room(memory.0, memory.1, "total_").map(|room| room.and(swap));
        let both = room(both.0, both.1, "total_");
        [of_2, of_1, both].into_iter().flatten().reduce(Self::least)
    }

    fn least(self, other: Self) -> Self {
        Self {
            limit: self.limit.min(other.limit),
            free: self.free.min(other.free),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            limit: self.limit.saturating_add(other.limit),
            free: self.free.saturating_add(other.free),
        }
    }
}

/// Returns the number behind a name, in lines of `/proc/meminfo` or `memory.stat`.
fn field(lines: &str, name: &str) -> Option<u64> {
    let mut lines = lines.lines().map(str::split_ascii_whitespace);
    let mut line = lines.find(|line| line.clone().next() == Some(name))?;
    line.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(files: &[(&str, &str)]) -> Option<(u64, u64)> {
        let directory =
            std::env::temp_dir().join(format!("forkcheck-room-{}", crate::memory::mark()));
        std::fs::create_dir(&directory).unwrap();
        for (name, text) in files {
            std::fs::write(directory.join(name), text).unwrap();
        }
        let swap = Room {
            limit: 1000,
            free: 500,
        };
        let room = Room::of_group(&directory, swap);
        std::fs::remove_dir_all(&directory).unwrap();
        room.map(|room| (room.limit, room.free))
    }

    #[test]
    fn a_group_has_its_limit_less_what_is_used_and_not_cached() {
        let stat = "anon 7\ninactive_file 20\nactive_file 10\n";
        let second = [
            ("memory.max", "100\n"),
            ("memory.current", "90\n"),
            ("memory.stat", stat),
        ];
        assert_eq!(room(&second), Some((1100, 40 + 500)));
        let swap = [("memory.swap.max", "50\n"), ("memory.swap.current", "20\n")];
        assert_eq!(room(&[&second[..], &swap].concat()), Some((150, 40 + 30)));
        assert_eq!(
            room(&[("memory.max", "max\n"), ("memory.current", "90\n")]),
            None
        );
        let stat = "inactive_file 1\ntotal_inactive_file 20\ntotal_active_file 10\n";
        let first = [
            ("memory.limit_in_bytes", "100\n"),
            ("memory.usage_in_bytes", "90\n"),
            ("memory.stat", stat),
        ];
        assert_eq!(room(&first), Some((1100, 40 + 500)));
        let both = [
            ("memory.memsw.limit_in_bytes", "120\n"),
            ("memory.memsw.usage_in_bytes", "110\n"),
        ];
        assert_eq!(room(&[&first[..], &both].concat()), Some((120, 40)));
        assert_eq!(room(&[]), None);
    }

    #[test]
    fn this_machine_has_some_memory_and_not_all() {
        check_free(SMALL, "a test").unwrap();
        check_limit(SMALL as usize, "a test").unwrap();
        for refused in [
            check_free(1 << 60, "a test"),
            check_limit(1 << 60, "a test"),
        ] {
            let why = refused.unwrap_err().to_string();
            assert!(
                why.contains("1152921504606846976 bytes of memory for a test"),
                "{why}"
            );
        }
        // A group that does not exist limits nothing.
        assert!(
            Room::of_groups("0::/no/such/group/of/forkcheck", Room::ENDLESS)
                .is_none_or(|room| room.limit > 0)
        );
    }
}
