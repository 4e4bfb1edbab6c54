"""DynamoDB on disk, killed while it reads files: each line counts once. And an index of vectors is found as it was."""

import json
import os
import random
import signal
import time

import boto3
import pytest
from botocore.config import Config

from stack import KEYS, REGION, wait_for

LINES = 12_000
VECTORS = 600


def client(service, url):
    return boto3.client(service, endpoint_url=url, region_name=REGION, config=Config(retries={"max_attempts": 8}), **KEYS)


@pytest.fixture
def stack(own_stack, tmp_path):
    return own_stack("--data-dir", str(tmp_path / "data"), "--eager", services=("dynamodb", "s3"))


def kill(stack):
    pid = wait_for(lambda: stack.pid_of("fractus-dynamodb"))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: stack.pid_of("fractus-dynamodb") not in (None, pid))


def files(url, bucket):
    """Three files; every hundredth line names an item that another line has named."""
    s3 = client("s3", url)
    s3.create_bucket(Bucket=bucket)
    for part in range(3):
        lines = []
        for number in range(part * LINES // 3, (part + 1) * LINES // 3):
            pk = f"item-{number - 1 if number % 100 == 99 else number}"
            lines.append(json.dumps({"Item": {"pk": {"S": pk}, "n": {"N": str(number)}, "fill": {"S": "x" * 200}}, "ConditionExpression": "attribute_not_exists(pk)"}))
        s3.put_object(Bucket=bucket, Key=f"in/{part}.json", Body="\n".join(lines).encode())


def make(ddb, table, **options):
    return ddb.create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], **options,
    )["TableDescription"]["TableArn"]


def count(ddb, table):
    pages = ddb.get_paginator("scan").paginate(TableName=table, Select="COUNT", ConsistentRead=True)
    return sum(page["Count"] for page in pages)


def test_a_bulk_operation_goes_on_with_the_next_line_over_kill_9(stack):
    ddb = client("dynamodb", stack.url)
    if not hasattr(ddb, "start_bulk_put_items"):
        pytest.skip("this SDK has no bulk operations")
    make(ddb, "bulk")
    files(stack.url, "files")
    arn = ddb.start_bulk_put_items(
        TableName="bulk", InputS3Configuration={"S3Bucket": "files", "S3KeyPrefix": "in/", "InputFormat": "DYNAMODB_JSON"}, OutputS3Configuration={"OutputType": []}
    )["BulkOperationDescription"]["BulkOperationArn"]
    kills, before = 0, 0
    while kills < 3:
        done = count(ddb, "bulk")
        if done > before + LINES // 8:
            kill(stack)
            kills, before = kills + 1, done
        elif done >= LINES - LINES // 100:
            break
    assert kills >= 1, "it was done before it could be killed"
    told = wait_for(lambda: (own := ddb.describe_bulk_operation(BulkOperationArn=arn)["BulkOperationDescription"])["BulkOperationStatus"] == "COMPLETED" and own, 120)
    # A line that is done again counts again.
    assert (told["ProcessedItemCount"], told["FailedItemCount"]) == (LINES, 0)
    assert told["ProcessedInputBytes"] == told["TotalInputBytes"]
    assert count(ddb, "bulk") == LINES - LINES // 100


def test_an_import_counts_each_line_once_over_kill_9(stack):
    ddb = client("dynamodb", stack.url)
    files(stack.url, "files")
    arn = ddb.import_table(
        S3BucketSource={"S3Bucket": "files", "S3KeyPrefix": "in/"}, InputFormat="DYNAMODB_JSON",
        TableCreationParameters={
            "TableName": "imported", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        },
    )["ImportTableDescription"]["ImportArn"]
    described = lambda: ddb.describe_import(ImportArn=arn)["ImportTableDescription"]
    time.sleep(0.1)
    was_running = described()["ImportStatus"] == "IN_PROGRESS"
    kill(stack)
    told = wait_for(lambda: (own := described())["ImportStatus"] == "COMPLETED" and own, 120)
    assert was_running, "it was done before it could be killed"
    assert (told["ProcessedItemCount"], told["ImportedItemCount"], told.get("ErrorCount", 0)) == (LINES, LINES, 0)
    assert count(ddb, "imported") == LINES - LINES // 100
    assert ddb.get_item(TableName="imported", Key={"pk": {"S": "item-98"}})["Item"]["n"] == {"N": "99"}


def test_an_index_of_vectors_is_the_same_after_kill_9(stack):
    ddb = client("dynamodb", stack.url)
    if not hasattr(ddb, "search_vectors"):
        pytest.skip("this SDK has no vectors")
    index = {
        "IndexName": "near", "VectorAttribute": {"AttributeName": "v"}, "Projection": {"ProjectionType": "KEYS_ONLY"}, "Dimensions": 4, "DistanceFunction": "EUCLIDEAN",
    }
    make(ddb, "vectors", VectorIndexes=[index])
    numbers = random.Random(7)
    vectors = {f"item-{number}": [round(numbers.uniform(-1, 1), 3) for _ in range(4)] for number in range(VECTORS)}
    of = lambda vector: [{"N": str(number)} for number in vector]

    def search(vector):
        found = ddb.search_vectors(TableName="vectors", IndexName="near", SearchVector=of(vector), TopK=10)["SearchResults"]
        return [one["Item"]["pk"]["S"] for one in found]

    def nearest(vector):
        distance = lambda pk: (sum((a - b) ** 2 for a, b in zip(vectors[pk], vector)), pk)
        return sorted(vectors, key=distance)[:10]

    for start, (pk, vector) in enumerate(vectors.items()):
        ddb.put_item(TableName="vectors", Item={"pk": {"S": pk}, "v": {"L": of(vector)}})
        if start == VECTORS // 2:
            kill(stack)
    for pk in [f"item-{number}" for number in range(0, VECTORS, 5)]:
        ddb.delete_item(TableName="vectors", Key={"pk": {"S": pk}})
        del vectors[pk]
    kill(stack)
    for _ in range(20):
        vector = [round(numbers.uniform(-1, 1), 3) for _ in range(4)]
        assert set(search(vector)) == set(nearest(vector))
    described = ddb.describe_table(TableName="vectors")["Table"]["VectorIndexes"][0]
    assert described["ItemCount"] == len(vectors)
