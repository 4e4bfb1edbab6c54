//! Notification configurations of buckets.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html>

use std::collections::HashSet;

use fractus_aws::Arn;
use fractus_host::Context;
use fractus_s3_api as api;

use crate::error::{Error, Result};
use crate::model::notification::{
    DestinationKind, NotificationConfiguration, NotificationTarget, check_no_overlap, test_message,
};
use crate::notify;
use crate::objects::{self, scope};
use crate::service::S3;
use crate::store::BUCKETS;

/// One configuration of any kind, as the request gives it.
struct Given {
    kind: DestinationKind,
    id: Option<String>,
    arn: String,
    events: Vec<api::Event>,
    filter: Option<api::NotificationConfigurationFilter>,
}

fn given(configuration: api::NotificationConfiguration) -> Vec<Given> {
    let queues = configuration.queue_configurations.unwrap_or_default().into_iter().map(|queue| Given {
        kind: DestinationKind::Queue,
        id: queue.id,
        arn: queue.queue_arn,
        events: queue.events,
        filter: queue.filter,
    });
    let topics = configuration.topic_configurations.unwrap_or_default().into_iter().map(|topic| Given {
        kind: DestinationKind::Topic,
        id: topic.id,
        arn: topic.topic_arn,
        events: topic.events,
        filter: topic.filter,
    });
    let functions =
        configuration.lambda_function_configurations.unwrap_or_default().into_iter().map(|function| Given {
            kind: DestinationKind::Function,
            id: function.id,
            arn: function.lambda_function_arn,
            events: function.events,
            filter: function.filter,
        });
    queues.chain(topics).chain(functions).collect()
}

fn target(given: Given, fresh_id: String) -> Result<NotificationTarget> {
    let arn: Option<Arn> = given.arn.parse().ok().filter(|arn: &Arn| arn.service == given.kind.service());
    if arn.is_none() {
        return Err(Error::invalid_argument(
            match given.kind {
                DestinationKind::Queue => "Queue",
                DestinationKind::Topic => "Topic",
                DestinationKind::Function => "CloudFunction",
            },
            given.arn,
            "The ARN is not well formed",
        ));
    }
    if given.arn.ends_with(".fifo") {
        let reason = "FIFO destinations are not supported".to_owned();
        return Err(Error::UnableToValidateDestinations { arn: given.arn, reason });
    }
    if given.id.as_ref().is_some_and(|id| id.chars().count() > 255) {
        let message = "ID length should not exceed allowed limit of 255";
        return Err(Error::invalid_argument("Id", given.id.unwrap_or_default(), message));
    }
    if given.events.is_empty() {
        return Err(Error::MalformedXml);
    }
    if let Some(unknown) = given.events.iter().find(|event| matches!(event, api::Event::Unknown(_))) {
        return Err(Error::invalid_argument(
            "Event",
            unknown.as_str(),
            format!("The event '{}' is not supported for notifications", unknown.as_str()),
        ));
    }
    let (prefix, suffix) = filter_rules(given.filter)?;
    Ok(NotificationTarget {
        id: given.id.filter(|id| !id.is_empty()).unwrap_or(fresh_id),
        kind: given.kind,
        arn: given.arn,
        events: given.events.iter().map(|event| event.as_str().to_owned()).collect(),
        prefix,
        suffix,
    })
}

/// At most one prefix and one suffix, each up to 1,024 characters.
fn filter_rules(filter: Option<api::NotificationConfigurationFilter>) -> Result<(Option<String>, Option<String>)> {
    let rules = filter.and_then(|filter| filter.key).and_then(|key| key.filter_rules).unwrap_or_default();
    let (mut prefix, mut suffix) = (None, None);
    for rule in rules {
        let name = rule.name.as_ref().map(|name| name.as_str().to_ascii_lowercase()).unwrap_or_default();
        let value = rule.value.unwrap_or_default();
        let place = match name.as_str() {
            "prefix" => &mut prefix,
            "suffix" => &mut suffix,
            _ => {
                return Err(Error::invalid_argument(
                    "FilterRule.Name",
                    name,
                    "filter rule name must be either prefix or suffix",
                ));
            }
        };
        if place.is_some() {
            return Err(Error::invalid_argument(
                "FilterRule.Name",
                name.clone(),
                format!("Cannot specify more than one {name} rule in a filter."),
            ));
        }
        if value.chars().count() > 1024 {
            return Err(Error::invalid_argument(
                "FilterRule.Value",
                value,
                "Size of filter rule value cannot exceed 1024",
            ));
        }
        *place = Some(value);
    }
    Ok((prefix.filter(|text| !text.is_empty()), suffix.filter(|text| !text.is_empty())))
}

/// Replaces the configuration. New destinations must be there, and get a test message, unless the caller asks for neither.
pub async fn put(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketNotificationConfigurationInput,
) -> Result<api::PutBucketNotificationConfigurationOutput> {
    let event_bridge = input.notification_configuration.event_bridge_configuration.is_some();
    let targets = given(input.notification_configuration)
        .into_iter()
        .map(|given| target(given, cx.random().uuid()))
        .collect::<Result<Vec<_>>>()?;
    let mut ids = HashSet::new();
    if let Some(target) = targets.iter().find(|target| !ids.insert(target.id.as_str())) {
        let message = "Same ID used for multiple configurations. IDs must be unique";
        return Err(Error::invalid_argument("Id", target.id.clone(), message));
    }
    check_no_overlap(&targets)?;
    let (scope, now) = (scope(cx), cx.now());
    let owner = input.expected_bucket_owner.as_deref();
    let validates = !input.skip_destination_validation.unwrap_or(false);
    if validates {
        let bucket = s3.store.read(|snapshot| objects::own(cx, snapshot, &scope, &input.bucket, owner)).await?;
        targets.iter().try_for_each(|target| check_region(target, &bucket.region))?;
        s3.destinations.check(cx, &input.bucket, &targets).await?;
    }
    let _sent = s3
        .store
        .write(|tx| {
            let mut sent = Vec::new();
            let mut bucket = objects::own(cx, tx, &scope, &input.bucket, owner)?;
            for target in &targets {
                check_region(target, &bucket.region)?;
                let known = bucket.notifications.targets.iter().any(|known| known.arn == target.arn);
                // The message is a part of the validation, which of functions looks at their permissions alone.
                if !known && validates && target.kind != DestinationKind::Function {
                    let message = test_message(&now.date_time_millis(), &bucket.name, &cx.request_id, &s3.host_id);
                    sent.push(notify::send(tx, s3, cx, &bucket, &target.arn, message, now)?);
                }
            }
            bucket.notifications = NotificationConfiguration { targets: targets.clone(), event_bridge };
            tx.put(&BUCKETS, &scope, &(input.bucket.as_str(),), &bucket)?;
            Ok::<_, Error>(sent)
        })
        .await?;
    Ok(api::PutBucketNotificationConfigurationOutput::default())
}

/// A destination lies in the bucket's region.
fn check_region(target: &NotificationTarget, bucket_region: &str) -> Result<()> {
    let region = target.arn.split(':').nth(3).unwrap_or_default();
    if region == bucket_region {
        return Ok(());
    }
    Err(Error::UnableToValidateDestinations {
        arn: target.arn.clone(),
        reason: "The notification destination service region is not valid for the bucket location constraint".into(),
    })
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketNotificationConfigurationInput,
) -> Result<api::GetBucketNotificationConfigurationOutput> {
    let scope = scope(cx);
    let owner = input.expected_bucket_owner.as_deref();
    let bucket = s3.store.read(|snapshot| objects::own(cx, snapshot, &scope, &input.bucket, owner)).await?;
    let mut output = api::GetBucketNotificationConfigurationOutput::default();
    for target in bucket.notifications.targets {
        let filter = shown_filter(&target);
        let events = target.events.iter().map(|event| api::Event::from(event.as_str())).collect();
        let id = Some(target.id);
        match target.kind {
            DestinationKind::Queue => output
                .queue_configurations
                .get_or_insert_default()
                .push(api::QueueConfiguration { id, queue_arn: target.arn, events, filter }),
            DestinationKind::Topic => output
                .topic_configurations
                .get_or_insert_default()
                .push(api::TopicConfiguration { id, topic_arn: target.arn, events, filter }),
            DestinationKind::Function => output
                .lambda_function_configurations
                .get_or_insert_default()
                .push(api::LambdaFunctionConfiguration { id, lambda_function_arn: target.arn, events, filter }),
        }
    }
    output.event_bridge_configuration = bucket.notifications.event_bridge.then(Default::default);
    Ok(output)
}

fn shown_filter(target: &NotificationTarget) -> Option<api::NotificationConfigurationFilter> {
    let rule = |name: &str, value: &Option<String>| {
        value.clone().map(|value| api::FilterRule { name: Some(name.into()), value: Some(value) })
    };
    let rules: Vec<api::FilterRule> =
        [rule("Prefix", &target.prefix), rule("Suffix", &target.suffix)].into_iter().flatten().collect();
    (!rules.is_empty())
        .then_some(api::NotificationConfigurationFilter { key: Some(api::S3KeyFilter { filter_rules: Some(rules) }) })
}
