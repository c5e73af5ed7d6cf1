//! Sessions as engines use them: many requests, the end of either side, and failing starts.

use super::*;
use crate::Region;
use crate::process::{Channel, Exit, spawn};
use nix::sys::signal::{Signal, kill};
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

/// A job that echoes each request. It has a worker meanwhile, whose id precedes the first echo.
struct Echo;
impl Echo {
    const JOB: &'static Job = &Job::new(std::any::type_name::<Self>, Self::serve);
    fn serve(channel: &mut Channel) {
        let worker = spawn(|| -> () { park() }).unwrap();
        while let Some(request) = channel.next() {
            println!("echo of {} bytes", request.len());
            channel
                .reply(&[&worker.id().to_le_bytes(), &request[..]].concat())
                .unwrap();
        }
    }
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

fn worker(reply: &[u8]) -> u32 {
    u32::from_le_bytes(reply[..4].try_into().unwrap())
}

/// Returns whether a process runs: it exists and is no zombie.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

/// Returns whether it stops running within a minute.
fn ends(pid: u32) -> bool {
    let start = Instant::now();
    while runs(pid) && start.elapsed() < Duration::from_secs(60) {
        std::thread::yield_now();
    }
    !runs(pid)
}

#[test]
fn a_session_answers_many_requests_and_keeps_what_was_printed() {
    let mut session = Session::start(Echo::JOB).unwrap();
    for len in [0, 1, 3_000_000, 7] {
        let request = vec![9; len];
        assert_eq!(session.ask(&request).unwrap()[4..], request);
    }
    assert!(
        session
            .output()
            .ends_with("echo of 3000000 bytes\necho of 7 bytes\n"),
        "{}",
        session.output()
    );
}

#[test]
fn a_dropped_session_leaves_no_process() {
    let mut session = Session::start(Echo::JOB).unwrap();
    let (zygote, worker) = (session.id(), worker(&session.ask(b"").unwrap()));
    drop(session);
    assert!(
        !std::path::Path::new(&format!("/proc/{zygote}")).exists(),
        "not even a zombie"
    );
    assert!(ends(worker));
}

/// A job that leaves a process behind that outlives its parent, and answers with its id.
struct Leaves;
impl Leaves {
    const JOB: &'static Job = &Job::new(std::any::type_name::<Self>, Self::serve);
    fn serve(channel: &mut Channel) {
        channel.next().unwrap();
        let command = "setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $!";
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        let pid: u32 = String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let ids = [pid, std::process::id()];
        channel.reply(&ids.map(u32::to_le_bytes).concat()).unwrap();
        channel.next();
    }
}

/// A process of a session.
#[derive(Clone, Copy, Debug)]
enum Of {
    Guardian,
    Zygote,
}

/// Drops a session after a signal to one of its processes, if any is given; returns whether that
/// ended the process that the zygote's child left.
fn ends_what_was_left(signal: Option<(Of, Signal)>) -> bool {
    let mut session = Session::start(Leaves::JOB).unwrap();
    let ids = session.ask(b"").unwrap();
    let (left, zygote) = (worker(&ids), worker(&ids[4..]));
    assert!(runs(left));
    if let Some((of, signal)) = signal {
        let to = match of {
            Of::Guardian => session.id(),
            Of::Zygote => zygote,
        };
        kill(Pid::from_raw(to as i32), signal).unwrap();
        let start = Instant::now();
        while !session.process.is_stopped() && runs(session.id()) {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "it is not stopped"
            );
            std::thread::yield_now();
        }
    }
    drop(session);
    let ended = !runs(left);
    let _ = kill(Pid::from_raw(left as i32), Signal::SIGKILL);
    ended
}

/// The drop waits until the zygote has ended what its children left; a stopped zygote cannot.
#[test]
fn a_stopped_zygote_goes_on_as_its_session_is_dropped_and_ends_what_its_children_left() {
    assert!(ends_what_was_left(None));
    assert!(ends_what_was_left(Some((Of::Guardian, Signal::SIGSTOP))));
    assert!(ends_what_was_left(Some((Of::Zygote, Signal::SIGSTOP))));
}

#[test]
fn what_the_children_of_a_killed_zygote_left_ends_as_well() {
    assert!(ends_what_was_left(Some((Of::Zygote, Signal::SIGKILL))));
    assert!(ends_what_was_left(Some((Of::Zygote, Signal::SIGSEGV))));
    // A guardian that is killed cannot; the client finds them by the mark of their session.
    assert!(ends_what_was_left(Some((Of::Guardian, Signal::SIGKILL))));
}

#[test]
fn a_zygote_killed_from_outside_is_an_error_with_its_exit_and_the_next_one_works() {
    let mut session = Session::start(Echo::JOB).unwrap();
    let worker = worker(&session.ask(b"first").unwrap());
    let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let zygote = fields.split_ascii_whitespace().nth(1).unwrap();
    let zygote = Pid::from_raw(zygote.parse().unwrap());
    assert_ne!(zygote.as_raw() as u32, session.id(), "it has a guardian");
    kill(zygote, Signal::SIGKILL).unwrap();
    // The second finds it dead from the start.
    for _ in 0..2 {
        let error = session.ask(b"second").unwrap_err();
        assert_eq!(error.exit(), Some(&Exit::Signal(9)), "{error}");
        assert!(error.to_string().contains("echo of 5 bytes"), "{error}");
    }
    assert!(ends(worker));
    assert!(Session::start(Echo::JOB).unwrap().ask(b"third").is_ok());
}

#[test]
fn a_client_that_is_killed_leaves_no_orphan() {
    struct Outer;
    impl Outer {
        const JOB: &'static Job = &Job::new(std::any::type_name::<Self>, Self::serve);
        fn serve(channel: &mut Channel) {
            channel.next().unwrap();
            let region = Region::anonymous(8).unwrap();
            let words: &[AtomicU32; 2] = region.get(0).unwrap();
            let mut client = spawn(|| -> () {
                let mut session = Session::start(Echo::JOB).unwrap();
                let worker = worker(&session.ask(b"").unwrap());
                words[1].store(worker, Relaxed);
                words[0].store(session.id(), Release);
                park()
            })
            .unwrap();
            while words[0].load(Acquire) == 0 {
                let early = client.wait_timeout(Duration::from_millis(1)).unwrap();
                assert_eq!(early, None, "it has a session before it ends");
            }
            let pids = words.each_ref().map(|word| word.load(Relaxed));
            let before = pids.map(runs);
            // Kills the client alone, not its group.
            kill(Pid::from_raw(client.id() as i32), Signal::SIGKILL).unwrap();
            assert_eq!(client.wait().unwrap(), Exit::Signal(9));
            let after = pids.map(ends);
            channel
                .reply(format!("{before:?} {after:?}").as_bytes())
                .unwrap();
        }
    }
    let seen = Session::start(Outer::JOB).unwrap().ask(b"").unwrap();
    assert_eq!(
        String::from_utf8(seen).unwrap(),
        "[true, true] [true, true]"
    );
}

#[test]
fn a_job_that_is_not_what_it_was_called_is_refused_in_words() {
    let mut greeting = takeover::greeting(Echo::JOB);
    greeting.extend_from_slice(b"Another");
    let error = try_start(&greeting, "/proc/self/exe")
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("Echo, not") && error.contains("EchoAnother"),
        "{error}"
    );
    let mut greeting = takeover::greeting(Echo::JOB);
    greeting[13] ^= 0x40;
    let error = try_start(&greeting, "/proc/self/exe")
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("out of the program's image"), "{error}");
}

#[test]
fn a_program_that_is_not_taken_over_is_an_error_in_words_and_killed() {
    let greeting = takeover::greeting(Echo::JOB);
    let error = try_start(&greeting, "true").err().unwrap();
    assert_eq!(error.exit(), Some(&Exit::Code(0)), "{error}");
    let mut command = Command::new("sleep");
    command.arg("600");
    let error = Session::start_with(Echo::JOB, &greeting, command, Duration::from_millis(50))
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(text.contains(".init_array"), "{text}");
    let pid = text
        .split_ascii_whitespace()
        .find_map(|word| word.parse().ok())
        .unwrap();
    assert!(ends(pid), "{text}");
}

#[test]
fn a_program_that_may_not_be_executed_is_an_error_that_names_its_permission_and_its_mount() {
    // A new file of tempfile has mode 0600.
    let file = tempfile::NamedTempFile::new().unwrap();
    let greeting = takeover::greeting(Echo::JOB);
    let error = try_start(&greeting, file.path().to_str().unwrap()).err();
    let text = error.unwrap().to_string();
    for words in ["EACCES", "chmod +x", "noexec", "seccomp"] {
        assert!(text.contains(words), "{text}");
    }
}

fn try_start(greeting: &[u8], program: &str) -> Result<Session, Error> {
    Session::start_with(Echo::JOB, greeting, Command::new(program), START)
}
