//! The jobs of a fresh process, each named by its place in the image of the program.
//!
//! The fresh process runs this program too, at other addresses. A job is therefore sent as its
//! distance from a static of this module, which both have, and is checked before it is used.
#![allow(unsafe_code, reason = "a job is found by its address")]

use super::frame::Channel;

/// The number at the start of each job.
const MAGIC: u64 = u64::from_le_bytes(*b"fc-job-1");

/// A function for a fresh process. Make it a promoted constant, so that it has a place in the image:
/// `const JOB: &'static Job = &Job::new(type_name::<Self>, serve::<S>)`. It may be of a generic type.
#[repr(C)]
pub(crate) struct Job {
    magic: u64,
    name: fn() -> &'static str,
    run: fn(&mut Channel),
}

/// The place from which distances are measured.
static ANCHOR: u64 = 1;

impl Job {
    pub(crate) const fn new(name: fn() -> &'static str, run: fn(&mut Channel)) -> Self {
        Self {
            magic: MAGIC,
            name,
            run,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        (self.name)()
    }

    pub(super) fn run(&self, channel: &mut Channel) {
        (self.run)(channel);
    }

    /// Returns its distance from the anchor in bytes, the same in each process of this program.
    pub(super) fn offset(&'static self) -> u64 {
        ((&raw const *self).addr()).wrapping_sub((&raw const ANCHOR).addr()) as u64
    }

    /// Returns the job at that distance, if there is one and it has that name.
    pub(super) fn find(offset: u64, name: &str) -> Result<&'static Self, String> {
        let anchor = (&raw const ANCHOR).expose_provenance();
        let address = anchor.wrapping_add(offset as usize);
        let place = std::ptr::with_exposed_provenance::<Self>(address);
        if !place.is_aligned() {
            return Err(format!("the job's offset {offset:#x} is not aligned"));
        }
        let maps = std::fs::read_to_string("/proc/self/maps")
            .map_err(|e| format!("reading /proc/self/maps: {e}"))?;
        if !same_image(&maps, anchor, address) {
            return Err(format!(
                "the job's offset {offset:#x} leads out of the program's image"
            ));
        }
        // SAFETY: a read of eight bytes.
        // 1. Aligned: checked. 2. Readable, for the whole of a `Job`: it lies in a readable mapping of this
        //    image's file. 3. Any bytes are a u64; those of an image are initialised.
        let magic = unsafe { place.cast::<u64>().read() };
        if magic != MAGIC {
            return Err(format!("there is no job at offset {offset:#x}"));
        }
        // SAFETY: a reference to a `Job` for `'static`.
        // 1. Aligned and readable, as above; an image is not unmapped while its own code runs.
        // 2. It is a `Job`, with two functions in it: nothing else in this image holds the magic,
        // aligned.
        // 3. It is never written: jobs are constants.
        let job = unsafe { &*place };
        if job.name() != name {
            return Err(format!(
                "the job at offset {offset:#x} is {}, not {name}",
                job.name()
            ));
        }
        Ok(job)
    }
}

/// Returns whether a job at `address` would lie in a readable mapping of the same file as the
/// anchor. proc_pid_maps(5).
fn same_image(maps: &str, anchor: usize, address: usize) -> bool {
    let mappings = || {
        maps.lines().filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let readable = fields.next()?.starts_with('r');
            let file = (fields.nth(1)?, fields.next()?);
            let number = |hex| usize::from_str_radix(hex, 16).ok();
            Some((number(start)?..number(end)?, readable, file))
        })
    };
    let Some((_, _, image)) = mappings().find(|(range, _, _)| range.contains(&anchor)) else {
        return false;
    };
    let Some(last) = address.checked_add(size_of::<Job>() - 1) else {
        return false;
    };
    mappings().any(|(range, readable, file)| {
        readable && file == image && range.contains(&address) && range.contains(&last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::marker::PhantomData;

    struct Named<T>(PhantomData<T>);
    impl<T> Named<T> {
        const JOB: &'static Job = &Job::new(std::any::type_name::<T>, |_| ());
    }
    static NO_JOB: [u64; 8] = [1; 8];

    fn why(offset: u64, name: &str) -> String {
        Job::find(offset, name)
            .err()
            .expect("it is not to be found")
    }

    #[test]
    fn a_job_is_found_by_its_offset_and_name() {
        let job = Job::find(Named::<u8>::JOB.offset(), "u8").unwrap();
        assert_eq!(job.name(), "u8");
        assert_ne!(Named::<u8>::JOB.offset(), Named::<u16>::JOB.offset());
    }

    #[test]
    fn a_wrong_offset_name_or_magic_is_reported_in_words() {
        let offset = Named::<u8>::JOB.offset();
        assert!(why(offset, "u16").contains("is u8, not u16"));
        assert!(why(offset + 1, "u8").contains("not aligned"));
        assert!(why(offset.wrapping_add(1 << 46), "u8").contains("out of the program's image"));
        assert!(why(0, "u8").contains("no job at"));
        let near = (NO_JOB.as_ptr().addr() as u64).wrapping_sub((&raw const ANCHOR).addr() as u64);
        assert!(why(near, "u8").contains("no job at"));
        // The heap is mapped and readable, but no part of the image.
        let heap = Box::new(Job::new(|| "u8", |_| ()));
        let heap = ((&raw const *heap).addr()).wrapping_sub((&raw const ANCHOR).addr()) as u64;
        assert!(why(heap, "u8").contains("out of the program's image"));
    }

    #[test]
    fn a_job_that_is_cut_off_by_the_end_of_its_mapping_is_outside() {
        let maps = "1000-2000 r--p 0 08:01 7 /x\n2000-3000 ---p 0 08:01 7 /x\n4000-5000 r--p 0 08:01 8 /y\n";
        assert!(same_image(maps, 0x1000, 0x1fe8));
        assert!(!same_image(maps, 0x1000, 0x1ff0), "its end is beyond");
        assert!(!same_image(maps, 0x1000, 0x2100), "not readable");
        assert!(!same_image(maps, 0x1000, 0x4000), "another file");
        assert!(!same_image(maps, 0x1000, usize::MAX - 7), "wraps around");
    }
}
