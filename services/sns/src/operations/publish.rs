//! Publish: to a topic, a device, or a telephone number.

use fractus_host::Context;
use fractus_sns_api as api;

use crate::error::{Error, Result};
use crate::model::message::{self, Parts};
use crate::model::names;
use crate::operations::{endpoints, sms};
use crate::publishing::{Published, Publisher};
use crate::service::Sns;

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

pub async fn one(sns: &Sns, cx: &Context, input: api::PublishInput) -> Result<api::PublishOutput> {
    let (topic, target, number) = (given(input.topic_arn), given(input.target_arn), given(input.phone_number));
    let parts = Parts {
        message: input.message,
        subject: input.subject,
        structure: input.message_structure,
        attributes: message::attributes(input.message_attributes),
        group_id: input.message_group_id,
        deduplication_id: input.message_deduplication_id,
    };
    let published = match (topic, target, number) {
        (Some(arn), None, None) => to_topic(sns, cx, "TopicArn", &arn, parts).await?,
        (None, Some(arn), None) => {
            let resource = names::parse_arn("TargetArn", &arn)?.resource;
            if resource.starts_with("endpoint/") {
                endpoints::publish(sns, cx, &arn, parts).await?
            } else {
                to_topic(sns, cx, "TargetArn", &arn, parts).await?
            }
        }
        (None, None, Some(number)) => sms::publish(sns, cx, &number, parts).await?,
        (None, None, None) => {
            return Err(Error::invalid_because("TopicArn or TargetArn", "no value for required parameter"));
        }
        _ => {
            return Err(Error::invalid_because(
                "TopicArn, TargetArn or PhoneNumber",
                "only one of them may be specified",
            ));
        }
    };
    Ok(api::PublishOutput { message_id: Some(published.message_id), sequence_number: published.sequence_number })
}

async fn to_topic(sns: &Sns, cx: &Context, parameter: &str, arn: &str, parts: Parts) -> Result<Published> {
    let place = names::place_of(cx, parameter, arn)?;
    let (message, _) = message::checked(parts)?;
    let publisher = Publisher::of_caller(cx, &place);
    sns.publish(&publisher, message).await
}
