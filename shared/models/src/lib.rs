//! The facts of AWS's API models, and look-ups in them.
//!
//! `aws/<api>.json` holds one API each, written by `scripts/import-models` from the published botocore package: the
//! JSON form that botocore uses, without its prose. This crate reads that form ([`facts`]), and answers what the other
//! crates ask of it ([`Api`]'s methods). It knows nothing of wire formats: `fractus-wire` turns facts into schemas at
//! run time, `fractus-codegen` turns them into Rust.
//!
//! With the feature `embedded` all models are inside the program, compressed ([`embedded`]); without it a caller gives
//! the text or a path, so that build scripts stay light.

pub mod facts;
mod lookup;

#[cfg(feature = "embedded")]
pub mod embedded;

use std::path::{Path, PathBuf};

pub use facts::{Api, ErrorFacts, Http, MemberFacts, Metadata, Number, OperationFacts, ShapeFacts, ShapeType};

/// Why a model could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("there is no model called {0}")]
    Unknown(String),
    #[error("the model {0} cannot be read")]
    Unreadable(PathBuf, #[source] std::io::Error),
    #[error("the model {0} is not of the form that scripts/import-models writes")]
    Malformed(String, #[source] serde_json::Error),
}

/// Where the models of this tree lie; for build scripts and tests, which run inside it. Looked for from the package
/// that runs, so that build scripts compiled in one checkout read the models of the checkout they run in.
pub fn folder() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .and_then(|package| {
            Path::new(&package).ancestors().map(|root| root.join("shared/models/aws")).find(|folder| folder.is_dir())
        })
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("aws"))
}

impl Api {
    pub fn parse(name: &str, json: &str) -> Result<Api, ModelError> {
        let mut api: Api = serde_json::from_str(json).map_err(|error| ModelError::Malformed(name.to_owned(), error))?;
        api.api = name.to_owned();
        Ok(api)
    }

    /// The API called `name` (`sqs`, `sesv2`) from a folder of models.
    pub fn read(folder: &Path, name: &str) -> Result<Api, ModelError> {
        let path = folder.join(format!("{name}.json"));
        let json = std::fs::read_to_string(&path).map_err(|error| ModelError::Unreadable(path, error))?;
        Api::parse(name, &json)
    }
}

/// The names of all models in a folder, sorted.
pub fn names(folder: &Path) -> Result<Vec<String>, ModelError> {
    let unreadable = |error| ModelError::Unreadable(folder.to_owned(), error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "json")
            && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}
