//! A topic's confirmed subscriptions as publishing needs them: in memory, their filter policies in an index.
//!
//! The store is the truth. Each change of a subscription raises the topic's revision and leaves a line in `CHANGES`; whoever
//! publishes reads the lines between the revision it knows and the topic's, and nothing else. Where lines are missing (they
//! expire), or a topic was not seen before, all of it is read once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fractus_patterns::{Attribute, Dialect, Event, Index, Pattern};
use fractus_store::{Order, Range, Scope, Snapshot};
use parking_lot::Mutex;

use crate::error::Result;
use crate::model::subscription;
use crate::store::{CHANGES, Message, SUBSCRIPTIONS, Subscription, Topic};

/// Topics remembered; beyond it all are forgotten at once.
const MAX_TOPICS: usize = 2_000;

/// The subscriptions of one topic.
#[derive(Default)]
struct Routes {
    topic_id: u64,
    revision: u64,
    all: BTreeMap<String, Arc<Subscription>>,
    /// Those that want everything.
    unfiltered: BTreeMap<String, Arc<Subscription>>,
    by_attributes: Index<String>,
    by_body: Index<String>,
}

impl Routes {
    fn put(&mut self, subscription: Arc<Subscription>) {
        self.remove(&subscription.id);
        let id = subscription.id.clone();
        match subscription::filter(&subscription.attributes) {
            Ok(Some(pattern)) => self.index(&subscription).insert(id.clone(), &pattern),
            Ok(None) => {
                self.unfiltered.insert(id.clone(), subscription.clone());
            }
            // Policies are checked when they are set.
            Err(reason) => {
                tracing::error!(subscription = id, reason, "a filter policy cannot be read: nothing matches")
            }
        }
        self.all.insert(id, subscription);
    }

    fn index(&mut self, subscription: &Subscription) -> &mut Index<String> {
        match subscription::dialect(&subscription.attributes) {
            Dialect::SnsBody => &mut self.by_body,
            _ => &mut self.by_attributes,
        }
    }

    fn remove(&mut self, id: &str) {
        if self.all.remove(id).is_some() {
            self.unfiltered.remove(id);
            self.by_attributes.remove(id);
            self.by_body.remove(id);
        }
    }

    fn read_all(snapshot: &Snapshot<'_>, scope: &Scope, topic: &Topic) -> Result<Self> {
        let mut routes = Routes { topic_id: topic.id, revision: topic.revision, ..Routes::default() };
        let range = Range::prefix(&(topic.id,));
        for entry in snapshot.range(&SUBSCRIPTIONS, scope, range, Order::Ascending)? {
            let (_, subscription) = entry?;
            if !subscription.pending {
                routes.put(Arc::new(subscription));
            }
        }
        Ok(routes)
    }

    /// Reads what changed since; false where that is not known any more.
    fn catch_up(&mut self, snapshot: &Snapshot<'_>, scope: &Scope, topic: &Topic) -> Result<bool> {
        if self.topic_id != topic.id || self.revision > topic.revision {
            return Ok(false);
        }
        if self.revision == topic.revision {
            return Ok(true);
        }
        let range = Range::prefix(&(topic.id,)).after(&(topic.id, self.revision));
        let mut changed = Vec::new();
        for entry in snapshot.range(&CHANGES, scope, range, Order::Ascending)? {
            changed.push(entry?.1);
        }
        if changed.len() as u64 != topic.revision - self.revision {
            return Ok(false);
        }
        for id in changed {
            match snapshot.get(&SUBSCRIPTIONS, scope, &(topic.id, id.as_str()))? {
                Some(subscription) if !subscription.pending => self.put(Arc::new(subscription)),
                _ => self.remove(&id),
            }
        }
        self.revision = topic.revision;
        Ok(true)
    }

    fn matching(&self, message: &Message) -> Vec<Arc<Subscription>> {
        let mut found: Vec<Arc<Subscription>> = self.unfiltered.values().cloned().collect();
        let mut take = |ids: Vec<&String>| found.extend(ids.into_iter().filter_map(|id| self.all.get(id)).cloned());
        if !self.by_attributes.is_empty() {
            take(self.by_attributes.matches(&event_of_attributes(message)));
        }
        if !self.by_body.is_empty()
            && let Ok(event) = Event::parse(&message.text)
        {
            take(self.by_body.matches(&event));
        }
        found
    }
}

/// A message's attributes as filter policies see them.
pub fn event_of_attributes(message: &Message) -> Event<'_> {
    let attributes = message.attributes.iter().filter_map(|(name, value)| {
        let text = value.string.as_deref()?;
        let attribute = match value.data_type.as_str() {
            "String.Array" => Attribute::Array(text),
            kind if kind.starts_with("Number") => Attribute::Number(text),
            kind if kind.starts_with("Binary") => return None,
            _ => Attribute::Text(text),
        };
        Some((name.as_str(), attribute))
    });
    Event::from_attributes(attributes)
}

/// Whether a filter policy lets a message through.
pub fn passes(pattern: &Pattern, dialect: Dialect, message: &Message) -> bool {
    match dialect {
        Dialect::SnsBody => Event::parse(&message.text).is_ok_and(|event| pattern.matches(&event)),
        _ => pattern.matches(&event_of_attributes(message)),
    }
}

type Topics = HashMap<(Scope, String), Arc<Mutex<Routes>>>;

/// The routes of the topics that were published to.
#[derive(Default)]
pub struct RouteCache {
    topics: Mutex<Topics>,
}

impl RouteCache {
    /// The confirmed subscriptions of a topic that want the message.
    pub fn matching(
        &self,
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        topic: &Topic,
        message: &Message,
    ) -> Result<Vec<Arc<Subscription>>> {
        if topic.confirmed == 0 {
            return Ok(Vec::new());
        }
        let routes = self.of(scope, &topic.name);
        let mut routes = routes.lock();
        if !routes.catch_up(snapshot, scope, topic)? {
            *routes = Routes::read_all(snapshot, scope, topic)?;
        }
        Ok(routes.matching(message))
    }

    fn of(&self, scope: &Scope, name: &str) -> Arc<Mutex<Routes>> {
        let mut topics = self.topics.lock();
        let key = (scope.clone(), name.to_owned());
        if let Some(routes) = topics.get(&key) {
            return routes.clone();
        }
        if topics.len() >= MAX_TOPICS {
            topics.clear();
        }
        topics.entry(key).or_default().clone()
    }

    pub fn forget(&self) {
        self.topics.lock().clear();
    }
}
