//! The examples of S3's documentation:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::time::Duration;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_sigv4::{
    Body, ChunkError, ChunkedDecoder, ChunkedEncoder, Expectation, KeyCache, Payload, RequestSignature, RequestView,
    Scheme, SignatureError, Signed, Signer, Verified,
};
use http::request::Parts;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn midnight() -> Timestamp {
    Timestamp::parse_amz_date("20130524T000000Z").unwrap()
}

fn signer() -> Signer<'static> {
    Signer {
        access_key: "AKIAIOSFODNN7EXAMPLE",
        secret: SECRET,
        token: None,
        service: "s3",
        region: "us-east-1",
        time: midnight(),
        scheme: Scheme::V4,
    }
}

fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut builder = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

fn verify(parts: &Parts, body: Body<'_>, now: Timestamp) -> Result<Verified, SignatureError> {
    let view = RequestView::from(parts);
    let expected = Expectation::new(&["s3"], now).in_region("us-east-1");
    RequestSignature::parse(&view)?.verify(&view, body, SECRET, &expected, &KeyCache::default())
}

fn sign(parts: &mut Parts, payload: &Payload, expected: &str) -> Signed {
    let signed = signer().sign(parts, payload, &KeyCache::default()).unwrap();
    assert_eq!(signed.signature, expected, "{}", signed.canonical_request);
    signed
}

#[test]
fn get_object() {
    let mut parts = request("GET", "https://examplebucket.s3.amazonaws.com/test.txt", &[("range", "bytes=0-9")]);
    sign(&mut parts, &Payload::of(b""), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    verify(&parts, Body::Bytes(b""), midnight()).unwrap();
    assert!(matches!(verify(&parts, Body::Bytes(b"x"), midnight()), Err(SignatureError::PayloadHashMismatch { .. })));
}

#[test]
fn put_object() {
    let uri = "https://examplebucket.s3.amazonaws.com/test%24file.text";
    let headers = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
    let mut parts = request("PUT", uri, &headers);
    let body = b"Welcome to Amazon S3.";
    sign(&mut parts, &Payload::of(body), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    verify(&parts, Body::Bytes(body), midnight()).unwrap();
    // A sender that leaves the dollar sign bare in the target means the same object.
    parts.uri = "https://examplebucket.s3.amazonaws.com/test$file.text".parse().unwrap();
    verify(&parts, Body::Bytes(body), midnight()).unwrap();
    parts.headers.insert("x-amz-acl", "public-read".parse().unwrap());
    assert_eq!(
        verify(&parts, Body::Bytes(body), midnight()).unwrap_err(),
        SignatureError::HeadersNotSigned(vec!["x-amz-acl".into()])
    );
}

#[test]
fn get_bucket_lifecycle_and_list_objects() {
    let mut parts = request("GET", "https://examplebucket.s3.amazonaws.com/?lifecycle", &[]);
    sign(&mut parts, &Payload::of(b""), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    verify(&parts, Body::Bytes(b""), midnight()).unwrap();
    let mut parts = request("GET", "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", &[]);
    sign(&mut parts, &Payload::of(b""), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    verify(&parts, Body::Bytes(b""), midnight()).unwrap();
}

#[test]
fn presigned_get_object() {
    let mut parts = request("GET", "https://examplebucket.s3.amazonaws.com/test.txt", &[]);
    let day = Duration::from_secs(86_400);
    signer().presign(&mut parts, &Payload::Unsigned, day, &KeyCache::default()).unwrap();
    assert_eq!(
        parts.uri.to_string(),
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
    verify(&parts, Body::Unread, midnight()).unwrap();
    verify(&parts, Body::Unread, midnight().plus(day)).unwrap();
    let late = midnight().plus(day).plus(Duration::from_micros(1));
    assert!(matches!(verify(&parts, Body::Unread, late), Err(SignatureError::RequestExpired { .. })));
    let early = midnight().minus(Duration::from_secs(901));
    assert!(matches!(verify(&parts, Body::Unread, early), Err(SignatureError::NotYetValid { .. })));
}

fn decode(
    payload: Payload,
    verified: &Verified,
    body: &[u8],
    step: usize,
) -> Result<(Vec<u8>, Vec<String>), ChunkError> {
    let mut decoder = ChunkedDecoder::new(payload, verified.chunks.clone(), Some(66_560)).unwrap();
    let mut data = Vec::new();
    for piece in body.chunks(step) {
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(decoded) = decoder.decode(&mut piece)? {
            data.extend_from_slice(&decoded);
        }
    }
    let trailers = decoder.finish()?.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok((data, trailers))
}

fn chunked_body(signatures: &[&str], end: &str) -> Vec<u8> {
    let a = |count| "a".repeat(count);
    let [first, second, last] = signatures else { panic!("three chunks") };
    format!(
        "10000;chunk-signature={first}\r\n{}\r\n400;chunk-signature={second}\r\n{}\r\n0;chunk-signature={last}\r\n{end}",
        a(65_536),
        a(1024)
    )
    .into_bytes()
}

#[test]
fn chunked_upload() {
    let payload = Payload::parse("STREAMING-AWS4-HMAC-SHA256-PAYLOAD").unwrap();
    let headers = [
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
    ];
    let mut parts = request("PUT", "https://s3.amazonaws.com/examplebucket/chunkObject.txt", &headers);
    let signed = sign(&mut parts, &payload, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
    let verified = verify(&parts, Body::Unread, midnight()).unwrap();
    assert_eq!(verified.payload, payload);
    let signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];
    let body = chunked_body(&signatures, "\r\n");
    assert_eq!(body.len(), 66_824);
    for step in [1, 7, 4096, body.len()] {
        assert_eq!(decode(payload, &verified, &body, step), Ok(("a".repeat(66_560).into_bytes(), vec![])));
    }
    let mut encoder = ChunkedEncoder::new(Some(signed.chunk_seed), false);
    let mut written = encoder.chunk(&[b'a'; 65_536]);
    written.extend(encoder.chunk(&[b'a'; 1024]));
    written.extend(encoder.finish(&[]));
    assert_eq!(written, body);

    let mut broken = body.clone();
    broken[40_000] = b'b';
    assert!(matches!(decode(payload, &verified, &broken, 4096), Err(ChunkError::SignatureDoesNotMatch(_))));
    assert_eq!(decode(payload, &verified, &body[..body.len() - 20], 4096), Err(ChunkError::Incomplete));
}

#[test]
fn chunked_upload_with_trailer() {
    let payload = Payload::parse("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER").unwrap();
    let headers = [
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-trailer", "x-amz-checksum-crc32c"),
    ];
    let mut parts = request("PUT", "https://s3.amazonaws.com/examplebucket/chunkObject.txt", &headers);
    sign(&mut parts, &payload, "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
    let verified = verify(&parts, Body::Unread, midnight()).unwrap();
    let signatures = [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ];
    let signature = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
    let documented = format!("x-amz-checksum-crc32c:sOO8/Q==\n\r\nx-amz-trailer-signature:{signature}\r\n\r\n");
    let usual = format!("x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:{signature}\r\n\r\n");
    for end in [&documented, &usual] {
        let body = chunked_body(&signatures, end);
        for step in [1, 1000, body.len()] {
            let (data, trailers) = decode(payload, &verified, &body, step).unwrap();
            assert_eq!((data.len(), trailers), (66_560, vec!["x-amz-checksum-crc32c=sOO8/Q==".to_owned()]));
        }
    }
    let wrong = chunked_body(&signatures, &usual.replace("sOO8", "sOO9"));
    assert!(matches!(decode(payload, &verified, &wrong, 4096), Err(ChunkError::SignatureDoesNotMatch(_))));
    let missing = chunked_body(&signatures, "x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n");
    assert_eq!(decode(payload, &verified, &missing, 4096), Err(ChunkError::MissingTrailerSignature));
}
