//! Possible executions, and some impossible ones.

use super::*;
use Ordering::{Acquire, Relaxed, Release};

#[test]
fn no_store_comes_between_the_halves_of_an_exchange() {
    let mut order = Order::default();
    let word = order.word(0);
    // Process 0 exchanges 0 for 0, and process 1 stores 1 without having seen it; then 0 learns of that store.
    assert_eq!(
        order.exchange(0, word, (0, 0), Relaxed, (None, None)),
        Found::Latest
    );
    order.store(1, word, 1, Release, None);
    order.unlock(1);
    // The store may still come after all exchanges of process 0, as long as that process has not
    // seen it.
    assert_eq!(order.miss(0, word, 0, Relaxed), Found::Stale(None));
    order.lock(0);
    assert_eq!(
        order.exchange(0, word, (0, 0), Relaxed, (None, None)),
        Found::Impossible
    );
}

#[test]
fn a_process_that_has_seen_a_store_finds_none_before_it() {
    let mut order = Order::default();
    let (data, flag) = (order.word(0), order.word(0));
    order.store(0, data, 7, Relaxed, Some(3));
    order.store(0, flag, 1, Release, None);
    assert_eq!(order.load(1, data, 0, Relaxed), Found::Stale(Some(3)));
    assert_eq!(order.load(1, flag, 1, Acquire), Found::Latest);
    assert_eq!(order.load(1, data, 0, Relaxed), Found::Impossible);
    assert_eq!(order.load(1, data, 7, Relaxed), Found::Latest);
}

#[test]
fn two_stores_that_nothing_orders_may_be_found_in_either_order_and_by_all_in_the_same() {
    let mut order = Order::default();
    let word = order.word(0);
    order.store(0, word, 1, Relaxed, None);
    order.store(1, word, 2, Relaxed, None);
    assert_eq!(order.load(2, word, 2, Relaxed), Found::Latest);
    assert_eq!(order.load(2, word, 1, Relaxed), Found::Latest);
    assert_eq!(order.load(3, word, 1, Relaxed), Found::Latest);
    assert_eq!(order.load(3, word, 2, Relaxed), Found::Impossible);
}

#[test]
fn a_process_that_spins_finds_a_store_that_its_last_turn_came_after() {
    let mut order = Order::default();
    let lock = order.word(0);
    assert_eq!(
        order.exchange(0, lock, (0, 1), Acquire, (None, None)),
        Found::Latest
    );
    assert_eq!(
        order.exchange(1, lock, (1, 1), Acquire, (None, None)),
        Found::Latest
    );
    order.store(0, lock, 0, Release, Some(5));
    assert_eq!(
        order.exchange(1, lock, (1, 1), Acquire, (None, None)),
        Found::Stale(Some(5))
    );
    order.spin(1);
    assert_eq!(
        order.exchange(1, lock, (1, 1), Acquire, (None, None)),
        Found::Overdue
    );
    assert_eq!(
        order.exchange(1, lock, (0, 1), Acquire, (None, None)),
        Found::Latest
    );
}

#[test]
fn a_process_that_spins_on_one_word_may_find_an_old_value_in_another() {
    let mut order = Order::default();
    let (data, flag) = (order.word(0), order.word(0));
    assert_eq!(order.load(1, flag, 0, Relaxed), Found::Latest);
    order.store(0, data, 7, Relaxed, Some(1));
    order.store(0, flag, 1, Relaxed, None);
    order.spin(1);
    assert_eq!(order.load(1, flag, 1, Relaxed), Found::Latest);
    assert_eq!(order.load(1, data, 0, Relaxed), Found::Stale(Some(1)));
}

#[test]
fn accesses_to_a_cell_race_unless_one_happens_before_the_other() {
    let mut order = Order::default();
    let (cell, flag) = (order.cell(), order.word(0));
    assert_eq!(order.access(0, cell, true, 0), None);
    order.accessed(0, cell, true);
    order.store(0, flag, 1, Release, None);
    assert_eq!(order.access(1, cell, false, 2), Some(0));
    order.load(2, flag, 1, Acquire);
    assert_eq!(order.access(2, cell, false, 3), None);
    assert_eq!(order.access(2, cell, true, 4), Some(2), "by process 1");
}

#[test]
fn of_two_stores_that_hold_the_value_neither_is_taken_for_the_one_found() {
    let mut order = Order::default();
    let (data, flag) = (order.word(0), order.word(0));
    // Process 0 stores 1 in the flag before it has stored 7, and again after it.
    order.store(0, flag, 1, Relaxed, None);
    order.store(0, flag, 2, Relaxed, None);
    order.store(0, data, 7, Relaxed, Some(4));
    order.store(0, flag, 1, Release, None);
    assert_eq!(order.load(1, flag, 1, Acquire), Found::Latest);
    assert_eq!(order.load(1, data, 0, Relaxed), Found::Stale(Some(4)));
}

#[test]
fn a_fence_orders_the_accesses_of_its_own_process_after_those_before_an_earlier_one() {
    let mut order = Order::default();
    let (mine, other) = (order.word(0), order.word(0));
    order.store(0, mine, 1, Relaxed, Some(2));
    order.fence(0, Ordering::SeqCst);
    order.fence(1, Ordering::SeqCst);
    order.store(1, other, 1, Release, None);
    assert_eq!(order.load(1, mine, 0, Relaxed), Found::Impossible);
    assert_eq!(order.load(2, other, 1, Acquire), Found::Latest);
    assert_eq!(order.load(2, mine, 0, Relaxed), Found::Stale(Some(2)));
}

#[test]
fn an_exchange_finds_none_that_was_known_where_a_later_one_was_stored() {
    let mut order = Order::default();
    let lock = order.word(0);
    for _ in 0..2 {
        order.exchange(0, lock, (0, 1), Acquire, (None, None));
        order.store(0, lock, 0, Release, None);
    }
    order.exchange(0, lock, (0, 1), Acquire, (None, None));
    // It finds the last of the three exchanges that stored 1. The store over that one comes after
    // both.
    order.exchange(1, lock, (1, 1), Acquire, (None, None));
    order.store(0, lock, 0, Release, Some(9));
    order.spin(1);
    assert_eq!(
        order.exchange(1, lock, (1, 1), Acquire, (None, None)),
        Found::Overdue
    );
}
