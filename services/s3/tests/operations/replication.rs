//! Replication: what is put in one bucket is read from another.

use fractus_testkit::wait_for;

use crate::versions::{delete_input, set_versioning};
use crate::*;

fn rule(prefix: &str, markers: bool) -> api::ReplicationRule {
    let status = if markers {
        api::DeleteMarkerReplicationStatus::Enabled
    } else {
        api::DeleteMarkerReplicationStatus::Disabled
    };
    api::ReplicationRule {
        id: Some("r".into()),
        priority: Some(1),
        status: api::ReplicationRuleStatus::Enabled,
        filter: Some(api::ReplicationRuleFilter { prefix: Some(prefix.into()), ..Default::default() }),
        delete_marker_replication: Some(api::DeleteMarkerReplication { status: Some(status) }),
        destination: api::Destination { bucket: "arn:aws:s3:::copies".into(), ..Default::default() },
        ..Default::default()
    }
}

fn configuration(rule: api::ReplicationRule) -> api::PutBucketReplicationInput {
    api::PutBucketReplicationInput {
        bucket: "bucket".into(),
        replication_configuration: api::ReplicationConfiguration {
            role: "arn:aws:iam::000000000000:role/replication".into(),
            rules: vec![rule],
        },
        ..Default::default()
    }
}

async fn version_target(client: &Client) {
    let target = api::PutBucketVersioningInput {
        bucket: "copies".into(),
        versioning_configuration: api::VersioningConfiguration {
            status: Some(api::BucketVersioningStatus::Enabled),
            mfa_delete: None,
        },
        ..Default::default()
    };
    client.call(api::PutBucketVersioning, target).await.unwrap();
}

/// Two buckets, of which the second gets what is put into the first below `in/`.
pub async fn replicated(client: &Client) {
    bucket(client, "bucket").await;
    bucket(client, "copies").await;
    set_versioning(client, api::BucketVersioningStatus::Enabled).await;
    version_target(client).await;
    client.call(api::PutBucketReplication, configuration(rule("in/", true))).await.unwrap();
}

#[tokio::test]
async fn versions_and_markers_are_copied_under_their_own_ids() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    bucket(&client, "copies").await;
    let early = client.call(api::PutBucketReplication, configuration(rule("in/", true))).await.unwrap_err();
    assert_eq!(early.message, "Versioning must be 'Enabled' on the bucket to apply a replication configuration");
    set_versioning(&client, api::BucketVersioningStatus::Enabled).await;
    let early = client.call(api::PutBucketReplication, configuration(rule("in/", true))).await.unwrap_err();
    assert_eq!(early.message, "Destination bucket must have versioning enabled.");
    version_target(&client).await;
    client.call(api::PutBucketReplication, configuration(rule("in/", true))).await.unwrap();
    let small = put(&client, "in/small", "one").await.version_id.unwrap();
    put(&client, "in/large", &"x".repeat(5_000)).await;
    put(&client, "out", "x").await;
    let at_target = |key: &str| api::GetObjectInput { bucket: "copies".into(), ..get_input(key) };
    wait_for("the copies are there", || async {
        let small = read(&client, at_target("in/small")).await.ok();
        let large = read(&client, at_target("in/large")).await.ok();
        (small.as_deref() == Some("one") && large == Some("x".repeat(5_000))).then_some(())
    })
    .await;
    let copy = client.call(api::GetObject, at_target("in/small")).await.unwrap();
    assert_eq!(copy.version_id.as_deref(), Some(small.as_str()));
    assert_eq!(copy.replication_status, Some(api::ReplicationStatus::Replica));
    let source = client.call(api::GetObject, get_input("in/small")).await.unwrap();
    assert_eq!(source.replication_status, Some(api::ReplicationStatus::Completed));
    client.call(api::DeleteObject, delete_input("in/small", None)).await.unwrap();
    wait_for("the marker is there", || async { read(&client, at_target("in/small")).await.err().map(drop) }).await;
    assert_eq!(read(&client, at_target("out")).await.unwrap_err().code, "NoSuchKey");
    client.call(api::DeleteObject, delete_input("in/large", None)).await.unwrap();
    put(&client, "in/large", "new").await;
    wait_for("the new version is current", || async {
        (read(&client, at_target("in/large")).await.ok().as_deref() == Some("new")).then_some(())
    })
    .await;
}
