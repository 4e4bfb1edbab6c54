//! Hostile requests through a real socket: AWS's error or a closed connection, nothing outside of the store, and the service
//! goes on. What every service shares of it is in the host's own tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use fractus_s3_api as api;
use fractus_testkit::http::raw;
use fractus_testkit::{Client, Stack};

const SHORT: Duration = Duration::from_secs(10);
const AUTHORIZATION: &str = "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
                             SignedHeaders=host, Signature=0\r\n";

/// Bodies from 65 bytes on are files of the disk engine.
async fn stack() -> Stack {
    let config = || fractus_s3::Config { min_part_bytes: 10, small_object_bytes: 64, ..Default::default() };
    let stack = Stack::new()
        .with("s3", move |host| fractus_s3::start(config(), host))
        .on_disk()
        .configure(|config| {
            config.body_timeout_secs = 1;
            config.idle_timeout_secs = 1;
        })
        .start()
        .await;
    let input = api::CreateBucketInput { bucket: "bucket".into(), ..Default::default() };
    client(&stack).call(api::CreateBucket, input).await.unwrap();
    stack
}

fn client(stack: &Stack) -> Client {
    stack.client("s3").api(&api::MODEL)
}

fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The status, or `closed`, and the whole text.
async fn answer(stack: &Stack, bytes: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(&raw(stack.url("s3"), bytes, SHORT).await).into_owned();
    (text.split(' ').nth(1).unwrap_or("closed").to_owned(), text)
}

async fn goes_on(stack: &Stack) {
    let input = api::HeadBucketInput { bucket: "bucket".into(), ..Default::default() };
    assert!(client(stack).call(api::HeadBucket, input).await.is_ok());
}

#[tokio::test]
async fn documents_that_unfold_or_reach_out_are_malformed() {
    let stack = stack().await;
    let mut laughs = "<!DOCTYPE Tagging [<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..30 {
        laughs.push_str(&format!("<!ENTITY a{level} \"&a{0};&a{0};&a{0};&a{0};\">", level - 1));
    }
    let tags = |value: &str| format!("<TagSet><Tag><Key>k</Key><Value>{value}</Value></Tag></TagSet>");
    let deep = format!("<Tagging>{}", "<TagSet>".repeat(100_000));
    for (what, document) in [
        ("entities of entities", format!("{laughs}]><Tagging>{}</Tagging>", tags("&a29;")).into_bytes()),
        (
            "a file as entity",
            format!("<!DOCTYPE T [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><Tagging>{}</Tagging>", tags("&f;"))
                .into_bytes(),
        ),
        ("an entity nobody knows", format!("<Tagging>{}</Tagging>", tags("&nobody;")).into_bytes()),
        ("depth without end", deep.into_bytes()),
        ("bytes that are no text", [b"<Tagging><TagSet><Tag><Key>".as_slice(), b"\xff\xfe", b"</Key>"].concat()),
    ] {
        let (status, text) = answer(&stack, &request("PUT /bucket/key?tagging", "", &document)).await;
        assert_eq!(status, "400", "{what}: {text}");
        assert!(text.contains("<Code>MalformedXML</Code>"), "{what}: {text}");
        assert!(!text.contains("root:"), "{what}");
    }
    goes_on(&stack).await;
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut BTreeSet<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.insert(path);
        }
    }
}

#[tokio::test]
async fn keys_that_look_like_paths_are_names_and_nothing_else() {
    let stack = stack().await;
    let body = "x".repeat(100);
    let paths = [
        ("..%2F..%2F..%2F..%2Fescaped", "../../../../escaped"),
        ("%2Fetc%2Fpasswd", "/etc/passwd"),
        ("a%2F.%2F%2Fb", "a/.//b"),
        ("back%5C..%5Cslash", "back\\..\\slash"),
    ];
    for (path, key) in paths {
        let (status, text) = answer(&stack, &request(&format!("PUT /bucket/{path}"), "", body.as_bytes())).await;
        assert_eq!(status, "200", "{path}: {text}");
        let input = api::GetObjectInput { bucket: "bucket".into(), key: key.into(), ..Default::default() };
        let output = client(&stack).call(api::GetObject, input).await.unwrap();
        assert_eq!(output.body.collect(1_000).await.unwrap(), body.as_bytes(), "{key}");
    }
    let mut found = BTreeSet::new();
    files(stack.folder(), &mut found);
    for path in found {
        let name = path.to_string_lossy().into_owned();
        assert!(["escaped", "passwd", "slash"].iter().all(|word| !name.contains(word)), "{name}");
    }
    // What is no text, or names another bucket by a way back, is nobody's.
    for (what, line) in [("bytes that are no text", "GET /bucket/%ff%fe"), ("a way back", "GET /bucket/../other/key")] {
        let (status, text) = answer(&stack, &request(line, "", b"")).await;
        assert!(["400", "404", "closed"].contains(&status.as_str()), "{what}: {text}");
    }
    goes_on(&stack).await;
}

#[tokio::test]
async fn an_upload_whose_length_nobody_knows_is_refused() {
    let stack = stack().await;
    let headers = "Transfer-Encoding: chunked\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nConnection: close\r\n";
    let bytes = format!(
        "PUT /bucket/unknown HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}{headers}\r\n5\r\nhello\r\n0\r\n\r\n"
    );
    let (status, text) = answer(&stack, bytes.as_bytes()).await;
    assert_eq!(status, "501", "{text}");
    assert!(
        text.contains("<Code>NotImplemented</Code>") && text.contains("<Header>Transfer-Encoding</Header>"),
        "{text}"
    );
    let input = api::HeadObjectInput { bucket: "bucket".into(), key: "unknown".into(), ..Default::default() };
    assert!(client(&stack).call(api::HeadObject, input).await.is_err());
    goes_on(&stack).await;
}

#[tokio::test]
async fn broken_chunks_leave_no_object() {
    let stack = stack().await;
    let put = |decoded: &str, body: &str| {
        let headers = format!(
            "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nContent-Encoding: aws-chunked\r\n\
             X-Amz-Decoded-Content-Length: {decoded}\r\n"
        );
        request("PUT /bucket/chunked", &headers, body.as_bytes())
    };
    for (what, bytes) in [
        ("a length that is none", put("5", "zz\r\nhello\r\n0\r\n\r\n")),
        ("a length beyond all numbers", put("5", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n")),
        ("less than was said", put("50", "5\r\nhello\r\n0\r\n\r\n")),
        ("no end", put("5", "5\r\nhello\r\n")),
        ("no line after the data", put("5", "5\r\nhelloworld0\r\n\r\n")),
    ] {
        let (status, text) = answer(&stack, &bytes).await;
        assert!(status.starts_with('4') || status == "closed", "{what}: {text}");
        let input = api::HeadObjectInput { bucket: "bucket".into(), key: "chunked".into(), ..Default::default() };
        assert!(client(&stack).call(api::HeadObject, input).await.is_err(), "{what}");
    }
    // One that stops is given up.
    let mut stuck = put("5", "5\r\nhel");
    let at = stuck.windows(16).position(|part| part == b"Content-Length: ").unwrap();
    stuck.splice(at + 16..at + 17, *b"99");
    let (status, text) = answer(&stack, &stuck).await;
    assert!(status == "400" || status == "closed", "{text}");
    goes_on(&stack).await;
}
