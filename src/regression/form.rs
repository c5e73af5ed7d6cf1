//! The version of saved cases and tokens, and the check of a case that a person may have edited.

use crate::case::{Kill, Schedule, Until};

/// The version of file and token that this crate writes.
pub(super) const VERSION: u32 = 1;

/// Returns in words where a case names a process, an operation or a step that its own program
/// cannot have, such as after a slip in an edit by hand. `operations` is the number of operations
/// of each process.
pub(super) fn out_of_range(
    operations: &[usize],
    schedule: &Schedule,
    kills: &[Kill],
    prefix: &[u16],
) -> Option<String> {
    let mut left = operations.to_vec();
    for &process in prefix {
        match left.get_mut(usize::from(process)) {
            Some(0) => {
                return Some(format!(
                    "`{process}` in its prefix more often than process {process} has operations"
                ));
            }
            Some(left) => *left -= 1,
            None => {
                return Some(format!(
                    "`{process}` in its prefix: it has {} processes, counted from 0",
                    operations.len()
                ));
            }
        }
    }
    let turns = match schedule {
        Schedule::Turns(turns) => turns.as_slice(),
        Schedule::Free => &[],
    };
    let turns = turns.iter().map(|turn| {
        let place = match &turn.until {
            Until::Before(place) => Some(place),
            Until::End => None,
        };
        ("schedule", turn.process, place)
    });
    let kills = kills
        .iter()
        .map(|kill| ("kills", kill.process, Some(&kill.before)));
    turns.chain(kills).find_map(|(field, process, place)| {
        let Some(&most) = operations.get(usize::from(process)) else {
            let all = operations.len();
            return Some(format!(
                "`process: {process}` in its {field}: it has {all} processes, counted from 0"
            ));
        };
        let place = place?;
        match place.operation {
            // Steps of the drop of a handle come after the last operation.
            Some(operation) if usize::from(operation) > most => Some(format!(
                "`operation: Some({operation})` in its {field}: process {process} has {most} operations, counted from 0"
            )),
            _ if place.nth == 0 => Some(format!(
                "`nth: 0` in its {field}: steps are counted from 1"
            )),
            _ => None,
        }
    })
}
