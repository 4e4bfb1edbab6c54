//! CORS and websites.

use crate::*;

fn cors_input() -> api::PutBucketCorsInput {
    let rule = api::CORSRule {
        allowed_origins: vec!["https://app.example".into()],
        allowed_methods: vec!["PUT".into(), "GET".into()],
        allowed_headers: Some(vec!["x-amz-*".into(), "content-type".into()]),
        expose_headers: Some(vec!["ETag".into()]),
        max_age_seconds: Some(300),
        ..Default::default()
    };
    api::PutBucketCorsInput {
        bucket: "bucket".into(),
        cors_configuration: api::CORSConfiguration { cors_rules: vec![rule] },
        ..Default::default()
    }
}

async fn preflight(stack: &Stack, origin: &str, method: &str, headers: &str) -> Response<Bytes> {
    let asked =
        [("origin", origin), ("access-control-request-method", method), ("access-control-request-headers", headers)];
    plain(stack, "OPTIONS", "/bucket/k?X-Amz-Signature=abc", &asked).await
}

#[tokio::test]
async fn browsers_are_told_what_the_rules_allow() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let off = preflight(&stack, "https://app.example", "PUT", "").await;
    assert_eq!(off.status(), 403);
    assert!(text(&off).contains("CORSResponse: CORS is not enabled for this bucket."));
    client.call(api::PutBucketCors, cors_input()).await.unwrap();
    let yes = preflight(&stack, "https://app.example", "PUT", "X-Amz-Date, content-type").await;
    assert_eq!(yes.status(), 200);
    let header = |response: &Response<Bytes>, name: &str| {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header(&yes, "access-control-allow-origin").as_deref(), Some("https://app.example"));
    assert_eq!(header(&yes, "access-control-allow-methods").as_deref(), Some("PUT, GET"));
    assert_eq!(header(&yes, "access-control-allow-headers").as_deref(), Some("x-amz-date, content-type"));
    assert_eq!(header(&yes, "access-control-max-age").as_deref(), Some("300"));
    assert_eq!(preflight(&stack, "https://other.example", "PUT", "").await.status(), 403);
    assert_eq!(preflight(&stack, "https://app.example", "DELETE", "").await.status(), 403);
    assert_eq!(preflight(&stack, "https://app.example", "PATCH", "").await.status(), 400);
    put(&client, "k", "x").await;
    for (path, status) in [("/bucket/k", 200), ("/bucket/none", 404)] {
        let request = Request::get(path).header("origin", "https://app.example").body(Bytes::new()).unwrap();
        let answer = client.send(request).await;
        assert_eq!(answer.status(), status);
        assert_eq!(header(&answer, "access-control-expose-headers").as_deref(), Some("ETag"), "{path}");
        assert_eq!(header(&answer, "access-control-allow-credentials").as_deref(), Some("true"));
    }
    let delete = api::DeleteBucketCorsInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::DeleteBucketCors, delete).await.unwrap();
    assert_eq!(preflight(&stack, "https://app.example", "PUT", "").await.status(), 403);
    let get = api::GetBucketCorsInput { bucket: "bucket".into(), ..Default::default() };
    let gone = client.call(api::GetBucketCors, get).await.unwrap_err();
    assert_eq!((gone.code.as_ref(), gone.status), ("NoSuchCORSConfiguration", 404));
}

async fn visit(stack: &Stack, path: &str) -> Response<Bytes> {
    plain(stack, "GET", path, &[("host", "bucket.s3-website.us-east-1.localhost:4566")]).await
}

fn website_input() -> api::PutBucketWebsiteInput {
    let rule = api::RoutingRule {
        condition: Some(api::Condition { key_prefix_equals: Some("old/".into()), ..Default::default() }),
        redirect: api::Redirect { replace_key_prefix_with: Some("new/".into()), ..Default::default() },
    };
    api::PutBucketWebsiteInput {
        bucket: "bucket".into(),
        website_configuration: api::WebsiteConfiguration {
            index_document: Some(api::IndexDocument { suffix: "index.html".into() }),
            error_document: Some(api::ErrorDocument { key: "error.html".into() }),
            routing_rules: Some(vec![rule]),
            ..Default::default()
        },
        ..Default::default()
    }
}

#[tokio::test]
async fn a_website_host_serves_the_bucket_as_a_web_server_would() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let without = visit(&stack, "/").await;
    assert_eq!(without.status(), 404);
    assert!(text(&without).contains("<li>Code: NoSuchWebsiteConfiguration</li>"), "{}", text(&without));
    client.call(api::PutBucketWebsite, website_input()).await.unwrap();
    for (key, body) in [("index.html", "home"), ("docs/index.html", "docs"), ("error.html", "sorry")] {
        let input = api::PutObjectInput { content_type: Some("text/html".into()), ..put_input(key, body) };
        client.call(api::PutObject, input).await.unwrap();
    }
    let moved = api::PutObjectInput { website_redirect_location: Some("/docs/".into()), ..put_input("moved", "") };
    client.call(api::PutObject, moved).await.unwrap();
    assert_eq!(visit(&stack, "/").await.status(), 403, "nobody has opened it");
    open(&client).await;
    client.call(api::PutBucketPolicy, policy_input(PUBLIC_READ)).await.unwrap();
    let home = visit(&stack, "/").await;
    assert_eq!((home.status().as_u16(), text(&home).as_str()), (200, "home"));
    assert_eq!(home.headers()["content-type"], "text/html");
    assert_eq!(text(&visit(&stack, "/docs/").await), "docs");
    let folder = visit(&stack, "/docs").await;
    assert_eq!((folder.status().as_u16(), folder.headers()["location"].to_str().unwrap()), (302, "/docs/"));
    let moved = visit(&stack, "/moved").await;
    assert_eq!((moved.status().as_u16(), moved.headers()["location"].to_str().unwrap()), (301, "/docs/"));
    let routed = visit(&stack, "/old/a").await;
    assert_eq!(routed.status(), 301);
    assert!(routed.headers()["location"].to_str().unwrap().ends_with(":4566/new/a"));
    let missing = visit(&stack, "/nothing").await;
    // Who may not list a bucket is not told what there is not; the error document is shown all the same.
    assert!(missing.status().is_client_error());
    assert_eq!(text(&missing), "sorry");
}
