//! The rows: a place, the requirements to make it, and the parts that do not work there, with their errors. All other
//! parts work.

use crate::place::{
    Scratch, a_tenth, limited, nobody, one_processor, other_user, own_mounts, proc, small, without,
};
use crate::sandbox::forbid_flag;
use nix::libc;
use nix::sys::resource::Resource;

pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The requirement, for a machine that does not meet it.
    pub(crate) needs: &'static str,
    /// Whether it is a pid namespace, in which the first process does the work.
    pub(crate) is_first: bool,
    /// Brings this process there; returns false if that is not possible here.
    pub(crate) enter: fn(&Scratch) -> bool,
    /// The parts of the core that are an error, and words of it.
    pub(crate) core: &'static [(&'static str, &'static str)],
    /// The engines of the command that are an error, and words of it; `exit` is how the command ends.
    pub(crate) command: &'static [(&'static str, &'static str)],
    /// The number of names that are left because they cannot be removed.
    pub(crate) leaves: usize,
}

const PLAIN: Row = Row {
    name: "nothing",
    needs: "nothing",
    is_first: false,
    enter: |_| true,
    core: &[],
    command: &[],
    leaves: 0,
};
const MOUNTS: &str = "no mount namespace is permitted here";
const PIDS: &str = "no pid namespace is permitted here";
const ROOT: &str = "only root can become another user, which has to be able to read the program";

/// Returns the same words for each engine.
const fn all(words: &'static str) -> [(&'static str, &'static str); 4] {
    [
        ("processes", words),
        ("stepped", words),
        ("kills", words),
        ("loom", words),
    ]
}

pub(crate) const ROWS: [Row; 33] = [
    PLAIN,
    Row {
        name: "no_proc",
        needs: MOUNTS,
        enter: |_| own_mounts() && small("/proc", "64k"),
        core: &[("child", "mount /proc"), ("clean", "mount /proc")],
        command: &all("mount /proc"),
        ..PLAIN
    },
    Row {
        name: "proc_of_another_pid_namespace",
        needs: PIDS,
        is_first: true,
        ..PLAIN
    },
    Row {
        name: "first_process_of_a_pid_namespace",
        needs: PIDS,
        is_first: true,
        enter: |_| own_mounts() && proc(None),
        ..PLAIN
    },
    Row {
        name: "hidden_processes",
        needs: MOUNTS,
        enter: |_| own_mounts() && proc(Some("hidepid=2")) && other_user(),
        ..PLAIN
    },
    Row {
        name: "another_user",
        needs: ROOT,
        enter: |_| other_user(),
        ..PLAIN
    },
    Row {
        name: "user_namespace_without_mappings",
        needs: "no user namespace is permitted here",
        enter: |_| nobody(),
        ..PLAIN
    },
    Row {
        name: "no_memfd_create",
        enter: |_| without(libc::SYS_memfd_create),
        core: &[
            ("child", "permit memfd_create"),
            ("clean", "permit memfd_create"),
            ("memfd", "permit memfd_create"),
        ],
        command: &all("permit memfd_create"),
        ..PLAIN
    },
    Row {
        name: "no_pidfd_open",
        enter: |_| without(libc::SYS_pidfd_open),
        core: &[
            ("child", "permit pidfd_open"),
            ("clean", "permit pidfd_open"),
        ],
        command: &all("permit pidfd_open"),
        ..PLAIN
    },
    Row {
        name: "no_pidfd_send_signal",
        enter: |_| without(libc::SYS_pidfd_send_signal),
        ..PLAIN
    },
    Row {
        name: "no_kill",
        enter: |_| without(libc::SYS_kill),
        ..PLAIN
    },
    Row {
        name: "no_prctl",
        enter: |_| without(libc::SYS_prctl),
        core: &[("child", "permit prctl"), ("clean", "permit prctl")],
        command: &all("permit prctl"),
        ..PLAIN
    },
    Row {
        name: "no_linkat",
        enter: |_| without(libc::SYS_linkat),
        ..PLAIN
    },
    Row {
        name: "no_renameat2",
        enter: |_| without(libc::SYS_renameat2),
        ..PLAIN
    },
    Row {
        name: "no_fallocate",
        enter: |_| without(libc::SYS_fallocate),
        core: &[
            ("memfd", "permit fallocate"),
            ("posix", "permit fallocate"),
            ("file", "permit fallocate"),
        ],
        ..PLAIN
    },
    Row {
        name: "no_ftruncate",
        enter: |_| without(libc::SYS_ftruncate),
        ..PLAIN
    },
    Row {
        name: "no_futex",
        enter: |_| without(libc::SYS_futex),
        // Only loom's process has to wait here.
        command: &[("loom", "permit futex")],
        ..PLAIN
    },
    Row {
        name: "no_setpgid",
        enter: |_| without(libc::SYS_setpgid),
        core: &[("clean", "setpgid")],
        command: &all("setpgid"),
        ..PLAIN
    },
    Row {
        name: "no_waitid",
        enter: |_| without(libc::SYS_waitid),
        core: &[("child", "permit waitid"), ("clean", "permit waitid")],
        command: &all("permit waitid"),
        ..PLAIN
    },
    Row {
        name: "no_ppoll",
        enter: |_| without(libc::SYS_ppoll),
        core: &[("child", "ppoll"), ("clean", "permit ppoll")],
        command: &all("permit ppoll"),
        ..PLAIN
    },
    Row {
        name: "no_tmpfile",
        // The bit that O_TMPFILE has and O_DIRECTORY does not have.
        enter: |_| {
            let own = libc::O_TMPFILE & !libc::O_DIRECTORY;
            forbid_flag(libc::SYS_openat, 2, own as u32, libc::EPERM);
            true
        },
        ..PLAIN
    },
    Row {
        name: "no_shmget",
        enter: |_| without(libc::SYS_shmget),
        core: &[("sysv", "permit shmget"), ("sysv, no key", "permit shmget")],
        ..PLAIN
    },
    Row {
        name: "no_flock",
        enter: |_| without(libc::SYS_flock),
        core: &[
            ("posix", "permit flock"),
            ("file", "permit flock"),
            ("names left", "region"),
        ],
        leaves: 2,
        ..PLAIN
    },
    Row {
        name: "no_socketpair",
        enter: |_| without(libc::SYS_socketpair),
        core: &[("clean", "permit socketpair")],
        command: &all("permit socketpair"),
        ..PLAIN
    },
    Row {
        name: "few_descriptors",
        enter: |_| limited(Resource::RLIMIT_NOFILE, 8),
        core: &[("clean", "ulimit -n")],
        command: &all("ulimit -n"),
        ..PLAIN
    },
    Row {
        name: "little_address_space",
        enter: |_| limited(Resource::RLIMIT_AS, 128 << 20),
        ..PLAIN
    },
    // The program takes about 30 MiB, and a stack of a coroutine 8 MiB where there is room for it.
    Row {
        name: "hardly_any_address_space",
        enter: |_| limited(Resource::RLIMIT_AS, 44 << 20),
        command: &[("loom", "raise RLIMIT_AS (ulimit -v)")],
        ..PLAIN
    },
    Row {
        name: "no_more_processes",
        needs: ROOT,
        enter: |_| other_user() && limited(Resource::RLIMIT_NPROC, 0),
        core: &[("child", "ulimit -u"), ("clean", "ulimit -u")],
        command: &all("ulimit -u"),
        ..PLAIN
    },
    Row {
        name: "short_files",
        enter: |_| limited(Resource::RLIMIT_FSIZE, 20_000),
        core: &[
            ("memfd", "ulimit -f"),
            ("posix", "ulimit -f"),
            ("file", "ulimit -f"),
        ],
        ..PLAIN
    },
    Row {
        name: "a_full_disk",
        needs: MOUNTS,
        enter: |scratch| own_mounts() && small(scratch.temporary(), "16k"),
        core: &[("file", "make room")],
        ..PLAIN
    },
    Row {
        name: "a_full_dev_shm",
        needs: MOUNTS,
        enter: |_| own_mounts() && small("/dev/shm", "16k"),
        core: &[("posix", "make room")],
        ..PLAIN
    },
    Row {
        name: "one_processor",
        enter: |_| one_processor(),
        ..PLAIN
    },
    Row {
        name: "a_tenth_of_a_processor",
        needs: "no cgroup with a limit can be made here",
        enter: |scratch| a_tenth(scratch),
        ..PLAIN
    },
];
