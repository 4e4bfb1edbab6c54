//! Whose part of a collection: lane, partition, account, region.

use fractus_aws::{AccountId, Lane, Partition, Region, World};

use crate::key::{INLINE_KEY_BYTES, KeyBytes};

/// Where a record lives. Two scopes never see each other's records.
///
/// Its bytes stand at the front of every key: the lane, 0x00, the partition, 0x00, the account or nothing, 0x00, the
/// region or nothing, 0x00. They are formed once, when the scope is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    bytes: KeyBytes,
    lane_end: u16,
}

impl Scope {
    /// Records of one account in one region: what most services keep.
    pub fn regional(world: &World, region: &Region) -> Self {
        Self::new(&world.lane, world.partition, Some(&world.account), Some(region))
    }

    /// Records of one account in every region: global services.
    pub fn account(world: &World) -> Self {
        Self::new(&world.lane, world.partition, Some(&world.account), None)
    }

    /// Records that all accounts of the partition share: names unique over accounts, as bucket names are.
    pub fn partition(world: &World) -> Self {
        Self::new(&world.lane, world.partition, None, None)
    }

    /// Records of one region that all its accounts share.
    pub fn regional_shared(world: &World, region: &Region) -> Self {
        Self::new(&world.lane, world.partition, None, Some(region))
    }

    pub fn new(lane: &Lane, partition: Partition, account: Option<&AccountId>, region: Option<&Region>) -> Self {
        Self::raw(
            lane.as_str(),
            partition.as_str(),
            account.map_or("", AccountId::as_str),
            region.map_or("", Region::as_str),
        )
    }

    /// The same lane, partition and account in another region.
    #[must_use]
    pub fn in_region(&self, region: &Region) -> Self {
        let [partition, account, _] = self.parts();
        Self::raw(self.lane(), partition, account, region.as_str())
    }

    /// The same lane, partition and region of another account.
    #[must_use]
    pub fn in_account(&self, account: &AccountId) -> Self {
        let [partition, _, region] = self.parts();
        Self::raw(self.lane(), partition, account.as_str(), region)
    }

    /// Records that are about processes and not about a world: what expires here expires in real time, and no lane has it.
    pub fn in_real_time() -> Self {
        Self::internal("~")
    }

    /// A scope of the store's own, outside every partition; `lane` may be a name that no caller can say.
    pub(crate) fn internal(lane: &str) -> Self {
        Self::raw(lane, "", "", "")
    }

    pub(crate) fn raw(lane: &str, partition: &str, account: &str, region: &str) -> Self {
        let bytes = joined(&[], [lane, partition, account, region]);
        Scope { bytes, lane_end: (lane.len() + 1) as u16 }
    }

    /// The lane's name, snapshots of lanes included.
    pub(crate) fn lane(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.lane_end) - 1]).unwrap_or_default()
    }

    /// Partition, account and region; an absent one is empty.
    pub(crate) fn parts(&self) -> [&str; 3] {
        let rest = &self.bytes[usize::from(self.lane_end)..];
        let mut parts = rest.split(|byte| *byte == 0).map(|part| std::str::from_utf8(part).unwrap_or_default());
        std::array::from_fn(|_| parts.next().unwrap_or_default())
    }

    /// The front of every key of `collection` in this scope.
    pub(crate) fn space(&self, collection: &'static str) -> RawKey {
        let bytes = joined(&self.bytes, [collection]);
        let space_end = bytes.len() as u16;
        RawKey { bytes, lane_end: self.lane_end, space_end }
    }
}

/// `front`, and behind it each part with its ending zero. Formed in one go: every key of every request begins so, and each
/// step of a `SmallVec` costs more than the bytes that it adds.
fn joined<const PARTS: usize>(front: &[u8], parts: [&str; PARTS]) -> KeyBytes {
    let length = parts.iter().fold(front.len(), |length, part| length + part.len() + 1);
    let mut inline = [0; INLINE_KEY_BYTES];
    if length > inline.len() {
        let mut bytes = KeyBytes::with_capacity(length);
        bytes.extend_from_slice(front);
        for part in parts {
            bytes.extend_from_slice(part.as_bytes());
            bytes.push(0);
        }
        return bytes;
    }
    inline[..front.len()].copy_from_slice(front);
    let mut at = front.len();
    for part in parts {
        inline[at..at + part.len()].copy_from_slice(part.as_bytes());
        at += part.len() + 1;
    }
    KeyBytes::from_buf_and_len(inline, length)
}

/// A whole key, and where its parts end: `lane | rest of the space (scope and collection) | tuple`.
#[derive(Debug)]
pub(crate) struct RawKey {
    pub(crate) bytes: KeyBytes,
    lane_end: u16,
    space_end: u16,
}

impl Clone for RawKey {
    fn clone(&self) -> Self {
        RawKey { bytes: KeyBytes::from_slice(&self.bytes), ..*self }
    }
}

impl RawKey {
    /// Takes a stored key apart; `None` if it is no key of this form.
    pub(crate) fn parse(bytes: &[u8]) -> Option<RawKey> {
        let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at + 1);
        let lane_end = ends.next()?;
        let space_end = ends.nth(3)?;
        Some(RawKey {
            bytes: KeyBytes::from_slice(bytes),
            lane_end: u16::try_from(lane_end).ok()?,
            space_end: u16::try_from(space_end).ok()?,
        })
    }

    /// The lane's name with its ending zero.
    pub(crate) fn lane(&self) -> &[u8] {
        &self.bytes[..usize::from(self.lane_end)]
    }

    /// Partition, account, region and collection, each with its ending zero.
    pub(crate) fn space(&self) -> &[u8] {
        &self.bytes[usize::from(self.lane_end)..usize::from(self.space_end)]
    }

    /// The encoded tuple.
    pub(crate) fn tuple(&self) -> &[u8] {
        &self.bytes[usize::from(self.space_end)..]
    }

    /// Everything after the lane.
    pub(crate) fn after_lane(&self) -> &[u8] {
        &self.bytes[usize::from(self.lane_end)..]
    }

    pub(crate) fn lane_name(&self) -> &str {
        lane_name(self.lane())
    }

    /// This key with another tuple in its place.
    pub(crate) fn with_tuple(&self, tuple: &[u8]) -> KeyBytes {
        let mut bytes = KeyBytes::from_slice(&self.bytes[..usize::from(self.space_end)]);
        bytes.extend_from_slice(tuple);
        bytes
    }
}

/// A lane's name from its bytes in a key.
pub(crate) fn lane_name(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes.strip_suffix(&[0]).unwrap_or(bytes)).unwrap_or_default()
}
