//! Every model in the tree is read, and says what the other crates rely on.
#![allow(clippy::unwrap_used)]

use fractus_models::{Api, ShapeType, folder, names};

fn all() -> impl Iterator<Item = Api> {
    names(&folder()).unwrap().into_iter().map(|name| Api::read(&folder(), &name).unwrap())
}

#[test]
fn all_apis_are_imported() {
    let apis: Vec<Api> = all().collect();
    assert_eq!(apis.len(), 48);
    let operations: usize = apis.iter().map(|api| api.operations.len()).sum();
    assert_eq!(operations, 4177);
    let count = |name: &str| apis.iter().find(|api| api.api == name).unwrap().operations.len();
    assert_eq!((count("sqs"), count("sts"), count("s3"), count("glue")), (23, 11, 116, 314));
}

#[test]
fn every_reference_leads_to_a_shape() {
    for api in all() {
        for (name, operation) in &api.operations {
            let ends = operation.input.iter().chain(&operation.output).map(|end| &end.shape);
            for shape in ends.chain(operation.errors.iter().map(|error| &error.shape)) {
                assert!(api.shapes.contains_key(shape), "{}: {name} names {shape}", api.api);
            }
        }
        for (name, shape) in &api.shapes {
            let parts = shape.members.values().chain(&shape.member).chain(&shape.key).chain(&shape.value);
            for part in parts {
                assert!(api.shapes.contains_key(&part.shape), "{}: {name} names {}", api.api, part.shape);
            }
            for required in &shape.required {
                assert!(shape.members.contains_key(required), "{}: {name} requires {required}", api.api);
            }
            assert_eq!(shape.kind == ShapeType::List, shape.member.is_some(), "{}: {name}", api.api);
            assert_eq!(
                shape.kind == ShapeType::Map,
                shape.key.is_some() && shape.value.is_some(),
                "{}: {name}",
                api.api
            );
        }
    }
}

#[test]
fn sqs_speaks_json_and_the_query_protocol_of_older_clients() {
    let sqs = Api::read(&folder(), "sqs").unwrap();
    assert_eq!(sqs.metadata.protocols().collect::<Vec<_>>(), ["json", "query"]);
    assert!(sqs.metadata.query_compatible());
    assert_eq!(sqs.error_code("QueueDoesNotExist"), "AWS.SimpleQueueService.NonExistentQueue");
    assert_eq!(sqs.error_code("InvalidMessageContents"), "InvalidMessageContents");
    assert_eq!(sqs.result_wrapper("SendMessage").as_deref(), Some("SendMessageResult"));
    assert_eq!(sqs.result_wrapper("DeleteMessage"), None);
}

#[test]
fn services_say_where_they_are_and_how_they_sign() {
    let facts = |name: &str| Api::read(&folder(), name).unwrap().metadata;
    assert_eq!(
        (facts("cloudwatch").endpoint_prefix.as_str(), facts("cloudwatch").signing()),
        ("monitoring", "monitoring")
    );
    assert_eq!((facts("sesv2").endpoint_prefix.as_str(), facts("sesv2").signing()), ("email", "ses"));
    assert!(facts("iam").global() && facts("route53").global());
    assert!(!facts("s3").global() && !facts("sts").global());
    assert_eq!(facts("kinesis").protocols().collect::<Vec<_>>(), ["json"]);
}

#[test]
fn s3_keeps_the_text_of_expires() {
    let s3 = Api::read(&folder(), "s3").unwrap();
    assert_eq!(s3.shape("Expires").unwrap().kind, ShapeType::String);
    assert!(s3.shape("GetObjectOutput").unwrap().members["Body"].streaming);
    assert!(s3.shape("SelectObjectContentEventStream").unwrap().is_union());
    assert!(!s3.paginators.is_empty() && !s3.waiters.is_empty());
}

#[test]
fn no_prose_is_kept() {
    for name in names(&folder()).unwrap() {
        let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        assert!(!text.contains("<p>"), "{name}");
    }
}
