//! Requests that botocore itself has signed, if it is installed: header, presigned, form upload, and S3's first scheme.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::process::Command;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_sigv4::post_policy::{Fields, PostPolicy, PostSignature, SizeRange};
use fractus_sigv4::{Body, ChunkedDecoder, Expectation, KeyCache, Payload, RequestSignature, RequestView};
use serde_json::Value;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SERVICES: [&str; 5] = ["s3", "sqs", "lambda", "execute-api", "sts"];

fn pairs(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    value.as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

fn verify_post(case: &Value) {
    let fields = pairs(&case["fields"]);
    let fields = Fields(&fields);
    let now = Timestamp::parse_date_time("2030-01-01T00:00:00Z").unwrap();
    let expected = Expectation::new(&SERVICES, now).in_region("eu-west-1");
    let signature = PostSignature::parse(fields).unwrap();
    signature.verify(SECRET, &expected, &KeyCache::default()).unwrap();
    assert!(signature.verify("other", &expected, &KeyCache::default()).is_err());
    let policy = PostPolicy::parse(signature.policy).unwrap();
    assert_eq!(policy.check(fields, "bucket", now), Ok(SizeRange { min: 1, max: 10 }));
}

fn verify_request(case: &Value) {
    let text = |name: &str| case[name].as_str().unwrap();
    let mut builder = http::Request::builder().method(text("method")).uri(text("url"));
    for (name, value) in pairs(&case["headers"]) {
        builder = builder.header(name, value);
    }
    let parts = builder.body(()).unwrap().into_parts().0;
    let view = RequestView::from(&parts);
    let signature = RequestSignature::parse(&view).unwrap_or_else(|error| panic!("{case}: {error}"));
    let body = latin1(&case["body"]);
    let keys = KeyCache::default();
    let expected = Expectation::new(&SERVICES, signature.signed_at);
    let expected = if text("kind") == "v2" { expected } else { expected.in_region("eu-west-1") };
    let expected = Expectation { host_bucket: Some("bucket"), ..expected };
    let verified = signature.verify(&view, Body::Bytes(&body), SECRET, &expected, &keys);
    let verified = verified.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    assert!(signature.verify(&view, Body::Bytes(&body), "other", &expected, &keys).is_err());
    let streaming = matches!(verified.payload, Payload::Streaming { .. });
    assert_eq!(streaming, text("kind") == "streaming");
}

/// What botocore sends over TLS: an unsigned `aws-chunked` body with its checksum as a trailer.
fn decode_chunked(case: &Value) {
    let payload = Payload::parse("STREAMING-UNSIGNED-PAYLOAD-TRAILER").unwrap();
    let decoder = ChunkedDecoder::new(payload, None, case["size"].as_u64());
    let mut decoder = decoder.unwrap().announced("x-amz-checksum-crc32");
    let mut body = Bytes::from(latin1(&case["body"]));
    let mut data = Vec::new();
    while let Some(piece) = decoder.decode(&mut body).unwrap() {
        data.extend_from_slice(&piece);
    }
    let trailers = decoder.finish().unwrap();
    assert_eq!(trailers[0].0, "x-amz-checksum-crc32");
    assert!(data.iter().enumerate().all(|(index, byte)| usize::from(*byte) == index % 251));
}

fn latin1(text: &Value) -> Vec<u8> {
    text.as_str().unwrap().chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

#[test]
fn verifies_what_botocore_signs() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/botocore_requests.py");
    let Ok(output) = Command::new("python3").arg(script).output() else {
        return println!("python3 is not there; nothing to compare with");
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("ModuleNotFoundError") {
        return println!("botocore is not installed; nothing to compare with");
    }
    assert!(output.status.success(), "{errors}");
    let cases: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(cases.len(), 57);
    for case in &cases {
        match case["kind"].as_str() {
            Some("post") => verify_post(case),
            Some("chunked") => decode_chunked(case),
            _ => verify_request(case),
        }
    }
}
