//! AWS's SigV4 test suite, both directions. The vectors are Apache-2.0; see test-data/aws4_testsuite/NOTICE.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::path::{Path, PathBuf};

use fractus_clock::Timestamp;
use fractus_sigv4::{
    Body, CredentialScope, Expectation, KeyCache, Payload, RequestSignature, RequestView, Scheme, SignatureError,
    Signer,
};
use http::{HeaderMap, HeaderName, HeaderValue};

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct Request {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
}

impl Request {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
        let target = rest.rsplit_once(' ').unwrap().0;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with(' ') {
                // A folded line belongs to the value before it.
                let last = headers.last_mut().unwrap();
                last.1 = format!("{} {}", last.1, line.trim());
            } else {
                let (name, value) = line.split_once(':').unwrap();
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let headers = headers
            .into_iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_bytes(value.trim().as_bytes()).unwrap();
                (HeaderName::from_bytes(name.as_bytes()).unwrap(), value)
            })
            .collect();
        Request { method: method.into(), path: path.into(), query: query.into(), headers, body: body.into() }
    }

    fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            authority: None,
        }
    }
}

fn cases(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            cases(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "req") {
            found.push(path);
        }
    }
}

fn all_cases() -> Vec<PathBuf> {
    let mut found = Vec::new();
    cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("test-data/aws4_testsuite"), &mut found);
    found.sort();
    assert_eq!(found.len(), 34);
    found
}

fn read(case: &Path, extension: &str) -> String {
    std::fs::read_to_string(case.with_extension(extension)).unwrap().replace('\r', "")
}

/// The request of a case; the suite has one that leaves adding the session token to the signer.
fn request(case: &Path) -> Request {
    let mut request = Request::parse(&read(case, "req"));
    let canonical = read(case, "creq");
    if let Some(token) = canonical.lines().find_map(|line| line.strip_prefix("x-amz-security-token:")) {
        request.headers.insert("x-amz-security-token", token.parse().unwrap());
    }
    request
}

#[test]
fn signs_every_vector() {
    let keys = KeyCache::default();
    for case in all_cases() {
        let request = request(&case);
        let signer = Signer {
            access_key: ACCESS_KEY,
            secret: SECRET,
            token: None,
            service: "service",
            region: "us-east-1",
            time: Timestamp::parse_amz_date("20150830T123600Z").unwrap(),
            scheme: Scheme::V4,
        };
        let mut names: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let signed_headers = names.join(";");
        let payload = Payload::of(request.body.as_bytes());
        let signed = signer.signature(&request.view(), &signed_headers, &payload, &keys).unwrap();
        assert_eq!(signed.canonical_request, read(&case, "creq"), "{}", case.display());
        assert_eq!(signed.string_to_sign, read(&case, "sts"), "{}", case.display());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{}, SignedHeaders={signed_headers}, Signature={}",
            signer.scope(),
            signed.signature
        );
        assert_eq!(authorization, read(&case, "authz"), "{}", case.display());
    }
}

#[test]
fn verifies_every_vector_and_refuses_it_changed() {
    let keys = KeyCache::default();
    for case in all_cases() {
        let mut request = request(&case);
        request.headers.insert("authorization", read(&case, "authz").parse().unwrap());
        let expected = Expectation::new(&["service"], Timestamp::parse_amz_date("20150830T123700Z").unwrap())
            .in_region("us-east-1");
        let verify = |request: &Request, secret: &str| {
            let view = request.view();
            let signature = RequestSignature::parse(&view)?;
            assert_eq!(signature.access_key(), ACCESS_KEY);
            assert_eq!(CredentialScope::of(&view).unwrap(), signature.credential);
            signature.verify(&view, Body::Bytes(request.body.as_bytes()), secret, &expected, &keys)
        };
        verify(&request, SECRET).unwrap_or_else(|error| panic!("{}: {error:?}", case.display()));
        let refused = |result| matches!(result, Err(SignatureError::SignatureDoesNotMatch(_)));
        assert!(refused(verify(&request, "another secret")), "{}", case.display());
        request.path.push('x');
        assert!(refused(verify(&request, SECRET)), "{}", case.display());
        request.path.pop();
        request.body.push('x');
        assert!(refused(verify(&request, SECRET)), "{}", case.display());
        request.body.pop();
        request.headers.insert("host", "example.org".parse().unwrap());
        assert!(refused(verify(&request, SECRET)), "{}", case.display());
    }
}
