//! The operations and results of each ready spec, in the form of a line.

use super::fields::{Fields, Json, OpAndRet};
use forkcheck::spec::{
    Barrier, BarrierOp, BarrierRet, CasOp, CasRegister, CasRet, Counter, CounterOp, CounterRet,
    Event, EventOp, EventRet, Lock, LockOp, LockRet, Map, MapOp, MapRet, Queue, QueueOp, QueueRet,
    Register, RegisterOp, RegisterRet, RelaxedQueue, Semaphore, SemaphoreOp, SemaphoreRet, Set,
    SetOp, Stack, StackOp, StackRet,
};
use serde_json::Value;

fn any(value: &Value) -> Option<Json> {
    Some(value.into())
}

fn or_none(value: &Value) -> Option<Option<Json>> {
    Some((!value.is_null()).then(|| value.into()))
}

pub(super) fn of_register(line: &mut Fields<'_>) -> Result<OpAndRet<Register<Json>>, String> {
    Ok(match &*line.line.op {
        "write" => (
            RegisterOp::Write(line.value()?),
            line.nothing(RegisterRet::Written)?,
        ),
        "read" => {
            let value = line.result("the value that was read", any)?;
            (RegisterOp::Read, value.map(RegisterRet::Value))
        }
        _ => return line.unknown("write and read"),
    })
}

pub(super) fn of_cas(line: &mut Fields<'_>) -> Result<OpAndRet<CasRegister<Json>>, String> {
    Ok(match &*line.line.op {
        "write" => (CasOp::Write(line.value()?), line.nothing(CasRet::Written)?),
        "read" => {
            let value = line.result("the value that was read", any)?;
            (CasOp::Read, value.map(CasRet::Value))
        }
        "cas" => {
            let op = CasOp::Cas(line.expected()?, line.value()?);
            (op, line.flag()?.map(CasRet::Swapped))
        }
        _ => return line.unknown("write, read and cas"),
    })
}

pub(super) fn of_queue(line: &mut Fields<'_>) -> Result<OpAndRet<Queue<Json>>, String> {
    Ok(match &*line.line.op {
        "push" => (
            QueueOp::Push(line.value()?),
            line.nothing(QueueRet::Pushed)?,
        ),
        "pop" => {
            let item = line.result("the item, or null if there was none", or_none)?;
            let ret = item.map(|item| item.map_or(QueueRet::Empty, QueueRet::Popped));
            (QueueOp::Pop, ret)
        }
        _ => return line.unknown("push and pop"),
    })
}

pub(super) fn of_relaxed_queue(
    line: &mut Fields<'_>,
) -> Result<OpAndRet<RelaxedQueue<Json>>, String> {
    of_queue(line)
}

pub(super) fn of_stack(line: &mut Fields<'_>) -> Result<OpAndRet<Stack<Json>>, String> {
    Ok(match &*line.line.op {
        "push" => (
            StackOp::Push(line.value()?),
            line.nothing(StackRet::Pushed)?,
        ),
        "pop" => {
            let item = line.result("the item, or null if there was none", or_none)?;
            let ret = item.map(|item| item.map_or(StackRet::Empty, StackRet::Popped));
            (StackOp::Pop, ret)
        }
        _ => return line.unknown("push and pop"),
    })
}

pub(super) fn of_set(line: &mut Fields<'_>) -> Result<OpAndRet<Set<Json>>, String> {
    let op = match &*line.line.op {
        "add" => SetOp::Add,
        "remove" => SetOp::Remove,
        "contains" => SetOp::Contains,
        _ => return line.unknown("add, remove and contains"),
    };
    Ok((op(line.value()?), line.flag()?))
}

pub(super) fn of_map(line: &mut Fields<'_>) -> Result<OpAndRet<Map<Json, Json>>, String> {
    Ok(match &*line.line.op {
        "put" => (
            MapOp::Put(line.key()?, line.value()?),
            line.nothing(MapRet::Done)?,
        ),
        "remove" => (MapOp::Remove(line.key()?), line.nothing(MapRet::Done)?),
        "get" => {
            let value = line.result("the value, or null if there was none", or_none)?;
            (MapOp::Get(line.key()?), value.map(MapRet::Value))
        }
        _ => return line.unknown("put, remove and get"),
    })
}

pub(super) fn of_counter(line: &mut Fields<'_>) -> Result<OpAndRet<Counter>, String> {
    Ok(match &*line.line.op {
        "add" => (
            CounterOp::Add(line.number()?),
            line.nothing(CounterRet::Added)?,
        ),
        "read" => {
            let value = line.result("the integer that was read", Value::as_i64)?;
            (CounterOp::Read, value.map(CounterRet::Value))
        }
        _ => return line.unknown("add and read"),
    })
}

pub(super) fn of_lock(line: &mut Fields<'_>) -> Result<OpAndRet<Lock>, String> {
    let ret = |done: bool, ret| if done { ret } else { LockRet::Refused };
    Ok(match &*line.line.op {
        "lock" => (LockOp::Lock, line.nothing(LockRet::Acquired)?),
        "try_lock" => {
            let acquired = line.flag()?;
            (
                LockOp::TryLock,
                acquired.map(|acquired| ret(acquired, LockRet::Acquired)),
            )
        }
        "unlock" => {
            let refused = line.result == Some(&Value::Bool(false));
            if refused {
                line.result = None;
            }
            let released = line.nothing(ret(!refused, LockRet::Released))?;
            (LockOp::Unlock, released)
        }
        _ => return line.unknown("lock, try_lock and unlock"),
    })
}

pub(super) fn of_semaphore(line: &mut Fields<'_>) -> Result<OpAndRet<Semaphore>, String> {
    Ok(match &*line.line.op {
        "acquire" => (SemaphoreOp::Acquire, line.nothing(SemaphoreRet::Acquired)?),
        "try_acquire" => {
            let ret = |acquired| match acquired {
                true => SemaphoreRet::Acquired,
                false => SemaphoreRet::Refused,
            };
            (SemaphoreOp::TryAcquire, line.flag()?.map(ret))
        }
        "release" => (SemaphoreOp::Release, line.nothing(SemaphoreRet::Released)?),
        _ => return line.unknown("acquire, try_acquire and release"),
    })
}

pub(super) fn of_barrier(line: &mut Fields<'_>) -> Result<OpAndRet<Barrier>, String> {
    Ok(match &*line.line.op {
        "arrive" => (BarrierOp::Arrive, line.nothing(BarrierRet::Arrived)?),
        "leave" => (BarrierOp::Leave, line.nothing(BarrierRet::Left)?),
        _ => return line.unknown("arrive and leave"),
    })
}

pub(super) fn of_event(line: &mut Fields<'_>) -> Result<OpAndRet<Event>, String> {
    Ok(match &*line.line.op {
        "set" => (EventOp::Set, line.nothing(EventRet::Done)?),
        "reset" => (EventOp::Reset, line.nothing(EventRet::Done)?),
        "wait" => (EventOp::Wait, line.nothing(EventRet::Done)?),
        "is_set" => (EventOp::IsSet, line.flag()?.map(EventRet::State)),
        _ => return line.unknown("set, reset, wait and is_set"),
    })
}
