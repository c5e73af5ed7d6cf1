//! A cell of the matrix: one misdeed, committed at one place, in a check on one engine; and whether
//! that check ends as it should.

use crate::misdeeds::{ENGINES, Ends, MARK, MISDEEDS, PLACES, Place, Site};
use forkcheck::check::Verdict;
use forkcheck::engine::Engine;
use forkcheck::prelude::*;
use std::ffi::CString;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The watchdog's time, which no check takes, even on a busy machine.
const HANGS: Duration = Duration::from_secs(600);
/// Numbers the checks of this program.
static CHECKS: AtomicU32 = AtomicU32::new(0);

/// The number of the misdeed, its place, the mark of the processes that it leaves behind, and the
/// process of the tests.
type Setup = (usize, Place, u32, u32);

/// Each operation that returns gives 7.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seven(Setup);
impl Spec for Seven {
    type Setup = Setup;
    type Op = ();
    type Ret = u8;
    fn start(setup: &Setup) -> Self {
        Seven(*setup)
    }
    fn step(&mut self, _: usize, _: &()) -> u8 {
        let (misdeed, place, mark, tests) = self.0;
        // Not in the process of the tests, which asks the spec too.
        if place == Place::TheSpec && tests != std::process::id() {
            commit(misdeed, mark, 0..0);
        }
        7
    }
}

pub(crate) struct Hostile<M: Memory> {
    calls: M::AtomicU32,
    misdeed: usize,
    place: Place,
    mark: u32,
}
pub(crate) struct User<'a, M: Memory> {
    all: &'a Hostile<M>,
    is_hostile: bool,
}
impl<M: Memory> WithHandles for Hostile<M> {
    type Memory = M;
    type Spec = Seven;
    type Handle<'a> = User<'a, M>;
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

/// Commits it in this process, whose name from then on marks it as one of that check.
fn commit(misdeed: usize, mark: u32, own: Range<usize>) {
    let _ = nix::sys::prctl::set_name(&CString::new(name(mark)).unwrap());
    (MISDEEDS[misdeed].does)(&Site {
        own,
        mark: mark.to_string(),
    });
}

/// Returns the name of processes in a check with this mark.
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

/// Checks a structure that commits it there, and returns the verdict, whether nothing was found,
/// and the report.
fn checked<E: Engine>(number: usize, place: Place) -> (Verdict<Seven>, bool, String)
where
    Hostile<E::Memory>: WithHandles<Memory = E::Memory, Spec = Seven>,
{
    let (answer, result) = mpsc::channel();
    // Process ids are reused; those of tests that run at one time differ.
    let tests = std::process::id();
    let mark = tests << 16 | CHECKS.fetch_add(1, Ordering::Relaxed) & 0xffff;
    // The engine's processes end with the thread that started them.
    std::thread::spawn(move || {
        let suite = Suite::new(forkcheck::site!(), "hostile")
            .setup(Just((number, place, mark, tests)))
            .role("hostile", 1, 1..=1, Just(()))
            .role("innocent", 1, 1..=1, Just(()))
            .cases(1)
            .executions(20)
            .without_turn()
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
    let mut left = marked(mark);
    while !left.is_empty() && Instant::now() < until {
        std::thread::yield_now();
        left = marked(mark);
    }
    assert_eq!(left, [0; 0], "{name}: left behind");
    result
}

/// Returns the processes that a check with this mark left behind, by their name, or by their
/// environment if they run another program.
fn marked(mark: u32) -> Vec<u32> {
    let (name, mark) = (format!("({})", name(mark)), format!("{MARK}={mark}"));
    let has_mark = |process: &u32| {
        let read = |file| std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        // A process that has ended, and that its new parent does not wait for, has no effect any
        // more.
        let is_over = stat
            .rsplit_once(") ")
            .is_some_and(|(_, fields)| fields.starts_with('Z'));
        let has_mark = || {
            let environment = read("environ");
            let mut variables = environment.split(|&byte| byte == 0);
            variables.any(|variable| variable == mark.as_bytes())
        };
        !is_over && (stat.contains(&name) || has_mark())
    };
    let all = std::fs::read_dir("/proc").unwrap();
    let all = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    all.filter(has_mark).collect()
}

/// A misdeed at a place, and the end that its check has to have.
#[derive(Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) misdeed: usize,
    pub(crate) place: Place,
    pub(crate) ends: Ends,
}

/// Returns the cells of a misdeed on an engine, including those that are not tried.
pub(crate) fn cells<E: Engine>(misdeed: usize) -> impl Iterator<Item = Cell> {
    let row = &MISDEEDS[misdeed];
    let engine = ENGINES.iter().position(|&name| name == E::NAME);
    let in_spec = row.spec[engine.expect("it has a column")];
    let structure = if E::NAME == "loom" {
        row.loom
    } else {
        row.real
    };
    PLACES.into_iter().map(move |place| {
        let is_tried = row.engines.contains(&E::NAME);
        let ends = match place {
            _ if !is_tried => Ends::Untried,
            Place::New | Place::Drop if E::NAME == "kills" => Ends::Untried,
            Place::TheSpec => in_spec,
            place if row.places.contains(&place) => structure,
            _ => Ends::Untried,
        };
        Cell {
            misdeed,
            place,
            ends,
        }
    })
}

impl Cell {
    pub(crate) fn is_tried(&self) -> bool {
        !matches!(self.ends, Ends::Untried)
    }

    /// Checks a structure that commits the misdeed there, and returns the report if the check does not end as it should.
    pub(crate) fn complaint<E: Engine>(&self) -> Option<String>
    where
        Hostile<E::Memory>: WithHandles<Memory = E::Memory, Spec = Seven>,
    {
        let (verdict, fine, report) = checked::<E>(self.misdeed, self.place);
        let told = report.split_whitespace().collect::<Vec<_>>().join(" ");
        let as_it_should = match self.ends {
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
        let name = MISDEEDS[self.misdeed].name;
        (!as_it_should).then(|| format!("{name}, {:?}:\n{report}", self.place))
    }
}

/// Returns whether a check with that verdict found nothing, and left out only overlaps: in so few
/// executions, calls may overlap too seldom.
pub(crate) fn is_undisturbed<S: Spec>(verdict: &Verdict<S>) -> bool {
    match verdict {
        Verdict::Ok => true,
        Verdict::Unknown(reason) => reason.contains("did calls of different processes overlap"),
        _ => false,
    }
}
