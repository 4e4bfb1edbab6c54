//! Attribute values and maps of them, in the form everything here works on.

use std::cmp::Ordering;
use std::fmt;

use crate::number::Number;

/// The type of a value, by the name it has in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    S,
    N,
    B,
    SS,
    NS,
    BS,
    M,
    L,
    Bool,
    Null,
}

impl Kind {
    pub const ALL: [Kind; 10] =
        [Kind::S, Kind::N, Kind::B, Kind::SS, Kind::NS, Kind::BS, Kind::M, Kind::L, Kind::Bool, Kind::Null];

    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::S => "S",
            Kind::N => "N",
            Kind::B => "B",
            Kind::SS => "SS",
            Kind::NS => "NS",
            Kind::BS => "BS",
            Kind::M => "M",
            Kind::L => "L",
            Kind::Bool => "BOOL",
            Kind::Null => "NULL",
        }
    }

    /// The long name, which the errors of ADD and DELETE use.
    pub const fn long_name(self) -> &'static str {
        match self {
            Kind::S => "STRING",
            Kind::N => "NUMBER",
            Kind::B => "BINARY",
            Kind::SS => "STRING SET",
            Kind::NS => "NUMBER SET",
            Kind::BS => "BINARY SET",
            Kind::M => "MAP",
            Kind::L => "LIST",
            Kind::Bool => "BOOLEAN",
            Kind::Null => "NULL",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether `<` means something between two of it.
    pub const fn is_ordered(self) -> bool {
        matches!(self, Kind::S | Kind::N | Kind::B)
    }

    pub const fn is_set(self) -> bool {
        matches!(self, Kind::SS | Kind::NS | Kind::BS)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value. Sets are sorted and without duplicates: see [`crate::check`] for how they become so.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Value {
    S(String),
    N(Number),
    B(Vec<u8>),
    SS(Vec<String>),
    NS(Vec<Number>),
    BS(Vec<Vec<u8>>),
    M(Map),
    L(Vec<Value>),
    Bool(bool),
    Null,
}

impl Value {
    pub const fn kind(&self) -> Kind {
        match self {
            Value::S(_) => Kind::S,
            Value::N(_) => Kind::N,
            Value::B(_) => Kind::B,
            Value::SS(_) => Kind::SS,
            Value::NS(_) => Kind::NS,
            Value::BS(_) => Kind::BS,
            Value::M(_) => Kind::M,
            Value::L(_) => Kind::L,
            Value::Bool(_) => Kind::Bool,
            Value::Null => Kind::Null,
        }
    }

    pub fn number(value: u64) -> Self {
        Value::N(Number::from_u64(value))
    }

    pub fn text(text: impl Into<String>) -> Self {
        Value::S(text.into())
    }

    /// The order of two values of one ordered type: texts by their UTF-8 bytes, binary by unsigned bytes, numbers by
    /// value. Two values of different types have none.
    pub fn order(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::S(a), Value::S(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Value::N(a), Value::N(b)) => Some(a.cmp(b)),
            (Value::B(a), Value::B(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// What `size()` answers: bytes of texts and binary, elements of the rest; nothing for numbers and such.
    pub fn length(&self) -> Option<usize> {
        match self {
            // Counted in UTF-8 bytes, as the developer guide says of items; for texts beyond ASCII unconfirmed on AWS.
            Value::S(text) => Some(text.len()),
            Value::B(bytes) => Some(bytes.len()),
            Value::SS(set) => Some(set.len()),
            Value::NS(set) => Some(set.len()),
            Value::BS(set) => Some(set.len()),
            Value::M(map) => Some(map.len()),
            Value::L(list) => Some(list.len()),
            Value::N(_) | Value::Bool(_) | Value::Null => None,
        }
    }

    /// Whether a text has the text in it, a set or a list the element.
    pub fn contains(&self, wanted: &Value) -> bool {
        match (self, wanted) {
            (Value::S(text), Value::S(part)) => text.contains(part.as_str()),
            (Value::B(bytes), Value::B(part)) => {
                part.is_empty() || bytes.windows(part.len()).any(|window| window == part.as_slice())
            }
            (Value::SS(set), Value::S(member)) => set.binary_search(member).is_ok(),
            (Value::NS(set), Value::N(member)) => set.binary_search(member).is_ok(),
            (Value::BS(set), Value::B(member)) => set.binary_search(member).is_ok(),
            (Value::L(list), element) => list.contains(element),
            _ => false,
        }
    }

    pub fn begins_with(&self, prefix: &Value) -> bool {
        match (self, prefix) {
            (Value::S(text), Value::S(prefix)) => text.as_bytes().starts_with(prefix.as_bytes()),
            (Value::B(bytes), Value::B(prefix)) => bytes.starts_with(prefix),
            _ => false,
        }
    }

    /// How deep its documents go: a scalar is one level, every map or list one more.
    pub fn depth(&self) -> usize {
        match self {
            Value::M(map) => 1 + map.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            Value::L(list) => 1 + list.iter().map(Value::depth).max().unwrap_or(0),
            _ => 1,
        }
    }
}

/// As DynamoDB prints a value in its errors: `{S:text}`. Binary's form is unconfirmed.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T>(
            f: &mut fmt::Formatter<'_>,
            items: &[T],
            write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
        ) -> fmt::Result {
            f.write_str("[")?;
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    f.write_str(", ")?;
                }
                write(f, item)?;
            }
            f.write_str("]")
        }
        write!(f, "{{{}:", self.kind())?;
        match self {
            Value::S(text) => f.write_str(text)?,
            Value::N(number) => write!(f, "{number}")?,
            Value::B(bytes) => f.write_str(&crate::json::base64(bytes))?,
            Value::SS(set) => list(f, set, |f, text| f.write_str(text))?,
            Value::NS(set) => list(f, set, |f, number| write!(f, "{number}"))?,
            Value::BS(set) => list(f, set, |f, bytes| f.write_str(&crate::json::base64(bytes)))?,
            Value::L(values) => list(f, values, |f, value| write!(f, "{value}"))?,
            Value::M(map) => {
                f.write_str("{")?;
                for (index, (name, value)) in map.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{name}={value}")?;
                }
                f.write_str("}")?;
            }
            Value::Bool(value) => write!(f, "{value}")?,
            Value::Null => f.write_str("true")?,
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Values by name, sorted by name: an item, or a map in one. Looking up is a binary search, and two equal maps are the
/// same entries in the same order.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Map {
    entries: Vec<(String, Value)>,
}

/// An item is a map of its attributes.
pub type Item = Map;

impl Map {
    pub const fn new() -> Self {
        Map { entries: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(own, _)| own.as_str().cmp(name))
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).ok().and_then(|at| self.entries.get(at)).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.position(name).ok().and_then(|at| self.entries.get_mut(at)).map(|(_, value)| value)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.position(name).is_ok()
    }

    pub fn insert(&mut self, name: impl Into<String> + AsRef<str>, value: Value) -> Option<Value> {
        match self.position(name.as_ref()) {
            Ok(at) => Some(std::mem::replace(&mut self.entries[at].1, value)),
            Err(at) => {
                self.entries.insert(at, (name.into(), value));
                None
            }
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.position(name).ok().map(|at| self.entries.remove(at).1)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> + Clone {
        self.entries.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub fn into_entries(self) -> Vec<(String, Value)> {
        self.entries
    }
}

impl FromIterator<(String, Value)> for Map {
    /// Of two values of one name the later counts.
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        let mut entries: Vec<(String, Value)> = entries.into_iter().collect();
        // Records that were stored come sorted already.
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    std::mem::swap(&mut later.1, &mut earlier.1);
                }
                same
            });
        }
        Map { entries }
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
