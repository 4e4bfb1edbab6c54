"""Programs that read and write data in S3 from Python: pyarrow's datasets, boto3's transfer manager, queries, browser forms."""

import bz2
import gzip
import hashlib
import importlib
import io
import json
import os
import urllib.error
import urllib.request

import pyarrow
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from stack import admin, client, endpoint, unique, wait_for


@pytest.fixture
def s3():
    return client("s3")


@pytest.fixture
def bucket(s3):
    name = unique("data")
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for entry in page.get("Contents", []):
            s3.delete_object(Bucket=name, Key=entry["Key"])
    s3.delete_bucket(Bucket=name)


def test_pyarrow_writes_and_reads_a_partitioned_dataset(bucket):
    import pyarrow.dataset as dataset
    from pyarrow import fs as arrow_fs

    scheme, place = endpoint().split("://")
    fs = arrow_fs.S3FileSystem(
        access_key="test", secret_key="test", endpoint_override=place, scheme=scheme, region="us-east-1"
    )
    table = pyarrow.table({"year": [2024, 2024, 2025], "name": ["a", "b", "c"], "value": [1.0, 2.0, 3.0]})
    parts = dataset.partitioning(pyarrow.schema([("year", pyarrow.int64())]), flavor="hive")
    dataset.write_dataset(table, f"{bucket}/set", filesystem=fs, format="parquet", partitioning=parts)
    found = dataset.dataset(f"{bucket}/set", filesystem=fs, format="parquet", partitioning=parts)
    rows = found.to_table(filter=dataset.field("year") == 2025).to_pylist()
    assert rows == [{"name": "c", "value": 3.0, "year": 2025}]
    assert found.count_rows() == 3
    info = fs.get_file_info(arrow_fs.FileSelector(f"{bucket}/set", recursive=True))
    assert {entry.base_name for entry in info if entry.type == arrow_fs.FileType.Directory} == {"year=2024", "year=2025"}
    fs.copy_file(next(entry.path for entry in info if entry.is_file), f"{bucket}/copied.parquet")
    with fs.open_output_stream(f"{bucket}/stream") as out:
        for _ in range(12):
            out.write(b"y" * 1024 * 1024)
    assert fs.get_file_info(f"{bucket}/stream").size == 12 * 1024 * 1024
    fs.delete_dir_contents(f"{bucket}/set")


@pytest.mark.parametrize(("format", "read"), [("ORC", "pyarrow.orc"), ("Parquet", "pyarrow.parquet")])
def test_pyarrow_reads_inventories(format, read):
    lane = unique("lane")
    s3 = client("s3", lane=lane)
    for name in ("source", "reports"):
        s3.create_bucket(Bucket=name)
    keys = [f"key {number:03}" for number in range(300)] + ["ä/ö+ü"]
    for key in keys:
        s3.put_object(Bucket="source", Key=key, Body=b"x" * (len(key) % 7))
    s3.put_bucket_versioning(Bucket="source", VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket="source", Key="key 000")
    fields = ["Size", "LastModifiedDate", "ETag", "StorageClass", "IsMultipartUploaded", "EncryptionStatus"]
    inventory = {
        "Id": "all", "IsEnabled": True, "IncludedObjectVersions": "All", "Schedule": {"Frequency": "Daily"},
        "OptionalFields": [*fields, "ObjectLockRetainUntilDate"],
        "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::reports", "Format": format}},
    }
    s3.put_bucket_inventory_configuration(Bucket="source", Id="all", InventoryConfiguration=inventory)
    assert admin("/_fractus/clock", {"lane": lane, "action": "advance", "seconds": 86_400})[0] == 200

    def written():
        found = s3.list_objects_v2(Bucket="reports").get("Contents", [])
        return next((one["Key"] for one in found if "/data/" in one["Key"]), None)

    file = io.BytesIO(s3.get_object(Bucket="reports", Key=wait_for(written))["Body"].read())
    rows = importlib.import_module(read).read_table(file).to_pylist()
    # The marker, and what it is on; all else is there once.
    assert sorted(row["key"] for row in rows) == sorted([*keys, "key 000"])
    assert sum(row["is_delete_marker"] for row in rows) == 1 and sum(row["is_latest"] for row in rows) == len(keys)
    by_key = {row["key"]: row for row in rows if not row["is_delete_marker"]}
    for key in ("key 000", "key 123", "ä/ö+ü"):
        head = s3.get_object(Bucket="source", Key=key, VersionId="null")
        row = by_key[key]
        assert (row["bucket"], row["size"], row["e_tag"]) == ("source", head["ContentLength"], head["ETag"].strip('"'))
        assert row["last_modified_date"].replace(microsecond=0, tzinfo=None) == head["LastModified"].replace(tzinfo=None)
        assert (row["is_multipart_uploaded"], row["object_lock_retain_until_date"]) == (False, None)
    marker = next(row for row in rows if row["is_delete_marker"])
    assert (marker["size"], marker["e_tag"], marker["storage_class"]) == (None, None, None)
    assert admin(f"/_fractus/clock?lane={lane}", {"action": "reset", "lane": lane})[0] == 200


def test_pandas_style_reading_of_csv_by_select(s3, bucket):
    s3.put_object(Bucket=bucket, Key="people.csv", Body=b"name,age\nAnn,31\nBob,17\n\"Cid, Jr\",40\n")
    answer = s3.select_object_content(
        Bucket=bucket,
        Key="people.csv",
        ExpressionType="SQL",
        Expression="SELECT s.name, CAST(s.age AS INT) AS age FROM S3Object s WHERE CAST(s.age AS INT) > 18",
        InputSerialization={"CSV": {"FileHeaderInfo": "USE"}},
        OutputSerialization={"JSON": {}},
        RequestProgress={"Enabled": True},
    )
    events = list(answer["Payload"])
    records = b"".join(event["Records"]["Payload"] for event in events if "Records" in event)
    assert records == b'{"name":"Ann","age":31}\n{"name":"Cid, Jr","age":40}\n'
    stats = next(event["Stats"]["Details"] for event in events if "Stats" in event)
    assert stats["BytesReturned"] == len(records) and stats["BytesScanned"] == 36
    assert "End" in events[-1]


def test_select_sums_what_is_cast_to_a_number(s3, bucket):
    s3.put_object(Bucket=bucket, Key="scores.csv", Body=b"Name,Score\nalice,80\nbob,81\n")

    def select(expression):
        answer = s3.select_object_content(
            Bucket=bucket,
            Key="scores.csv",
            ExpressionType="SQL",
            Expression=expression,
            InputSerialization={"CSV": {"FileHeaderInfo": "USE"}},
            OutputSerialization={"CSV": {}},
        )
        return b"".join(event["Records"]["Payload"] for event in answer["Payload"] if "Records" in event)

    assert select("SELECT SUM(CAST(Score AS INT)), AVG(CAST(Score AS INT)) FROM S3Object") == b"161,80.5\n"
    with pytest.raises(ClientError) as failure:
        select("SELECT SUM(Score) FROM S3Object")
    assert failure.value.response["Error"]["Code"] == "ExternalEvalException"


@pytest.mark.parametrize(("kind", "pack"), [("GZIP", gzip.compress), ("BZIP2", bz2.compress)])
def test_select_unpacks_and_tells_how_far_it_is(s3, bucket, kind, pack):
    lines = [{"id": number, "tags": {"even": number % 2 == 0}} for number in range(50_000)]
    plain = "".join(json.dumps(line) + "\n" for line in lines).encode()
    packed = pack(plain)
    s3.put_object(Bucket=bucket, Key="lines", Body=packed)

    def select(expression, compression):
        answer = s3.select_object_content(
            Bucket=bucket,
            Key="lines",
            ExpressionType="SQL",
            Expression=expression,
            InputSerialization={"JSON": {"Type": "LINES"}, "CompressionType": compression},
            OutputSerialization={"CSV": {}},
            RequestProgress={"Enabled": True},
        )
        events = list(answer["Payload"])
        return b"".join(event["Records"]["Payload"] for event in events if "Records" in event), events

    records, events = select("SELECT s.id FROM S3Object s WHERE s.tags.even", kind)
    assert records == b"".join(b"%d\n" % number for number in range(0, 50_000, 2))
    progress = [event["Progress"]["Details"] for event in events if "Progress" in event]
    assert progress and progress[-1]["BytesScanned"] <= len(packed) and progress[-1]["BytesProcessed"] <= len(plain)
    stats = next(event["Stats"]["Details"] for event in events if "Stats" in event)
    assert stats == {"BytesScanned": len(packed), "BytesProcessed": len(plain), "BytesReturned": len(records)}
    assert select("SELECT COUNT(*) FROM S3Object", kind)[0] == b"50000\n"
    with pytest.raises(ClientError) as failure:
        select("SELECT * FROM S3Object", "GZIP" if kind == "BZIP2" else "BZIP2")
    assert failure.value.response["Error"]["Code"] == "InvalidCompressionFormat"


def test_the_transfer_manager_uploads_downloads_and_copies_in_parts(s3, bucket, tmp_path):
    settings = TransferConfig(multipart_threshold=5 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024, max_concurrency=8)
    content = os.urandom(23 * 1024 * 1024 + 5)
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(content)
    seen = []
    s3.upload_file(str(source), bucket, "file", Config=settings, Callback=seen.append, ExtraArgs={"Metadata": {"a": "b"}})
    assert sum(seen) == len(content)
    s3.download_file(bucket, "file", str(back), Config=settings)
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(content).digest()
    s3.copy({"Bucket": bucket, "Key": "file"}, bucket, "copy", Config=settings)
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert head["ContentLength"] == len(content) and head["Metadata"] == {"a": "b"} and head["ETag"].endswith('-5"')
    stream = io.BytesIO()
    s3.download_fileobj(bucket, "copy", stream, Config=settings)
    assert stream.getvalue() == content


def test_a_browser_form_uploads_what_its_policy_allows(s3, bucket):
    conditions = [["content-length-range", 1, 20], ["starts-with", "$key", "in/"], {"success_action_status": "201"}]
    form = s3.generate_presigned_post(
        bucket, "in/${filename}", Fields={"success_action_status": "201"}, Conditions=conditions, ExpiresIn=60
    )

    def post(content):
        boundary = "----boundary"
        body = b""
        for name, value in form["fields"].items():
            body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="photo.txt"\r\nContent-Type: text/plain\r\n\r\n'
        body += head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        request = urllib.request.Request(form["url"], data=body, method="POST")
        request.add_header("content-type", f"multipart/form-data; boundary={boundary}")
        return urllib.request.urlopen(request, timeout=30)

    with post(b"small enough") as answer:
        assert answer.status == 201 and b"<Key>in/photo.txt</Key>" in answer.read()
    assert s3.get_object(Bucket=bucket, Key="in/photo.txt")["Body"].read() == b"small enough"
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(b"much too long for this policy")
    assert refused.value.code == 400 and b"EntityTooLarge" in refused.value.read()


def test_directory_buckets_by_sessions(monkeypatch):
    # A name below `localhost` is not known to every resolver; by an address the SDK puts the bucket into the path.
    at = endpoint().replace("localhost", "127.0.0.1")
    name = f"{unique('dir')}--use1-az4--x-s3"
    # With an endpoint of one's own the SDK asks for a session even before there is a bucket, so not here.
    monkeypatch.setenv("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "true")
    plain = client("s3", at=at)
    plain.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={
            "Location": {"Type": "AvailabilityZone", "Name": "use1-az4"},
            "Bucket": {"Type": "Directory", "DataRedundancy": "SingleAvailabilityZone"},
        },
    )
    monkeypatch.delenv("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH")
    s3 = client("s3", at=at)
    try:
        s3.put_object(Bucket=name, Key="dir/one", Body=b"1")
        assert name in [bucket["Name"] for bucket in s3.list_directory_buckets()["Buckets"]]
        assert name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        s3.rename_object(Bucket=name, Key="dir/two", RenameSource=f"/{name}/dir/one")
        listed = s3.list_objects_v2(Bucket=name, Prefix="dir/")
        assert [entry["Key"] for entry in listed["Contents"]] == ["dir/two"]
        assert listed["Contents"][0]["StorageClass"] == "EXPRESS_ONEZONE"
        s3.delete_object(Bucket=name, Key="dir/two")
    finally:
        s3.delete_bucket(Bucket=name)
