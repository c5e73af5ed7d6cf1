//! A ring in C, as an old code base has it, and what Rust needs to call it. tests/ring.rs checks it between processes:
//! `cargo test -p c-ring`.
#![allow(unsafe_code, reason = "functions of a C library")]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

/// `struct message` of c/ring.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Bytes of the text.
    pub length: u32,
    /// The text.
    pub text: [u8; 12],
}

/// `struct ring` of c/ring.h: only C looks inside.
#[repr(C)]
struct Opaque {
    words: [u32; 2 + 3 * 4],
}

/// The functions of one build of c/ring.c.
pub trait Build: 'static {
    /// `ring_init`, `ring_push`, `ring_pop`.
    #[doc(hidden)]
    const FUNCTIONS: Functions;
}

/// The functions of c/ring.h.
#[doc(hidden)]
pub struct Functions {
    init: unsafe extern "C" fn(*mut Opaque),
    push: unsafe extern "C" fn(*mut Opaque, *const Message) -> i32,
    pop: unsafe extern "C" fn(*mut Opaque, *mut Message) -> i32,
}

macro_rules! builds {
    ($($(#[$about:meta])* $Build:ident: $init:ident $push:ident $pop:ident;)*) => {$(
        $(#[$about])*
        pub struct $Build;
        impl Build for $Build {
            const FUNCTIONS: Functions = {
                unsafe extern "C" {
                    fn $init(ring: *mut Opaque);
                    fn $push(ring: *mut Opaque, message: *const Message) -> i32;
                    fn $pop(ring: *mut Opaque, message: *mut Message) -> i32;
                }
                Functions { init: $init, push: $push, pop: $pop }
            };
        }
    )*};
}
builds! {
    /// As it was shipped.
    Shipped: ring_init ring_push ring_pop;
    /// With its fix.
    Fixed: fixed_ring_init fixed_ring_push fixed_ring_pop;
}

/// A ring, in place. One process at a time may push, and one pop.
#[repr(transparent)]
pub struct Ring<B: Build>(UnsafeCell<Opaque>, std::marker::PhantomData<B>);

// SAFETY: c/ring.h allows a push and a pop at the same time. That there is only one of each at a time is for callers
// to keep; two would garble messages, which are plain bytes.
unsafe impl<B: Build> Sync for Ring<B> {}

impl<B: Build> Ring<B> {
    /// An empty one.
    #[allow(
        clippy::new_without_default,
        reason = "the C library has no default either"
    )]
    pub fn new() -> Self {
        let mut ring = MaybeUninit::uninit();
        // SAFETY: ring_init.
        // 1. It writes `sizeof(struct ring)` bytes at the pointer, which is valid for so many and aligned.
        // 2. Nobody else uses it yet. 3. It initialises all of it, so `assume_init` holds.
        let ring = unsafe {
            (B::FUNCTIONS.init)(ring.as_mut_ptr());
            ring.assume_init()
        };
        Ring(UnsafeCell::new(ring), std::marker::PhantomData)
    }

    /// Copies a message in; whether there was room.
    pub fn push(&self, message: &Message) -> bool {
        // SAFETY: ring_push. 1. The ring was initialised by `new`. 2. `message` is valid for reads of a `struct message`.
        // 3. One process pushes at a time: the caller's promise, see the type.
        unsafe { (B::FUNCTIONS.push)(self.0.get(), message) == 0 }
    }

    /// Copies the oldest message out, if there is one.
    pub fn pop(&self) -> Option<Message> {
        let mut message = MaybeUninit::uninit();
        // SAFETY: ring_pop. 1. The ring was initialised by `new`. 2. The pointer is valid for writes of a `struct message`.
        // 3. One process pops at a time: the caller's promise. 4. Where it returns 0 it has written all of it, and any
        // bytes are a `Message`.
        unsafe {
            ((B::FUNCTIONS.pop)(self.0.get(), message.as_mut_ptr()) == 0)
                .then(|| message.assume_init())
        }
    }
}
