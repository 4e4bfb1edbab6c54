//! Contributor insights: switched on and off for tables and indexes. The keys are [counted](crate::contributors); CloudWatch tells the counts
//! on AWS, a page of the service's own here.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/contributorinsights_HowItWorks.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Collection, Order, Range, Scope, Snapshot};
use serde::{Deserialize, Serialize};

use super::table_shape::status;
use crate::contributors::{Watched, kinds};
use crate::error::{Error, Result};
use crate::service::{DynamoDb, place, scope};
use crate::store::{TABLES, Table};

/// By (table's name, index or nothing).
const INSIGHTS: Collection<(String, String), Insights> = Collection::new("contributor-insights");

const MAX_INSIGHTS: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Insights {
    /// The table's id: another incarnation of the name has none.
    table: u64,
    is_enabled: bool,
    only_throttled: bool,
    updated_at: Timestamp,
    /// ENABLING or DISABLING until then.
    settled_at: Timestamp,
}

impl Insights {
    fn status(&self, now: Timestamp) -> api::ContributorInsightsStatus {
        match (self.is_enabled, self.settled_at > now) {
            (true, true) => api::ContributorInsightsStatus::Enabling,
            (true, false) => api::ContributorInsightsStatus::Enabled,
            (false, true) => api::ContributorInsightsStatus::Disabling,
            (false, false) => api::ContributorInsightsStatus::Disabled,
        }
    }

    fn mode(&self) -> api::ContributorInsightsMode {
        match self.only_throttled {
            true => api::ContributorInsightsMode::ThrottledKeys,
            false => api::ContributorInsightsMode::AccessedAndThrottledKeys,
        }
    }

    /// Names of the CloudWatch rules: of partition keys, and of sort keys where there is one.
    fn rules(&self, table: &Table, index: &str) -> Vec<String> {
        let own = table.indexes.iter().find(|own| own.name == index).map_or(&table.key, |index| &index.key);
        let resource = if index.is_empty() { table.name.clone() } else { format!("{}-{index}", table.name) };
        let rule = |kind: &str| format!("DynamoDBContributorInsights-{kind}-{resource}-{}", self.updated_at.millis());
        kinds(own, self.only_throttled).into_iter().map(rule).collect()
    }
}

fn existing(snapshot: &Snapshot<'_>, scope: &Scope, name: &str, index: Option<&str>) -> Result<Table> {
    let table = snapshot.get(&TABLES, scope, &(name,))?;
    let table = table.filter(|table| status(table, snapshot.now(scope)).is_some());
    let table = table.ok_or_else(|| Error::NoTable(name.to_owned()))?;
    match index.filter(|index| table.index(index).is_none()) {
        None => Ok(table),
        Some(index) => {
            let message = format!("Requested resource not found: Index: {index} not found");
            Err(Error::answer(api::ResourceNotFoundException { message: Some(message) }))
        }
    }
}

pub async fn update(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::UpdateContributorInsightsInput,
) -> Result<api::UpdateContributorInsightsOutput> {
    let (scope, name) = place(cx, &input.table_name);
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    let is_enabled = input.contributor_insights_action == api::ContributorInsightsAction::Enable;
    let key = (name, input.index_name.as_deref().unwrap_or_default());
    let written = dynamodb.store.write(|tx| {
        let (mut table, now) = (existing(tx, &scope, name, input.index_name.as_deref())?, tx.now(&scope));
        let before = tx.get(&INSIGHTS, &scope, &key)?.filter(|own| own.table == table.id);
        let only_throttled = match &input.contributor_insights_mode {
            Some(mode) => *mode == api::ContributorInsightsMode::ThrottledKeys,
            None => before.as_ref().is_some_and(|own| own.only_throttled),
        };
        let insights =
            Insights { table: table.id, is_enabled, only_throttled, updated_at: now, settled_at: now.plus(transition) };
        tx.put(&INSIGHTS, &scope, &key, &insights)?;
        let all = &mut table.features.insights;
        all.retain(|watched| watched.index != input.index_name);
        if is_enabled {
            all.push(Watched { index: input.index_name.clone(), only_throttled, since: insights.settled_at });
        }
        tx.put(&TABLES, &scope, &(name,), &table)?;
        Ok::<_, Error>(insights)
    });
    let insights = written.await?;
    Ok(api::UpdateContributorInsightsOutput {
        table_name: Some(name.to_owned()),
        index_name: input.index_name,
        contributor_insights_status: Some(match is_enabled {
            true => api::ContributorInsightsStatus::Enabling,
            false => api::ContributorInsightsStatus::Disabling,
        }),
        contributor_insights_mode: Some(insights.mode()),
    })
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeContributorInsightsInput,
) -> Result<api::DescribeContributorInsightsOutput> {
    let ((scope, name), now) = (place(cx, &input.table_name), cx.now());
    let index = input.index_name.as_deref().unwrap_or_default();
    let found = dynamodb.store.read(|snapshot| {
        let table = existing(snapshot, &scope, name, input.index_name.as_deref())?;
        let insights = snapshot.get(&INSIGHTS, &scope, &(name, index))?.filter(|own| own.table == table.id);
        Ok::<_, Error>((table, insights))
    });
    let (table, insights) = found.await?;
    let status = insights.as_ref().map_or(api::ContributorInsightsStatus::Disabled, |own| own.status(now));
    let rules = insights.as_ref().filter(|own| own.is_enabled).map(|own| own.rules(&table, index));
    Ok(api::DescribeContributorInsightsOutput {
        table_name: Some(name.to_owned()),
        index_name: input.index_name,
        contributor_insights_rule_list: Some(rules.unwrap_or_default()),
        contributor_insights_status: Some(status),
        last_update_date_time: insights.as_ref().map(|own| own.updated_at),
        failure_exception: None,
        contributor_insights_mode: insights.as_ref().map(Insights::mode),
    })
}

pub async fn list(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::ListContributorInsightsInput,
) -> Result<api::ListContributorInsightsOutput> {
    let (scope, name) = match &input.table_name {
        Some(name) => {
            let (scope, name) = place(cx, name);
            (scope, Some(name))
        }
        None => (scope(cx), None),
    };
    let limit = input.max_results.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_INSIGHTS);
    let limit = limit.clamp(1, MAX_INSIGHTS);
    let mut range = match name {
        Some(name) => Range::prefix(&(name,)),
        None => Range::all(),
    };
    if let Some(token) = &input.next_token {
        let (table, index) = token.split_once('/').ok_or_else(|| Error::validation("Invalid NextToken"))?;
        range = range.after(&(table, index));
    }
    let found = dynamodb.store.read(|snapshot| {
        if let Some(name) = name {
            existing(snapshot, &scope, name, None)?;
        }
        let mut found = Vec::new();
        for record in snapshot.range(&INSIGHTS, &scope, range, Order::Ascending)? {
            let (key, insights) = record?;
            let table = snapshot.get_shared(&TABLES, &scope, &(key.0.as_str(),))?;
            if table.is_some_and(|table| table.id == insights.table) {
                found.push((key, insights));
            }
            if found.len() > limit {
                break;
            }
        }
        Ok::<_, Error>(found)
    });
    let mut found = found.await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|((table, index), _)| format!("{table}/{index}"));
    let now = cx.now();
    let summary = |((table, index), insights): ((String, String), Insights)| api::ContributorInsightsSummary {
        table_name: Some(table),
        index_name: Some(index).filter(|index| !index.is_empty()),
        contributor_insights_status: Some(insights.status(now)),
        contributor_insights_mode: Some(insights.mode()),
    };
    Ok(api::ListContributorInsightsOutput {
        contributor_insights_summaries: Some(found.into_iter().map(summary).collect()),
        next_token: next,
    })
}
