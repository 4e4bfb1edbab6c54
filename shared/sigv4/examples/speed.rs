//! What a verification costs: `cargo run --release -p fractus-sigv4 --example speed`.
#![allow(clippy::print_stdout)] // the program's whole purpose

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use fractus_clock::{Stopwatch, Timestamp};
use fractus_sigv4::{
    Body, ChunkedDecoder, ChunkedEncoder, CredentialScope, Expectation, KeyCache, Payload, RequestSignature,
    RequestView, Scheme, SignError, Signer,
};
use http::request::Parts;

const ROUNDS: u32 = 200_000;

fn measure(what: &str, mut step: impl FnMut() -> bool) {
    let watch = Stopwatch::start();
    let good = (0..ROUNDS).filter(|_| step()).count();
    println!("{what}: {:?} each ({good} of {ROUNDS})", watch.elapsed() / ROUNDS);
}

fn parts(service: &str) -> Parts {
    let mut parts = http::Request::new(()).into_parts().0;
    parts.method = http::Method::POST;
    let mut insert = |name: &'static str, value: &str| {
        if let Ok(value) = value.parse() {
            parts.headers.insert(name, value);
        }
    };
    insert("host", &format!("{service}.eu-west-1.localhost:4566"));
    insert("content-type", "application/x-amz-json-1.0");
    insert("x-amz-target", "AmazonSQS.SendMessage");
    insert("content-length", "150");
    insert("amz-sdk-invocation-id", "6b3d2b5e-3a0e-4a51-8f0c-0d1f8f3f4c55");
    insert("amz-sdk-request", "attempt=1");
    parts
}

fn main() -> Result<(), SignError> {
    let (keys, time) = (KeyCache::default(), Timestamp::from_secs(1_700_000_000));
    let signer = Signer {
        access_key: "AKIAIOSFODNN7EXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        token: None,
        service: "sqs",
        region: "eu-west-1",
        time,
        scheme: Scheme::V4,
    };
    let body = vec![b'x'; 150];
    let mut header = parts("sqs");
    signer.sign(&mut header, &Payload::of(&body), &keys)?;
    let view = RequestView::from(&header);
    measure("credential scope of a header", || CredentialScope::of(black_box(&view)).is_some());
    measure("read a header", || RequestSignature::parse(black_box(&view)).is_ok());
    measure("a signing key from the cache", || {
        black_box(keys.get(signer.secret, "20231114", "eu-west-1", black_box("sqs")));
        true
    });
    let key = keys.get(signer.secret, "20231114", "eu-west-1", "sqs");
    measure("one HMAC", || key.sign(black_box(b"0123456789012345678901234567890123456789")) != [0; 64]);
    measure("one SHA-256 of 600 bytes", || fractus_sigv4::sha256(black_box(&[7; 600])) != [0; 32]);
    let expected = Expectation::new(&["sqs"], time).in_region("eu-west-1");
    let verify = |view: &RequestView<'_>, body: Body<'_>, expected: &Expectation<'_>| {
        RequestSignature::parse(view).and_then(|signature| signature.verify(view, body, signer.secret, expected, &keys))
    };
    measure("verify a header, body of 150 bytes", || verify(black_box(&view), Body::Bytes(&body), &expected).is_ok());

    let s3 = Signer { service: "s3", ..signer };
    let expected = Expectation::new(&["s3"], time).in_region("eu-west-1");
    let mut presigned = parts("s3");
    s3.presign(&mut presigned, &Payload::Unsigned, Duration::from_secs(60), &keys)?;
    let view = RequestView::from(&presigned);
    measure("verify a presigned URL", || verify(black_box(&view), Body::Unread, &expected).is_ok());

    let mut streaming = parts("s3");
    for name in ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"] {
        let Some(payload) = Payload::parse(name) else { continue };
        let signed = s3.sign(&mut streaming, &payload, &keys)?;
        let seed = Some(signed.chunk_seed).filter(|_| !name.contains("UNSIGNED"));
        let mut encoder = ChunkedEncoder::new(seed.clone(), true);
        let mut body = Vec::new();
        (0..128).for_each(|_| body.extend(encoder.chunk(&[7; 65_536])));
        body.extend(encoder.finish(&[]));
        let body = Bytes::from(body);
        let watch = Stopwatch::start();
        let rounds = 20;
        for _ in 0..rounds {
            let Some(mut decoder) = ChunkedDecoder::new(payload, seed.clone(), None) else { continue };
            for start in (0..body.len()).step_by(65_536) {
                let mut piece = body.slice(start..body.len().min(start + 65_536));
                while let Ok(Some(data)) = decoder.decode(&mut piece) {
                    black_box(data);
                }
            }
            if decoder.finish().is_err() {
                println!("{name}: refused");
            }
        }
        println!("{name}: {:?} for 8 MiB", watch.elapsed() / rounds);
    }
    Ok(())
}
