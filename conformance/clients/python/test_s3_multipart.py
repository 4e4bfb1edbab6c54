"""Multipart uploads, step by step and by the transfer manager."""

import io

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

MIB = 1 << 20


def test_step_by_step(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ContentType="text/x", Metadata={"a": "1"})["UploadId"]
    parts = []
    for number, body in ((1, b"a" * 5 * MIB), (2, b"b" * 5 * MIB), (7, b"end")):
        part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    listed = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"]
    assert [(one["PartNumber"], one["Size"]) for one in listed] == [(1, 5 * MIB), (2, 5 * MIB), (7, 3)]
    assert [one["Key"] for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["k"]
    done = s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert done["ETag"].endswith('-3"')
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"a" * 5 * MIB + b"b" * 5 * MIB + b"end"
    assert (got["ContentType"], got["Metadata"]) == ("text/x", {"a": "1"})
    second = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert second["PartsCount"] == 3
    assert second["Body"].read() == b"b" * 5 * MIB


def test_a_part_that_is_too_small(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    parts = []
    for number in (1, 2):
        part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=b"small")
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    for wrong, code in (
        (parts, "EntityTooSmall"),
        (parts[::-1], "InvalidPartOrder"),
        ([{"PartNumber": 1, "ETag": '"0"'}], "InvalidPart"),
    ):
        with pytest.raises(ClientError) as failure:
            s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": wrong})
        assert failure.value.response["Error"]["Code"] == code
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    with pytest.raises(s3.exceptions.NoSuchUpload):
        s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)


def test_upload_part_copy(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789" * MIB)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    parts = []
    for number, span in ((1, f"bytes=0-{5 * MIB - 1}"), (2, "bytes=0-9")):
        part = s3.upload_part_copy(
            Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, CopySource=f"{bucket}/source", CopySourceRange=span
        )
        parts.append({"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=-10")["Body"].read() == b"0123456789"
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 5 * MIB + 10


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC64NVME", "SHA256"])
def test_transfer_manager_with_checksums(s3, bucket, algorithm):
    content = bytes(range(256)) * 50_000
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(content), bucket, "k", Config=config, ExtraArgs={"ChecksumAlgorithm": algorithm})
    back = io.BytesIO()
    s3.download_fileobj(bucket, "k", back, Config=config)
    assert back.getvalue() == content
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"]
    assert head["ChecksumType"] == ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")


def test_managed_copy_of_a_large_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"x" * (11 * MIB))
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.copy({"Bucket": bucket, "Key": "source"}, bucket, "k", Config=config)
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 11 * MIB
