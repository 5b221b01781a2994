//! The documents that Python and Rust must judge alike: schema/documents, which Python's tests read too.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn documents(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/documents").join(kind);
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect()
}

fn judge(file: &Path) -> Result<usize, String> {
    ghost_core::fuzzing::entry(&fs::read(file).unwrap())
}

#[test]
fn what_python_accepts_is_accepted() {
    let files = documents("accepted");
    assert!(files.len() >= 3);
    for file in files {
        judge(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

#[test]
fn what_python_refuses_is_refused() {
    let files = documents("refused");
    assert!(files.len() >= 20);
    let taken: Vec<_> = files.iter().filter(|file| judge(file).is_ok()).collect();
    assert!(taken.is_empty(), "{taken:?}");
}
