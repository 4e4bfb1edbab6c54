//! Models to Rust: what the one-line build script of an api crate calls.
//!
//! For each API one file: a struct for each structure, an enum for each enum and union, the typed `Error`, a marker
//! for each operation, the schema statics, and `MODEL`. Nothing is generated for a protocol: shapes read and write
//! their members through `fractus-wire`'s traits. The text is built as a string, because a build script that parses
//! and prints Rust costs more than the code it makes; compile time is the feature here.
//!
//! Modules in reading order: [`names`] (identifiers), `plan` (which types there are), then the parts of a file:
//! `schemas`, `shapes`, `errors`, `operations`.

pub mod names;

mod errors;
mod operations;
mod plan;
mod schemas;
mod shapes;

use std::path::{Path, PathBuf};

use fractus_models::{Api, ModelError};

/// Why nothing was generated.
#[derive(Debug, thiserror::Error)]
pub enum CodegenError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{0} is not set; this runs in build scripts")]
    NoVariable(&'static str),
    #[error("{0} cannot be written")]
    Unwritable(PathBuf, #[source] std::io::Error),
}

/// For build scripts: writes `OUT_DIR/<api>.rs` from the model of the API in this tree.
pub fn build(api: &str) -> Result<(), CodegenError> {
    write(api, |_| ())
}

/// For a service that calls a few operations of another one and reads no error of its but by code: the same without
/// anything that these operations do not lead to.
pub fn build_part(api: &str, operations: &[&str]) -> Result<(), CodegenError> {
    write(api, |facts| keep(facts, operations))
}

/// Drops the other operations, and every error's shape.
pub fn keep(api: &mut Api, operations: &[&str]) {
    api.operations.retain(|name, _| operations.contains(&name.as_str()));
    api.operations.values_mut().for_each(|operation| operation.errors.clear());
    api.shapes.retain(|_, shape| !shape.is_error());
}

#[allow(clippy::print_stdout)] // Build scripts speak to cargo on standard output.
fn write(api: &str, change: impl FnOnce(&mut Api)) -> Result<(), CodegenError> {
    let out = std::env::var_os("OUT_DIR").ok_or(CodegenError::NoVariable("OUT_DIR"))?;
    let folder = fractus_models::folder();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.join(format!("{api}.json")).display());
    let mut facts = Api::read(&folder, api)?;
    change(&mut facts);
    let files = [(format!("{api}.rs"), generate(&facts)), (format!("{api}_operations.rs"), operation_list(&facts))];
    for (name, text) in files {
        let path = Path::new(&out).join(name);
        std::fs::write(&path, text).map_err(|error| CodegenError::Unwritable(path, error))?;
    }
    Ok(())
}

/// A macro that gives all operation markers to another one: for tests that go through a whole API.
pub fn operation_list(api: &Api) -> String {
    let markers: Vec<String> = api.operations.keys().map(|name| names::type_name(name)).collect();
    format!("macro_rules! for_each_operation {{ ($each:ident) => {{ $each!({}); }} }}\n", markers.join(", "))
}

/// The Rust of an API, to be included in a module of its own.
pub fn generate(api: &Api) -> String {
    let plan = plan::Plan::of(api);
    let mut out = String::with_capacity(1 << 20);
    out.push_str("#[allow(clippy::all, clippy::disallowed_methods, clippy::unwrap_used, dead_code, ");
    out.push_str("non_camel_case_types, non_upper_case_globals, non_snake_case, unused_variables, rustdoc::all)]\n");
    out.push_str("mod generated {\nuse ::fractus_wire::generated as wire;\n\n");
    shapes::write(&mut out, &plan);
    errors::write(&mut out, &plan);
    operations::write(&mut out, &plan);
    schemas::write(&mut out, &plan);
    out.push_str("}\npub use generated::*;\n");
    out
}
