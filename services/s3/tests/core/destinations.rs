//! Destinations of notifications are looked for when they are configured.

use fractus_s3_api as api;
use fractus_sqs_api as sqs_api;
use fractus_testkit::wait_for;

use crate::{bucket, client_of, s3};

fn to_queue(name: &str) -> api::PutBucketNotificationConfigurationInput {
    let queue = api::QueueConfiguration {
        id: Some("c".into()),
        queue_arn: format!("arn:aws:sqs:us-east-1:000000000000:{name}"),
        events: vec!["s3:ObjectCreated:*".into()],
        filter: None,
    };
    api::PutBucketNotificationConfigurationInput {
        bucket: "bucket".into(),
        notification_configuration: api::NotificationConfiguration {
            queue_configurations: Some(vec![queue]),
            ..Default::default()
        },
        ..Default::default()
    }
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_refused_unless_the_caller_says_so() {
    let sqs = |host| fractus_sqs::start(fractus_sqs::Config::default(), host);
    let stack = s3().with("sqs", sqs).with_nats().start().await;
    let (client, sqs) = (client_of(&stack), stack.client("sqs").api(&sqs_api::MODEL));
    bucket(&client, "bucket").await;
    // As soon as S3 has heard of SQS.
    let refused = wait_for("the queue is missed", || async {
        client.call(api::PutBucketNotificationConfiguration, to_queue("missing")).await.err()
    })
    .await;
    assert_eq!((refused.code.as_ref(), refused.status), ("InvalidArgument", 400));
    assert_eq!(refused.message, "Unable to validate the following destination configurations");

    let skip = api::PutBucketNotificationConfigurationInput {
        skip_destination_validation: Some(true),
        ..to_queue("unchecked")
    };
    client.call(api::PutBucketNotificationConfiguration, skip).await.unwrap();
    for name in ["unchecked", "there"] {
        let input = sqs_api::CreateQueueInput { queue_name: name.into(), ..Default::default() };
        sqs.call(sqs_api::CreateQueue, input).await.unwrap();
    }
    client.call(api::PutBucketNotificationConfiguration, to_queue("there")).await.unwrap();
    let receive = |name: &str, wait| {
        let queue_url = format!("http://localhost/000000000000/{name}");
        let input = sqs_api::ReceiveMessageInput { queue_url, wait_time_seconds: Some(wait), ..Default::default() };
        sqs.call(sqs_api::ReceiveMessage, input)
    };
    let told = receive("there", 10).await.unwrap().messages.unwrap();
    assert!(told[0].body.as_deref().unwrap().contains("s3:TestEvent"));
    let unchecked = receive("unchecked", 0).await.unwrap().messages.unwrap_or_default();
    assert!(unchecked.is_empty(), "the message is a part of the validation: {unchecked:?}");
}

#[tokio::test]
async fn without_sqs_a_configuration_is_taken_as_it_is() {
    let stack = s3().start().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    client.call(api::PutBucketNotificationConfiguration, to_queue("q")).await.unwrap();
    let input = api::PutBucketNotificationConfigurationInput { bucket: "nowhere".into(), ..to_queue("q") };
    let refused = client.call(api::PutBucketNotificationConfiguration, input).await.unwrap_err();
    assert_eq!(refused.code, "NoSuchBucket");
}
