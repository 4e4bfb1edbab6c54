use bytes::Bytes;
use fractus_models::Api;
use http::Request;

use crate::body::ByteStream;
use crate::document::{Document, DynamicShape};
use crate::failure::Failure;
use crate::protocol::{
    Answer, ResponseError, identify, read_request, read_response, write_failure, write_request, write_response,
};
use crate::schema::{Protocol, ServiceSchema};

fn sqs() -> &'static ServiceSchema {
    static SQS: std::sync::OnceLock<&'static ServiceSchema> = std::sync::OnceLock::new();
    SQS.get_or_init(|| crate::dynamic::leak(&Api::read(&fractus_models::folder(), "sqs").unwrap()).unwrap())
}

fn whole(body: &ByteStream) -> Bytes {
    match body {
        ByteStream::Whole(bytes) => bytes.clone(),
        ByteStream::Streaming { .. } => panic!("a whole body was expected"),
    }
}

fn read(body: &'static str) -> Result<(DynamicShape, Vec<String>), Failure> {
    let request = Request::post("/").header("x-amz-target", "AmazonSQS.SendMessage");
    let (parts, ()) = request.header("content-type", "application/x-amz-json-1.0").body(()).unwrap().into_parts();
    let identified = identify(sqs(), &parts, None).map_err(|(_, failure)| failure)?;
    assert_eq!(identified.operation.name, "SendMessage");
    let mut input = DynamicShape::new(identified.operation.input);
    let body = ByteStream::Whole(Bytes::from_static(body.as_bytes()));
    let read = read_request(&identified, sqs(), &parts, body, &mut input)?;
    Ok((input, read.missing.into_iter().map(|missing| missing.path).collect()))
}

#[test]
fn reads_a_request_and_what_it_lacks() {
    let (input, missing) = read(
        r#"{"QueueUrl": "http://q", "Unknown": {"a": [1, {"b": null}]}, "DelaySeconds": null,
            "MessageAttributes": {"k": {"StringValue": "v"}}}"#,
    )
    .unwrap();
    assert_eq!(input.members["QueueUrl"], Document::String("http://q".to_owned()));
    assert!(!input.members.contains_key("DelaySeconds"));
    assert_eq!(missing, ["messageAttributes.k.member.dataType", "messageBody"]);
}

#[test]
fn values_of_the_wrong_type_are_refused_in_the_words_of_aws() {
    let message = |body| read(body).unwrap_err().message;
    assert_eq!(message(r#"{"QueueUrl": 5}"#), "NUMBER_VALUE can not be converted to a String");
    assert_eq!(message(r#"{"DelaySeconds": "5"}"#), "STRING_VALUE can not be converted to an Integer");
    assert_eq!(message(r#"{"QueueUrl": []}"#), "Start of list found where not expected");
    let failure = read("{\"QueueUrl\": ").unwrap_err();
    assert_eq!((failure.code.as_ref(), failure.status), ("SerializationException", 400));
}

#[test]
fn an_unknown_operation_is_answered_in_json() {
    let request = Request::post("/").header("x-amz-target", "AmazonSQS.Nothing").body(()).unwrap();
    let (protocol, failure) = identify(sqs(), &request.into_parts().0, None).unwrap_err();
    let response = write_failure(protocol, sqs(), None, &failure, &Answer { request_id: "r-1", ..Answer::default() });
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-amzn-requestid"], "r-1");
    assert_eq!(whole(response.body()), r#"{"__type":"UnknownOperationException"}"#);
}

#[test]
fn an_error_travels_with_its_namespace_and_its_query_code() {
    let operation = sqs().operation("SendMessage").unwrap();
    let schema = operation.errors.iter().find(|schema| schema.name == "QueueDoesNotExist").unwrap();
    let mut failure = Failure::new("QueueDoesNotExist", 400, "The specified queue does not exist.")
        .with_query_code("AWS.SimpleQueueService.NonExistentQueue");
    failure.shape = Some(Box::new(DynamicShape::new(schema)));
    let answer = Answer { request_id: "r-1", error_namespace: Some("com.amazonaws.sqs"), ..Answer::default() };
    let response = write_failure(Protocol::AwsJson10, sqs(), Some(operation), &failure, &answer);
    assert_eq!(response.headers()["x-amzn-query-error"], "AWS.SimpleQueueService.NonExistentQueue;Sender");
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.0");
    let body = whole(response.body());
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    assert_eq!(body["message"], "The specified queue does not exist.");

    let mut output = DynamicShape::new(operation.output);
    let Err(ResponseError::Failure(failure)) =
        read_response(Protocol::AwsJson10, sqs(), operation, response, &mut output)
    else {
        panic!("the error was read as an output")
    };
    assert_eq!(failure.code, "QueueDoesNotExist");
    assert_eq!(failure.query_code.as_deref(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    assert_eq!(failure.shape.unwrap().schema().name, "QueueDoesNotExist");
}

#[test]
fn a_call_goes_there_and_back() {
    let operation = sqs().operation("SendMessage").unwrap();
    let mut input = DynamicShape::new(operation.input);
    input.members.insert("QueueUrl".to_owned(), Document::String("http://q".to_owned()));
    input.members.insert("MessageBody".to_owned(), Document::String("a\"b\u{1}\n€".to_owned()));
    let outgoing = write_request(Protocol::AwsJson10, sqs(), operation, &mut input).unwrap();
    assert_eq!(outgoing.request.headers()["x-amz-target"], "AmazonSQS.SendMessage");
    assert_eq!(outgoing.request.headers()["x-amzn-query-mode"], "true");
    let (parts, body) = outgoing.request.into_parts();
    let identified = identify(sqs(), &parts, None).unwrap();
    let mut read_input = DynamicShape::new(operation.input);
    read_request(&identified, sqs(), &parts, body, &mut read_input).unwrap();
    assert_eq!(read_input.members, input.members);

    let mut output = DynamicShape::new(operation.output);
    output.members.insert("MessageId".to_owned(), Document::String("m".to_owned()));
    let answer = Answer::default();
    let response = write_response(identified.protocol, sqs(), operation, &mut output, &answer).unwrap();
    let mut read_output = DynamicShape::new(operation.output);
    read_response(identified.protocol, sqs(), operation, response, &mut read_output).unwrap();
    assert_eq!(read_output.members, output.members);
}
