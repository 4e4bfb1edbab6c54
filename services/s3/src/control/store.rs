//! The collections that S3 Control keeps, and their records. Like buckets they live in the partition's scope: an access
//! point is reached from other accounts, and a region-wide alias from every region.

use fractus_clock::Timestamp;
use fractus_store::Collection;
use serde::{Deserialize, Serialize};

use crate::configurations::PublicAccessBlock;
use crate::control::outposts::place;

/// Block public access of whole accounts: (account).
pub const ACCOUNT_BLOCKS: Collection<(String,), PublicAccessBlock> = Collection::new("control.account-blocks");
/// Access points: (account, region, name); of those on an Outpost its id stands for the region.
pub const ACCESS_POINTS: Collection<(String, String, String), AccessPoint> = Collection::new("control.access-points");
/// The access points of a bucket: (bucket, account, region, name).
pub const ATTACHED: Collection<(String, String, String, String), ()> = Collection::new("control.attached");
/// What names in place of a bucket's stand for: (alias).
pub const ALIASES: Collection<(String,), Alias> = Collection::new("control.aliases");

/// A name in place of a bucket's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alias {
    AccessPoint { account: String, region: String, name: String },
    MultiRegion { account: String, name: String },
    ObjectLambda { account: String, region: String, name: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessPoint {
    pub name: String,
    pub account: String,
    pub region: String,
    /// By the name that it is kept by.
    pub bucket: String,
    pub bucket_account: String,
    /// Absent: the access point is for the whole Internet.
    #[serde(default)]
    pub vpc: Option<String>,
    pub block: PublicAccessBlock,
    pub created_at: Timestamp,
    /// Those of directory buckets have none: their names are as good.
    #[serde(default)]
    pub alias: Option<String>,
    #[serde(default)]
    pub policy: Option<String>,
    #[serde(default)]
    pub scope: Option<Reach>,
    #[serde(default)]
    pub tags: Vec<(String, String)>,
    /// Of one of a bucket on an Outpost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outpost: Option<String>,
}

/// What an access point of a directory bucket may be used for.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-directory-buckets-manage-scope.html>
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Empty: every key.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Names of actions without `s3:`. Empty: all.
    #[serde(default)]
    pub permissions: Vec<String>,
}

impl AccessPoint {
    pub fn arn(&self, partition: &str) -> String {
        if let Some(outpost) = &self.outpost {
            let (region, account, name) = (&self.region, &self.account, &self.name);
            return format!(
                "arn:{partition}:{}:{region}:{account}:outpost/{outpost}/accesspoint/{name}",
                place::SERVICE
            );
        }
        let service = if self.is_of_directory() { "s3express" } else { "s3" };
        format!("arn:{partition}:{service}:{}:{}:accesspoint/{}", self.region, self.account, self.name)
    }

    /// What it is kept by beside its account and name.
    pub fn place(&self) -> &str {
        self.outpost.as_deref().unwrap_or(&self.region)
    }

    /// The bucket as callers name it.
    pub fn shown_bucket(&self) -> String {
        place::shown(self.bucket.clone())
    }

    pub fn is_of_directory(&self) -> bool {
        is_directory_name(&self.name)
    }

    pub fn network_origin(&self) -> &'static str {
        if self.vpc.is_some() { "VPC" } else { "Internet" }
    }
}

/// Whether a name is that of an access point of a directory bucket: `base--use1-az4--xa-s3`.
pub fn is_directory_name(name: &str) -> bool {
    name.ends_with("--xa-s3")
}
