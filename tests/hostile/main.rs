//! Structures that attack the processes that check them: each check ends, with a verdict in words, and leaves nothing behind.
//!
//! What they do, and where, is in `misdeeds`, one line each; each is done on each engine.

mod acts;
mod misdeeds;
mod raw;

use forkcheck::check::Verdict;
use forkcheck::engine::{Engine, Kills, Processes, Stepped};
use forkcheck::prelude::*;
use misdeeds::{Ends, MARK, MISDEEDS, Misdeed, Place, Site};
use std::ffi::CString;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A watchdog's time: that no check takes, on a busy machine either.
const HANGS: Duration = Duration::from_secs(600);
/// Numbers the checks of this program.
static CHECKS: AtomicU32 = AtomicU32::new(0);

/// The number of the misdeed, where it is committed, what marks that which it leaves behind, and the process of the tests.
type Setup = (usize, Place, u32, u32);

/// Whatever returns, returns 7.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seven(Setup);
impl Spec for Seven {
    type Setup = Setup;
    type Op = ();
    type Ret = u8;
    fn start(setup: &Setup) -> Self {
        Seven(*setup)
    }
    fn step(&mut self, _: usize, _: &()) -> u8 {
        let (misdeed, place, mark, tests) = self.0;
        // Not in the process of the tests, which asks it too.
        if place == Place::TheSpec && tests != std::process::id() {
            commit(misdeed, mark, 0..0);
        }
        7
    }
}

struct Hostile<M: Memory> {
    calls: M::AtomicU32,
    misdeed: usize,
    place: Place,
    mark: u32,
}
struct User<'a, M: Memory> {
    all: &'a Hostile<M>,
    is_hostile: bool,
}
impl<M: Memory> Subject<M> for Hostile<M> {
    type Spec = Seven;
    type Seat<'a> = User<'a, M>;
    fn new(&(misdeed, place, mark, _): &Setup) -> Self {
        let all = Hostile {
            calls: Atomic::new(0),
            misdeed,
            place,
            mark,
        };
        all.commit(Place::New);
        all
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> User<'a, M> {
        let is_hostile = role.process == 0;
        if is_hostile {
            self.commit(Place::Attach);
        }
        User {
            all: self,
            is_hostile,
        }
    }
    fn apply(user: &mut User<'_, M>, (): &()) -> u8 {
        user.all.calls.fetch_add(1, Ordering::Relaxed);
        if user.is_hostile {
            user.all.commit(Place::Operation);
        }
        user.all.calls.fetch_add(1, Ordering::Relaxed);
        7
    }
}

impl<M: Memory> Hostile<M> {
    fn commit(&self, place: Place) {
        if self.place == place {
            let own = std::ptr::from_ref(self).expose_provenance();
            commit(self.misdeed, self.mark, own..own + size_of::<Self>());
        }
    }
}

/// Commits it in this process, whose name tells from then on that it is one of that check.
fn commit(misdeed: usize, mark: u32, own: Range<usize>) {
    let _ = nix::sys::prctl::set_name(&CString::new(name(mark)).unwrap());
    (MISDEEDS[misdeed].does)(&Site {
        own,
        mark: mark.to_string(),
    });
}

/// The name of processes in a check with this mark.
fn name(mark: u32) -> String {
    format!("hostile{mark:08x}")
}
impl<M: Memory> Drop for User<'_, M> {
    fn drop(&mut self) {
        if self.is_hostile {
            self.all.commit(Place::Detach);
        }
    }
}
impl<M: Memory> Drop for Hostile<M> {
    fn drop(&mut self) {
        self.commit(Place::Drop);
    }
}

/// Checks a structure that does this there, and returns the verdict, whether nothing was found, and the report.
fn checked<E: Engine>(number: usize, place: Place) -> (Verdict<Seven>, bool, String)
where
    Hostile<E::Memory>: Subject<E::Memory, Spec = Seven>,
{
    let (answer, result) = mpsc::channel();
    // Process ids come again; those of tests that run at one time do not.
    let tests = std::process::id();
    let mark = tests << 16 | CHECKS.fetch_add(1, Ordering::Relaxed) & 0xffff;
    // The engine's processes end with the thread that asked for them.
    std::thread::spawn(move || {
        let suite = Suite::new(forkcheck::site!(), "hostile")
            .setup(Just((number, place, mark, tests)))
            .role("hostile", 1, 1..=1, Just(()))
            .role("innocent", 1, 1..=1, Just(()))
            .cases(1)
            .executions(20)
            .regressions(None);
        let outcome = suite.check::<E, Hostile<E::Memory>>().unwrap();
        let report = suite.report(&outcome);
        let fine = outcome.covered.failing == 0 && outcome.covered.executions > 0;
        answer.send((outcome.verdict, fine, report)).unwrap();
    });
    let name = MISDEEDS[number].name;
    let result = result
        .recv_timeout(HANGS)
        .unwrap_or_else(|_| panic!("{}, {name}: no verdict", E::NAME));
    let files = || {
        let all = std::fs::read_dir(std::env::temp_dir()).unwrap();
        let all = all.map(|file| file.unwrap().path());
        let is_marked = |path: &PathBuf| {
            path.to_str()
                .is_some_and(|path| path.contains(&format!("{MARK}-{mark}-")))
        };
        all.filter(is_marked).collect::<Vec<_>>()
    };
    for path in files() {
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
    }
    assert_eq!(files(), [""; 0].map(PathBuf::from), "{name}: left behind");
    // The kernel kills the children of an ended process, which takes a moment.
    let until = Instant::now() + Duration::from_secs(10);
    while !marked(mark).is_empty() && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(marked(mark), [0; 0], "{name}: left behind");
    result
}

/// Processes that a check with this mark left behind: by their name, or by their environment where they run another program.
fn marked(mark: u32) -> Vec<u32> {
    let (name, mark) = (name(mark), format!("{MARK}={mark}\0"));
    let has_mark = |process: &u32| {
        let read = |file| std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        // One that has ended, and is not waited for by whom its parent left it to, does nothing any more.
        let is_over = stat
            .rsplit_once(") ")
            .is_some_and(|(_, fields)| fields.starts_with('Z'));
        let environment = read("environ");
        let mut windows = environment.windows(mark.len());
        !is_over
            && (stat.contains(&format!("({name})"))
                || windows.any(|window| window == mark.as_bytes()))
    };
    let all = std::fs::read_dir("/proc").unwrap();
    let all = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    all.filter(has_mark).collect()
}

fn ends<E: Engine>(name: &str, of: fn(&Misdeed) -> [Ends; 2])
where
    Hostile<E::Memory>: Subject<E::Memory, Spec = Seven>,
{
    let number = MISDEEDS.iter().position(|misdeed| misdeed.name == name);
    let number = number.expect("it has a row");
    let misdeed = &MISDEEDS[number];
    let [ends, in_spec] = of(misdeed);
    let places = misdeed.places.iter().map(|&place| (place, ends));
    let places = places.chain([(Place::TheSpec, in_spec)]);
    // The check that comes last is undisturbed.
    let cells = places.map(|(place, ends)| (number, place, ends));
    let cells = cells.filter(|_| misdeed.engines.contains(&E::NAME));
    let cells = cells.chain([(0, Place::Operation, Ends::Undisturbed)]);
    let mut others = Vec::new();
    for (number, place, ends) in cells {
        if matches!(ends, Ends::Untried) {
            continue;
        }
        let (verdict, fine, report) = checked::<E>(number, place);
        let told = report.split_whitespace().collect::<Vec<_>>().join(" ");
        let as_it_should = match ends {
            Ends::Undisturbed => fine && is_undisturbed(&verdict),
            // An engine that schedules says that it did not schedule this.
            Ends::Unscheduled if E::EXPLORES => {
                fine && told.contains("changed without an access to `Memory`")
            }
            Ends::Unscheduled => fine && is_undisturbed(&verdict),
            Ends::Words(words) => {
                verdict != Verdict::Ok && words.split('|').any(|words| told.contains(words))
            }
            Ends::Untried => unreachable!("it was left out"),
        };
        if !as_it_should {
            others.push(format!("{}, {place:?}:\n{report}", MISDEEDS[number].name));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}

/// Whether a check with that verdict found nothing, and left out nothing but overlaps: in so few executions, calls may overlap
/// too seldom.
fn is_undisturbed(verdict: &Verdict<Seven>) -> bool {
    match verdict {
        Verdict::Ok => true,
        Verdict::Unknown(reason) => reason.contains("did calls of different processes overlap"),
        Verdict::Finding(_) | Verdict::Unavailable(_) => false,
    }
}

#[test]
fn a_check_that_is_unknown_for_another_reason_than_overlaps_is_disturbed() {
    let unknown = |reason: &str| Verdict::Unknown(reason.into());
    assert!(!is_undisturbed(&unknown("nothing was run")));
    let seldom = "in only 0 of 20 executions did calls of different processes overlap";
    assert!(is_undisturbed(&unknown(seldom)));
}

macro_rules! matrix {
    ($engines:tt; $($misdeed:ident)*) => {
        $(matrix!(@ $misdeed $engines);)*
        #[test]
        fn each_misdeed_is_tried() {
            let tried = [$(stringify!($misdeed)),*];
            let misdeeds: Vec<_> = MISDEEDS.iter().map(|misdeed| misdeed.name).collect();
            assert_eq!(misdeeds, tried);
        }
    };
    (@ $misdeed:ident {$($engine:ident: $type:ty, $of:ident, $spec:literal;)*}) => {
        mod $misdeed {
            use super::*;
            $(#[test]
            fn $engine() {
                ends::<$type>(stringify!($misdeed), |misdeed| [misdeed.$of, misdeed.spec[$spec]]);
            })*
        }
    };
}
macro_rules! on {
    ($engines:tt) => {
        matrix!($engines; nothing close_all replace_all close_std junk zeros ones stop_self
            stop_parent stop_siblings kill_parent kill_siblings daemon no_descriptors no_memory
            starve a_second no_file_size no_stack no_processes no_locked_memory block_signals
            handlers ignore_signals interrupts alarm raise_term raise_segv raise_trap raise_chld
            raise_cont kill_group traced forget_parent undumpable no_privileges
            strict idle leave_session leave_group leave_processor leave_directory leave_root
            leave_user new_user new_pids new_mounts no_modes change_environment trap_numbers unmap
            protect forget_pages remove_pages overflow allocate read_all cut_all hang_up_all
            hurry_all print child zombie double linger run_true run_nothing steal_exits changeling
            become_true threads panic_beside exit end abort panic panic_silently panic_twice
            panic_later catch_panic forget_hook end_first_thread);
    };
}
#[cfg(not(feature = "loom"))]
on!({ processes: Processes, real, 0; stepped: Stepped, real, 1; kills: Kills, real, 2; });
#[cfg(feature = "loom")]
on!({ processes: Processes, real, 0; stepped: Stepped, real, 1; kills: Kills, real, 2; loom: forkcheck::engine::loom::Loom, loom, 3; });
