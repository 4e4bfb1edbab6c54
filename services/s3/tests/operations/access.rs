//! Policies, public access block, ownership, access control lists.

use fractus_host::config::AuthMode;

use crate::*;

async fn anonymous_get(stack: &Stack, key: &str) -> u16 {
    plain(stack, "GET", &format!("/bucket/{key}"), &[]).await.status().as_u16()
}

#[tokio::test]
async fn a_policy_opens_a_bucket_to_everybody_once_the_block_is_gone() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    put(&client, "k", "hello").await;
    assert_eq!(anonymous_get(&stack, "k").await, 403);
    let blocked = client.call(api::PutBucketPolicy, policy_input(PUBLIC_READ)).await.unwrap_err();
    assert_eq!((blocked.status, blocked.code.as_ref()), (403, "AccessDenied"));
    assert!(blocked.message.contains("BlockPublicPolicy"), "{}", blocked.message);
    open(&client).await;
    client.call(api::PutBucketPolicy, policy_input(PUBLIC_READ)).await.unwrap();
    let opened = plain(&stack, "GET", "/bucket/k", &[]).await;
    assert_eq!((opened.status().as_u16(), text(&opened).as_str()), (200, "hello"));
    assert_eq!(plain(&stack, "GET", "/bucket?list-type=2", &[]).await.status(), 403);
    assert_eq!(plain(&stack, "PUT", "/bucket/k", &[("content-length", "0")]).await.status(), 403);
    let status = api::GetBucketPolicyStatusInput { bucket: "bucket".into(), ..Default::default() };
    let status = client.call(api::GetBucketPolicyStatus, status).await.unwrap();
    assert_eq!(status.policy_status.unwrap().is_public, Some(true));
    let block = api::PutPublicAccessBlockInput {
        bucket: "bucket".into(),
        public_access_block_configuration: api::PublicAccessBlockConfiguration {
            restrict_public_buckets: Some(true),
            ..Default::default()
        },
        ..Default::default()
    };
    client.call(api::PutPublicAccessBlock, block).await.unwrap();
    assert_eq!(anonymous_get(&stack, "k").await, 403, "RestrictPublicBuckets");
    let delete = api::DeleteBucketPolicyInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::DeleteBucketPolicy, delete).await.unwrap();
    let get = api::GetBucketPolicyInput { bucket: "bucket".into(), ..Default::default() };
    let gone = client.call(api::GetBucketPolicy, get).await.unwrap_err();
    assert_eq!((gone.status, gone.code.as_ref()), (404, "NoSuchBucketPolicy"));
    assert_eq!(gone.message, "The bucket policy does not exist");
}

#[tokio::test]
async fn policies_come_back_as_they_were_put_and_flaws_are_named() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let narrow = r#"{"Sid": "a", "Effect": "Deny", "Principal": {"AWS": "111122223333"}, "Action": "s3:*", "Resource": "arn:aws:s3:::bucket"}"#;
    let input = policy_input(narrow);
    client.call(api::PutBucketPolicy, input.clone()).await.unwrap();
    let get = || api::GetBucketPolicyInput { bucket: "bucket".into(), ..Default::default() };
    let got = client.call(api::GetBucketPolicy, get()).await.unwrap();
    assert_eq!(got.policy.unwrap(), input.policy);
    let other = api::GetBucketPolicyInput { expected_bucket_owner: Some("111122223333".into()), ..get() };
    assert_eq!(client.call(api::GetBucketPolicy, other).await.unwrap_err().code, "AccessDenied");
    let bad = api::PutBucketPolicyInput { policy: "nonsense".into(), ..input };
    let refused = client.call(api::PutBucketPolicy, bad).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (400, "MalformedPolicy"));
    assert_eq!(refused.message, "Policies must be valid JSON and the first byte must be '{'");
}

/// A stack where policies are evaluated of every caller.
async fn enforced() -> Stack {
    Stack::new()
        .with("s3", |host| fractus_s3::start(config(), host))
        .configure(|config| {
            config.auth = AuthMode::Enforced;
            config.root_secret = Some("test".into());
        })
        .start()
        .await
}

#[tokio::test]
async fn policies_bind_other_accounts_where_policies_are_evaluated() {
    let stack = enforced().await;
    let owner = client_of(&stack).as_account("111111111111");
    let other = client_of(&stack).as_account("222222222222");
    bucket(&owner, "bucket").await;
    put(&owner, "k", "hello").await;
    assert_eq!(read(&other, get_input("k")).await.unwrap_err().code, "AccessDenied");
    let allow = r#"{"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}"#;
    owner.call(api::PutBucketPolicy, policy_input(allow)).await.unwrap();
    assert_eq!(read(&other, get_input("k")).await.unwrap(), "hello");
    assert_eq!(other.call(api::PutObject, put_input("k", "x")).await.unwrap_err().code, "AccessDenied");
    let locked = r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]}"#;
    owner.call(api::PutBucketPolicy, policy_input(locked)).await.unwrap();
    assert_eq!(read(&owner, get_input("k")).await.unwrap_err().code, "AccessDenied");
    let delete = api::DeleteBucketPolicyInput { bucket: "bucket".into(), ..Default::default() };
    owner.call(api::DeleteBucketPolicy, delete).await.unwrap();
    assert_eq!(read(&owner, get_input("k")).await.unwrap(), "hello");
    let none = api::GetObjectInput { bucket: "nowhere".into(), ..get_input("k") };
    assert_eq!(read(&other, none).await.unwrap_err().code, "NoSuchBucket");
}

#[tokio::test]
async fn lists_open_what_ownership_and_block_let_them() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    let public = || api::PutBucketAclInput {
        bucket: "bucket".into(),
        acl: Some(api::BucketCannedACL::PublicRead),
        ..Default::default()
    };
    let refused = client.call(api::PutBucketAcl, public()).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (400, "AccessControlListNotSupported"));
    assert_eq!(refused.message, "The bucket does not allow ACLs");
    assert_eq!(plain(&stack, "GET", "/bucket?list-type=2", &[]).await.status(), 403);
    open(&client).await;
    client.call(api::PutBucketAcl, public()).await.unwrap();
    put(&client, "seen", "x").await;
    let listed = plain(&stack, "GET", "/bucket?list-type=2", &[]).await;
    assert!(listed.status() == 200 && text(&listed).contains("<Key>seen</Key>"));
    let get = api::GetBucketAclInput { bucket: "bucket".into(), ..Default::default() };
    let acl = client.call(api::GetBucketAcl, get).await.unwrap();
    assert_eq!(acl.grants.unwrap().len(), 2);
    let enforce = api::PutBucketOwnershipControlsInput {
        bucket: "bucket".into(),
        ownership_controls: api::OwnershipControls {
            rules: vec![api::OwnershipControlsRule { object_ownership: api::ObjectOwnership::BucketOwnerEnforced }],
        },
        ..Default::default()
    };
    let refused = client.call(api::PutBucketOwnershipControls, enforce).await.unwrap_err();
    assert_eq!(refused.code, "InvalidBucketAclWithObjectOwnership");
    let ignore = api::PutPublicAccessBlockInput {
        bucket: "bucket".into(),
        public_access_block_configuration: api::PublicAccessBlockConfiguration {
            ignore_public_acls: Some(true),
            ..Default::default()
        },
        ..Default::default()
    };
    client.call(api::PutPublicAccessBlock, ignore).await.unwrap();
    assert_eq!(plain(&stack, "GET", "/bucket?list-type=2", &[]).await.status(), 403);
}

#[tokio::test]
async fn a_part_that_there_is_not_is_never_the_whole() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    for path in ["/bucket?location", "/bucket?nothing", "/bucket?policyStatus"] {
        let request = Request::delete(path).body(Bytes::new()).unwrap();
        let answer = client.send(request).await;
        assert_eq!(answer.status(), 405, "{path}");
        assert!(text(&answer).contains("<Code>MethodNotAllowed</Code>"), "{path}");
    }
    let head = api::HeadBucketInput { bucket: "bucket".into(), ..Default::default() };
    client.call(api::HeadBucket, head).await.unwrap();
}

#[tokio::test]
async fn uploads_in_parts_and_copies_are_for_callers_who_have_signed() {
    let stack = stack().await;
    let client = client_of(&stack);
    bucket(&client, "bucket").await;
    open(&client).await;
    let all = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"}"#;
    client.call(api::PutBucketPolicy, policy_input(all)).await.unwrap();
    put(&client, "k", "hello").await;
    let (length, source) = (("content-length", "0"), ("x-amz-copy-source", "bucket/k"));
    assert_eq!(plain(&stack, "PUT", "/bucket/other", &[length]).await.status(), 200);
    let begun = plain(&stack, "POST", "/bucket/k?uploads", &[length]).await;
    assert_eq!(begun.status(), 403);
    assert!(text(&begun).contains("Anonymous users cannot initiate multipart uploads."), "{}", text(&begun));
    let copied = plain(&stack, "PUT", "/bucket/copy", &[length, source]).await;
    assert_eq!(copied.status(), 403);
    assert!(text(&copied).contains("Anonymous users cannot copy objects."), "{}", text(&copied));
    let chosen = plain(&stack, "GET", "/bucket/k?response-content-type=text/html", &[]).await;
    assert_eq!(chosen.status(), 400, "{}", text(&chosen));
}

#[tokio::test]
async fn each_key_of_a_batch_is_allowed_or_forbidden_by_itself() {
    let stack = enforced().await;
    let owner = client_of(&stack).as_account("111111111111");
    let other = client_of(&stack).as_account("222222222222");
    bucket(&owner, "bucket").await;
    for key in ["mine/a", "mine/b", "yours/c"] {
        put(&owner, key, "x").await;
    }
    let allow = r#"{"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::bucket/mine/*"}"#;
    owner.call(api::PutBucketPolicy, policy_input(allow)).await.unwrap();
    let objects = ["mine/a", "yours/c", "mine/b"]
        .map(|key| api::ObjectIdentifier { key: key.into(), ..Default::default() })
        .to_vec();
    let input = api::DeleteObjectsInput {
        bucket: "bucket".into(),
        delete: api::Delete { objects, quiet: None },
        ..Default::default()
    };
    let answer = other.call(api::DeleteObjects, input).await.unwrap();
    let deleted: Vec<_> = answer.deleted.unwrap().into_iter().filter_map(|deleted| deleted.key).collect();
    assert_eq!(deleted, ["mine/a", "mine/b"]);
    let errors = answer.errors.unwrap();
    assert_eq!(errors.len(), 1);
    assert_eq!((errors[0].key.as_deref(), errors[0].code.as_deref()), (Some("yours/c"), Some("AccessDenied")));
    assert_eq!(read(&owner, get_input("yours/c")).await.unwrap(), "x");
}

#[tokio::test]
async fn what_an_upload_sets_has_permissions_of_its_own() {
    let stack = enforced().await;
    let owner = client_of(&stack).as_account("111111111111");
    let other = client_of(&stack).as_account("222222222222");
    bucket(&owner, "bucket").await;
    let allow = |actions: &str| {
        policy_input(&format!(
            r#"{{"Effect": "Allow", "Principal": {{"AWS": "222222222222"}}, "Action": [{actions}], "Resource": "arn:aws:s3:::bucket/*"}}"#
        ))
    };
    owner.call(api::PutBucketPolicy, allow(r#""s3:PutObject", "s3:GetObject""#)).await.unwrap();
    let tagged = || api::PutObjectInput { tagging: Some("a=1&b=2".into()), ..put_input("k", "x") };
    assert_eq!(other.call(api::PutObject, tagged()).await.unwrap_err().code, "AccessDenied");
    owner.call(api::PutObject, tagged()).await.unwrap();
    assert_eq!(owner.call(api::GetObject, get_input("k")).await.unwrap().tag_count, Some(2));
    let seen = other.call(api::GetObject, get_input("k")).await.unwrap();
    assert_eq!(seen.tag_count, None, "who may not read tags is not told how many there are");
    owner.call(api::PutBucketPolicy, allow(r#""s3:PutObject", "s3:GetObject", "s3:*Tagging""#)).await.unwrap();
    other.call(api::PutObject, tagged()).await.unwrap();
    assert_eq!(other.call(api::GetObject, get_input("k")).await.unwrap().tag_count, Some(2));
}
