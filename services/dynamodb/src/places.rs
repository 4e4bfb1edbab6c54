//! Where a service's records lie: an account's part of a region, in a lane.

use fractus_aws::{AccountId, Lane, Partition, Region, World};
use fractus_store::Scope;

use crate::error::Result;
use crate::service::DynamoDb;

/// An account's part of a region, in a lane.
#[derive(Clone, Debug)]
pub struct Place {
    pub world: World,
    pub region: Region,
}

impl Place {
    pub fn scope(&self) -> Scope {
        Scope::regional(&self.world, &self.region)
    }

    /// The ARN of something of this place: `table/Music`.
    pub fn arn(&self, resource: impl std::fmt::Display) -> String {
        let (partition, account) = (self.world.partition.as_str(), self.world.account.as_str());
        format!("arn:{partition}:dynamodb:{}:{account}:{resource}", self.region.as_str())
    }
}

/// The places of a lane in which a collection holds anything.
pub async fn places(dynamodb: &DynamoDb, lane: &Lane, collection: &str) -> Result<Vec<Place>> {
    let spaces = dynamodb.store.collections(0).await?;
    let here = spaces.into_iter().filter(|space| space.collection == collection && space.lane == lane.as_str());
    let found = here.filter_map(|space| {
        let (partition, account) = (Partition::parse(&space.partition)?, AccountId::new(&space.account).ok()?);
        let world = World { lane: lane.clone(), partition, account };
        Some(Place { world, region: Region::new(&space.region).ok()? })
    });
    Ok(found.collect())
}
