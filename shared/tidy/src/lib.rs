//! The rules of the tree, as tests (`tests/tree.rs`): what may depend on what, who calls or hears whom, which
//! operations have no handler yet, how long a file may be, which words do not belong here.
//!
//! Two lists stand beside the rules and are asserted: `crossings.txt` (what each crate sends, hears, serves and asks)
//! and `uncovered.txt` (operations without a handler; it may only shrink). `FRACTUS_TIDY_UPDATE=1` writes them anew.
//!
//! This library reads the tree; it knows no rule. Left out on purpose: what rustc and clippy check already (unused
//! code, `unwrap`, direct clocks).

#![allow(clippy::expect_used, reason = "a rule that cannot read the tree has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of the tree.
#[derive(Clone, Debug)]
pub struct File {
    /// From the root, with slashes: `shared/tidy/src/lib.rs`.
    pub path: String,
    pub text: String,
}

/// The workspace's root.
///
/// # Panics
/// When this crate is not where it should be.
pub fn root() -> PathBuf {
    // Where the test runs, not where it was built: a target folder may have been taken over from another copy of the tree.
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    Path::new(&here).ancestors().nth(2).expect("shared/tidy lies two folders below the root").to_owned()
}

/// Every text file that is part of the project, sorted by path: what version control would take, without the models'
/// facts.
pub fn files() -> Vec<File> {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Folders that hold no source of ours.
const SKIPPED_FOLDERS: [&str; 7] = ["target", ".git", ".run", "node_modules", "__pycache__", "test-data", "corpus"];
/// Longer files are data.
const MAX_BYTES: u64 = 1 << 20;

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            let is_skipped = SKIPPED_FOLDERS.contains(&name.as_str()) || path.ends_with("shared/models/aws");
            if !is_skipped {
                collect(root, &path, files);
            }
        } else if kind.is_file() && name != ".git" && entry.metadata().is_ok_and(|metadata| metadata.len() <= MAX_BYTES)
        {
            let relative = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            if let Ok(text) = std::fs::read_to_string(&path) {
                files.push(File { path: relative, text });
            }
        }
    }
}

/// The crates' folders from the root: `shared/wire`, `services/sqs/api`, `router`.
pub fn crates(files: &[File]) -> Vec<String> {
    files.iter().filter_map(|file| file.path.strip_suffix("/Cargo.toml").map(str::to_owned)).collect()
}

/// The folder of the crate that a file belongs to.
pub fn crate_of<'a>(crates: &'a [String], path: &str) -> Option<&'a str> {
    let holds = |folder: &&String| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'));
    crates.iter().filter(holds).max_by_key(|folder| folder.len()).map(String::as_str)
}

/// The operations of a model: the names in `shared/models/aws/<api>.json`.
pub fn operations_of_model(api: &str) -> BTreeSet<String> {
    let path = root().join(format!("shared/models/aws/{api}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let model: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    match model.get("operations") {
        Some(serde_json::Value::Object(operations)) => operations.keys().cloned().collect(),
        Some(serde_json::Value::Array(operations)) => {
            operations.iter().filter_map(|operation| operation["name"].as_str().map(str::to_owned)).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// Compares a generated list with the one in this crate's folder; with `FRACTUS_TIDY_UPDATE` set, writes it instead.
///
/// # Errors
/// What differs, in words.
pub fn compare_list(name: &str, found: &BTreeSet<String>) -> Result<(), String> {
    let path = root().join("shared/tidy").join(name);
    let text: String = found.iter().map(|line| format!("{line}\n")).collect();
    if std::env::var_os("FRACTUS_TIDY_UPDATE").is_some() {
        return std::fs::write(&path, text).map_err(|error| error.to_string());
    }
    let listed: BTreeSet<String> =
        std::fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
    let new: Vec<&String> = found.difference(&listed).collect();
    let gone: Vec<&String> = listed.difference(found).collect();
    if new.is_empty() && gone.is_empty() {
        return Ok(());
    }
    Err(format!("{name} differs from the tree; new: {new:#?}, no longer there: {gone:#?}"))
}
