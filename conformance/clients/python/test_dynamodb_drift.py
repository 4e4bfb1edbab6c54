"""What is set is what is told, member by member: what infrastructure as code reads to see drift."""

import json

import pytest

from stack import client, unique

KINDS = {"pk": "S", "sk": "N", "kind": "S", "rank": "N", "at": "B"}


@pytest.fixture(scope="module")
def ddb():
    return client("dynamodb")


def key(hash_key, range_key=None):
    names = [(hash_key, "HASH")] + ([(range_key, "RANGE")] if range_key else [])
    return [{"AttributeName": name, "KeyType": kind} for name, kind in names]


def definitions(*names):
    return [{"AttributeName": name, "AttributeType": KINDS[name]} for name in names]


def told(ddb, name):
    return ddb.describe_table(TableName=name)["Table"]


def holds(wanted, found, at=""):
    """Everything that was wanted is in what was found; lists of named things in any order."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict), f"{at}: {found!r}"
        for name, value in wanted.items():
            assert name in found, f"{at}.{name} is not told: {sorted(found)}"
            holds(value, found[name], f"{at}.{name}")
    elif isinstance(wanted, list):
        order = lambda one: json.dumps(one.get("IndexName") or one.get("AttributeName") or one.get("Key") or one.get("RegionName") or one, default=str) if isinstance(one, dict) else json.dumps(one, default=str)
        assert len(wanted) == len(found), f"{at}: {found!r}"
        for number, (one, other) in enumerate(zip(sorted(wanted, key=order), sorted(found, key=order))):
            holds(one, other, f"{at}[{number}]")
    else:
        assert wanted == found, f"{at}: {found!r} is told, {wanted!r} was set"


PROVISIONED = {
    "AttributeDefinitions": definitions("pk", "sk", "kind", "rank"),
    "KeySchema": key("pk", "sk"),
    "ProvisionedThroughput": {"ReadCapacityUnits": 7, "WriteCapacityUnits": 9},
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-kind", "KeySchema": key("kind", "rank"), "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "b"]},
            "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
        },
        {"IndexName": "by-rank", "KeySchema": key("rank"), "Projection": {"ProjectionType": "KEYS_ONLY"}, "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2}},
    ],
    "LocalSecondaryIndexes": [{"IndexName": "local", "KeySchema": key("pk", "rank"), "Projection": {"ProjectionType": "ALL"}}],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"},
    "DeletionProtectionEnabled": True,
}


def test_a_provisioned_table_is_told_as_it_was_made(ddb):
    name = unique("drift")
    tags = [{"Key": "team", "Value": "one"}, {"Key": "cost", "Value": ""}]
    ddb.create_table(TableName=name, TableClass="STANDARD_INFREQUENT_ACCESS", SSESpecification={"Enabled": True, "SSEType": "KMS"}, Tags=tags, **PROVISIONED)
    ddb.get_waiter("table_exists").wait(TableName=name)
    table = told(ddb, name)
    holds(PROVISIONED, table)
    holds({"TableClassSummary": {"TableClass": "STANDARD_INFREQUENT_ACCESS"}, "SSEDescription": {"Status": "ENABLED", "SSEType": "KMS"}}, table)
    assert table["SSEDescription"]["KMSMasterKeyArn"].startswith("arn:aws:kms:")
    assert {"LatestStreamArn", "LatestStreamLabel", "TableId", "TableArn", "CreationDateTime"} <= table.keys()
    assert all(index["IndexArn"] == f"{table['TableArn']}/index/{index['IndexName']}" for index in table["GlobalSecondaryIndexes"] + table["LocalSecondaryIndexes"])
    holds(tags, ddb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"])
    # Nothing that was not asked for.
    assert not {"Replicas", "RestoreSummary", "OnDemandThroughput", "ArchivalSummary", "GlobalTableVersion"} & table.keys()
    assert told(ddb, name) == table, "asked again, the same is told"

    ddb.update_table(TableName=name, DeletionProtectionEnabled=False)
    assert told(ddb, name)["DeletionProtectionEnabled"] is False
    ddb.update_table(TableName=name, TableClass="STANDARD")
    assert told(ddb, name)["TableClassSummary"]["TableClass"] == "STANDARD"
    ddb.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})
    assert not told(ddb, name).get("StreamSpecification", {}).get("StreamEnabled")
    ddb.update_table(TableName=name, SSESpecification={"Enabled": False})
    assert told(ddb, name).get("SSEDescription", {}).get("Status") in (None, "DISABLED")
    ddb.update_table(
        TableName=name, ProvisionedThroughput={"ReadCapacityUnits": 11, "WriteCapacityUnits": 12},
        GlobalSecondaryIndexUpdates=[{"Update": {"IndexName": "by-rank", "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}}}],
    )
    table = told(ddb, name)
    holds({"ReadCapacityUnits": 11, "WriteCapacityUnits": 12}, table["ProvisionedThroughput"])
    by_name = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    holds({"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}, by_name["by-rank"]["ProvisionedThroughput"])
    holds({"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}, by_name["by-kind"]["ProvisionedThroughput"])
    ddb.update_table(TableName=name, BillingMode="PAY_PER_REQUEST")
    table = told(ddb, name)
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    holds({"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}, table["ProvisionedThroughput"])
    ddb.tag_resource(ResourceArn=table["TableArn"], Tags=[{"Key": "team", "Value": "two"}])
    ddb.untag_resource(ResourceArn=table["TableArn"], TagKeys=["cost"])
    holds([{"Key": "team", "Value": "two"}], ddb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"])
    ddb.delete_table(TableName=name)


def test_an_on_demand_table_is_told_as_it_was_made_and_changed(ddb):
    name = unique("drift")
    made = {
        "AttributeDefinitions": definitions("pk", "kind"),
        "KeySchema": key("pk"),
        "OnDemandThroughput": {"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 200},
        "WarmThroughput": {"ReadUnitsPerSecond": 12_500, "WriteUnitsPerSecond": 4_500},
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-kind", "KeySchema": key("kind"), "Projection": {"ProjectionType": "ALL"},
                "OnDemandThroughput": {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20},
            }
        ],
    }
    ddb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **made)
    ddb.get_waiter("table_exists").wait(TableName=name)
    table = told(ddb, name)
    holds(made, table)
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] is False

    ddb.update_table(TableName=name, OnDemandThroughput={"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 300})
    limits = told(ddb, name)["OnDemandThroughput"]
    assert limits["MaxWriteRequestUnits"] == 300 and limits.get("MaxReadRequestUnits", -1) == -1
    ddb.update_table(TableName=name, WarmThroughput={"ReadUnitsPerSecond": 13_000, "WriteUnitsPerSecond": 5_000})
    holds({"ReadUnitsPerSecond": 13_000, "WriteUnitsPerSecond": 5_000}, told(ddb, name)["WarmThroughput"])
    ddb.update_table(TableName=name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    holds({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}, told(ddb, name))
    # Indexes come and go, and the definitions with them.
    index = {"IndexName": "by-at", "KeySchema": key("at", "pk"), "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}}
    ddb.update_table(TableName=name, AttributeDefinitions=definitions("pk", "kind", "at"), GlobalSecondaryIndexUpdates=[{"Create": index}])
    until_active(ddb, name)
    table = told(ddb, name)
    holds([index, *made["GlobalSecondaryIndexes"]], table["GlobalSecondaryIndexes"])
    holds(definitions("pk", "kind", "at"), table["AttributeDefinitions"])
    ddb.update_table(TableName=name, AttributeDefinitions=definitions("pk", "at"), GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-kind"}}])
    until_active(ddb, name)
    table = told(ddb, name)
    holds([index], table["GlobalSecondaryIndexes"])
    holds(definitions("pk", "at"), table["AttributeDefinitions"])
    ddb.delete_table(TableName=name)


def until_active(ddb, name):
    import time

    end = time.monotonic() + 60
    while True:
        table = told(ddb, name)
        states = [table["TableStatus"], *(index["IndexStatus"] for index in table.get("GlobalSecondaryIndexes", []))]
        if set(states) == {"ACTIVE"}:
            return
        assert time.monotonic() < end, states
        time.sleep(0.1)


def test_what_lies_around_a_table_is_told_as_it_was_set(ddb):
    name = unique("drift")
    ddb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=definitions("pk"), KeySchema=key("pk"))
    ddb.get_waiter("table_exists").wait(TableName=name)
    arn = told(ddb, name)["TableArn"]
    assert ddb.describe_time_to_live(TableName=name)["TimeToLiveDescription"] == {"TimeToLiveStatus": "DISABLED"}
    ddb.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    assert ddb.describe_time_to_live(TableName=name)["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}

    recovery = lambda: ddb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery() == {"PointInTimeRecoveryStatus": "DISABLED"}
    ddb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 12})
    holds({"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 12}, recovery())

    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "dynamodb:Query", "Resource": arn}]})
    revision = ddb.put_resource_policy(ResourceArn=arn, Policy=policy)["RevisionId"]
    found = ddb.get_resource_policy(ResourceArn=arn)
    assert (json.loads(found["Policy"]), found["RevisionId"]) == (json.loads(policy), revision)
    ddb.delete_resource_policy(ResourceArn=arn)
    with pytest.raises(ddb.exceptions.PolicyNotFoundException):
        ddb.get_resource_policy(ResourceArn=arn)

    stream = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"
    ddb.enable_kinesis_streaming_destination(
        TableName=name, StreamArn=stream, EnableKinesisStreamingConfiguration={"ApproximateCreationDateTimePrecision": "MICROSECOND"}
    )
    holds(
        [{"StreamArn": stream, "DestinationStatus": "ACTIVE", "ApproximateCreationDateTimePrecision": "MICROSECOND"}],
        ddb.describe_kinesis_streaming_destination(TableName=name)["KinesisDataStreamDestinations"],
    )
    ddb.disable_kinesis_streaming_destination(TableName=name, StreamArn=stream)
    destinations = ddb.describe_kinesis_streaming_destination(TableName=name)["KinesisDataStreamDestinations"]
    assert [own["DestinationStatus"] for own in destinations] == ["DISABLED"]

    ddb.update_contributor_insights(TableName=name, ContributorInsightsAction="ENABLE")
    assert ddb.describe_contributor_insights(TableName=name)["ContributorInsightsStatus"] in ("ENABLED", "ENABLING")

    ddb.update_table(TableName=name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    ddb.update_table(TableName=name, ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    until_active(ddb, name)
    holds([{"RegionName": "eu-west-1"}], told(ddb, name)["Replicas"])
    ddb.update_table(TableName=name, ReplicaUpdates=[{"Delete": {"RegionName": "eu-west-1"}}])
    until_active(ddb, name)
    assert not told(ddb, name).get("Replicas")
    ddb.delete_table(TableName=name)
