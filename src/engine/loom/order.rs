//! The order of the stores to each word, as far as an execution settles it: RC11's coherence, and
//! the rule that no store comes between the two halves of an exchange.
//!
//! loom keeps the former and neglects the latter (loom issues 254, 389): an exchange may find a
//! store before one that it has to come after. Here each exchange forms a *chain* with the store
//! that it found, and the order is a relation on chains. If it has a cycle, no such execution
//! exists. loom says which value was found, not which store: where several stores that hold the
//! value fit, only what is true of each of them counts as known ([`Orders`](super::orders) tries
//! them one by one).

use super::view::{Clock, NEVER, THREADS, View, acquires, join, precedes, releases};
use std::sync::atomic::Ordering;

/// The latest stores of one word that are considered: more than the 7 that loom itself keeps.
const WINDOW: usize = 16;
/// All words of one execution, and the events that each process has seen.
#[derive(Clone, Default)]
pub(super) struct Order {
    views: [View; THREADS],
    words: Vec<Word>,
    cells: Vec<[Option<CellAccess>; 2 * THREADS]>,
    /// Events that happen before the last SeqCst fence, and before the last release of the futexes' lock.
    fences: Clock,
    lock: Clock,
    /// The number of events so far.
    events: u64,
}

#[derive(Clone, Default)]
struct Word {
    stores: Vec<Store>,
    /// `later[chain]`: the chains that come after it.
    later: Vec<Vec<usize>>,
}

#[derive(Clone)]
struct Store {
    value: u64,
    chain: usize,
    /// The time at which each process first knew of it: by its own store or load.
    known: Clock,
    /// The time from which each process may have found it.
    found: Clock,
    /// Whether it is the value from before the processes began.
    initial: bool,
    /// The events that it comes after by its process's view.
    bound: Clock,
    /// The events that an acquire load of it synchronizes with.
    released: Clock,
    executed: u64,
    /// The step of the store.
    step: Option<usize>,
}

/// The stores that a process may have found, the latest first.
struct Candidates {
    stores: Vec<usize>,
    /// The chain, if all of them have the same.
    chain: Option<usize>,
    /// The events that an acquire load of any of them synchronizes with.
    released: Clock,
}

/// The last access of one process to the data of a cell, to read or to write it.
#[derive(Clone, Copy)]
struct CellAccess {
    at: u32,
    step: usize,
}

/// The store that a load or an exchange found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The latest store, as far as is known.
    Latest,
    /// An earlier store than that of this step.
    Stale(Option<usize>),
    /// An earlier store, though the newer one existed before the process's last spin and the process
    /// had found the earlier one already: at some time it has to find the newer one.
    Overdue,
    /// No store that it could have found.
    Impossible,
}

impl Order {
    /// Adds a word that holds `value` before the processes begin, and returns its number.
    pub(super) fn word(&mut self, value: u64) -> usize {
        self.words.push(Word::default());
        let word = self.words.len() - 1;
        self.initial(word, value);
        word
    }

    /// Replaces the value of a word before the processes begin.
    pub(super) fn initial(&mut self, word: usize, value: u64) {
        self.words[word] = Word {
            stores: vec![Store {
                value,
                chain: 0,
                known: [NEVER; THREADS],
                found: [NEVER; THREADS],
                initial: true,
                bound: [0; THREADS],
                released: [0; THREADS],
                executed: 0,
                step: None,
            }],
            later: vec![Vec::new()],
        };
    }

    /// Returns the value that was stored last.
    pub(super) fn last(&self, word: usize) -> u64 {
        self.words[word]
            .stores
            .last()
            .map_or(0, |store| store.value)
    }

    fn tick(&mut self, process: usize) -> u32 {
        self.events += 1;
        let seen = &mut self.views[process].seen[process];
        *seen += 1;
        *seen
    }

    pub(super) fn store(
        &mut self,
        process: usize,
        word: usize,
        value: u64,
        order: Ordering,
        step: Option<usize>,
    ) {
        self.tick(process);
        let (view, bound) = (self.views[process], self.views[process].bound());
        let word = &mut self.words[word];
        let chain = word.chain();
        word.come_after(chain, &bound);
        let (own, released) = ((process, bound), view.releases(order));
        word.push(value, chain, own, released, self.events, step);
    }

    pub(super) fn load(
        &mut self,
        process: usize,
        word: usize,
        value: u64,
        order: Ordering,
    ) -> Found {
        self.find(process, word, value, order, None).1
    }

    /// Notes an exchange that found `value` and stored nothing.
    pub(super) fn miss(
        &mut self,
        process: usize,
        word: usize,
        value: u64,
        order: Ordering,
    ) -> Found {
        self.find(process, word, value, order, Some(None)).1
    }

    /// Notes an exchange of `value` for `new`, with the nth of its candidates if one is given.
    pub(super) fn exchange(
        &mut self,
        process: usize,
        word: usize,
        (value, new): (u64, u64),
        order: Ordering,
        (step, nth): (Option<usize>, Option<usize>),
    ) -> Found {
        let (from, found) = self.find(process, word, value, order, Some(nth));
        let Some(from) = from else { return found };
        let (view, bound) = (self.views[process], self.views[process].bound());
        let word = &mut self.words[word];
        let chain = from.chain.unwrap_or_else(|| word.chain());
        // The exchange may have acquired knowledge of a store in between.
        if !word.may_follow(chain, &bound) {
            return Found::Impossible;
        }
        word.come_after(chain, &bound);
        let mut released = view.releases(order);
        join(&mut released, &from.released);
        word.push(new, chain, (process, bound), released, self.events, step);
        found
    }

    /// Returns the number of stores that an exchange which found `value` may have found.
    pub(super) fn candidates(&self, process: usize, word: usize, value: u64) -> usize {
        let bound = self.views[process].bound();
        let all = self.words[word].fitting(value, &bound, Some(None));
        all.map_or(0, |all| all.stores.len())
    }

    /// Finds the stores that a process may have read, and notes the consequences.
    fn find(
        &mut self,
        process: usize,
        word: usize,
        value: u64,
        order: Ordering,
        exchange: Option<Option<usize>>,
    ) -> (Option<Candidates>, Found) {
        let now = self.tick(process);
        let view = &mut self.views[process];
        let word = &mut self.words[word];
        let Some(from) = word.fitting(value, &view.bound(), exchange) else {
            return (None, Found::Impossible);
        };
        let later = from.stores.iter().map(|&store| word.latest_after(store));
        let found = match later.collect::<Option<Vec<&Store>>>() {
            None => Found::Latest,
            Some(later) => {
                let mut each = from.stores.iter().zip(&later);
                let is_overdue = |(&store, later): (&usize, &&Store)| {
                    let found = word.stores[store].found[process];
                    later.executed < view.spun && found <= view.own_spun
                };
                if each.all(is_overdue) {
                    Found::Overdue
                } else {
                    Found::Stale(later[0].step)
                }
            }
        };
        for &store in &from.stores {
            let found = &mut word.stores[store].found[process];
            *found = now.min(*found);
        }
        if let Some(chain) = from.chain {
            word.come_after(chain, &view.bound());
            if let Some(&earliest) = from.stores.last() {
                let known = &mut word.stores[earliest].known[process];
                *known = now.min(*known);
            }
        }
        let to = if acquires(order) {
            &mut view.seen
        } else {
            &mut view.acquirable
        };
        join(to, &from.released);
        (Some(from), found)
    }

    pub(super) fn fence(&mut self, process: usize, order: Ordering) {
        let view = &mut self.views[process];
        if acquires(order) {
            let acquirable = view.acquirable;
            join(&mut view.seen, &acquirable);
        }
        if releases(order) {
            view.released = view.seen;
        }
        if order == Ordering::SeqCst {
            join(&mut self.fences, &view.seen);
            view.fenced = self.fences;
        }
    }

    /// Notes a spin of the process.
    pub(super) fn spin(&mut self, process: usize) {
        self.views[process].own_spun = self.tick(process);
        self.views[process].spun = self.events;
    }

    /// Notes that the process has taken the lock of the futexes.
    pub(super) fn lock(&mut self, process: usize) {
        join(&mut self.views[process].seen, &self.lock);
    }

    /// Notes that the process is about to release that lock.
    pub(super) fn unlock(&mut self, process: usize) {
        self.tick(process);
        self.lock = self.views[process].seen;
    }

    pub(super) fn cell(&mut self) -> usize {
        self.cells.push([None; 2 * THREADS]);
        self.cells.len() - 1
    }

    /// Notes an access to the data of a cell. Returns the step of another access that does not
    /// happen before it, where one of them writes.
    pub(super) fn access(
        &mut self,
        process: usize,
        cell: usize,
        writes: bool,
        step: usize,
    ) -> Option<usize> {
        let at = self.tick(process);
        let seen = self.views[process].seen;
        let cell = &mut self.cells[cell];
        cell[2 * process + usize::from(writes)] = Some(CellAccess { at, step });
        let races = |&other: &usize| {
            let conflicts = other / 2 != process && (writes || other % 2 == 1);
            conflicts && cell[other].is_some_and(|access| access.at > seen[other / 2])
        };
        let other = (0..2 * THREADS).filter(races).filter_map(|n| cell[n]);
        other.map(|access| access.step).max()
    }

    /// Notes that the access lasted until now.
    pub(super) fn accessed(&mut self, process: usize, cell: usize, writes: bool) {
        let at = self.tick(process);
        if let Some(access) = &mut self.cells[cell][2 * process + usize::from(writes)] {
            access.at = at;
        }
    }
}

impl Word {
    fn recent(&self) -> std::ops::Range<usize> {
        self.stores.len().saturating_sub(WINDOW)..self.stores.len()
    }

    fn push(
        &mut self,
        value: u64,
        chain: usize,
        (process, bound): (usize, Clock),
        released: Clock,
        executed: u64,
        step: Option<usize>,
    ) {
        let now = bound[process];
        let mut known = [NEVER; THREADS];
        known[process] = now;
        self.stores.push(Store {
            value,
            chain,
            known,
            found: known,
            initial: false,
            bound,
            released,
            executed,
            step,
        });
    }

    fn is_known(&self, store: usize, seen: &Clock) -> bool {
        let store = &self.stores[store];
        store.initial || precedes(&store.known, seen)
    }

    /// Adds a chain.
    fn chain(&mut self) -> usize {
        self.later.push(Vec::new());
        self.later.len() - 1
    }

    /// Returns the stores of a value that a process with this view can find. An exchange finds the
    /// last of a chain; in loom it finds no store that was known where a later one was stored.
    fn fitting(
        &self,
        value: u64,
        seen: &Clock,
        exchange: Option<Option<usize>>,
    ) -> Option<Candidates> {
        let mut all: Option<Candidates> = None;
        let mut count = 0;
        for from in self.recent().rev() {
            let store = &self.stores[from];
            let later = from + 1..self.stores.len();
            let is_over = |later: usize| {
                let of_chain = self.stores[later].chain == store.chain;
                if exchange.is_some() {
                    of_chain || self.is_known(from, &self.stores[later].bound)
                } else {
                    of_chain && self.is_known(later, seen)
                }
            };
            if store.value != value
                || later.into_iter().any(is_over)
                || !self.may_follow(store.chain, seen)
            {
                continue;
            }
            count += 1;
            if exchange.flatten().is_some_and(|nth| nth + 1 != count) {
                continue;
            }
            let Some(all) = &mut all else {
                all = Some(Candidates {
                    stores: vec![from],
                    chain: Some(store.chain),
                    released: store.released,
                });
                continue;
            };
            all.stores.push(from);
            all.chain = all.chain.filter(|&chain| chain == store.chain);
            for (all, released) in all.released.iter_mut().zip(store.released) {
                *all = released.min(*all);
            }
        }
        all
    }

    /// Returns whether `chain` may come after all stores that are known.
    fn may_follow(&self, chain: usize, seen: &Clock) -> bool {
        self.later[chain].is_empty()
            || !self.recent().any(|store| {
                self.is_known(store, seen) && self.reaches(chain, self.stores[store].chain)
            })
    }

    /// Orders all known stores before `chain`.
    fn come_after(&mut self, chain: usize, seen: &Clock) {
        for store in self.recent().rev() {
            let before = self.stores[store].chain;
            if before != chain && self.is_known(store, seen) && !self.reaches(before, chain) {
                self.later[before].push(chain);
            }
        }
    }

    /// Returns whether `from` comes before `to`; a chain does not come before itself.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut reached = self.later[from].clone();
        let mut at = 0;
        while let Some(&next) = reached.get(at) {
            if next == to {
                return true;
            }
            for later in &self.later[next] {
                if !reached.contains(later) {
                    reached.push(*later);
                }
            }
            at += 1;
        }
        false
    }

    /// Returns the last store that surely comes after `from`.
    fn latest_after(&self, from: usize) -> Option<&Store> {
        let chain = self.stores[from].chain;
        let later = self.recent().rev().find(|&store| {
            let other = self.stores[store].chain;
            other == chain && store > from || self.reaches(chain, other)
        });
        later.map(|store| &self.stores[store])
    }
}

#[cfg(test)]
mod tests;
