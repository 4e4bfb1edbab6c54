//! Looking into a store without knowing its types: for the admin endpoints and for a person in search of a fault.

use serde::Serialize;

use crate::engine::{NEVER, RawRange};
use crate::error::StoreError;
use crate::key;
use crate::lanes::space_parts;
use crate::range::Order;
use crate::scope::RawKey;
use crate::store::Store;

/// A collection of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CollectionInfo {
    pub lane: String,
    pub partition: String,
    pub account: String,
    pub region: String,
    pub collection: String,
    /// Records counted, expired ones included; counting ends at the caller's bound.
    pub records: usize,
    /// Whether there are more records than were counted.
    pub more: bool,
}

/// One record as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordInfo {
    /// The key's parts. A nested tuple shows its parts in a row.
    pub key: serde_json::Value,
    pub value: serde_json::Value,
    /// Microseconds since 1970.
    pub expires_at: Option<i64>,
    /// Pass it as `after` to go on behind this record.
    pub cursor: String,
}

impl Store {
    /// Every collection of every scope that holds anything, counting no more than `count_at_most` records of each.
    pub async fn collections(&self, count_at_most: usize) -> Result<Vec<CollectionInfo>, StoreError> {
        self.read(|snap| {
            let spaces = snap.source.spaces()?;
            spaces
                .iter()
                .map(|space| {
                    let whole = RawRange { space, lower: &[], upper: None, order: Order::Ascending };
                    let mut records = 0;
                    for item in snap.source.scan(&whole)?.take(count_at_most.saturating_add(1)) {
                        item?;
                        records += 1;
                    }
                    let [partition, account, region, collection] = space_parts(space.space()).map(str::to_owned);
                    let lane = space.lane_name().to_owned();
                    let more = records > count_at_most;
                    let records = records.min(count_at_most);
                    Ok(CollectionInfo { lane, partition, account, region, collection, records, more })
                })
                .collect()
        })
        .await
    }

    /// Up to `limit` records of one collection, after the record whose cursor is given.
    pub async fn records(
        &self,
        of: &CollectionInfo,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RecordInfo>, StoreError> {
        let front = [&of.lane, &of.partition, &of.account, &of.region, &of.collection].map(String::as_bytes);
        let mut bytes = front.join(&0);
        bytes.push(0);
        let space = RawKey::parse(&bytes).ok_or_else(|| StoreError::Config("no such collection".to_owned()))?;
        let lower = match after {
            None => Vec::new(),
            Some(cursor) => {
                let mut tuple = from_hex(cursor).ok_or_else(|| StoreError::Config("no cursor".to_owned()))?;
                tuple.push(0);
                tuple
            }
        };
        self.read(|snap| {
            let range = RawRange { space: &space, lower: &lower, upper: None, order: Order::Ascending };
            snap.source
                .scan(&range)?
                .take(limit)
                .map(|item| {
                    let item = item?;
                    Ok(RecordInfo {
                        key: key_as_json(&item.tuple),
                        value: value_as_json(&item.record.value),
                        expires_at: (item.record.expires_at != NEVER).then_some(item.record.expires_at),
                        cursor: to_hex(&item.tuple),
                    })
                })
                .collect()
        })
        .await
    }
}

fn to_hex(bytes: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| HEX[usize::from(nibble)] as char).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibbles: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|n| u8::try_from(n).ok())).collect();
    let nibbles = nibbles.filter(|nibbles| nibbles.len() % 2 == 0)?;
    Some(nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// The parts of an encoded key by their tags; what cannot be read is shown as hex.
fn key_as_json(mut tuple: &[u8]) -> serde_json::Value {
    let mut parts = Vec::new();
    while let Some((tag, rest)) = tuple.split_first() {
        let mut rest = rest;
        let part = match *tag {
            key::TAG_NONE => Ok(serde_json::Value::Null),
            key::TAG_FALSE => Ok(false.into()),
            key::TAG_TRUE => Ok(true.into()),
            key::TAG_TEXT => key::take_escaped(&mut rest).map(|text| String::from_utf8_lossy(&text).into()),
            key::TAG_BYTES => key::take_escaped(&mut rest).map(|bytes| to_hex(&bytes).into()),
            key::TAG_U64 => key::take_eight(&mut rest).map(|eight| u64::from_be_bytes(eight).into()),
            key::TAG_I64 | key::TAG_TIME => {
                key::take_eight(&mut rest).map(|eight| key::from_sortable_i64(eight).into())
            }
            _ => Err("an unknown tag"),
        };
        match part {
            Ok(part) => parts.push(part),
            Err(_) => {
                parts.push(to_hex(tuple).into());
                break;
            }
        }
        tuple = rest;
    }
    parts.into()
}

/// A stored record as JSON; byte strings as hex.
fn value_as_json(bytes: &[u8]) -> serde_json::Value {
    crate::unpack::from_slice::<Shown>(bytes).map_or_else(|_| to_hex(bytes).into(), |shown| shown.0)
}

/// JSON's values with byte strings added, which MessagePack has and `serde_json::Value` refuses.
struct Shown(serde_json::Value);

impl<'de> serde::Deserialize<'de> for Shown {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShownVisitor)
    }
}

struct ShownVisitor;

impl<'de> serde::de::Visitor<'de> for ShownVisitor {
    type Value = Shown;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shown, E> {
        Ok(Shown(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shown, E> {
        Ok(Shown(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shown, E> {
        Ok(Shown(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shown, E> {
        Ok(Shown(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Shown, E> {
        Ok(Shown(value.into()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Shown, E> {
        Ok(Shown(to_hex(value).into()))
    }

    fn visit_unit<E>(self) -> Result<Shown, E> {
        Ok(Shown(serde_json::Value::Null))
    }

    fn visit_none<E>(self) -> Result<Shown, E> {
        Ok(Shown(serde_json::Value::Null))
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Shown, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Shown, A::Error> {
        let mut items = Vec::new();
        while let Some(Shown(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Shown(items.into()))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Shown, A::Error> {
        let mut fields = serde_json::Map::new();
        while let Some((Shown(name), Shown(value))) = map.next_entry()? {
            let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
            fields.insert(name, value);
        }
        Ok(Shown(fields.into()))
    }
}
