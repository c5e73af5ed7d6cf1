//! Regions with arbitrary headers: files, and memfds that were passed on.

use crate::inputs::bytes;
use crate::{count, each, in_proportion};
use forkcheck::region::{Layout, Name, View, sweep_files};
use forkcheck::{Error, Region};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use proptest::prelude::Strategy;
use proptest::prelude::any;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Returns the bytes of two valid files of regions: one made by a length, one made by a type.
fn valid(path: &Path) -> Vec<Vec<u8>> {
    let by_length = Region::create(&Name::file(path).unwrap(), 200).unwrap();
    let first = fs::read(path).unwrap();
    drop(by_length);
    let by_type = Region::create(&Name::file(path).unwrap(), Layout::of::<[AtomicU64; 4]>());
    let _by_type = by_type.unwrap().keep();
    vec![first, fs::read(path).unwrap()]
}

/// Asserts that all of an opened view is there, or that the error has a remedy.
fn touch(view: Result<View, Error>) {
    match view {
        Ok(view) => {
            for at in [0, view.len() - 1] {
                view.get::<AtomicU8>(at).unwrap().load(Relaxed);
            }
        }
        Err(why) => assert!(why.to_string().contains("; "), "{why}"),
    }
}

#[test]
fn any_file_is_opened_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let valid = valid(&directory.path().join("valid"));
    let headers = bytes(valid.iter().map(|file| file[..128].to_vec()).collect());
    let inputs = (headers, 0..400usize, any::<bool>());
    let inputs = inputs.prop_map(|(mut bytes, more, sweeps)| {
        bytes.extend(vec![1; more]);
        (bytes, sweeps)
    });
    each(inputs, count(), move |(bytes, sweeps)| {
        let path = directory.path().join("file");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let name = Name::file(&path).unwrap();
        in_proportion(bytes.len(), || {
            touch(View::open(&name, 0));
            touch(View::open(&name, 200));
            touch(View::open(&name, Layout::of::<[AtomicU64; 4]>()));
            if let Ok(region) = Region::open(&name, 0) {
                let last = region.get::<AtomicU8>(region.len() - 1).unwrap();
                last.store(2, Relaxed);
                drop(region.keep());
            }
            if *sweeps {
                sweep_files(directory.path()).unwrap();
            } else {
                let _ = name.remove();
            }
        });
        let _ = fs::remove_file(path);
    });
}

#[test]
fn any_memfd_is_opened_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let valid = valid(&directory.path().join("valid"));
    each(bytes(valid), count(), |bytes| {
        let fd = memfd_create(c"fuzz", MFdFlags::MFD_ALLOW_SEALING).unwrap();
        let mut file = File::from(fd);
        file.write_all(bytes).unwrap();
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
        let again = || OwnedFd::from(file.try_clone().unwrap());
        in_proportion(bytes.len(), || {
            touch(View::from_fd(again(), 0));
            touch(View::from_fd(again(), Layout::of::<[AtomicU64; 4]>()));
            if let Ok(region) = Region::from_fd(again(), 0) {
                let last = region.get::<AtomicU8>(region.len() - 1).unwrap();
                last.store(2, Relaxed);
            }
        });
    });
}
