//! Things of an account and region that are documents with tags: Storage Lens configurations and groups, and what access
//! grants are made of. One collection holds them, by kind.

use fractus_clock::Timestamp;
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use fractus_wire::json::{JsonReader, JsonWriter};
use fractus_wire::{Failure, Shape};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// (account, region, kind, name).
pub const KEPT: Collection<(String, String, String, String), Kept> = Collection::new("control.kept");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Lens,
    LensGroup,
    GrantsInstance,
    GrantsLocation,
    Grant,
    GrantsPolicy,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub created_at: Timestamp,
    /// JSON of the API's own shape.
    pub document: String,
    #[serde(default)]
    pub tags: Vec<(String, String)>,
}

impl Kept {
    pub fn new(created_at: Timestamp, shape: &dyn Shape, tags: Vec<(String, String)>) -> Result<Kept> {
        Ok(Kept { created_at, document: to_json(shape)?, tags })
    }

    pub fn read<T: Shape + Default>(&self) -> Result<T> {
        from_json(&self.document)
    }
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Lens => "storage-lens",
            Kind::LensGroup => "storage-lens-group",
            Kind::GrantsInstance => "access-grants-instance",
            Kind::GrantsLocation => "access-grants-location",
            Kind::Grant => "access-grant",
            Kind::GrantsPolicy => "access-grants-policy",
        }
    }

    pub fn get(
        self,
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        account: &str,
        region: &str,
        name: &str,
    ) -> Result<Option<Kept>> {
        Ok(snapshot.get(&KEPT, scope, &(account, region, self.name(), name))?)
    }

    pub fn put(
        self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        account: &str,
        region: &str,
        name: &str,
        kept: &Kept,
    ) -> Result<()> {
        Ok(tx.put(&KEPT, scope, &(account, region, self.name(), name), kept)?)
    }

    /// Removes one; says whether it was there.
    pub fn remove(
        self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        account: &str,
        region: &str,
        name: &str,
    ) -> Result<bool> {
        Ok(tx.take(&KEPT, scope, &(account, region, self.name(), name))?.is_some())
    }

    /// Those of an account and region by name, `take` at most.
    pub fn list(
        self,
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        account: &str,
        region: &str,
        after: Option<&str>,
        take: usize,
    ) -> Result<Vec<(String, Kept)>> {
        let mut range = Range::prefix(&(account, region, self.name()));
        if let Some(after) = after {
            range = range.after(&(account, region, self.name(), after));
        }
        let found = snapshot.range(&KEPT, scope, range, Order::Ascending)?.take(take);
        found.map(|entry| entry.map(|((_, _, _, name), kept)| (name, kept)).map_err(Error::from)).collect()
    }
}

fn broken(what: impl std::fmt::Display) -> Error {
    tracing::error!(error = %what, "a stored document cannot be used");
    Error::Other(Box::new(Failure::internal("We encountered an internal error. Please try again.")))
}

pub fn to_json(shape: &dyn Shape) -> Result<String> {
    let mut bytes = Vec::new();
    JsonWriter::write_root(&mut bytes, shape).map_err(broken)?;
    String::from_utf8(bytes).map_err(broken)
}

pub fn from_json<T: Shape + Default>(text: &str) -> Result<T> {
    let mut shape = T::default();
    let schema = shape.schema();
    JsonReader::new(text.as_bytes()).read_root(schema, &mut shape).map_err(broken)?;
    Ok(shape)
}
