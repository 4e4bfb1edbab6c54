//! Browser form uploads: AWS's example, and each form a condition can take.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Timestamp;
use fractus_sigv4::post_policy::{Fields, PostError, PostPolicy, PostSignature, SizeRange};
use fractus_sigv4::{Expectation, KeyCache, SignatureError, SigningKey, sigv2};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The policy of <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html>, with its line ends.
const EXAMPLE: &str = r#"{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}"#;

fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn noon() -> Timestamp {
    Timestamp::parse_date_time("2015-12-29T12:00:00Z").unwrap()
}

fn example_form() -> Vec<(String, String)> {
    form(&[
        ("key", "user/user1/${filename}"),
        ("acl", "public-read"),
        ("success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-uuid", "14365123651274"),
        ("x-amz-server-side-encryption", "AES256"),
        ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Date", "20151229T000000Z"),
        ("x-amz-meta-tag", ""),
        ("Policy", ""),
        ("X-Amz-Signature", ""),
    ])
}

/// AWS's example signs the document with CRLF line ends; this is the signature it prints.
#[test]
fn the_documented_example() {
    let policy = STANDARD.encode(EXAMPLE.replace('\n', "\r\n"));
    let signature = SigningKey::derive(SECRET, "20151229", "us-east-1", "s3").sign(policy.as_bytes());
    assert_eq!(
        std::str::from_utf8(&signature).unwrap(),
        "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
    );
    let mut form = example_form();
    form[10].1 = policy.clone();
    form[11].1 = String::from_utf8(signature.to_vec()).unwrap();
    let fields = Fields(&form);
    let signature = PostSignature::parse(fields).unwrap();
    assert_eq!(signature.credential.access_key, "AKIAIOSFODNN7EXAMPLE");
    let expected = Expectation::new(&["s3"], noon()).in_region("us-east-1");
    signature.verify(SECRET, &expected, &KeyCache::default()).unwrap();
    let wrong = signature.verify("other", &expected, &KeyCache::default());
    assert!(matches!(wrong, Err(SignatureError::SignatureDoesNotMatch(mismatch)) if mismatch.string_to_sign == policy));
    let elsewhere = Expectation::new(&["s3"], noon()).in_region("eu-west-1");
    let wrong = signature.verify(SECRET, &elsewhere, &KeyCache::default());
    assert!(matches!(wrong, Err(SignatureError::WrongRegion { .. })));
    let read = PostPolicy::parse(signature.policy).unwrap();
    assert_eq!(read.check(fields, "sigv4examplebucket", noon()), Ok(SizeRange { min: 0, max: u64::MAX }));
}

fn check(document: &str, pairs: &[(&str, &str)]) -> Result<SizeRange, PostError> {
    let form = form(pairs);
    PostPolicy::parse(&STANDARD.encode(document))?.check(Fields(&form), "b", noon())
}

fn with(conditions: &str) -> String {
    format!(r#"{{"expiration": "2015-12-30T12:00:00Z", "conditions": [{conditions}]}}"#)
}

/// Conditions, the form's fields, and what comes of them.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, Result<SizeRange, PostError>);

#[test]
fn conditions() {
    let failed = |text: &str| Err(PostError::ConditionFailed(text.to_owned()));
    let ok = Ok(SizeRange { min: 0, max: u64::MAX });
    let cases: Vec<Case<'_>> = vec![
        (r#"{"bucket": "b"}, {"key": "k"}"#, vec![("key", "k")], ok.clone()),
        (r#"{"bucket": "other"}"#, vec![], failed(r#"["eq", "$bucket", "other"]"#)),
        (r#"["eq", "$KEY", "k"]"#, vec![("Key", "k")], ok.clone()),
        (r#"["eq", "$key", "k"]"#, vec![("key", "K")], failed(r#"["eq", "$key", "k"]"#)),
        (r#"["eq", "key", "k"]"#, vec![("key", "k")], failed(r#"["eq", "key", "k"]"#)),
        (r#"["starts-with", "$key", "u/"]"#, vec![("key", "u/1")], ok.clone()),
        (r#"["starts-with", "$key", ""]"#, vec![("key", "anything")], ok.clone()),
        (r#"["starts-with", "$key", ""]"#, vec![], failed(r#"["starts-with", "$key", ""]"#)),
        (r#"["starts-with", "$Content-Type", "image/"]"#, vec![("content-type", "image/png, image/gif")], ok.clone()),
        (
            r#"["starts-with", "$Content-Type", "image/"]"#,
            vec![("content-type", "image/png,text/html")],
            failed(r#"["starts-with", "$Content-Type", "image/"]"#),
        ),
        (r#"["content-length-range", 5, 10]"#, vec![], Ok(SizeRange { min: 5, max: 10 })),
        (r#"["content-length-range", "5", "10"]"#, vec![], Ok(SizeRange { min: 5, max: 10 })),
        (r#"["content-length-range", "test", "10"]"#, vec![], failed(r#"["content-length-range", "test", "10"]"#)),
        (
            r#"["content-length-range", -1, 0]"#,
            vec![],
            Err(PostError::InvalidPolicy(
                "Invalid content-length-range: both ends must be whole numbers, and not negative.".into(),
            )),
        ),
        (r#"{"key": "k"}"#, vec![("key", "k"), ("x-ignore-me", "1"), ("policy", "x")], ok.clone()),
        (r#"{"key": "k"}"#, vec![("key", "k"), ("Filename", "x")], Err(PostError::ExtraField("filename".into()))),
        (
            r#"{"bucket": "b", "key": "k"}"#,
            vec![],
            Err(PostError::InvalidPolicy(
                "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.".into(),
            )),
        ),
        (
            r#"{"Content-Length": 6}"#,
            vec![],
            Err(PostError::InvalidPolicy("Invalid Simple-Condition: value must be a string.".into())),
        ),
    ];
    for (conditions, fields, expected) in cases {
        let conditions = format!(r#"{conditions}, ["starts-with", "$bucket", ""]"#);
        assert_eq!(check(&with(&conditions), &fields), expected, "{conditions}");
    }
}

/// <https://github.com/aws/aws-sdk-php/issues/3292> shows what S3 says.
#[test]
fn the_bucket_needs_a_condition_though_it_is_no_field() {
    let refused = Err(PostError::ExtraField("bucket".into()));
    assert_eq!(check(&with(r#"{"key": "k"}"#), &[("key", "k")]), refused);
}

#[test]
fn policies_have_escapes_that_json_has_not() {
    let document = with(r#"{"bucket": "b"}, ["starts-with", "$key", "\$\$a\\\v\u00e9"]"#);
    assert!(check(&document, &[("key", "$$a\\\u{b}é.txt")]).is_ok());
    assert_eq!(check(&with(r#"{"a": "\q"}"#), &[]), Err(PostError::InvalidPolicy("Invalid JSON.".into())));
}

#[test]
fn sizes_are_inclusive() {
    let range = SizeRange { min: 5, max: 10 };
    assert!(range.check(5).is_ok() && range.check(10).is_ok());
    assert_eq!(range.check(11), Err(PostError::TooLarge { proposed: 11, max: 10 }));
    let small = range.check(1).unwrap_err().answer();
    assert_eq!((small.status, small.code), (400, "EntityTooSmall"));
}

#[test]
fn documents() {
    let expired = r#"{"expiration": "2015-12-29T11:59:59Z", "conditions": []}"#;
    assert_eq!(check(expired, &[]), Err(PostError::Expired));
    for (document, message) in [
        ("{", "Invalid JSON."),
        ("[]", "Invalid JSON."),
        (r#"{"conditions": []}"#, "Policy missing expiration."),
        (r#"{"expiration": "2015-12-30T12:00:00Z"}"#, "Policy missing conditions."),
        (r#"{"expiration": "2015-12-30T12:00:00Z", "conditions": {}}"#, "Invalid 'conditions' value: must be a List."),
        (
            r#"{"expiration": "2011-09-13T07:52:58+02:00", "conditions": []}"#,
            "Invalid 'expiration' value: '2011-09-13T07:52:58+02:00'",
        ),
        (r#"{"Statement": []}"#, "Unexpected: 'statement'"),
    ] {
        assert_eq!(check(document, &[]), Err(PostError::InvalidPolicy(message.into())), "{document}");
    }
    assert!(matches!(PostPolicy::parse("%%%"), Err(PostError::InvalidPolicy(_))));
}

#[test]
fn the_first_scheme_and_missing_fields() {
    let policy = STANDARD.encode(with(r#"{"key": "k"}"#));
    let signature = sigv2::sign(SECRET, &policy);
    let form = form(&[("key", "k"), ("AWSAccessKeyId", "AK"), ("policy", &policy), ("signature", &signature)]);
    let expected = Expectation::new(&["s3"], noon());
    let parsed = PostSignature::parse(Fields(&form)).unwrap();
    parsed.verify(SECRET, &expected, &KeyCache::default()).unwrap();
    assert!(parsed.verify("other", &expected, &KeyCache::default()).is_err());
    let key_alone = Fields(&form[..1]);
    assert_eq!(PostSignature::parse(key_alone).unwrap_err(), SignatureError::MissingToken);
    let error = PostSignature::parse(Fields(&form[..2])).unwrap_err();
    assert!(matches!(error, SignatureError::MissingParameters { missing, .. } if missing == ["policy"]));
}
