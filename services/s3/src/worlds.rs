//! Where background work finds what it works on.

use fractus_aws::{AccountId, Lane, Partition, World};
use fractus_store::CollectionInfo;

use crate::error::Result;
use crate::service::S3;

/// The partitions of a lane in which a collection holds anything: S3's records are a partition's, so a world's account says
/// nothing here.
pub async fn holding(s3: &S3, lane: &Lane, collection: &str) -> Result<Vec<World>> {
    Ok(among(s3.store.collections(0).await?, lane, collection))
}

/// The same, of collections that were looked up already.
pub fn among(spaces: Vec<CollectionInfo>, lane: &Lane, collection: &str) -> Vec<World> {
    let here = spaces.into_iter().filter(|space| space.collection == collection && space.lane == lane.as_str());
    let found = here.filter_map(|space| {
        let partition = Partition::parse(&space.partition)?;
        Some(World { lane: lane.clone(), partition, account: AccountId::default_account() })
    });
    found.collect()
}
