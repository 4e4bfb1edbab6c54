"""DynamoDB on disk, killed under load: transfers keep their total, counters what was added, and what was acknowledged is there with its stream's record."""

import os
import signal
import threading

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stack import KEYS, REGION, wait_for

ACCOUNTS, CLIENTS = 100, 64


def default_client(service, url, **options):
    return boto3.client(service, endpoint_url=url, region_name=REGION, config=Config(**options), **KEYS)


def all_records(url, arn):
    streams, seen = default_client("dynamodbstreams", url), []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while iterator:
            answer = streams.get_records(ShardIterator=iterator)
            seen += answer["Records"]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
    return seen


def test_totals_hold_over_kill_9(own_stack, tmp_path):
    stack = own_stack("--data-dir", str(tmp_path / "data"), "--eager", services=("dynamodb",))
    ddb = default_client("dynamodb", stack.url)
    arn = ddb.create_table(
        TableName="accounts", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )["TableDescription"]["LatestStreamArn"]
    for number in range(ACCOUNTS):
        ddb.put_item(TableName="accounts", Item={"pk": {"S": f"account-{number}"}, "balance": {"N": "1000"}})
    ended, errors, written = threading.Event(), [], [[] for _ in range(CLIENTS)]
    tried, added = [0] * CLIENTS, [0] * CLIENTS

    def load(seed):
        # A client tries again by itself, which is harmless but for what counts: that is asked once, and may have been done unheard.
        own = default_client("dynamodb", stack.url)
        once = default_client("dynamodb", stack.url, retries={"total_max_attempts": 1})
        step = 0
        try:
            while not ended.is_set():
                step += 1
                one, other = (seed * 7 + step * 3) % ACCOUNTS, (seed * 5 + step * 11 + 1) % ACCOUNTS
                if one != other:
                    own.transact_write_items(
                        TransactItems=[
                            {"Update": {"TableName": "accounts", "Key": {"pk": {"S": f"account-{number}"}}, "UpdateExpression": "ADD balance :n", "ExpressionAttributeValues": {":n": {"N": amount}}}}
                            for number, amount in ((one, "-7"), (other, "7"))
                        ]
                    )
                tried[seed] += 1
                try:
                    once.update_item(TableName="accounts", Key={"pk": {"S": "counter"}}, UpdateExpression="ADD hits :one", ExpressionAttributeValues={":one": {"N": "1"}})
                    added[seed] += 1
                except (BotoCoreError, ClientError):
                    pass
                own.put_item(TableName="accounts", Item={"pk": {"S": f"mark-{seed}-{step}"}})
                written[seed].append(f"mark-{seed}-{step}")
        except Exception as error:  # noqa: BLE001: whatever a client sees is what this test is about
            errors.append(error)

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        before = sum(map(len, written))
        wait_for(lambda: errors or sum(map(len, written)) > before + 400)
        pid = wait_for(lambda: stack.pid_of("fractus-dynamodb"))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: stack.pid_of("fractus-dynamodb") not in (None, pid))
    before = sum(map(len, written))
    wait_for(lambda: errors or sum(map(len, written)) > before + 200)
    ended.set()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    items = [item for page in ddb.get_paginator("scan").paginate(TableName="accounts", ConsistentRead=True) for item in page["Items"]]
    counted = next(int(item["hits"]["N"]) for item in items if "hits" in item)
    assert sum(added) <= counted <= sum(tried), (sum(added), counted, sum(tried))
    assert sum(int(item["balance"]["N"]) for item in items if "balance" in item) == ACCOUNTS * 1000
    there = {item["pk"]["S"] for item in items}
    marks = [mark for own in written for mark in own]
    assert len(marks) > 1_000 and there.issuperset(marks)
    assert {record["dynamodb"]["Keys"]["pk"]["S"] for record in all_records(stack.url, arn)} >= set(marks)
    assert ddb.describe_table(TableName="accounts")["Table"]["ItemCount"] == len(items)
