//! Schemas made at run time say what the models say.
#![allow(clippy::unwrap_used)]

use fractus_models::{Api, folder, names};
use fractus_wire::dynamic::leak;
use fractus_wire::{Kind, Location, Protocol, ServiceSchema, TimestampFormat};

fn schema(name: &str) -> &'static ServiceSchema {
    leak(&Api::read(&folder(), name).unwrap()).unwrap()
}

#[test]
fn every_model_becomes_a_schema() {
    for name in names(&folder()).unwrap() {
        let api = Api::read(&folder(), &name).unwrap();
        let service = leak(&api).unwrap();
        assert_eq!(service.operations.len(), api.operations.len());
        for operation in service.operations {
            let facts = &api.operations[operation.name];
            assert_eq!(operation.http.uri, facts.http.request_uri);
            assert_eq!(operation.errors.len(), facts.errors.len());
            assert_eq!(
                operation.input.members.is_empty(),
                facts.input.as_ref().is_none_or(|input| api.shapes[&input.shape].members.is_empty())
            );
            for member in operation.input.members {
                assert_eq!(
                    operation.input.member_by_wire_name(member.wire_name).map(|found| found.wire_name),
                    Some(member.wire_name)
                );
            }
        }
    }
}

#[test]
fn recursive_shapes_lead_to_themselves() {
    let dynamodb = schema("dynamodb");
    let put = dynamodb.operation("PutItem").unwrap().input;
    let value = put.member_by_wire_name("Item").unwrap().target.element().unwrap().target;
    assert_eq!((value.name, value.kind), ("AttributeValue", Kind::Union));
    let list = value.member_by_wire_name("L").unwrap().target.element().unwrap().target;
    assert!(std::ptr::eq(list, value));
    assert_eq!(format!("{value:?}"), "Schema(AttributeValue)");
}

#[test]
fn s3_members_say_where_they_travel() {
    let s3 = schema("s3");
    let put = s3.operation("PutObject").unwrap();
    let member = |name: &str| put.input.members.iter().find(|member| member.name == name).unwrap();
    assert_eq!(member("Bucket").location, Location::Uri);
    assert_eq!(member("Metadata").location, Location::Headers);
    assert_eq!((member("ContentMD5").wire_name, member("ContentMD5").location), ("Content-MD5", Location::Header));
    assert!(member("Body").target.streaming && member("Bucket").required);
    assert_eq!(put.input.payload, Some(member("Body").index));
    assert_eq!(put.checksum_algorithm_member, Some("ChecksumAlgorithm"));
    let select = s3.operation("SelectObjectContent").unwrap();
    assert_eq!(select.input_xml_name, Some("SelectObjectContentRequest"));
    let events = select.output.members[0].target;
    assert!(events.event_stream && events.members.iter().all(|event| event.target.event));
    let records = events.member_by_wire_name("Records").unwrap().target;
    assert!(records.members[0].event_payload && !records.members[0].target.streaming);
    assert_eq!(s3.operation("AbortMultipartUpload").unwrap().http.code, 204);
    let modified =
        s3.operation("CopyObject").unwrap().input.member_by_wire_name("x-amz-copy-source-if-modified-since").unwrap();
    assert_eq!(modified.timestamp_format_or(TimestampFormat::HttpDate), TimestampFormat::HttpDate);
}

#[test]
fn services_say_their_protocols() {
    assert_eq!(schema("sqs").protocols, [Protocol::AwsJson10, Protocol::AwsQuery]);
    assert_eq!(schema("cloudwatch").protocols, [Protocol::RpcV2Cbor, Protocol::AwsJson10, Protocol::AwsQuery]);
    assert_eq!(schema("events").protocols, [Protocol::AwsJson11]);
    assert_eq!(schema("ec2").protocols, [Protocol::Ec2Query]);
    let sts = schema("sts");
    assert!(sts.operation("AssumeRoleWithWebIdentity").unwrap().unsigned);
    assert!(!sts.operation("AssumeRole").unwrap().unsigned);
    assert_eq!(sts.operation("AssumeRole").unwrap().result_wrapper, Some("AssumeRoleResult"));
    let sqs = schema("sqs").operation("SendMessage").unwrap();
    let gone = sqs.errors.iter().find(|error| error.name == "QueueDoesNotExist").unwrap().error.unwrap();
    assert_eq!((gone.code, gone.status), ("AWS.SimpleQueueService.NonExistentQueue", Some(400)));
}
