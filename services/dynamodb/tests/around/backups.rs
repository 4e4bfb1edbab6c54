//! Backups, restores, point-in-time recovery.

use fractus_clock::Timestamp;
use fractus_dynamodb::Config;
use fractus_dynamodb_api as api;
use fractus_testkit::{Client, wait_for};

use super::*;

async fn backup(client: &Client, table: &str, name: &str) -> String {
    let input = api::CreateBackupInput { table_name: table.into(), backup_name: name.into() };
    let details = client.call(api::CreateBackup, input).await.unwrap().backup_details.unwrap();
    assert_eq!(details.backup_status, api::BackupStatus::Creating);
    details.backup_arn
}

async fn described_backup(client: &Client, arn: &str) -> api::BackupDescription {
    let input = api::DescribeBackupInput { backup_arn: arn.into() };
    client.call(api::DescribeBackup, input).await.unwrap().backup_description.unwrap()
}

fn restore_input(arn: &str, table: &str) -> api::RestoreTableFromBackupInput {
    api::RestoreTableFromBackupInput { target_table_name: table.into(), backup_arn: arn.into(), ..Default::default() }
}

async fn indexed(client: &Client, table: &str, n: u64) -> usize {
    let values = [(":n".to_owned(), N(n.to_string()))].into_iter().collect();
    let input = api::QueryInput {
        table_name: table.into(),
        index_name: Some("by-n".into()),
        key_condition_expression: Some("n = :n".into()),
        expression_attribute_values: Some(values),
        ..Default::default()
    };
    client.call(api::Query, input).await.unwrap().items.unwrap_or_default().len()
}

#[tokio::test]
async fn a_backup_stays_what_the_table_was() {
    let (_stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    put(&client, "music", "a", 1).await;
    put(&client, "music", "b", 2).await;
    let arn = backup(&client, "music", "first").await;
    assert!(arn.contains(":table/music/backup/01767225600000-"), "{arn}");
    put(&client, "music", "a", 9).await;
    delete(&client, "music", "b").await;
    let description = described_backup(&client, &arn).await;
    let details = description.backup_details.unwrap();
    assert_eq!(details.backup_status, api::BackupStatus::Available);
    assert_eq!(details.backup_type, api::BackupType::User);
    let source = description.source_table_details.unwrap();
    assert_eq!((source.item_count, source.table_name.as_str()), (Some(2), "music"));
    let features = description.source_table_feature_details.unwrap();
    assert_eq!(features.global_secondary_indexes.unwrap()[0].index_name.as_deref(), Some("by-n"));

    let restored = client.call(api::RestoreTableFromBackup, restore_input(&arn, "again")).await.unwrap();
    let restored = restored.table_description.unwrap();
    assert_eq!(restored.table_status, Some(api::TableStatus::Creating));
    assert!(restored.restore_summary.unwrap().restore_in_progress);
    assert_eq!(status(&client, "again").await, api::TableStatus::Active);
    let summary = described(&client, "again").await.restore_summary.unwrap();
    assert_eq!((summary.restore_in_progress, summary.source_backup_arn.as_deref()), (false, Some(arn.as_str())));
    assert_eq!(number(&client, "again", "a").await.as_deref(), Some("1"));
    assert_eq!(number(&client, "again", "b").await.as_deref(), Some("2"));
    assert_eq!((count(&client, "again").await, indexed(&client, "again", 1).await), (2, 1));
    let twice = client.call(api::RestoreTableFromBackup, restore_input(&arn, "again")).await.unwrap_err();
    assert_eq!(
        (twice.code.as_ref(), twice.message.as_str()),
        ("TableAlreadyExistsException", "Table already exists: again")
    );
}

#[tokio::test]
async fn backups_are_listed_in_pages_and_deleted() {
    let (stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    table(&client, "films").await;
    let mut arns = Vec::new();
    for name in ["one", "two", "three"] {
        arns.push(backup(&client, "music", name).await);
        stack.clock().advance(secs(60));
    }
    backup(&client, "films", "other").await;
    let list = |input: api::ListBackupsInput| {
        let client = client.clone();
        async move { client.call(api::ListBackups, input).await.unwrap() }
    };
    let page =
        list(api::ListBackupsInput { table_name: Some("music".into()), limit: Some(2), ..Default::default() }).await;
    let listed: Vec<_> = page.backup_summaries.unwrap().into_iter().map(|own| own.backup_arn.unwrap()).collect();
    assert_eq!((listed.as_slice(), page.last_evaluated_backup_arn.as_ref()), (&arns[..2], Some(&arns[1])));
    let rest = api::ListBackupsInput {
        table_name: Some("music".into()),
        exclusive_start_backup_arn: page.last_evaluated_backup_arn,
        ..Default::default()
    };
    let rest = list(rest).await;
    assert_eq!((rest.backup_summaries.unwrap().len(), rest.last_evaluated_backup_arn), (1, None));
    let early = api::ListBackupsInput {
        time_range_upper_bound: Some(Timestamp::parse_date_time("2026-01-01T00:01:00Z").unwrap()),
        ..Default::default()
    };
    assert_eq!(list(early).await.backup_summaries.unwrap().len(), 1);
    let system = api::ListBackupsInput { backup_type: Some(api::BackupTypeFilter::System), ..Default::default() };
    assert_eq!(list(system).await.backup_summaries.unwrap().len(), 0);

    let input = api::DeleteBackupInput { backup_arn: arns[0].clone() };
    let deleted = client.call(api::DeleteBackup, input.clone()).await.unwrap().backup_description.unwrap();
    assert_eq!(deleted.backup_details.unwrap().backup_status, api::BackupStatus::Deleted);
    let gone = client.call(api::DeleteBackup, input).await.unwrap_err();
    assert_eq!((gone.code.as_ref(), gone.status), ("BackupNotFoundException", 400));
    let no_table = api::CreateBackupInput { table_name: "nothing".into(), backup_name: "none".into() };
    let failure = client.call(api::CreateBackup, no_table).await.unwrap_err();
    assert_eq!(
        (failure.code.as_ref(), failure.message.as_str()),
        ("TableNotFoundException", "Table not found: nothing")
    );
}

#[tokio::test]
async fn states_follow_the_clock() {
    let (stack, client) = started(Config { table_transition_secs: 10, ..Config::default() }).await;
    table(&client, "music").await;
    let input = api::CreateBackupInput { table_name: "music".into(), backup_name: "early".into() };
    assert_eq!(client.call(api::CreateBackup, input).await.unwrap_err().code, "TableInUseException");
    stack.clock().advance(secs(10));
    put(&client, "music", "a", 1).await;
    let arn = backup(&client, "music", "first").await;
    let status_of = |description: api::BackupDescription| description.backup_details.unwrap().backup_status;
    assert_eq!(status_of(described_backup(&client, &arn).await), api::BackupStatus::Creating);
    let early = client.call(api::RestoreTableFromBackup, restore_input(&arn, "again")).await.unwrap_err();
    assert_eq!(early.code, "BackupInUseException");
    stack.clock().advance(secs(10));
    assert_eq!(status_of(described_backup(&client, &arn).await), api::BackupStatus::Available);
    client.call(api::RestoreTableFromBackup, restore_input(&arn, "again")).await.unwrap();
    assert_eq!(status(&client, "again").await, api::TableStatus::Creating);
    stack.clock().advance(secs(10));
    assert_eq!(status(&client, "again").await, api::TableStatus::Active);
    assert_eq!(number(&client, "again", "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_table_is_restored_to_any_moment_of_its_history() {
    let (stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    put(&client, "music", "before", 1).await;
    let on = recover(&client, "music", None).await;
    assert_eq!(on.point_in_time_recovery_status, Some(api::PointInTimeRecoveryStatus::Enabled));
    assert_eq!(on.recovery_period_in_days, Some(35));
    let start = stack.clock().now();
    for round in 1..=5 {
        stack.clock().advance(secs(10));
        put(&client, "music", "a", round).await;
        if round == 3 {
            delete(&client, "music", "before").await;
        }
    }
    for (at, a, has_before) in
        [(0, None, true), (10, Some("1"), true), (29, Some("2"), true), (30, Some("3"), false), (45, Some("4"), false)]
    {
        let name = format!("at-{at}");
        let input = api::RestoreTableToPointInTimeInput {
            source_table_name: Some("music".into()),
            target_table_name: name.clone(),
            restore_date_time: Some(start.plus(secs(at))),
            ..Default::default()
        };
        client.call(api::RestoreTableToPointInTime, input).await.unwrap();
        assert_eq!(number(&client, &name, "a").await.as_deref(), a, "{name}");
        assert_eq!(get(&client, &name, "before").await.is_some(), has_before, "{name}");
        assert_eq!(described(&client, &name).await.restore_summary.unwrap().restore_date_time, start.plus(secs(at)));
    }
    let outside = api::RestoreTableToPointInTimeInput {
        source_table_name: Some("music".into()),
        target_table_name: "never".into(),
        restore_date_time: Some(start.plus(secs(3_600))),
        ..Default::default()
    };
    let failure = client.call(api::RestoreTableToPointInTime, outside.clone()).await.unwrap_err();
    assert_eq!(failure.code, "InvalidRestoreTimeException");
    let latest = api::RestoreTableToPointInTimeInput {
        use_latest_restorable_time: Some(true),
        restore_date_time: None,
        billing_mode_override: Some(api::BillingMode::Provisioned),
        provisioned_throughput_override: Some(api::ProvisionedThroughput {
            read_capacity_units: 3,
            write_capacity_units: 4,
        }),
        global_secondary_index_override: Some(vec![]),
        ..outside
    };
    client.call(api::RestoreTableToPointInTime, latest).await.unwrap();
    let restored = described(&client, "never").await;
    assert_eq!(number(&client, "never", "a").await.as_deref(), Some("5"));
    assert_eq!((restored.global_secondary_indexes, restored.billing_mode_summary), (None, None));
    assert_eq!(restored.provisioned_throughput.unwrap().write_capacity_units, Some(4));
    assert_eq!(restored.attribute_definitions.unwrap().len(), 1);
}

#[tokio::test]
async fn the_window_moves_and_what_lies_before_it_is_gone() {
    let (stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    recover(&client, "music", Some(1)).await;
    let start = stack.clock().now();
    put(&client, "music", "a", 1).await;
    stack.clock().advance(secs(2 * 86_400));
    put(&client, "music", "a", 2).await;
    let input = api::DescribeContinuousBackupsInput { table_name: "music".into() };
    let told = client.call(api::DescribeContinuousBackups, input).await.unwrap();
    let told = told.continuous_backups_description.unwrap().point_in_time_recovery_description.unwrap();
    assert_eq!(told.earliest_restorable_date_time, Some(start.plus(secs(86_400))));
    assert_eq!(told.latest_restorable_date_time, Some(start.plus(secs(2 * 86_400))));
    let restore = |at: u64, name: &str| api::RestoreTableToPointInTimeInput {
        source_table_name: Some("music".into()),
        target_table_name: name.into(),
        restore_date_time: Some(start.plus(secs(at))),
        ..Default::default()
    };
    let early = client.call(api::RestoreTableToPointInTime, restore(86_399, "early")).await.unwrap_err();
    assert_eq!(early.code, "InvalidRestoreTimeException");
    client.call(api::RestoreTableToPointInTime, restore(86_400, "then")).await.unwrap();
    assert_eq!(number(&client, "then", "a").await.as_deref(), Some("1"));
    // Expired history is nowhere.
    stack.clock().advance(secs(86_401));
    let held = stack.host("dynamodb").store().read(|snapshot| {
        let scope =
            fractus_store::Scope::regional(&fractus_aws::World::default_world(), &fractus_aws::Region::us_east_1());
        let all = snapshot.keys(
            &fractus_dynamodb::history::VERSIONS,
            &scope,
            fractus_store::Range::all(),
            fractus_store::Order::Ascending,
        )?;
        Ok::<_, fractus_store::StoreError>(all.count())
    });
    assert_eq!(held.await.unwrap(), 0);
    let off = client.call(
        api::RestoreTableToPointInTime,
        api::RestoreTableToPointInTimeInput {
            source_table_name: Some("then".into()),
            target_table_name: "other".into(),
            use_latest_restorable_time: Some(true),
            ..Default::default()
        },
    );
    assert_eq!(off.await.unwrap_err().code, "PointInTimeRecoveryUnavailableException");
}

#[tokio::test]
async fn a_deleted_table_with_recovery_leaves_a_backup_for_35_days() {
    let (stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    recover(&client, "music", None).await;
    put(&client, "music", "a", 7).await;
    client.call(api::DeleteTable, api::DeleteTableInput { table_name: "music".into() }).await.unwrap();
    let list = || async {
        let output = client.call(api::ListBackups, api::ListBackupsInput::default()).await.unwrap();
        output.backup_summaries.unwrap()
    };
    let listed = list().await;
    assert_eq!(listed[0].backup_name.as_deref(), Some("music$DeletedTableBackup"));
    assert_eq!(listed[0].backup_type, Some(api::BackupType::System));
    let arn = listed[0].backup_arn.clone().unwrap();
    client.call(api::RestoreTableFromBackup, restore_input(&arn, "music")).await.unwrap();
    assert_eq!(number(&client, "music", "a").await.as_deref(), Some("7"));
    stack.clock().advance(secs(35 * 86_400));
    assert_eq!(list().await.len(), 0);
    let gone = client.call(api::DescribeBackup, api::DescribeBackupInput { backup_arn: arn }).await.unwrap_err();
    assert_eq!(gone.code, "BackupNotFoundException");
}

/// More than one step takes, and writes meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_copy_is_of_one_moment() {
    let (_stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    for batch in 0..60_u64 {
        let put = |n: u64| api::WriteRequest {
            put_request: Some(api::PutRequest { item: item(&format!("key-{n}"), 1) }),
            delete_request: None,
        };
        let requests = (batch * 25..batch * 25 + 25).map(put).collect();
        let input = api::BatchWriteItemInput {
            request_items: [("music".to_owned(), requests)].into_iter().collect(),
            ..Default::default()
        };
        client.call(api::BatchWriteItem, input).await.unwrap();
    }
    let arn = backup(&client, "music", "first").await;
    for n in (0..1_500).step_by(7) {
        put(&client, "music", &format!("key-{n}"), 2).await;
        delete(&client, "music", &format!("key-{}", n + 1)).await;
        put(&client, "music", &format!("new-{n}"), 3).await;
    }
    wait_for("the backup to be there", || async {
        let description = described_backup(&client, &arn).await;
        (description.backup_details?.backup_status == api::BackupStatus::Available).then_some(())
    })
    .await;
    client.call(api::RestoreTableFromBackup, restore_input(&arn, "again")).await.unwrap();
    wait_for("the table to be there", || async {
        (status(&client, "again").await == api::TableStatus::Active).then_some(())
    })
    .await;
    assert_eq!(count(&client, "again").await, 1_500);
    for n in [0, 1, 7, 8, 1_498, 1_499] {
        assert_eq!(number(&client, "again", &format!("key-{n}")).await.as_deref(), Some("1"), "key-{n}");
    }
    assert_eq!(indexed(&client, "again", 2).await, 0);
}

fn by_n(key: &str, kind: api::ProjectionType) -> api::GlobalSecondaryIndex {
    api::GlobalSecondaryIndex {
        index_name: "by-n".into(),
        key_schema: vec![api::KeySchemaElement { attribute_name: key.into(), key_type: api::KeyType::Hash }],
        projection: api::Projection { projection_type: Some(kind), non_key_attributes: None },
        ..Default::default()
    }
}

#[tokio::test]
async fn a_restore_leaves_indexes_out_and_changes_none() {
    let (_stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    put(&client, "music", "a", 1).await;
    let arn = backup(&client, "music", "first").await;
    let with = |name: &str, index: api::GlobalSecondaryIndex| api::RestoreTableFromBackupInput {
        global_secondary_index_override: Some(vec![index]),
        ..restore_input(&arn, name)
    };
    let unknown = api::GlobalSecondaryIndex { index_name: "by-m".into(), ..by_n("n", api::ProjectionType::All) };
    let units = Some(api::ProvisionedThroughput { read_capacity_units: 1, write_capacity_units: 1 });
    let with_units = api::GlobalSecondaryIndex { provisioned_throughput: units, ..by_n("n", api::ProjectionType::All) };
    for (index, why) in [
        (unknown, "has no index by-m"),
        (by_n("id", api::ProjectionType::All), "another key or projection"),
        (by_n("n", api::ProjectionType::KeysOnly), "another key or projection"),
        (with_units, "ProvisionedThroughput should not be specified for index: by-n"),
    ] {
        let failure = client.call(api::RestoreTableFromBackup, with("never", index)).await.unwrap_err();
        assert_eq!(failure.code, "ValidationException");
        assert!(failure.message.contains(why), "{}", failure.message);
    }
    client.call(api::RestoreTableFromBackup, with("again", by_n("n", api::ProjectionType::All))).await.unwrap();
    assert_eq!(indexed(&client, "again", 1).await, 1);
}

#[tokio::test]
async fn a_restore_may_be_encrypted_and_limited_otherwise() {
    let (_stack, client) = started(Config::default()).await;
    table(&client, "music").await;
    let arn = backup(&client, "music", "first").await;
    let input = api::RestoreTableFromBackupInput {
        sse_specification_override: Some(api::SSESpecification { enabled: Some(true), ..Default::default() }),
        on_demand_throughput_override: Some(api::OnDemandThroughput {
            max_read_request_units: Some(7),
            max_write_request_units: None,
        }),
        ..restore_input(&arn, "sealed")
    };
    client.call(api::RestoreTableFromBackup, input).await.unwrap();
    let sealed = described(&client, "sealed").await;
    assert_eq!(sealed.sse_description.unwrap().sse_type, Some(api::SSEType::Kms));
    assert_eq!(sealed.on_demand_throughput.unwrap().max_read_request_units, Some(7));
    client.call(api::RestoreTableFromBackup, restore_input(&arn, "plain")).await.unwrap();
    let plain = described(&client, "plain").await;
    assert!(plain.sse_description.is_none() && plain.on_demand_throughput.is_none());
}
