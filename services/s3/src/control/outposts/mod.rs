//! S3 on Outposts: buckets that lie on an account's Outpost, made and configured through S3 Control, and reached through
//! access points alone.
//!
//! Every well-formed id is an Outpost of whoever names it. A bucket on one is kept as any other, with its objects, versions,
//! lifecycle and replication, under a name that tells its place ([`place`]); what it does without is refused where it is
//! asked for (the list of what goes through access points, [`settings`]).
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OnOutpostsRestrictionsLimitations.html>

pub mod buckets;
pub mod converted;
pub mod place;
pub mod points;
pub mod settings;
