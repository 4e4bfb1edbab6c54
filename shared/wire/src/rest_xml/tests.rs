use std::collections::VecDeque;

use bytes::Bytes;
use fractus_clock::Timestamp;
use futures::executor::block_on;
use futures::{Stream, stream};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};

use super::*;
use crate::document::{Document, DynamicShape};
use crate::dynamic;
use crate::protocol::{self, Identified};
use crate::test_shapes::*;

/// S3 by its own model: the dialect with most to it.
fn s3() -> &'static ServiceSchema {
    static S3: std::sync::OnceLock<&'static ServiceSchema> = std::sync::OnceLock::new();
    S3.get_or_init(|| dynamic::leak(&fractus_models::Api::read(&fractus_models::folder(), "s3").unwrap()).unwrap())
}

fn answer() -> Answer<'static> {
    Answer { request_id: "R1", host_id: Some("H1"), resource: Some("/b/k"), ..Answer::default() }
}

fn respond(operation: &str, entries: &[(&str, Document)]) -> Response<ByteStream> {
    let operation = s3().operation(operation).unwrap();
    let mut output = DynamicShape::from_members(operation.output, members(entries));
    protocol::write_response(Protocol::RestXml, s3(), operation, &mut output, &answer()).unwrap()
}

fn text_of(response: Response<ByteStream>) -> String {
    let body = block_on(response.into_body().collect(1 << 20)).unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

fn body_of(operation: &str, entries: &[(&str, Document)]) -> String {
    text_of(respond(operation, entries))
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const NS: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

fn identified(parts: &Parts) -> Identified {
    protocol::identify(s3(), parts, None).unwrap_or_else(|(_, failure)| panic!("{failure:?}"))
}

fn read(request: Request<()>, body: &'static str) -> Result<(DynamicShape, Read), Failure> {
    let (parts, ()) = request.into_parts();
    let identified = identified(&parts);
    let mut input = DynamicShape::new(identified.operation.input);
    let body = ByteStream::Whole(Bytes::from_static(body.as_bytes()));
    protocol::read_request(&identified, s3(), &parts, body, &mut input).map(|read| (input, read))
}

#[test]
fn results_have_the_names_that_s3_gives_them() {
    let when = Document::Timestamp(Timestamp::from_secs(1_398_796_238));
    let bucket = map(&[("Name", text("b")), ("CreationDate", when)]);
    assert_eq!(
        body_of("ListBuckets", &[("Buckets", Document::List(vec![bucket])), ("Owner", map(&[("ID", text("1"))]))]),
        format!(
            "{HEAD}<ListAllMyBucketsResult {NS}><Buckets><Bucket><Name>b</Name>\
             <CreationDate>2014-04-29T18:30:38.000Z</CreationDate></Bucket></Buckets>\
             <Owner><ID>1</ID></Owner></ListAllMyBucketsResult>"
        )
    );
    let contents = Document::List(vec![map(&[("Key", text("a&\u{1}"))]), map(&[("Key", text("b"))])]);
    assert_eq!(
        body_of("ListObjectsV2", &[("IsTruncated", Document::Boolean(false)), ("Contents", contents)]),
        format!(
            "{HEAD}<ListBucketResult {NS}><IsTruncated>false</IsTruncated><Contents><Key>a&amp;&#x1;</Key></Contents>\
             <Contents><Key>b</Key></Contents></ListBucketResult>"
        )
    );
    assert_eq!(
        body_of("GetBucketVersioning", &[]),
        format!("{HEAD}<VersioningConfiguration {NS}></VersioningConfiguration>")
    );
}

#[test]
fn a_location_is_the_root_itself() {
    let located = body_of("GetBucketLocation", &[("LocationConstraint", text("eu-west-1"))]);
    assert_eq!(located, format!("{HEAD}<LocationConstraint {NS}>eu-west-1</LocationConstraint>"));
    let classic = body_of("GetBucketLocation", &[]);
    assert_eq!(classic, format!("{HEAD}<LocationConstraint {NS}></LocationConstraint>"));
    let operation = s3().operation("GetBucketLocation").unwrap();
    for (body, expected) in [(located, vec![("LocationConstraint", text("eu-west-1"))]), (classic, vec![])] {
        let mut output = DynamicShape::new(operation.output);
        let response = Response::new(ByteStream::Whole(body.into()));
        protocol::read_response(Protocol::RestXml, s3(), operation, response, &mut output).unwrap();
        assert_eq!(output.members, members(&expected));
    }
}

#[test]
fn a_payload_and_headers_make_one_answer() {
    let response =
        respond("CopyObject", &[("VersionId", text("v")), ("CopyObjectResult", map(&[("ETag", text("\"e\""))]))]);
    assert_eq!(response.headers()["x-amz-version-id"], "v");
    assert_eq!(response.headers()["x-amz-request-id"], "R1");
    assert_eq!(response.headers()["x-amz-id-2"], "H1");
    assert_eq!(response.headers()["content-type"], "application/xml");
    assert_eq!(
        text_of(response),
        format!("{HEAD}<CopyObjectResult {NS}><ETag>&quot;e&quot;</ETag></CopyObjectResult>")
    );
}

#[test]
fn attributes_and_their_namespace_stand_in_the_start_tag() {
    let grantee = map(&[("Type", text("CanonicalUser")), ("ID", text("1"))]);
    let grants = Document::List(vec![map(&[("Grantee", grantee), ("Permission", text("READ"))])]);
    let body = body_of("GetBucketAcl", &[("Grants", grants.clone())]);
    let expected = "<AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                    xsi:type=\"CanonicalUser\"><ID>1</ID></Grantee><Permission>READ</Permission></Grant></AccessControlList>";
    assert!(body.contains(expected), "{body}");
    let request = Request::put("/b?acl").body(()).unwrap();
    let body: &'static str = body.leak();
    let (input, _) = read(request, body).unwrap();
    assert_eq!(input.members["AccessControlPolicy"].get("Grants"), Some(&grants));
}

#[test]
fn a_request_is_read_from_everywhere() {
    let request = Request::post("/b/k%20k?uploadId=u").header("x-amz-mp-object-size", "12").body(()).unwrap();
    let body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n<Part><PartNumber>1</PartNumber>\
                <ETag>&quot;e&quot;</ETag></Part><Part><ETag>f</ETag><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>";
    let (input, read) = read(request, body).unwrap();
    assert!(read.missing.is_empty(), "{read:?}");
    let part = |number, etag| map(&[("PartNumber", Document::Integer(number)), ("ETag", text(etag))]);
    let parts =
        Document::List(vec![part(1, "\"e\""), map(&[("ETag", text("f")), ("PartNumber", Document::Integer(2))])]);
    assert_eq!(input.members["Key"], text("k k"));
    assert_eq!(input.members["MpuObjectSize"], Document::Integer(12));
    assert_eq!(input.members["MultipartUpload"].get("Parts"), Some(&parts));
}

#[test]
fn what_is_missing_in_a_payload_is_told_with_its_path() {
    let request = Request::post("/b?delete").body(()).unwrap();
    let (_, read) = read(request, "<Delete><Object><Key>a</Key></Object><Object></Object></Delete>").unwrap();
    let paths: Vec<&str> = read.missing.iter().map(|missing| missing.path.as_str()).collect();
    assert_eq!(paths, ["delete.objects.2.member.key"]);
}

#[test]
fn unreadable_requests_are_refused_in_s3s_words() {
    let delete = || Request::post("/b?delete").body(()).unwrap();
    for body in ["<Delete>", "not xml", "<Other/>", "<!DOCTYPE a [<!ENTITY x \"y\">]><Delete>&x;</Delete>"] {
        assert_eq!(read(delete(), body).map(|_| ()).unwrap_err().code, "MalformedXML", "{body}");
    }
    let request = Request::get("/b?list-type=2&max-keys=many").body(()).unwrap();
    assert_eq!(read(request, "").map(|_| ()).unwrap_err().code, "InvalidArgument");
}

#[test]
fn errors_are_bare_and_say_everything() {
    let failure = Failure::new("NoSuchKey", 404, "The specified key does not exist.").with_detail("Key", "k<");
    let operation = s3().operation("GetObject");
    let response = protocol::write_failure(Protocol::RestXml, s3(), operation, &failure, &answer());
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()["content-type"], "application/xml");
    let body = text_of(response);
    assert_eq!(
        body,
        format!(
            "{HEAD}<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>k&lt;</Key>\
             <Resource>/b/k</Resource><RequestId>R1</RequestId><HostId>H1</HostId></Error>"
        )
    );
    let mut response = Response::new(ByteStream::Whole(body.into()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let read = read_answer("GetObject", response).unwrap_err();
    let ResponseError::Failure(read) = read else { panic!("{read}") };
    assert_eq!((&*read.code, read.status), ("NoSuchKey", 404));
    assert!(read.shape.is_some());
    let unchanged = Failure::new("NotModified", 304, "");
    let response = protocol::write_failure(Protocol::RestXml, s3(), operation, &unchanged, &answer());
    assert_eq!((response.status().as_u16(), response.headers().get("content-type")), (304, None));
    assert_eq!(text_of(response), "");
}

fn read_answer(operation: &str, response: Response<ByteStream>) -> Result<DynamicShape, ResponseError> {
    let operation = s3().operation(operation).unwrap();
    let mut output = DynamicShape::new(operation.output);
    protocol::read_response(Protocol::RestXml, s3(), operation, response, &mut output)?;
    Ok(output)
}

#[test]
fn errors_of_other_services_are_wrapped() {
    let failure = Failure::new("NoSuchHostedZone", 404, "none");
    // S3 Control has the ids of S3 in errors of this form.
    let response = protocol::write_failure(Protocol::RestXml, &SERVICE, None, &failure, &answer());
    assert_eq!(response.headers()["x-amz-request-id"], "R1");
    assert_eq!(response.headers()["x-amz-id-2"], "H1");
    let answer = Answer { host_id: None, ..answer() };
    let response = protocol::write_failure(Protocol::RestXml, &SERVICE, None, &failure, &answer);
    assert_eq!(response.headers()["content-type"], "text/xml");
    assert_eq!(response.headers()["x-amzn-requestid"], "R1");
    assert_eq!(
        text_of(response),
        format!(
            "{HEAD}<ErrorResponse xmlns=\"https://example.com/\"><Error><Type>Sender</Type><Code>NoSuchHostedZone</Code>\
             <Message>none</Message></Error><RequestId>R1</RequestId></ErrorResponse>"
        )
    );
}

/// So many blanks, and then the outcome may come.
fn late(outcome: Result<DynamicShape, Failure>) -> Response<ByteStream> {
    let operation = s3().operation("CompleteMultipartUpload").unwrap();
    let late = Late {
        service: s3(),
        operation,
        request_id: "R1".to_owned(),
        host_id: None,
        resource: None,
        headers: HeaderMap::new(),
    };
    let (sender, receiver) = futures::channel::oneshot::channel();
    let mut sender = Some((sender, outcome));
    let ticks: VecDeque<()> = VecDeque::from([(); 3]);
    let ticks: Box<dyn Stream<Item = ()> + Send + Unpin> =
        Box::new(Box::pin(stream::unfold(ticks, move |mut ticks| {
            let tick = ticks.pop_front();
            if tick.is_none()
                && let Some((sender, outcome)) = sender.take()
            {
                let _ = sender.send(outcome);
            }
            async move { tick.map(|()| ((), ticks)) }
        })));
    let outcome = Box::pin(async move { receiver.await.unwrap_or_else(|_| Err(Failure::internal("gone"))) });
    late_response(late, ticks, outcome)
}

#[test]
fn a_late_answer_keeps_the_connection_busy() {
    let operation = s3().operation("CompleteMultipartUpload").unwrap();
    let output = || DynamicShape::from_members(operation.output, members(&[("Key", text("k"))]));
    let body = text_of(late(Ok(output())));
    let expected = format!("{HEAD}   <CompleteMultipartUploadResult {NS}><Key>k</Key></CompleteMultipartUploadResult>");
    assert_eq!(body, expected);
    let read = read_answer("CompleteMultipartUpload", Response::new(ByteStream::Whole(body.into()))).unwrap();
    assert_eq!(read.members, output().members);
}

#[test]
fn a_late_answer_may_be_an_error() {
    let body = text_of(late(Err(Failure::new("InternalError", 500, "We encountered an internal error."))));
    assert!(body.starts_with(&format!("{HEAD}   <Error><Code>InternalError</Code>")), "{body}");
    let read = read_answer("CompleteMultipartUpload", Response::new(ByteStream::Whole(body.into()))).unwrap_err();
    let ResponseError::Failure(read) = read else { panic!("{read}") };
    assert_eq!((&*read.code, read.status), ("InternalError", 500));
}
