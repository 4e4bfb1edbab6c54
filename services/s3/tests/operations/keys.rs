//! Objects under keys of a KMS that is none: what it is asked, and what callers are told of its answers.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_datakeys::kms as kms_api;
use fractus_host::{App, Context, Host, Operations, Service};
use fractus_testkit::{StackBuilder, wait_for};
use md5::{Digest, Md5};
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
    stack_on(kms, |stack| stack).await
}

async fn stack_on(kms: &Arc<Kms>, change: impl FnOnce(StackBuilder) -> StackBuilder) -> (Stack, Client) {
    let kms = kms.clone();
    let service = move |_: Host| {
        let kms = kms.clone();
        let table =
            Operations::new(&[&kms_api::MODEL]).on(kms_api::GenerateDataKey, generate).on(kms_api::Decrypt, decrypt);
        async move { Ok::<_, String>(App::new(kms, table)) }
    };
    let stack = Stack::new().with("s3", |host| fractus_s3::start(config(), host)).with("kms", service).with_nats();
    let stack = change(stack).start().await;
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

fn upload_of(key: &str) -> api::CreateMultipartUploadInput {
    api::CreateMultipartUploadInput {
        bucket: "bucket".into(),
        key: key.into(),
        server_side_encryption: Some(api::ServerSideEncryption::AwsKms),
        ssekms_key_id: Some(KEY.into()),
        ..Default::default()
    }
}

fn part_of(key: &str, upload_id: &str, number: i32, body: &str) -> api::UploadPartInput {
    api::UploadPartInput {
        bucket: "bucket".into(),
        key: key.into(),
        upload_id: upload_id.into(),
        part_number: number,
        body: ByteStream::from(Bytes::from(body.to_owned())),
        ..Default::default()
    }
}

fn part_copy_of(key: &str, upload_id: &str, number: i32, source: &str) -> api::UploadPartCopyInput {
    api::UploadPartCopyInput {
        bucket: "bucket".into(),
        key: key.into(),
        upload_id: upload_id.into(),
        part_number: number,
        copy_source: format!("bucket/{source}"),
        ..Default::default()
    }
}

async fn complete(client: &Client, key: &str, upload_id: &str, etags: Vec<Option<String>>) {
    let parts = etags.into_iter().zip(1..).map(|(e_tag, number)| api::CompletedPart {
        e_tag,
        part_number: Some(number),
        ..Default::default()
    });
    let input = api::CompleteMultipartUploadInput {
        bucket: "bucket".into(),
        key: key.into(),
        upload_id: upload_id.into(),
        multipart_upload: Some(api::CompletedMultipartUpload { parts: Some(parts.collect()) }),
        ..Default::default()
    };
    client.call(api::CompleteMultipartUpload, input).await.unwrap();
}

#[tokio::test]
async fn kms_judges_whoever_adds_a_part_under_its_key() {
    let kms = Arc::new(Kms::default());
    let (_stack, client) = stack_with(&kms).await;
    heard(&kms, &client).await;
    put(&client, "plain", "a plain source").await;
    let upload = client.call(api::CreateMultipartUpload, upload_of("k")).await.unwrap().upload_id.unwrap();
    let arn = "arn:aws:s3:::bucket/k";
    assert_eq!(kms.taken(), [of("GenerateDataKey", arn)]);
    let first = client.call(api::UploadPart, part_of("k", &upload, 1, "the first part, ")).await.unwrap();
    assert_eq!(kms.taken(), [of("Decrypt", arn)]);
    let second = client.call(api::UploadPartCopy, part_copy_of("k", &upload, 2, "plain")).await.unwrap();
    assert_eq!(kms.taken(), [of("Decrypt", arn)]);
    *kms.is_disabled.lock() = true;
    for refused in [
        client.call(api::UploadPart, part_of("k", &upload, 3, "x")).await.unwrap_err(),
        client.call(api::UploadPartCopy, part_copy_of("k", &upload, 3, "plain")).await.unwrap_err(),
    ] {
        assert_eq!((refused.code.as_ref(), refused.status), ("KMS.DisabledException", 400));
    }
    *kms.is_disabled.lock() = false;
    kms.taken();
    complete(&client, "k", &upload, vec![first.e_tag, second.copy_part_result.unwrap().e_tag]).await;
    assert_eq!(kms.taken(), [], "what is there already is not judged again");
    assert_eq!(read(&client, get_input("k")).await.unwrap(), "the first part, a plain source");
    let part = api::GetObjectInput { part_number: Some(2), ..get_input("k") };
    assert_eq!(read(&client, part).await.unwrap(), "a plain source");
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    // What is there one moment may be gone the next.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path()),
            Ok(kind) if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}

/// Whether any of the files has these bytes.
fn have(files: &[std::path::PathBuf], wanted: &[u8]) -> bool {
    let has = |bytes: Vec<u8>| bytes.windows(wanted.len()).any(|window| window == wanted);
    files.iter().any(|file| std::fs::read(file).is_ok_and(has))
}

const SHOWN: &str = "what everybody may see at rest";
const HIDDEN: &str = "what nobody is to see at rest ";

/// Some text that is longer than a chunk.
fn long(of: &str) -> String {
    of.repeat(7_000)
}

#[tokio::test]
async fn what_a_key_protects_is_sealed_at_rest() {
    let kms = Arc::new(Kms::default());
    let (mut stack, client) = stack_on(&kms, StackBuilder::on_disk).await;
    heard(&kms, &client).await;
    put(&client, "plain", &long(SHOWN)).await;
    client.call(api::PutObject, under("small", HIDDEN, KEY)).await.unwrap();
    client.call(api::PutObject, under("large", &long(HIDDEN), KEY)).await.unwrap();
    let head = client.call(api::GetObject, get_input("large")).await.unwrap();
    assert_eq!(head.content_length, Some(long(HIDDEN).len() as i64));
    assert_eq!(read(&client, get_input("small")).await.unwrap(), HIDDEN);
    assert_eq!(read(&client, get_input("large")).await.unwrap(), long(HIDDEN));
    for (from, to) in [(0, 0), (65_530, 65_550), (131_072, 131_072), (209_990, 209_999)] {
        let ranged = api::GetObjectInput { range: Some(format!("bytes={from}-{to}")), ..get_input("large") };
        assert_eq!(read(&client, ranged).await.unwrap(), long(HIDDEN)[from..=to]);
    }
    let upload = client.call(api::CreateMultipartUpload, upload_of("parts")).await.unwrap().upload_id.unwrap();
    let first = client.call(api::UploadPart, part_of("parts", &upload, 1, &long(HIDDEN))).await.unwrap().e_tag;
    let second = client.call(api::UploadPartCopy, part_copy_of("parts", &upload, 2, "large")).await.unwrap();
    let third = client.call(api::UploadPart, part_of("parts", &upload, 3, HIDDEN)).await.unwrap().e_tag;
    complete(&client, "parts", &upload, vec![first, second.copy_part_result.unwrap().e_tag, third]).await;
    let whole = format!("{}{}{HIDDEN}", long(HIDDEN), long(HIDDEN));
    let input = api::GetObjectInput { range: Some("bytes=100000-".into()), ..get_input("parts") };
    let output = client.call(api::GetObject, input).await.unwrap();
    assert_eq!(output.body.collect(1 << 20).await.unwrap(), whole.as_bytes()[100_000..]);
    let second = api::GetObjectInput { part_number: Some(2), ..get_input("parts") };
    assert_eq!(read(&client, second).await.unwrap(), long(HIDDEN));
    for (source, copy) in [("small", "small-copy"), ("parts", "parts-copy")] {
        let input = api::CopyObjectInput {
            bucket: "bucket".into(),
            key: copy.into(),
            copy_source: format!("bucket/{source}"),
            server_side_encryption: Some(api::ServerSideEncryption::AwsKms),
            ssekms_key_id: Some(KEY.into()),
            ..Default::default()
        };
        let result = client.call(api::CopyObject, input).await.unwrap().copy_object_result.unwrap();
        assert!(result.checksum_crc64_nvme.is_some());
    }
    assert_eq!(read(&client, get_input("small-copy")).await.unwrap(), HIDDEN);
    assert_eq!(read(&client, get_input("parts-copy")).await.unwrap(), whole);
    let files = files_below(stack.folder());
    assert!(have(&files, SHOWN.as_bytes()), "the folder is where objects are");
    assert!(!have(&files, HIDDEN.as_bytes()));
    let open = api::CopyObjectInput {
        bucket: "bucket".into(),
        key: "open".into(),
        copy_source: "bucket/large".into(),
        server_side_encryption: Some(api::ServerSideEncryption::Aes256),
        ..Default::default()
    };
    client.call(api::CopyObject, open).await.unwrap();
    assert_eq!(read(&client, get_input("open")).await.unwrap(), long(HIDDEN));
    stack.stop("kms").await;
    wait_for("S3 knows that KMS is gone", || async {
        let refused = read(&client, get_input("large")).await.err()?;
        (refused.code == "ServiceUnavailable").then_some(())
    })
    .await;
    assert_eq!(read(&client, get_input("open")).await.unwrap(), long(HIDDEN));
    let update = api::UpdateObjectEncryptionInput {
        bucket: "bucket".into(),
        key: "large".into(),
        object_encryption: api::ObjectEncryption::Ssekms(api::SSEKMSEncryption {
            kms_key_arn: KEY.into(),
            bucket_key_enabled: None,
        }),
        ..Default::default()
    };
    let refused = client.call(api::UpdateObjectEncryption, update).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("ServiceUnavailable", 503));
}

#[tokio::test]
async fn an_object_is_sealed_anew_under_another_key() {
    let kms = Arc::new(Kms::default());
    let (stack, client) = stack_on(&kms, StackBuilder::on_disk).await;
    heard(&kms, &client).await;
    let create = api::CreateMultipartUploadInput { bucket: "bucket".into(), key: "k".into(), ..Default::default() };
    let upload = client.call(api::CreateMultipartUpload, create).await.unwrap().upload_id.unwrap();
    let first = client.call(api::UploadPart, part_of("k", &upload, 1, &long(HIDDEN))).await.unwrap().e_tag;
    let second = client.call(api::UploadPart, part_of("k", &upload, 2, HIDDEN)).await.unwrap().e_tag;
    complete(&client, "k", &upload, vec![first, second]).await;
    let update = || api::UpdateObjectEncryptionInput {
        bucket: "bucket".into(),
        key: "k".into(),
        object_encryption: api::ObjectEncryption::Ssekms(api::SSEKMSEncryption {
            kms_key_arn: KEY.into(),
            bucket_key_enabled: None,
        }),
        ..Default::default()
    };
    // What lay open is taken away, and what is sealed already is sealed again.
    for _ in 0..2 {
        client.call(api::UpdateObjectEncryption, update()).await.unwrap();
        assert_eq!(read(&client, get_input("k")).await.unwrap(), format!("{}{HIDDEN}", long(HIDDEN)));
        let part = api::GetObjectInput { part_number: Some(2), ..get_input("k") };
        assert_eq!(read(&client, part).await.unwrap(), HIDDEN);
    }
    // Of small parts the store's own pages may hold what was there before; files of large ones go.
    wait_for("what lay open is gone", || async {
        let mut blobs = files_below(stack.folder());
        blobs.retain(|file| file.components().any(|part| part.as_os_str() == "blobs"));
        (!blobs.is_empty() && !have(&blobs, HIDDEN.as_bytes())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_asks_for_two_layers_lies_in_two() {
    let kms = Arc::new(Kms::default());
    let (stack, client) = stack_on(&kms, StackBuilder::on_disk).await;
    heard(&kms, &client).await;
    let twice = Some(api::ServerSideEncryption::AwsKmsDsse);
    for (key, body) in [("small", HIDDEN.to_owned()), ("large", long(HIDDEN))] {
        let input = api::PutObjectInput { server_side_encryption: twice.clone(), ..under(key, &body, KEY) };
        let output = client.call(api::PutObject, input).await.unwrap();
        assert_eq!(output.server_side_encryption, twice);
        assert_eq!(
            kms.taken(),
            [of("GenerateDataKey", &format!("arn:aws:s3:::bucket/{key}"))],
            "one layer is S3's own"
        );
        assert_eq!(read(&client, get_input(key)).await.unwrap(), body);
        kms.taken();
    }
    let ranged = api::GetObjectInput { range: Some("bytes=65530-131080".into()), ..get_input("large") };
    assert_eq!(read(&client, ranged).await.unwrap(), long(HIDDEN)[65_530..=131_080]);
    let create = api::CreateMultipartUploadInput { server_side_encryption: twice, ..upload_of("parts") };
    let upload = client.call(api::CreateMultipartUpload, create).await.unwrap().upload_id.unwrap();
    let first = client.call(api::UploadPart, part_of("parts", &upload, 1, &long(HIDDEN))).await.unwrap().e_tag;
    let second = client.call(api::UploadPart, part_of("parts", &upload, 2, HIDDEN)).await.unwrap().e_tag;
    complete(&client, "parts", &upload, vec![first, second]).await;
    let part = api::GetObjectInput { part_number: Some(2), ..get_input("parts") };
    assert_eq!(read(&client, part).await.unwrap(), HIDDEN);
    let files = files_below(stack.folder());
    assert!(!have(&files, HIDDEN.as_bytes()));
    // Each chunk has a tag of each layer.
    let plain = long(HIDDEN).len();
    let sealed = 16 + plain + plain.div_ceil(64 * 1024) * 2 * 16;
    let lengths: Vec<u64> = files.iter().filter_map(|file| Some(std::fs::metadata(file).ok()?.len())).collect();
    assert!(lengths.contains(&(sealed as u64)), "{sealed} of {lengths:?}");
}

#[tokio::test]
async fn annotations_lie_as_their_objects_do() {
    let kms = Arc::new(Kms::default());
    let (stack, client) = stack_on(&kms, StackBuilder::on_disk).await;
    heard(&kms, &client).await;
    client.call(api::PutObject, under("k", "x", KEY)).await.unwrap();
    let annotate = api::PutObjectAnnotationInput {
        bucket: "bucket".into(),
        key: "k".into(),
        annotation_name: "a".into(),
        annotation_payload: fractus_wire::ByteStream::from(Bytes::from_static(HIDDEN.as_bytes())),
        ..Default::default()
    };
    kms.taken();
    client.call(api::PutObjectAnnotation, annotate).await.unwrap();
    assert_eq!(kms.taken(), [of("Decrypt", "arn:aws:s3:::bucket/k")]);
    let annotation = async |key: &str| {
        let input = api::GetObjectAnnotationInput {
            bucket: "bucket".into(),
            key: key.into(),
            annotation_name: "a".into(),
            ..Default::default()
        };
        let output = client.call(api::GetObjectAnnotation, input).await?;
        assert_eq!(output.content_length, Some(HIDDEN.len() as i64));
        Ok::<_, Failure>(String::from_utf8(output.annotation_payload.collect(1 << 20).await.unwrap().to_vec()).unwrap())
    };
    assert_eq!(annotation("k").await.unwrap(), HIDDEN);
    let copy = |to: &str, encryption| api::CopyObjectInput {
        bucket: "bucket".into(),
        key: to.into(),
        copy_source: "bucket/k".into(),
        ssekms_key_id: (encryption == api::ServerSideEncryption::AwsKms).then(|| KEY.into()),
        server_side_encryption: Some(encryption),
        ..Default::default()
    };
    client.call(api::CopyObject, copy("sealed", api::ServerSideEncryption::AwsKms)).await.unwrap();
    assert_eq!(annotation("sealed").await.unwrap(), HIDDEN);
    let update = api::UpdateObjectEncryptionInput {
        bucket: "bucket".into(),
        key: "sealed".into(),
        object_encryption: api::ObjectEncryption::Ssekms(api::SSEKMSEncryption {
            kms_key_arn: KEY.into(),
            bucket_key_enabled: Some(true),
        }),
        ..Default::default()
    };
    client.call(api::UpdateObjectEncryption, update).await.unwrap();
    assert_eq!(annotation("sealed").await.unwrap(), HIDDEN);
    assert!(!have(&files_below(stack.folder()), HIDDEN.as_bytes()));
    client.call(api::CopyObject, copy("open", api::ServerSideEncryption::Aes256)).await.unwrap();
    *kms.is_disabled.lock() = true;
    assert_eq!(annotation("open").await.unwrap(), HIDDEN);
    assert_eq!(annotation("k").await.unwrap_err().code, "KMS.DisabledException");
}

#[tokio::test]
async fn a_callers_own_key_seals_too_and_is_not_kept() {
    let stack = Stack::new().with("s3", |host| fractus_s3::start(config(), host)).on_disk().start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let_callers_bring_keys(&client).await;
    let secret = *b"a key of the caller's, 32 bytes.";
    let (key, md5) = (STANDARD.encode(secret), STANDARD.encode(Md5::digest(secret)));
    let put = |name: &str, body: String| api::PutObjectInput {
        sse_customer_algorithm: Some("AES256".into()),
        sse_customer_key: Some(key.clone()),
        sse_customer_key_md5: Some(md5.clone()),
        ..put_input(name, &body)
    };
    let get = |name: &str, range: Option<&str>| api::GetObjectInput {
        sse_customer_algorithm: Some("AES256".into()),
        sse_customer_key: Some(key.clone()),
        sse_customer_key_md5: Some(md5.clone()),
        range: range.map(str::to_owned),
        ..get_input(name)
    };
    client.call(api::PutObject, put("small", HIDDEN.into())).await.unwrap();
    client.call(api::PutObject, put("large", long(HIDDEN))).await.unwrap();
    assert_eq!(read(&client, get("small", None)).await.unwrap(), HIDDEN);
    assert_eq!(read(&client, get("large", Some("bytes=65530-65550"))).await.unwrap(), long(HIDDEN)[65_530..=65_550]);
    let files = files_below(stack.folder());
    assert!(!have(&files, HIDDEN.as_bytes()));
    assert!(!have(&files, &secret) && !have(&files, key.as_bytes()));
    let open = api::CopyObjectInput {
        bucket: "bucket".into(),
        key: "open".into(),
        copy_source: "bucket/large".into(),
        copy_source_sse_customer_algorithm: Some("AES256".into()),
        copy_source_sse_customer_key: Some(key.clone()),
        copy_source_sse_customer_key_md5: Some(md5.clone()),
        ..Default::default()
    };
    client.call(api::CopyObject, open).await.unwrap();
    assert_eq!(read(&client, get_input("open")).await.unwrap(), long(HIDDEN));
    assert!(have(&files_below(stack.folder()), HIDDEN.as_bytes()), "the copy lies open");
}
