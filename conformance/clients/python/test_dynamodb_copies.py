"""DynamoDB by boto3: backups, point-in-time recovery, files in S3, replicas, policies."""

import gzip
import json
import time

import pytest
from botocore.exceptions import ClientError

from stack import client, unique


@pytest.fixture(scope="module")
def dynamodb():
    return client("dynamodb")


def until(ask, wanted, seconds=60):
    end = time.monotonic() + seconds
    while True:
        found = ask()
        if wanted(found):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.1)


@pytest.fixture()
def table(dynamodb):
    name = unique("py")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    for number in range(30):
        dynamodb.put_item(TableName=name, Item={"pk": {"S": f"key-{number}"}, "n": {"N": str(number)}})
    return name


def value(dynamodb, table, pk):
    return dynamodb.get_item(TableName=table, Key={"pk": {"S": pk}}).get("Item", {}).get("n", {}).get("N")


def test_a_backup_becomes_a_table(dynamodb, table):
    arn = dynamodb.create_backup(TableName=table, BackupName="nightly")["BackupDetails"]["BackupArn"]
    dynamodb.delete_item(TableName=table, Key={"pk": {"S": "key-7"}})
    until(lambda: dynamodb.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"], lambda status: status == "AVAILABLE")
    pages = dynamodb.get_paginator("list_backups").paginate(TableName=table)
    assert [own["BackupArn"] for page in pages for own in page["BackupSummaries"]] == [arn]
    copy = unique("copy")
    dynamodb.restore_table_from_backup(TargetTableName=copy, BackupArn=arn)
    dynamodb.get_waiter("table_exists").wait(TableName=copy)
    assert value(dynamodb, copy, "key-7") == "7" and value(dynamodb, table, "key-7") is None
    dynamodb.delete_backup(BackupArn=arn)
    with pytest.raises(dynamodb.exceptions.BackupNotFoundException):
        dynamodb.describe_backup(BackupArn=arn)


def test_a_table_goes_to_s3_and_comes_back(dynamodb, table):
    s3, bucket = client("s3"), unique("files")
    s3.create_bucket(Bucket=bucket)
    with pytest.raises(dynamodb.exceptions.PointInTimeRecoveryUnavailableException):
        dynamodb.export_table_to_point_in_time(TableArn=dynamodb.describe_table(TableName=table)["Table"]["TableArn"], S3Bucket=bucket)
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    export = dynamodb.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket, S3Prefix="out")["ExportDescription"]["ExportArn"]
    dynamodb.get_waiter("export_completed").wait(ExportArn=export, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    described = dynamodb.describe_export(ExportArn=export)["ExportDescription"]
    summary = json.loads(s3.get_object(Bucket=bucket, Key=described["ExportManifest"])["Body"].read())
    files = s3.get_object(Bucket=bucket, Key=summary["manifestFilesS3Key"])["Body"].read().decode().splitlines()
    items = []
    for line in map(json.loads, files):
        body = gzip.decompress(s3.get_object(Bucket=bucket, Key=line["dataFileS3Key"])["Body"].read()).decode()
        items += [json.loads(item)["Item"] for item in body.splitlines()]
    assert len(items) == summary["itemCount"] == 30
    copy = unique("copy")
    imported = dynamodb.import_table(
        S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": "out/"},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={
            "TableName": copy,
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )["ImportTableDescription"]["ImportArn"]
    ask = lambda: dynamodb.describe_import(ImportArn=imported)["ImportTableDescription"]
    done = until(ask, lambda own: own["ImportStatus"] != "IN_PROGRESS")
    assert (done["ImportStatus"], done["ImportedItemCount"]) == ("COMPLETED", 30)
    assert value(dynamodb, copy, "key-29") == "29"


def test_a_replica_takes_writes_of_both_regions(dynamodb, table):
    far = client("dynamodb", region="eu-central-1")
    dynamodb.update_table(TableName=table, ReplicaUpdates=[{"Create": {"RegionName": "eu-central-1"}}])
    replicas = lambda: dynamodb.describe_table(TableName=table)["Table"].get("Replicas", [])
    until(replicas, lambda own: [replica["ReplicaStatus"] for replica in own] == ["ACTIVE"])
    assert value(far, table, "key-3") == "3"
    far.put_item(TableName=table, Item={"pk": {"S": "far"}, "n": {"N": "1"}})
    until(lambda: value(dynamodb, table, "far"), lambda found: found == "1")
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "far"}, "n": {"N": "2"}})
    until(lambda: value(far, table, "far"), lambda found: found == "2")


def test_a_policy_has_a_revision(dynamodb, table):
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    statement = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "dynamodb:GetItem", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    revision = dynamodb.put_resource_policy(ResourceArn=arn, Policy=policy)["RevisionId"]
    assert dynamodb.get_resource_policy(ResourceArn=arn)["RevisionId"] == revision
    with pytest.raises(ClientError) as refused:
        dynamodb.put_resource_policy(ResourceArn=arn, Policy=policy, ExpectedRevisionId="NO_POLICY")
    assert refused.value.response["Error"]["Code"] == "PolicyNotFoundException"
