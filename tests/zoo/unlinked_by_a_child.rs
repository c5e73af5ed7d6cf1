//! A forked child ends and drops the handle that it inherited, which removes the name: no process
//! can open it any more. shared_memory 0.12.4, issue 35.

use super::*;
use forkcheck::process;
use forkcheck::region::Name;
use serde::{Deserialize, Serialize};
use shared_memory::{Shmem, ShmemConf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// An operation of the name's owner; the result says whether it succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Op {
    Create,
    /// A forked child drops its copy of the handle, and ends.
    ChildEnds,
    /// Returns whether the name exists, as another program would see it.
    Open,
}

/// A name that exists from its creation on, until its owner ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Owned(bool);

impl Spec for Owned {
    type Setup = ();
    type Op = Op;
    type Ret = bool;
    fn start(_: &()) -> Self {
        Self(false)
    }
    fn step(&mut self, _: usize, op: &Op) -> bool {
        self.0 |= *op == Op::Create;
        self.0
    }
}

/// A kind of memory that has a name.
trait Named: Sized + 'static {
    fn create() -> Self;
    fn is_there(&self) -> bool;
}

impl Named for Shmem {
    fn create() -> Self {
        ShmemConf::new().size(64).create().expect("a new name")
    }
    fn is_there(&self) -> bool {
        ShmemConf::new().os_id(self.get_os_id()).open().is_ok()
    }
}

struct Ours(Name, Region);

impl Named for Ours {
    fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let text = format!("/forkcheck-zoo-{}-{number}", std::process::id());
        let name = Name::posix(&text).expect("a name");
        let region = Region::create(&name, 64).expect("a new name");
        Self(name, region)
    }
    fn is_there(&self) -> bool {
        Region::open(&self.0, 64).is_ok_and(|there| there.creator() == self.1.creator())
    }
}

struct Handle<N>(std::marker::PhantomData<fn() -> N>);

impl<N: Named> WithHandles for Handle<N> {
    type Memory = Hardware;
    type Spec = Owned;
    type Handle<'a> = Option<N>;
    fn new(_: &()) -> Self {
        Self(std::marker::PhantomData)
    }
    fn attach(&self, _: Role<'_>) -> Option<N> {
        None
    }
    fn apply(handle: &mut Option<N>, op: &Op) -> bool {
        match op {
            Op::Create => {
                handle.get_or_insert_with(N::create);
                true
            }
            Op::ChildEnds => {
                process::run(|| drop(handle.take())).expect("a child that ends well");
                handle.is_some()
            }
            Op::Open => handle.as_ref().is_some_and(N::is_there),
        }
    }
}

#[test]
fn unlinked_by_a_child() {
    let owner = super::suite("unlinked_by_a_child").executions(20).role(
        "owner",
        1,
        1..=5,
        prop_oneof![Just(Op::Create), Just(Op::ChildEnds), Just(Op::Open)],
    );
    let report = side_by_side::<Handle<Shmem>>(&owner, Kind::NotLinearizable, 3);
    assert!(report.contains("Open -> false"), "{report}");
    owner.test::<Processes, Handle<Ours>>();
}
