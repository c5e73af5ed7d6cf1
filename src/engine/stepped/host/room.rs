//! The memory that killed coroutines leave behind: a process's memory ends with it, and a coroutine's does not.

/// The bytes that a host may use before another one replaces it.
const ROOM: usize = 1 << 28;
/// The most coroutines that are killed between two looks.
const KILLED: u32 = 1 << 7;
/// The descriptors that they may leave open.
const OPEN: usize = 1 << 8;

/// The memory that is left for leaks.
pub(super) struct Room {
    /// The coroutines that were killed since the last look, and the most that may be until the next.
    killed: u32,
    until: u32,
    /// The bytes used at that look.
    used: usize,
    /// The descriptors that were open at the beginning.
    open: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            killed: 0,
            until: 1,
            used: resident().unwrap_or(0),
            open: descriptors(),
        }
    }
}

impl Room {
    /// Counts a coroutine that was killed.
    pub(super) fn lost_one(&mut self) {
        self.killed += 1;
    }

    /// Returns whether none is left. A look costs as much as some executions, so there are the fewer the less is
    /// leaked.
    pub(super) fn is_spent(&mut self) -> bool {
        if self.killed < self.until {
            return false;
        }
        let used = resident().unwrap_or(self.used);
        let opened = descriptors().saturating_sub(self.open);
        self.look(used) || opened > OPEN
    }

    fn look(&mut self, used: usize) -> bool {
        let each = used.saturating_sub(self.used) / self.killed.max(1) as usize;
        let left = ROOM.saturating_sub(used);
        // Half of the number that would fit.
        let fit = (left / 2).checked_div(each).unwrap_or(usize::MAX);
        let doubled = self.until.saturating_mul(2).min(KILLED);
        self.until = u32::try_from(fit).map_or(doubled, |fit| fit.clamp(1, doubled));
        (self.killed, self.used) = (0, used);
        left == 0
    }
}

/// Returns the number of descriptors of this process, from /proc/self/fd; 0 if there is no such directory.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Returns the bytes of memory that this process uses, from /proc/self/statm; `None` if there is no such file.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(usize::try_from(page).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kills one coroutine after the other, each of which leaks `each` bytes. Returns the number of looks until no
    /// room is left, and the most bytes that were used.
    fn leak(each: usize) -> (u32, usize) {
        let mut room = Room {
            killed: 0,
            until: 1,
            used: 1 << 20,
            open: 0,
        };
        let (mut used, mut looks) = (1 << 20, 0);
        for _ in 0..1_000_000 {
            used += each;
            room.lost_one();
            if room.killed >= room.until {
                looks += 1;
                if room.look(used) {
                    return (looks, used);
                }
            }
        }
        (looks, used)
    }

    #[test]
    fn a_host_uses_little_more_than_its_room_and_seldom_looks_where_little_is_leaked() {
        let (looks, used) = leak(1 << 20);
        assert!(
            looks < 100 && used < ROOM + (4 << 20),
            "{looks} looks, {used} bytes"
        );
        let (looks, used) = leak(100 << 20);
        assert!(
            looks <= 3 && used <= ROOM + (101 << 20),
            "{looks} looks, {used} bytes"
        );
        let (looks, _) = leak(0);
        assert!(looks < 10_000, "{looks} looks");
        let (looks, used) = leak(1 << 10);
        assert!(
            looks < 3_000 && used < ROOM + (1 << 20),
            "{looks} looks, {used} bytes"
        );
    }
}
