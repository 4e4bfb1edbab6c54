//! The vectors that are not met, from `test-data/exceptions.toml`.

use std::collections::BTreeMap;

use figment::Figment;
use figment::providers::{Format, Toml};

use crate::suite::{Direction, test_data};

/// By vector, then by direction: the reason.
pub struct Exceptions(BTreeMap<String, BTreeMap<String, String>>);

impl Exceptions {
    pub fn load() -> Self {
        Exceptions(Figment::from(Toml::file_exact(test_data().join("exceptions.toml"))).extract().unwrap())
    }

    pub fn has(&self, id: &str, direction: Direction) -> bool {
        self.0.get(id).is_some_and(|reasons| reasons.contains_key(&direction.to_string()))
    }

    pub fn ids(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}
