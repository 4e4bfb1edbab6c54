//! Objects under keys of a KMS that is none: what it is asked, and what callers are told of its answers.

use std::collections::HashMap;
use std::sync::Arc;

use fractus_datakeys::kms as kms_api;
use fractus_host::{App, Context, Host, Operations, Service};
use fractus_testkit::wait_for;
use parking_lot::Mutex;

use crate::*;

const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/there";

/// What was asked: the operation, and the context's entry of S3.
type Asked = (&'static str, String);

/// A KMS with one key; the test looks at what it was asked.
#[derive(Default)]
struct Kms {
    asked: Mutex<Vec<Asked>>,
    is_disabled: Mutex<bool>,
}

impl Service for Kms {}

impl Kms {
    fn note(&self, operation: &'static str, context: Option<HashMap<String, String>>) -> Result<String, Failure> {
        let context = context.unwrap_or_default();
        let arn = context.get("aws:s3:arn").cloned().unwrap_or_default();
        self.asked.lock().push((operation, arn));
        if *self.is_disabled.lock() {
            return Err(Failure::new("DisabledException", 400, format!("{KEY} is disabled.")));
        }
        let mut entries: Vec<_> = context.into_iter().collect();
        entries.sort();
        Ok(format!("{entries:?}"))
    }

    fn taken(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock())
    }
}

async fn generate(
    kms: &Kms,
    _: &Context,
    input: kms_api::GenerateDataKeyInput,
) -> Result<kms_api::GenerateDataKeyOutput, Failure> {
    let bound = kms.note("GenerateDataKey", input.encryption_context.map(|context| context.into_iter().collect()))?;
    if input.key_id != KEY {
        return Err(Failure::new("NotFoundException", 400, format!("Key '{}' does not exist", input.key_id)));
    }
    Ok(kms_api::GenerateDataKeyOutput {
        plaintext: Some(Bytes::from_static(&[7; 32])),
        ciphertext_blob: Some(Bytes::from(bound)),
        key_id: Some(KEY.into()),
        ..Default::default()
    })
}

async fn decrypt(kms: &Kms, _: &Context, input: kms_api::DecryptInput) -> Result<kms_api::DecryptOutput, Failure> {
    let bound = kms.note("Decrypt", input.encryption_context.map(|context| context.into_iter().collect()))?;
    if input.ciphertext_blob.as_deref() != Some(bound.as_bytes()) {
        return Err(Failure::new("InvalidCiphertextException", 400, ""));
    }
    Ok(kms_api::DecryptOutput { plaintext: Some(Bytes::from_static(&[7; 32])), ..Default::default() })
}

async fn stack_with(kms: &Arc<Kms>) -> (Stack, Client) {
    let kms = kms.clone();
    let service = move |_: Host| {
        let kms = kms.clone();
        let table =
            Operations::new(&[&kms_api::MODEL]).on(kms_api::GenerateDataKey, generate).on(kms_api::Decrypt, decrypt);
        async move { Ok::<_, String>(App::new(kms, table)) }
    };
    let stack = Stack::new()
        .with("s3", |host| fractus_s3::start(config(), host))
        .with("kms", service)
        .with_nats()
        .start()
        .await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    (stack, client)
}

fn under(key: &str, body: &str, kms_key: &str) -> api::PutObjectInput {
    api::PutObjectInput {
        server_side_encryption: Some(api::ServerSideEncryption::AwsKms),
        ssekms_key_id: Some(kms_key.into()),
        ..put_input(key, body)
    }
}

/// As soon as S3 has heard of KMS.
async fn heard(kms: &Kms, client: &Client) {
    wait_for("S3 asks KMS", || async {
        client.call(api::PutObject, under("first", "x", KEY)).await.unwrap();
        (!kms.taken().is_empty()).then_some(())
    })
    .await;
}

fn of(operation: &'static str, arn: &str) -> Asked {
    (operation, arn.to_owned())
}

#[tokio::test]
async fn kms_judges_whoever_writes_and_reads_under_its_key() {
    let kms = Arc::new(Kms::default());
    let (_stack, client) = stack_with(&kms).await;
    heard(&kms, &client).await;
    put(&client, "plain", "x").await;
    read(&client, get_input("plain")).await.unwrap();
    assert_eq!(kms.taken(), [], "S3's own keys are no affair of KMS");
    client.call(api::PutObject, under("k", &"x".repeat(1_000), KEY)).await.unwrap();
    assert_eq!(read(&client, get_input("k")).await.unwrap().len(), 1_000);
    let arn = "arn:aws:s3:::bucket/k";
    assert_eq!(kms.taken(), [of("GenerateDataKey", arn), of("Decrypt", arn)]);
    let copy = api::CopyObjectInput {
        bucket: "bucket".into(),
        key: "copy".into(),
        copy_source: "bucket/k".into(),
        server_side_encryption: Some(api::ServerSideEncryption::AwsKms),
        ssekms_key_id: Some(KEY.into()),
        ..Default::default()
    };
    client.call(api::CopyObject, copy).await.unwrap();
    assert_eq!(kms.taken(), [of("Decrypt", arn), of("GenerateDataKey", "arn:aws:s3:::bucket/copy")]);
    *kms.is_disabled.lock() = true;
    for refused in [
        client.call(api::GetObject, get_input("k")).await.unwrap_err(),
        client.call(api::PutObject, under("new", "x", KEY)).await.unwrap_err(),
    ] {
        assert_eq!((refused.code.as_ref(), refused.status), ("KMS.DisabledException", 400));
        assert_eq!(refused.message, format!("{KEY} is disabled."));
    }
    *kms.is_disabled.lock() = false;
    assert_eq!(read(&client, get_input("new")).await.unwrap_err().code, "NoSuchKey");
    let other = "arn:aws:kms:us-east-1:000000000000:key/other";
    let refused = client.call(api::PutObject, under("new", "x", other)).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("KMS.NotFoundException", 400));
    assert_eq!(read(&client, get_input("new")).await.unwrap_err().code, "NoSuchKey");
}

#[tokio::test]
async fn a_bucket_key_is_one_for_many_objects() {
    let kms = Arc::new(Kms::default());
    let (_stack, client) = stack_with(&kms).await;
    heard(&kms, &client).await;
    let rule = api::ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(api::ServerSideEncryptionByDefault {
            sse_algorithm: api::ServerSideEncryption::AwsKms,
            kms_master_key_id: Some(KEY.into()),
        }),
        bucket_key_enabled: Some(true),
        ..Default::default()
    };
    let input = api::PutBucketEncryptionInput {
        bucket: "bucket".into(),
        server_side_encryption_configuration: api::ServerSideEncryptionConfiguration { rules: vec![rule] },
        ..Default::default()
    };
    client.call(api::PutBucketEncryption, input).await.unwrap();
    for key in ["a", "b", "c"] {
        put(&client, key, "x").await;
        assert_eq!(read(&client, get_input(key)).await.unwrap(), "x");
    }
    assert_eq!(kms.taken(), [of("GenerateDataKey", "arn:aws:s3:::bucket")]);
    let create = api::CreateMultipartUploadInput {
        bucket: "bucket".into(),
        key: "parts".into(),
        server_side_encryption: Some(api::ServerSideEncryption::AwsKms),
        ssekms_key_id: Some(KEY.into()),
        bucket_key_enabled: Some(false),
        ..Default::default()
    };
    client.call(api::CreateMultipartUpload, create).await.unwrap();
    assert_eq!(kms.taken(), [of("GenerateDataKey", "arn:aws:s3:::bucket/parts")]);
}
