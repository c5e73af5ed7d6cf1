//! The knowledge of an execution about the words and cells of a model; each access is noted here
//! once loom has made it.

use super::execution::{End, Execution, Key, end, with};
use super::order::Order;
use crate::case::{Access, Form};
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering, Ordering::Relaxed};

/// A word as an execution knows it: its number there, and its value before the processes begin.
#[derive(Debug)]
pub(super) struct KnownWord {
    key: Key,
    initial: AtomicU64,
    form: Form,
}

impl KnownWord {
    pub(super) fn new(initial: u64, form: Form) -> Self {
        Self {
            key: Key::default(),
            initial: AtomicU64::new(initial),
            form,
        }
    }

    fn of(&self, now: &mut Execution) -> (usize, usize) {
        let object = now.object(&self.key, |order| order.word(self.initial.load(Relaxed)));
        (object, now.objects[object])
    }

    /// Returns the value that a process finds as it unwinds.
    pub(super) fn last(&self) -> u64 {
        let last = with(|now, _| {
            let (_, word) = self.of(now);
            now.orders.any().last(word)
        });
        last.unwrap_or(self.initial.load(Relaxed))
    }

    pub(super) fn loaded(&self, value: u64, order: Ordering, at: &Location<'_>) {
        self.found(Access::Load, value, order, at);
    }

    /// Notes an exchange that found another value than it asked for.
    pub(super) fn missed(&self, value: u64, order: Ordering, at: &Location<'_>) {
        self.found(Access::Miss, value, order, at);
    }

    /// Notes that a wait looks at the word, under the lock of the futexes; returns why the
    /// execution ends, if it does.
    pub(super) fn looked_at(&self, value: u64) -> Option<End> {
        with(|now, process| {
            let (object, word) = self.of(now);
            let load = |all: &mut Order| all.load(process, word, value, Ordering::SeqCst);
            let found = now.orders.find(load);
            now.find(process, object, value, found)
        })
        .flatten()
    }

    fn found(&self, access: Access, value: u64, order: Ordering, at: &Location<'_>) {
        let ends = with(|now, process| {
            let (object, word) = self.of(now);
            let found = now.orders.find(|all| match access {
                Access::Miss => all.miss(process, word, value, order),
                _ => all.load(process, word, value, order),
            });
            let step = now.note(process, access, Some(object), value, at);
            now.write_as(step, self.form);
            now.mark(step, found);
            now.find(process, object, value, found)
        });
        if let Some(why) = ends.flatten() {
            end(why);
        }
    }

    pub(super) fn stored(&self, value: u64, order: Ordering, at: &Location<'_>) {
        let noted = with(|now, process| {
            let (object, word) = self.of(now);
            if now.orders.any().last(word) != value {
                now.changed();
            }
            let step = now.note(process, Access::Store, Some(object), value, at);
            now.write_as(step, self.form);
            now.orders
                .each(|all| all.store(process, word, value, order, step));
        });
        if noted.is_none() {
            self.initial.store(value, Relaxed);
        }
    }

    pub(super) fn exchanged(&self, (value, new): (u64, u64), order: Ordering, at: &Location<'_>) {
        let noted = with(|now, process| {
            let (object, word) = self.of(now);
            if now.orders.any().last(word) != new {
                now.changed();
            }
            let step = now.note(process, Access::Update, Some(object), value, at);
            now.write_as(step, self.form);
            if let Some(step) = step {
                now.steps[step].now = Some(new);
            }
            let found = now
                .orders
                .exchange(process, word, (value, new), order, step);
            now.mark(step, found);
            now.find(process, object, value, found)
        });
        match noted {
            None => self.initial.store(new, Relaxed),
            Some(None) => {}
            Some(Some(why)) => end(why),
        }
    }

    /// Notes another event of the word: a wait, its end, a wake-up.
    pub(super) fn note(&self, access: Access, value: u64, at: &Location<'_>) {
        with(|now, process| {
            let (object, _) = self.of(now);
            now.note(process, access, Some(object), value, at);
        });
    }
}

/// Notes that the data of a cell is about to be accessed.
pub(super) fn access(cell: &Key, writes: bool, at: &Location<'_>) {
    with(|now, process| {
        let object = now.object(cell, Order::cell);
        let access = if writes { Access::Write } else { Access::Read };
        let step = now.note(process, access, Some(object), 0, at);
        let number = now.objects[object];
        now.race = step.and_then(|step| {
            let access = |all: &mut Order| all.access(process, number, writes, step);
            let other = now.orders.each(access)?;
            Some([other, step])
        });
    });
}

/// Notes the end of that access.
pub(super) fn accessed(cell: &Key, writes: bool) {
    with(|now, process| {
        let object = now.object(cell, Order::cell);
        let number = now.objects[object];
        now.orders.each(|all| all.accessed(process, number, writes));
    });
}

pub(super) fn fence(order: Ordering, at: &Location<'_>) {
    with(|now, process| {
        now.orders.each(|all| all.fence(process, order));
        now.note(process, Access::Fence, None, 0, at);
    });
}
