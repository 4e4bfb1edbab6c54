//! What is known of a table: its keys, its indexes, its settings, and what state it is in at a time.

use std::sync::OnceLock;

use fractus_clock::Timestamp;
use fractus_dynamodb_rules::key::{KeyAttribute, KeySchema};
use fractus_dynamodb_rules::vector::Distance;
use fractus_dynamodb_rules::{Item, Kind, Value};
use serde::{Deserialize, Serialize};

use crate::features::Features;

/// Something worked out once for each time its record is read. A copy begins empty, because copies are made to be changed.
#[derive(Debug)]
pub struct Cached<T>(OnceLock<T>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Cached(OnceLock::new())
    }
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> PartialEq for Cached<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Cached<T> {}

/// Names of the attributes of a key: the partition's, then the sort key's.
pub type KeyNames = (Vec<String>, Vec<String>);

/// Units of reading and of writing.
pub type Units = (i64, i64);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    /// This incarnation of the name.
    pub id: u64,
    /// The id that callers see.
    pub uuid: String,
    pub created_at: Timestamp,
    pub active_at: Timestamp,
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
    /// UPDATING until then.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// Names and types, as they were defined.
    pub attributes: Vec<(String, String)>,
    pub key: KeyNames,
    #[serde(default)]
    pub indexes: Vec<Index>,
    /// Indexes of vectors; they have numbers as the others do.
    #[serde(default)]
    pub vectors: Vec<VectorIndex>,
    /// The number of the next index; numbers are not used twice.
    #[serde(default)]
    pub next_index: u64,
    pub on_demand: bool,
    /// When it was last made on demand.
    #[serde(default)]
    pub on_demand_since: Option<Timestamp>,
    #[serde(default)]
    pub throughput: Units,
    #[serde(default)]
    pub throughput_changes: ThroughputChanges,
    #[serde(default)]
    pub limits: OnDemandLimits,
    #[serde(default)]
    pub warm: Option<Units>,
    #[serde(default)]
    pub deletion_protection: bool,
    #[serde(default)]
    pub class: Option<String>,
    #[serde(default)]
    pub class_changed_at: Option<Timestamp>,
    /// The ARN of the KMS key, where it is not AWS's own.
    #[serde(default)]
    pub encryption_key: Option<String>,
    #[serde(default)]
    pub tags: Vec<(String, String)>,
    #[serde(default)]
    pub stream: Option<StreamSettings>,
    /// Of the latest stream, also when it is no longer enabled.
    #[serde(default)]
    pub latest_stream_label: Option<String>,
    #[serde(default)]
    pub time_to_live: Option<TimeToLive>,
    #[serde(default)]
    pub features: Features,
    #[serde(skip)]
    pub(crate) schema: Cached<KeySchema>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThroughputChanges {
    pub last_increase_at: Option<Timestamp>,
    pub last_decrease_at: Option<Timestamp>,
    /// Decreases on the UTC day of the last one.
    #[serde(default)]
    pub decreases: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDemandLimits {
    pub read: Option<i64>,
    pub write: Option<i64>,
}

impl OnDemandLimits {
    pub const fn is_none(self) -> bool {
        self.read.is_none() && self.write.is_none()
    }
}

/// The stream that a table's changes go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSettings {
    pub id: u64,
    pub label: String,
    pub view: View,
}

/// Which images of an item a stream's records have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    KeysOnly,
    New,
    Old,
    NewAndOld,
}

impl View {
    pub const fn has_new(self) -> bool {
        matches!(self, View::New | View::NewAndOld)
    }

    pub const fn has_old(self) -> bool {
        matches!(self, View::Old | View::NewAndOld)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeToLive {
    /// Under which the expiries lie.
    pub id: u64,
    pub attribute: String,
    pub is_enabled: bool,
    /// ENABLING or DISABLING until then.
    pub settled_at: Timestamp,
}

/// Items whose time was longer ago are not deleted.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-before-you-start.html>
const MAX_PAST_SECS: i64 = 5 * 365 * 24 * 3_600;

impl TimeToLive {
    /// When an item expires, in seconds; nothing where it does not.
    pub fn expiry(&self, item: &Item, now: Timestamp) -> Option<u64> {
        let seconds = self.any_expiry(item)?;
        let oldest = u64::try_from(now.secs() - MAX_PAST_SECS).unwrap_or(0);
        (seconds >= oldest).then_some(seconds)
    }

    /// The same, however long ago.
    pub fn any_expiry(&self, item: &Item) -> Option<u64> {
        match item.get(&self.attribute) {
            Some(Value::N(number)) => number.to_u64(),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Projected {
    #[default]
    All,
    KeysOnly,
    Include,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub number: u64,
    pub name: String,
    pub is_global: bool,
    pub key: KeyNames,
    pub projected: Projected,
    #[serde(default)]
    pub included: Vec<String>,
    #[serde(default)]
    pub throughput: Units,
    #[serde(default)]
    pub throughput_changes: ThroughputChanges,
    #[serde(default)]
    pub limits: OnDemandLimits,
    #[serde(default)]
    pub warm: Option<Units>,
    /// Made by UpdateTable: when its back-filling begins, and whether that is over.
    #[serde(default)]
    pub filling: Option<Filling>,
    /// UPDATING until then.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// DELETING until then.
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
    #[serde(skip)]
    pub(crate) schema: Cached<KeySchema>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filling {
    pub begins_at: Timestamp,
    pub is_over: bool,
}

/// An index that finds the items whose vectors are the nearest to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorIndex {
    pub number: u64,
    pub name: String,
    /// The attribute that is the vector.
    pub attribute: String,
    /// The attribute that says in which partition of the index an item is, and whose value every search gives.
    pub partition: Option<String>,
    /// Further attributes that a search may ask for.
    pub filters: Vec<String>,
    pub projected: Projected,
    #[serde(default)]
    pub included: Vec<String>,
    pub dimensions: usize,
    /// The name of the distance function.
    pub distance: String,
    /// Made by UpdateTable: when its back-filling begins, and whether that is over.
    #[serde(default)]
    pub filling: Option<Filling>,
    /// DELETING until then.
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
}

impl VectorIndex {
    pub fn state(&self, now: Timestamp) -> State {
        match &self.filling {
            _ if self.deleted_at.is_some() => State::Deleting,
            Some(filling) if !filling.is_over || filling.begins_at > now => State::Creating,
            _ => State::Active,
        }
    }

    pub fn distance(&self) -> Distance {
        Distance::named(&self.distance).unwrap_or(Distance::Cosine)
    }

    /// The attributes that a search may speak of: the partition's, then the others.
    pub fn searched(&self) -> impl Iterator<Item = &String> {
        self.partition.iter().chain(&self.filters)
    }
}

/// What a table or an index is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Creating,
    Updating,
    Deleting,
    Active,
}

impl Index {
    pub fn state(&self, now: Timestamp) -> State {
        let is_before = |at: Option<Timestamp>| at.is_some_and(|at| at > now);
        match &self.filling {
            _ if self.deleted_at.is_some() => State::Deleting,
            Some(filling) if !filling.is_over || filling.begins_at > now => State::Creating,
            _ if is_before(self.updated_at) => State::Updating,
            _ => State::Active,
        }
    }

    /// Whether items are read from it.
    pub fn is_readable(&self, now: Timestamp) -> bool {
        matches!(self.state(now), State::Active | State::Updating)
    }
}

impl Table {
    /// Nothing if it is gone.
    pub fn state(&self, now: Timestamp) -> Option<State> {
        match self.deleted_at {
            Some(deleted_at) if deleted_at <= now => None,
            Some(_) => Some(State::Deleting),
            None if self.active_at > now => Some(State::Creating),
            None if self.updated_at.is_some_and(|updated_at| updated_at > now) => Some(State::Updating),
            None => Some(State::Active),
        }
    }

    fn schema_of(&self, key: &KeyNames) -> KeySchema {
        let attribute = |name: &String| {
            let kind = self.attributes.iter().find(|(own, _)| own == name).and_then(|(_, kind)| Kind::named(kind));
            KeyAttribute { name: name.clone(), kind: kind.unwrap_or(Kind::S) }
        };
        KeySchema { partition: key.0.iter().map(attribute).collect(), sort: key.1.iter().map(attribute).collect() }
    }

    pub fn schema(&self) -> &KeySchema {
        self.schema.0.get_or_init(|| self.schema_of(&self.key))
    }

    /// The key schema of one of this table's indexes.
    pub fn index_schema<'a>(&'a self, index: &'a Index) -> &'a KeySchema {
        index.schema.0.get_or_init(|| self.schema_of(&index.key))
    }

    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == name)
    }

    pub fn index_mut(&mut self, name: &str) -> Option<&mut Index> {
        self.indexes.iter_mut().find(|index| index.name == name)
    }

    pub fn vector_index(&self, name: &str) -> Option<&VectorIndex> {
        self.vectors.iter().find(|index| index.name == name)
    }

    /// The type of an attribute that is defined.
    pub fn kind_of(&self, name: &str) -> Option<Kind> {
        self.attributes.iter().find(|(own, _)| own == name).and_then(|(_, kind)| Kind::named(kind))
    }

    /// Whether an index of vectors has an attribute of an item.
    pub fn projects_beside(&self, index: &VectorIndex, attribute: &str) -> bool {
        let is_key = |name: &str| self.key.0.iter().chain(&self.key.1).any(|own| own == name);
        let is_own = attribute == index.attribute || index.searched().any(|own| own == attribute);
        match index.projected {
            Projected::All => true,
            Projected::KeysOnly => is_own || is_key(attribute),
            Projected::Include => is_own || is_key(attribute) || index.included.iter().any(|own| own == attribute),
        }
    }

    /// Whether nothing follows its items' changes: no index, no stream, no expiry, no copy. What an item was then matters no
    /// more than by its size.
    pub fn is_plain(&self) -> bool {
        let expires = self.time_to_live.as_ref().is_some_and(|settings| settings.is_enabled);
        let has_indexes = !self.indexes.is_empty() || !self.vectors.is_empty();
        let is_followed = self.features.follow_changes() || !self.features.insights.is_empty();
        !has_indexes && self.stream.is_none() && !expires && !is_followed
    }

    pub fn has_local_indexes(&self) -> bool {
        self.indexes.iter().any(|index| !index.is_global)
    }

    /// Whether an index has an attribute of an item.
    pub fn projects(&self, index: &Index, attribute: &str) -> bool {
        let is_key = |key: &KeyNames| key.0.iter().chain(&key.1).any(|name| name == attribute);
        match index.projected {
            Projected::All => true,
            Projected::KeysOnly => is_key(&index.key) || is_key(&self.key),
            Projected::Include => {
                is_key(&index.key) || is_key(&self.key) || index.included.iter().any(|name| name == attribute)
            }
        }
    }

    /// The attributes of an item that an index has.
    pub fn projected<'a>(
        &'a self,
        index: &'a Index,
        item: &'a Item,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> + Clone + 'a {
        item.iter().filter(|(name, _)| self.projects(index, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(value: Value) -> Item {
        [("until".to_owned(), value)].into_iter().collect()
    }

    #[test]
    fn an_item_expires_by_a_number_that_is_not_too_long_ago() {
        let settings = TimeToLive { id: 1, attribute: "until".into(), is_enabled: true, settled_at: Timestamp::EPOCH };
        let now = Timestamp::from_secs(1_800_000_000);
        let expiry = |value| settings.expiry(&item(value), now);
        assert_eq!(expiry(Value::number(1_800_000_060)), Some(1_800_000_060));
        assert_eq!(expiry(Value::number(1_700_000_000)), Some(1_700_000_000));
        assert_eq!(expiry(Value::number(1_600_000_000)), None);
        assert_eq!(expiry(Value::text("1800000060")), None);
        assert_eq!(settings.expiry(&Item::new(), now), None);
    }

    #[test]
    fn a_copy_does_not_keep_what_was_worked_out() {
        let mut table = Table { key: (vec!["a".into()], vec![]), ..Table::default() };
        assert_eq!(table.schema().partition[0].name, "a");
        table = table.clone();
        table.key.0[0] = "b".into();
        assert_eq!(table.schema().partition[0].name, "b");
    }
}
