//! How many topics, subscriptions and filter policies there may be: settings, with AWS's numbers.
//!
//! <https://docs.aws.amazon.com/general/latest/gr/sns.html>
//!
//! What is counted over a whole account and region has a record of its own; what is counted of a topic lies in the topic.

use fractus_store::{Scope, Snapshot, Transaction};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::store::{COUNTS, Subscription, Topic};

const FILTER_POLICIES: &str = "filter-policies";

fn topics(fifo: bool) -> &'static str {
    if fifo { "fifo-topics" } else { "topics" }
}

fn count(snapshot: &Snapshot<'_>, scope: &Scope, what: &str) -> Result<u64> {
    Ok(snapshot.get(&COUNTS, scope, &(what,))?.unwrap_or(0))
}

fn change(tx: &mut Transaction<'_>, scope: &Scope, what: &str, by: i64) -> Result<()> {
    if by == 0 {
        return Ok(());
    }
    let counted = count(tx, scope, what)?.saturating_add_signed(by);
    Ok(tx.put(&COUNTS, scope, &(what,), &counted)?)
}

/// Counts a topic that comes, or refuses it.
pub fn topic_comes(tx: &mut Transaction<'_>, scope: &Scope, config: &Config, fifo: bool) -> Result<()> {
    let quota = if fifo { config.fifo_topic_quota } else { config.topic_quota };
    if count(tx, scope, topics(fifo))? >= quota {
        return Err(Error::TopicLimitExceeded(format!("Topic limit exceeded: {quota}")));
    }
    change(tx, scope, topics(fifo), 1)
}

/// A topic goes, with all its filter policies.
pub fn topic_goes(tx: &mut Transaction<'_>, scope: &Scope, topic: &Topic) -> Result<()> {
    change(tx, scope, topics(topic.fifo), -1)?;
    change(tx, scope, FILTER_POLICIES, -i64::try_from(topic.filtered).unwrap_or(i64::MAX))
}

/// Refuses a subscription that is one too many.
pub fn check_subscription(config: &Config, topic: &Topic) -> Result<()> {
    let quota = if topic.fifo { config.fifo_subscription_quota } else { config.subscription_quota };
    if topic.confirmed >= quota {
        return Err(Error::SubscriptionLimitExceeded(format!("Subscription limit exceeded: {quota}")));
    }
    Ok(())
}

pub fn has_filter(one: &Subscription) -> bool {
    one.attribute("FilterPolicy").is_some()
}

/// Refuses a filter policy that is one too many for its topic or its topic's account.
pub fn check_filter(snapshot: &Snapshot<'_>, scope: &Scope, config: &Config, topic: &Topic) -> Result<()> {
    if topic.filtered >= config.filter_policies_per_topic {
        let quota = config.filter_policies_per_topic;
        return Err(Error::FilterPolicyLimitExceeded(format!("Filter policy limit exceeded for the topic: {quota}")));
    }
    if count(snapshot, scope, FILTER_POLICIES)? >= config.filter_policies {
        let quota = config.filter_policies;
        return Err(Error::FilterPolicyLimitExceeded(format!("Filter policy limit exceeded for the account: {quota}")));
    }
    Ok(())
}

/// Counts that a confirmed subscription has a filter policy now where it had none before, or none any more. The topic is the
/// caller's to put back.
pub fn filter_changes(tx: &mut Transaction<'_>, scope: &Scope, topic: &mut Topic, had: bool, has: bool) -> Result<()> {
    let by = i64::from(has) - i64::from(had);
    topic.filtered = topic.filtered.saturating_add_signed(by);
    change(tx, scope, FILTER_POLICIES, by)
}
