//! What a request says beside its action and resource: the condition keys and their values.

use smallvec::SmallVec;

/// The condition keys of a request. Names are told apart without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    entries: Vec<(String, SmallVec<[String; 1]>)>,
}

impl Context {
    pub fn new() -> Self {
        Context::default()
    }

    /// Sets a key to one value.
    pub fn insert(&mut self, key: &str, value: impl Into<String>) {
        self.insert_many(key, [value]);
    }

    /// Sets a key to a set of values, such as `aws:TagKeys`.
    pub fn insert_many<V: Into<String>>(&mut self, key: &str, values: impl IntoIterator<Item = V>) {
        let values = values.into_iter().map(Into::into).collect();
        match self.entries.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
            Some((_, known)) => *known = values,
            None => self.entries.push((key.to_ascii_lowercase(), values)),
        }
    }

    /// [`Self::insert`], for building in one expression.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.insert(key, value);
        self
    }

    /// [`Self::insert_many`], for building in one expression.
    #[must_use]
    pub fn with_many<V: Into<String>>(mut self, key: &str, values: impl IntoIterator<Item = V>) -> Self {
        self.insert_many(key, values);
        self
    }

    /// The values of a key, which is given in any case; `None` if the request has no such key.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.entries.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, values)| values.as_slice())
    }

    /// The value of a key that has exactly one.
    pub fn single(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            [value] => Some(value),
            _ => None,
        }
    }

    /// All keys, in lower case, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.entries.iter().map(|(key, values)| (key.as_str(), values.as_slice()))
    }
}
