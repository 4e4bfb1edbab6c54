//! HTTP endpoints, links, and what people and devices are sent; without a bus.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use std::time::Duration;

use ::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use common::*;
use fractus_sns_api as api;
use fractus_testkit::{Client, Stack, http, wait_for};

async fn get(url: &str) -> (u16, String) {
    let answer = http::send(Request::get(url).body(Bytes::new()).unwrap()).await;
    (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
}

/// Subscribes an endpoint and follows the link that it is sent.
async fn confirmed(client: &Client, topic: &str, endpoint: &Endpoint, attributes: &[(&str, &str)]) -> String {
    let arn = subscribe(client, topic, "http", &endpoint.url, attributes).await;
    let request = endpoint.wait(1).await[0].clone();
    assert_eq!(request.header("x-amz-sns-message-type"), Some("SubscriptionConfirmation"));
    let (status, answer) = get(request.json()["SubscribeURL"].as_str().unwrap()).await;
    assert!(status == 200 && answer.contains(&arn), "{answer}");
    arn
}

#[tokio::test]
async fn an_endpoint_confirms_gets_signed_messages_and_leaves() {
    let stack = alone().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[("SignatureVersion", "2")]).await;
    let endpoint = Endpoint::start().await;
    let arn = confirmed(&client, &topic, &endpoint, &[]).await;
    publish(&client, message(&topic, "hello")).await;
    let request = endpoint.wait(2).await[1].clone();
    assert_eq!(request.header("x-amz-sns-subscription-arn"), Some(arn.as_str()));
    assert_eq!(request.header("content-type"), Some("text/plain; charset=UTF-8"));
    let body = request.json();
    assert_eq!(body["Message"], "hello");
    let (status, certificate) = get(body["SigningCertURL"].as_str().unwrap()).await;
    assert_eq!(status, 200);
    let text = format!(
        "Message\nhello\nMessageId\n{}\nTimestamp\n{}\nTopicArn\n{topic}\nType\nNotification\n",
        body["MessageId"].as_str().unwrap(),
        body["Timestamp"].as_str().unwrap(),
    );
    verify(&certificate, &text, body["Signature"].as_str().unwrap());
    let (status, _) = get(body["UnsubscribeURL"].as_str().unwrap()).await;
    assert_eq!(status, 200);
    let farewell = endpoint.wait(3).await[2].clone();
    assert_eq!(farewell.header("x-amz-sns-message-type"), Some("UnsubscribeConfirmation"));
    publish(&client, message(&topic, "missed")).await;
    // Who did not mean it follows the link of the farewell.
    get(farewell.json()["SubscribeURL"].as_str().unwrap()).await;
    publish(&client, message(&topic, "back")).await;
    assert_eq!(endpoint.wait(4).await[3].json()["Message"], "back");
}

/// Checks a signature with the key of a certificate, which lies at its known place.
fn verify(certificate: &str, text: &str, signature: &str) {
    let base64: String = certificate.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(base64).unwrap();
    // The key of 2,048 bits is the SEQUENCE of an INTEGER of 257 bytes and the exponent.
    let start = der.windows(8).position(|window| window == [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01]).unwrap();
    let key =
        ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PKCS1_2048_8192_SHA256, &der[start..start + 270]);
    key.verify(text.as_bytes(), &STANDARD.decode(signature).unwrap()).unwrap();
}

#[tokio::test]
async fn a_failing_endpoint_is_tried_by_its_policy_and_the_lanes_clock() {
    let stack = alone().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let endpoint = Endpoint::start().await;
    let policy = r#"{"healthyRetryPolicy": {"minDelayTarget": 10, "maxDelayTarget": 40, "numRetries": 3, "backoffFunction": "exponential"}}"#;
    confirmed(&client, &topic, &endpoint, &[("DeliveryPolicy", policy), ("RawMessageDelivery", "true")]).await;
    endpoint.will_answer(&[500, 503, 429, 200]);
    publish(&client, message(&topic, "again and again")).await;
    for (count, pause) in [(2, 10), (3, 20), (4, 40)] {
        assert_eq!(endpoint.wait(count).await.len(), count);
        wait_for("the outcome is kept", || async { (jobs(&stack, pause).await == 1).then_some(()) }).await;
        stack.clock().advance(Duration::from_secs(pause - 1));
        assert_eq!(endpoint.requests().len(), count);
        stack.clock().advance(Duration::from_secs(1));
    }
    let requests = endpoint.wait(5).await;
    assert!(requests[1..].iter().all(|request| request.body == "again and again"));
    assert_eq!(requests[4].header("x-amz-sns-rawdelivery"), Some("true"));
}

/// Jobs that are due in so many seconds.
async fn jobs(stack: &Stack, secs: u64) -> usize {
    let host = stack.host("sns");
    let at = stack.clock().now().plus(Duration::from_secs(secs));
    let scope = fractus_sns::store::lane_scope(&fractus_aws::Lane::main());
    let read = host.store().read(|snapshot| {
        let range = fractus_store::Range::prefix(&(at,));
        let keys = snapshot.keys(&fractus_sns::store::JOBS, &scope, range, fractus_store::Order::Ascending)?;
        Ok::<_, fractus_store::StoreError>(keys.count())
    });
    read.await.unwrap()
}

#[tokio::test]
async fn a_pending_subscription_waits_two_days() {
    let stack = alone().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    let endpoint = Endpoint::start().await;
    let input = api::SubscribeInput {
        topic_arn: topic.clone(),
        protocol: "http".into(),
        endpoint: Some(endpoint.url.clone()),
        ..Default::default()
    };
    let answer = client.call(api::Subscribe, input).await.unwrap();
    assert_eq!(answer.subscription_arn.as_deref(), Some("pending confirmation"));
    let token = endpoint.wait(1).await[0].json()["Token"].as_str().unwrap().to_owned();
    let attribute = async |name: &str| {
        let input = api::GetTopicAttributesInput { topic_arn: topic.clone() };
        client.call(api::GetTopicAttributes, input).await.unwrap().attributes.unwrap()[name].clone()
    };
    assert_eq!(attribute("SubscriptionsPending").await, "1");
    publish(&client, message(&topic, "nobody gets it")).await;
    let wrong = api::ConfirmSubscriptionInput { topic_arn: topic.clone(), token: "x".into(), ..Default::default() };
    assert_eq!(client.call(api::ConfirmSubscription, wrong).await.unwrap_err().message, "Invalid parameter: Token");
    stack.clock().advance(Duration::from_secs(2 * 86_400));
    assert_eq!(attribute("SubscriptionsPending").await, "0");
    let late = api::ConfirmSubscriptionInput { topic_arn: topic.clone(), token, ..Default::default() };
    assert_eq!(client.call(api::ConfirmSubscription, late).await.unwrap_err().message, "Invalid parameter: Token");
    assert_eq!(endpoint.requests().len(), 1);
}

async fn sent(stack: &Stack, query: &str) -> Vec<serde_json::Value> {
    let (_, answer) = http::get_json(&format!("{}/_aws/sns/sent?{query}", stack.url("sns"))).await;
    answer["sent"].as_array().unwrap().clone()
}

#[tokio::test]
async fn people_and_devices_are_in_the_ledger() {
    let stack = alone().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    subscribe(&client, &topic, "sms", "+1 555 555 0100", &[]).await;
    let application = api::CreatePlatformApplicationInput {
        name: "app".into(),
        platform: "GCM".into(),
        attributes: [("PlatformCredential".to_owned(), "key".to_owned())].into_iter().collect(),
    };
    let application = client.call(api::CreatePlatformApplication, application).await.unwrap().platform_application_arn;
    let device = |data: &str| api::CreatePlatformEndpointInput {
        platform_application_arn: application.clone().unwrap(),
        token: "token".into(),
        custom_user_data: Some(data.into()),
        attributes: None,
    };
    let endpoint = client.call(api::CreatePlatformEndpoint, device("d")).await.unwrap().endpoint_arn.unwrap();
    assert_eq!(
        client.call(api::CreatePlatformEndpoint, device("d")).await.unwrap().endpoint_arn.as_ref(),
        Some(&endpoint)
    );
    let other = client.call(api::CreatePlatformEndpoint, device("other")).await.unwrap_err();
    assert_eq!(
        other.message,
        format!(
            "Invalid parameter: Token Reason: Endpoint {endpoint} already exists with the same Token, but different attributes."
        )
    );
    subscribe(&client, &topic, "application", &endpoint, &[]).await;
    let structured = api::PublishInput {
        message_structure: Some("json".into()),
        ..message(&topic, r#"{"default": "d", "sms": "short", "GCM": "{\"data\": 1}"}"#)
    };
    publish(&client, structured).await;
    assert_eq!(sent(&stack, "protocol=sms").await[0]["message"], "short");
    assert_eq!(sent(&stack, "protocol=sms").await[0]["endpoint"], "+15555550100");
    assert_eq!(sent(&stack, "protocol=application").await[0]["message"], r#"{"data": 1}"#);
    let off = api::SetEndpointAttributesInput {
        endpoint_arn: endpoint.clone(),
        attributes: [("Enabled".to_owned(), "false".to_owned())].into_iter().collect(),
    };
    client.call(api::SetEndpointAttributes, off).await.unwrap();
    let direct = api::PublishInput { target_arn: Some(endpoint), message: "x".into(), ..Default::default() };
    assert_eq!(client.call(api::Publish, direct).await.unwrap_err().code, "EndpointDisabled");
    // Somebody has had enough.
    let stop = serde_json::json!({"from": "+15555550100", "message": "Stop"});
    http::post_json(&format!("{}/_aws/sns/inbound-sms", stack.url("sns")), &stop).await;
    let number =
        || api::PublishInput { phone_number: Some("+15555550100".into()), message: "x".into(), ..Default::default() };
    assert_eq!(client.call(api::Publish, number()).await.unwrap_err().code, "InvalidParameter");
    let input = api::OptInPhoneNumberInput { phone_number: "+15555550100".into() };
    client.call(api::OptInPhoneNumber, input).await.unwrap();
    client.call(api::Publish, number()).await.unwrap();
    assert_eq!(sent(&stack, "protocol=sms").await.len(), 2);
}

#[tokio::test]
async fn sensitive_data_is_covered_and_refused() {
    let stack = alone().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    subscribe(&client, &topic, "sms", "+15555550100", &[]).await;
    let policy = |direction: &str, operation: &str| api::PutDataProtectionPolicyInput {
        resource_arn: topic.clone(),
        data_protection_policy: format!(
            r#"{{"Name": "p", "Version": "2021-06-01", "Statement": [{{"DataDirection": "{direction}", "Principal": ["*"],
                "DataIdentifier": ["arn:aws:dataprotection::aws:data-identifier/EmailAddress"], "Operation": {operation}}}]}}"#
        ),
    };
    let mask = r##"{"Deidentify": {"MaskConfig": {"MaskWithCharacter": "#"}}}"##;
    client.call(api::PutDataProtectionPolicy, policy("Inbound", mask)).await.unwrap();
    publish(&client, message(&topic, "to a@b.cc")).await;
    assert_eq!(sent(&stack, "").await[0]["message"], "to ######");
    client.call(api::PutDataProtectionPolicy, policy("Inbound", r#"{"Deny": {}}"#)).await.unwrap();
    let denied = client.call(api::Publish, message(&topic, "to a@b.cc")).await.unwrap_err();
    assert_eq!((denied.code.as_ref(), denied.status), ("AuthorizationError", 403));
    client.call(api::PutDataProtectionPolicy, policy("Outbound", r#"{"Deny": {}}"#)).await.unwrap();
    publish(&client, message(&topic, "to a@b.cc")).await;
    assert_eq!(sent(&stack, "").await.len(), 1);
}

#[tokio::test]
async fn mail_waits_for_its_confirmation() {
    let stack = alone().await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[]).await;
    subscribe(&client, &topic, "email", "ann@example.com", &[]).await;
    let asked = sent(&stack, "protocol=email").await[0]["message"].as_str().unwrap().to_owned();
    let link = asked.split_whitespace().find(|word| word.contains("Action=ConfirmSubscription")).unwrap();
    assert_eq!(get(link).await.0, 200);
    publish(&client, api::PublishInput { subject: Some("News".into()), ..message(&topic, "hello") }).await;
    let mail = &sent(&stack, "protocol=email&endpoint=ann%40example.com").await[1];
    assert_eq!(mail["subject"], "News");
    assert!(mail["message"].as_str().unwrap().starts_with("hello\n"), "{mail}");
}

#[tokio::test]
async fn links_of_a_lane_lead_into_the_lane() {
    let stack = alone().await;
    let client = client(&stack).in_lane("pr-7");
    let topic = topic(&client, "t", &[]).await;
    let endpoint = Endpoint::start().await;
    let arn = subscribe(&client, &topic, "http", &endpoint.url, &[]).await;
    let url = endpoint.wait(1).await[0].json()["SubscribeURL"].as_str().unwrap().to_owned();
    assert!(url.contains("://pr-7.lane.localhost:"), "{url}");
    // Whoever follows it resolves `*.localhost` to this machine and sends no header of ours.
    let uri: ::http::Uri = url.parse().unwrap();
    let at = format!("{}{}", stack.url("sns"), uri.path_and_query().unwrap());
    let request = Request::get(at).header("host", uri.authority().unwrap().as_str()).body(Bytes::new()).unwrap();
    assert_eq!(http::send(request).await.status(), 200);
    let input = api::GetSubscriptionAttributesInput { subscription_arn: arn };
    let attributes = client.call(api::GetSubscriptionAttributes, input).await.unwrap().attributes.unwrap();
    assert_eq!(attributes["PendingConfirmation"], "false");
}
