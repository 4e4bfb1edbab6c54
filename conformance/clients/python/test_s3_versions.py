"""Versions, locks and keys of one's own, as boto3 handles them."""

import datetime
import io
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from stack import client, resource, unique, wait_for

MIB = 1 << 20


@pytest.fixture
def versioned(s3):
    name = unique("versions")
    s3.create_bucket(Bucket=name)
    yield name
    bucket = resource("s3").Bucket(name)
    bucket.object_versions.delete()
    bucket.delete()


def versions(s3, bucket):
    """What a listing tells: ids and which is the latest, of versions and of markers."""
    listed = s3.list_object_versions(Bucket=bucket)
    told = lambda kind: [(one["VersionId"], one["IsLatest"]) for one in listed.get(kind, [])]
    return told("Versions"), told("DeleteMarkers")


def code(call, **options):
    with pytest.raises(ClientError) as failure:
        call(**options)
    return failure.value.response["ResponseMetadata"]["HTTPStatusCode"], failure.value.response["Error"]["Code"]


def switch(s3, bucket, status):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def test_null_versions_and_markers(s3, versioned):
    k = {"Bucket": versioned, "Key": "k"}
    assert "VersionId" not in s3.put_object(Body=b"before", **k)
    switch(s3, versioned, "Enabled")
    one = s3.put_object(Body=b"one", **k)["VersionId"]
    assert s3.get_object(VersionId="null", **k)["Body"].read() == b"before"
    marker = s3.delete_object(**k)
    assert marker["DeleteMarker"] is True
    assert versions(s3, versioned) == ([(one, False), ("null", False)], [(marker["VersionId"], True)])
    with pytest.raises(s3.exceptions.NoSuchKey) as failure:
        s3.get_object(**k)
    assert failure.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    assert code(s3.get_object, VersionId=marker["VersionId"], **k) == (405, "MethodNotAllowed")
    switch(s3, versioned, "Suspended")
    assert s3.put_object(Body=b"after", **k)["VersionId"] == "null"
    assert versions(s3, versioned) == ([("null", True), (one, False)], [(marker["VersionId"], False)])
    gone = s3.delete_object(**k)
    assert (gone["VersionId"], gone["DeleteMarker"]) == ("null", True), "it takes the null version's place"
    assert versions(s3, versioned) == ([(one, False)], [("null", True), (marker["VersionId"], False)])
    for marked in ("null", marker["VersionId"]):
        s3.delete_object(VersionId=marked, **k)
    assert s3.get_object(**k)["Body"].read() == b"one", "no marker hides it any longer"


def test_a_batch_with_versions_that_there_are_not(s3, versioned):
    switch(s3, versioned, "Enabled")
    gone = s3.put_object(Bucket=versioned, Key="k", Body=b"x")["VersionId"]
    kept = s3.put_object(Bucket=versioned, Key="k", Body=b"y")["VersionId"]
    for _ in range(2):
        answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k", "VersionId": gone}]})
        assert answer["Deleted"] == [{"Key": "k", "VersionId": gone}], "what has gone counts as deleted"
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k", "VersionId": no} for no in ("", "no-id")]})
    assert [(one["Code"], one["Message"]) for one in answer["Errors"]] == [("NoSuchVersion", "The specified version does not exist.")] * 2
    assert code(s3.delete_object, Bucket=versioned, Key="k", VersionId="no-id") == (400, "InvalidArgument")
    assert versions(s3, versioned) == ([(kept, True)], [])


def test_a_batch_deletes_no_locked_version(s3):
    bucket, key = unique("locked"), "k"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    held = s3.put_object(Bucket=bucket, Key=key, Body=b"held", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)["VersionId"]
    free = s3.put_object(Bucket=bucket, Key=key, Body=b"free")["VersionId"]
    both = {"Objects": [{"Key": key, "VersionId": held}, {"Key": key, "VersionId": free}]}
    answer = s3.delete_objects(Bucket=bucket, Delete=both)
    assert [one["VersionId"] for one in answer["Deleted"]] == [free]
    assert [(one["VersionId"], one["Code"]) for one in answer["Errors"]] == [(held, "AccessDenied")]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"held"
    answer = s3.delete_objects(Bucket=bucket, Delete=both, BypassGovernanceRetention=True)
    assert "Errors" not in answer
    s3.delete_bucket(Bucket=bucket)


def test_the_transfer_manager_with_a_key_of_ones_own(s3, bucket):
    """Every part is encrypted under the key, and every part that is read needs it."""
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    other = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "o" * 32}
    settings = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    content = os.urandom(11 * MIB)
    assert code(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **key) == (403, "AccessDenied"), "as every bucket since April 2026"
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.upload_fileobj(io.BytesIO(content), bucket, "k", ExtraArgs=key, Config=settings)
    back = io.BytesIO()
    s3.download_fileobj(bucket, "k", back, ExtraArgs=key, Config=settings)
    assert back.getvalue() == content
    assert s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}", **key)["Body"].read() == content[5 * MIB - 2 : 5 * MIB + 2]
    assert code(s3.get_object, Bucket=bucket, Key="k") == (400, "InvalidRequest")
    assert code(s3.get_object, Bucket=bucket, Key="k", **other) == (403, "AccessDenied")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", **key)["UploadId"]
    part = {"Bucket": bucket, "Key": "parts", "UploadId": upload, "PartNumber": 1}
    for wrong in ({}, other):
        assert code(s3.upload_part, Body=b"x", **part, **wrong) == (400, "InvalidRequest")
    source = {f"CopySource{name}": value for name, value in key.items()}
    copied = s3.upload_part_copy(CopySource=f"{bucket}/k", CopySourceRange="bytes=0-9", **part, **key, **source)
    etag = copied["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **key)
    assert s3.get_object(Bucket=bucket, Key="parts", **key)["Body"].read() == content[:10]
    s3.copy_object(Bucket=bucket, Key="plain", CopySource=f"{bucket}/k", **source)
    assert s3.get_object(Bucket=bucket, Key="plain")["Body"].read() == content


def test_conditions_of_deletes_copies_and_completes(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    assert code(s3.delete_object, Bucket=bucket, Key="k", IfMatch='"other"') == (412, "PreconditionFailed")
    assert code(s3.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}/k", CopySourceIfNoneMatch=etag) == (412, "PreconditionFailed")
    s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k", IfNoneMatch="*", CopySourceIfMatch=etag)
    assert code(s3.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}/k", IfNoneMatch="*") == (412, "PreconditionFailed")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = {"Bucket": bucket, "Key": "parts", "UploadId": upload, "PartNumber": 1, "CopySource": f"{bucket}/k"}
    assert code(s3.upload_part_copy, CopySourceIfMatch='"other"', **part) == (412, "PreconditionFailed")
    assert s3.upload_part_copy(CopySourceIfMatch=etag, **part)["CopyPartResult"]["ETag"] == etag

    def complete(**condition):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"parts")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        return s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts, **condition)

    assert code(complete, IfNoneMatch="*") == (412, "PreconditionFailed")
    done = complete(IfMatch=etag)["ETag"]
    assert code(complete, IfMatch=etag) == (412, "PreconditionFailed")
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=done)
    assert code(s3.head_object, Bucket=bucket, Key="k") == (404, "404")
    complete(IfNoneMatch="*")


@pytest.mark.parametrize("size", [4, 200_000])
def test_one_of_many_makes_or_replaces_a_key(s3, bucket, size):
    def put(number, **condition):
        try:
            return s3.put_object(Bucket=bucket, Key="k", Body=b"%04d" % number * (size // 4), **condition)["ETag"]
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict")

    condition = {"IfNoneMatch": "*"}
    # No body is sent twice: what is equal has the same entity tag, and meets the condition again.
    for numbers in (range(16), range(16, 32)):
        with ThreadPoolExecutor(8) as pool:
            [etag] = [made for made in pool.map(lambda number: put(number, **condition), numbers) if made]
        assert s3.head_object(Bucket=bucket, Key="k")["ETag"] == etag
        condition = {"IfMatch": etag}


def test_replicas_in_another_account_and_region():
    lane, source, target = unique("lane"), "source", "target"
    s3 = client("s3", lane=lane)
    there = client("s3", lane=lane, region="eu-west-1", keys={"aws_access_key_id": "444455556666", "aws_secret_access_key": "test"})
    s3.create_bucket(Bucket=source)
    there.create_bucket(Bucket=target, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}, ObjectOwnership="ObjectWriter")
    switch(s3, source, "Enabled")
    switch(there, target, "Enabled")
    rule = {"Status": "Enabled", "DeleteMarkerReplication": {"Status": "Enabled"}}
    destination = {"Bucket": f"arn:aws:s3:::{target}"}
    given = {"Account": "444455556666", "AccessControlTranslation": {"Owner": "Destination"}, "StorageClass": "STANDARD_IA"}
    rules = [
        {**rule, "ID": "kept", "Priority": 1, "Filter": {"Prefix": "kept/"}, "Destination": destination},
        {**rule, "ID": "given", "Priority": 2, "Filter": {"Prefix": "given/"}, "Destination": {**destination, **given}},
    ]
    role = "arn:aws:iam::000000000000:role/replication"
    s3.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rules": rules})
    accounts = [one.list_buckets()["Owner"]["ID"] for one in (s3, there)]
    keys = ("kept/k", "given/k")
    ids = [s3.put_object(Bucket=source, Key=key, Body=key.encode(), Metadata={"a": "1"})["VersionId"] for key in keys]
    s3.put_object(Bucket=source, Key="other", Body=b"stays")

    def status(key, version):
        return s3.head_object(Bucket=source, Key=key, VersionId=version)["ReplicationStatus"]

    for key, version in zip(keys, ids):
        wait_for(lambda: status(key, version) == "COMPLETED")
    # What stays its source's owner's is read by who owns it; what was given away by the account that it is in.
    for key, version, reader, owner, kind in zip(keys, ids, (s3, there), accounts, (None, "STANDARD_IA")):
        where = {"Bucket": target, "Key": key, "VersionId": version}
        replica = reader.get_object(**where)
        assert (replica["Body"].read(), replica["Metadata"], replica["ReplicationStatus"]) == (key.encode(), {"a": "1"}, "REPLICA")
        assert replica.get("StorageClass") == kind
        assert reader.get_object_acl(**where)["Owner"]["ID"] == owner
    assert "ReplicationStatus" not in s3.head_object(Bucket=source, Key="other")
    marker = s3.delete_object(Bucket=source, Key="given/k")["VersionId"]
    wait_for(lambda: (marker, True) in versions(there, target)[1])
    assert sorted(version for version, _ in versions(there, target)[0]) == sorted(ids), "and nothing else"
