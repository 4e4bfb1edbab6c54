"""Two stacks on one PostgreSQL are replicas: what one does the other one tells, under load, over kill -9, and of copies too."""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from stack import KEYS, REGION, unique, wait_for

ACCOUNTS, CLIENTS = 100, 64
# What a busy store says of a write that others keep crossing: to be tried again.
CONFLICTS = {"TransactionCanceledException", "TransactionConflictException", "TransactionInProgressException", "ServiceUnavailable"}


def binaries():
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [pathlib.Path(folder) for folder in os.environ.get("PATH", "").split(":")]
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """A server of the test's own on a Unix socket; its URL."""
    found = binaries()
    if found is None:
        pytest.skip("no PostgreSQL on this machine")
    folder = pathlib.Path("/tmp") / unique("fractus-pg")
    folder.mkdir()
    as_user = []
    if os.getuid() == 0:  # which PostgreSQL does not run as
        shutil.chown(folder, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    run = lambda *command: [*as_user, *map(str, command)]
    subprocess.run(run(found / "initdb", "-D", folder / "data", "-A", "trust", "-U", "fractus", "--no-sync"), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    server = subprocess.Popen(
        run(found / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"),
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: (folder / ".s.PGSQL.5432").exists())
        ready = lambda: subprocess.run(run(found / "psql", "-h", folder, "-U", "fractus", "-c", "select 1", "postgres"), cwd=folder, capture_output=True).returncode == 0
        wait_for(ready)
        yield f"host={folder} port=5432 user=fractus dbname=postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def at(service, stack, **options):
    return boto3.client(service, endpoint_url=stack.url, region_name=options.pop("region", REGION), config=Config(retries={"max_attempts": 8}, **options), **KEYS)


@pytest.fixture
def replicas(postgres, own_stack, tmp_path, monkeypatch):
    monkeypatch.setenv("FRACTUS_STORE", postgres)
    monkeypatch.setenv("FRACTUS_BLOBS", str(tmp_path / "blobs"))
    return [own_stack("--eager", services=("dynamodb", "s3")) for _ in range(2)]


def everything(ddb, table):
    pages = ddb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return sorted((item for page in pages for item in page["Items"]), key=lambda item: item["pk"]["S"])


def stays(ask):
    """Until it goes well: a killed service is away for a moment, and a conflict passes."""
    end = time.monotonic() + 60
    while True:
        try:
            return ask()
        except ClientError as error:
            if error.response["Error"]["Code"] not in CONFLICTS or time.monotonic() > end:
                raise
            time.sleep(0.02)


def make(ddb, table):
    ddb.create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    for start in range(0, ACCOUNTS, 25):
        puts = [{"PutRequest": {"Item": {"pk": {"S": f"account-{number}"}, "balance": {"N": "1000"}}}} for number in range(start, start + 25)]
        ddb.batch_write_item(RequestItems={table: puts})


def test_replicas_agree_under_load_and_over_kill_9(replicas):
    table = unique("accounts")
    one, other = (at("dynamodb", stack) for stack in replicas)
    make(one, table)
    assert everything(other, table) == everything(one, table)
    ended, errors, moved = threading.Event(), [], [0] * CLIENTS

    def load(seed):
        own, step = at("dynamodb", replicas[seed % 2]), 0
        try:
            while not ended.is_set():
                step += 1
                source, target = (seed * 7 + step * 3) % ACCOUNTS, (seed * 5 + step * 11 + 1) % ACCOUNTS
                if source == target:
                    continue
                # The token makes a transfer that was done unheard harmless to ask for again.
                actions = [
                    {"Update": {"TableName": table, "Key": {"pk": {"S": f"account-{number}"}}, "UpdateExpression": "ADD balance :n", "ExpressionAttributeValues": {":n": {"N": amount}}}}
                    for number, amount in ((source, "-7"), (target, "7"))
                ]
                token = f"{seed}-{step}"
                stays(lambda: own.transact_write_items(TransactItems=actions, ClientRequestToken=token))
                stays(lambda: own.put_item(TableName=table, Item={"pk": {"S": f"mark-{seed}-{step}"}}))
                moved[seed] += 1
        except Exception as error:  # noqa: BLE001: whatever a client sees is what this test is about
            errors.append(error)

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    wait_for(lambda: errors or sum(moved) > 200, 120)
    pid = replicas[0].pid_of("fractus-dynamodb")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: replicas[0].pid_of("fractus-dynamodb") not in (None, pid))
    before = sum(moved)
    wait_for(lambda: errors or sum(moved) > before + 200, 120)
    ended.set()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    items = stays(lambda: everything(one, table))
    assert items == everything(other, table)
    assert sum(int(item["balance"]["N"]) for item in items if "balance" in item) == ACCOUNTS * 1_000
    assert sum("balance" not in item for item in items) >= sum(moved)
    described = [ddb.describe_table(TableName=table)["Table"] for ddb in (one, other)]
    assert described[0] == described[1] and described[0]["ItemCount"] == len(items)
    records = [all_records(stack, described[0]["LatestStreamArn"]) for stack in replicas]
    assert records[0] == records[1] and len(records[0]) >= len(items)


def all_records(stack, arn):
    streams, seen = at("dynamodbstreams", stack), []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while iterator:
            answer = streams.get_records(ShardIterator=iterator)
            seen += [(record["eventName"], record["dynamodb"]["SequenceNumber"], record["dynamodb"].get("NewImage")) for record in answer["Records"]]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
    return seen


def copies_agree(stacks, kill):
    """Backups, moments, files in S3 and replicas in a region: begun at one stack, killed, read at the last one."""
    first, last = stacks[0], stacks[-1]
    table, bucket = unique("accounts"), unique("files")
    ddb, reader = at("dynamodb", first), at("dynamodb", last)
    make(ddb, table)
    whole = everything(ddb, table)
    arn = ddb.describe_table(TableName=table)["Table"]["TableArn"]
    at("s3", first).create_bucket(Bucket=bucket)
    ddb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    backup = ddb.create_backup(TableName=table, BackupName="nightly")["BackupDetails"]["BackupArn"]
    export = ddb.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket)["ExportDescription"]["ExportArn"]
    ddb.update_table(TableName=table, ReplicaUpdates=[{"Create": {"RegionName": "eu-central-1"}}])
    kill(first)
    until(lambda: reader.describe_backup(BackupArn=backup)["BackupDescription"]["BackupDetails"]["BackupStatus"], "AVAILABLE")
    until(lambda: reader.describe_export(ExportArn=export)["ExportDescription"]["ExportStatus"], "COMPLETED")
    assert reader.describe_export(ExportArn=export)["ExportDescription"]["ItemCount"] == len(whole)
    until(lambda: reader.describe_table(TableName=table)["Table"]["Replicas"][0]["ReplicaStatus"], "ACTIVE")
    far = at("dynamodb", last, region="eu-central-1")
    assert everything(far, table) == whole
    restored, moment = unique("restored"), unique("moment")
    reader.restore_table_from_backup(TargetTableName=restored, BackupArn=backup)
    reader.restore_table_to_point_in_time(SourceTableName=table, TargetTableName=moment, UseLatestRestorableTime=True)
    kill(last)
    again = at("dynamodb", first)
    for copy in (restored, moment):
        until(lambda: again.describe_table(TableName=copy)["Table"]["TableStatus"], "ACTIVE")
        assert everything(again, copy) == whole
    stays(lambda: again.put_item(TableName=table, Item={"pk": {"S": "later"}}))
    until(lambda: far.get_item(TableName=table, Key={"pk": {"S": "later"}}).get("Item"), {"pk": {"S": "later"}})


def until(ask, wanted, seconds=90):
    wait_for(lambda: stays(ask) == wanted, seconds, 0.1)


def killed(stack):
    pid = wait_for(lambda: stack.pid_of("fractus-dynamodb"))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: stack.pid_of("fractus-dynamodb") not in (None, pid))


def test_copies_agree_on_postgresql_over_kill_9(replicas):
    copies_agree(replicas, killed)


def test_copies_agree_on_disk_over_kill_9(own_stack, tmp_path):
    copies_agree([own_stack("--data-dir", str(tmp_path / "data"), "--eager", services=("dynamodb", "s3"))], killed)


def test_an_index_of_vectors_is_one_for_both(replicas):
    """Written at both, searched at both: exact, as partitions of this size are."""
    table, numbers = unique("vectors"), random.Random(7)
    one, other = (at("dynamodb", stack) for stack in replicas)
    if not hasattr(one, "search_vectors"):
        pytest.skip("this SDK has no vectors")
    index = {
        "IndexName": "near", "VectorAttribute": {"AttributeName": "v"}, "Projection": {"ProjectionType": "KEYS_ONLY"}, "Dimensions": 3, "DistanceFunction": "EUCLIDEAN",
    }
    one.create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], VectorIndexes=[index],
    )
    any_vector = lambda: [round(numbers.uniform(-1, 1), 3) for _ in range(3)]
    of = lambda vector: [{"N": str(number)} for number in vector]
    vectors = {f"item-{number}": any_vector() for number in range(400)}

    def write(own, items):
        for pk, vector in items:
            stays(lambda: own.put_item(TableName=table, Item={"pk": {"S": pk}, "v": {"L": of(vector)}}))

    halves = [list(vectors.items())[half::2] for half in range(2)]
    threads = [threading.Thread(target=write, args=(own, half)) for own, half in zip((one, other), halves)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for _ in range(10):
        wanted = any_vector()
        nearest = sorted(vectors, key=lambda pk: sum((a - b) ** 2 for a, b in zip(vectors[pk], wanted)))[:10]
        for own in (one, other):
            found = own.search_vectors(TableName=table, IndexName="near", SearchVector=of(wanted), TopK=10)["SearchResults"]
            assert {result["Item"]["pk"]["S"] for result in found} == set(nearest)


def test_strongly_consistent_regions_count_together(replicas):
    """Counters added to in three regions at once, through both stacks: what was acknowledged is in every region, at once."""
    table, regions, each = unique("strong"), (REGION, "us-east-2", "us-west-2"), 40
    first = at("dynamodb", replicas[0])
    first.create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    first.update_table(TableName=table, MultiRegionConsistency="STRONG", ReplicaUpdates=[{"Create": {"RegionName": region}} for region in regions[1:]])
    errors = []

    def add(stack, region):
        # Without the SDK's own repetitions: one that was acknowledged unheard would count twice.
        own = boto3.client("dynamodb", endpoint_url=stack.url, region_name=region, config=Config(retries={"total_max_attempts": 1}), **KEYS)
        try:
            for _ in range(each):
                while True:
                    try:
                        own.update_item(TableName=table, Key={"pk": {"S": "a"}}, UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}})
                        break
                    except own.exceptions.ReplicatedWriteConflictException:
                        time.sleep(random.uniform(0, 0.05))
        except Exception as error:  # noqa: BLE001: whatever a client sees is what this test is about
            errors.append(error)

    threads = [threading.Thread(target=add, args=(stack, region)) for stack in replicas for region in regions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors, errors
    for stack in replicas:
        for region in regions:
            found = at("dynamodb", stack, region=region).get_item(TableName=table, Key={"pk": {"S": "a"}}, ConsistentRead=True)
            assert found["Item"]["n"] == {"N": str(each * len(threads))}
