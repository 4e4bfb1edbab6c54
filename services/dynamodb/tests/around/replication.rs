//! Global tables over accounts: what the replicas' policies let replication do.

use fractus_dynamodb_api as api;
use fractus_testkit::{Client, Stack, wait_for};
use fractus_wire::Failure;

use super::settings::TABLE;
use super::*;

const OWNER: &str = "000000000000";
const GUEST: &str = "111122223333";
const REPLICA: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/music";

/// Lets the guest join, if it is said, and the service replicate on behalf of some tables.
fn policy(of: &str, sources: &[&str], joins: bool) -> String {
    let replication = serde_json::json!({
        "Effect": "Allow",
        "Principal": {"Service": "replication.dynamodb.amazonaws.com"},
        "Action": ["dynamodb:ReadDataForReplication", "dynamodb:WriteDataForReplication", "dynamodb:ReplicateSettings"],
        "Resource": of,
        "Condition": {"StringEquals": {"aws:SourceAccount": [OWNER, GUEST], "aws:SourceArn": sources}},
    });
    let join = serde_json::json!({
        "Effect": "Allow", "Principal": {"AWS": GUEST}, "Action": "dynamodb:AssociateTableReplica", "Resource": of,
    });
    let statements: Vec<_> = [replication].into_iter().chain(joins.then_some(join)).collect();
    serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

async fn set_policy(client: &Client, of: &str, policy: String) {
    let input = api::PutResourcePolicyInput { resource_arn: of.into(), policy, ..Default::default() };
    client.call(api::PutResourcePolicy, input).await.unwrap();
}

async fn join(guest: &Client, policy: Option<String>) -> Result<api::CreateTableOutput, Failure> {
    let input = api::CreateTableInput {
        table_name: "music".into(),
        global_table_source_arn: Some(TABLE.into()),
        global_table_settings_replication_mode: Some(api::GlobalTableSettingsReplicationMode::Enabled),
        resource_policy: policy,
        ..Default::default()
    };
    guest.call(api::CreateTable, input).await
}

async fn group() -> (Stack, Client, Client) {
    let (stack, owner) = enforced().await;
    let input = api::CreateTableInput {
        global_table_settings_replication_mode: Some(api::GlobalTableSettingsReplicationMode::Enabled),
        ..table_input("music")
    };
    owner.call(api::CreateTable, input).await.unwrap();
    let guest = owner.clone().as_account(GUEST).in_region("eu-west-1");
    (stack, owner, guest)
}

async fn replica_status(client: &Client) -> Option<api::ReplicaStatus> {
    described(client, "music").await.replicas?.first()?.replica_status.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_another_account_comes_where_the_policies_of_both_let_it() {
    let (stack, owner, guest) = group().await;
    let both = [TABLE, REPLICA];
    put(&owner, "music", "a", 1).await;
    let own = Some(policy(REPLICA, &both, false));
    // The account has to be let in, and the service let replicate, on behalf of every one, by every one.
    assert_eq!(join(&guest, own.clone()).await.unwrap_err().code, "AccessDeniedException");
    set_policy(&owner, TABLE, policy(TABLE, &both[..1], true)).await;
    let refused = join(&guest, own.clone()).await.unwrap_err();
    assert!(refused.message.starts_with(&format!("The resource policy of {TABLE} does not")), "{}", refused.message);
    set_policy(&owner, TABLE, policy(TABLE, &both, true)).await;
    for lacking in [None, Some(policy(REPLICA, &both[1..], false))] {
        let refused = join(&guest, lacking).await.unwrap_err();
        assert!(refused.message.starts_with(&format!("The resource policy of {REPLICA} does not")));
    }
    join(&guest, own).await.unwrap();
    stack.clock().advance(secs(2));
    wait_for("the copy", || async { number(&guest, "music", "a").await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_told_once_it_is_allowed_again() {
    let (stack, owner, guest) = group().await;
    let both = [TABLE, REPLICA];
    set_policy(&owner, TABLE, policy(TABLE, &both, true)).await;
    join(&guest, Some(policy(REPLICA, &both, false))).await.unwrap();
    let is = |wanted: api::ReplicaStatus| {
        let (stack, owner) = (&stack, &owner);
        async move {
            wait_for(&format!("{wanted:?}"), || async {
                stack.clock().advance(secs(1));
                (replica_status(owner).await == Some(wanted.clone())).then_some(())
            })
            .await;
        }
    };
    is(api::ReplicaStatus::Active).await;
    set_policy(&guest, REPLICA, policy(REPLICA, &both[1..], false)).await;
    is(api::ReplicaStatus::ReplicationNotAuthorized).await;
    for n in 1..=3 {
        put(&owner, "music", "a", n).await;
    }
    put(&guest, "music", "b", 7).await;
    // Long enough for the changes to have been told, had they been let.
    for _ in 0..5 {
        stack.clock().advance(secs(1));
        assert_eq!(replica_status(&guest).await, Some(api::ReplicaStatus::ReplicationNotAuthorized));
    }
    assert_eq!((number(&guest, "music", "a").await, number(&owner, "music", "b").await), (None, None));
    set_policy(&guest, REPLICA, policy(REPLICA, &both, false)).await;
    is(api::ReplicaStatus::Active).await;
    wait_for("both to have all", || async {
        stack.clock().advance(secs(1));
        let found = (number(&guest, "music", "a").await?, number(&owner, "music", "b").await?);
        (found == ("3".to_owned(), "7".to_owned())).then_some(())
    })
    .await;

    // Twenty hours later there is no group any more.
    set_policy(&guest, REPLICA, policy(REPLICA, &both[1..], false)).await;
    is(api::ReplicaStatus::ReplicationNotAuthorized).await;
    stack.clock().advance(secs(20 * 3_600 + 1));
    wait_for("the end of the group", || async {
        stack.clock().advance(secs(1));
        let gone =
            described(&owner, "music").await.replicas.is_none() && described(&guest, "music").await.replicas.is_none();
        gone.then_some(())
    })
    .await;
    assert_eq!(number(&guest, "music", "a").await.as_deref(), Some("3"));
}
