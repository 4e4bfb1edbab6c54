"""What S3 refuses, and what it leaves out: limits, owners, parts of a bucket that there are not, browsers from elsewhere."""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from botocore.exceptions import ClientError

from stack import admin, client, endpoint, unique, wait_for


def refused(call, **options):
    with pytest.raises(ClientError) as failure:
        call(**options)
    answer = failure.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def send(method, url, headers, body=None):
    """A request as it is: its status, headers and body."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def signed(call, bucket, **more):
    """The URL of a call, signed."""
    return client("s3", signature_version="s3v4").generate_presigned_url(call, Params={"Bucket": bucket, **more}, ExpiresIn=60)


def test_a_piece_has_no_checksum_of_the_whole(s3, bucket):
    """A client that compared it with what it got would fail."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789", ChecksumAlgorithm="CRC32")
    whole = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert whole["ChecksumCRC32"] and whole["ChecksumType"] == "FULL_OBJECT"
    piece = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", Range="bytes=2-4")
    assert (piece["ResponseMetadata"]["HTTPStatusCode"], piece["Body"].read()) == (206, b"234")
    assert not [name for name in piece["ResponseMetadata"]["HTTPHeaders"] if name.startswith("x-amz-checksum-crc")]


def test_a_signed_url_ends_and_says_one_thing_alone():
    """By both versions of signatures: the key is one that the stack has issued, so its secret is known."""
    lane = unique("lane")
    here = {"x-fractus-lane": lane}
    issued = client("sts", lane=lane).get_session_token()["Credentials"]
    names = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey", "aws_session_token": "SessionToken"}
    keys = {name: issued[theirs] for name, theirs in names.items()}
    v4, v2 = (client("s3", lane=lane, keys=keys, signature_version=version) for version in ("s3v4", "s3"))
    v4.create_bucket(Bucket="signed")
    v4.put_object(Bucket="signed", Key="k", Body=b"by url")
    urls = [s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "k"}, ExpiresIn=300) for s3 in (v4, v2)]
    # A URL of version 2 does not say when it was signed, so a clock that is moved does not age it.
    short = v2.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "k"}, ExpiresIn=0)
    made = int(time.time())
    assert ["AWS4-HMAC-SHA256" in url for url in urls] == [True, False]
    for url in urls:
        assert send("GET", url, here)[::2] == (200, b"by url")
        for wrong in (url.replace("/k?", "/other?"), url.replace("ignature=", "ignature=0")):
            status, _, said = send("GET", wrong, here)
            assert status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in said, said
        assert send("DELETE", url, here)[0] == 403
    # What is signed in the second in which a clock is moved counts as signed after it.
    wait_for(lambda: int(time.time()) > made)
    assert admin("/_fractus/clock", {"lane": lane, "action": "advance", "seconds": 301})[0] == 200
    for url in (urls[0], short):
        status, _, said = send("GET", url, here)
        assert status == 403 and b"<Message>Request has expired</Message>" in said, said
    assert admin(f"/_fractus/clock?lane={lane}", {"action": "reset", "lane": lane})[0] == 200


def test_user_metadata_has_two_kibibytes(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Metadata={"ab": "x" * 2046})
    assert len(s3.head_object(Bucket=bucket, Key="k")["Metadata"]["ab"]) == 2046
    for call in (s3.put_object, s3.create_multipart_upload):
        assert refused(call, Bucket=bucket, Key="k", Metadata={"ab": "x" * 2047}) == (400, "MetadataTooLarge")


def test_a_key_has_1024_bytes(s3, bucket):
    assert refused(s3.put_object, Bucket=bucket, Key="é" * 512 + "x", Body=b"") == (400, "KeyTooLongError")
    s3.put_object(Bucket=bucket, Key="é" * 512, Body=b"")
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["é" * 512]


def test_parts_are_numbered_to_10000(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    for number in (0, 10_001):
        assert refused(s3.upload_part, PartNumber=number, Body=b"x", **part) == (400, "InvalidArgument")
    etag = s3.upload_part(PartNumber=10_000, Body=b"last", **part)["ETag"]
    s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 10_000, "ETag": etag}]}, **part)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"last"


@pytest.mark.parametrize(("length", "path"), [(5 * 1024**3 + 1, "k"), (5 * 1024**3 + 1, "k?partNumber=1&uploadId={}"), (6 * 1024**4, "k")])
def test_more_than_five_gibibytes_are_refused_before_they_are_sent(s3, bucket, length, path):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    place = urllib.parse.urlsplit(endpoint())
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    connection.putrequest("PUT", f"/{bucket}/{path.format(upload)}")
    credential = "Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64
    for name, value in {
        "Authorization": f"AWS4-HMAC-SHA256 {credential}",
        "X-Amz-Date": "20260101T000000Z",
        "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
        "Content-Length": str(length),
        "Expect": "100-continue",
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    assert answer.status == 400 and b"<Code>EntityTooLarge</Code>" in said and b"<MaxSizeAllowed>5368709120<" in said, said


def test_whoever_expects_another_owner_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    other = {"Bucket": bucket, "ExpectedBucketOwner": "444455556666"}
    for call, more in (
        (s3.get_object, {"Key": "k"}),
        (s3.put_object, {"Key": "k", "Body": b"other"}),
        (s3.delete_object, {"Key": "k"}),
        (s3.delete_objects, {"Delete": {"Objects": [{"Key": "k"}]}}),
        (s3.list_objects_v2, {}),
        (s3.create_multipart_upload, {"Key": "k"}),
        (s3.put_bucket_versioning, {"VersioningConfiguration": {"Status": "Enabled"}}),
        (s3.delete_bucket, {}),
    ):
        assert refused(call, **other, **more) == (403, "AccessDenied"), call.__name__
    source = {"CopySource": f"{bucket}/k", "ExpectedSourceBucketOwner": "444455556666"}
    assert refused(s3.copy_object, Bucket=bucket, Key="copy", **source) == (403, "AccessDenied")
    own = {"ExpectedBucketOwner": "000000000000"}
    assert s3.get_object(Bucket=bucket, Key="k", **own)["Body"].read() == b"x"
    assert refused(s3.get_object, Bucket=bucket, Key="k", ExpectedBucketOwner="me") == (400, "InvalidBucketOwnerAWSAccountID")


@pytest.mark.parametrize("part", ["bogus", "publicAccessBlocks", "policyStatus", "location", "x-new"])
def test_a_part_that_there_is_not_makes_and_deletes_nothing(s3, bucket, part):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    name = unique("never")
    for method, call, target, key in (
        ("PUT", "create_bucket", name, {}),
        ("DELETE", "delete_bucket", bucket, {}),
        ("PUT", "put_object", bucket, {"Key": "k"}),
        ("DELETE", "delete_object", bucket, {"Key": "k"}),
    ):
        head, _, query = signed(call, target, **key).partition("?")
        status, _, said = send(method, f"{head}?{part}&{query}", {}, b"" if method == "PUT" else None)
        assert status == 405 and b"<Code>MethodNotAllowed</Code>" in said, (method, target, key, status, said)
    assert refused(s3.list_objects_v2, Bucket=name) == (404, "NoSuchBucket")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_a_browser_asks_before_it_puts_by_a_signed_url(s3, bucket):
    rule = {
        "AllowedOrigins": ["https://app.example"],
        "AllowedMethods": ["PUT", "GET"],
        "AllowedHeaders": ["content-type", "x-amz-*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 60,
    }
    url = signed("put_object", bucket, Key="a b+c", ContentType="text/plain")
    asks = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,x-amz-meta-a",
    }
    assert send("OPTIONS", url, asks)[0] == 403, "no rules yet"
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    status, headers, _ = send("OPTIONS", url, asks)
    assert status == 200
    assert headers["access-control-allow-origin"] == "https://app.example"
    assert headers["access-control-allow-methods"] == "PUT, GET"
    assert headers["access-control-allow-headers"] == "content-type, x-amz-meta-a"
    assert headers["access-control-max-age"] == "60"
    for wrong in ({"Origin": "https://other.example"}, {"Access-Control-Request-Method": "DELETE"}, {"Access-Control-Request-Headers": "x-other"}):
        assert send("OPTIONS", url, {**asks, **wrong})[0] == 403, wrong
    status, headers, _ = send("PUT", url, {"Origin": "https://app.example", "Content-Type": "text/plain"}, b"by a browser")
    assert (status, headers["access-control-allow-origin"], headers["access-control-expose-headers"]) == (200, "https://app.example", "ETag")
    # What fails has to be readable for the page, too.
    status, headers, _ = send("GET", signed("get_object", bucket, Key="missing"), {"Origin": "https://app.example"})
    assert (status, headers["access-control-allow-origin"]) == (404, "https://app.example")
    assert s3.get_object(Bucket=bucket, Key="a b+c")["Body"].read() == b"by a browser"


def test_a_location_is_said_everywhere_but_in_the_first_region(s3):
    def create(region, *location):
        there = client("s3", region=region)
        name = unique("where")
        more = {"CreateBucketConfiguration": {"LocationConstraint": location[0]}} if location else {}
        there.create_bucket(Bucket=name, **more)
        told = there.get_bucket_location(Bucket=name).get("LocationConstraint")
        there.delete_bucket(Bucket=name)
        return told

    assert create("us-east-1") is None
    assert create("eu-central-1", "eu-central-1") == "eu-central-1"
    for region, location, code in (
        ("us-east-1", ("us-east-1",), "InvalidLocationConstraint"),
        ("us-east-1", ("nowhere-1",), "InvalidLocationConstraint"),
        ("eu-west-1", (), "IllegalLocationConstraintException"),
        ("eu-west-1", ("eu-central-1",), "IllegalLocationConstraintException"),
    ):
        with pytest.raises(ClientError) as failure:
            create(region, *location)
        assert failure.value.response["Error"]["Code"] == code, (region, location)


def test_torrents_are_no_more(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert refused(s3.get_object_torrent, Bucket=bucket, Key="k") == (405, "MethodNotAllowed")
