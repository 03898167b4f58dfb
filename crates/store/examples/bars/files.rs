//! The files of a folder: how large they are, and whether the system has them in memory.

use std::{fs, io, path::Path};

pub(crate) fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

pub(crate) fn read_all(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| {
            let mut file = fs::File::open(file.unwrap().path()).unwrap();
            io::copy(&mut file, &mut io::sink()).unwrap()
        })
        .sum()
}

/// Lets the system forget what it has of the files in memory.
pub(crate) fn forget_all(folder: &Path) {
    for file in fs::read_dir(folder).unwrap() {
        let file = fs::File::open(file.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}
