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

/// Sets what a bucket's objects are replicated to; `syncs`: with what changes on replicas.
async fn replicate(client: &Client, from: &str, to: &[&str], syncs: bool) {
    let status =
        if syncs { api::ReplicaModificationsStatus::Enabled } else { api::ReplicaModificationsStatus::Disabled };
    let rules = to.iter().zip(1..).map(|(to, priority)| api::ReplicationRule {
        id: Some((*to).into()),
        priority: Some(priority),
        source_selection_criteria: Some(api::SourceSelectionCriteria {
            replica_modifications: Some(api::ReplicaModifications { status: status.clone() }),
            ..Default::default()
        }),
        destination: api::Destination { bucket: format!("arn:aws:s3:::{to}"), ..Default::default() },
        ..rule("", false)
    });
    let role = "arn:aws:iam::000000000000:role/replication".into();
    let input = api::PutBucketReplicationInput {
        bucket: from.into(),
        replication_configuration: api::ReplicationConfiguration { role, rules: rules.collect() },
        ..Default::default()
    };
    client.call(api::PutBucketReplication, input).await.unwrap();
}

async fn tag(client: &Client, bucket: &str, value: &str) {
    let tag_set = vec![api::Tag { key: "t".into(), value: value.into() }];
    let input = api::PutObjectTaggingInput {
        bucket: bucket.into(),
        key: "k".into(),
        tagging: api::Tagging { tag_set },
        ..Default::default()
    };
    client.call(api::PutObjectTagging, input).await.unwrap();
}

async fn tag_of(client: &Client, bucket: &str) -> Option<String> {
    let input = api::GetObjectTaggingInput { bucket: bucket.into(), key: "k".into(), ..Default::default() };
    Some(client.call(api::GetObjectTagging, input).await.ok()?.tag_set.first()?.value.clone())
}

async fn wait_for_tag(client: &Client, bucket: &str, value: &str) {
    wait_for(value, || async { (tag_of(client, bucket).await.as_deref() == Some(value)).then_some(()) }).await;
}

/// Waits until everything has been copied that was to be by now: what is written last goes last.
async fn settled(client: &Client, from: &str, to: &str, key: &str) {
    let input = api::PutObjectInput { bucket: from.into(), ..put_input(key, "x") };
    client.call(api::PutObject, input).await.unwrap();
    wait_for(key, || async {
        read(client, api::GetObjectInput { bucket: to.into(), ..get_input(key) }).await.ok().map(drop)
    })
    .await;
}

#[tokio::test]
async fn originals_follow_their_replicas_where_both_buckets_sync_them() {
    let stack = stack().await;
    let client = client_of(&stack);
    for name in ["bucket", "copies", "third"] {
        bucket(&client, name).await;
        let versioning_configuration =
            api::VersioningConfiguration { status: Some(api::BucketVersioningStatus::Enabled), mfa_delete: None };
        let input =
            api::PutBucketVersioningInput { bucket: name.into(), versioning_configuration, ..Default::default() };
        client.call(api::PutBucketVersioning, input).await.unwrap();
    }
    replicate(&client, "bucket", &["copies", "third"], false).await;
    replicate(&client, "copies", &["bucket"], true).await;
    put(&client, "k", "x").await;
    tag(&client, "bucket", "first").await;
    wait_for_tag(&client, "copies", "first").await;
    wait_for_tag(&client, "third", "first").await;
    tag(&client, "copies", "alone").await;
    settled(&client, "copies", "bucket", "l").await;
    assert_eq!(tag_of(&client, "bucket").await.as_deref(), Some("first"), "its own bucket does not sync");
    replicate(&client, "bucket", &["copies", "third"], true).await;
    tag(&client, "copies", "back").await;
    wait_for_tag(&client, "bucket", "back").await;
    wait_for_tag(&client, "third", "back").await;
    tag(&client, "third", "nowhere").await;
    tag(&client, "bucket", "last").await;
    wait_for_tag(&client, "copies", "last").await;
    wait_for_tag(&client, "third", "last").await;
    settled(&client, "copies", "bucket", "m").await;
    settled(&client, "bucket", "copies", "n").await;
    assert_eq!(tag_of(&client, "bucket").await.as_deref(), Some("last"));
    let head = |bucket: &str| api::HeadObjectInput { bucket: bucket.into(), key: "k".into(), ..Default::default() };
    let status = async |bucket| client.call(api::HeadObject, head(bucket)).await.unwrap().replication_status;
    assert_eq!(status("copies").await, Some(api::ReplicationStatus::Replica));
    assert_eq!(status("bucket").await, Some(api::ReplicationStatus::Completed));
}
