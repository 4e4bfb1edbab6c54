//! Where policies are evaluated, what a job or a grant does is done by its role.

use crate::jobs::{BUCKET_AND_KEY, counts, create, input, manifest, reaches, tagging};
use crate::*;

fn role(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/batch")
}

/// A job of the owner's, with its list in the bucket and what it is about.
async fn tags_by_job(owner: &Client, token: &str, lines: &str) -> api::JobDescriptor {
    let etag = manifest(owner, &format!("{token}.csv"), lines).await;
    let mut asked = input(tagging("k", "v"), (&format!("{token}.csv"), &etag, &BUCKET_AND_KEY));
    asked.role_arn = role(ACCOUNT);
    asked.client_request_token = token.into();
    let id = create(owner, asked).await;
    reaches(owner, &id, api::JobStatus::Complete).await
}

fn statement(effect: &str, principal: &str, bucket: &str) -> String {
    format!(
        r#"{{"Effect": "{effect}", "Principal": {{"AWS": "{principal}"}}, "Action": "s3:PutObjectTagging", "Resource": "arn:aws:s3:::{bucket}/*"}}"#
    )
}

#[tokio::test]
async fn a_job_may_do_what_policies_leave_to_its_role() {
    let stack = enforced().await;
    let owner = client_of(&stack).as_account(ACCOUNT);
    let other = client_of(&stack).as_account(OTHER);
    for name in ["bucket", "reports"] {
        bucket(&owner, name).await;
    }
    bucket(&other, "others").await;
    put(&owner, "bucket", "c", "c").await.unwrap();
    put(&other, "others", "c", "c").await.unwrap();
    // Its account's own buckets are open to it, another's are not.
    assert_eq!(counts(&tags_by_job(&owner, "one", "bucket,c\nothers,c\n").await), (2, 1, 1));
    // The other account lets the role in.
    put_bucket_policy(&other, "others", &statement("Allow", &role(ACCOUNT), "others")).await.unwrap();
    assert_eq!(counts(&tags_by_job(&owner, "two", "bucket,c\nothers,c\n").await), (2, 2, 0));
    // The owner's bucket keeps the role out, and nobody else.
    put_bucket_policy(&owner, "bucket", &statement("Deny", &role(ACCOUNT), "bucket")).await.unwrap();
    assert_eq!(counts(&tags_by_job(&owner, "three", "bucket,c\nothers,c\n").await), (2, 1, 1));
    let tags = s3::Tagging { tag_set: vec![s3::Tag { key: "mine".into(), value: "v".into() }] };
    let input =
        s3::PutObjectTaggingInput { bucket: "bucket".into(), key: "c".into(), tagging: tags, ..Default::default() };
    owner.call(s3::PutObjectTagging, input).await.unwrap();
}

#[tokio::test]
async fn a_role_is_of_the_account_that_hands_it_over() {
    let stack = builder().start().await;
    let client = client_of(&stack);
    for wrong in [role(OTHER), format!("arn:aws:iam::{ACCOUNT}:user/batch")] {
        let mut asked = input(tagging("k", "v"), ("list.csv", "e", &BUCKET_AND_KEY));
        asked.role_arn.clone_from(&wrong);
        let refused = client.call(api::CreateJob, asked).await.unwrap_err();
        assert_eq!((refused.code.as_ref(), refused.status), ("InvalidRequest", 400), "{wrong}");
    }
    let instance = api::CreateAccessGrantsInstanceInput { account_id: ACCOUNT.into(), ..Default::default() };
    client.call(api::CreateAccessGrantsInstance, instance).await.unwrap();
    let location = api::CreateAccessGrantsLocationInput {
        account_id: ACCOUNT.into(),
        location_scope: "s3://".into(),
        iam_role_arn: role(OTHER),
        tags: None,
    };
    let refused = client.call(api::CreateAccessGrantsLocation, location).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("InvalidIamRole", 400));
}
