//! Every API in the tree becomes Rust that compiles, also those without a service yet.
//!
//! One crate each in a scratch workspace, checked one after another, with the CPU seconds that each took on its own.
//! It takes minutes, so it runs in a stage of its own and prints the table that this crate's README keeps:
//! `cargo test -p fractus-codegen --test all_apis -- --ignored --nocapture`.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fractus_models::{Api, folder, names};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A workspace with a crate for each API. Files are written only where they change, so that a second run is quick.
fn write_workspace(scratch: &Path, apis: &[String]) {
    let wire = root().join("shared/wire");
    let members: Vec<String> = apis.iter().map(|api| format!("\"{api}\"")).collect();
    write(
        &scratch.join("Cargo.toml"),
        &format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n[profile.dev]\ndebug = false\n", members.join(", ")),
    );
    if !scratch.join("Cargo.lock").exists() {
        std::fs::copy(root().join("Cargo.lock"), scratch.join("Cargo.lock")).unwrap();
    }
    for api in apis {
        let manifest = format!(
            "[package]\nname = \"all-{api}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
             [dependencies]\nfractus-wire = {{ path = {:?} }}\n",
            wire.to_str().unwrap()
        );
        write(&scratch.join(api).join("Cargo.toml"), &manifest);
        let text = fractus_codegen::generate(&Api::read(&folder(), api).unwrap());
        write(&scratch.join(api).join("src/lib.rs"), &format!("#![deny(warnings)]\n{text}"));
    }
}

fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).is_ok_and(|kept| kept == text) {
        return;
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn check(scratch: &Path, package: &str) -> Result<(), String> {
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--offline", "--package", package])
        .current_dir(scratch)
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// User and system time of all children that have ended, in seconds: fields 16 and 17 of /proc/self/stat, in
/// hundredths.
fn children_cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(13) + ticks(14)) / 100.0
}

#[test]
#[ignore = "takes minutes: a stage of its own"]
fn every_api_compiles() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("all-apis");
    let apis = names(&folder()).unwrap();
    write_workspace(&scratch, &apis);
    check(&scratch, "fractus-wire").unwrap();
    let mut table = String::from("| API | operations | shapes | lines | CPU s |\n|---|---|---|---|---|\n");
    let mut failures = String::new();
    let mut total_secs = 0.0;
    for api in &apis {
        let before = children_cpu_secs();
        if let Err(errors) = check(&scratch, &format!("all-{api}")) {
            let first: Vec<&str> = errors.lines().take(12).collect();
            let _ = writeln!(failures, "{api}:\n{}", first.join("\n"));
        }
        let secs = children_cpu_secs() - before;
        total_secs += secs;
        let facts = Api::read(&folder(), api).unwrap();
        let lines = std::fs::read_to_string(scratch.join(api).join("src/lib.rs")).unwrap().lines().count();
        let _ =
            writeln!(table, "| {api} | {} | {} | {lines} | {secs:.1} |", facts.operations.len(), facts.shapes.len());
    }
    println!("{table}| all | | | | {total_secs:.1} |");
    assert!(failures.is_empty(), "{failures}");
    assert_eq!(apis.len(), 48);
}
