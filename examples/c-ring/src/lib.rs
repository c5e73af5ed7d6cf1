//! A ring in C, such as an old code base has, with the Rust code to call it. tests/ring.rs checks
//! it between processes: `cargo test -p c-ring`.
#![allow(unsafe_code, reason = "functions of a C library")]

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

/// `struct message` of c/ring.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The length of the text in bytes.
    pub length: u32,
    /// The text.
    pub text: [u8; 12],
}

/// `struct ring` of c/ring.h, whose size c/ring.c asserts: only C looks inside.
#[repr(C)]
struct Opaque {
    words: [u32; 2 + 3 * 4],
}
const _: () = assert!(size_of::<Opaque>() == 56 && size_of::<Message>() == 16);

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
    /// The build as it was shipped.
    Shipped: ring_init ring_push ring_pop;
    /// The build with the fix.
    Fixed: fixed_ring_init fixed_ring_push fixed_ring_pop;
}

/// A ring, in place, with at most one handle of each kind at a time, among all processes that see it.
#[repr(C)]
pub struct Ring<B: Build> {
    ring: UnsafeCell<Opaque>,
    producer_taken: AtomicBool,
    consumer_taken: AtomicBool,
    build: PhantomData<B>,
}

// SAFETY: c/ring.h allows one push and one pop at the same time, and no two of either. Only the handles push and pop, by
// `&mut self`, and there is one of each kind.
unsafe impl<B: Build> Sync for Ring<B> {}

/// The handle of the process that pushes.
pub struct Producer<'a, B: Build>(&'a Ring<B>);
/// The handle of the process that pops.
pub struct Consumer<'a, B: Build>(&'a Ring<B>);

impl<B: Build> Ring<B> {
    /// Returns an empty ring.
    #[allow(
        clippy::new_without_default,
        reason = "the C library has no default either"
    )]
    pub fn new() -> Self {
        let mut ring = MaybeUninit::uninit();
        // SAFETY: ring_init.
        // 1. It writes `sizeof(struct ring)` bytes at the pointer, which is valid for that and
        // aligned.
        // 2. No other code uses it yet. 3. It initialises all of it, so `assume_init` holds.
        let ring = unsafe {
            (B::FUNCTIONS.init)(ring.as_mut_ptr());
            ring.assume_init()
        };
        Ring {
            ring: UnsafeCell::new(ring),
            producer_taken: AtomicBool::new(false),
            consumer_taken: AtomicBool::new(false),
            build: PhantomData,
        }
    }

    /// Returns the handle that pushes, unless a process has it.
    pub fn producer(&self) -> Option<Producer<'_, B>> {
        // Acquire: pairs with the Release in `drop`, so that all that the last producer did is
        // done.
        (!self.producer_taken.swap(true, Ordering::Acquire)).then_some(Producer(self))
    }

    /// Returns the handle that pushes, after the process that had it was killed.
    ///
    /// # Safety
    /// No process has it.
    pub unsafe fn producer_of_the_dead(&self) -> Producer<'_, B> {
        Producer(self)
    }

    /// Returns the handle that pops, after the process that had it was killed.
    ///
    /// # Safety
    /// No process has it.
    pub unsafe fn consumer_of_the_dead(&self) -> Consumer<'_, B> {
        Consumer(self)
    }

    /// Returns the handle that pops, unless a process has it.
    pub fn consumer(&self) -> Option<Consumer<'_, B>> {
        // Acquire: as above.
        (!self.consumer_taken.swap(true, Ordering::Acquire)).then_some(Consumer(self))
    }
}

impl<B: Build> Producer<'_, B> {
    /// Copies a message in; returns whether there was room.
    pub fn push(&mut self, message: &Message) -> bool {
        // SAFETY: ring_push. 1. The ring was initialised by `new`. 2. `message` is valid for reads of a `struct message`.
        // 3. One at a time: this is the only producer, borrowed mutably.
        unsafe { (B::FUNCTIONS.push)(self.0.ring.get(), message) == 0 }
    }
}

impl<B: Build> Consumer<'_, B> {
    /// Copies the oldest message out, if there is one.
    pub fn pop(&mut self) -> Option<Message> {
        let mut message = MaybeUninit::uninit();
        // SAFETY: ring_pop. 1. The ring was initialised by `new`. 2. The pointer is valid for writes of a `struct message`.
        // 3. One at a time: this is the only consumer, borrowed mutably. 4. Where it returns 0 it has written all of it,
        // and any bytes are a `Message`.
        unsafe {
            ((B::FUNCTIONS.pop)(self.0.ring.get(), message.as_mut_ptr()) == 0)
                .then(|| message.assume_init())
        }
    }
}

impl<B: Build> Drop for Producer<'_, B> {
    fn drop(&mut self) {
        self.0.producer_taken.store(false, Ordering::Release);
    }
}

impl<B: Build> Drop for Consumer<'_, B> {
    fn drop(&mut self) {
        self.0.consumer_taken.store(false, Ordering::Release);
    }
}
