//! The models of all APIs, which are inside the program.

use fractus_models::{Api, ModelError, embedded};

/// The names of all APIs, sorted: `sqs`, `sesv2`.
pub fn names() -> impl Iterator<Item = &'static str> {
    embedded::names()
}

/// One API's facts; takes some milliseconds, so callers keep what they get.
pub fn load(name: &str) -> Result<Api, ModelError> {
    embedded::load(name)
}

/// The names asked for, or all of them; a name that no API has is an error.
pub fn chosen(names_asked_for: &[String]) -> Result<Vec<&'static str>, ModelError> {
    if names_asked_for.is_empty() {
        return Ok(names().collect());
    }
    let known = |name: &String| names().find(|known| known == name).ok_or_else(|| ModelError::Unknown(name.clone()));
    names_asked_for.iter().map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_or_the_named_ones() {
        assert_eq!(chosen(&["sqs".into(), "sts".into()]).unwrap().len(), 2);
        assert!(matches!(chosen(&["simpledb".into()]), Err(ModelError::Unknown(_))));
        assert!(names().count() >= 43);
    }
}
