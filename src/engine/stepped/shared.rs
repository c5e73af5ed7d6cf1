//! The state that all processes of a crew share: the case, their logs, the board, and the history
//! that follows from these.

use super::board::BoardRef;
use super::scheduler::states::State;
use crate::case::{Call, Case, History};
use crate::check::Judge;
use crate::region::Region;
use crate::spec::Spec;
use crate::workers::bell::Sender;
use crate::workers::log::Log;
use crate::workers::seal::Seal;
use std::sync::Arc;

/// The shared state, at the same addresses in every process of the crew, since they are forked.
pub(super) struct CrewState<S: Spec> {
    pub(super) roles: Vec<String>,
    pub(super) board: BoardRef,
    pub(super) structure: Arc<Region>,
    /// Whether the structure's code was compiled with instrumentation: the region is then that of
    /// its heap, too.
    pub(super) instrumented: bool,
    pub(super) program: Arc<Region>,
    pub(super) logs: Vec<Region>,
    pub(super) notes: Arc<Region>,
    pub(super) bell: Arc<Sender>,
    pub(super) judge: Judge<S>,
    pub(super) rests: Judge<S>,
}

/// One call in a log: its number, the times of call and return, and its result.
type CrewCall<S> = (u32, u64, u64, <S as Spec>::Ret);

impl<S: Spec> CrewState<S> {
    pub(super) fn log(&self, process: usize) -> &Log {
        self.logs[process]
            .get(0)
            .expect("the region was made for it")
    }
    pub(super) fn program(&self) -> &Log {
        self.program.get(0).expect("the region was made for it")
    }
    pub(super) fn notes(&self) -> &Log {
        self.notes.get(0).expect("the region was made for it")
    }

    /// Returns whether no stray write changed the shared memory, as far as seals show it.
    pub(super) fn is_whole(&self) -> bool {
        let logs = (0..self.logs.len()).map(|process| self.log(process));
        let logs = logs.chain([self.program(), self.notes()]);
        let mut seals = logs.flat_map(Log::seals).chain(self.board.seals());
        seals.all(Seal::holds)
    }

    /// Makes the history of the logs and the plan, for the process that has the turn.
    pub(super) fn history(&self, case: &Case<S>) -> History<S> {
        let mut bytes = Vec::new();
        let calls = case.program.iter().enumerate().map(|(process, ops)| {
            // A call is in the log once, in the order in which the process made them.
            let mut returned = self.log(process).read(&mut bytes).peekable();
            let (deaths, now) = self
                .board
                .plan(|plan| (plan.deaths().to_vec(), *plan.of(process)));
            let dead = self.board.plan(|plan| plan.state(process)) == State::Dead;
            let died = |number: usize| {
                deaths.iter().find(|death| {
                    death.process as usize == process && death.operation as usize == number + 1
                })
            };
            let mut calls: Vec<Call<S>> = Vec::with_capacity(ops.len());
            for (number, op) in ops.iter().enumerate() {
                let of_this = |record: &CrewCall<S>| record.0 as usize == number;
                let (invoked, back, ret) = match (returned.next_if(of_this), died(number)) {
                    (Some((_, invoked, back, ret)), _) => (invoked, back, Some(ret)),
                    (None, Some(death)) => (death.invoked, death.died, None),
                    (None, None)
                        if !dead && now.operation as usize == number + 1 && now.invoked > 0 =>
                    {
                        (now.invoked, Call::<S>::NEVER, None)
                    }
                    (None, None) => break,
                };
                calls.push(Call {
                    op: op.clone(),
                    ret,
                    invoked,
                    returned: back,
                });
            }
            // An interrupted operation may take effect until the next incarnation begins one, or at
            // any time.
            let mut next = Call::<S>::DIED;
            for (number, call) in calls.iter_mut().enumerate().rev() {
                if call.ret.is_none() && died(number).is_some() {
                    call.returned = next;
                }
                next = call.invoked;
            }
            calls
        });
        History {
            calls: calls.collect(),
        }
    }
}
