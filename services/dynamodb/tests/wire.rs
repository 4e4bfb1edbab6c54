//! DynamoDB as a caller sees it, over the wire, on a clock that only the test moves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use std::time::Duration;

use fractus_dynamodb_api as api;
use fractus_dynamodb_api::AttributeValue::{N, S, Ss};
use fractus_testkit::{Client, Stack};
use fractus_wire::Failure;

type Item = Vec<(&'static str, api::AttributeValue)>;
type ApiItem = indexmap::IndexMap<String, api::AttributeValue>;

async fn stack_with(config: fractus_dynamodb::Config) -> Stack {
    Stack::new()
        .with("dynamodb", move |host| fractus_dynamodb::start(config.clone(), host))
        .frozen_at("2026-01-01T00:00:00Z")
        .start()
        .await
}

async fn started() -> (Stack, Client) {
    let stack = stack_with(fractus_dynamodb::Config::default()).await;
    let client = stack.client("dynamodb").api(&api::MODEL);
    (stack, client)
}

fn s(text: &str) -> api::AttributeValue {
    S(text.to_owned())
}

fn n(number: impl ToString) -> api::AttributeValue {
    N(number.to_string())
}

fn item(entries: Item) -> ApiItem {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn element(name: &str, key_type: api::KeyType) -> api::KeySchemaElement {
    api::KeySchemaElement { attribute_name: name.into(), key_type }
}

fn key_schema(hash: &str, range: &str) -> Vec<api::KeySchemaElement> {
    vec![element(hash, api::KeyType::Hash), element(range, api::KeyType::Range)]
}

fn table_input(name: &str) -> api::CreateTableInput {
    let definition =
        |name: &str, attribute_type| api::AttributeDefinition { attribute_name: name.into(), attribute_type };
    let projection =
        |kind, names: Option<Vec<String>>| api::Projection { projection_type: Some(kind), non_key_attributes: names };
    api::CreateTableInput {
        table_name: name.into(),
        attribute_definitions: Some(vec![
            definition("pk", api::ScalarAttributeType::S),
            definition("sk", api::ScalarAttributeType::N),
            definition("g", api::ScalarAttributeType::S),
            definition("l", api::ScalarAttributeType::S),
        ]),
        key_schema: Some(key_schema("pk", "sk")),
        global_secondary_indexes: Some(vec![api::GlobalSecondaryIndex {
            index_name: "gsi".into(),
            key_schema: key_schema("g", "sk"),
            projection: projection(api::ProjectionType::Include, Some(vec!["x".into()])),
            ..Default::default()
        }]),
        local_secondary_indexes: Some(vec![api::LocalSecondaryIndex {
            index_name: "lsi".into(),
            key_schema: key_schema("pk", "l"),
            projection: projection(api::ProjectionType::KeysOnly, None),
        }]),
        billing_mode: Some(api::BillingMode::PayPerRequest),
        ..Default::default()
    }
}

async fn table(client: &Client) {
    client.call(api::CreateTable, table_input("tunes")).await.unwrap();
}

async fn put(client: &Client, entries: Item) -> Result<api::PutItemOutput, Failure> {
    let input = api::PutItemInput { table_name: "tunes".into(), item: item(entries), ..Default::default() };
    client.call(api::PutItem, input).await
}

async fn get(client: &Client, pk: &str, sk: u32) -> Option<ApiItem> {
    let key = item(vec![("pk", s(pk)), ("sk", n(sk))]);
    let input = api::GetItemInput { table_name: "tunes".into(), key, ..Default::default() };
    client.call(api::GetItem, input).await.unwrap().item
}

fn values(entries: Item) -> Option<ApiItem> {
    Some(item(entries))
}

#[tokio::test]
async fn items_are_put_got_updated_and_deleted() {
    let (_stack, client) = started().await;
    table(&client).await;
    put(&client, vec![("pk", s("a")), ("sk", n("1.0")), ("count", n(1)), ("tags", Ss(vec!["b".into(), "a".into()]))])
        .await
        .unwrap();
    let found = get(&client, "a", 1).await.unwrap();
    assert_eq!((&found["sk"], &found["tags"]), (&n(1), &Ss(vec!["a".into(), "b".into()])));
    let key = || item(vec![("pk", s("a")), ("sk", n(1))]);
    let update = api::UpdateItemInput {
        table_name: "tunes".into(),
        key: key(),
        update_expression: Some("ADD #c :two SET x = if_not_exists(x, :x)".into()),
        condition_expression: Some("attribute_exists(pk) AND #c < :ten".into()),
        expression_attribute_names: Some([("#c".to_owned(), "count".to_owned())].into_iter().collect()),
        expression_attribute_values: values(vec![(":two", n(2)), (":ten", n(10)), (":x", s("new"))]),
        return_values: Some(api::ReturnValue::UpdatedNew),
        return_consumed_capacity: Some(api::ReturnConsumedCapacity::Total),
        ..Default::default()
    };
    let updated = client.call(api::UpdateItem, update.clone()).await.unwrap();
    assert_eq!(updated.attributes.unwrap(), item(vec![("count", n(3)), ("x", s("new"))]));
    assert_eq!(updated.consumed_capacity.unwrap().capacity_units, Some(1.0));
    let failing = api::UpdateItemInput {
        condition_expression: Some("#c > :ten".into()),
        return_values_on_condition_check_failure: Some(api::ReturnValuesOnConditionCheckFailure::AllOld),
        ..update
    };
    let failure = client.call(api::UpdateItem, failing).await.unwrap_err();
    assert_eq!(
        (failure.code.as_ref(), failure.message.as_str()),
        ("ConditionalCheckFailedException", "The conditional request failed")
    );
    let api::Error::ConditionalCheckFailedException(failed) = api::Error::from(failure) else { panic!("the error") };
    assert_eq!(failed.item.unwrap()["count"], n(3));
    let delete = api::DeleteItemInput {
        table_name: "tunes".into(),
        key: key(),
        return_values: Some(api::ReturnValue::AllOld),
        ..Default::default()
    };
    assert_eq!(client.call(api::DeleteItem, delete).await.unwrap().attributes.unwrap()["count"], n(3));
    assert_eq!(get(&client, "a", 1).await, None);
    let described =
        client.call(api::DescribeTable, api::DescribeTableInput { table_name: "tunes".into() }).await.unwrap();
    assert_eq!(described.table.unwrap().item_count, Some(0));
}

async fn query(client: &Client, input: api::QueryInput) -> api::QueryOutput {
    client.call(api::Query, api::QueryInput { table_name: "tunes".into(), ..input }).await.unwrap()
}

fn of_partition(pk: &str) -> api::QueryInput {
    api::QueryInput {
        key_condition_expression: Some("pk = :pk".into()),
        expression_attribute_values: values(vec![(":pk", s(pk))]),
        ..Default::default()
    }
}

fn sort_keys(items: &Option<Vec<ApiItem>>) -> Vec<&str> {
    items
        .iter()
        .flatten()
        .map(|item| match &item["sk"] {
            N(number) => number.as_str(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn queries_page_in_both_directions_and_filter_after_the_limit() {
    let (_stack, client) = started().await;
    table(&client).await;
    for number in (-3..7).rev() {
        put(&client, vec![("pk", s("p")), ("sk", n(number)), ("even", s(if number % 2 == 0 { "y" } else { "n" }))])
            .await
            .unwrap();
    }
    put(&client, vec![("pk", s("other")), ("sk", n(0))]).await.unwrap();
    let all = query(&client, of_partition("p")).await;
    assert_eq!(sort_keys(&all.items), ["-3", "-2", "-1", "0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(all.last_evaluated_key, None);
    for is_forward in [true, false] {
        let (mut seen, mut start) = (Vec::new(), None);
        loop {
            let page = query(
                &client,
                api::QueryInput {
                    limit: Some(3),
                    scan_index_forward: Some(is_forward),
                    exclusive_start_key: start,
                    ..of_partition("p")
                },
            )
            .await;
            assert!(page.scanned_count.unwrap() <= 3);
            seen.extend(sort_keys(&page.items).iter().map(|key| key.parse::<i32>().unwrap()));
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let mut expected: Vec<i32> = (-3..7).collect();
        if !is_forward {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
    let filtered = query(
        &client,
        api::QueryInput {
            key_condition_expression: Some("pk = :pk AND sk BETWEEN :a AND :b".into()),
            filter_expression: Some("even = :y".into()),
            expression_attribute_values: values(vec![(":pk", s("p")), (":a", n(-1)), (":b", n(4)), (":y", s("y"))]),
            limit: Some(4),
            return_consumed_capacity: Some(api::ReturnConsumedCapacity::Total),
            ..Default::default()
        },
    )
    .await;
    assert_eq!(
        (sort_keys(&filtered.items), filtered.count, filtered.scanned_count),
        (vec!["0", "2"], Some(2), Some(4))
    );
    assert_eq!(filtered.consumed_capacity.unwrap().capacity_units, Some(0.5));
    let counted = query(&client, api::QueryInput { select: Some(api::Select::Count), ..of_partition("p") }).await;
    assert_eq!((counted.count, counted.items), (Some(10), None));
    let outside = client
        .call(
            api::Query,
            api::QueryInput {
                table_name: "tunes".into(),
                exclusive_start_key: Some(item(vec![("pk", s("other")), ("sk", n(0))])),
                ..of_partition("p")
            },
        )
        .await
        .unwrap_err();
    assert_eq!(outside.message, "The provided starting key is outside query boundaries based on provided conditions");
}

#[tokio::test]
async fn indexes_follow_their_items() {
    let (_stack, client) = started().await;
    table(&client).await;
    put(&client, vec![("pk", s("a")), ("sk", n(1)), ("g", s("G")), ("x", s("x1")), ("y", s("hidden"))]).await.unwrap();
    put(&client, vec![("pk", s("b")), ("sk", n(1)), ("g", s("G")), ("l", s("L"))]).await.unwrap();
    put(&client, vec![("pk", s("c")), ("sk", n(1))]).await.unwrap();
    let of_index = |name: &str| api::QueryInput {
        index_name: Some("gsi".into()),
        key_condition_expression: Some("g = :g".into()),
        expression_attribute_values: values(vec![(":g", s(name))]),
        ..Default::default()
    };
    let found = query(&client, of_index("G")).await.items.unwrap();
    assert_eq!(found.len(), 2);
    let first = found.iter().find(|item| item["pk"] == s("a")).unwrap();
    assert_eq!(first.keys().map(String::as_str).collect::<Vec<_>>(), ["g", "pk", "sk", "x"]);
    // Both have the same index key; paging still sees each once.
    let page = query(&client, api::QueryInput { limit: Some(1), ..of_index("G") }).await;
    let next =
        query(&client, api::QueryInput { exclusive_start_key: page.last_evaluated_key.clone(), ..of_index("G") }).await;
    assert_eq!(page.last_evaluated_key.unwrap().len(), 3);
    assert_eq!((page.count, next.count), (Some(1), Some(1)));
    assert_ne!(page.items, next.items);
    put(&client, vec![("pk", s("a")), ("sk", n(1)), ("g", s("H"))]).await.unwrap();
    assert_eq!(
        (query(&client, of_index("G")).await.count, query(&client, of_index("H")).await.count),
        (Some(1), Some(1))
    );
    let local = query(
        &client,
        api::QueryInput {
            index_name: Some("lsi".into()),
            select: Some(api::Select::AllAttributes),
            consistent_read: Some(true),
            ..of_partition("b")
        },
    )
    .await
    .items
    .unwrap();
    assert_eq!(local[0]["g"], s("G"));
    let refused =
        |input: api::QueryInput| client.call(api::Query, api::QueryInput { table_name: "tunes".into(), ..input });
    let messages = [
        (
            refused(api::QueryInput { consistent_read: Some(true), ..of_index("G") }).await,
            "Consistent reads are not supported on global secondary indexes",
        ),
        (
            refused(api::QueryInput { index_name: Some("nope".into()), ..of_index("G") }).await,
            "The table does not have the specified index: nope",
        ),
        (
            refused(api::QueryInput { projection_expression: Some("y, x".into()), ..of_index("G") }).await,
            "One or more parameter values were invalid: Global secondary index gsi does not project [y]",
        ),
    ];
    for (failure, words) in messages {
        assert_eq!(failure.unwrap_err().message, words);
    }
    let wrong = put(&client, vec![("pk", s("z")), ("sk", n(1)), ("g", n(1))]).await.unwrap_err();
    assert_eq!(
        wrong.message,
        "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N IndexName: gsi"
    );
}

#[tokio::test]
async fn scans_share_a_table_and_batches_take_many() {
    let (_stack, client) = started().await;
    table(&client).await;
    let request = |number: i32| api::WriteRequest {
        put_request: Some(api::PutRequest { item: item(vec![("pk", s(&format!("p{number}"))), ("sk", n(number))]) }),
        delete_request: None,
    };
    for from in [0, 25] {
        let requests = (from..from + 25).map(request).collect();
        let input = api::BatchWriteItemInput {
            request_items: [("tunes".to_owned(), requests)].into_iter().collect(),
            return_consumed_capacity: Some(api::ReturnConsumedCapacity::Total),
            ..Default::default()
        };
        let written = client.call(api::BatchWriteItem, input).await.unwrap();
        assert_eq!(written.consumed_capacity.unwrap()[0].capacity_units, Some(25.0));
    }
    let mut seen = Vec::new();
    for segment in 0..4 {
        let input = api::ScanInput {
            table_name: "tunes".into(),
            segment: Some(segment),
            total_segments: Some(4),
            ..Default::default()
        };
        let found = client.call(api::Scan, input).await.unwrap();
        seen.extend(sort_keys(&found.items).iter().map(|key| key.parse::<i32>().unwrap()));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<i32>>());
    let keys = (0..3).map(|number| item(vec![("pk", s(&format!("p{number}"))), ("sk", n(number * number))])).collect();
    let wanted = api::KeysAndAttributes { keys, projection_expression: Some("sk".into()), ..Default::default() };
    let input = api::BatchGetItemInput {
        request_items: [("tunes".to_owned(), wanted)].into_iter().collect(),
        ..Default::default()
    };
    let got = client.call(api::BatchGetItem, input).await.unwrap().responses.unwrap();
    assert_eq!(got["tunes"], [item(vec![("sk", n(0))]), item(vec![("sk", n(1))])]);
    let twice = api::BatchWriteItemInput {
        request_items: [("tunes".to_owned(), vec![request(1), request(1)])].into_iter().collect(),
        ..Default::default()
    };
    let failure = client.call(api::BatchWriteItem, twice).await.unwrap_err();
    assert_eq!(failure.message, "Provided list of item keys contains duplicates");
}

#[tokio::test]
async fn transactions_are_all_or_nothing() {
    let (_stack, client) = started().await;
    table(&client).await;
    put(&client, vec![("pk", s("a")), ("sk", n(1)), ("n", n(10))]).await.unwrap();
    put(&client, vec![("pk", s("b")), ("sk", n(1)), ("n", n(0))]).await.unwrap();
    let change = |pk: &str, by: i32| api::TransactWriteItem {
        update: Some(api::Update {
            table_name: "tunes".into(),
            key: item(vec![("pk", s(pk)), ("sk", n(1))]),
            update_expression: "ADD n :by".into(),
            condition_expression: Some("n >= :least".into()),
            expression_attribute_values: values(vec![(":by", n(by)), (":least", n(-by))]),
            return_values_on_condition_check_failure: Some(api::ReturnValuesOnConditionCheckFailure::AllOld),
            ..Default::default()
        }),
        ..Default::default()
    };
    let transfer = |amount: i32, token: Option<&str>| api::TransactWriteItemsInput {
        transact_items: vec![change("b", amount), change("a", -amount)],
        client_request_token: token.map(str::to_owned),
        return_consumed_capacity: Some(api::ReturnConsumedCapacity::Total),
        ..Default::default()
    };
    let done = client.call(api::TransactWriteItems, transfer(7, Some("once"))).await.unwrap();
    assert_eq!(done.consumed_capacity.unwrap()[0].capacity_units, Some(4.0));
    client.call(api::TransactWriteItems, transfer(7, Some("once"))).await.unwrap();
    assert_eq!((&get(&client, "a", 1).await.unwrap()["n"], &get(&client, "b", 1).await.unwrap()["n"]), (&n(3), &n(7)));
    let other = client.call(api::TransactWriteItems, transfer(1, Some("once"))).await.unwrap_err();
    assert_eq!(other.code, "IdempotentParameterMismatchException");
    let failure = client.call(api::TransactWriteItems, transfer(7, None)).await.unwrap_err();
    assert_eq!(
        failure.message,
        "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]"
    );
    let api::Error::TransactionCanceledException(cancelled) = api::Error::from(failure) else { panic!("the error") };
    let reasons = cancelled.cancellation_reasons.unwrap();
    assert_eq!(reasons[1].item.as_ref().unwrap()["n"], n(3));
    assert_eq!(get(&client, "b", 1).await.unwrap()["n"], n(7));
    let twice =
        api::TransactWriteItemsInput { transact_items: vec![change("a", 0), change("a", 1)], ..Default::default() };
    assert_eq!(
        client.call(api::TransactWriteItems, twice).await.unwrap_err().message,
        "Transaction request cannot include multiple operations on one item"
    );
    let wanted = |pk: &str| api::TransactGetItem {
        get: api::Get {
            table_name: "tunes".into(),
            key: item(vec![("pk", s(pk)), ("sk", n(1))]),
            ..Default::default()
        },
    };
    let input = api::TransactGetItemsInput { transact_items: vec![wanted("a"), wanted("gone")], ..Default::default() };
    let got = client.call(api::TransactGetItems, input).await.unwrap().responses.unwrap();
    assert_eq!((&got[0].item.as_ref().unwrap()["n"], &got[1].item), (&n(3), &None));
}

#[tokio::test]
async fn statements_read_and_write() {
    let (_stack, client) = started().await;
    table(&client).await;
    let run = |text: &str, parameters: Vec<api::AttributeValue>| {
        let parameters = (!parameters.is_empty()).then_some(parameters);
        client.call(
            api::ExecuteStatement,
            api::ExecuteStatementInput { statement: text.into(), parameters, ..Default::default() },
        )
    };
    for number in 1..6 {
        let text = format!("INSERT INTO tunes VALUE {{'pk': ?, 'sk': {number}, 'g': 'G'}}");
        assert_eq!(run(&text, vec![s("a")]).await.unwrap().items, Some(vec![]));
    }
    let again = run("INSERT INTO tunes VALUE {'pk': 'a', 'sk': 1}", vec![]).await.unwrap_err();
    assert_eq!(
        (again.code.as_ref(), again.message.as_str()),
        ("DuplicateItemException", "Duplicate primary key exists in table")
    );
    let updated = run("UPDATE tunes SET n = 1 WHERE pk = 'a' AND sk = 2 AND g = 'G' RETURNING MODIFIED NEW *", vec![])
        .await
        .unwrap();
    assert_eq!(updated.items, Some(vec![item(vec![("n", n(1))])]));
    for refused in
        ["UPDATE tunes SET n = 1 WHERE pk = 'gone' AND sk = 2", "DELETE FROM tunes WHERE pk = 'a' AND sk = 2 AND n = 7"]
    {
        assert_eq!(run(refused, vec![]).await.unwrap_err().code, "ConditionalCheckFailedException");
    }
    run("DELETE FROM tunes WHERE pk = 'a' AND sk = 5", vec![]).await.unwrap();
    run("DELETE FROM tunes WHERE pk = 'a' AND sk = 5", vec![]).await.unwrap();
    let found = run("SELECT sk FROM tunes WHERE pk = 'a' AND sk > 1 ORDER BY sk DESC", vec![]).await.unwrap();
    assert_eq!(sort_keys(&found.items), ["4", "3", "2"]);
    let (mut seen, mut next_token) = (Vec::new(), None);
    loop {
        let input = api::ExecuteStatementInput {
            statement: "SELECT * FROM tunes.gsi WHERE g IN ['F', 'G']".into(),
            limit: Some(3),
            next_token,
            ..Default::default()
        };
        let page = client.call(api::ExecuteStatement, input).await.unwrap();
        seen.extend(sort_keys(&page.items).iter().map(|key| (*key).to_owned()));
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["1", "2", "3", "4"]);
    assert_eq!(
        run("UPDATE tunes SET n = 1 WHERE pk = 'a'", vec![]).await.unwrap_err().message,
        "Where clause does not contain a mandatory equality on all key attributes"
    );
    assert_eq!(
        run("SELECT * FROM tunes.nope", vec![]).await.unwrap_err().message,
        "The table does not have the specified index"
    );
}

#[tokio::test]
async fn requests_are_refused_in_aws_s_words() {
    let (_stack, client) = started().await;
    table(&client).await;
    let put_with = |condition: &str| api::PutItemInput {
        table_name: "tunes".into(),
        item: item(vec![("pk", s("a")), ("sk", n(1))]),
        condition_expression: Some(condition.into()),
        ..Default::default()
    };
    let failure = client.call(api::PutItem, put_with("a = = b")).await.unwrap_err();
    assert_eq!((failure.code.as_ref(), failure.status), ("ValidationException", 400));
    assert_eq!(
        failure.message,
        "1 validation error detected: Invalid ConditionExpression: Syntax error; token: \"=\", near: \"= = b\""
    );
    let failure = client
        .call(
            api::PutItem,
            api::PutItemInput {
                expression_attribute_values: values(vec![(":unused", n(1))]),
                ..put_with("attribute_not_exists(pk)")
            },
        )
        .await
        .unwrap_err();
    assert_eq!(
        failure.message,
        "1 validation error detected: Value provided in ExpressionAttributeValues unused in expressions: keys: {:unused}"
    );
    let failure = put(&client, vec![("pk", s("a"))]).await.unwrap_err();
    assert_eq!(failure.message, "One or more parameter values were invalid: Missing the key sk in the item");
    let failure = client
        .call(
            api::GetItem,
            api::GetItemInput {
                table_name: "tunes".into(),
                key: item(vec![("pk", n("abc")), ("sk", n(1))]),
                ..Default::default()
            },
        )
        .await
        .unwrap_err();
    assert_eq!(failure.message, "The parameter cannot be converted to a numeric value: abc");
    let failure =
        client.call(api::Query, api::QueryInput { table_name: "gone".into(), ..of_partition("p") }).await.unwrap_err();
    assert_eq!(
        (failure.code.as_ref(), failure.message.as_str()),
        ("ResourceNotFoundException", "Requested resource not found")
    );
    let mixed = api::QueryInput {
        table_name: "tunes".into(),
        query_filter: Some(indexmap::IndexMap::new()),
        ..of_partition("p")
    };
    assert_eq!(
        client.call(api::Query, mixed).await.unwrap_err().message,
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {QueryFilter} Expression parameters: {KeyConditionExpression}"
    );
}

#[tokio::test]
async fn tables_live_by_the_clock() {
    let stack = stack_with(fractus_dynamodb::Config { table_transition_secs: 30, ..Default::default() }).await;
    let client = stack.client("dynamodb").api(&api::MODEL);
    let described = || async {
        let found = client.call(api::DescribeTable, api::DescribeTableInput { table_name: "tunes".into() }).await;
        found.map(|found| found.table.unwrap().table_status.unwrap()).map_err(|failure| failure.message)
    };
    table(&client).await;
    assert_eq!(described().await, Ok(api::TableStatus::Creating));
    assert_eq!(
        put(&client, vec![("pk", s("a")), ("sk", n(1))]).await.unwrap_err().message,
        "Requested resource not found"
    );
    let again = client.call(api::CreateTable, table_input("tunes")).await.unwrap_err();
    assert_eq!(
        (again.code.as_ref(), again.message.as_str()),
        ("ResourceInUseException", "Table already exists: tunes")
    );
    stack.clock().advance(Duration::from_secs(30));
    assert_eq!(described().await, Ok(api::TableStatus::Active));
    put(&client, vec![("pk", s("a")), ("sk", n(1))]).await.unwrap();
    client.call(api::DeleteTable, api::DeleteTableInput { table_name: "tunes".into() }).await.unwrap();
    assert_eq!(described().await, Ok(api::TableStatus::Deleting));
    stack.clock().advance(Duration::from_secs(30));
    assert_eq!(described().await, Err("Requested resource not found: Table: tunes not found".to_owned()));
    table(&client).await;
    stack.clock().advance(Duration::from_secs(30));
    assert_eq!(get(&client, "a", 1).await, None);
    let names = client.call(api::ListTables, api::ListTablesInput::default()).await.unwrap().table_names.unwrap();
    assert_eq!(names, ["tunes"]);
}
