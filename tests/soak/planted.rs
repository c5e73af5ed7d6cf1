//! The twin of a soak: a planted leak of each kind, which the comparison has to name, and no other.

use crate::held::{Held, RESIDENT, key, mappings, mark};
use forkcheck::Region;
use forkcheck::region::Name;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::process::Command;
use std::sync::mpsc;

/// A leak: its kind in the comparison, and the function that ends it.
type Planted = (&'static str, fn() -> Mend);
type Mend = Box<dyn FnOnce()>;

const PLANTED: [Planted; 11] = [
    ("processes", || {
        let mut child = Command::new("sleep").arg("3600").spawn().unwrap();
        Box::new(move || {
            child.kill().unwrap();
            child.wait().unwrap();
        })
    }),
    // A process that has ended and is not waited for has no environment.
    ("processes", || {
        let mut child = Command::new("true").spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        while !std::fs::read_to_string(&stat).unwrap().contains(") Z") {
            std::thread::yield_now();
        }
        Box::new(move || assert!(child.wait().unwrap().success()))
    }),
    // A process whose parent has ended is a child of init, or of a subreaper.
    ("processes", || {
        let command = "setsid sleep 3600 </dev/null >/dev/null 2>&1 & echo $!";
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        let pid: i32 = String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        // Until the program is executed, its process may have no environment.
        let file = |name| std::fs::read(format!("/proc/{pid}/{name}")).unwrap();
        let has_mark = |environment: Vec<u8>| {
            let mark = mark();
            environment
                .windows(mark.len())
                .any(|window| window == mark.as_bytes())
        };
        while file("comm") != b"sleep\n" || !has_mark(file("environ")) {
            std::thread::yield_now();
        }
        Box::new(move || kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap())
    }),
    ("descriptors", || {
        let file = File::open("/proc/self/status").unwrap();
        Box::new(move || drop(file))
    }),
    ("descriptors", || {
        let pipe = std::io::pipe().unwrap();
        Box::new(move || drop(pipe))
    }),
    ("names", || {
        let name = Name::posix(&format!("/{}", mark())).unwrap();
        drop(Region::create(&name, 8).unwrap().keep());
        Box::new(move || name.remove().unwrap())
    }),
    ("files", || {
        let path = std::env::temp_dir().join("left");
        File::create(&path).unwrap();
        Box::new(move || std::fs::remove_file(path).unwrap())
    }),
    ("segments", || {
        let name = Name::sysv(key(0xff)).unwrap();
        drop(Region::create(&name, 8).unwrap().keep());
        Box::new(move || name.remove().unwrap())
    }),
    ("shared mappings", || {
        let region = Region::anonymous(8).unwrap();
        Box::new(move || drop(region))
    }),
    // A stack has a guard page, and so two lines.
    ("threads", || threads(1)),
    ("memory", || {
        let lost = vec![1u8; (RESIDENT as usize + 1024) << 10];
        Box::new(move || drop(std::hint::black_box(lost)))
    }),
];

/// Starts threads that stay until they are released and then joined.
fn threads(number: usize) -> Mend {
    let all: Vec<_> = (0..number)
        .map(|_| {
            let (stay, until) = mpsc::channel::<()>();
            (stay, std::thread::spawn(move || until.recv().is_err()))
        })
        .collect();
    Box::new(move || {
        for (stay, thread) in all {
            drop(stay);
            thread.join().unwrap();
        }
    })
}

fn a_thread_that_waits_for_the_machine_is_no_leak_and_a_second_one_is() {
    let lock = || File::open(std::env::var("FORKCHECK_LOCK").unwrap()).unwrap();
    let before = Held::now();
    let (first, mend) = (lock(), threads(1));
    assert_eq!(Held::now().more_than(&before), [""; 0]);
    let (second, mend_too) = (lock(), threads(1));
    let more = Held::now().more_than(&before);
    assert_eq!(kinds(&more), ["descriptors", "threads"], "{more:?}");
    drop((first, second));
    mend();
    mend_too();
    let more = Held::after(Some(&before)).more_than(&before);
    assert!(more.is_empty(), "{more:?}");
    // Without the thread it counts as a leaked descriptor.
    let left = lock();
    assert_eq!(kinds(&Held::now().more_than(&before)), ["descriptors"]);
    drop(left);
}

/// Returns the kinds of what has grown, once each.
fn kinds(more: &[String]) -> Vec<&str> {
    let mut kinds: Vec<&str> = more
        .iter()
        .map(|more| more.split_once(": ").unwrap().0)
        .collect();
    kinds.dedup();
    kinds
}

pub(crate) fn each_is_seen() {
    let all = PLANTED.iter().copied();
    for (kind, plant) in all {
        let before = Held::now();
        let mend = plant();
        let more = Held::now().more_than(&before);
        assert_eq!(kinds(&more), [kind], "{more:?}");
        mend();
        let more = Held::after(Some(&before)).more_than(&before);
        assert!(more.is_empty(), "{kind}: {more:?}");
    }
    a_thread_that_waits_for_the_machine_is_no_leak_and_a_second_one_is();
    // A growth in mappings beyond any cache comes with as many threads. It is twice what is allowed: some get the stacks of threads
    // that have ended, and make no arena before they run.
    let before = Held::now();
    let mend = threads(mappings());
    let more = Held::now().more_than(&before);
    assert_eq!(kinds(&more), ["threads", "mappings"], "{more:?}");
    mend();
    let before = Held::after(Some(&before));
    let kib = RESIDENT + 1024;
    let command = format!(
        "a=$(head -c {}k /dev/zero | tr '\\0' x); echo; read b",
        2 * kib
    );
    let mut child = Command::new("sh");
    let child = child.args(["-c", &command]);
    let child = child.stdin(std::process::Stdio::piped());
    let mut child = child.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = [0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    let more = Held::now().more_than(&before);
    assert!(kinds(&more).contains(&"memory of descendants"), "{more:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    println!("{} leaks were planted, and seen", PLANTED.len() + 2);
}
