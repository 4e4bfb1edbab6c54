//! The generated shapes of SQS: names, requiredness, documents both ways, errors, and printing.
#![allow(clippy::unwrap_used)]

use fractus_sqs_api::{
    CreateQueue, CreateQueueInput, Error, MODEL, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    QueueDoesNotExist, ReceiveMessageInput, SendMessageBatchInput, SendMessageBatchRequestEntry, SendMessageInput,
};
use fractus_wire::document_io::{from_document, to_document};
use fractus_wire::{Document, Failure, Operation, Protocol, Shape};

fn message() -> SendMessageInput {
    let attribute = MessageAttributeValue {
        data_type: "Binary".to_owned(),
        binary_value: Some(vec![0, 1, 255].into()),
        ..Default::default()
    };
    SendMessageInput {
        queue_url: "http://localhost:4566/000000000000/orders".to_owned(),
        message_body: "hello".to_owned(),
        delay_seconds: Some(3),
        message_attributes: Some([("a".to_owned(), attribute)].into_iter().collect()),
        ..Default::default()
    }
}

#[test]
fn a_shape_becomes_a_document_and_comes_back() {
    let document = to_document(&message()).unwrap();
    assert_eq!(document.get("MessageBody").and_then(Document::as_str), Some("hello"));
    assert_eq!(document.get("DelaySeconds"), Some(&Document::Integer(3)));
    let attribute = document.get("MessageAttributes").unwrap().get("a").unwrap();
    assert_eq!(attribute.get("BinaryValue"), Some(&Document::Blob(vec![0, 1, 255].into())));
    assert_eq!(document.get("MessageGroupId"), None);
    assert_eq!(from_document::<SendMessageInput>(&document).unwrap(), message());
}

#[test]
fn lists_of_structures_and_enums_come_back() {
    let entry =
        |id: &str| SendMessageBatchRequestEntry { id: id.to_owned(), message_body: id.repeat(2), ..Default::default() };
    let batch = SendMessageBatchInput { queue_url: "q".to_owned(), entries: vec![entry("a"), entry("b")] };
    assert_eq!(from_document::<SendMessageBatchInput>(&to_document(&batch).unwrap()).unwrap(), batch);
    let receive = ReceiveMessageInput {
        queue_url: "q".to_owned(),
        message_system_attribute_names: Some(vec![MessageSystemAttributeName::SentTimestamp, "Later".into()]),
        ..Default::default()
    };
    assert_eq!(from_document::<ReceiveMessageInput>(&to_document(&receive).unwrap()).unwrap(), receive);
}

#[test]
fn what_does_not_fit_is_said_with_its_place() {
    let mut document = to_document(&message()).unwrap();
    let Document::Map(map) = &mut document else { panic!() };
    map.insert("DelaySeconds".to_owned(), Document::String("soon".to_owned()));
    let error = from_document::<SendMessageInput>(&document).unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.message.as_str()),
        ("DelaySeconds", "DelaySeconds must be an integer, not a string")
    );
    let misspelt = Document::Map([("QueueURL".to_owned(), Document::String("q".to_owned()))].into_iter().collect());
    let error = from_document::<SendMessageInput>(&misspelt).unwrap_err();
    assert_eq!(error.message, "SendMessageRequest has no member QueueURL");
}

#[test]
fn enums_keep_what_they_do_not_know() {
    assert_eq!(QueueAttributeName::from("FifoQueue"), QueueAttributeName::FifoQueue);
    let unknown = QueueAttributeName::from("Colour".to_owned());
    assert_eq!((unknown.as_str(), unknown.to_string()), ("Colour", "Colour".to_owned()));
    assert_eq!(unknown, QueueAttributeName::Unknown("Colour".to_owned()));
}

#[test]
fn a_modelled_error_becomes_a_failure_and_is_found_again() {
    let failure: Failure = Error::from(QueueDoesNotExist::new("The specified queue does not exist.")).into();
    assert_eq!((failure.code.as_ref(), failure.status), ("QueueDoesNotExist", 400));
    assert_eq!(failure.query_code.as_deref(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    assert_eq!(failure.shape.as_ref().unwrap().schema().name, "QueueDoesNotExist");
    assert!(
        matches!(Error::from(failure), Error::QueueDoesNotExist(error) if error.message.as_deref() == Some("The specified queue does not exist."))
    );
    // A Query client sees the older code alone.
    let read = Failure::new("AWS.SimpleQueueService.NonExistentQueue", 400, "gone");
    assert!(matches!(Error::from(read), Error::QueueDoesNotExist(error) if error.message.as_deref() == Some("gone")));
    let other = Error::from(Failure::new("AccessDenied", 403, "no"));
    assert_eq!((other.code(), other.to_string()), ("AccessDenied", "AccessDenied: no".to_owned()));
    // A failure that says more than the modelled error could hold stays what it is.
    let detailed = Failure::new("QueueDoesNotExist", 400, "gone").with_header("x-amz-a", "b");
    assert!(matches!(Error::from(detailed), Error::Other(_)));
}

#[test]
fn operations_know_their_facts() {
    assert_eq!(CreateQueue::SCHEMA.name, "CreateQueue");
    assert_eq!(CreateQueue::SCHEMA.result_wrapper, Some("CreateQueueResult"));
    assert_eq!(CreateQueueInput::default().schema().name, "CreateQueueRequest");
    assert!(std::ptr::eq(MODEL.operation("CreateQueue").unwrap(), CreateQueue::SCHEMA));
    assert_eq!(MODEL.protocols, [Protocol::AwsJson10, Protocol::AwsQuery]);
    assert_eq!((MODEL.operations.len(), MODEL.target_prefix), (23, Some("AmazonSQS")));
}

#[test]
fn shapes_print_as_the_model_names_them() {
    let text = format!("{:?}", message());
    assert_eq!(
        text,
        "SendMessageRequest { QueueUrl: \"http://localhost:4566/000000000000/orders\", MessageBody: \"hello\", \
         DelaySeconds: 3, MessageAttributes: {\"a\": MessageAttributeValue { BinaryValue: (3 bytes), DataType: \"Binary\" }} }"
    );
}
