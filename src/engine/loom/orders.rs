//! All orders of the stores that fit the values that an execution found.
//!
//! loom says which value an exchange found. Where several stores hold it, each possible one has its
//! own order from then on. An order is dropped when something in it is impossible, or when a
//! process in it keeps finding indefinitely a value that it should not. An execution that has no
//! order left does not exist.

use super::order::{Found, Order};
use std::sync::atomic::Ordering;

/// The most orders that are followed at the same time; beyond that, only what is true of all stores
/// of a value is known.
const MOST: usize = 32;

/// The orders; one at first.
pub(super) struct Orders(Vec<Order>);

impl Default for Orders {
    fn default() -> Self {
        Self(vec![Order::default()])
    }
}

impl Orders {
    /// Returns one of the orders, for what is the same in all.
    pub(super) fn any(&self) -> &Order {
        &self.0[0]
    }

    /// Runs `run` on each order; all return the same.
    pub(super) fn each<R>(&mut self, mut run: impl FnMut(&mut Order) -> R) -> R {
        let (first, others) = self.0.split_first_mut().expect("the last one stays");
        others.iter_mut().for_each(|order| {
            run(order);
        });
        run(first)
    }

    /// Judges a value that a process found, and keeps the orders in which that is possible.
    pub(super) fn find(&mut self, mut run: impl FnMut(&mut Order) -> Found) -> Found {
        let found: Vec<Found> = self.0.iter_mut().map(&mut run).collect();
        self.keep(&found)
    }

    /// Notes an exchange of `value` for `new`.
    pub(super) fn exchange(
        &mut self,
        process: usize,
        word: usize,
        (value, new): (u64, u64),
        order: Ordering,
        step: Option<usize>,
    ) -> Found {
        let mut next: Vec<Order> = Vec::new();
        let mut found = Vec::new();
        for mut one in std::mem::take(&mut self.0) {
            let stores = one.candidates(process, word, value);
            if stores > 1 && next.len() + stores <= MOST {
                for nth in 0..stores {
                    let mut other = one.clone();
                    let of = Some(nth);
                    found.push(other.exchange(process, word, (value, new), order, (step, of)));
                    next.push(other);
                }
            } else {
                found.push(one.exchange(process, word, (value, new), order, (step, None)));
                next.push(one);
            }
        }
        self.0 = next;
        self.keep(&found)
    }

    /// Keeps the orders in which the found value is possible. If there are none, it keeps one and
    /// says why it is impossible.
    fn keep(&mut self, found: &[Found]) -> Found {
        let is_one = |found: &Found| matches!(found, Found::Latest | Found::Stale(_));
        if let Some(first) = found.iter().find(|found| is_one(found)) {
            let mut each = found.iter();
            self.0.retain(|_| each.next().is_some_and(is_one));
            return *first;
        }
        self.0.truncate(1);
        let unfair = found.iter().find(|&&found| found == Found::Overdue);
        *unfair.unwrap_or(&Found::Impossible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Acquire, Release};

    #[test]
    fn an_exchange_that_may_have_found_either_of_two_stores_is_judged_by_both() {
        let mut orders = Orders::default();
        let lock = orders.each(|order| order.word(0));
        let swap = |orders: &mut Orders, process, found| {
            orders.exchange(process, lock, (found, 1), Acquire, None)
        };
        let give_back = |orders: &mut Orders| {
            orders.each(|order| order.store(0, lock, 0, Release, Some(9)));
        };
        swap(&mut orders, 0, 0);
        assert_eq!(swap(&mut orders, 1, 1), Found::Latest);
        give_back(&mut orders);
        swap(&mut orders, 0, 0);
        orders.each(|order| order.spin(1));
        // It is the 1 of its own exchange, or that of the other process.
        assert_eq!(swap(&mut orders, 1, 1), Found::Latest);
        give_back(&mut orders);
        orders.each(|order| order.spin(1));
        assert_eq!(swap(&mut orders, 1, 1), Found::Overdue);
    }
}
