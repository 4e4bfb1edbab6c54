"""Objects: what is stored comes back, whole, in part, or not at all when a condition says so."""

import datetime
import urllib.error
import urllib.request

import pytest
from botocore import httpchecksum
from botocore.exceptions import ClientError

from stack import client, unique


def status_of(failure):
    return failure.value.response["ResponseMetadata"]["HTTPStatusCode"]


def code_of(failure):
    return failure.value.response["Error"]["Code"]


def test_metadata_and_headers_come_back(s3, bucket):
    s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"text",
        ContentType="text/plain; charset=utf-8",
        CacheControl="max-age=60",
        ContentDisposition='attachment; filename="a.txt"',
        ContentEncoding="identity",
        ContentLanguage="de",
        Metadata={"Colour": "blue", "empty": ""},
    )
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["ContentType"] == "text/plain; charset=utf-8"
    assert got["CacheControl"] == "max-age=60"
    assert got["ContentDisposition"] == 'attachment; filename="a.txt"'
    assert got["ContentLanguage"] == "de"
    assert got["Metadata"] == {"colour": "blue", "empty": ""}
    assert got["ETag"] == '"1cb251ec0d568de6a929b520c4aed8d1"'
    assert abs(got["LastModified"] - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=1)
    over = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/css")
    assert over["ContentType"] == "text/css"


@pytest.mark.parametrize(
    "asked, body, range_of",
    [
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=5-100", b"56789", "bytes 5-9/10"),
    ],
)
def test_ranges(s3, bucket, asked, body, range_of):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
    assert (got["Body"].read(), got["ContentRange"], got["ContentLength"]) == (body, range_of, len(body))


def test_a_range_beyond_the_end(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    with pytest.raises(ClientError) as failure:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")
    assert (status_of(failure), code_of(failure)) == (416, "InvalidRange")


def test_conditional_get(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.get_object(Bucket=bucket, Key="k", IfMatch=put["ETag"])
    with pytest.raises(ClientError) as failure:
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=put["ETag"])
    assert status_of(failure) == 304
    with pytest.raises(ClientError) as failure:
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"other"')
    assert (status_of(failure), code_of(failure)) == (412, "PreconditionFailed")
    yesterday = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=-1)
    with pytest.raises(ClientError) as failure:
        s3.get_object(Bucket=bucket, Key="k", IfUnmodifiedSince=yesterday)
    assert status_of(failure) == 412


def test_conditional_put(s3, bucket):
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as failure:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert (status_of(failure), code_of(failure)) == (412, "PreconditionFailed")
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=first["ETag"])
    with pytest.raises(ClientError) as failure:
        s3.put_object(Bucket=bucket, Key="k", Body=b"4", IfMatch=first["ETag"])
    assert status_of(failure) == 412
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"
    with pytest.raises(ClientError) as failure:
        s3.put_object(Bucket=bucket, Key="missing", Body=b"", IfMatch=first["ETag"])
    assert (status_of(failure), code_of(failure)) == (404, "NoSuchKey")


def supported_checksums():
    """Every algorithm that the installed SDK can make and that S3's model takes."""
    model = client("s3").meta.service_model.shape_for("ChecksumAlgorithm").enum
    return [name for name in model if name.lower() in httpchecksum._SUPPORTED_CHECKSUM_ALGORITHMS]


@pytest.mark.parametrize("algorithm", supported_checksums())
def test_checksums(s3, bucket, algorithm):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello world", ChecksumAlgorithm=algorithm)
    member = f"Checksum{algorithm}"
    assert put[member]
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[member] == put[member]
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello world", "the SDK checks what it reads"
    with pytest.raises(ClientError) as failure:
        s3.put_object(Bucket=bucket, Key="k", Body=b"hello", **{member: put[member]})
    assert status_of(failure) == 400
    assert code_of(failure) == "BadDigest"


def test_the_default_checksum_is_kept(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello world")
    name = next(name for name in put if name.startswith("Checksum") and name != "ChecksumType")
    facts = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ObjectSize", "ETag"])
    assert facts["Checksum"][name] == put[name]
    assert facts["ObjectSize"] == 11


def test_a_stream_of_unknown_checksum_goes_in_chunks(s3, bucket, tmp_path):
    """A file body over plain HTTP is sent aws-chunked with a trailer; none of that may be stored."""
    path = tmp_path / "f"
    path.write_bytes(b"0123456789" * 100_000)
    with path.open("rb") as file:
        s3.put_object(Bucket=bucket, Key="k", Body=file, ChecksumAlgorithm="SHA256")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["ContentLength"] == 1_000_000
    assert "ContentEncoding" not in got or "aws-chunked" not in got["ContentEncoding"]
    assert got["Body"].read() == path.read_bytes()


def test_presigned_get_and_put(s3, bucket):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b+c", "ContentType": "text/x"})
    request = urllib.request.Request(url, data=b"by url", method="PUT", headers={"Content-Type": "text/x"})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b+c"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"by url"
        assert answer.headers["Content-Type"] == "text/x"


def test_a_presigned_url_of_signature_version_4(bucket):
    s3 = client("s3", signature_version="s3v4")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"x"


def test_copy(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from/ü +?", Body=b"copied", ContentType="text/x", Metadata={"a": "1"})
    copied = s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from/ü +?"})
    assert copied["CopyObjectResult"]["ETag"]
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"copied", "text/x", {"a": "1"})
    s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/to", MetadataDirective="REPLACE", Metadata={"b": "2"})
    assert s3.head_object(Bucket=bucket, Key="to")["Metadata"] == {"b": "2"}
    with pytest.raises(ClientError) as failure:
        s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/missing")
    assert code_of(failure) == "NoSuchKey"


def test_delete_of_many(s3, bucket):
    for number in range(20):
        s3.put_object(Bucket=bucket, Key=f"k{number}", Body=b"")
    names = [{"Key": f"k{number}"} for number in range(25)]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": names})
    assert len(answer["Deleted"]) == 25, "what is not there counts as deleted"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert "Deleted" not in s3.delete_objects(Bucket=bucket, Delete={"Objects": names, "Quiet": True})


def test_errors_are_s3s_own(s3, bucket):
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="missing")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket=unique("missing"))
    with pytest.raises(ClientError) as failure:
        s3.head_object(Bucket=bucket, Key="missing")
    assert (status_of(failure), code_of(failure)) == (404, "404")
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(ClientError) as failure:
        s3.delete_bucket(Bucket=bucket)
    assert (status_of(failure), code_of(failure)) == (409, "BucketNotEmpty")
    with pytest.raises(ClientError) as failure:
        s3.create_bucket(Bucket="No_Good_Name")
    assert code_of(failure) == "InvalidBucketName"


def test_buckets(s3, bucket):
    assert bucket in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=bucket).get("LocationConstraint") is None
    west = client("s3", region="eu-west-1")
    name = unique("west")
    west.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert west.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    with pytest.raises(ClientError) as failure:
        west.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert code_of(failure) == "BucketAlreadyOwnedByYou"
    west.delete_bucket(Bucket=name)


def test_a_client_of_another_region_is_led_to_the_bucket(s3):
    west = client("s3", region="eu-west-1")
    name = unique("west")
    west.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    redirects = []
    s3.meta.events.register("needs-retry.s3", lambda response, **_: redirects.append(response[0].status_code), "redirects")
    try:
        s3.put_object(Bucket=name, Key="k", Body=b"there")
        assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"there"
        assert s3.head_bucket(Bucket=name)["BucketRegion"] == "eu-west-1"
        assert [one["Key"] for one in s3.list_objects_v2(Bucket=name)["Contents"]] == ["k"]
        assert 301 in redirects, "the client was led there by a redirect"
    finally:
        s3.meta.events.unregister("needs-retry.s3", unique_id="redirects")
    west.delete_object(Bucket=name, Key="k")
    west.delete_bucket(Bucket=name)


def test_a_head_of_a_bucket_elsewhere_is_led_there():
    west = client("s3", region="eu-west-1")
    name = unique("west")
    west.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert client("s3").head_bucket(Bucket=name)["BucketRegion"] == "eu-west-1"
    presigned = client("s3", signature_version="s3v4").generate_presigned_url("list_objects_v2", Params={"Bucket": name})
    with pytest.raises(urllib.error.HTTPError) as failure:
        urllib.request.urlopen(presigned)
    assert (failure.value.code, failure.value.headers["x-amz-bucket-region"]) == (301, "eu-west-1")
    west.delete_bucket(Bucket=name)
