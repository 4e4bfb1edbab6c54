//! The collections SNS keeps, and their records.
//!
//! A topic lies in its account and region, its subscriptions beside it, whoever they belong to; [`OWNED`] tells an account
//! of its own. Publishing does not read subscriptions one by one: `routes` keeps them in memory, and each change leaves a
//! line in [`CHANGES`] by which every process catches up.

use std::collections::BTreeMap;

use bytes::Bytes;
use fractus_aws::{AccountId, Arn, Lane, Partition, Region, World};
use fractus_clock::Timestamp;
use fractus_store::{Collection, Scope};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// How many there are of what has a quota, by what is counted.
pub const COUNTS: Collection<(String,), u64> = Collection::new("counts");
/// Topics by name.
pub const TOPICS: Collection<(String,), Topic> = Collection::new("topics");
/// Subscriptions by (topic's id, id). Pending ones expire by themselves.
pub const SUBSCRIPTIONS: Collection<(u64, String), Subscription> = Collection::new("subscriptions");
/// The subscription of an endpoint: (topic's id, protocol, digest of the endpoint) → id.
pub const BY_ENDPOINT: Collection<(u64, String, String), String> = Collection::new("subscriptions-by-endpoint");
/// Subscriptions that wait for their confirmation: (topic's id, id).
pub const PENDING: Collection<(u64, String), ()> = Collection::new("pending-subscriptions");
/// Topics that were deleted, by id: what lay under them is cleared in the background.
pub const DISCARDED: Collection<(u64,), Discarded> = Collection::new("discarded-topics");
/// Subscriptions ended by a link, which the endpoint's owner may restore, by token.
pub const ENDED: Collection<(String,), Subscription> = Collection::new("ended-subscriptions");
/// In the subscriber's scope: (topic's account, topic's name, id).
pub const OWNED: Collection<(String, String, String), ()> = Collection::new("owned-subscriptions");
/// What confirms a subscription, by token → (topic's name, id).
pub const TOKENS: Collection<(String,), (String, String)> = Collection::new("confirmation-tokens");
/// Which subscription changed with a revision: (topic's id, revision) → id.
pub const CHANGES: Collection<(u64, u64), String> = Collection::new("subscription-changes");
/// The latest sequence number of a FIFO topic, by the topic's id.
pub const SEQUENCES: Collection<(u64,), u64> = Collection::new("sequences");
/// Deduplication ids of the last five minutes: (topic's id, group or empty, deduplication id).
pub const DEDUPLICATION: Collection<(u64, String, String), Accepted> = Collection::new("deduplication");
/// Archived messages of FIFO topics: (topic's id, published, sequence).
pub const ARCHIVE: Collection<(u64, Timestamp, u64), Message> = Collection::new("archive");
/// Replays under way, in the lane's scope, by subscription.
pub const REPLAYS: Collection<(String,), Replay> = Collection::new("replays");
/// What is left of publishing to many subscriptions, in the lane's scope: (a number of the publish, part).
pub const FANOUTS: Collection<(u64, u64), Fanout> = Collection::new("fan-outs");
/// Requests and mails to be sent, in the lane's scope: (when it is due, id).
pub const JOBS: Collection<(Timestamp, String), Job> = Collection::new("jobs");
/// The latest messages to people, by number: a ring.
pub const SENT: Collection<(u64,), Sent> = Collection::new("sent-messages");
/// The number of the last of them.
pub const LAST_SENT: Collection<(String,), u64> = Collection::new("last-sent");
/// Platform applications by (platform, name).
pub const APPLICATIONS: Collection<(String, String), Application> = Collection::new("platform-applications");
/// Their endpoints: (platform, application's name, id).
pub const ENDPOINTS: Collection<(String, String, String), Endpoint> = Collection::new("platform-endpoints");
/// The endpoint of a device: (platform, application's name, digest of the token) → id.
pub const BY_DEVICE: Collection<(String, String, String), String> = Collection::new("endpoints-by-device");
/// An account's settings of SMS, under one key.
pub const SMS_SETTINGS: Collection<(String,), SmsSettings> = Collection::new("sms-settings");
/// Numbers that want no SMS.
pub const OPTED_OUT: Collection<(String,), OptedOut> = Collection::new("opted-out-numbers");
/// Numbers of the SMS sandbox.
pub const SANDBOX: Collection<(String,), SandboxNumber> = Collection::new("sandbox-numbers");
/// What messages are signed with: one key for the whole store.
pub const SIGNING_KEY: Collection<(String,), SigningKey> = Collection::new("signing-key");

/// The one key of collections that hold one record.
pub const ONLY: &str = "only";

/// Where a lane's own work lies.
pub fn lane_scope(lane: &Lane) -> Scope {
    Scope::new(lane, Partition::Aws, None, None)
}

/// Attributes by their API name, each as it was given.
pub type Attributes = BTreeMap<String, String>;

/// A topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Topic {
    pub name: String,
    /// This incarnation of the name.
    pub id: u64,
    pub created_at: Timestamp,
    #[serde(default)]
    pub fifo: bool,
    /// All that was set, but for the policy.
    #[serde(default)]
    pub attributes: Attributes,
    pub policy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_protection: Option<String>,
    #[serde(default)]
    pub tags: IndexMap<String, String>,
    /// Rises with every change of a subscription that publishing has to know.
    #[serde(default)]
    pub revision: u64,
    #[serde(default)]
    pub confirmed: u64,
    #[serde(default)]
    pub deleted: u64,
    /// The confirmed ones that have a filter policy.
    #[serde(default)]
    pub filtered: u64,
    /// Since when messages are archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_since: Option<Timestamp>,
}

impl Topic {
    pub fn is_true(&self, attribute: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    pub id: String,
    pub topic: String,
    pub protocol: String,
    pub endpoint: String,
    /// Whose it is.
    pub owner: AccountId,
    /// Who made it.
    pub principal: String,
    #[serde(default)]
    pub attributes: Attributes,
    #[serde(default)]
    pub pending: bool,
    #[serde(default)]
    pub confirmed_by_signature: bool,
    /// Only a signed request may end it.
    #[serde(default)]
    pub authenticate_on_unsubscribe: bool,
    pub token: String,
    pub created_at: Timestamp,
    /// The origin through which it was made: what links in its messages begin with.
    pub origin: String,
}

impl Subscription {
    pub fn is_true(&self, attribute: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn is_raw(&self) -> bool {
        self.is_true("RawMessageDelivery")
    }
}

/// A deleted topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Discarded {
    pub name: String,
}

/// Where a topic is. Its ARN says all but the lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    pub world: World,
    pub region: Region,
    pub name: String,
}

impl Place {
    pub fn scope(&self) -> Scope {
        Scope::regional(&self.world, &self.region)
    }

    pub fn arn(&self) -> Arn {
        Arn::new(self.world.partition, "sns", self.region.as_str(), self.world.account.as_str(), self.name.as_str())
    }

    pub fn subscription_arn(&self, id: &str) -> String {
        format!("{}:{id}", self.arn())
    }
}

/// A message as it was published.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub id: String,
    /// What a protocol gets that has no text of its own.
    pub text: String,
    /// Texts by protocol, of a message with a structure.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub attributes: IndexMap<String, AttributeValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deduplication_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
    pub published_at: Timestamp,
}

impl Message {
    /// What subscriptions of a protocol get.
    pub fn text_for(&self, protocol: &str) -> &str {
        self.texts.get(protocol).unwrap_or(&self.text)
    }
}

/// A message attribute's value; exactly one of the two is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributeValue {
    pub data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<Bytes>,
}

/// What the first publisher of a deduplication id was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Accepted {
    pub message_id: String,
    pub sequence_number: String,
}

/// A replay of archived messages to a subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replay {
    pub place: Place,
    pub topic_id: u64,
    pub subscription: String,
    /// The last one that was sent.
    pub after: (Timestamp, u64),
    /// Where it ends, not included.
    pub end: Timestamp,
    /// The number of the last message that it is about.
    pub last: u64,
    /// Of the policy that asked for it.
    pub policy: String,
}

/// Subscriptions that a message has still to be brought to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fanout {
    pub place: Place,
    pub topic_id: u64,
    pub message: Message,
    pub subscriptions: Vec<String>,
}

/// Something to send from here: a request or a mail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub place: Place,
    /// The subscription's id; the topic may lie elsewhere than the subscriber.
    pub subscription: String,
    pub what: Outgoing,
    /// Retries made.
    #[serde(default)]
    pub retries: u32,
    /// It has its turn among those of an endpoint that takes only so many a second.
    #[serde(default)]
    pub has_turn: bool,
    /// When the first attempt was due.
    pub begun_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outgoing {
    Request(HttpRequest),
    Mail(Mail),
}

/// A POST to an endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HttpRequest {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub message_id: String,
    /// A SubscriptionConfirmation or UnsubscribeConfirmation, which has no dead-letter queue.
    #[serde(default)]
    pub is_confirmation: bool,
    /// How it is tried again, as JSON of the effective policy.
    pub retry: String,
    /// How many the endpoint takes in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_second: Option<u32>,
    /// Where it goes in the end: a queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// What a dead letter carries beside the body: the attributes of a raw message.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub attributes: IndexMap<String, AttributeValue>,
    /// The digest of the message, where the topic wants its delivery in a log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
}

/// An e-mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub body: String,
    pub message_id: String,
    pub sender_name: String,
    /// The body is JSON.
    #[serde(default)]
    pub is_json: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
}

/// A message to a person or a device, as it was sent: what tests look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// `sms`, `application`, `email`, `email-json`.
    pub protocol: String,
    /// The number, the endpoint's ARN, the address.
    pub endpoint: String,
    pub message_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub message: String,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub attributes: IndexMap<String, String>,
    pub sent_at: Timestamp,
}

/// A platform application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Application {
    pub platform: String,
    pub name: String,
    pub attributes: Attributes,
    pub created_at: Timestamp,
}

/// A device's endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    pub id: String,
    pub attributes: Attributes,
    pub created_at: Timestamp,
}

/// An account's settings of SMS, and what it has spent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SmsSettings {
    #[serde(default)]
    pub attributes: Attributes,
    /// The month (`2026-01`) that `spent_micros` is of.
    #[serde(default)]
    pub month: String,
    /// Millionths of a US dollar.
    #[serde(default)]
    pub spent_micros: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OptedOut {
    pub at: Timestamp,
}

/// A number of the SMS sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SandboxNumber {
    pub verified: bool,
    pub code: String,
    pub code_expires_at: Timestamp,
    /// Codes sent within a day, and since when.
    #[serde(default)]
    pub codes_sent: u32,
    pub first_code_at: Timestamp,
}

/// A key pair as PKCS #8, and the certificate of its public half.
#[derive(Clone, Serialize, Deserialize)]
pub struct SigningKey {
    /// 32 hexadecimal digits, in the certificate's name.
    pub id: String,
    pub pkcs8: Bytes,
    pub certificate_pem: String,
}
