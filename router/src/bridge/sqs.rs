//! A delivery to a queue is a message.

use std::collections::BTreeMap;

use fractus_bus::contracts::{Attribute, Delivery};
use serde_json::{Map, Value, json};

use super::{Call, Impossible};

/// `SendMessage` to the queue's URL there:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
pub fn call(delivery: &Delivery, url: Option<&str>) -> Result<Call, Impossible> {
    let text = delivery
        .body
        .as_text()
        .ok_or_else(|| Impossible { code: "InvalidMessageContents", message: "The body is no text.".to_owned() })?;
    let mut input = Map::new();
    input.insert("QueueUrl".to_owned(), queue_url(delivery, url).into());
    input.insert("MessageBody".to_owned(), text.into());
    for (member, attributes) in
        [("MessageAttributes", &delivery.attributes), ("MessageSystemAttributes", &delivery.system_attributes)]
    {
        if !attributes.is_empty() {
            input.insert(member.to_owned(), attribute_values(attributes));
        }
    }
    for (member, value) in
        [("MessageGroupId", &delivery.group_id), ("MessageDeduplicationId", &delivery.deduplication_id)]
    {
        if let Some(value) = value {
            input.insert(member.to_owned(), value.as_str().into());
        }
    }
    Ok(Call {
        signing_name: "sqs",
        path: "/".to_owned(),
        headers: vec![("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "AmazonSQS.SendMessage")],
        body: Value::Object(input).to_string().into_bytes(),
    })
}

fn queue_url(delivery: &Delivery, url: Option<&str>) -> String {
    let (account, name) = (&delivery.account, &delivery.target.resource);
    match url {
        Some(url) => format!("{url}/{account}/{name}"),
        None => {
            let suffix = if delivery.target.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://sqs.{}.{suffix}/{account}/{name}", delivery.region)
        }
    }
}

fn attribute_values(attributes: &BTreeMap<String, Attribute>) -> Value {
    use base64::Engine;
    let values = attributes.iter().map(|(name, attribute)| {
        let text = attribute.value.as_text().filter(|_| !attribute.data_type.starts_with("Binary"));
        let value = match text {
            Some(text) => json!({ "DataType": attribute.data_type, "StringValue": text }),
            None => {
                let bytes = base64::engine::general_purpose::STANDARD.encode(attribute.value.bytes());
                json!({ "DataType": attribute.data_type, "BinaryValue": bytes })
            }
        };
        (name.clone(), value)
    });
    Value::Object(values.collect())
}

#[cfg(test)]
mod tests {
    use fractus_aws::{AccountId, Lane};
    use fractus_bus::contracts::{Body, Source};
    use fractus_clock::Timestamp;

    use super::*;

    fn delivery() -> Delivery {
        let account = AccountId::default_account();
        let source = Source { principal: "s3.amazonaws.com".to_owned(), arn: None, account, role: None };
        let target = "arn:aws:sqs:eu-west-1:123456789012:jobs.fifo".parse().unwrap();
        Delivery::new("d", Lane::main(), target, Body::text("hello"), source, Timestamp::from_secs(1))
    }

    #[test]
    fn a_message_goes_to_the_queue_of_its_region_and_account() {
        let mut delivery = delivery();
        delivery.group_id = Some("g".to_owned());
        delivery.attributes.insert("blob".to_owned(), Attribute::binary(vec![255, 0]));
        delivery.system_attributes.insert("AWSTraceHeader".to_owned(), Attribute::string("Root=1"));
        let body: Value = serde_json::from_slice(&call(&delivery, None).unwrap().body).unwrap();
        let wanted = json!({
            "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs.fifo",
            "MessageBody": "hello",
            "MessageGroupId": "g",
            "MessageAttributes": { "blob": { "DataType": "Binary", "BinaryValue": "/wA=" } },
            "MessageSystemAttributes": { "AWSTraceHeader": { "DataType": "String", "StringValue": "Root=1" } },
        });
        assert_eq!(body, wanted);
        let there: Value = serde_json::from_slice(&call(&delivery, Some("http://there:1")).unwrap().body).unwrap();
        assert_eq!(there["QueueUrl"], "http://there:1/123456789012/jobs.fifo");
    }

    #[test]
    fn what_is_no_text_is_no_message() {
        let mut delivery = delivery();
        delivery.body = Body::from(bytes::Bytes::from_static(&[255]));
        assert_eq!(call(&delivery, None).unwrap_err().code, "InvalidMessageContents");
    }
}
