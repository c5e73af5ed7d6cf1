//! Programs that are searched in advance, by other engines of the same kind, each in a thread of
//! its own. Answers are taken in the order of the programs, and only if their engine had the
//! knowledge that exists by then. The verdict is therefore the same with any number of engines.

use super::runner::{Runner, Runs};
use crate::case::Case;
use crate::engine::{Answer, Budget};
use crate::memory::refusal_of_futex;
use crate::spec::Spec;
use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The time that a program may take that is searched in advance: a finding waits for the searches
/// that are under way. A program that takes longer is searched when its number comes.
const LONGEST_AHEAD: Duration = Duration::from_secs(2);

/// A program and its budget.
#[derive(Clone)]
pub(super) struct Task<S: Spec> {
    pub(super) case: Case<S>,
    pub(super) budget: Budget,
    /// The time at which the test ends.
    pub(super) deadline: Instant,
}

/// An answer with the budget that it was given for; `None` if the engine could not run.
type Done<S> = Option<(Budget, Answer<S>)>;

struct Queue<S: Spec> {
    waiting: VecDeque<(usize, Task<S>)>,
    running: HashSet<usize>,
    done: HashMap<usize, Done<S>>,
    over: bool,
}

struct AheadState<S: Spec> {
    state: Mutex<Queue<S>>,
    /// Notified when a program waits or is done, or the search is over.
    changed: Condvar,
}

impl<S: Spec> AheadState<S> {
    fn lock(&self) -> MutexGuard<'_, Queue<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Searches the first waiting program. Returns whether there was one.
    fn search(&self, engine: &mut dyn Runs<S>, roles: &[String]) -> bool {
        let mut state = self.lock();
        let Some((number, task)) = state.waiting.pop_front() else {
            return false;
        };
        state.running.insert(number);
        drop(state);
        let left = task.deadline.saturating_duration_since(Instant::now());
        let budget = Budget {
            time: left.min(LONGEST_AHEAD),
            ..task.budget
        };
        let search = || engine.search(&task.case, roles, &budget);
        // A failure here occurs again when the program is searched in order.
        let answer = catch_unwind(AssertUnwindSafe(search)).ok();
        let answer = answer.and_then(Result::ok);
        let answer = answer.filter(|(covered, _)| covered.timed_out == 0);
        let mut state = self.lock();
        state.running.remove(&number);
        let done = answer.map(|answer| (task.budget, answer));
        state.done.insert(number, done);
        drop(state);
        self.changed.notify_all();
        true
    }
}

/// The engines that search in advance.
pub(super) struct Ahead<S: Spec> {
    shared: Arc<AheadState<S>>,
    threads: Vec<JoinHandle<()>>,
}

impl<S: Spec> Ahead<S> {
    /// Starts `engines` engines, as far as there is room for threads; none where a sandbox refuses
    /// futex(2): threads that contend for a lock, std's or malloc's, would spin there, or be
    /// aborted by libc.
    pub(super) fn start(runner: Runner<S>, engines: usize, roles: &[String]) -> Self {
        let shared = Arc::new(AheadState {
            state: Mutex::new(Queue {
                waiting: VecDeque::new(),
                running: HashSet::new(),
                done: HashMap::new(),
                over: false,
            }),
            changed: Condvar::new(),
        });
        let engines = match refusal_of_futex() {
            Some(_) => 0,
            None => engines,
        };
        let threads = (0..engines).map_while(|_| {
            let (shared, roles) = (Arc::clone(&shared), roles.to_vec());
            let body = move || {
                let mut engine = (runner.start)();
                loop {
                    if shared.search(&mut *engine, &roles) {
                        continue;
                    }
                    let state = shared.lock();
                    if state.over {
                        return;
                    }
                    if state.waiting.is_empty() {
                        let waits = shared.changed.wait(state);
                        drop(waits.unwrap_or_else(PoisonError::into_inner));
                    }
                }
            };
            std::thread::Builder::new().spawn(body).ok()
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    /// Returns the number of programs to queue, so that no engine idles.
    pub(super) fn wants(&self) -> usize {
        2 * self.threads.len()
    }

    /// Queues a program to be searched.
    pub(super) fn give(&self, number: usize, task: Task<S>) {
        self.shared.lock().waiting.push_back((number, task));
        self.shared.changed.notify_all();
    }

    /// Returns the answer to the program of this number, if it was given for this budget. While
    /// that search is under way, `engine` searches other programs.
    pub(super) fn take(
        &self,
        number: usize,
        budget: &Budget,
        engine: &mut dyn Runs<S>,
        roles: &[String],
    ) -> Option<Answer<S>> {
        loop {
            let mut state = self.shared.lock();
            if let Some(done) = state.done.remove(&number) {
                let (given, answer) = done?;
                let same = (given.known, given.executions, given.seed)
                    == (budget.known, budget.executions, budget.seed);
                return same.then_some(answer);
            }
            if !state.running.contains(&number) {
                state.waiting.retain(|&(other, _)| other != number);
                return None;
            }
            if state.waiting.is_empty() {
                let waits = self.shared.changed.wait(state);
                drop(waits.unwrap_or_else(PoisonError::into_inner));
                continue;
            }
            drop(state);
            self.shared.search(engine, roles);
        }
    }
}

impl<S: Spec> Drop for Ahead<S> {
    /// Waits for the searches under way: their processes would disturb the next test.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.over = true;
        state.waiting.clear();
        drop(state);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has printed its panic.
            let _ = thread.join();
        }
    }
}
