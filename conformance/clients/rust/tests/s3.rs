//! S3 with the SDK's defaults: the bucket's own host, a CRC of every body.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use fractus_rust_clients::{config, unique};

async fn bucket() -> (aws_sdk_s3::Client, String) {
    let s3 = aws_sdk_s3::Client::new(&config().await);
    let name = unique("rust");
    s3.create_bucket().bucket(&name).send().await.unwrap();
    (s3, name)
}

async fn remove(s3: &aws_sdk_s3::Client, bucket: &str) {
    let listed = s3.list_objects_v2().bucket(bucket).send().await.unwrap();
    let keys = listed.contents().iter().map(|one| ObjectIdentifier::builder().key(one.key().unwrap()).build().unwrap());
    let delete = Delete::builder().set_objects(Some(keys.collect())).build().unwrap();
    s3.delete_objects().bucket(bucket).delete(delete).send().await.unwrap();
    s3.delete_bucket().bucket(bucket).send().await.unwrap();
}

#[tokio::test]
async fn an_object_goes_to_the_buckets_own_host_and_comes_back() {
    let (s3, bucket) = bucket().await;
    let put = s3.put_object().bucket(&bucket).key("dir/a b+ü?").metadata("colour", "blue");
    let put = put.body(ByteStream::from_static(b"hello")).send().await.unwrap();
    assert!(
        put.checksum_crc32().is_some() || put.checksum_crc64_nvme().is_some(),
        "today's SDKs send a checksum unasked: {put:?}"
    );
    let got = s3.get_object().bucket(&bucket).key("dir/a b+ü?").send().await.unwrap();
    assert_eq!(got.metadata().unwrap()["colour"], "blue");
    assert_eq!(got.e_tag(), put.e_tag());
    // The SDK compares the checksum while it reads.
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "hello");
    let error = s3.get_object().bucket(&bucket).key("missing").send().await.unwrap_err().into_service_error();
    assert!(error.is_no_such_key(), "{error:?}");
    remove(&s3, &bucket).await;
}

#[tokio::test]
async fn parts_become_an_object() {
    let (s3, bucket) = bucket().await;
    let upload = s3.create_multipart_upload().bucket(&bucket).key("big").send().await.unwrap().upload_id.unwrap();
    let mut parts = Vec::new();
    for (number, size) in [(1, 5 << 20), (2, 1 << 10)] {
        let body = ByteStream::from(vec![b'a' + number as u8; size]);
        let part = s3
            .upload_part()
            .bucket(&bucket)
            .key("big")
            .upload_id(&upload)
            .part_number(number)
            .body(body)
            .send()
            .await
            .unwrap();
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(part.e_tag)
                .set_checksum_crc32(part.checksum_crc32)
                .set_checksum_crc64_nvme(part.checksum_crc64_nvme)
                .build(),
        );
    }
    let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let done = s3
        .complete_multipart_upload()
        .bucket(&bucket)
        .key("big")
        .upload_id(upload)
        .multipart_upload(all)
        .send()
        .await
        .unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""), "{done:?}");
    let range = s3.get_object().bucket(&bucket).key("big").range("bytes=5242879-5242880").send().await.unwrap();
    assert_eq!(range.content_range(), Some("bytes 5242879-5242880/5243904"));
    assert_eq!(range.body.collect().await.unwrap().into_bytes(), "bc");
    remove(&s3, &bucket).await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    let (s3, bucket) = bucket().await;
    for number in 0..7 {
        s3.put_object()
            .bucket(&bucket)
            .key(format!("{number}"))
            .body(ByteStream::from_static(b""))
            .send()
            .await
            .unwrap();
    }
    let mut pages = s3.list_objects_v2().bucket(&bucket).into_paginator().page_size(3).send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().contents().len());
    }
    assert_eq!(sizes, [3, 3, 1]);
    remove(&s3, &bucket).await;
}

#[tokio::test]
async fn a_presigned_url_names_the_buckets_host_and_is_taken() {
    let (s3, bucket) = bucket().await;
    s3.put_object().bucket(&bucket).key("k").body(ByteStream::from_static(b"signed")).send().await.unwrap();
    let hour = PresigningConfig::expires_in(Duration::from_secs(3600)).unwrap();
    let signed = s3.get_object().bucket(&bucket).key("k").presigned(hour).await.unwrap();
    assert!(
        signed.uri().contains(&format!("{bucket}.localhost")) || !signed.uri().contains("localhost"),
        "{}",
        signed.uri()
    );
    assert_eq!(fetch(signed.uri()), "signed");
    remove(&s3, &bucket).await;
}

/// What a tool without an SDK gets: plain HTTP to this machine, with the URL's own host in the header.
fn fetch(url: &str) -> String {
    use std::io::{Read, Write};
    let rest = url.strip_prefix("http://").unwrap();
    let (host, target) = rest.split_at(rest.find('/').unwrap());
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
    let mut stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    body.to_owned()
}
