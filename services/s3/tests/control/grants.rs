//! Access grants give keys that reach what was granted, and no more.

use std::time::Duration;

use crate::*;

const ROLE: &str = "arn:aws:iam::111111111111:role/location";

async fn granted(owner: &Client, grantee: &str, permission: api::Permission) {
    let instance = api::CreateAccessGrantsInstanceInput { account_id: OWNER.into(), ..Default::default() };
    owner.call(api::CreateAccessGrantsInstance, instance).await.unwrap();
    let location = api::CreateAccessGrantsLocationInput {
        account_id: OWNER.into(),
        location_scope: "s3://".into(),
        iam_role_arn: ROLE.into(),
        tags: None,
    };
    let location = owner.call(api::CreateAccessGrantsLocation, location).await.unwrap();
    assert_eq!(location.access_grants_location_id.as_deref(), Some("default"));
    let grant = api::CreateAccessGrantInput {
        account_id: OWNER.into(),
        access_grants_location_id: "default".into(),
        access_grants_location_configuration: Some(api::AccessGrantsLocationConfiguration {
            s3_sub_prefix: Some("bucket/in/*".into()),
        }),
        grantee: api::Grantee { grantee_type: Some(api::GranteeType::Iam), grantee_identifier: Some(grantee.into()) },
        permission,
        ..Default::default()
    };
    let grant = owner.call(api::CreateAccessGrant, grant).await.unwrap();
    assert_eq!(grant.grant_scope.as_deref(), Some("s3://bucket/in/*"));
}

fn asked(target: &str, permission: api::Permission) -> api::GetDataAccessInput {
    api::GetDataAccessInput {
        account_id: OWNER.into(),
        target: target.into(),
        permission,
        duration_seconds: Some(900),
        ..Default::default()
    }
}

#[tokio::test]
async fn keys_reach_what_was_granted_until_they_expire() {
    let evaluated = |config: &mut fractus_host::config::HostConfig| {
        config.auth = AuthMode::Enforced;
        config.root_secret = Some("test".into());
    };
    let stack = builder().configure(evaluated).start().await;
    let owner = client_of(&stack).as_account(OWNER);
    bucket(&owner, "bucket").await;
    put(&owner, "bucket", "in/k", "inside").await.unwrap();
    put(&owner, "bucket", "out", "outside").await.unwrap();
    granted(&owner, &format!("arn:aws:iam::{OWNER}:root"), api::Permission::Read).await;
    let given = owner.call(api::GetDataAccess, asked("s3://bucket/in/*", api::Permission::Read)).await.unwrap();
    assert_eq!(given.matched_grant_target.as_deref(), Some("s3://bucket/in/*"));
    let keys_given = given.credentials.unwrap();
    let reader = client_of(&stack).with_keys(
        keys_given.access_key_id.as_deref().unwrap(),
        keys_given.secret_access_key.as_deref().unwrap(),
        keys_given.session_token.as_deref(),
    );
    assert_eq!(get(&reader, "bucket", "in/k").await.unwrap(), "inside");
    assert_eq!(get(&reader, "bucket", "out").await.unwrap_err().code, "AccessDenied");
    assert_eq!(put(&reader, "bucket", "in/k", "x").await.unwrap_err().code, "AccessDenied");
    assert_eq!(keys(&reader, "bucket", "in/").await, ["in/k"]);

    let refused = owner.call(api::GetDataAccess, asked("s3://bucket/in/*", api::Permission::Write)).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_ref()), (403, "AccessDenied"));
    let refused = owner.call(api::GetDataAccess, asked("s3://bucket/*", api::Permission::Read)).await.unwrap_err();
    assert_eq!(refused.code, "AccessDenied");
    let mine = api::ListCallerAccessGrantsInput { account_id: OWNER.into(), ..Default::default() };
    let mine = owner.call(api::ListCallerAccessGrants, mine).await.unwrap().caller_access_grants_list.unwrap();
    assert_eq!(mine[0].grant_scope.as_deref(), Some("s3://bucket/in/*"));

    stack.clock().advance(Duration::from_secs(901));
    assert_eq!(get(&reader, "bucket", "in/k").await.unwrap_err().code, "ExpiredToken");
}

#[tokio::test]
async fn another_account_needs_the_instance_s_policy() {
    let stack = enforced().await;
    let owner = client_of(&stack).as_account(OWNER);
    let other = client_of(&stack).as_account(OTHER);
    bucket(&owner, "bucket").await;
    put(&owner, "bucket", "in/k", "inside").await.unwrap();
    granted(&owner, &format!("arn:aws:iam::{OTHER}:root"), api::Permission::Readwrite).await;
    let target = || asked("s3://bucket/in/*", api::Permission::Readwrite);
    assert_eq!(other.call(api::GetDataAccess, target()).await.unwrap_err().code, "AccessDenied");
    let statement = format!(
        r#"{{"Effect": "Allow", "Principal": {{"AWS": "{OTHER}"}}, "Action": "s3:GetDataAccess", "Resource": "arn:aws:s3:us-east-1:{OWNER}:access-grants/default"}}"#
    );
    let shared = api::PutAccessGrantsInstanceResourcePolicyInput {
        account_id: OWNER.into(),
        policy: policy(&statement),
        organization: None,
    };
    owner.call(api::PutAccessGrantsInstanceResourcePolicy, shared).await.unwrap();
    let given = other.call(api::GetDataAccess, target()).await.unwrap().credentials.unwrap();
    let writer = client_of(&stack).with_keys(
        given.access_key_id.as_deref().unwrap(),
        given.secret_access_key.as_deref().unwrap(),
        given.session_token.as_deref(),
    );
    put(&writer, "bucket", "in/new", "written").await.unwrap();
    assert_eq!(get(&owner, "bucket", "in/new").await.unwrap(), "written");
    assert_eq!(put(&writer, "bucket", "out", "x").await.unwrap_err().code, "AccessDenied");
}
