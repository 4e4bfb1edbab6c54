//! The oldest forms of two configurations. On the wire they differ from today's by nothing but what they cannot say, so
//! most clients' requests never come here.

use fractus_host::Context;
use fractus_s3_api as api;

use crate::error::Result;
use crate::operations::{lifecycle, notifications};
use crate::service::S3;

fn rule(old: api::Rule) -> api::LifecycleRule {
    api::LifecycleRule {
        expiration: old.expiration,
        id: old.id,
        prefix: Some(old.prefix),
        filter: None,
        status: old.status,
        transitions: old.transition.map(|transition| vec![transition]),
        noncurrent_version_transitions: old.noncurrent_version_transition.map(|transition| vec![transition]),
        noncurrent_version_expiration: old.noncurrent_version_expiration,
        abort_incomplete_multipart_upload: old.abort_incomplete_multipart_upload,
    }
}

pub async fn put_lifecycle(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketLifecycleInput,
) -> Result<api::PutBucketLifecycleOutput> {
    let rules = input.lifecycle_configuration.map(|old| old.rules.into_iter().map(rule).collect());
    let today = api::PutBucketLifecycleConfigurationInput {
        bucket: input.bucket,
        expected_bucket_owner: input.expected_bucket_owner,
        lifecycle_configuration: rules.map(|rules| api::BucketLifecycleConfiguration { rules }),
        ..Default::default()
    };
    lifecycle::put(s3, cx, today).await?;
    Ok(api::PutBucketLifecycleOutput::default())
}

pub async fn get_lifecycle(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketLifecycleInput,
) -> Result<api::GetBucketLifecycleOutput> {
    let today = api::GetBucketLifecycleConfigurationInput {
        bucket: input.bucket,
        expected_bucket_owner: input.expected_bucket_owner,
    };
    let rules = lifecycle::get(s3, cx, today).await?.rules.unwrap_or_default();
    let old = rules.into_iter().map(|rule| {
        let filter = rule.filter.unwrap_or_default();
        let prefix = filter.prefix.or_else(|| filter.and.and_then(|and| and.prefix));
        api::Rule {
            expiration: rule.expiration,
            id: rule.id,
            prefix: rule.prefix.or(prefix).unwrap_or_default(),
            status: rule.status,
            transition: rule.transitions.and_then(|transitions| transitions.into_iter().next()),
            noncurrent_version_transition: rule
                .noncurrent_version_transitions
                .and_then(|transitions| transitions.into_iter().next()),
            noncurrent_version_expiration: rule.noncurrent_version_expiration,
            abort_incomplete_multipart_upload: rule.abort_incomplete_multipart_upload,
        }
    });
    Ok(api::GetBucketLifecycleOutput { rules: Some(old.collect()) })
}

/// The events of an old configuration: one, or several.
fn events(event: Option<api::Event>, events: Option<Vec<api::Event>>) -> Vec<api::Event> {
    events.unwrap_or_default().into_iter().chain(event).collect()
}

pub async fn put_notification(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketNotificationInput,
) -> Result<api::PutBucketNotificationOutput> {
    let old = input.notification_configuration;
    let queue = old.queue_configuration.and_then(|old| {
        let events = events(old.event, old.events);
        Some(vec![api::QueueConfiguration { id: old.id, queue_arn: old.queue?, events, filter: None }])
    });
    let topic = old.topic_configuration.and_then(|old| {
        let events = events(old.event, old.events);
        Some(vec![api::TopicConfiguration { id: old.id, topic_arn: old.topic?, events, filter: None }])
    });
    let function = old.cloud_function_configuration.and_then(|old| {
        let (id, events, filter) = (old.id, events(old.event, old.events), None);
        Some(vec![api::LambdaFunctionConfiguration { id, lambda_function_arn: old.cloud_function?, events, filter }])
    });
    let today = api::PutBucketNotificationConfigurationInput {
        bucket: input.bucket,
        expected_bucket_owner: input.expected_bucket_owner,
        notification_configuration: api::NotificationConfiguration {
            queue_configurations: queue,
            topic_configurations: topic,
            lambda_function_configurations: function,
            event_bridge_configuration: None,
        },
        ..Default::default()
    };
    notifications::put(s3, cx, today).await?;
    Ok(api::PutBucketNotificationOutput::default())
}

pub async fn get_notification(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketNotificationInput,
) -> Result<api::GetBucketNotificationOutput> {
    let today = api::GetBucketNotificationConfigurationInput {
        bucket: input.bucket,
        expected_bucket_owner: input.expected_bucket_owner,
    };
    let found = notifications::get(s3, cx, today).await?;
    let first = |events: &[api::Event]| events.first().cloned();
    let queue = found.queue_configurations.and_then(|all| all.into_iter().next());
    let topic = found.topic_configurations.and_then(|all| all.into_iter().next());
    let function = found.lambda_function_configurations.and_then(|all| all.into_iter().next());
    Ok(api::GetBucketNotificationOutput {
        queue_configuration: queue.map(|queue| api::QueueConfigurationDeprecated {
            id: queue.id,
            event: first(&queue.events),
            events: Some(queue.events),
            queue: Some(queue.queue_arn),
        }),
        topic_configuration: topic.map(|topic| api::TopicConfigurationDeprecated {
            id: topic.id,
            event: first(&topic.events),
            events: Some(topic.events),
            topic: Some(topic.topic_arn),
        }),
        cloud_function_configuration: function.map(|function| api::CloudFunctionConfiguration {
            id: function.id,
            event: first(&function.events),
            events: Some(function.events),
            cloud_function: Some(function.lambda_function_arn),
            invocation_role: None,
        }),
    })
}
