//! Properties: what is signed verifies, what is changed does not, and no bytes whatever upset the decoder.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::time::Duration;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_sigv4::post_policy::{Fields, PostPolicy, PostSignature};
use fractus_sigv4::{
    Body, ChunkError, ChunkedDecoder, ChunkedEncoder, CredentialScope, Expectation, KeyCache, Payload,
    RequestSignature, RequestView, Scheme, SignatureError, Signer, Trailers, Verified, uri_encode,
};
use http::HeaderValue;
use http::request::Parts;
use proptest::prelude::*;

const SECRET: &str = "secret";

fn now() -> Timestamp {
    Timestamp::from_secs(1_700_000_000)
}

fn signer(service: &'static str, scheme: Scheme, token: Option<&'static str>) -> Signer<'static> {
    Signer { access_key: "AKID", secret: SECRET, token, service, region: "eu-west-1", time: now(), scheme }
}

fn request() -> impl Strategy<Value = Parts> {
    let text = "[ -~äé€]{0,12}";
    let pairs = proptest::collection::vec((text, text), 0..4);
    let metas = proptest::collection::vec("[!-~]{0,8}( {0,3}[!-~]{1,4}){0,2}", 0..3);
    let path = proptest::collection::vec(text, 0..4);
    (prop_oneof!["GET", "PUT", "POST"], path, pairs, metas).prop_map(|(method, path, pairs, metas)| {
        let path: Vec<String> = path.iter().map(|part| uri_encode(part)).collect();
        let query: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{}={}", uri_encode(name), uri_encode(value))).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let uri = format!("https://host.example/{}{query}", path.join("/"));
        let mut builder = http::Request::builder().method(method.as_str()).uri(uri);
        for meta in metas {
            builder = builder.header("x-amz-meta-a", meta);
        }
        builder.body(()).unwrap().into_parts().0
    })
}

fn verify(parts: &Parts, body: Body<'_>, service: &str) -> Result<Verified, SignatureError> {
    let view = RequestView::from(parts);
    let services = [service];
    let expected = Expectation::new(&services, now().plus(Duration::from_secs(60))).in_region("eu-west-1");
    let signature = RequestSignature::parse(&view)?;
    // The key's name is not signed: another name is another secret.
    let secret = if signature.access_key() == "AKID" { SECRET } else { "another" };
    signature.verify(&view, body, secret, &expected, &KeyCache::with_capacity(4))
}

fn flip(text: &str, at: usize) -> String {
    let at = at % text.len();
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_what_is_changed_does_not(
        mut parts in request(),
        body in proptest::collection::vec(any::<u8>(), 0..64),
        s3 in any::<bool>(),
        token in any::<bool>(),
        at in any::<usize>(),
    ) {
        let service = if s3 { "s3" } else { "sqs" };
        let signer = signer(service, Scheme::V4, token.then_some("token+/="));
        let signed = signer.sign(&mut parts, &Payload::of(&body), &KeyCache::with_capacity(4)).unwrap();
        prop_assert!(verify(&parts, Body::Bytes(&body), service).is_ok());

        let mut longer = body.clone();
        longer.push(1);
        prop_assert!(verify(&parts, Body::Bytes(&longer), service).is_err());

        let authorization = parts.headers["authorization"].to_str().unwrap().to_owned();
        let signature = flip(&signed.signature, at);
        let changed = authorization.replace(&signed.signature, &signature);
        parts.headers.insert("authorization", HeaderValue::from_str(&changed).unwrap());
        prop_assert!(verify(&parts, Body::Bytes(&body), service).is_err());
        parts.headers.insert("authorization", HeaderValue::from_str(&authorization).unwrap());

        parts.headers.append("x-amz-meta-a", HeaderValue::from_static("more"));
        prop_assert!(verify(&parts, Body::Bytes(&body), service).is_err() || !signed.canonical_request.contains("x-amz-meta-a"));
        parts.headers.remove("x-amz-meta-a");

        parts.uri = format!("https://host.example/other{}", parts.uri.path()).parse().unwrap();
        prop_assert!(verify(&parts, Body::Bytes(&body), service).is_err());
    }

    #[test]
    fn any_changed_byte_of_the_head_is_refused(at in any::<usize>(), byte in 0x21u8..0x7f) {
        let uri = "https://host.example/path/to?list-type=2&prefix=a";
        let mut parts = http::Request::builder().uri(uri).header("x-amz-meta-a", "value").body(()).unwrap().into_parts().0;
        signer("s3", Scheme::V4, None).sign(&mut parts, &Payload::of(b""), &KeyCache::default()).unwrap();
        let names: Vec<String> = parts.headers.keys().map(ToString::to_string).collect();
        let name = &names[at % names.len()];
        let mut value = parts.headers[name.as_str()].as_bytes().to_vec();
        let index = (at / names.len()) % value.len();
        // The separators of the Authorization header may be written in more than one way.
        prop_assume!(value[index] != byte && value[index] != b' ' && value[index] != b',' && byte != b',');
        value[index] = byte;
        parts.headers.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(&value).unwrap());
        prop_assert!(verify(&parts, Body::Unread, "s3").is_err(), "{name}: {value:?}");
    }

    #[test]
    fn what_is_presigned_verifies(mut parts in request(), s3 in any::<bool>(), at in any::<usize>()) {
        let service = if s3 { "s3" } else { "sqs" };
        let payload = if s3 { Payload::Unsigned } else { Payload::of(b"") };
        let week = Duration::from_secs(604_800);
        signer(service, Scheme::V4, Some("tok&en")).presign(&mut parts, &payload, week, &KeyCache::default()).unwrap();
        prop_assert!(verify(&parts, Body::Bytes(b""), service).is_ok(), "{}", parts.uri);
        let uri = parts.uri.to_string();
        let start = uri.find("X-Amz-Algorithm").unwrap();
        let changed = format!("{}{}", &uri[..start], flip(&uri[start..], at));
        if changed != uri && let Ok(uri) = changed.parse() {
            parts.uri = uri;
            prop_assert!(verify(&parts, Body::Bytes(b""), service).is_err(), "{changed}");
        }
    }

    #[test]
    fn no_text_upsets_the_readers(authorization in "[ -~]{0,80}", query in "[!-~]{0,120}", date in "[ -~]{0,20}") {
        let mut parts = http::Request::new(()).into_parts().0;
        for authorization in [authorization.clone(), format!("AWS4-HMAC-SHA256 {authorization}"), format!("AWS {authorization}")] {
            parts.headers.insert("authorization", HeaderValue::from_str(&authorization).unwrap());
            parts.headers.insert("x-amz-date", HeaderValue::from_str(&date).unwrap());
            let view = RequestView::from(&parts);
            let _ = CredentialScope::of(&view);
            let _ = RequestSignature::parse(&view).map_err(|error| error.answer(fractus_sigv4::Dialect::S3));
            let _ = verify(&parts, Body::Bytes(b""), "s3");
        }
        parts.headers.clear();
        for query in [query.clone(), format!("X-Amz-Credential={query}"), format!("X-Amz-Algorithm=AWS4-HMAC-SHA256&{query}")] {
            let view = RequestView { query: &query, ..RequestView::from(&parts) };
            let _ = CredentialScope::of(&view);
            let _ = RequestSignature::parse(&view);
        }
        let form = vec![("policy".to_owned(), query), ("x-amz-credential".to_owned(), authorization)];
        let _ = PostSignature::parse(Fields(&form));
        let _ = PostPolicy::parse(&form[0].1);
    }
}

fn decode(
    payload: Payload,
    seed: Option<fractus_sigv4::ChunkSeed>,
    body: &[u8],
    cuts: &[usize],
) -> Result<(Vec<u8>, Trailers), ChunkError> {
    let mut decoder = ChunkedDecoder::new(payload, seed, None).unwrap();
    let mut data = Vec::new();
    let mut rest = body;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let length = cuts.next().copied().unwrap_or(rest.len()).clamp(1, rest.len());
        let (piece, tail) = rest.split_at(length);
        rest = tail;
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(decoded) = decoder.decode(&mut piece)? {
            data.extend_from_slice(&decoded);
        }
    }
    Ok((data, decoder.finish()?))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunked_bodies_come_back_however_they_are_cut(
        chunks in proptest::collection::vec(8192usize..20_000, 0..4),
        last in 0usize..8192,
        cuts in proptest::collection::vec(1usize..9000, 1..6),
        name in prop_oneof![
            Just("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            Just("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
            Just("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ],
        at in any::<usize>(),
    ) {
        let payload = Payload::parse(name).unwrap();
        let signed_chunks = !name.contains("UNSIGNED");
        let mut parts = http::Request::builder().method("PUT").uri("https://host.example/k").body(()).unwrap().into_parts().0;
        let signed = signer("s3", Scheme::V4, None).sign(&mut parts, &payload, &KeyCache::default()).unwrap();
        let verified = verify(&parts, Body::Unread, "s3").unwrap();
        prop_assert_eq!(verified.chunks.is_some(), signed_chunks);

        let has_trailer = name.ends_with("TRAILER");
        let trailers = if has_trailer { vec![("x-amz-checksum-crc32".to_owned(), "AAAAAA==".to_owned())] } else { vec![] };
        let mut encoder = ChunkedEncoder::new(signed.chunk_seed.into_some(signed_chunks), has_trailer);
        let (mut body, mut data) = (Vec::new(), Vec::new());
        for (index, size) in chunks.into_iter().chain((last > 0).then_some(last)).enumerate() {
            let chunk = vec![u8::try_from(index).unwrap(); size];
            body.extend(encoder.chunk(&chunk));
            data.extend(chunk);
        }
        body.extend(encoder.finish(&trailers));
        prop_assert_eq!(decode(payload, verified.chunks.clone(), &body, &cuts), Ok((data, trailers)));

        // Without a key the signatures are read over.
        prop_assert!(decode(payload, None, &body, &cuts).is_ok());
        if signed_chunks {
            let at = at % (body.len() - 2);
            let mut broken = body;
            broken[at] ^= 1;
            let result = decode(payload, verified.chunks, &broken, &cuts);
            // A line end may be written as a line feed alone, and hexadecimal in either case.
            prop_assert!(result.is_err() || matches!(broken[at] ^ 1, b'\r' | b'a'..=b'f' | b'0'..=b'9'), "{at}");
        }
    }

    #[test]
    fn no_bytes_upset_the_decoder(
        body in proptest::collection::vec(prop_oneof![Just(b'0'), Just(b'a'), Just(b';'), Just(b':'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..400),
        cuts in proptest::collection::vec(1usize..50, 1..6),
    ) {
        for name in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"] {
            let payload = Payload::parse(name).unwrap();
            let whole = decode(payload, None, &body, &[body.len().max(1)]);
            prop_assert_eq!(whole.is_ok(), decode(payload, None, &body, &cuts).is_ok());
        }
    }
}

trait IntoSome: Sized {
    fn into_some(self, yes: bool) -> Option<Self>;
}

impl IntoSome for fractus_sigv4::ChunkSeed {
    fn into_some(self, yes: bool) -> Option<Self> {
        yes.then_some(self)
    }
}

#[test]
fn sigv4a_signs_and_verifies_header_presigned_and_chunks() {
    let keys = KeyCache::default();
    let payload = Payload::parse("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER").unwrap();
    let uri = "https://host.example/key?x=1";
    let mut parts = http::Request::builder().method("PUT").uri(uri).body(()).unwrap().into_parts().0;
    let signer = Signer { region: "eu-*", ..signer("s3", Scheme::V4a, None) };
    let signed = signer.sign(&mut parts, &payload, &keys).unwrap();
    let verified = verify(&parts, Body::Unread, "s3").unwrap();
    let mut encoder = ChunkedEncoder::new(Some(signed.chunk_seed), true);
    let trailers = vec![("x-amz-checksum-crc32".to_owned(), "AAAAAA==".to_owned())];
    let mut body = encoder.chunk(&[7; 9000]);
    body.extend(encoder.chunk(&[8; 10]));
    body.extend(encoder.finish(&trailers));
    let (data, read) = decode(payload, verified.chunks.clone(), &body, &[100]).unwrap();
    assert_eq!((data.len(), read), (9010, trailers));
    body[5000] ^= 1;
    assert!(matches!(decode(payload, verified.chunks, &body, &[100]), Err(ChunkError::SignatureDoesNotMatch(_))));

    parts.headers.insert("x-amz-region-set", HeaderValue::from_static("us-*"));
    assert!(matches!(verify(&parts, Body::Unread, "s3"), Err(SignatureError::WrongRegion { .. })));

    let mut parts = http::Request::builder().uri(uri).body(()).unwrap().into_parts().0;
    signer.presign(&mut parts, &Payload::Unsigned, Duration::from_secs(60), &keys).unwrap();
    verify(&parts, Body::Unread, "s3").unwrap();
    parts.uri = parts.uri.to_string().replace("x=1", "x=2").parse().unwrap();
    assert!(matches!(verify(&parts, Body::Unread, "s3"), Err(SignatureError::SignatureDoesNotMatch(_))));
}

#[test]
fn chunk_bounds() {
    let payload = Payload::parse("STREAMING-UNSIGNED-PAYLOAD-TRAILER").unwrap();
    let run = |body: &[u8], length| {
        let mut decoder = ChunkedDecoder::new(payload, None, length).unwrap();
        let mut body = Bytes::copy_from_slice(body);
        while decoder.decode(&mut body)?.is_some() {}
        decoder.finish()
    };
    assert_eq!(run(&[b'0'; 2000], None), Err(ChunkError::HeaderTooLong));
    assert_eq!(run(b"ffffffffffffffff\r\nx", None), Err(ChunkError::Incomplete));
    assert_eq!(run(b"11111111111111111\r\n", None), Err(ChunkError::MalformedHeader));
    assert_eq!(run(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n", None), Err(ChunkError::ChunkTooSmall { chunk: 2, size: 1 }));
    assert_eq!(run(b"2\r\nab\r\n0\r\n\r\n", Some(1)), Err(ChunkError::TooMuchData { expected: 1 }));
    assert_eq!(run(b"2\r\nab\r\n0\r\n\r\n", Some(3)), Err(ChunkError::Incomplete));
    assert_eq!(run(b"2\r\nabc\r\n0\r\n\r\n", None), Err(ChunkError::MalformedHeader));
    assert_eq!(run(b"0\r\na:b\r\n\r\nmore", None), Err(ChunkError::DataBehindEnd));
    assert_eq!(run(b"0\r\nno colon\r\n\r\n", None), Err(ChunkError::MalformedTrailer));
    let announced = |names: &str, body: &'static [u8]| {
        let mut decoder = ChunkedDecoder::new(payload, None, None).unwrap().announced(names);
        let mut body = Bytes::from_static(body);
        while decoder.decode(&mut body)?.is_some() {}
        decoder.finish().map(|trailers| trailers.len())
    };
    assert_eq!(announced("A, b", b"0\r\na:1\r\nB:2\r\n\r\n"), Ok(2));
    assert_eq!(announced("a,b", b"0\r\na:1\r\n\r\n"), Err(ChunkError::MalformedTrailer));
    assert_eq!(announced("a", b"0\r\na:1\r\nb:2\r\n\r\n"), Err(ChunkError::MalformedTrailer));
    let mut long = b"0\r\n".to_vec();
    long.extend(b"a:b\r\n".repeat(5000));
    assert_eq!(run(&long, None), Err(ChunkError::TrailersTooLong));
    assert_eq!(run(b"0\r\n\r\na:b\r\n\r\n", None), Ok(vec![("a".into(), "b".into())]));
}
