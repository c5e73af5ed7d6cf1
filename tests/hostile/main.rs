//! Structures that attack the processes that check them: each check ends, with a verdict that has a
//! reason, and leaves nothing behind.
//!
//! A cell is a misdeed at a place in a check on an engine. `misdeeds` has a line for each misdeed, `cell` runs a cell, and
//! `table` counts. `HOSTILE=all cargo test --test hostile -- --nocapture` tries all cells and ends with their table;
//! `ci/long.sh` tries all, too. Without the variable each misdeed is tried at each place on one engine.
//!
//! Cells that are not tried, and why:
//!
//! | which | why |
//! |---|---|
//! | `Attach` and `Detach` of a misdeed that changes or ends its process alone | handles are made and dropped in the process of the operations, so the cell would repeat that of `Operation` |
//! | `New` and `Drop` on `kills` | its processes make and drop the structure by the code of `stepped`, which is tried |
//! | all but `Operation` of a misdeed that is seen only while other processes run (`in_operations` in `misdeeds`) | no other process runs beside `new` and `drop` |
//! | engines on which a misdeed is noticed after seconds of waiting (`on` in `misdeeds`): processes that are stopped, traced, or without their first thread | the wait is one code for all engines, and each that is named exercises it |
//! | `TheSpec` of a misdeed that needs the structure's own pages (`unmap`, `protect`, `forget_pages`, `remove_pages`) or other processes of the case (`kill_siblings`) | a spec has neither |
//! | `TheSpec` of `double`, and of `threads` where `kills` asks it | whether the second process or thread of the supervisor is there yet as it answers or forks is chance |
//! | `no_memory` in loom's models; `new_pids` where `kills` asks the spec | a model allocates; the supervisor's first child is the init of its others and ends them, for which each execution waits 10 s |

mod acts;
mod cell;
mod misdeeds;
mod part;
mod raw;
mod table;

use cell::{Cell, Hostile, Seven, cells, is_undisturbed};
use forkcheck::check::Verdict;
use forkcheck::engine::{Engine, Kills, Processes, Stepped};
use forkcheck::prelude::*;
use misdeeds::{Ends, MISDEEDS, Place};

/// Runs the cells of a misdeed on an engine, and after them an undisturbed check; returns what is
/// wrong.
fn complaints<E: Engine>(name: &str) -> Vec<String>
where
    Hostile<E::Memory>: WithHandles<Memory = E::Memory, Spec = Seven>,
{
    let _column = table::Column;
    let number = MISDEEDS.iter().position(|misdeed| misdeed.name == name);
    let (tried, left_out): (Vec<_>, Vec<_>) = cells::<E>(number.expect("it has a row"))
        .partition(|cell| cell.is_tried() && (part::all_are_tried() || part::has_cell::<E>(cell)));
    for cell in left_out {
        table::leave_out(E::NAME, cell.place);
    }
    if tried.is_empty() {
        return Vec::new();
    }
    let mut complaints = at_once(tried, |cell| {
        let timed = table::Timed::start(E::NAME, cell.place);
        let complaint = cell.complaint::<E>();
        if complaint.is_none() {
            timed.succeed();
        }
        complaint
    });
    let last = Cell {
        misdeed: 0,
        place: Place::Operation,
        ends: Ends::Undisturbed,
    };
    complaints.extend(last.complaint::<E>());
    complaints
}

/// Runs `does` for each of them on a thread of its own, because most of a cell's time is waiting.
fn at_once<T: Send, R: IntoIterator<Item = String> + Send>(
    all: impl IntoIterator<Item = T>,
    does: impl Fn(T) -> R + Sync,
) -> Vec<String> {
    std::thread::scope(|scope| {
        let does = &does;
        let threads = all.into_iter().map(|one| scope.spawn(move || does(one)));
        let threads: Vec<_> = threads.collect();
        let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended
            .flat_map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Runs the cells of a misdeed on all engines.
fn ends(name: &'static str) {
    let engines = [
        complaints::<Processes>,
        complaints::<Stepped>,
        complaints::<Kills>,
        #[cfg(feature = "loom")]
        complaints::<forkcheck::engine::loom::Loom>,
    ];
    let complaints = at_once(engines, |on_it| on_it(name));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_check_that_is_unknown_for_another_reason_than_overlaps_is_disturbed() {
    let unknown = |reason: &str| Verdict::<cell::Seven>::Unknown(reason.into());
    assert!(!is_undisturbed(&unknown("nothing was run")));
    let seldom = "in only 0 of 20 executions did calls of different processes overlap";
    assert!(is_undisturbed(&unknown(seldom)));
}

#[test]
fn a_part_has_each_place_of_a_misdeed_on_one_engine_and_all_cells_over_four_misdeeds() {
    let mut tried = Vec::new();
    for misdeed in 0..4 {
        for (place, name) in misdeeds::PLACES.into_iter().enumerate() {
            let on: Vec<_> = (0..4)
                .filter(|&engine| part::has(misdeed, engine, place))
                .collect();
            assert_eq!(on.len(), 1, "{misdeed}, {name:?}");
            tried.push((on[0], place));
        }
    }
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(tried.len(), 4 * misdeeds::PLACES.len());
}

macro_rules! matrix {
    ($($misdeed:ident)*, in one test: $($waits:ident)*) => {
        $(#[test]
        fn $misdeed() {
            ends(stringify!($misdeed));
        })*
        /// These checks wait for seconds, all at once, and use no processor meanwhile. The name sorts first, so other tests run meanwhile.
        #[test]
        fn a_misdeed_that_takes_seconds_to_be_noticed() {
            at_once([$(stringify!($waits)),*], |name| {
                ends(name);
                None
            });
        }
        #[test]
        fn each_misdeed_is_tried() {
            let mut tried = [$(stringify!($misdeed),)* $(stringify!($waits)),*];
            let mut misdeeds: Vec<_> = MISDEEDS.iter().map(|misdeed| misdeed.name).collect();
            tried.sort_unstable();
            misdeeds.sort_unstable();
            assert_eq!(misdeeds, tried);
        }
    };
}
matrix! {
    nothing close_all replace_all close_std junk zeros ones
    kill_parent kill_siblings daemon no_descriptors no_memory
    starve a_second no_file_size no_stack no_processes no_locked_memory block_signals
    handlers ignore_signals interrupts alarm raise_term raise_segv raise_trap raise_chld
    raise_cont kill_group forget_parent undumpable no_privileges
    strict idle leave_session leave_group leave_processor leave_directory leave_root
    leave_user new_user new_pids new_mounts no_modes change_environment trap_numbers unmap
    protect forget_pages remove_pages overflow allocate read_all cut_all hang_up_all
    hurry_all print child zombie double linger run_true run_nothing steal_exits changeling
    become_true threads panic_beside exit end abort panic panic_silently panic_twice
    panic_later catch_panic forget_hook,
    in one test: stop_self stop_parent stop_siblings traced end_first_thread
}
