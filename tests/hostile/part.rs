//! The part of the matrix that a plain `cargo test` tries. `HOSTILE=all` tries all of it.

use crate::cell::Cell;
use crate::misdeeds::{ENGINES, PLACES};
use forkcheck::engine::Engine;

/// Returns whether all cells are tried, and not a part of them alone.
pub(crate) fn all_are_tried() -> bool {
    match std::env::var("HOSTILE").as_deref() {
        Ok("all") => true,
        Ok(other) => panic!("HOSTILE is `all` or not set, and not {other:?}"),
        Err(_) => false,
    }
}

/// Returns whether the part has the cell with these numbers: of four engines, one at each place.
pub(crate) fn has(misdeed: usize, engine: usize, place: usize) -> bool {
    (misdeed + engine + place).is_multiple_of(ENGINES.len())
}

/// Returns whether the part has this cell, on this engine.
pub(crate) fn has_cell<E: Engine>(cell: &Cell) -> bool {
    let engine = ENGINES.iter().position(|&name| name == E::NAME);
    let place = PLACES.iter().position(|&place| place == cell.place);
    let number = |position: Option<usize>| position.expect("it is in the table");
    has(cell.misdeed, number(engine), number(place))
}
