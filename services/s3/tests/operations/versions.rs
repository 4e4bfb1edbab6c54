//! Versions: kept, found, listed, removed.

use crate::*;

pub async fn set_versioning(client: &Client, status: api::BucketVersioningStatus) {
    let input = api::PutBucketVersioningInput {
        bucket: "bucket".into(),
        versioning_configuration: api::VersioningConfiguration { status: Some(status), mfa_delete: None },
        ..Default::default()
    };
    client.call(api::PutBucketVersioning, input).await.unwrap();
}

pub async fn versioned(client: &Client) {
    bucket(client, "bucket").await;
    set_versioning(client, api::BucketVersioningStatus::Enabled).await;
}

pub fn of_version(key: &str, id: &str) -> api::GetObjectInput {
    api::GetObjectInput { version_id: Some(id.into()), ..get_input(key) }
}

pub fn delete_input(key: &str, id: Option<&str>) -> api::DeleteObjectInput {
    api::DeleteObjectInput {
        bucket: "bucket".into(),
        key: key.into(),
        version_id: id.map(str::to_owned),
        ..Default::default()
    }
}

fn list_input() -> api::ListObjectVersionsInput {
    api::ListObjectVersionsInput { bucket: "bucket".into(), ..Default::default() }
}

/// `key id`, with `*` for the latest and `-` for markers, in the order of the answer's two lists.
fn listed(output: &api::ListObjectVersionsOutput) -> Vec<String> {
    let latest = |is_latest: Option<bool>| if is_latest == Some(true) { "*" } else { "" };
    let versions = output.versions.iter().flatten().map(|version| {
        format!(
            "{} {}{}",
            version.key.as_ref().unwrap(),
            version.version_id.as_ref().unwrap(),
            latest(version.is_latest)
        )
    });
    let markers = output.delete_markers.iter().flatten().map(|marker| {
        format!("-{} {}{}", marker.key.as_ref().unwrap(), marker.version_id.as_ref().unwrap(), latest(marker.is_latest))
    });
    versions.chain(markers).collect()
}

#[tokio::test]
async fn what_is_overwritten_and_deleted_can_be_read_again() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    assert_eq!(put(&client, "k", "zero").await.version_id, None);
    set_versioning(&client, api::BucketVersioningStatus::Enabled).await;
    let one = put(&client, "k", "one").await.version_id.unwrap();
    let two = put(&client, "k", &"two".repeat(100)).await.version_id.unwrap();
    assert_eq!(read(&client, get_input("k")).await.unwrap(), "two".repeat(100));
    assert_eq!(read(&client, of_version("k", &one)).await.unwrap(), "one");
    assert_eq!(read(&client, of_version("k", "null")).await.unwrap(), "zero");
    let marker = client.call(api::DeleteObject, delete_input("k", None)).await.unwrap();
    assert_eq!(marker.delete_marker, Some(true));
    let marker_id = marker.version_id.unwrap();
    let gone = client.call(api::GetObject, get_input("k")).await.unwrap_err();
    assert_eq!((gone.status, gone.code.as_ref()), (404, "NoSuchKey"));
    let answer = client.send(Request::get("/bucket/k").body(Bytes::new()).unwrap()).await;
    assert_eq!(answer.headers()["x-amz-delete-marker"], "true");
    assert_eq!(answer.headers()["x-amz-version-id"], marker_id.as_str());
    let on_marker = client.call(api::GetObject, of_version("k", &marker_id)).await.unwrap_err();
    assert_eq!((on_marker.status, on_marker.code.as_ref()), (405, "MethodNotAllowed"));
    let all = client.call(api::ListObjectVersions, list_input()).await.unwrap();
    assert_eq!(listed(&all), [format!("k {two}"), format!("k {one}"), "k null".to_owned(), format!("-k {marker_id}*")]);
    let undone = client.call(api::DeleteObject, delete_input("k", Some(&marker_id))).await.unwrap();
    assert_eq!((undone.delete_marker, undone.version_id), (Some(true), Some(marker_id)));
    assert_eq!(read(&client, get_input("k")).await.unwrap(), "two".repeat(100), "the marker is gone");
    client.call(api::DeleteObject, delete_input("k", Some(&two))).await.unwrap();
    assert_eq!(read(&client, get_input("k")).await.unwrap(), "one", "what is then the newest is current");
    let none = client.call(api::GetObject, of_version("k", &two)).await.unwrap_err();
    assert_eq!((none.status, none.code.as_ref()), (404, "NoSuchVersion"));
    let bad = client.call(api::GetObject, of_version("k", "nonsense")).await.unwrap_err();
    assert_eq!((bad.status, bad.message.as_str()), (400, "Invalid version id specified"));
    let delete = || api::DeleteBucketInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::DeleteObject, delete_input("k", Some(&one))).await.unwrap();
    client.call(api::DeleteObject, delete_input("k", None)).await.unwrap();
    assert_eq!(client.call(api::DeleteBucket, delete()).await.unwrap_err().code, "BucketNotEmpty");
}

#[tokio::test]
async fn a_suspended_bucket_keeps_one_null_version() {
    let stack = stack().await;
    let client = client_of(&stack);
    versioned(&client).await;
    let one = put(&client, "k", "one").await.version_id.unwrap();
    set_versioning(&client, api::BucketVersioningStatus::Suspended).await;
    assert_eq!(put(&client, "k", "two").await.version_id.as_deref(), Some("null"));
    assert_eq!(put(&client, "k", "three").await.version_id.as_deref(), Some("null"));
    let all = client.call(api::ListObjectVersions, list_input()).await.unwrap();
    assert_eq!(listed(&all), ["k null*".to_owned(), format!("k {one}")]);
    let marker = client.call(api::DeleteObject, delete_input("k", None)).await.unwrap();
    assert_eq!(marker.version_id.as_deref(), Some("null"));
    let all = client.call(api::ListObjectVersions, list_input()).await.unwrap();
    assert_eq!(listed(&all), [format!("k {one}"), "-k null*".to_owned()], "the marker took the null version's place");
    set_versioning(&client, api::BucketVersioningStatus::Enabled).await;
    let four = put(&client, "k", "four").await.version_id.unwrap();
    let all = client.call(api::ListObjectVersions, list_input()).await.unwrap();
    assert_eq!(listed(&all), [format!("k {four}*"), format!("k {one}"), "-k null".to_owned()]);
    client.call(api::DeleteObject, delete_input("k", Some("null"))).await.unwrap();
    let all = client.call(api::ListObjectVersions, list_input()).await.unwrap();
    assert_eq!(listed(&all), [format!("k {four}*"), format!("k {one}")]);
}

#[tokio::test]
async fn pages_of_versions_together_are_all_of_them() {
    let stack = stack().await;
    let client = client_of(&stack);
    versioned(&client).await;
    for _ in 0..3 {
        for key in ["a", "b/1", "b/2", "c"] {
            put(&client, key, "x").await;
        }
    }
    client.call(api::DeleteObject, delete_input("a", None)).await.unwrap();
    let whole = client.call(api::ListObjectVersions, list_input()).await.unwrap();
    assert_eq!(listed(&whole).len(), 13);
    for page_size in [1, 2, 3, 5] {
        let (mut key, mut id, mut found) = (None, None, Vec::new());
        loop {
            let input = api::ListObjectVersionsInput {
                key_marker: key.clone(),
                version_id_marker: id.clone(),
                max_keys: Some(page_size),
                ..list_input()
            };
            let page = client.call(api::ListObjectVersions, input).await.unwrap();
            found.extend(listed(&page));
            if page.is_truncated != Some(true) {
                break;
            }
            (key, id) = (page.next_key_marker, page.next_version_id_marker);
        }
        found.sort();
        let mut expected = listed(&whole);
        expected.sort();
        assert_eq!(found, expected, "in pages of {page_size}");
    }
    let rolled = api::ListObjectVersionsInput { delimiter: Some("/".into()), ..list_input() };
    let rolled = client.call(api::ListObjectVersions, rolled).await.unwrap();
    assert_eq!(rolled.common_prefixes.unwrap().len(), 1);
    assert_eq!(rolled.versions.unwrap().len() + rolled.delete_markers.unwrap().len(), 7);
}

#[tokio::test]
async fn batches_copies_and_tags_name_versions() {
    let stack = stack().await;
    let client = client_of(&stack);
    versioned(&client).await;
    let one = put(&client, "k", "one").await.version_id.unwrap();
    let two = put(&client, "k", "two").await.version_id.unwrap();
    let copy = api::CopyObjectInput {
        bucket: "bucket".into(),
        key: "k".into(),
        copy_source: format!("bucket/k?versionId={one}"),
        ..Default::default()
    };
    let copied = client.call(api::CopyObject, copy).await.unwrap();
    assert_eq!(copied.copy_source_version_id.as_deref(), Some(one.as_str()));
    assert_eq!(read(&client, get_input("k")).await.unwrap(), "one");
    let tag = api::PutObjectTaggingInput {
        bucket: "bucket".into(),
        key: "k".into(),
        version_id: Some(two.clone()),
        tagging: api::Tagging { tag_set: vec![api::Tag { key: "a".into(), value: "b".into() }] },
        ..Default::default()
    };
    client.call(api::PutObjectTagging, tag).await.unwrap();
    let tags = |id: &str| api::GetObjectTaggingInput {
        bucket: "bucket".into(),
        key: "k".into(),
        version_id: Some(id.into()),
        ..Default::default()
    };
    assert_eq!(client.call(api::GetObjectTagging, tags(&two)).await.unwrap().tag_set.len(), 1);
    assert_eq!(client.call(api::GetObjectTagging, tags(&one)).await.unwrap().tag_set.len(), 0);
    let identifier = |id: Option<&str>| api::ObjectIdentifier {
        key: "k".into(),
        version_id: id.map(str::to_owned),
        ..Default::default()
    };
    let batch = api::DeleteObjectsInput {
        bucket: "bucket".into(),
        delete: api::Delete { objects: vec![identifier(Some(&one)), identifier(None)], quiet: None },
        ..Default::default()
    };
    let deleted = client.call(api::DeleteObjects, batch).await.unwrap().deleted.unwrap();
    assert_eq!((deleted[0].version_id.as_deref(), deleted[0].delete_marker), (Some(one.as_str()), None));
    assert_eq!((deleted[1].version_id.as_deref(), deleted[1].delete_marker), (None, Some(true)));
    assert!(deleted[1].delete_marker_version_id.is_some());
    assert_eq!(read(&client, of_version("k", &two)).await.unwrap(), "two");
    assert_eq!(client.call(api::GetObject, of_version("k", &one)).await.unwrap_err().code, "NoSuchVersion");
}

#[tokio::test]
async fn a_version_goes_for_good_by_a_second_factor() {
    let stack = stack().await;
    let client = client_of(&stack);
    versioned(&client).await;
    let configure = |mfa_delete, mfa: Option<&str>| api::PutBucketVersioningInput {
        bucket: "bucket".into(),
        versioning_configuration: api::VersioningConfiguration {
            status: Some(api::BucketVersioningStatus::Enabled),
            mfa_delete,
        },
        mfa: mfa.map(str::to_owned),
        ..Default::default()
    };
    let device = Some("arn:aws:iam::000000000000:mfa/root 123456");
    let on = Some(api::MFADelete::Enabled);
    let told = |refused: Failure| (refused.code.into_owned(), refused.status, refused.message);
    let missing = ("AccessDenied".to_owned(), 403, "Mfa Authentication must be used for this request".to_owned());
    let refused = client.call(api::PutBucketVersioning, configure(on.clone(), None)).await.unwrap_err();
    assert_eq!(told(refused), missing);
    let refused = client.call(api::PutBucketVersioning, configure(on.clone(), Some("123456"))).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("InvalidArgument", 400));
    let shown = async || {
        let input = api::GetBucketVersioningInput { bucket: "bucket".into(), ..Default::default() };
        client.call(api::GetBucketVersioning, input).await.unwrap().mfa_delete
    };
    assert_eq!(shown().await, None);
    client.call(api::PutBucketVersioning, configure(on, device)).await.unwrap();
    assert_eq!(shown().await, Some(api::MFADeleteStatus::Enabled));
    let id = put(&client, "k", "x").await.version_id.unwrap();
    client.call(api::DeleteObject, delete_input("k", None)).await.unwrap();
    let refused = client.call(api::DeleteObject, delete_input("k", Some(&id))).await.unwrap_err();
    assert_eq!(told(refused), missing);
    let batch = |mfa: Option<&str>| api::DeleteObjectsInput {
        bucket: "bucket".into(),
        delete: api::Delete {
            objects: vec![
                api::ObjectIdentifier { key: "k".into(), version_id: Some(id.clone()), ..Default::default() },
                api::ObjectIdentifier { key: "other".into(), ..Default::default() },
            ],
            quiet: None,
        },
        mfa: mfa.map(str::to_owned),
        ..Default::default()
    };
    let output = client.call(api::DeleteObjects, batch(None)).await.unwrap();
    let errors = output.errors.unwrap();
    assert_eq!((errors.len(), errors[0].code.as_deref()), (1, Some("AccessDenied")));
    assert_eq!(read(&client, of_version("k", &id)).await.unwrap(), "x");
    let output = client.call(api::DeleteObjects, batch(device)).await.unwrap();
    assert_eq!(output.errors.unwrap_or_default().len(), 0);
    assert_eq!(read(&client, of_version("k", &id)).await.unwrap_err().code, "NoSuchVersion");
    let refused = client.call(api::PutBucketVersioning, configure(Some(api::MFADelete::Disabled), None)).await;
    assert_eq!(told(refused.unwrap_err()), missing);
    client.call(api::PutBucketVersioning, configure(Some(api::MFADelete::Disabled), device)).await.unwrap();
    assert_eq!(shown().await, Some(api::MFADeleteStatus::Disabled));
    let id = put(&client, "k", "x").await.version_id.unwrap();
    client.call(api::DeleteObject, delete_input("k", Some(&id))).await.unwrap();
}

#[tokio::test]
async fn parts_copied_tell_of_the_version_without_an_id() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    put(&client, "k", "before").await;
    let create = api::CreateMultipartUploadInput { bucket: "bucket".into(), key: "parts".into(), ..Default::default() };
    let upload_id = client.call(api::CreateMultipartUpload, create).await.unwrap().upload_id.unwrap();
    let copied = async || {
        let copy = api::UploadPartCopyInput {
            bucket: "bucket".into(),
            key: "parts".into(),
            upload_id: upload_id.clone(),
            part_number: 1,
            copy_source: "bucket/k".into(),
            ..Default::default()
        };
        client.call(api::UploadPartCopy, copy).await.unwrap().copy_source_version_id
    };
    assert_eq!(copied().await, None);
    set_versioning(&client, api::BucketVersioningStatus::Enabled).await;
    assert_eq!(copied().await.as_deref(), Some("null"));
}

#[tokio::test]
async fn versions_and_delete_markers_stand_among_each_other() {
    let stack = stack().await;
    let client = client_of(&stack);
    versioned(&client).await;
    open(&client).await;
    client
        .call(
            api::PutBucketPolicy,
            policy_input(&PUBLIC_READ.replace("GetObject\"", "ListBucketVersions\"").replace("/*", "")),
        )
        .await
        .unwrap();
    for key in ["a", "b"] {
        put(&client, key, "1").await;
        client.call(api::DeleteObject, delete_input(key, None)).await.unwrap();
        put(&client, key, "2").await;
    }
    client.call(api::DeleteObject, delete_input("b", None)).await.unwrap();
    let answer = text(&plain(&stack, "GET", "/bucket?versions", &[]).await);
    let mut seen = Vec::new();
    for part in answer.split('<') {
        match part.split_once('>') {
            Some((kind @ ("Version" | "DeleteMarker"), _)) => seen.push(kind.to_owned()),
            Some(("Key", key)) => *seen.last_mut().unwrap() += key,
            Some(("IsLatest", "true")) => *seen.last_mut().unwrap() += "!",
            _ => {}
        }
    }
    let wanted = "Versiona! DeleteMarkera Versiona DeleteMarkerb! Versionb DeleteMarkerb Versionb";
    assert_eq!(seen.join(" "), wanted, "{answer}");
    let list = api::ListObjectVersionsInput { bucket: "bucket".into(), max_keys: Some(4), ..Default::default() };
    let page = client.call(api::ListObjectVersions, list).await.unwrap();
    assert_eq!((page.versions.unwrap().len(), page.delete_markers.unwrap().len()), (2, 2), "both count");
}
