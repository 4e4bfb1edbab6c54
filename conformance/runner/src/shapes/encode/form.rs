//! Forms: the Query protocol and EC2's
//! (<https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>, <https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html>).

use fractus_models::{Api, MemberFacts, ShapeFacts, ShapeType};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::text::text;
use crate::shapes::facts;
use crate::shapes::protocol::Protocol;
use crate::shapes::value::Value;

/// RFC 3986's unreserved characters stay.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub fn body(api: &Api, name: &str, input: Option<&MemberFacts>, protocol: Protocol, value: &Value) -> Vec<u8> {
    let mut form = Form { api, is_ec2: protocol == Protocol::Ec2, pairs: Vec::new() };
    form.push("Action", name);
    form.push("Version", &api.metadata.api_version);
    if let (Some(input), Value::Members(members)) = (input, value) {
        form.members("", members, facts::shape(api, &input.shape));
    }
    let pairs = form.pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&").into_bytes()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

struct Form<'a> {
    api: &'a Api,
    is_ec2: bool,
    pairs: Vec<(String, String)>,
}

impl Form<'_> {
    fn push(&mut self, name: &str, value: &str) {
        self.pairs.push((name.to_owned(), value.to_owned()));
    }

    fn members(&mut self, prefix: &str, members: &[(String, Value)], shape: &ShapeFacts) {
        for (name, value) in members {
            if let Some(member) = shape.members.get(name) {
                let name = self.name(name, member);
                let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                self.value(&path, value, member);
            }
        }
    }

    fn name(&self, name: &str, member: &MemberFacts) -> String {
        if let Some(name) = &member.query_name {
            return name.clone();
        }
        let name = facts::wire_name(name, member);
        if self.is_ec2 {
            let mut letters = name.chars();
            return letters
                .next()
                .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str());
        }
        name.to_owned()
    }

    fn value(&mut self, path: &str, value: &Value, member: &MemberFacts) {
        let shape = facts::shape(self.api, &member.shape);
        match value {
            Value::List(elements) => self.list(path, elements, member, shape),
            Value::Members(entries) if shape.kind == ShapeType::Map => self.map(path, entries, member, shape),
            Value::Members(members) => self.members(path, members, shape),
            single => {
                let text = text(self.api, single, member, "iso8601");
                self.push(path, &text);
            }
        }
    }

    fn list(&mut self, path: &str, elements: &[Value], member: &MemberFacts, shape: &ShapeFacts) {
        let Some(element) = &shape.member else { return };
        if elements.is_empty() && !self.is_ec2 {
            return self.push(path, "");
        }
        let given = element.query_name.as_deref().or(element.location_name.as_deref());
        let path = if self.is_ec2 {
            path.to_owned()
        } else if shape.flattened || member.flattened {
            // The element's name stands in the place of the list's.
            given.map_or_else(|| path.to_owned(), |given| replace_last(path, given))
        } else {
            format!("{path}.{}", given.unwrap_or("member"))
        };
        for (index, value) in elements.iter().enumerate() {
            self.value(&format!("{path}.{}", index + 1), value, element);
        }
    }

    fn map(&mut self, path: &str, entries: &[(String, Value)], member: &MemberFacts, shape: &ShapeFacts) {
        let (Some(key), Some(value_facts)) = (&shape.key, &shape.value) else { return };
        let entry = if shape.flattened || member.flattened { path.to_owned() } else { format!("{path}.entry") };
        let name = |part: &MemberFacts, usual: &str| {
            part.query_name.as_deref().or(part.location_name.as_deref()).unwrap_or(usual).to_owned()
        };
        let (key_name, value_name) = (name(key, "key"), name(value_facts, "value"));
        for (index, (key, value)) in entries.iter().enumerate() {
            self.push(&format!("{entry}.{}.{key_name}", index + 1), key);
            self.value(&format!("{entry}.{}.{value_name}", index + 1), value, value_facts);
        }
    }
}

fn replace_last(path: &str, name: &str) -> String {
    path.rsplit_once('.').map_or_else(|| name.to_owned(), |(before, _)| format!("{before}.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(api: &str, operation: &str, protocol: Protocol, value: Value) -> String {
        let api = crate::models::load(api).unwrap();
        let body = body(&api, operation, api.operations[operation].input.as_ref(), protocol, &value);
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn lists_and_maps_are_numbered() {
        let attributes = Value::Members(vec![("DelaySeconds".into(), Value::text("1"))]);
        let value = Value::Members(vec![("QueueName".into(), Value::text("a b")), ("Attributes".into(), attributes)]);
        assert_eq!(
            form("sqs", "CreateQueue", Protocol::Query, value),
            "Action=CreateQueue&Version=2012-11-05&QueueName=a%20b&Attribute.1.Name=DelaySeconds&Attribute.1.Value=1"
        );
        let entry = Value::Members(vec![("Id".into(), Value::text("1"))]);
        let value = Value::Members(vec![("Entries".into(), Value::List(vec![entry]))]);
        let body = form("sqs", "DeleteMessageBatch", Protocol::Query, value);
        assert!(body.ends_with("&DeleteMessageBatchRequestEntry.1.Id=1"), "{body}");
        let value = Value::Members(vec![(
            "PolicyArns".into(),
            Value::List(vec![Value::Members(vec![("arn".into(), Value::text("x"))])]),
        )]);
        let body = form("sts", "AssumeRole", Protocol::Query, value);
        assert!(body.ends_with("&PolicyArns.member.1.arn=x"), "{body}");
        let value = Value::Members(vec![("InstanceIds".into(), Value::List(vec![Value::text("i-1")]))]);
        let body = form("ec2", "DescribeInstances", Protocol::Ec2, value);
        assert!(body.ends_with("&InstanceId.1=i-1"), "{body}");
    }
}
