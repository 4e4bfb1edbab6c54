"""DynamoDB by boto3: the resource and the client, waiters, paginators, batches, transactions, PartiQL."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from stack import KEYS, REGION, client, endpoint, unique


@pytest.fixture(scope="module")
def resource():
    return boto3.resource("dynamodb", endpoint_url=endpoint(), region_name=REGION, **KEYS)


@pytest.fixture()
def table(resource):
    made = resource.create_table(
        TableName=unique("py"),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in (("pk", "S"), ("sk", "N"), ("kind", "S"))],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {"IndexName": "by-kind", "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}], "Projection": {"ProjectionType": "ALL"}}
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    made.wait_until_exists()
    yield made
    made.delete()
    made.wait_until_not_exists()


def test_values_come_back_as_they_went(table):
    item = {
        "pk": "a", "sk": Decimal("1.50"), "none": None, "yes": True, "bytes": b"\x00\xff", "list": [Decimal(1), "two", {"deep": [True]}],
        "map": {"ü": Decimal("-1E-130")}, "numbers": {Decimal(1), Decimal("2.5")}, "texts": {"x", "y"}, "binary": {b"1", b"2"}, "empty": "",
    }
    table.put_item(Item=item)
    found = table.get_item(Key={"pk": "a", "sk": Decimal("1.5")}, ConsistentRead=True)["Item"]
    assert {**found, "bytes": found["bytes"].value, "binary": {one.value for one in found["binary"]}} == {**item, "sk": Decimal("1.5")}


def test_a_batch_writer_and_pages(table):
    with table.batch_writer() as batch:
        for number in range(230):
            batch.put_item(Item={"pk": f"p{number % 2}", "sk": number, "kind": "even" if number % 4 == 0 else "odd", "rank": number, "fill": "x" * 100})
    pages = table.meta.client.get_paginator("query").paginate(
        TableName=table.name, KeyConditionExpression=Key("pk").eq("p0") & Key("sk").between(10, 100), PaginationConfig={"PageSize": 7}
    )
    assert [int(item["sk"]) for page in pages for item in page["Items"]] == list(range(10, 101, 2))
    found = table.query(IndexName="by-kind", KeyConditionExpression=Key("kind").eq("even"), FilterExpression=Attr("rank").lt(20), ScanIndexForward=False)
    assert [int(item["sk"]) for item in found["Items"]] == [16, 12, 8, 4, 0]
    assert found["ScannedCount"] == 58
    segments = [table.scan(Segment=segment, TotalSegments=3, Select="COUNT")["Count"] for segment in range(3)]
    assert sum(segments) == 230
    table.reload()
    assert table.item_count == 230


def test_what_does_not_hold_is_an_error_of_its_own(table):
    table.put_item(Item={"pk": "a", "sk": 1, "version": 1})
    exceptions = table.meta.client.exceptions
    with pytest.raises(exceptions.ConditionalCheckFailedException) as failed:
        table.update_item(
            Key={"pk": "a", "sk": 1}, UpdateExpression="SET version = :n", ConditionExpression=Attr("version").eq(2),
            ExpressionAttributeValues={":n": 3}, ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert failed.value.response["Item"]["version"] == {"N": "1"}
    with pytest.raises(exceptions.TransactionCanceledException) as cancelled:
        table.meta.client.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": table.name, "Item": {"pk": "b", "sk": 1}}},
                {"ConditionCheck": {"TableName": table.name, "Key": {"pk": "a", "sk": 1}, "ConditionExpression": "version = :n", "ExpressionAttributeValues": {":n": 9}}},
            ]
        )
    assert [reason["Code"] for reason in cancelled.value.response["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
    assert "Item" not in table.get_item(Key={"pk": "b", "sk": 1})
    with pytest.raises(ClientError, match="ValidationException"):
        table.put_item(Item={"pk": "a"})


def test_counters_and_transfers_keep_their_totals(table):
    """Sixty-four clients at once: counters by ADD, and transfers between a hundred accounts."""
    accounts, clients, each = 100, 64, 12
    with table.batch_writer() as batch:
        for number in range(accounts):
            batch.put_item(Item={"pk": f"account-{number}", "sk": 0, "balance": 1_000})

    def work(seed):
        own = client("dynamodb", max_pool_connections=1)
        moved = 0
        for step in range(each):
            own.update_item(TableName=table.name, Key={"pk": {"S": "counter"}, "sk": {"N": "0"}}, UpdateExpression="ADD hits :one", ExpressionAttributeValues={":one": {"N": "1"}})
            one, other = (seed * 7 + step * 13) % accounts, (seed * 11 + step * 17 + 1) % accounts
            if one == other:
                continue
            try:
                own.transact_write_items(
                    TransactItems=[
                        {"Update": {"TableName": table.name, "Key": {"pk": {"S": f"account-{one}"}, "sk": {"N": "0"}}, "UpdateExpression": "SET balance = balance - :n", "ConditionExpression": "balance >= :n", "ExpressionAttributeValues": {":n": {"N": "300"}}}},
                        {"Update": {"TableName": table.name, "Key": {"pk": {"S": f"account-{other}"}, "sk": {"N": "0"}}, "UpdateExpression": "SET balance = balance + :n", "ExpressionAttributeValues": {":n": {"N": "300"}}}},
                    ]
                )
                moved += 1
            except own.exceptions.TransactionCanceledException:
                pass
        own.close()
        return moved

    with ThreadPoolExecutor(clients) as pool:
        moved = sum(pool.map(work, range(clients)))
    assert moved > 0
    assert table.get_item(Key={"pk": "counter", "sk": 0})["Item"]["hits"] == clients * each
    balances = [item["balance"] for item in table.scan(FilterExpression=Attr("balance").exists())["Items"]]
    assert len(balances) == accounts and sum(balances) == accounts * 1_000 and min(balances) >= 0


def test_partiql_in_all_three_ways(table):
    ddb = client("dynamodb")
    ddb.execute_statement(Statement=f'INSERT INTO "{table.name}" VALUE {{\'pk\': ?, \'sk\': ?}}', Parameters=[{"S": "a"}, {"N": "1"}])
    answer = ddb.batch_execute_statement(
        Statements=[{"Statement": f"UPDATE \"{table.name}\" SET n = {n} WHERE pk = 'a' AND sk = {n}"} for n in (1, 2)]
    )
    assert [response.get("Error", {}).get("Code") for response in answer["Responses"]] == [None, "ConditionalCheckFailed"]
    ddb.execute_transaction(
        TransactStatements=[
            {"Statement": f"DELETE FROM \"{table.name}\" WHERE pk = 'a' AND sk = 1"},
            {"Statement": f"INSERT INTO \"{table.name}\" VALUE {{'pk': 'a', 'sk': 2}}"},
        ]
    )
    pages = ddb.execute_statement(Statement=f"SELECT sk FROM \"{table.name}\" WHERE pk = 'a'")
    assert pages["Items"] == [{"sk": {"N": "2"}}]


def test_an_index_that_comes_later(table):
    ddb = client("dynamodb")
    with table.batch_writer() as batch:
        for number in range(50):
            batch.put_item(Item={"pk": "a", "sk": number, "colour": "blue" if number % 5 == 0 else "red"})
    ddb.update_table(
        TableName=table.name,
        AttributeDefinitions=[{"AttributeName": "colour", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": {"IndexName": "by-colour", "KeySchema": [{"AttributeName": "colour", "KeyType": "HASH"}], "Projection": {"ProjectionType": "KEYS_ONLY"}}}],
    )
    ddb.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1})
    assert table.query(IndexName="by-colour", KeyConditionExpression=Key("colour").eq("blue"))["Count"] == 10
