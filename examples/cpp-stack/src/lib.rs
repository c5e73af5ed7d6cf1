//! A lock-free stack in C++, of templates and `std::atomic`, with the Rust code to call it. tests/stack.rs checks it:
//! `cargo forkcheck test -p cpp-stack`.
#![allow(unsafe_code, reason = "functions of a C++ library")]

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// `struct Item` of cpp/stack.cpp.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The number of the item.
    pub number: u64,
    /// A second number: equal, if the item was copied whole.
    pub check: u64,
}

/// The number of items for which there is room.
pub const CAPACITY: usize = 3;

/// `Items` of cpp/stack.cpp, whose size is asserted there: only C++ looks inside.
#[repr(C)]
struct Opaque {
    words: [u64; 11],
}

/// The functions of one build of cpp/stack.cpp.
pub trait Build: 'static {
    /// `stack_init`, `stack_push`, `stack_pop`.
    #[doc(hidden)]
    const FUNCTIONS: Functions;
}

/// The functions of cpp/stack.cpp.
#[doc(hidden)]
pub struct Functions {
    init: unsafe extern "C" fn(*mut Opaque),
    push: unsafe extern "C" fn(*mut Opaque, *const Item) -> bool,
    pop: unsafe extern "C" fn(*mut Opaque, *mut Item) -> bool,
}

macro_rules! builds {
    ($($(#[$about:meta])* $Build:ident: $init:ident $push:ident $pop:ident;)*) => {$(
        $(#[$about])*
        pub struct $Build;
        impl Build for $Build {
            const FUNCTIONS: Functions = {
                unsafe extern "C" {
                    fn $init(stack: *mut Opaque);
                    fn $push(stack: *mut Opaque, item: *const Item) -> bool;
                    fn $pop(stack: *mut Opaque, item: *mut Item) -> bool;
                }
                Functions { init: $init, push: $push, pop: $pop }
            };
        }
    )*};
}
builds! {
    /// The build as it was shipped: a link has no tag.
    Shipped: shipped_stack_init shipped_stack_push shipped_stack_pop;
    /// The build with the fix.
    Fixed: fixed_stack_init fixed_stack_push fixed_stack_pop;
}

/// A stack, in place, which several processes may use.
#[repr(C)]
pub struct Stack<B: Build> {
    stack: UnsafeCell<Opaque>,
    build: PhantomData<B>,
}

// SAFETY: cpp/stack.hpp allows pushes and pops side by side, and only these use the stack.
unsafe impl<B: Build> Sync for Stack<B> {}

impl<B: Build> Stack<B> {
    /// Returns an empty stack.
    #[allow(
        clippy::new_without_default,
        reason = "the C++ library has no default either"
    )]
    pub fn new() -> Self {
        let mut stack = MaybeUninit::<Opaque>::zeroed();
        // SAFETY: stack_init. 1. It constructs a stack at the pointer, which is valid for that and aligned. 2. No other code
        // uses it yet. 3. The bytes that it leaves were zero, so `assume_init` holds.
        let stack = unsafe {
            (B::FUNCTIONS.init)(stack.as_mut_ptr());
            stack.assume_init()
        };
        Stack {
            stack: UnsafeCell::new(stack),
            build: PhantomData,
        }
    }

    /// Copies an item in; returns whether there was room.
    pub fn push(&self, item: &Item) -> bool {
        // SAFETY: stack_push. 1. The stack was constructed by `new`. 2. `item` is valid for reads of a `struct Item`.
        unsafe { (B::FUNCTIONS.push)(self.stack.get(), item) }
    }

    /// Copies the top item out, if there is one.
    pub fn pop(&self) -> Option<Item> {
        let mut item = MaybeUninit::uninit();
        // SAFETY: stack_pop. 1. The stack was constructed by `new`. 2. The pointer is valid for writes of a `struct Item`.
        // 3. Where it returns true it has written all of it.
        unsafe {
            (B::FUNCTIONS.pop)(self.stack.get(), item.as_mut_ptr()).then(|| item.assume_init())
        }
    }
}
