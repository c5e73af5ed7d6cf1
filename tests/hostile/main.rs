//! Structures that attack the processes that check them: each check ends, with a verdict in words, and leaves nothing behind.
//!
//! What they do, and where, is in `misdeeds`, one line each; each is done on each engine.
#![forbid(unsafe_code)]

mod misdeeds;

use forkcheck::check::Verdict;
use forkcheck::engine::{Engine, Kills, Processes, Stepped};
use forkcheck::prelude::*;
use misdeeds::{Ends, MARK, MISDEEDS, Misdeed, Place, Site};
use std::sync::atomic::AtomicU32;
use std::sync::mpsc;
use std::time::Duration;

/// A watchdog's time: that no check takes, on a busy machine either.
const HANGS: Duration = Duration::from_secs(600);
/// Numbers the checks of this program.
static CHECKS: AtomicU32 = AtomicU32::new(0);

/// The number of the misdeed, where it is committed, and what marks that which it leaves behind.
type Setup = (usize, Place, u32);

/// Whatever returns, returns 7.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seven;
impl Spec for Seven {
    type Setup = Setup;
    type Op = ();
    type Ret = u8;
    fn start(_: &Setup) -> Self {
        Seven
    }
    fn step(&mut self, _: usize, _: &()) -> u8 {
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
    fn new(&(misdeed, place, mark): &Setup) -> Self {
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
            let own = std::ptr::from_ref(self).addr();
            (MISDEEDS[self.misdeed].does)(&Site {
                own: own..own + size_of::<Self>(),
                mark: self.mark.to_string(),
            });
        }
    }
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
    let mark = std::process::id() << 8 | CHECKS.fetch_add(1, Ordering::Relaxed);
    // The engine's processes end with the thread that asked for them.
    std::thread::spawn(move || {
        let suite = Suite::new(forkcheck::site!(), "hostile")
            .setup(Just((number, place, mark)))
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
    for file in std::fs::read_dir(std::env::temp_dir()).unwrap() {
        let path = file.unwrap().path();
        if path
            .display()
            .to_string()
            .contains(&format!("{MARK}-{mark}-"))
        {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(marked(&mark.to_string()), [0; 0], "{name}: left behind");
    result
}

/// Processes that a check with this mark left behind.
fn marked(mark: &str) -> Vec<u32> {
    let mark = format!("{MARK}={mark}\0");
    let has_mark = |process: &u32| {
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment
            .windows(mark.len())
            .any(|window| window == mark.as_bytes())
    };
    let all = std::fs::read_dir("/proc").unwrap();
    let all = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    all.filter(has_mark).collect()
}

fn ends<E: Engine>(name: &str, of: fn(&Misdeed) -> &Ends)
where
    Hostile<E::Memory>: Subject<E::Memory, Spec = Seven>,
{
    let number = MISDEEDS.iter().position(|misdeed| misdeed.name == name);
    let number = number.expect("it has a row");
    for &place in MISDEEDS[number].places {
        let (verdict, fine, report) = checked::<E>(number, place);
        let told = report.split_whitespace().collect::<Vec<_>>().join(" ");
        match of(&MISDEEDS[number]) {
            // So few executions may overlap too seldom, which is Unknown.
            Ends::Undisturbed => {
                let wrong = matches!(verdict, Verdict::Finding(_) | Verdict::Unavailable(_));
                assert!(fine && !wrong, "{place:?}: {report}");
            }
            Ends::Words(words) => {
                assert!(
                    verdict != Verdict::Ok && told.contains(words),
                    "{place:?}: {report}"
                );
            }
        }
    }
    // The next check is undisturbed.
    let (verdict, fine, report) = checked::<E>(0, Place::Operation);
    let wrong = matches!(verdict, Verdict::Finding(_) | Verdict::Unavailable(_));
    assert!(fine && !wrong, "{report}");
}

macro_rules! matrix {
    ($engines:tt; $($misdeed:ident)*) => {
        $(matrix!(@ $misdeed $engines);)*
        #[test]
        fn each_misdeed_is_tried() {
            let tried = [$(stringify!($misdeed)),*];
            assert_eq!(tried, MISDEEDS.map(|misdeed| misdeed.name));
        }
    };
    (@ $misdeed:ident {$($engine:ident: $type:ty, $of:ident;)*}) => {
        mod $misdeed {
            use super::*;
            $(#[test]
            fn $engine() {
                ends::<$type>(stringify!($misdeed), |misdeed| &misdeed.$of);
            })*
        }
    };
}
#[cfg(not(feature = "loom"))]
matrix!({ processes: Processes, real; stepped: Stepped, real; kills: Kills, real; };
    nothing close_all replace_all close_std junk zeros ones stop_self stop_parent stop_siblings kill_parent kill_siblings daemon);
#[cfg(feature = "loom")]
matrix!({ processes: Processes, real; stepped: Stepped, real; kills: Kills, real; loom: forkcheck::engine::loom::Loom, loom; };
    nothing close_all replace_all close_std junk zeros ones stop_self stop_parent stop_siblings kill_parent kill_siblings daemon);
