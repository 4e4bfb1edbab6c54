//! What happens to objects as EventBridge's events, for buckets that send them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>

use fractus_aws::{AccountId, Arn, Region};
use fractus_bus::contracts::{Body, Delivery, Source};
use fractus_bus::outbox::Handoff;
use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_store::Transaction;
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::model::notification::{Detail, ObjectEvent};
use crate::notify::bucket_arn;
use crate::service::S3;
use crate::store::Bucket;

/// The version of the details' structure, which has its own beside that of notifications.
const EVENT_VERSION: &str = "1.1";

/// The detail type of an event, its reason, and for deletions which sort of deletion it is.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html>
fn kind(name: &str) -> Option<(&'static str, Option<&'static str>, Option<&'static str>)> {
    const GONE: Option<&str> = Some("Permanently Deleted");
    const MARKED: Option<&str> = Some("Delete Marker Created");
    Some(match name {
        "ObjectCreated:Put" => ("Object Created", Some("PutObject"), None),
        "ObjectCreated:Post" => ("Object Created", Some("POST Object"), None),
        "ObjectCreated:Copy" => ("Object Created", Some("CopyObject"), None),
        "ObjectCreated:CompleteMultipartUpload" => ("Object Created", Some("CompleteMultipartUpload"), None),
        "ObjectRemoved:Delete" => ("Object Deleted", Some("DeleteObject"), GONE),
        "ObjectRemoved:DeleteMarkerCreated" => ("Object Deleted", Some("DeleteObject"), MARKED),
        "LifecycleExpiration:Delete" => ("Object Deleted", Some("Lifecycle Expiration"), GONE),
        "LifecycleExpiration:DeleteMarkerCreated" => ("Object Deleted", Some("Lifecycle Expiration"), MARKED),
        "ObjectRestore:Post" => ("Object Restore Initiated", None, None),
        "ObjectRestore:Completed" => ("Object Restore Completed", None, None),
        "ObjectRestore:Delete" => ("Object Restore Expired", None, None),
        "IntelligentTiering" => ("Object Access Tier Changed", None, None),
        "LifecycleTransition" => ("Object Storage Class Changed", None, None),
        "ObjectAcl:Put" => ("Object ACL Updated", None, None),
        "ObjectTagging:Put" => ("Object Tags Added", None, None),
        "ObjectTagging:Delete" => ("Object Tags Deleted", None, None),
        "ObjectAnnotation:Put" => ("Object Annotation Created", Some("PutObjectAnnotation"), None),
        "ObjectAnnotation:Delete" => ("Object Annotation Removed", Some("DeleteObjectAnnotation"), None),
        _ => return None,
    })
}

/// The whole event; none for what EventBridge is not told of.
pub fn event(id: &str, time: Timestamp, requester: &str, about: &ObjectEvent<'_>) -> Option<Value> {
    let (detail_type, reason, deletion_type) = kind(about.name)?;
    let mut object = Map::new();
    object.insert("key".to_owned(), about.key.into());
    let tells_size = !about.name.starts_with("ObjectAnnotation:");
    let optional = [
        ("size", about.size.filter(|_| tells_size).map(Value::from)),
        ("etag", about.etag.map(|etag| etag.trim_matches('"').into())),
        ("version-id", about.version_id.map(Value::from)),
    ];
    object.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    // The end of a restore is no change of the object, and has no place in their order.
    if !matches!(about.name, "ObjectRestore:Completed" | "ObjectRestore:Delete") {
        object.insert("sequencer".to_owned(), format!("{:016X}", about.sequencer).into());
    }
    if let Some(Detail::Copied { annotated }) = &about.detail {
        object.insert("has-object-annotation".to_owned(), (*annotated).into());
    }
    let mut detail = json!({
        "version": "0",
        "event-version": EVENT_VERSION,
        "bucket": { "name": about.bucket },
        "object": object,
        "request-id": about.request_id,
        "requester": if about.by_itself { "s3.amazonaws.com" } else { requester },
    });
    if !about.by_itself {
        detail["source-ip-address"] = json!(about.source_ip);
    }
    for (name, value) in [("reason", reason), ("deletion-type", deletion_type)] {
        if let Some(value) = value {
            detail[name] = json!(value);
        }
    }
    match &about.detail {
        None | Some(Detail::Copied { .. } | Detail::Retained(_) | Detail::NotReplicated(_)) => {}
        Some(Detail::Restoring { class }) => detail["source-storage-class"] = json!(class),
        Some(Detail::Annotation { name, put }) => {
            detail["object-annotation"] = json!({ "name": name });
            if let Some((size, etag)) = put {
                detail["object-annotation"]["size"] = json!(size);
                detail["object-annotation"]["etag"] = json!(etag.trim_matches('"'));
            }
        }
        Some(Detail::Class(class)) => detail["destination-storage-class"] = json!(class),
        Some(Detail::Tier(tier)) => detail["destination-access-tier"] = json!(tier),
        Some(Detail::Restored { until, class }) => {
            detail["restore-expiry-time"] = json!(until.to_secs_precision().date_time());
            detail["source-storage-class"] = json!(class);
        }
    }
    Some(json!({
        "version": "0",
        "id": id,
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": about.bucket_owner,
        "time": time.to_secs_precision().date_time(),
        "region": about.region,
        "resources": [about.bucket_arn],
        "detail": detail,
    }))
}

/// Queues the event for the default event bus of the bucket's owner.
pub fn send(
    tx: &mut Transaction<'_>,
    s3: &S3,
    cx: &Context,
    bucket: &Bucket,
    about: &ObjectEvent<'_>,
    now: Timestamp,
) -> Result<Option<Handoff>> {
    let id = cx.random().uuid();
    let Some(event) = event(&id, now, cx.caller.account.as_str(), about) else { return Ok(None) };
    let delivery = delivery(cx, id, (&bucket.account, &bucket.region), Some(bucket_arn(cx, &bucket.name)), &event, now);
    Ok(Some(s3.outbox.put(tx, &delivery)?))
}

/// A whole event on its way to the default event bus of an account.
pub fn delivery(
    cx: &Context,
    id: String,
    (account, region): (&str, &str),
    about: Option<Arn>,
    event: &Value,
    now: Timestamp,
) -> Delivery {
    let account = AccountId::new(account).unwrap_or_else(|_| cx.world.account.clone());
    let region = Region::new(region).unwrap_or_else(|_| cx.region.clone());
    let target = Arn::new(cx.world.partition, "events", region.as_str(), account.as_str(), "event-bus/default");
    let source = Source { principal: "s3.amazonaws.com".to_owned(), arn: about, account, role: None };
    let mut delivery = Delivery::new(id, cx.world.lane.clone(), target, Body::text(event.to_string()), source, now);
    delivery.action = "events:PutEvents".to_owned();
    delivery.cause = cx.cause();
    delivery
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(name: &str) -> ObjectEvent<'_> {
        ObjectEvent {
            name,
            time: String::new(),
            region: "us-east-1",
            bucket: "b",
            bucket_arn: "arn:aws:s3:::b".to_owned(),
            bucket_owner: "000000000000",
            key: "a key+1",
            size: Some(5),
            etag: Some("\"e\""),
            version_id: None,
            sequencer: 1,
            detail: None,
            principal_id: "p",
            source_ip: "127.0.0.1",
            by_itself: name.starts_with("Lifecycle") || name.starts_with("ObjectRestore:Completed"),
            request_id: "R",
            host_id: "H",
        }
    }

    #[test]
    fn events_have_awss_form() {
        let made = event("i", Timestamp::from_secs(0), "111122223333", &about("ObjectCreated:Put")).unwrap();
        let expected = json!({
            "version": "0", "id": "i", "detail-type": "Object Created", "source": "aws.s3", "account": "000000000000",
            "time": "1970-01-01T00:00:00Z", "region": "us-east-1", "resources": ["arn:aws:s3:::b"],
            "detail": {
                "version": "0", "event-version": "1.1", "bucket": {"name": "b"},
                "object": {"key": "a key+1", "size": 5, "etag": "e", "sequencer": "0000000000000001"},
                "request-id": "R", "requester": "111122223333", "source-ip-address": "127.0.0.1", "reason": "PutObject",
            },
        });
        assert_eq!(made, expected);
        let expired =
            event("i", Timestamp::from_secs(0), "0", &about("LifecycleExpiration:DeleteMarkerCreated")).unwrap();
        assert_eq!(expired["detail"]["requester"], json!("s3.amazonaws.com"));
        assert_eq!(expired["detail"]["deletion-type"], json!("Delete Marker Created"));
        assert_eq!(event("i", Timestamp::from_secs(0), "0", &about("Replication:OperationFailed")), None);
        let archived =
            ObjectEvent { detail: Some(Detail::Tier("ARCHIVE_ACCESS".into())), ..about("IntelligentTiering") };
        let archived = event("i", Timestamp::from_secs(0), "0", &archived).unwrap();
        assert_eq!(archived["detail-type"], json!("Object Access Tier Changed"));
        assert_eq!(archived["detail"]["destination-access-tier"], json!("ARCHIVE_ACCESS"));
    }
}
