//! All models, inside the program: compressed when it is built, unpacked when they are asked for.

use std::io::Read;

use crate::{Api, ModelError};

// `pub static MODELS: &[(&str, &[u8])]`, sorted by name.
include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Bounds what unpacking may make of a damaged program; the largest model is a tenth of it.
const LARGEST_MODEL_BYTES: u64 = 16 << 20;

pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name)
}

/// Unpacks and parses; some milliseconds for most, so callers keep what they get.
pub fn load(name: &str) -> Result<Api, ModelError> {
    let index = MODELS.binary_search_by(|(known, _)| (*known).cmp(name));
    let packed = index.map(|index| MODELS[index].1).map_err(|_| ModelError::Unknown(name.to_owned()))?;
    let mut json = String::new();
    flate2::read::DeflateDecoder::new(packed)
        .take(LARGEST_MODEL_BYTES)
        .read_to_string(&mut json)
        .map_err(|error| ModelError::Unreadable(name.into(), error))?;
    Api::parse(name, &json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_there() {
        assert_eq!(names().count(), crate::names(&crate::folder()).unwrap().len());
        assert!(names().is_sorted());
        for name in ["sqs", "s3", "cloudfront-keyvaluestore"] {
            assert_eq!(load(name).unwrap().api, name);
        }
        assert!(matches!(load("simpledb"), Err(ModelError::Unknown(_))));
    }
}
