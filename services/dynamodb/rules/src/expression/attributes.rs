//! The names and values that a request gives to its placeholders.

use super::error::AttributesError;
use crate::value::Value;

/// ExpressionAttributeNames and ExpressionAttributeValues, sorted by placeholder; and the values of forms that were not
/// written as expressions.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    names: Vec<(String, String)>,
    values: Vec<(String, Value)>,
}

/// Which of them expressions have used.
#[derive(Debug, Clone, Default)]
pub struct Used {
    names: Vec<bool>,
    values: Vec<bool>,
}

fn is_placeholder(text: &str, sign: char) -> bool {
    text.strip_prefix(sign)
        .is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

fn unused<T>(entries: &[(String, T)], used: &[bool]) -> Option<String> {
    let unused: Vec<&str> = entries
        .iter()
        .enumerate()
        .filter(|(index, _)| !used.get(*index).copied().unwrap_or(false))
        .map(|(_, (key, _))| key.as_str())
        .collect();
    (!unused.is_empty()).then(|| unused.join(", "))
}

impl Attributes {
    /// Takes what the request carries; an absent parameter is not an empty one.
    pub fn new(
        names: Option<Vec<(String, String)>>,
        values: Option<Vec<(String, Value)>>,
    ) -> Result<Self, AttributesError> {
        if names.as_ref().is_some_and(Vec::is_empty) {
            return Err(AttributesError::NoNames);
        }
        if values.as_ref().is_some_and(Vec::is_empty) {
            return Err(AttributesError::NoValues);
        }
        let (mut names, mut values) = (names.unwrap_or_default(), values.unwrap_or_default());
        if let Some((key, _)) = names.iter().find(|(key, _)| !is_placeholder(key, '#')) {
            return Err(AttributesError::NameKey(key.clone()));
        }
        if let Some((key, _)) = values.iter().find(|(key, _)| !is_placeholder(key, ':')) {
            return Err(AttributesError::ValueKey(key.clone()));
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        values.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Attributes { names, values })
    }

    /// Values in the order of their slots, for forms that have no placeholders.
    pub fn of_slots(values: Vec<Value>) -> Self {
        let values = values.into_iter().map(|value| (String::new(), value)).collect();
        Attributes { names: Vec::new(), values }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.values.is_empty()
    }

    /// Names and values make no sense without an expression that could use them.
    pub fn check_absent(&self, missing: &'static str) -> Result<(), AttributesError> {
        if !self.names.is_empty() {
            return Err(AttributesError::NamesWithoutExpression);
        }
        if self.values.is_empty() { Ok(()) } else { Err(AttributesError::ValuesWithoutExpression(missing)) }
    }

    /// Every name and value given has been used.
    pub fn check_used(&self, used: &Used) -> Result<(), AttributesError> {
        if let Some(keys) = unused(&self.names, &used.names) {
            return Err(AttributesError::UnusedNames(keys));
        }
        match unused(&self.values, &used.values) {
            Some(keys) => Err(AttributesError::UnusedValues(keys)),
            None => Ok(()),
        }
    }

    fn find<T>(entries: &[(String, T)], key: &str, used: &mut Vec<bool>) -> Option<u16> {
        let at = entries.binary_search_by(|(own, _)| own.as_str().cmp(key)).ok()?;
        used.resize(entries.len(), false);
        used[at] = true;
        u16::try_from(at).ok()
    }

    pub(super) fn find_name(&self, key: &str, used: &mut Used) -> Option<u16> {
        Self::find(&self.names, key, &mut used.names)
    }

    pub(super) fn find_value(&self, key: &str, used: &mut Used) -> Option<u16> {
        Self::find(&self.values, key, &mut used.values)
    }

    pub(super) fn name(&self, at: u16) -> &str {
        self.names.get(usize::from(at)).map_or("", |(_, name)| name)
    }

    pub(super) fn value(&self, at: u16) -> &Value {
        self.values.get(usize::from(at)).map_or(&Value::Null, |(_, value)| value)
    }
}
