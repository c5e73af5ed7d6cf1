//! [`in_fresh_process`], the simplest job of a fresh process.
#![allow(unsafe_code, reason = "a zero-sized closure is made from nothing")]

use super::frame::Channel;
use super::job::Job;
use super::zygote::Session;
use super::{decode, encode};
use crate::Error;
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Runs `job(input)` in a fresh process: this program again, stopped before its `main`, with one
/// thread, no test harness and no locks held, so that it may fork. Returns the job's result.
///
/// The job is a function, or a closure that captures nothing: all it gets is its input. (A captured zero-sized
/// value passes, and is copied to the other process like any `Copy` value.)
///
/// ```
/// use forkcheck::process::{self, Exit};
///
/// let sum = process::in_fresh_process(|numbers: Vec<u32>| process::run(|| numbers.iter().sum::<u32>()).unwrap(), vec![1, 2, 3])?;
/// assert_eq!(sum, 6);
///
/// let error = process::in_fresh_process(|()| -> () { std::process::exit(3) }, ()).unwrap_err();
/// assert_eq!(error.exit(), Some(&Exit::Code(3)));
/// # Ok::<(), forkcheck::Error>(())
/// ```
/// Captures of a closure would not exist in the other process:
/// ```compile_fail
/// let three = 3;
/// forkcheck::process::in_fresh_process(move |n: u32| n + three, 4);
/// ```
///
/// # Errors
/// The job panicked, aborted, was killed or ended the process: see [`Error::exit`]; the text has
/// the last lines that it printed. Or its input or output could not be turned into bytes and back.
/// Or the process could not be started.
pub fn in_fresh_process<I, O, F>(job: F, input: I) -> Result<O, Error>
where
    F: Fn(I) -> O + Copy + 'static,
    I: Serialize + DeserializeOwned,
    O: Serialize + DeserializeOwned,
{
    const {
        assert!(
            size_of::<F>() == 0,
            "a job for a fresh process captures nothing: give it what it needs as its input"
        )
    }
    let _: F = job;
    let unfit = |what| {
        move |why| {
            Error::invalid(
                format!("the {what} of a job for a fresh process did not come through: {why}"),
                "use a type that serde writes and reads back in a binary format",
            )
        }
    };
    let request = encode(&input).map_err(unfit("input"))?;
    let answer = Session::start(Clean::<I, O, F>::JOB)?.ask(&request)?;
    decode::<Result<O, String>>(&answer)
        .and_then(|output| output)
        .map_err(unfit("input or output"))
}

/// The job behind [`in_fresh_process`].
struct Clean<I, O, F>(PhantomData<fn(I) -> (O, F)>);

impl<I, O, F> Clean<I, O, F>
where
    F: Fn(I) -> O + Copy + 'static,
    I: Serialize + DeserializeOwned,
    O: Serialize + DeserializeOwned,
{
    const JOB: &'static Job = &Job::new(std::any::type_name::<F>, Self::serve);

    fn serve(channel: &mut Channel) {
        let Some(request) = channel.next() else {
            return;
        };
        // SAFETY: reading an `F` from a dangling pointer.
        // 1. Aligned, and valid for its size: that is zero, which `in_fresh_process` asserts for each `F` with a job.
        // 2. It is a value of `F`: zero bytes have one pattern, `in_fresh_process` was given a value in another process of
        //    this program, and `F: Copy` says that one more does no harm.
        let job = unsafe { NonNull::<F>::dangling().read() };
        let output = decode(&request).map(job);
        let answer = encode(&output).or_else(|why| encode(&Err::<(), _>(why)));
        // If the client is gone, the answer has no reader.
        let _ = channel.reply(&answer.unwrap_or_default());
    }
}
