//! The last lines of a report: coverage of a run, and its limits.

use super::data::Report;
use super::phrases::{counted, kept};
use crate::check::Verdict;
use crate::engine::Covered;
use crate::search::Outcome;
use crate::spec::Spec;

/// The shortest wait for the machine that is reported, in seconds.
const WAITED: f64 = 1.0;

/// Returns the coverage, the time and the seed.
pub(super) fn ran(report: &Report) -> String {
    if report.is_of_recorded() {
        return report.coverage.join(", ");
    }
    let seed = kept(&format!("seed {}", report.seed));
    format!("{}, {seed}", took(report))
}

/// Returns the coverage and the time.
pub(super) fn took(report: &Report) -> String {
    let (coverage, took) = (report.coverage.join(", "), report.seconds);
    let waited = match report.waited >= WAITED {
        true => format!(", after {:.1} s of waiting for other suites", report.waited),
        false => String::new(),
    };
    format!("{coverage}; {took:.1} s{waited}")
}

/// Returns the coverage in words, part by part.
pub(super) fn coverage<S: Spec>(outcome: &Outcome<S>) -> Vec<String> {
    let Covered {
        programs: covered_programs,
        executions,
        overlapping,
        could_overlap,
        sampled_in_full,
        paused,
        exhausted,
        but_for_spins,
        within_three,
        within_two,
        within_one,
        within_none,
        truncated,
        kill_points,
        killed,
        later_points,
        killed_again,
        by_sigkill,
        same_id,
        worst,
        samples,
        by_processes,
        unlike,
        ..
    } = outcome.covered;
    let programs = match outcome.planned {
        Some(planned) => format!("{covered_programs} of {}", counted(planned, "program")),
        None => counted(covered_programs, "program"),
    };
    let mut parts = vec![programs, counted(executions, "execution")];
    if samples > 0 {
        parts.push(format!(
            "{samples} of them taken again by forked processes, with the same steps"
        ));
    }
    if outcome.verdict == Verdict::Ok && could_overlap > 0 && sampled_in_full < covered_programs {
        parts.push(match sampled_in_full {
            0 => "none sampled in full".to_owned(),
            some => format!("{some} sampled in full"),
        });
    }
    if let Some(percent) = (100 * overlapping).checked_div(could_overlap) {
        parts.push(format!("{percent} % with overlap"));
    }
    if paused > 0 {
        parts.push(format!("{paused} with an instruction-level pause"));
    }
    if exhausted > 0 {
        parts.push(format!("{exhausted} explored to the end"));
    }
    if but_for_spins > 0 {
        parts.push(format!(
            "{but_for_spins} to the end but for more than two iterations of a spin"
        ));
    }
    if within_three > 0 {
        parts.push(format!("{within_three} within 3 preemptions"));
    }
    if within_two > 0 {
        parts.push(format!("{within_two} within 2 preemptions"));
    }
    if within_one > 0 {
        parts.push(format!("{within_one} within one preemption only"));
    }
    if within_none > 0 {
        parts.push(format!("{within_none} without preemptions only"));
    }
    if truncated > 0 {
        parts.push(format!("{truncated} cut down to fit"));
    }
    if kill_points > 0 {
        parts.push(format!(
            "{killed} of {} killed at",
            counted(kill_points, "kill point")
        ));
        parts.push(format!("{by_sigkill} of them by SIGKILL"));
    }
    if later_points > 0 {
        parts.push(format!(
            "{killed_again} of {} of later incarnations",
            counted(later_points, "kill point")
        ));
    }
    if same_id > 0 {
        parts.push(format!(
            "{same_id} with a pid that the kernel gave away again"
        ));
    }
    if worst > 0 {
        parts.push(format!("at most {} an operation", counted(worst, "step")));
    }
    if by_processes > 0 {
        let alone = if unlike > 0 { "too" } else { "alone" };
        parts.push(format!(
            "{} by forked processes {alone}, for what each has of its own (statics, its pid, locks)",
            counted(by_processes, "program")
        ));
    }
    if outcome.covered.left_over > 0 {
        parts.push(format!(
            "{} of each operation not freed after the drop of the structure",
            counted(outcome.covered.left_over, "allocation")
        ));
    }
    let crates = outcome.covered.crates.all();
    if !crates.is_empty() {
        let each: Vec<String> = crates
            .iter()
            .map(|(name, accesses)| format!("{accesses} of {name}"))
            .collect();
        parts.push(format!(
            "accesses by crate, while memory was learned: {}",
            each.join(" and ")
        ));
    }
    if outcome.saved_cases > 0 {
        parts.push(format!(
            "{} first",
            counted(outcome.saved_cases as u64, "saved case")
        ));
    }
    if outcome.machine.shared {
        parts.push("beside another suite, which kept the machine".into());
    }
    parts
}

/// Returns what an engine could not schedule, in words, if there was anything.
pub(super) fn unscheduled<S: Spec>(outcome: &Outcome<S>) -> Option<String> {
    let unscheduled = outcome.covered.unscheduled;
    (unscheduled > 0).then(|| {
        format!(
            "in {} the structure changed without a step: what is not of its `Memory` came where it happened to come",
            counted(unscheduled, "program")
        )
    })
}

/// Returns what was not covered and cannot be, item by item.
pub(super) fn not_checked<S: Spec>(outcome: &Outcome<S>) -> Vec<String> {
    let Covered {
        killed,
        same_id,
        short_looks,
        by_pauses,
        unlike,
        by_processes,
        ..
    } = outcome.covered;
    let items = outcome.limitations.split("; ");
    let mut items: Vec<String> = items.map(str::to_owned).collect();
    if outcome.leaves_invariant {
        items.push("the invariant between steps".into());
    }
    if killed > 0 && same_id == 0 {
        items.push("pids that the kernel gives away again (to choose one takes CAP_CHECKPOINT_RESTORE here)".into());
    }
    if by_pauses > 0 {
        items.push(format!(
            "calls on several processors at the same time, in {}: there they met only where a process was paused",
            counted(by_pauses, "program")
        ));
    }
    if !outcome.not_instrumented.is_empty() {
        items.push(format!(
            "atomic instructions that were not instrumented (`fetch_max`, `fetch_min`, inline assembly), in {}",
            outcome.not_instrumented.join(", ")
        ));
    }
    let left = outcome.covered.left_calls();
    if !left.is_empty() {
        items.push(format!(
            "other results of calls that leave the schedule, which operations make: {}",
            left.join(", ")
        ));
    }
    if unlike > by_processes {
        items.push(format!(
            "processes, in {}: there each has statics, thread-locals and private futexes of its own, and did something else",
            counted(unlike - by_processes, "program")
        ));
    }
    if !outcome.spared.is_empty() {
        items.push(format!("kills of {}", outcome.spared.join(", ")));
    }
    if short_looks > 0 {
        items.push(format!(
            "pointers to private memory that operations store, in {} that could not be looked through operation by operation",
            counted(short_looks, "program")
        ));
    }
    items
}
