"""Metadata tables of S3 and those of Storage Lens, read by PyIceberg through the REST catalog as AWS's page says it is done, and by boto3's s3tables."""

import datetime
import json
import os
import signal
import threading

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pyiceberg.catalog import load_catalog

from stack import KEYS, REGION, admin, client, wait_for

ACCOUNT = "000000000000"
WAREHOUSE = f"arn:aws:s3tables:{REGION}:{ACCOUNT}:bucket/aws-s3"


def client_at(running, service):
    config = Config(retries={"max_attempts": 2})
    return boto3.client(service, endpoint_url=running.url, region_name=REGION, config=config, **KEYS)


def catalog_at(running, warehouse=WAREHOUSE, keys=KEYS):
    access, secret, token = (keys.get(f"aws_{name}") for name in ("access_key_id", "secret_access_key", "session_token"))
    session = {"client.session-token": token, "s3.session-token": token} if token else {}
    return load_catalog(
        "tables",
        **{
            "type": "rest",
            "uri": f"{running.url}/iceberg",
            "warehouse": warehouse,
            "rest.sigv4-enabled": "true",
            "rest.signing-name": "s3tables",
            "rest.signing-region": REGION,
            "client.access-key-id": access,
            "client.secret-access-key": secret,
            "client.region": REGION,
            "s3.endpoint": running.url,
            "s3.access-key-id": access,
            "s3.secret-access-key": secret,
            "s3.region": REGION,
            **session,
        },
    )


def clock(running, **change):
    assert admin("/_fractus/clock", change, at=running.url)[0] == 200


def configured(s3, bucket, journal=None, **tables):
    expiration = journal or {"Expiration": "DISABLED"}
    configuration = {"JournalTableConfiguration": {"RecordExpiration": expiration}} | {
        name: {"ConfigurationState": "ENABLED"} for name in tables
    }
    s3.create_bucket_metadata_configuration(Bucket=bucket, MetadataConfiguration=configuration)


def rows(running, namespace, table, **options):
    """The rows of a table as dictionaries, maps as such."""
    found = catalog_at(running).load_table((namespace, table)).scan(**options).to_arrow().to_pylist()
    maps = ("object_tags", "user_metadata")
    return [{k: dict(v) if k in maps and v is not None else v for k, v in row.items()} for row in found]


def journal_of(running, bucket, count):
    def found():
        shown = rows(running, f"b_{bucket}", "journal")
        return sorted(shown, key=lambda row: row["sequence_number"]) if len(shown) >= count else None

    return wait_for(found, seconds=60, pause=0.2)


def has_table(running, bucket, name):
    return catalog_at(running).table_exists((f"b_{bucket}", name))


def made(running, bucket, *names):
    """Lets the clock go on until tables are made."""
    clock(running, action="advance", seconds=310)
    s3tables = client_at(running, "s3tables")

    def found():
        listed = s3tables.list_table_buckets()["tableBuckets"]
        return listed and all(has_table(running, bucket, name) for name in names)

    wait_for(found, seconds=60, pause=0.2)


def test_a_journal_tells_of_every_change(own_stack):
    running = own_stack(services=("s3",))
    s3 = client_at(running, "s3")
    clock(running, action="freeze", to="2026-11-23T12:00:00Z")
    s3.create_bucket(Bucket="source")
    s3.put_object(Bucket="source", Key="before", Body=b"of no journal")
    configured(s3, "source")
    s3.put_object(Bucket="source", Key="a/ü", Body=b"12345", Tagging="of=mine&x=", Metadata={"colour": "blue"})
    s3.put_object_tagging(Bucket="source", Key="a/ü", Tagging={"TagSet": [{"Key": "of", "Value": "yours"}]})
    s3.copy_object(Bucket="source", Key="copy", CopySource="source/a/ü", StorageClass="STANDARD_IA")
    s3.delete_object(Bucket="source", Key="a/ü")
    s3.put_bucket_versioning(Bucket="source", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="source", Key="v", Body=b"1", ChecksumAlgorithm="SHA256")["VersionId"]
    marker = s3.delete_object(Bucket="source", Key="v")["VersionId"]
    s3.delete_object(Bucket="source", Key="v", VersionId=version)
    upload = s3.create_multipart_upload(Bucket="source", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="source", Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="source", Key="parts", UploadId=upload, MultipartUpload=parts)
    # Not in a journal: lists of who may do what, and reads.
    s3.get_object(Bucket="source", Key="copy")
    made(running, "source", "journal")

    shown = journal_of(running, "source", 8)
    assert [(row["record_type"], row["key"]) for row in shown] == [
        ("CREATE", "a/ü"),
        ("UPDATE_METADATA", "a/ü"),
        ("CREATE", "copy"),
        ("DELETE", "a/ü"),
        ("CREATE", "v"),
        ("DELETE", "v"),
        ("DELETE", "v"),
        ("CREATE", "parts"),
    ]
    first, tagged, copied, deleted, versioned, marked, purged, in_parts = shown
    assert first | {"request_id": None, "sequence_number": None} == {
        "bucket": "source",
        "key": "a/ü",
        "sequence_number": None,
        "record_type": "CREATE",
        "record_timestamp": datetime.datetime(2026, 11, 23, 12),
        "version_id": None,
        "is_delete_marker": False,
        "size": 5,
        "last_modified_date": datetime.datetime(2026, 11, 23, 12),
        "e_tag": "827ccb0eea8a706c4c34a16891f84e7b",
        "storage_class": "STANDARD",
        "is_multipart": False,
        "encryption_status": "SSE-S3",
        "is_bucket_key_enabled": False,
        "kms_key_arn": None,
        "checksum_algorithm": first["checksum_algorithm"],
        "object_tags": {"of": "mine", "x": ""},
        "user_metadata": {"colour": "blue"},
        "requester": ACCOUNT,
        "source_ip_address": "127.0.0.1",
        "request_id": None,
    }
    assert first["request_id"]
    assert tagged["object_tags"] == {"of": "yours"} and tagged["user_metadata"] == {"colour": "blue"}
    assert copied["storage_class"] == "STANDARD_IA"
    assert all(value is None for name, value in deleted.items() if name not in list(deleted)[:5])
    assert versioned["version_id"] == version and versioned["checksum_algorithm"] == "SHA256"
    assert marked["version_id"] == marker and marked["is_delete_marker"] and marked["size"] == 0
    assert marked["object_tags"] is None
    assert purged["version_id"] == version and purged["is_delete_marker"] is None
    assert in_parts["is_multipart"] and in_parts["e_tag"].endswith("-1")

    # What comes later comes along, and filters are pushed down.
    s3.put_object(Bucket="source", Key="later", Body=b"")
    clock(running, action="advance", seconds=61)
    assert journal_of(running, "source", 9)[-1]["key"] == "later"
    only = rows(running, "b_source", "journal", row_filter="record_type = 'DELETE'", selected_fields=("key",))
    assert sorted(row["key"] for row in only) == ["a/ü", "v", "v"]


def planned(running, namespace, table, row_filter):
    """How many of a table's files a reader opens for what it looks for."""
    return len(list(catalog_at(running).load_table((namespace, table)).scan(row_filter=row_filter).plan_files()))


def test_readers_pass_over_files_that_cannot_have_what_they_look_for(own_stack):
    running = own_stack(services=("s3",))
    s3 = client_at(running, "s3")
    clock(running, action="freeze", to="2026-11-23T12:00:00Z")
    s3.create_bucket(Bucket="source")
    configured(s3, "source")
    made(running, "source", "journal")
    # A file of a journal is of one day.
    for day in range(3):
        s3.put_object(Bucket="source", Key=f"{day}/" + "x" * 100, Body=b"x" * day, Metadata={"of": "maps"})
        s3.put_object(Bucket="source", Key=f"{day}/y", Body=b"x" * 10 * day)
        s3.delete_object(Bucket="source", Key=f"{day}/y")
        clock(running, action="advance", seconds=61)
        journal_of(running, "source", 3 * (day + 1))
        clock(running, action="advance", seconds=86_400)
    wait_for(lambda: planned(running, "b_source", "journal", "size >= 0") == 3, seconds=60, pause=0.2)
    for row_filter, files, found in [
        ("record_timestamp >= '2026-11-25T00:00:00'", 1, 3),
        ("record_timestamp < '2026-11-24T00:00:00'", 1, 3),
        (f"key = '1/{'x' * 100}'", 1, 1),
        ("key > '0/z'", 2, 6),
        (f"key > '{'x' * 100}'", 0, 0),
        ("size > 10", 1, 1),
        ("size is null", 3, 3),
        ("kms_key_arn is not null", 0, 0),
        ("is_multipart = true", 0, 0),
        ("storage_class = 'GLACIER'", 0, 0),
        ("record_type = 'DELETE'", 3, 3),
    ]:
        assert planned(running, "b_source", "journal", row_filter) == files, row_filter
        assert len(rows(running, "b_source", "journal", row_filter=row_filter)) == found, row_filter
    # As PyIceberg tells of the list of files itself.
    shown = catalog_at(running).load_table(("b_source", "journal")).inspect.files().to_pylist()
    metrics = sorted((one["readable_metrics"] for one in shown), key=lambda one: one["key"]["lower_bound"])
    size = metrics[2]["size"]
    assert (size["value_count"], size["null_value_count"], size["lower_bound"], size["upper_bound"]) == (3, 1, 2, 20)
    assert metrics[0]["key"]["lower_bound"] == ("0/" + "x" * 100)[:64]
    assert metrics[0]["record_timestamp"]["lower_bound"].date() == datetime.date(2026, 11, 23)


def test_an_inventory_is_what_is_in_the_bucket(own_stack):
    running = own_stack(services=("s3",))
    s3 = client_at(running, "s3")
    clock(running, action="freeze", to="2026-11-23T12:00:00Z")
    s3.create_bucket(Bucket="source")
    s3.put_bucket_versioning(Bucket="source", VersioningConfiguration={"Status": "Enabled"})
    for number in range(30):
        s3.put_object(Bucket="source", Key=f"{number:03}", Body=b"x" * number)
    s3.put_object(Bucket="source", Key="000", Body=b"again")
    s3.delete_object(Bucket="source", Key="001")
    configured(s3, "source", InventoryTableConfiguration=True)
    made(running, "source", "journal", "inventory")
    assert rows(running, "b_source", "inventory") == []
    clock(running, action="advance", seconds=900)

    def keyed(count):
        shown = rows(running, "b_source", "inventory")
        return {(row["key"], row["version_id"]): row for row in shown} if len(shown) == count else None

    found = wait_for(lambda: keyed(32), seconds=60, pause=0.2)
    listed = s3.list_object_versions(Bucket="source")
    assert {(one["Key"], one["VersionId"]) for one in listed["Versions"]} == {
        key for key, row in found.items() if not row["is_delete_marker"]
    }
    markers = {(one["Key"], one["VersionId"]) for one in listed["DeleteMarkers"]}
    assert markers == {key for key, row in found.items() if row["is_delete_marker"]}
    sizes = {(one["Key"], one["VersionId"]): one["Size"] for one in listed["Versions"]}
    assert all(found[key]["size"] == size for key, size in sizes.items())

    s3.put_object(Bucket="source", Key="new", Body=b"", Tagging="a=b")
    gone = s3.list_object_versions(Bucket="source", Prefix="002")["Versions"][0]["VersionId"]
    s3.delete_object(Bucket="source", Key="002", VersionId=gone)
    s3.delete_object(Bucket="source", Key="003")
    clock(running, action="advance", seconds=3_600)
    found = wait_for(lambda: (rowed := keyed(33)) and ("002", gone) not in rowed and rowed, seconds=60, pause=0.2)
    assert [row["object_tags"] for row in found.values() if row["key"] == "new"] == [{"a": "b"}]
    assert [row["is_delete_marker"] for row in found.values() if row["key"] == "003"].count(True) == 1


def test_annotations_have_a_table_of_their_own(own_stack):
    running = own_stack(services=("s3",))
    s3 = client_at(running, "s3")
    clock(running, action="freeze", to="2026-11-23T12:00:00Z")
    s3.create_bucket(Bucket="source")
    s3.put_object(Bucket="source", Key="k", Body=b"x")
    s3.put_object_annotation(Bucket="source", Key="k", AnnotationName="first", AnnotationPayload=b"a text")
    configured(s3, "source", AnnotationTableConfiguration=True)
    made(running, "source", "annotation")
    clock(running, action="advance", seconds=900)
    found = wait_for(lambda: rows(running, "b_source", "annotation"), seconds=60, pause=0.2)
    assert [(row["object_key"], row["name"], row["text_value"], row["size"]) for row in found] == [("k", "first", "a text", 6)]
    s3.put_object_annotation(Bucket="source", Key="k", AnnotationName="second", AnnotationPayload="ü".encode())
    clock(running, action="advance", seconds=3_600)
    found = wait_for(
        lambda: len(rowed := rows(running, "b_source", "annotation")) == 2 and rowed, seconds=60, pause=0.2
    )
    assert {row["name"]: row["text_value"] for row in found} == {"first": "a text", "second": "ü"}
    # Annotations change no object.
    assert rows(running, "b_source", "journal") == []


def test_records_expire_by_the_day(own_stack):
    running = own_stack(services=("s3",))
    s3 = client_at(running, "s3")
    clock(running, action="freeze", to="2026-11-23T12:00:00Z")
    s3.create_bucket(Bucket="source")
    configured(s3, "source", journal={"Expiration": "ENABLED", "Days": 7})
    s3.put_object(Bucket="source", Key="old", Body=b"")
    made(running, "source", "journal")
    journal_of(running, "source", 1)
    clock(running, action="advance", seconds=86_400)
    s3.put_object(Bucket="source", Key="young", Body=b"")
    clock(running, action="advance", seconds=61)
    journal_of(running, "source", 2)
    clock(running, action="advance", seconds=6 * 86_400 + 3_600)
    wait_for(lambda: [row["key"] for row in rows(running, "b_source", "journal")] == ["young"], seconds=60, pause=0.2)


def dashboard(running, name, **exports):
    """A Storage Lens configuration of everything that is counted of one bucket."""
    enabled = {"IsEnabled": True}
    categories = {"ActivityMetrics": enabled, "DetailedStatusCodesMetrics": enabled, "AdvancedPerformanceMetrics": enabled}
    only = {"Include": {"Buckets": ["arn:aws:s3:::source"]}, "AccountLevel": categories | {"BucketLevel": categories}}
    # The account stands before the host, which must be a name.
    at = running.url.replace("127.0.0.1", "localhost")
    client("s3control", at=at).put_storage_lens_configuration(
        AccountId=ACCOUNT, ConfigId=name, StorageLensConfiguration={"Id": name, "IsEnabled": True} | only | exports
    )


def test_storage_lens_writes_its_tables_every_day(own_stack, hosts):
    running = own_stack(services=("s3",))
    s3 = client_at(running, "s3")
    clock(running, action="freeze", to="2026-11-23T12:00:00Z")
    s3.create_bucket(Bucket="source")
    table = {"StorageLensTableDestination": {"IsEnabled": True}}
    dashboard(running, "mine", DataExport=table, ExpandedPrefixesDataExport=table)
    s3.put_object(Bucket="source", Key="a/b/c", Body=b"12345")
    s3.put_object(Bucket="source", Key="a/d", Body=b"1" * 300_000, ServerSideEncryption="aws:kms", BucketKeyEnabled=True)
    s3.get_object(Bucket="source", Key="a/b/c")["Body"].read()
    clock(running, action="advance", seconds=43_260)
    # A table bucket is there once it has a table.
    wait_for(lambda: client_at(running, "s3tables").list_table_buckets()["tableBuckets"], seconds=60)
    catalog = catalog_at(running)
    # Each table of a configuration comes to be by itself.
    names = ("default_storage_metrics", "default_activity_metrics", "bucket_property_metrics")
    names += ("expanded_prefixes_storage_metrics", "expanded_prefixes_activity_metrics")
    wait_for(lambda: {name for _, name in catalog.list_tables("lens_mine_exp")} == set(names), seconds=60)
    wait_for(lambda: all(rows(running, "lens_mine_exp", name) for name in names), seconds=60)

    schema = catalog.load_table(("lens_mine_exp", "default_storage_metrics")).schema()
    types = {field.name: str(field.field_type) for field in schema.fields}
    assert list(types)[:4] == ["version_number", "configuration_id", "report_time", "aws_account_id"]
    assert (types["report_time"], types["object_count"], types["storage_bytes"]) == ("timestamptz", "long", "decimal(38, 0)")
    assert len(types) == 51

    stored = rows(running, "lens_mine_exp", "default_storage_metrics")
    day = datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc)
    of_bucket = next(row for row in stored if row["record_type"] == "BUCKET")
    assert {name: value for name, value in of_bucket.items() if value} == {
        "version_number": "V_1",
        "configuration_id": "mine",
        "report_time": day,
        "aws_account_id": ACCOUNT,
        "aws_region": REGION,
        "storage_class": "STANDARD",
        "record_type": "BUCKET",
        "bucket_name": "source",
        "object_count": 2,
        "storage_bytes": 300_005,
        "current_version_object_count": 2,
        "current_version_storage_bytes": 300_005,
        "encrypted_object_count": 2,
        "encrypted_storage_bytes": 300_005,
        "sse_kms_object_count": 1,
        "sse_kms_storage_bytes": 300_000,
        "bucket_key_sse_kms_object_count": 1,
        "bucket_key_sse_kms_storage_bytes": 300_000,
        "object_0kb_to_128kb_count": 1,
        "object_256kb_to_512kb_count": 1,
    }
    # No prefixes by default, where nobody asks for them; the other report has each of them and nothing else.
    assert sorted(row["record_type"] for row in stored) == ["ACCOUNT", "BUCKET"]
    found = rows(running, "lens_mine_exp", "expanded_prefixes_storage_metrics")
    assert {(row["record_type"], row["record_value"], row["storage_bytes"]) for row in found} == {
        ("PREFIX", "a/", 300_005),
        ("PREFIX", "a/b/", 5),
    }
    asked = {row["record_type"]: row for row in rows(running, "lens_mine_exp", "default_activity_metrics")}
    assert {asked[kind]["all_request_count"] for kind in ("ACCOUNT", "BUCKET")} == {3}
    one = asked["BUCKET"]
    assert (one["put_request_count"], one["get_request_count"], one["downloaded_bytes"]) == (2, 1, 5)
    assert (one["read_0kb_to_128kb_request_count"], one["write_256kb_to_512kb_request_count"]) == (1, 1)
    assert one["cross_region_request_count"] is None
    below = {row["record_value"]: row for row in rows(running, "lens_mine_exp", "expanded_prefixes_activity_metrics")}
    assert {prefix: row["all_request_count"] for prefix, row in below.items()} == {"a/": 3, "a/b/": 2}
    settings = rows(running, "lens_mine_exp", "bucket_property_metrics", row_filter="record_type = 'BUCKET'")
    assert [row["object_ownership_bucket_owner_enforced_bucket_count"] for row in settings] == [1]

    # Every day adds its rows; what is filtered by the day is of that day alone.
    s3.put_object(Bucket="source", Key="new", Body=b"1")
    clock(running, action="advance", seconds=86_400)
    days = wait_for(lambda: len(all_of := rows(running, "lens_mine_exp", "default_storage_metrics")) == 4 and all_of, seconds=60)
    assert {row["report_time"] for row in days} == {day, day + datetime.timedelta(days=1)}
    first = "storage_bytes <= 300005 and record_type = 'BUCKET'"
    assert planned(running, "lens_mine_exp", "default_storage_metrics", first) == 1
    latest = {"row_filter": "report_time >= '2026-11-24T00:00:00+00:00' and record_type = 'BUCKET'"}
    assert [row["object_count"] for row in rows(running, "lens_mine_exp", "default_storage_metrics", **latest)] == [3]
    shown = client_at(running, "s3tables").get_table(
        tableBucketARN=WAREHOUSE, namespace="lens_mine_exp", name="default_storage_metrics"
    )
    assert shown["managedByService"] == "systemtables.s3.amazonaws.com"
    client_at(running, "s3tables").delete_table(
        tableBucketARN=WAREHOUSE, namespace="lens_mine_exp", name="default_storage_metrics"
    )
    assert ("lens_mine_exp", "default_storage_metrics") not in catalog.list_tables("lens_mine_exp")


def test_tables_are_read_and_deleted_and_not_written(own_stack):
    running = own_stack(services=("s3",))
    s3, s3tables = client_at(running, "s3"), client_at(running, "s3tables")
    clock(running, action="freeze", to="2026-11-23T12:00:00Z")
    s3.create_bucket(Bucket="source")
    configured(s3, "source", InventoryTableConfiguration=True)
    made(running, "source", "journal", "inventory")
    # As boto3's client of S3 Tables shows them.
    assert [(one["name"], one["type"], one["arn"]) for one in s3tables.list_table_buckets()["tableBuckets"]] == [
        ("aws-s3", "aws", WAREHOUSE)
    ]
    assert s3tables.get_table_bucket(tableBucketARN=WAREHOUSE)["ownerAccountId"] == ACCOUNT
    assert [one["namespace"] for one in s3tables.list_namespaces(tableBucketARN=WAREHOUSE)["namespaces"]] == [["b_source"]]
    listed = s3tables.list_tables(tableBucketARN=WAREHOUSE)["tables"]
    assert [one["name"] for one in listed] == ["inventory", "journal"]
    table = s3tables.get_table(tableBucketARN=WAREHOUSE, namespace="b_source", name="journal")
    assert (table["format"], table["type"]) == ("ICEBERG", "aws")
    shown = s3.get_bucket_metadata_configuration(Bucket="source")["GetBucketMetadataConfigurationResult"]
    shown = shown["MetadataConfigurationResult"]["JournalTableConfigurationResult"]
    assert (shown["TableArn"], shown["TableStatus"]) == (table["tableARN"], "ACTIVE")
    location = s3tables.get_table_metadata_location(tableBucketARN=WAREHOUSE, namespace="b_source", name="journal")
    storage, _, key = location["metadataLocation"].removeprefix("s3://").partition("/")
    assert storage.endswith("--table-s3") and b'"format-version":2' in s3.get_object(Bucket=storage, Key=key)["Body"].read()
    assert s3.head_object(Bucket=storage, Key=key)["ContentLength"] > 0
    assert storage not in [one["Name"] for one in s3.list_buckets()["Buckets"]]

    # And as PyIceberg does.
    catalog = catalog_at(running)
    assert catalog.list_namespaces() == [("b_source",)]
    assert catalog.list_tables("b_source") == [("b_source", "inventory"), ("b_source", "journal")]
    with pytest.raises(Exception, match="Forbidden|managed by AWS"):
        catalog.create_namespace("mine")
    refusals = [
        (lambda: s3.put_object(Bucket=storage, Key=key, Body=b""), "AccessDenied"),
        (lambda: s3.delete_object(Bucket=storage, Key=key), "MethodNotAllowed"),
        (lambda: s3.list_objects_v2(Bucket=storage), "MethodNotAllowed"),
        (lambda: s3.delete_bucket(Bucket=storage), "MethodNotAllowed"),
        (lambda: s3tables.get_table(tableBucketARN=WAREHOUSE, namespace="b_source", name="none"), "NotFoundException"),
    ]
    for refused, code in refusals:
        with pytest.raises(s3.exceptions.ClientError) as error:
            refused()
        assert error.value.response["Error"]["Code"] == code

    # Tables stay behind their configuration, and are in the way of those of a new one.
    s3.delete_bucket_metadata_configuration(Bucket="source")
    configured(s3, "source")
    clock(running, action="advance", seconds=310)
    shown = s3.get_bucket_metadata_configuration(Bucket="source")["GetBucketMetadataConfigurationResult"]
    shown = shown["MetadataConfigurationResult"]["JournalTableConfigurationResult"]
    assert (shown["TableStatus"], shown["Error"]["ErrorCode"]) == ("FAILED", "JournalTableAlreadyExists")
    assert has_table(running, "source", "journal")
    s3.delete_bucket_metadata_configuration(Bucket="source")
    for name in ("journal", "inventory"):
        s3tables.delete_table(tableBucketARN=WAREHOUSE, namespace="b_source", name=name)
    with pytest.raises(s3.exceptions.ClientError):
        s3.head_object(Bucket=storage, Key=key)
    configured(s3, "source")
    s3.put_object(Bucket="source", Key="again", Body=b"")
    made(running, "source", "journal")
    assert [row["key"] for row in journal_of(running, "source", 1)] == ["again"]


def test_a_table_in_a_bucket_of_ones_own(own_stack):
    running = own_stack(services=("s3",))
    s3 = client_at(running, "s3")
    clock(running, action="freeze", to="2026-11-23T12:00:00Z")
    s3.create_bucket(Bucket="source")
    mine = f"arn:aws:s3tables:{REGION}:{ACCOUNT}:bucket/mine"
    destination = {"TableBucketArn": mine, "TableName": "objects_of_mine"}
    s3.create_bucket_metadata_table_configuration(
        Bucket="source", MetadataTableConfiguration={"S3TablesDestination": destination}
    )
    s3.put_object(Bucket="source", Key="k", Body=b"")
    clock(running, action="advance", seconds=310)
    wait_for(lambda: client_at(running, "s3tables").list_table_buckets()["tableBuckets"], seconds=60, pause=0.2)
    catalog = catalog_at(running, mine)
    table = ("aws_s3_metadata", "objects_of_mine")
    wait_for(lambda: catalog.table_exists(table), seconds=60, pause=0.2)
    found = wait_for(lambda: catalog.load_table(table).scan().to_arrow().to_pylist(), seconds=60, pause=0.2)
    assert [(row["record_type"], row["key"]) for row in found] == [("CREATE", "k")]


def test_nothing_is_lost_when_s3_is_killed(own_stack, tmp_path):
    """What was acknowledged stands in the journal once, and the inventory is the bucket, whenever the process died."""
    running = own_stack("--data-dir", str(tmp_path / "data"), services=("s3",))
    s3 = client_at(running, "s3")
    s3.create_bucket(Bucket="source")
    configured(s3, "source", InventoryTableConfiguration=True)
    made(running, "source", "journal", "inventory")
    clock(running, action="advance", seconds=900)
    is_over = threading.Event()

    def go_on():
        # Tables are written all the time, so that a process that is killed is likely to be at it.
        while not is_over.wait(0.02):
            try:
                admin("/_fractus/clock", {"action": "advance", "seconds": 60}, at=running.url)
            except OSError:
                pass

    clocks = threading.Thread(target=go_on)
    clocks.start()
    acknowledged = set()
    try:
        for number in range(400):
            if number % 80 == 40:
                pid = wait_for(lambda: running.pid_of("fractus-s3"))
                os.kill(pid, signal.SIGKILL)
                wait_for(lambda: running.pid_of("fractus-s3") not in (None, pid))
            try:
                s3.put_object(Bucket="source", Key=f"k{number:03}", Body=b"x")
                acknowledged.add(f"k{number:03}")
            except (ClientError, BotoCoreError):
                pass
    finally:
        is_over.set()
        clocks.join()
    assert len(acknowledged) > 300
    listed = {one["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="source") for one in page["Contents"]}
    assert acknowledged <= listed
    clock(running, action="advance", seconds=3_600)

    def keys_of(name):
        shown = rows(running, "b_source", name)
        return {row["key"] for row in shown} == listed and shown

    journal = wait_for(lambda: keys_of("journal"), seconds=60, pause=0.5)
    assert len({row["sequence_number"] for row in journal}) == len(journal)
    inventory = wait_for(lambda: keys_of("inventory"), seconds=60, pause=0.5)
    assert len(inventory) == len(listed)


def test_signatures_and_permissions_are_checked(own_stack, tmp_path):
    """Of keys that were issued every signature is verified; where policies are enforced, they say who reads what."""
    config = tmp_path / "enforced.toml"
    config.write_text('auth = "enforced"\n')
    running = own_stack("--config", str(config), services=("s3", "sts"))
    s3, sts = client_at(running, "s3"), client_at(running, "sts")
    s3.create_bucket(Bucket="source")
    configured(s3, "source")
    s3.put_object(Bucket="source", Key="k", Body=b"")
    made(running, "source", "journal")

    def issued(policy):
        document = json.dumps({"Version": "2012-10-17", "Statement": policy})
        keys = sts.get_federation_token(Name="reader", Policy=document)["Credentials"]
        return {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }

    allowed = [{"Effect": "Allow", "Action": ["s3tables:*", "s3:GetObject"], "Resource": "*"}]
    table = catalog_at(running, keys=issued(allowed)).load_table(("b_source", "journal"))
    assert [row["key"] for row in table.scan().to_arrow().to_pylist()] == ["k"]
    with pytest.raises(Exception, match="SignatureDoesNotMatch|403|Forbidden"):
        catalog_at(running, keys=issued(allowed) | {"aws_secret_access_key": "of another"}).list_namespaces()
    listing = [{"Effect": "Allow", "Action": ["s3tables:GetTableBucket", "s3tables:ListNamespaces"], "Resource": WAREHOUSE}]
    catalog = catalog_at(running, keys=issued(listing))
    assert catalog.list_namespaces() == [("b_source",)]
    with pytest.raises(Exception, match="s3tables:GetTableMetadataLocation"):
        catalog.load_table(("b_source", "journal"))
