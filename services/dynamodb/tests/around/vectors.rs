//! Indexes of vectors and searches of them.

use fractus_dynamodb::Config;
use fractus_dynamodb_api as api;
use fractus_dynamodb_api::AttributeValue::L;
use fractus_testkit::Client;

use super::*;

fn vector(numbers: &[f32]) -> Vec<api::AttributeValue> {
    numbers.iter().map(|number| N(number.to_string())).collect()
}

fn index(partition: bool) -> api::VectorIndex {
    let element = |name: &str, kind: api::SearchSchemaElementType| api::SearchSchemaElement {
        attribute_name: name.into(),
        search_schema_element_type: kind,
    };
    let schema = vec![
        element("genre", api::SearchSchemaElementType::Hash),
        element("made", api::SearchSchemaElementType::InlineFilter),
    ];
    api::VectorIndex {
        index_name: "sounds".into(),
        vector_attribute: api::VectorAttributeDefinition { attribute_name: "sound".into() },
        search_schema: partition.then_some(schema),
        projection: api::Projection { projection_type: Some(api::ProjectionType::All), ..Default::default() },
        dimensions: 2,
        distance_function: api::VectorDistanceFunction::Euclidean,
    }
}

fn table_with(index: api::VectorIndex) -> api::CreateTableInput {
    let mut definitions = vec![definition("pk", api::ScalarAttributeType::S)];
    if index.search_schema.is_some() {
        definitions.push(definition("genre", api::ScalarAttributeType::S));
        definitions.push(definition("made", api::ScalarAttributeType::N));
    }
    api::CreateTableInput {
        attribute_definitions: Some(definitions),
        global_secondary_indexes: None,
        vector_indexes: Some(vec![index]),
        ..table_input("music")
    }
}

async fn put_sound(client: &Client, pk: &str, genre: Option<&str>, made: u64, sound: &[f32]) {
    let mut item: ApiItem =
        [("pk".to_owned(), S(pk.into())), ("sound".to_owned(), L(vector(sound)))].into_iter().collect();
    item.extend(genre.map(|genre| ("genre".to_owned(), S(genre.into()))));
    item.insert("made".into(), N(made.to_string()));
    let input = api::PutItemInput { table_name: "music".into(), item, ..Default::default() };
    client.call(api::PutItem, input).await.unwrap();
}

fn search(sound: &[f32], condition: Option<&str>) -> api::SearchVectorsInput {
    let values = [(":g", S("jazz".into())), (":y", N("1960".into()))];
    let used = values.into_iter().filter(|(name, _)| condition.is_some_and(|text| text.contains(name)));
    let values: ApiItem = used.map(|(name, value)| (name.to_owned(), value)).collect();
    api::SearchVectorsInput {
        table_name: "music".into(),
        index_name: "sounds".into(),
        search_vector: vector(sound),
        top_k: 10,
        search_condition_expression: condition.map(str::to_owned),
        expression_attribute_values: (!values.is_empty()).then_some(values),
        ..Default::default()
    }
}

async fn found(client: &Client, input: api::SearchVectorsInput) -> Vec<String> {
    let results = client.call(api::SearchVectors, input).await.unwrap().search_results.unwrap();
    let pk = |result: api::SearchResultItem| match &result.item.unwrap()["pk"] {
        S(pk) => pk.clone(),
        _ => String::new(),
    };
    results.into_iter().map(pk).collect()
}

#[tokio::test]
async fn a_partition_is_searched_with_its_filters() {
    for (_stack, client) in on_both(Config::default()).await {
        client.call(api::CreateTable, table_with(index(true))).await.unwrap();
        put_sound(&client, "a", Some("jazz"), 1959, &[0.0, 1.0]).await;
        put_sound(&client, "b", Some("jazz"), 1965, &[0.0, 3.0]).await;
        put_sound(&client, "c", Some("jazz"), 1970, &[0.0, 2.0]).await;
        put_sound(&client, "d", Some("rock"), 1970, &[0.0, 0.0]).await;
        put_sound(&client, "e", None, 1970, &[0.0, 0.0]).await;
        let origin = [0.0, 0.0];
        assert_eq!(found(&client, search(&origin, Some("genre = :g"))).await, ["a", "c", "b"]);
        assert_eq!(found(&client, search(&origin, Some("genre = :g AND made > :y"))).await, ["c", "b"]);
        assert_eq!(found(&client, search(&origin, Some("genre = :g AND NOT made > :y"))).await, ["a"]);
        let without = client.call(api::SearchVectors, search(&origin, None)).await.unwrap_err();
        assert_eq!(without.message, "SearchConditionExpression must be provided when SearchSchema has a HASH key");
        let with_more = api::SearchVectorsInput { top_k: 101, ..search(&origin, Some("genre = :g")) };
        let with_more = client.call(api::SearchVectors, with_more).await.unwrap_err();
        assert_eq!(
            with_more.message,
            "Provided TopK value '101' is out of valid range. The value must be between 1 and 100 inclusive"
        );
        let query = api::QueryInput {
            table_name: "music".into(),
            index_name: Some("sounds".into()),
            key_condition_expression: Some("genre = :g".into()),
            expression_attribute_values: Some([(":g".to_owned(), S("jazz".into()))].into_iter().collect()),
            ..Default::default()
        };
        let query = client.call(api::Query, query).await.unwrap_err();
        assert_eq!(query.message, "Query operation not supported on this index type.");
        // Taking the partition away takes the item out of the index, and says nothing.
        put_sound(&client, "a", None, 1959, &[0.0, 1.0]).await;
        delete(&client, "music", "c").await;
        assert_eq!(found(&client, search(&origin, Some("genre = :g"))).await, ["b"]);
        let description = described(&client, "music").await.vector_indexes.unwrap().remove(0);
        assert_eq!((description.item_count, description.dimensions), (Some(2), Some(2)));
        assert_eq!(description.index_status, Some(api::IndexStatus::Active));
        let scan =
            client.call(api::Scan, api::ScanInput { table_name: "music".into(), ..Default::default() }).await.unwrap();
        assert_eq!(scan.count, Some(4));
    }
}

#[tokio::test]
async fn writes_are_charged_for_the_index_and_refused_for_what_is_no_vector() {
    let (_stack, client) = started(Config::default()).await;
    client.call(api::CreateTable, table_with(index(true))).await.unwrap();
    let write = |sound: api::AttributeValue, genre: api::AttributeValue| {
        let item = [("pk", S("a".into())), ("sound", sound), ("genre", genre)];
        let input = api::PutItemInput {
            table_name: "music".into(),
            item: item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            return_consumed_capacity: Some(api::ReturnConsumedCapacity::Indexes),
            ..Default::default()
        };
        let client = client.clone();
        async move { client.call(api::PutItem, input).await }
    };
    let jazz = || S("jazz".into());
    let consumed = write(L(vector(&[1.0, 2.0])), jazz()).await.unwrap().consumed_capacity.unwrap();
    assert_eq!(consumed.vector_indexes.unwrap()["sounds"].vector_write_request_bytes, Some(1_024.0));
    assert_eq!(consumed.table.unwrap().capacity_units, Some(1.0));
    let same = write(L(vector(&[1.0, 2.0])), jazz()).await.unwrap().consumed_capacity.unwrap();
    assert_eq!(same.vector_indexes, None, "nothing of the index has changed");
    for (sound, genre, words) in [
        (L(vector(&[1.0])), jazz(), "Invalid size for parameter sound, Expected: 2, Actual: 1"),
        (S("1,2".into()), jazz(), "Invalid type for parameter sound"),
        (L(vec![N("1".into()), S("2".into())]), jazz(), "Invalid type for parameter sound[1]"),
        (L(vector(&[1.0, 2.0])), N("1".into()), "Type mismatch for Index Key genre"),
        (L(vector(&[1.0, 2.0])), S(String::new()), "cannot contain an empty string value"),
    ] {
        let refused = write(sound, genre).await.unwrap_err();
        assert_eq!(refused.code, "ValidationException");
        assert!(refused.message.contains(words), "{}", refused.message);
    }
    assert_eq!(found(&client, search(&[0.0, 0.0], Some("genre = :g"))).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_comes_later_is_filled_by_the_clock() {
    for (stack, client) in on_both(Config { table_transition_secs: 10, ..Config::default() }).await {
        table(&client, "music").await;
        stack.clock().advance(secs(10));
        for n in 0..1_200_u16 {
            put_sound(&client, &format!("key-{n}"), None, 1, &[f32::from(n), 0.0]).await;
        }
        let wanted = index(false);
        let create = api::CreateVectorIndexAction {
            index_name: wanted.index_name,
            vector_attribute: wanted.vector_attribute,
            search_schema: None,
            projection: wanted.projection,
            dimensions: wanted.dimensions,
            distance_function: wanted.distance_function,
        };
        let update = |create, delete| api::UpdateTableInput {
            table_name: "music".into(),
            vector_index_updates: Some(vec![api::VectorIndexUpdate { create, delete }]),
            ..Default::default()
        };
        let updated =
            client.call(api::UpdateTable, update(Some(create), None)).await.unwrap().table_description.unwrap();
        assert_eq!(updated.vector_indexes.unwrap()[0].index_status, Some(api::IndexStatus::Creating));
        let early = client.call(api::SearchVectors, search(&[600.2, 0.0], None)).await.unwrap_err();
        assert_eq!(early.message, "Cannot search backfilling vector index: sounds");
        put_sound(&client, "between", None, 1, &[600.3, 0.0]).await;
        delete(&client, "music", "key-601").await;
        stack.clock().advance(secs(10));
        let status = || async {
            let described = described(&client, "music").await.vector_indexes.unwrap().remove(0);
            (described.index_status == Some(api::IndexStatus::Active)).then_some(described)
        };
        let description = fractus_testkit::wait_for("the index to be filled", status).await;
        assert_eq!((description.item_count, description.backfilling), (Some(1_200), None));
        let input = api::SearchVectorsInput { top_k: 3, ..search(&[600.2, 0.0], None) };
        assert_eq!(found(&client, input).await, ["between", "key-600", "key-599"]);
        let provisioned = api::UpdateTableInput {
            table_name: "music".into(),
            billing_mode: Some(api::BillingMode::Provisioned),
            provisioned_throughput: Some(api::ProvisionedThroughput {
                read_capacity_units: 1,
                write_capacity_units: 1,
            }),
            ..Default::default()
        };
        assert_eq!(client.call(api::UpdateTable, provisioned).await.unwrap_err().code, "ValidationException");
        let delete = api::DeleteVectorIndexAction { index_name: "sounds".into() };
        client.call(api::UpdateTable, update(None, Some(delete))).await.unwrap();
        stack.clock().advance(secs(10));
        let gone = client.call(api::SearchVectors, search(&[600.2, 0.0], None)).await.unwrap_err();
        assert_eq!(gone.message, "The table does not have the specified index: sounds");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_table_has_its_vectors_in_their_index() {
    for (_stack, client) in on_both(Config::default()).await {
        client.call(api::CreateTable, table_with(index(true))).await.unwrap();
        put_sound(&client, "a", Some("jazz"), 1959, &[0.0, 1.0]).await;
        let backup = api::CreateBackupInput { table_name: "music".into(), backup_name: "kept".into() };
        let backup = client.call(api::CreateBackup, backup).await.unwrap().backup_details.unwrap().backup_arn;
        let input = api::DescribeBackupInput { backup_arn: backup.clone() };
        let told = client.call(api::DescribeBackup, input).await.unwrap().backup_description.unwrap();
        assert_eq!(told.source_table_feature_details.unwrap().vector_indexes.unwrap()[0].dimensions, Some(2));
        let restore = api::RestoreTableFromBackupInput {
            target_table_name: "again".into(),
            backup_arn: backup.clone(),
            ..Default::default()
        };
        client.call(api::RestoreTableFromBackup, restore.clone()).await.unwrap();
        let input = api::SearchVectorsInput { table_name: "again".into(), ..search(&[0.0, 0.0], Some("genre = :g")) };
        assert_eq!(found(&client, input).await, ["a"]);
        let without = api::RestoreTableFromBackupInput {
            target_table_name: "without".into(),
            vector_index_override: Some(Vec::new()),
            ..restore
        };
        client.call(api::RestoreTableFromBackup, without).await.unwrap();
        assert_eq!(described(&client, "without").await.vector_indexes, None);
    }
}

#[tokio::test]
async fn a_definition_that_cannot_be_is_refused() {
    let (_stack, client) = started(Config::default()).await;
    let refused = |input: api::CreateTableInput| {
        let client = client.clone();
        async move { client.call(api::CreateTable, input).await.unwrap_err().message }
    };
    let undefined = api::CreateTableInput {
        attribute_definitions: Some(vec![definition("pk", api::ScalarAttributeType::S)]),
        ..table_with(index(true))
    };
    assert_eq!(
        refused(undefined).await,
        "One or more parameter values were invalid: One element in SearchSchema is not defined in attribute definitions"
    );
    let many = (0..6).map(|n| api::VectorIndex { index_name: format!("index-{n}"), ..index(false) }).collect();
    let many = api::CreateTableInput { vector_indexes: Some(many), ..table_with(index(false)) };
    assert_eq!(
        refused(many).await,
        "One or more parameter values were invalid: VectorIndex count exceeds the per-table limit of 5"
    );
    let provisioned = api::CreateTableInput {
        billing_mode: None,
        provisioned_throughput: Some(api::ProvisionedThroughput { read_capacity_units: 1, write_capacity_units: 1 }),
        ..table_with(index(false))
    };
    assert!(refused(provisioned).await.contains("PAY_PER_REQUEST"));
    let large = api::VectorIndex { dimensions: 4_097, ..index(false) };
    assert!(refused(table_with(large)).await.contains("Dimensions"));
    let of_key = api::VectorAttributeDefinition { attribute_name: "pk".into() };
    assert!(
        refused(table_with(api::VectorIndex { vector_attribute: of_key, ..index(false) }))
            .await
            .contains("key attribute")
    );
}
