"""Transactions that take their time: what a client sees that meets one, and that it goes through when it tries again."""

import threading

import boto3
import pytest
from botocore.config import Config

from stack import KEYS, REGION, wait_for


@pytest.fixture
def url(own_stack, monkeypatch):
    monkeypatch.setenv("FRACTUS_TRANSACTION_MS", "700")
    return own_stack("--eager", services=("dynamodb",)).url


def client(url, attempts):
    return boto3.client("dynamodb", endpoint_url=url, region_name=REGION, config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}), **KEYS)


def put(pk, by):
    return {"Put": {"TableName": "table", "Item": {"pk": {"S": pk}, "by": {"S": by}}}}


def test_conflicts_are_told_and_pass(url):
    ddb, patient = client(url, 1), client(url, 10)
    ddb.create_table(
        TableName="table", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}]
    )
    done = []
    first = threading.Thread(target=lambda: done.append(client(url, 1).transact_write_items(TransactItems=[put("a", "first"), put("b", "first")], ClientRequestToken="one")))
    first.start()

    def is_held():
        try:
            ddb.update_item(TableName="table", Key={"pk": {"S": "a"}}, UpdateExpression="SET x = :x", ConditionExpression="attribute_exists(x)", ExpressionAttributeValues={":x": {"S": ""}})
        except ddb.exceptions.TransactionConflictException:
            return True
        except ddb.exceptions.ConditionalCheckFailedException:
            return False

    wait_for(is_held)
    with pytest.raises(ddb.exceptions.TransactionCanceledException) as cancelled:
        ddb.transact_write_items(TransactItems=[put("c", "other"), put("a", "other")])
    assert [reason["Code"] for reason in cancelled.value.response["CancellationReasons"]] == ["None", "TransactionConflict"]
    with pytest.raises(ddb.exceptions.TransactionCanceledException):
        ddb.transact_get_items(TransactItems=[{"Get": {"TableName": "table", "Key": {"pk": {"S": "b"}}}}])
    with pytest.raises(ddb.exceptions.TransactionInProgressException):
        ddb.transact_write_items(TransactItems=[put("a", "first"), put("b", "first")], ClientRequestToken="one")
    # The SDK tries again what is in progress, until the answer of the first holds for it too.
    patient.transact_write_items(TransactItems=[put("a", "first"), put("b", "first")], ClientRequestToken="one")
    first.join(30)
    assert len(done) == 1
    found = ddb.transact_get_items(TransactItems=[{"Get": {"TableName": "table", "Key": {"pk": {"S": pk}}}} for pk in ("a", "b", "c")])["Responses"]
    assert [one.get("Item", {}).get("by", {}).get("S") for one in found] == ["first", "first", None]
