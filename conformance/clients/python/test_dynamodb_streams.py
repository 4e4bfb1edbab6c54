"""A consumer as the Kinesis Client Library's adapter is one: shards by lineage, a parent to its end before its children, a checkpoint
for each shard, and nothing lost or told twice."""

import pytest

from botocore.exceptions import ClientError

from stack import admin, client, unique


@pytest.fixture()
def streamed():
    ddb = client("dynamodb")
    name = unique("streamed")
    made = ddb.create_table(
        TableName=name, AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    ddb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    yield ddb, name, made["TableDescription"]["LatestStreamArn"]
    ddb.delete_table(TableName=name)


class Consumer:
    """Keeps a checkpoint for each shard, as a lease table would."""

    def __init__(self, arn, **options):
        self.streams, self.arn, self.checkpoints, self.ended, self.seen = client("dynamodbstreams", **options), arn, {}, set(), []

    def shards(self):
        found, start = [], {}
        while True:
            page = self.streams.describe_stream(StreamArn=self.arn, Limit=1, **start)["StreamDescription"]
            found += page["Shards"]
            if "LastEvaluatedShardId" not in page:
                return found
            start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}

    def poll(self, limit=3):
        shards = self.shards()
        known = {shard["ShardId"] for shard in shards}
        for shard in shards:
            name, parent = shard["ShardId"], shard.get("ParentShardId")
            if name in self.ended or (parent in known and parent not in self.ended):
                continue
            at = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": self.checkpoints[name]} if name in self.checkpoints else {"ShardIteratorType": "TRIM_HORIZON"}
            iterator = self.streams.get_shard_iterator(StreamArn=self.arn, ShardId=name, **at)["ShardIterator"]
            while iterator:
                answer = self.streams.get_records(ShardIterator=iterator, Limit=limit)
                for record in answer["Records"]:
                    self.seen.append(record)
                    self.checkpoints[name] = record["dynamodb"]["SequenceNumber"]
                iterator = answer.get("NextShardIterator")
                if not answer["Records"] and iterator:
                    break
            if not iterator:
                self.ended.add(name)


def test_nothing_is_lost_or_told_twice(streamed):
    ddb, table, arn = streamed
    consumer = Consumer(arn)
    for number in range(10):
        ddb.put_item(TableName=table, Item={"pk": {"S": "a"}, "n": {"N": str(number)}})
    consumer.poll()
    for number in range(10, 20):
        ddb.put_item(TableName=table, Item={"pk": {"S": "a"}, "n": {"N": str(number)}})
    consumer.poll()
    assert [int(record["dynamodb"]["NewImage"]["n"]["N"]) for record in consumer.seen] == list(range(20))
    assert len({record["eventID"] for record in consumer.seen}) == 20
    ddb.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    consumer.poll()
    assert len(consumer.seen) == 20 and len(consumer.ended) == len(consumer.shards())


def test_a_change_is_told_with_both_images(streamed):
    ddb, table, arn = streamed
    ddb.put_item(TableName=table, Item={"pk": {"S": "a"}, "n": {"N": "1"}})
    ddb.update_item(TableName=table, Key={"pk": {"S": "a"}}, UpdateExpression="SET n = n + :one", ExpressionAttributeValues={":one": {"N": "1"}})
    ddb.delete_item(TableName=table, Key={"pk": {"S": "a"}})
    consumer = Consumer(arn)
    consumer.poll()
    insert, modify, remove = consumer.seen
    assert [record["eventName"] for record in consumer.seen] == ["INSERT", "MODIFY", "REMOVE"]
    assert modify["dynamodb"]["OldImage"]["n"] == {"N": "1"} and modify["dynamodb"]["NewImage"]["n"] == {"N": "2"}
    assert "OldImage" not in insert["dynamodb"] and "NewImage" not in remove["dynamodb"]


def test_shards_follow_each_other_by_the_clock():
    """A shard closes after four hours: a consumer that comes and goes reads parents before children, and what is a day old is gone."""
    lane, table = unique("lane"), unique("streamed")
    ddb = client("dynamodb", lane=lane)
    passes = lambda seconds: admin("/_fractus/clock", {"lane": lane, "action": "advance", "seconds": seconds})
    assert admin("/_fractus/clock", {"lane": lane, "action": "freeze"})[0] == 200
    arn = ddb.create_table(
        TableName=table, AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]["LatestStreamArn"]
    consumer, number = Consumer(arn, lane=lane), 0
    for generation in range(4):
        for _ in range(6):
            ddb.put_item(TableName=table, Item={"pk": {"S": f"item-{number % 3}"}, "n": {"N": str(number)}})
            number += 1
        if generation % 2:
            consumer.poll()
        assert passes(4 * 3_600 + 60)[0] == 200
    consumer.poll()
    assert [int(record["dynamodb"]["NewImage"]["n"]["N"]) for record in consumer.seen] == list(range(24))
    shards = consumer.shards()
    assert [shard.get("ParentShardId") for shard in shards] == [None, *(shard["ShardId"] for shard in shards[:-1])] and len(shards) == 4
    assert all("EndingSequenceNumber" in shard["SequenceNumberRange"] for shard in shards[:-1])
    # A day later only what came since is there; one that had stopped at what is gone is told so.
    first = consumer.seen[0]["dynamodb"]["SequenceNumber"]
    assert passes(12 * 3_600)[0] == 200
    ddb.put_item(TableName=table, Item={"pk": {"S": "late"}, "n": {"N": str(number)}})
    with pytest.raises(ClientError) as trimmed:
        consumer.streams.get_shard_iterator(StreamArn=arn, ShardId=shards[0]["ShardId"], ShardIteratorType="AT_SEQUENCE_NUMBER", SequenceNumber=first)
    assert trimmed.value.response["Error"]["Code"] in ("TrimmedDataAccessException", "ResourceNotFoundException")
    fresh = Consumer(arn, lane=lane)
    fresh.poll()
    assert [int(record["dynamodb"]["NewImage"]["n"]["N"]) for record in fresh.seen][-1] == 24
    assert 0 not in [int(record["dynamodb"]["NewImage"]["n"]["N"]) for record in fresh.seen]
    assert admin(f"/_fractus/clock?lane={lane}", {"action": "reset", "lane": lane})[0] == 200
