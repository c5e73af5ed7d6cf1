//! The mappings of a process, from `/proc/PID/maps`: the addresses of its own memory and of shared memory.
//! proc_pid_maps(5).

/// The kind of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapped {
    /// Other processes that have it see its changes.
    Shared,
    /// Private memory that allocators hand out: `[heap]`, and anonymous pages that are no stack.
    Heap,
    /// Writable data of the program itself: its `.data` and `.bss`.
    Statics,
    /// Code of the program or of a library other than the C library.
    Code,
    /// Everything else: constants, stacks, the data of libraries, the C library.
    Other,
}

/// A mapping: its addresses, and the offset of the first in the mapped file or memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) offset: usize,
    pub(crate) mapped: Mapped,
}

/// The mappings of a process, in the order of their addresses.
pub(crate) struct Maps(Vec<Mapping>);

impl Maps {
    /// Reads the mappings of a process, by its id or `self`; `None` if the kernel does not show them.
    pub(crate) fn of(process: &str) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
        let program = std::fs::read_link(format!("/proc/{process}/exe")).ok()?;
        Self::parse(&text, program.to_str().unwrap_or("/"))
    }

    fn parse(text: &str, program: &str) -> Option<Self> {
        let mut all: Vec<Mapping> = Vec::new();
        for line in text.lines() {
            let mut rest = line;
            // The path is the last field, and may hold spaces.
            let mut field = || {
                let (field, after) = rest.split_once(' ').unwrap_or((rest, ""));
                rest = after.trim_start();
                field
            };
            let (range, rights, offset) = (field(), field(), field());
            let (_device, _inode) = (field(), field());
            let (start, end) = range.split_once('-')?;
            let start = usize::from_str_radix(start, 16).ok()?;
            // The pages behind the program's data that are in no file are its `.bss`.
            let follows = all.last().is_some_and(|before: &Mapping| {
                before.end == start && before.mapped == Mapped::Statics
            });
            let writable = rights.as_bytes().get(1) == Some(&b'w');
            let mapped = match rest {
                _ if rights.ends_with('s') => Mapped::Shared,
                path if rights == "r-xp" && is_code(path) => Mapped::Code,
                _ if !writable => Mapped::Other,
                path if path == program => Mapped::Statics,
                "" if follows => Mapped::Statics,
                "" | "[heap]" => Mapped::Heap,
                path if path.starts_with("[anon:") => Mapped::Heap,
                _ => Mapped::Other,
            };
            all.push(Mapping {
                start,
                end: usize::from_str_radix(end, 16).ok()?,
                offset: usize::from_str_radix(offset, 16).ok()?,
                mapped,
            });
        }
        Some(Self(all))
    }

    /// Returns all mappings.
    pub(crate) fn all(&self) -> &[Mapping] {
        &self.0
    }

    /// Returns the mapping that holds an address.
    pub(crate) fn find(&self, address: usize) -> Option<&Mapping> {
        let after = self.0.partition_point(|mapping| mapping.start <= address);
        let mapping = self.0.get(after.checked_sub(1)?)?;
        (address < mapping.end).then_some(mapping)
    }

    /// Returns the kind of the mapping that holds an address.
    pub(crate) fn at(&self, address: usize) -> Mapped {
        self.find(address)
            .map_or(Mapped::Other, |mapping| mapping.mapped)
    }
}

/// Returns whether executable pages of this path are code other than that of the C library: it blocks all signals where it starts
/// processes and threads.
fn is_code(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let c_library = ["libc.", "libc-", "libpthread", "ld-", "ld."];
    path.starts_with('/') && !c_library.iter().any(|begin| name.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_memory_is_told_apart() {
        let text = "\
10000-11000 r-xp 00000000 fe:00 7                          /a program
11000-12000 rw-p 00001000 fe:00 7                          /a program
12000-13000 rw-p 00000000 00:00 0 
14000-15000 rw-p 00000000 00:00 0                          [heap]
20000-21000 rw-p 00000000 00:00 0 
30000-31000 rw-p 00001000 fe:00 9                          /lib/libc.so.6
31000-32000 r-xp 00000000 fe:00 9                          /lib/libc.so.6
32000-33000 r-xp 00000000 fe:00 9                          /lib/a library.so
40000-42000 rw-s 00003000 00:01 5                          /dev/zero (deleted)
7f000-80000 rw-p 00000000 00:00 0                          [stack]";
        let maps = Maps::parse(text, "/a program").unwrap();
        let kinds = [
            (0xffff, Mapped::Other),
            (0x10000, Mapped::Code),
            (0x11008, Mapped::Statics),
            (0x12fff, Mapped::Statics),
            (0x13000, Mapped::Other),
            (0x14000, Mapped::Heap),
            (0x20ff8, Mapped::Heap),
            (0x30000, Mapped::Other),
            (0x31000, Mapped::Other),
            (0x32000, Mapped::Code),
            (0x41000, Mapped::Shared),
            (0x7f000, Mapped::Other),
        ];
        for (address, mapped) in kinds {
            assert_eq!(maps.at(address), mapped, "{address:x}");
        }
        assert_eq!(maps.find(0x41000).unwrap().offset, 0x3000);
        assert!(Maps::parse("no mapping", "").is_none());
    }

    #[test]
    fn this_process_has_a_heap_statics_and_shared_pages() {
        static WORD: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(7);
        WORD.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (boxed, local) = (Box::new(7u64), 7u64);
        let region = crate::region::Region::anonymous(8).unwrap();
        let maps = Maps::of("self").unwrap();
        assert_eq!(maps.at((&raw const *boxed).addr()), Mapped::Heap);
        assert_eq!(maps.at((&raw const WORD).addr()), Mapped::Statics);
        assert_eq!(maps.at(region.address()), Mapped::Shared);
        let function: fn() = this_process_has_a_heap_statics_and_shared_pages;
        assert_eq!(maps.at((function as *const ()).addr()), Mapped::Code);
        assert_eq!(maps.at("a literal".as_ptr().addr()), Mapped::Other);
        // The stack of a thread is anonymous; that of a process has a name.
        assert_ne!(maps.at((&raw const local).addr()), Mapped::Statics);
    }
}
