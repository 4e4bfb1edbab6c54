//! Requests that no SDK would send, and what is said of them.

use fractus_s3_api as api;
use http::{Method, Request};

use crate::{bucket, client_of, plain, read, s3, text};

/// Sends a request as it is; its status and its code.
async fn refused(
    stack: &fractus_testkit::Stack,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut request = Request::builder().method(method).header("x-amz-content-sha256", "UNSIGNED-PAYLOAD").header(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=test/20300101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
    );
    if !body.is_empty() {
        request = request.header("content-length", body.len());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = plain(stack, request, path, body.to_owned()).await;
    let words = text(&answer);
    let code = words.split("<Code>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default();
    (answer.status().as_u16(), code.to_owned())
}

fn said(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_batch_of_deletes_comes_with_a_digest() {
    let stack = s3().start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let input = api::PutObjectInput { bucket: "bucket".into(), key: "k".into(), ..Default::default() };
    client.call(api::PutObject, input).await.unwrap();
    let batch = "<Delete><Object><Key>k</Key></Object></Delete>";
    let send = async |headers: &[(&str, &str)]| refused(&stack, Method::POST, "/bucket?delete", headers, batch).await;
    assert_eq!(send(&[]).await, said(400, "InvalidRequest"));
    assert_eq!(send(&[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")]).await, said(400, "BadDigest"));
    assert_eq!(read(&client, "k").await, "");
    let mut hasher = fractus_s3::model::checksum::Algorithm::Crc32c.hasher();
    hasher.update(batch.as_bytes());
    let digest = fractus_s3::model::checksum::encode(&hasher.finish());
    assert_eq!(send(&[("x-amz-checksum-crc32c", &digest)]).await, said(200, ""));
    for path in ["/bucket?cors", "/bucket?lifecycle", "/bucket?replication", "/bucket?tagging", "/bucket?object-lock"] {
        let answer = refused(&stack, Method::PUT, path, &[], "<a/>").await;
        assert_eq!(answer, said(400, "InvalidRequest"), "{path}");
    }
    let tags = "<Tagging><TagSet/></Tagging>";
    assert_eq!(refused(&stack, Method::PUT, "/bucket/none?tagging", &[], tags).await, said(404, "NoSuchKey"));
}

#[tokio::test]
async fn what_is_wrong_with_a_head_is_told() {
    let stack = s3().start().await;
    bucket(&client_of(&stack), "bucket").await;
    let get = async |path: &str| refused(&stack, Method::GET, path, &[], "").await;
    assert_eq!(get("/bucket/%ff").await, said(400, "InvalidURI"));
    assert_eq!(get("/no!bucket/k").await, said(400, "InvalidBucketName"));
    assert_eq!(get("/No_Bucket/k").await, said(404, "NoSuchBucket"));
    for path in ["/bucket?max-keys=many", "/bucket?uploads&max-uploads=9999999999", "/bucket/k?partNumber=one"] {
        assert_eq!(get(path).await, said(400, "InvalidArgument"), "{path}");
    }
    assert_eq!(refused(&stack, Method::PUT, "/bucket/k", &[], "").await, said(411, "MissingContentLength"));
    assert_eq!(refused(&stack, Method::POST, "/bucket/k", &[], "x").await, said(405, "MethodNotAllowed"));
    assert_eq!(refused(&stack, Method::PUT, "/", &[], "x").await, said(405, "MethodNotAllowed"));
    for headers in [&[][..], &[("x-amz-copy-source", "/bucket/k")]] {
        let put = async |path: &str| refused(&stack, Method::PUT, path, headers, "x").await;
        assert_eq!(put("/bucket/k?partNumber=1").await, said(400, "InvalidArgument"));
        assert_eq!(put("/bucket/k?uploadId=none").await, said(405, "MethodNotAllowed"));
    }
    let parts = "<CompleteMultipartUpload><Part><PartNumber>0</PartNumber></Part></CompleteMultipartUpload>";
    let complete = refused(&stack, Method::POST, "/bucket/k?uploadId=none", &[], parts).await;
    assert_eq!(complete, said(400, "InvalidArgument"));
}

#[tokio::test]
async fn checksums_are_what_is_said_of_them() {
    let stack = s3().start().await;
    bucket(&client_of(&stack), "bucket").await;
    let put = async |headers: &[(&str, &str)]| refused(&stack, Method::PUT, "/bucket/k", headers, "hello").await;
    let crc = ("x-amz-checksum-crc32", "NhCmhg==");
    assert_eq!(put(&[crc]).await, said(200, ""));
    assert_eq!(put(&[crc, ("x-amz-sdk-checksum-algorithm", "crc32")]).await, said(200, ""));
    for headers in [
        &[("x-amz-sdk-checksum-algorithm", "CRC32")][..],
        &[crc, ("x-amz-sdk-checksum-algorithm", "SHA1")],
        &[crc, ("x-amz-checksum-sha1", "")],
        &[("x-amz-checksum-crc16", "AAA=")],
        &[("x-amz-trailer", "x-amz-checksum-crc16")],
        &[("x-amz-object-lock-legal-hold", "ON"), ("x-amz-object-lock-mode", "GOVERNANCE")],
    ] {
        let (status, code) = put(headers).await;
        assert_eq!(status, 400, "{headers:?}: {code}");
    }
}

/// A body in chunks of AWS's own, with trailers behind it.
async fn chunked(stack: &fractus_testkit::Stack, announced: &str, trailers: &str) -> (u16, String) {
    let body = format!("5\r\nhello\r\n0\r\n{trailers}\r\n");
    let request = Request::builder()
        .method(Method::PUT)
        .header("content-encoding", "aws-chunked")
        .header("content-length", body.len())
        .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("x-amz-decoded-content-length", "5")
        .header("x-amz-trailer", announced)
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20300101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
        );
    let answer = plain(stack, request, "/bucket/k", body).await;
    let words = text(&answer);
    let code = words.split("<Code>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default();
    (answer.status().as_u16(), code.to_owned())
}

#[tokio::test]
async fn what_trails_is_what_was_announced() {
    let stack = s3().start().await;
    bucket(&client_of(&stack), "bucket").await;
    let crc = "x-amz-checksum-crc32";
    assert_eq!(chunked(&stack, crc, "x-amz-checksum-crc32:NhCmhg==\r\n").await, said(200, ""));
    assert_eq!(chunked(&stack, crc, "x-amz-checksum-crc32:AAAAAA==\r\n").await, said(400, "BadDigest"));
    assert_eq!(chunked(&stack, crc, "x-amz-checksum-crc32:nothing\r\n").await, said(400, "InvalidRequest"));
    for trailers in ["", "x-amz-checksum-sha1:AAAA\r\n", "nothing\r\n"] {
        assert_eq!(chunked(&stack, crc, trailers).await, said(400, "MalformedTrailerError"), "{trailers}");
    }
    assert_eq!(chunked(&stack, "x-amz-meta-a", "").await, said(400, "InvalidRequest"));
}

#[tokio::test]
async fn every_answer_names_its_server() {
    let stack = s3().start().await;
    for (method, path) in [(Method::GET, "/"), (Method::GET, "/bucket/k"), (Method::PATCH, "/bucket/k")] {
        let answer = plain(&stack, Request::builder().method(method), path, String::new()).await;
        assert_eq!(answer.headers().get("server").unwrap(), "AmazonS3", "{path}");
    }
}

#[tokio::test]
async fn of_several_errors_the_first_is_told() {
    let stack = s3().start().await;
    bucket(&client_of(&stack), "bucket").await;
    let put = async |path: &str, headers: &[(&str, &str)]| refused(&stack, Method::PUT, path, headers, "x").await;
    let wrong = ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
    let odd = ("x-amz-storage-class", "ODD");
    assert_eq!(put("/none/k", &[odd, wrong]).await, said(400, "InvalidStorageClass"));
    assert_eq!(put("/none/k", &[wrong]).await, said(404, "NoSuchBucket"));
    assert_eq!(put("/bucket/k", &[wrong, ("if-match", "*")]).await, said(400, "BadDigest"));
    assert_eq!(put("/bucket/k", &[("if-match", "*")]).await, said(404, "NoSuchKey"));
    assert_eq!(put("/none?tagging", &[wrong]).await, said(400, "BadDigest"), "of a document it is told first");
    let get = async |path: &str| refused(&stack, Method::GET, path, &[], "").await;
    assert_eq!(get("/none?list-type=2&max-keys=-1").await, said(400, "InvalidArgument"));
    assert_eq!(get("/none/k?versionId=odd").await, said(404, "NoSuchBucket"));
    assert_eq!(get("/bucket/k?versionId=odd").await, said(400, "InvalidArgument"));
}
