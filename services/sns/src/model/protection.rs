//! Data protection policies: what of a message is sensitive, and what is done about it.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-data-protection-policies.html>

use fancy_regex::Regex;
use fractus_aws::Arn;
use fractus_bus::contracts::{Body, Delivery, Source};
use fractus_clock::Random;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::identifiers;
use crate::publishing::Publisher;
use crate::store::{Message, Topic};

const VERSION: &str = "2021-06-01";
const MANAGED: &str = ":data-identifier/";
const MAX_REGEX_CHARS: usize = 200;
const MAX_CUSTOM: usize = 10;

/// A policy, compiled.
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Inbound,
    Outbound,
}

struct Statement {
    direction: Direction,
    principals: Vec<String>,
    identifiers: Vec<Kind>,
    operation: Operation,
}

enum Kind {
    Managed(String),
    Custom(String, Regex),
}

enum Operation {
    Deny,
    Mask(char),
    Redact,
    Audit { rate: u64, findings: Value, no_findings: Value },
}

/// What an audit has to tell.
pub struct Audit {
    message_id: String,
    findings: Vec<(String, Vec<(usize, usize)>)>,
    destination: Value,
}

impl Kind {
    fn name(&self) -> &str {
        match self {
            Kind::Managed(name) | Kind::Custom(name, _) => name,
        }
    }

    fn find(&self, text: &str) -> Vec<(usize, usize)> {
        match self {
            Kind::Managed(name) => identifiers::find(name, text),
            Kind::Custom(_, pattern) => identifiers::find_by(pattern, text, |_| true),
        }
    }
}

impl Statement {
    fn is_about(&self, direction: Direction, principal: &str) -> bool {
        let fits = |pattern: &String| pattern == "*" || pattern == principal || is_role_of(pattern, principal);
        self.direction == direction && self.principals.iter().any(fits)
    }

    /// Where a text is sensitive: byte ranges, in order, none over another.
    fn find(&self, text: &str) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = self.identifiers.iter().flat_map(|kind| kind.find(text)).collect();
        found.sort_unstable();
        let mut apart: Vec<(usize, usize)> = Vec::with_capacity(found.len());
        for (start, end) in found {
            match apart.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => apart.push((start, end)),
            }
        }
        apart
    }

    fn rewrite(&self, text: &mut String) {
        let put = |covered: &str| match &self.operation {
            Operation::Mask(with) => with.to_string().repeat(covered.chars().count()),
            _ => String::new(),
        };
        let found = self.find(text);
        if found.is_empty() {
            return;
        }
        let (mut rewritten, mut at) = (String::with_capacity(text.len()), 0);
        for (start, end) in found {
            rewritten.push_str(&text[at..start]);
            rewritten.push_str(&put(&text[start..end]));
            at = end;
        }
        rewritten.push_str(&text[at..]);
        *text = rewritten;
    }
}

/// `arn:aws:iam::123456789012:role/r` stands for its sessions, `arn:aws:sts::123456789012:assumed-role/r/...`.
fn is_role_of(pattern: &str, principal: &str) -> bool {
    let (Ok(pattern), Ok(principal)) = (pattern.parse::<Arn>(), principal.parse::<Arn>()) else { return false };
    let role = pattern.resource.strip_prefix("role/").and_then(|role| role.rsplit('/').next());
    let session = principal.resource.strip_prefix("assumed-role/").and_then(|rest| rest.split('/').next());
    role.is_some() && role == session && pattern.account == principal.account
}

fn texts(message: &Message) -> impl Iterator<Item = &String> {
    std::iter::once(&message.text).chain(message.texts.values())
}

fn texts_mut(message: &mut Message) -> impl Iterator<Item = &mut String> {
    std::iter::once(&mut message.text).chain(message.texts.values_mut())
}

impl Policy {
    /// Reads a policy; the reason where it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(text).map_err(|_| "The policy is not valid JSON".to_owned())?;
        let member = |name: &str| document.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if member("Name").is_none() {
            return Err("The policy must have a Name".to_owned());
        }
        if member("Version") != Some(VERSION) {
            return Err(format!("The policy's Version must be {VERSION}"));
        }
        let custom = custom_identifiers(&document)?;
        let statements = document.get("Statement").and_then(Value::as_array).filter(|list| !list.is_empty());
        let statements = statements.ok_or("The policy must have at least one Statement")?;
        let statements: Vec<Statement> =
            statements.iter().map(|one| statement(one, &custom)).collect::<Result<_, _>>()?;
        let is_audit = |one: &&Statement| matches!(one.operation, Operation::Audit { .. });
        if statements.iter().filter(is_audit).count() > 1 {
            return Err("The policy can have only one Audit statement".to_owned());
        }
        Ok(Policy { statements })
    }

    /// What an audit statement finds in a message that comes in, where this message is one of the sample.
    pub fn audit(&self, principal: &str, message: &Message, random: &Random) -> Option<Audit> {
        let about = self.statements.iter().filter(|one| one.is_about(Direction::Inbound, principal));
        for one in about {
            let Operation::Audit { rate, findings, no_findings } = &one.operation else { continue };
            if random.below(100) >= *rate {
                return None;
            }
            let found: Vec<(String, Vec<(usize, usize)>)> = one
                .identifiers
                .iter()
                .map(|kind| {
                    (kind.name().to_owned(), texts(message).flat_map(|text| kind.find(text)).collect::<Vec<_>>())
                })
                .filter(|(_, places)| !places.is_empty())
                .collect();
            let destination = if found.is_empty() { no_findings } else { findings };
            return destination.is_object().then(|| Audit {
                message_id: message.id.clone(),
                findings: found,
                destination: destination.clone(),
            });
        }
        None
    }

    /// Applies the inbound statements: refuses the message, or covers what is sensitive.
    pub fn inbound(&self, principal: &str, message: &mut Message) -> Result<()> {
        let applied = self.apply(Direction::Inbound, principal, message);
        applied.map_err(|kinds| {
            Error::Authorization(format!(
                "User: {principal} is not authorized to publish this message: it contains sensitive data that the topic's data protection policy denies ({kinds})"
            ))
        })
    }

    /// The message as a subscriber may see it; none where it may not.
    pub fn outbound(&self, principal: &str, message: &Message) -> Option<Message> {
        let mut message = message.clone();
        self.apply(Direction::Outbound, principal, &mut message).ok().map(|()| message)
    }

    pub fn has_outbound(&self) -> bool {
        self.statements.iter().any(|one| one.direction == Direction::Outbound)
    }

    /// `Err`: the kinds of data for which it is denied.
    fn apply(&self, direction: Direction, principal: &str, message: &mut Message) -> Result<(), String> {
        for one in self.statements.iter().filter(|one| one.is_about(direction, principal)) {
            match one.operation {
                Operation::Deny if texts(message).any(|text| !one.find(text).is_empty()) => {
                    let found =
                        one.identifiers.iter().filter(|kind| texts(message).any(|text| !kind.find(text).is_empty()));
                    return Err(found.map(Kind::name).collect::<Vec<_>>().join(", "));
                }
                Operation::Mask(_) | Operation::Redact => texts_mut(message).for_each(|text| one.rewrite(text)),
                Operation::Deny | Operation::Audit { .. } => {}
            }
        }
        Ok(())
    }
}

fn custom_identifiers(document: &Value) -> Result<Vec<(String, Regex)>, String> {
    let given = document.get("Configuration").and_then(|one| one.get("CustomDataIdentifier")).and_then(Value::as_array);
    let given = given.map(Vec::as_slice).unwrap_or_default();
    if given.len() > MAX_CUSTOM {
        return Err(format!("A policy can have up to {MAX_CUSTOM} custom data identifiers"));
    }
    given
        .iter()
        .map(|one| {
            let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
            let (name, pattern) = (text("Name"), text("Regex"));
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if name.is_empty() || name.len() > 128 || !plain {
                return Err("A custom data identifier's Name is invalid".to_owned());
            }
            if pattern.is_empty() || pattern.chars().count() > MAX_REGEX_CHARS {
                return Err(format!("The Regex of {name} must have 1 to {MAX_REGEX_CHARS} characters"));
            }
            let pattern = Regex::new(pattern).map_err(|_| format!("The Regex of {name} is invalid"))?;
            Ok((name.to_owned(), pattern))
        })
        .collect()
}

fn statement(value: &Value, custom: &[(String, Regex)]) -> Result<Statement, String> {
    let direction = match value.get("DataDirection").and_then(Value::as_str) {
        Some("Inbound") => Direction::Inbound,
        Some("Outbound") => Direction::Outbound,
        _ => return Err("DataDirection must be Inbound or Outbound".to_owned()),
    };
    let list = |name: &str| -> Result<Vec<String>, String> {
        let texts = value.get(name).and_then(Value::as_array).into_iter().flatten();
        let texts: Option<Vec<String>> = texts.map(|text| text.as_str().map(str::to_owned)).collect();
        texts.filter(|texts| !texts.is_empty()).ok_or_else(|| format!("{name} must be a list of strings"))
    };
    let principals = list("Principal")?;
    let identifiers: Vec<Kind> =
        list("DataIdentifier")?.into_iter().map(|text| kind(&text, custom)).collect::<Result<_, _>>()?;
    let operation = operation(value.get("Operation").unwrap_or(&Value::Null), direction)?;
    Ok(Statement { direction, principals, identifiers, operation })
}

fn kind(text: &str, custom: &[(String, Regex)]) -> Result<Kind, String> {
    if let Some((name, pattern)) = custom.iter().find(|(name, _)| name == text) {
        return Ok(Kind::Custom(name.clone(), pattern.clone()));
    }
    match text.split_once(MANAGED) {
        Some((head, name)) if head.ends_with(":dataprotection::aws") && !name.is_empty() => {
            Ok(Kind::Managed(name.to_owned()))
        }
        _ => Err(format!("{text} is no data identifier")),
    }
}

fn operation(value: &Value, direction: Direction) -> Result<Operation, String> {
    if value.get("Deny").is_some() {
        return Ok(Operation::Deny);
    }
    if let Some(deidentify) = value.get("Deidentify") {
        if deidentify.get("RedactConfig").is_some() {
            return Ok(Operation::Redact);
        }
        let mask = deidentify.get("MaskConfig").ok_or("Deidentify must have a MaskConfig or a RedactConfig")?;
        let with = mask.get("MaskWithCharacter").and_then(Value::as_str).unwrap_or("#");
        let mut characters = with.chars();
        return match (characters.next(), characters.next()) {
            (Some(one), None) if one.is_ascii_graphic() || one == ' ' => Ok(Operation::Mask(one)),
            _ => Err("MaskWithCharacter must be one character".to_owned()),
        };
    }
    let Some(audit) = value.get("Audit") else {
        return Err("Operation must be one of Audit, Deidentify and Deny".to_owned());
    };
    if direction == Direction::Outbound {
        return Err("Audit is an operation on inbound messages".to_owned());
    }
    let rate = match audit.get("SampleRate") {
        Some(Value::String(rate)) => rate.parse().ok(),
        Some(rate) => rate.as_u64(),
        None => None,
    };
    let rate = rate.filter(|rate| *rate <= 99).ok_or("SampleRate must be an integer from 0 to 99")?;
    let destination = |name: &str| audit.get(name).cloned().unwrap_or(Value::Null);
    let (findings, no_findings) = (destination("FindingsDestination"), destination("NoFindingsDestination"));
    if !findings.is_object() && !no_findings.is_object() {
        return Err("Audit must have a FindingsDestination or a NoFindingsDestination".to_owned());
    }
    Ok(Operation::Audit { rate, findings, no_findings })
}

impl Audit {
    /// The report as AWS writes it.
    fn report(&self, publisher: &Publisher<'_>) -> String {
        let identifiers: Vec<Value> = self
            .findings
            .iter()
            .map(|(name, places)| {
                let detections: Vec<Value> =
                    places.iter().map(|(start, end)| json!({ "start": start, "end": end })).collect();
                json!({ "name": name, "count": places.len(), "detections": detections })
            })
            .collect();
        json!({
            "messageId": self.message_id,
            "auditTimestamp": publisher.now.date_time_millis(),
            "callerPrincipal": publisher.principal,
            "resourceArn": publisher.place.arn().to_string(),
            "dataIdentifiers": identifiers,
        })
        .to_string()
    }

    /// To CloudWatch Logs and Firehose. Buckets are not written to.
    pub fn deliveries(&self, publisher: &Publisher<'_>, _: &Topic, random: &Random) -> Vec<Delivery> {
        let (world, region) = (&publisher.place.world, publisher.place.region.as_str());
        let name = |one: &str, other: &str| self.destination.get(one)?.get(other)?.as_str().map(str::to_owned);
        let logs =
            name("CloudWatchLogs", "LogGroup").map(|group| ("logs", format!("log-group:{group}"), "logs:PutLogEvents"));
        let stream = name("Firehose", "DeliveryStream");
        let stream = stream.map(|stream| ("firehose", format!("deliverystream/{stream}"), "firehose:PutRecord"));
        let deliveries = [logs, stream].into_iter().flatten().map(|(service, resource, action)| {
            let target = Arn::new(world.partition, service, region, world.account.as_str(), resource);
            let source = Source {
                principal: "sns.amazonaws.com".to_owned(),
                arn: Some(publisher.place.arn()),
                account: world.account.clone(),
                role: None,
            };
            let body = Body::text(self.report(publisher));
            let mut delivery = Delivery::new(random.uuid(), world.lane.clone(), target, body, source, publisher.now);
            delivery.action = action.to_owned();
            delivery.cause = publisher.cause.clone();
            delivery
        });
        deliveries.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(direction: &str, operation: Value) -> Policy {
        let document = json!({
            "Name": "p", "Version": VERSION,
            "Configuration": {"CustomDataIdentifier": [{"Name": "Badge", "Regex": "B-\\d+"}]},
            "Statement": [{
                "DataDirection": direction, "Principal": ["*"], "Operation": operation,
                "DataIdentifier": ["arn:aws:dataprotection::aws:data-identifier/EmailAddress", "Badge"],
            }],
        });
        Policy::parse(&document.to_string()).unwrap()
    }

    fn message(text: &str) -> Message {
        Message { text: text.into(), ..Message::default() }
    }

    #[test]
    fn what_comes_in_is_covered_or_refused() {
        let text = "ann@example.com wears B-12";
        let covered = |operation: Value| {
            let mut message = message(text);
            policy("Inbound", operation).inbound("arn", &mut message).map(|()| message.text)
        };
        let mask = json!({"Deidentify": {"MaskConfig": {"MaskWithCharacter": "*"}}});
        assert_eq!(covered(mask).unwrap(), "*************** wears ****");
        assert_eq!(covered(json!({"Deidentify": {"RedactConfig": {}}})).unwrap(), " wears ");
        assert_eq!(covered(json!({"Deny": {}})).unwrap_err().code(), "AuthorizationError");
        policy("Inbound", json!({"Deny": {}})).inbound("arn", &mut message("plain")).unwrap();
    }

    #[test]
    fn what_goes_out_is_another_thing() {
        let policy = policy("Outbound", json!({"Deny": {}}));
        assert!(policy.has_outbound());
        assert_eq!(policy.outbound("arn", &message("B-1")), None);
        assert_eq!(policy.outbound("arn", &message("b")).unwrap().text, "b");
        policy.inbound("arn", &mut message("B-1")).unwrap();
    }

    #[test]
    fn policies_are_checked() {
        for wrong in ["x", "{}", r#"{"Name": "p", "Version": "2021-06-01", "Statement": []}"#] {
            assert!(Policy::parse(wrong).is_err(), "{wrong}");
        }
        assert!(is_role_of("arn:aws:iam::000000000000:role/p/r", "arn:aws:sts::000000000000:assumed-role/r/s"));
        assert!(!is_role_of("arn:aws:iam::000000000000:role/r", "arn:aws:sts::000000000001:assumed-role/r/s"));
    }
}
