//! What subscribers get: the JSON around a message, what of it is signed, and the forms of each protocol.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>,
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::signing::Signature;
use crate::store::{AttributeValue, Message, Subscription};

/// AWS leaves colons as they are in its links.
const IN_QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b':').remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The lines of a document in the form in which SNS writes it.
struct Lines(String);

impl Lines {
    fn new() -> Self {
        Lines("{".to_owned())
    }

    fn add(&mut self, name: &str, value: &str) {
        self.add_json(name, &quoted(value));
    }

    fn add_json(&mut self, name: &str, value: &str) {
        self.0.push_str(if self.0.len() == 1 { "\n  \"" } else { ",\n  \"" });
        self.0.push_str(name);
        self.0.push_str("\" : ");
        self.0.push_str(value);
    }

    fn end(mut self) -> String {
        self.0.push_str("\n}");
        self.0
    }
}

/// What is signed: names and values, each on a line, sorted by name.
fn to_sign(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        text.push_str(name);
        text.push('\n');
        text.push_str(value);
        text.push('\n');
    }
    text
}

/// What of a notification with this text is signed. The sequence number and the attributes are not.
pub fn notification_to_sign(message: &Message, text: &str, topic_arn: &str) -> String {
    let timestamp = message.published_at.date_time_millis();
    let mut pairs = vec![("Message", text), ("MessageId", message.id.as_str())];
    if let Some(subject) = &message.subject {
        pairs.push(("Subject", subject));
    }
    pairs.extend([("Timestamp", timestamp.as_str()), ("TopicArn", topic_arn), ("Type", "Notification")]);
    to_sign(&pairs)
}

/// A link by which a subscription is ended.
pub fn unsubscribe_url(origin: &str, subscription_arn: &str) -> String {
    format!("{origin}/?Action=Unsubscribe&SubscriptionArn={}", utf8_percent_encode(subscription_arn, IN_QUERY))
}

/// A link by which a subscription is confirmed.
pub fn subscribe_url(origin: &str, topic_arn: &str, token: &str) -> String {
    format!("{origin}/?Action=ConfirmSubscription&TopicArn={}&Token={token}", utf8_percent_encode(topic_arn, IN_QUERY))
}

/// A message on its way to one subscription.
#[derive(Clone, Copy)]
pub struct Notification<'a> {
    pub message: &'a Message,
    pub text: &'a str,
    pub topic_arn: &'a str,
    pub subscription: &'a Subscription,
    pub subscription_arn: &'a str,
    /// Messages of FIFO topics carry none.
    pub signature: Option<&'a Signature>,
    /// It comes from the archive.
    pub replayed: bool,
}

impl Notification<'_> {
    /// The document that queues and HTTP endpoints get.
    pub fn json(&self) -> String {
        let Notification { message, subscription, .. } = self;
        let mut lines = Lines::new();
        lines.add("Type", "Notification");
        lines.add("MessageId", &message.id);
        if let Some(number) = &message.sequence_number {
            lines.add("SequenceNumber", number);
        }
        lines.add("TopicArn", self.topic_arn);
        if let Some(subject) = &message.subject {
            lines.add("Subject", subject);
        }
        lines.add("Message", self.text);
        lines.add("Timestamp", &message.published_at.date_time_millis());
        if let Some(signature) = self.signature {
            lines.add("SignatureVersion", signature.version);
            lines.add("Signature", &signature.value);
            lines.add("SigningCertURL", &signature.certificate_url(&subscription.origin));
        }
        lines.add("UnsubscribeURL", &unsubscribe_url(&subscription.origin, self.subscription_arn));
        if self.replayed {
            lines.add("Replayed", "true");
        }
        if !message.attributes.is_empty() {
            let attributes: Vec<String> = message
                .attributes
                .iter()
                .map(|(name, value)| format!("    {} : {}", quoted(name), attribute_json(value)))
                .collect();
            lines.add_json("MessageAttributes", &format!("{{\n{}\n  }}", attributes.join(",\n")));
        }
        lines.end()
    }

    /// The event that a function is called with. Its member names differ in case from the document's.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>
    pub fn lambda_event(&self) -> String {
        let Notification { message, subscription, .. } = self;
        let mut pairs = vec![
            ("Type", quoted("Notification")),
            ("MessageId", quoted(&message.id)),
            ("TopicArn", quoted(self.topic_arn)),
            ("Subject", message.subject.as_deref().map_or_else(|| "null".to_owned(), quoted)),
            ("Message", quoted(self.text)),
            ("Timestamp", quoted(&message.published_at.date_time_millis())),
        ];
        if let Some(signature) = self.signature {
            pairs.extend([
                ("SignatureVersion", quoted(signature.version)),
                ("Signature", quoted(&signature.value)),
                ("SigningCertUrl", quoted(&signature.certificate_url(&subscription.origin))),
            ]);
        }
        let attributes: Vec<String> = message
            .attributes
            .iter()
            .map(|(name, value)| format!("{}:{}", quoted(name), attribute_json(value)))
            .collect();
        pairs.extend([
            ("UnsubscribeUrl", quoted(&unsubscribe_url(&subscription.origin, self.subscription_arn))),
            ("MessageAttributes", format!("{{{}}}", attributes.join(","))),
        ]);
        let members: Vec<String> = pairs.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!(
            r#"{{"Records":[{{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":{},"Sns":{{{}}}}}]}}"#,
            quoted(self.subscription_arn),
            members.join(",")
        )
    }

    /// The text of an e-mail.
    pub fn mail_body(&self) -> String {
        format!(
            "{}\n\n--\nIf you wish to stop receiving notifications from this topic, please click or visit the link below to unsubscribe:\n{}\n\nPlease do not reply directly to this email.\n",
            self.text,
            unsubscribe_url(&self.subscription.origin, self.subscription_arn),
        )
    }
}

fn attribute_json(value: &AttributeValue) -> String {
    let text = match (&value.string, &value.binary) {
        (Some(text), _) => quoted(text),
        (None, Some(bytes)) => quoted(&STANDARD.encode(bytes)),
        (None, None) => quoted(""),
    };
    format!(r#"{{"Type":{},"Value":{text}}}"#, quoted(&value.data_type))
}

/// Which of the two confirmations it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    Subscribe,
    Unsubscribe,
}

impl Confirmation {
    pub const fn kind(self) -> &'static str {
        match self {
            Confirmation::Subscribe => "SubscriptionConfirmation",
            Confirmation::Unsubscribe => "UnsubscribeConfirmation",
        }
    }
}

/// A SubscriptionConfirmation or an UnsubscribeConfirmation: its parts, before it is signed.
pub struct ConfirmationMessage<'a> {
    pub what: Confirmation,
    pub id: &'a str,
    pub topic_arn: &'a str,
    pub subscription_arn: &'a str,
    pub subscription: &'a Subscription,
    pub timestamp: String,
}

impl ConfirmationMessage<'_> {
    fn text(&self) -> String {
        match self.what {
            Confirmation::Subscribe => format!(
                "You have chosen to subscribe to the topic {}.\nTo confirm the subscription, visit the SubscribeURL included in this message.",
                self.topic_arn
            ),
            Confirmation::Unsubscribe => format!(
                "You have chosen to deactivate subscription {}.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message.",
                self.subscription_arn
            ),
        }
    }

    fn url(&self) -> String {
        subscribe_url(&self.subscription.origin, self.topic_arn, &self.subscription.token)
    }

    pub fn to_sign(&self) -> String {
        to_sign(&[
            ("Message", &self.text()),
            ("MessageId", self.id),
            ("SubscribeURL", &self.url()),
            ("Timestamp", &self.timestamp),
            ("Token", &self.subscription.token),
            ("TopicArn", self.topic_arn),
            ("Type", self.what.kind()),
        ])
    }

    pub fn json(&self, signature: &Signature) -> String {
        let mut lines = Lines::new();
        lines.add("Type", self.what.kind());
        lines.add("MessageId", self.id);
        lines.add("Token", &self.subscription.token);
        lines.add("TopicArn", self.topic_arn);
        lines.add("Message", &self.text());
        lines.add("SubscribeURL", &self.url());
        lines.add("Timestamp", &self.timestamp);
        lines.add("SignatureVersion", signature.version);
        lines.add("Signature", &signature.value);
        lines.add("SigningCertURL", &signature.certificate_url(&self.subscription.origin));
        lines.end()
    }

    /// The text of the e-mail that asks for a confirmation.
    pub fn mail_body(&self) -> String {
        format!(
            "You have chosen to subscribe to the topic:\n{}\n\nTo confirm this subscription, click or visit the link below (If this was in error no action is necessary):\n{}\n",
            self.topic_arn,
            self.url()
        )
    }
}

#[cfg(test)]
mod tests {
    use fractus_aws::AccountId;
    use fractus_clock::Timestamp;
    use serde_json::Value;

    use super::*;
    use crate::store::Attributes;

    fn subscription() -> Subscription {
        Subscription {
            id: "s".into(),
            topic: "t".into(),
            protocol: "sqs".into(),
            endpoint: String::new(),
            owner: AccountId::default_account(),
            principal: String::new(),
            attributes: Attributes::new(),
            pending: false,
            confirmed_by_signature: false,
            authenticate_on_unsubscribe: false,
            token: "k".into(),
            created_at: Timestamp::EPOCH,
            origin: "http://localhost:4566".into(),
        }
    }

    #[test]
    fn a_notification_is_written_as_aws_writes_it() {
        let value = AttributeValue { data_type: "String".into(), string: Some("x".into()), binary: None };
        let message = Message {
            id: "m".into(),
            text: "a \"b\"".into(),
            subject: Some("s".into()),
            attributes: [("a".to_owned(), value)].into_iter().collect(),
            published_at: Timestamp::from_millis(1_136_214_245_120),
            ..Message::default()
        };
        let signature = Signature { version: "1", value: "sig".into(), certificate_id: "id".into(), base: None };
        let subscription = subscription();
        let arn = "arn:aws:sns:us-east-1:000000000000:t";
        let notification = Notification {
            message: &message,
            text: &message.text,
            topic_arn: arn,
            subscription: &subscription,
            subscription_arn: "arn:aws:sns:us-east-1:000000000000:t:s",
            signature: Some(&signature),
            replayed: false,
        };
        assert_eq!(
            notification.json(),
            r#"{
  "Type" : "Notification",
  "MessageId" : "m",
  "TopicArn" : "arn:aws:sns:us-east-1:000000000000:t",
  "Subject" : "s",
  "Message" : "a \"b\"",
  "Timestamp" : "2006-01-02T15:04:05.120Z",
  "SignatureVersion" : "1",
  "Signature" : "sig",
  "SigningCertURL" : "http://localhost:4566/_aws/sns/SimpleNotificationService-id.pem",
  "UnsubscribeURL" : "http://localhost:4566/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-1:000000000000:t:s",
  "MessageAttributes" : {
    "a" : {"Type":"String","Value":"x"}
  }
}"#
        );
        assert_eq!(
            notification_to_sign(&message, &message.text, arn),
            "Message\na \"b\"\nMessageId\nm\nSubject\ns\nTimestamp\n2006-01-02T15:04:05.120Z\nTopicArn\narn:aws:sns:us-east-1:000000000000:t\nType\nNotification\n"
        );
        let event: Value = serde_json::from_str(&notification.lambda_event()).unwrap();
        assert_eq!(event["Records"][0]["Sns"]["MessageAttributes"]["a"]["Value"], "x");
        assert_eq!(event["Records"][0]["EventSource"], "aws:sns");
    }
}
