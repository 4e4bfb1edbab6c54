//! Whole lanes: fork, snapshot, rollback, reset.

use fractus_aws::{AccountId, Lane, Region, World};

use crate::collection::Collection;
use crate::engine::bulk;
use crate::error::StoreError;
use crate::range::{Order, Range};
use crate::scope::Scope;
use crate::store::{Engine, Store};

/// What a reset removes. Names that accounts share ([`crate::Scope::partition`]) go with their lane only: the store
/// cannot know whose they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetScope {
    /// Everything, lanes' snapshots included.
    All,
    /// One lane; its snapshots stay, so that it can still be rolled back.
    Lane(Lane),
    /// One account of one partition in one lane.
    World(World),
    /// One account in one lane, in every partition.
    Account(Lane, AccountId),
    /// One region of one lane, for every account.
    Region(Lane, Region),
    /// One region of one account.
    WorldRegion(World, Region),
}

impl ResetScope {
    /// The one lane this touches; `None` is all of them.
    pub(crate) fn lane(&self) -> Option<&str> {
        match self {
            ResetScope::All => None,
            ResetScope::Lane(lane) | ResetScope::Account(lane, _) | ResetScope::Region(lane, _) => Some(lane.as_str()),
            ResetScope::World(world) | ResetScope::WorldRegion(world, _) => Some(world.lane.as_str()),
        }
    }

    /// Whether a scope with these parts (an absent one is empty) is removed.
    pub(crate) fn covers(&self, lane: &str, partition: &str, account: &str, region: &str) -> bool {
        let of_world = |world: &World| {
            lane == world.lane.as_str() && partition == world.partition.as_str() && account == world.account.as_str()
        };
        match self {
            ResetScope::All => true,
            ResetScope::Lane(name) => lane == name.as_str(),
            ResetScope::World(world) => of_world(world),
            ResetScope::Account(name, id) => lane == name.as_str() && account == id.as_str(),
            ResetScope::Region(name, code) => lane == name.as_str() && region == code.as_str(),
            ResetScope::WorldRegion(world, code) => of_world(world) && region == code.as_str(),
        }
    }

    /// The same over a key's lane and space bytes.
    pub(crate) fn covers_space(&self, lane: &[u8], space: &[u8]) -> bool {
        let [partition, account, region, _] = space_parts(space);
        self.covers(crate::scope::lane_name(lane), partition, account, region)
    }
}

/// Partition, account, region and collection from a space's bytes; an absent one is empty.
pub(crate) fn space_parts(space: &[u8]) -> [&str; 4] {
    let mut parts = space.split(|byte| *byte == 0).map(|part| std::str::from_utf8(part).unwrap_or_default());
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// The snapshots there are, by lane and name, so that one of an empty lane is known too.
const SNAPSHOTS: Collection<(String, String), ()> = Collection::new("_snapshots");

fn snapshots_scope() -> Scope {
    Scope::internal("@")
}

/// A snapshot is a lane under a name that no caller can say.
fn snapshot_lane(lane: &Lane, name: &str) -> Result<String, StoreError> {
    let valid = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if valid {
        Ok(format!("{lane}@{name}"))
    } else {
        Err(StoreError::Config(format!("{name:?} is no snapshot name: 1 to 64 letters, digits, '-', '_', '.'")))
    }
}

impl Store {
    /// Makes lane `to` exactly what lane `from` is now. In memory this copies a pointer; on disk and in PostgreSQL it
    /// copies the lane's records.
    pub async fn fork(&self, from: &Lane, to: &Lane) -> Result<(), StoreError> {
        if from == to { Ok(()) } else { self.copy_lane(from.as_str(), to.as_str()).await }
    }

    /// Keeps the lane as it is now under a name, replacing an earlier snapshot of that name.
    pub async fn snapshot(&self, lane: &Lane, name: &str) -> Result<(), StoreError> {
        self.copy_lane(lane.as_str(), &snapshot_lane(lane, name)?).await?;
        self.write(|tx| tx.put(&SNAPSHOTS, &snapshots_scope(), &(lane.as_str(), name), &())).await
    }

    /// Makes the lane what it was at the snapshot, which stays.
    pub async fn rollback(&self, lane: &Lane, name: &str) -> Result<(), StoreError> {
        let from = snapshot_lane(lane, name)?;
        let key = (lane.as_str(), name);
        if !self.read(|snap| snap.contains(&SNAPSHOTS, &snapshots_scope(), &key)).await? {
            return Err(StoreError::NoSnapshot { lane: lane.to_string(), name: name.to_owned() });
        }
        self.copy_lane(&from, lane.as_str()).await
    }

    /// Forgets a snapshot.
    pub async fn drop_snapshot(&self, lane: &Lane, name: &str) -> Result<(), StoreError> {
        let raw = snapshot_lane(lane, name)?;
        self.write(|tx| tx.delete(&SNAPSHOTS, &snapshots_scope(), &(lane.as_str(), name))).await?;
        self.clear(&|lane, _| crate::scope::lane_name(lane) == raw).await
    }

    /// The names of the lane's snapshots.
    pub async fn snapshots(&self, lane: &Lane) -> Result<Vec<String>, StoreError> {
        let scope = snapshots_scope();
        self.read(|snap| {
            let keys = snap.keys(&SNAPSHOTS, &scope, Range::prefix(&(lane.as_str(),)), Order::Ascending)?;
            keys.map(|key| key.map(|(_, name)| name)).collect()
        })
        .await
    }

    /// The lanes that hold anything.
    pub async fn lanes(&self) -> Result<Vec<Lane>, StoreError> {
        Ok(self.lanes_raw().await?.iter().filter_map(|name| Lane::new(name).ok()).collect())
    }

    /// Removes what `scope` says.
    pub async fn reset(&self, scope: &ResetScope) -> Result<(), StoreError> {
        self.clear(&|lane, space| scope.covers_space(lane, space)).await?;
        self.forget_blobs(scope).await
    }

    async fn copy_lane(&self, from: &str, to: &str) -> Result<(), StoreError> {
        match &self.inner.engine {
            Engine::Memory(memory) => memory.copy_lane(&lane_bytes(from), &lane_bytes(to)),
            _ => {
                self.write_alone(|tx| bulk::copy_lane(tx.source_mut(), &lane_bytes(from), &lane_bytes(to))).await?;
            }
        }
        Ok(())
    }

    async fn clear(&self, chosen: &(dyn Fn(&[u8], &[u8]) -> bool + Sync)) -> Result<(), StoreError> {
        match &self.inner.engine {
            Engine::Memory(memory) => memory.clear(chosen),
            _ => self.write_alone(|tx| bulk::clear(tx.source_mut(), chosen)).await?,
        }
        Ok(())
    }

    pub(crate) async fn lanes_raw(&self) -> Result<Vec<String>, StoreError> {
        self.read(|snap| snap.source.lanes()).await
    }
}

fn lane_bytes(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}
