//! Browser forms: whose signature is right is let in as that caller.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_host::config::AuthMode;
use fractus_s3_api as api;
use fractus_sigv4::KeyCache;
use fractus_testkit::Stack;
use http::{Request, Response};

use crate::{bucket, client_of, let_lists_count, plain, read, s3, text};

/// A policy with these conditions besides the bucket and the key.
fn policy(more: &str) -> String {
    STANDARD.encode(format!(
        r#"{{"expiration": "2026-01-02T00:00:00Z", "conditions": [{{"bucket": "bucket"}}, ["starts-with", "$key", "in/"]{more}]}}"#
    ))
}

fn v4(key: &str, secret: &str) -> Vec<(&'static str, String)> {
    let policy = policy(
        r#", ["starts-with", "$x-amz-algorithm", ""], ["starts-with", "$x-amz-credential", ""], ["starts-with", "$x-amz-date", ""]"#,
    );
    let signature = KeyCache::with_capacity(1).get(secret, "20260101", "us-east-1", "s3").sign(policy.as_bytes());
    vec![
        ("key", "in/k".into()),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256".into()),
        ("x-amz-credential", format!("{key}/20260101/us-east-1/s3/aws4_request")),
        ("x-amz-date", "20260101T000000Z".into()),
        ("policy", policy),
        ("x-amz-signature", String::from_utf8(signature.to_vec()).unwrap()),
    ]
}

pub fn v2(key: &str, secret: &str) -> Vec<(&'static str, String)> {
    let policy = policy("");
    let signature = fractus_sigv4::sigv2::sign(secret, &policy);
    vec![("key", "in/k".into()), ("AWSAccessKeyId", key.into()), ("policy", policy), ("signature", signature)]
}

pub async fn post(stack: &Stack, fields: &[(&'static str, String)], file: &str) -> (u16, String) {
    let response = posted(stack, fields, file).await;
    (response.status().as_u16(), text(&response))
}

async fn posted(stack: &Stack, fields: &[(&'static str, String)], file: &str) -> Response<Bytes> {
    let mut body = String::new();
    for (name, value) in fields {
        body += &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += &format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{file}\r\n--b--\r\n");
    let request = Request::builder().method("POST").header("content-type", "multipart/form-data; boundary=b");
    plain(stack, request, "/bucket", body).await
}

async fn stack(auth: AuthMode) -> Stack {
    let stack = s3().auth(auth).frozen_at("2026-01-01T00:00:00Z").start().await;
    bucket(&client_of(&stack), "bucket").await;
    stack
}

#[tokio::test]
async fn a_forms_signature_is_verified_where_signatures_are() {
    let stack = stack(AuthMode::Signed).await;
    for (fields, content) in [(v4("test", "test"), "by version 4"), (v2("test", "test"), "by version 2")] {
        let (status, answer) = post(&stack, &fields, content).await;
        assert_eq!(status, 204, "{answer}");
        assert_eq!(read(&client_of(&stack), "in/k").await, content);
    }
    for fields in [v4("test", "wrong"), v2("test", "wrong")] {
        let (status, answer) = post(&stack, &fields, "no").await;
        assert_eq!(status, 403);
        assert!(answer.contains("<Code>SignatureDoesNotMatch</Code>"), "{answer}");
    }
    let (status, answer) = post(&stack, &v4("AKIAIOSFODNN7EXAMPLE", "test"), "no").await;
    assert_eq!(status, 403);
    assert!(answer.contains("<Code>InvalidAccessKeyId</Code>"), "{answer}");
    assert_eq!(read(&client_of(&stack), "in/k").await, "by version 2");
}

#[tokio::test]
async fn a_form_that_nobody_signed_is_anonymous() {
    let stack = stack(AuthMode::Off).await;
    let (status, answer) = post(&stack, &[("key", "in/k".to_owned())], "no").await;
    assert_eq!(status, 403, "the bucket is not public");
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
}

#[tokio::test]
async fn without_verification_a_policy_counts_and_a_signature_does_not() {
    let stack = stack(AuthMode::Off).await;
    assert_eq!(post(&stack, &v4("test", "wrong"), "taken").await.0, 204);
    assert_eq!(read(&client_of(&stack), "in/k").await, "taken");
    let mut fields = v4("test", "wrong");
    fields[0].1 = "out/k".into();
    let (status, answer) = post(&stack, &fields, "no").await;
    assert_eq!(status, 403);
    assert!(answer.contains("Policy Condition failed"), "{answer}");
}

#[tokio::test]
async fn a_form_brings_tags() {
    let stack = stack(AuthMode::Off).await;
    let policy = policy(r#", ["starts-with", "$tagging", ""]"#);
    let fields = |tagging: &str| {
        vec![
            ("key", "in/k".to_owned()),
            ("AWSAccessKeyId", "test".into()),
            ("policy", policy.clone()),
            ("signature", fractus_sigv4::sigv2::sign("test", &policy)),
            ("tagging", tagging.to_owned()),
        ]
    };
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1 + 2</Value></Tag></TagSet></Tagging>";
    let (status, answer) = post(&stack, &fields(tags), "tagged").await;
    assert_eq!(status, 204, "{answer}");
    let get = api::GetObjectTaggingInput { bucket: "bucket".into(), key: "in/k".into(), ..Default::default() };
    let got = client_of(&stack).call(api::GetObjectTagging, get).await.unwrap();
    assert_eq!((got.tag_set[0].key.as_str(), got.tag_set[0].value.as_str()), ("a", "1 + 2"));
    let (status, answer) = post(&stack, &fields("<Tagging>"), "no").await;
    assert_eq!(status, 400);
    assert!(answer.contains("<Code>MalformedXML</Code>"), "{answer}");
}

#[tokio::test]
async fn the_answer_says_which_version_it_made_and_when_it_expires() {
    let stack = stack(AuthMode::Off).await;
    let client = client_of(&stack);
    let versioning = api::PutBucketVersioningInput {
        bucket: "bucket".into(),
        versioning_configuration: api::VersioningConfiguration {
            status: Some(api::BucketVersioningStatus::Enabled),
            mfa_delete: None,
        },
        ..Default::default()
    };
    client.call(api::PutBucketVersioning, versioning).await.unwrap();
    let rule = api::LifecycleRule {
        id: Some("in".into()),
        filter: Some(api::LifecycleRuleFilter { prefix: Some("in/".into()), ..Default::default() }),
        status: api::ExpirationStatus::Enabled,
        expiration: Some(api::LifecycleExpiration { days: Some(1), ..Default::default() }),
        ..Default::default()
    };
    let rules = api::PutBucketLifecycleConfigurationInput {
        bucket: "bucket".into(),
        lifecycle_configuration: Some(api::BucketLifecycleConfiguration { rules: vec![rule] }),
        ..Default::default()
    };
    client.call(api::PutBucketLifecycleConfiguration, rules).await.unwrap();
    let answer = posted(&stack, &v4("test", "test"), "x").await;
    let head = api::HeadObjectInput { bucket: "bucket".into(), key: "in/k".into(), ..Default::default() };
    let head = client.call(api::HeadObject, head).await.unwrap();
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert!(head.version_id.is_some() && head.expiration.is_some());
    assert_eq!(header("x-amz-version-id"), head.version_id);
    assert_eq!(header("x-amz-expiration"), head.expiration);
}

#[tokio::test]
async fn who_may_write_by_a_list_says_with_a_form_whose_it_is() {
    let stack = stack(AuthMode::Off).await;
    let client = client_of(&stack);
    let block = api::DeletePublicAccessBlockInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::DeletePublicAccessBlock, block).await.unwrap();
    let_lists_count(&client).await;
    let form = [("key", "in/k".to_owned()), ("acl", "public-read".to_owned())];
    assert_eq!(post(&stack, &form, "no").await.0, 403);
    let everybody = api::PutBucketAclInput {
        bucket: "bucket".into(),
        acl: Some(api::BucketCannedACL::PublicReadWrite),
        ..Default::default()
    };
    client.call(api::PutBucketAcl, everybody).await.unwrap();
    let (status, answer) = post(&stack, &form, "by nobody in particular").await;
    assert_eq!(status, 204, "{answer}");
    let seen = plain(&stack, Request::builder(), "/bucket/in/k", String::new()).await;
    assert_eq!((seen.status().as_u16(), text(&seen).as_str()), (200, "by nobody in particular"));
}

#[tokio::test]
async fn a_form_says_how_its_file_is_encrypted() {
    let stack = stack(AuthMode::Off).await;
    let policy = policy(
        r#", {"x-amz-server-side-encryption": "aws:kms"}, ["starts-with", "$x-amz-server-side-encryption-bucket-key-enabled", ""]"#,
    );
    let fields = [
        ("key", "in/k".to_owned()),
        ("AWSAccessKeyId", "test".into()),
        ("policy", policy.clone()),
        ("signature", fractus_sigv4::sigv2::sign("test", &policy)),
        ("x-amz-server-side-encryption", "aws:kms".into()),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true".into()),
    ];
    let (status, answer) = post(&stack, &fields, "secret").await;
    assert_eq!(status, 204, "{answer}");
    let head = api::HeadObjectInput { bucket: "bucket".into(), key: "in/k".into(), ..Default::default() };
    let head = client_of(&stack).call(api::HeadObject, head).await.unwrap();
    let kms = Some(api::ServerSideEncryption::AwsKms);
    assert_eq!((head.server_side_encryption, head.bucket_key_enabled), (kms, Some(true)));
}
