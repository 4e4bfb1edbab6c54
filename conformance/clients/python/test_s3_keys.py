"""Keys as people write them, listings of them, and the two forms of a bucket's address."""

import http.client
import urllib.parse

import pytest

from stack import client, endpoint

ODD = [
    "a+b",
    "a b",
    "what?",
    "/leading",
    "trailing/",
    "a//b",
    "..",
    "../up",
    "a/../b",
    "./dot",
    "ünï/çødé/日本語",
    "%2F",
    "100%",
    "a&b=c",
    "a#b",
    "quote'\"",
    "<tag>",
    "back\\slash",
    "~tilde",
    "semi;colon:at@",
    "emoji-🦀",
    ".well-known/acme-challenge/token",
    "x" * 1024,
]


@pytest.mark.parametrize("key", ODD, ids=lambda key: ascii(key[:16]))
def test_an_odd_key(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert [one["Key"] for one in answer["Deleted"]] == [key]
    assert [one["Key"] for one in s3.list_objects(Bucket=bucket)["Contents"]] == ["copy"]


def test_a_key_that_xml_cannot_tell(s3, bucket):
    """Listings tell it URL-encoded, which boto3 asks for; a batch of deletes has no form for it."""
    key = "control\x01\x1f"
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for listing in (s3.list_objects_v2, s3.list_objects):
        assert [one["Key"] for one in listing(Bucket=bucket)["Contents"]] == [key]
    assert [one["Key"] for one in s3.list_object_versions(Bucket=bucket)["Versions"]] == [key]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"
    s3.delete_object(Bucket=bucket, Key=key)


def test_odd_keys_are_each_their_own(s3, bucket):
    for key in ODD:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == sorted(ODD, key=lambda key: key.encode()), "in the order of their bytes"


def test_pages_with_a_delimiter(s3, bucket):
    for number in range(5):
        for name in ("x", "y"):
            s3.put_object(Bucket=bucket, Key=f"dir{number}/{name}", Body=b"")
        s3.put_object(Bucket=bucket, Key=f"file{number}", Body=b"")
    for operation in ("list_objects_v2", "list_objects"):
        pages = list(s3.get_paginator(operation).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 3}))
        assert len(pages) == 4, operation
        assert [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])] == [f"dir{n}/" for n in range(5)]
        assert [one["Key"] for page in pages for one in page.get("Contents", [])] == [f"file{n}" for n in range(5)]
    inside = s3.list_objects_v2(Bucket=bucket, Prefix="dir2/", Delimiter="/")
    assert [one["Key"] for one in inside["Contents"]] == ["dir2/x", "dir2/y"]
    after = s3.list_objects_v2(Bucket=bucket, StartAfter="dir4/y", MaxKeys=2)
    assert [one["Key"] for one in after["Contents"]] == ["file0", "file1"]
    assert after["IsTruncated"] is True


def ask(method, host, path, body=None):
    """The Host header says the bucket; the connection goes to the stack, whatever the machine resolves."""
    url = urllib.parse.urlsplit(endpoint())
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    # Who sends no credentials reads public buckets only; what the signature says is not checked here.
    signed = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64
    headers = {"Host": f"{host}:{url.port}", "Authorization": signed, "X-Amz-Date": "20260101T000000Z", "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


@pytest.mark.parametrize("form", ["{}.s3.localhost", "{}.s3.us-east-1.localhost", "{}.s3.localhost.localstack.cloud", "{}.s3.amazonaws.com"])
def test_virtual_host_style(s3, bucket, form):
    host = form.format(bucket)
    assert ask("PUT", host, "/dir/a%20b%2Bc", b"vhost")[0] == 200
    assert s3.get_object(Bucket=bucket, Key="dir/a b+c")["Body"].read() == b"vhost"
    assert ask("GET", host, "/dir/a%20b%2Bc") == (200, b"vhost")
    status, listing = ask("GET", host, "/?list-type=2")
    assert status == 200 and b"<Key>dir/a b+c</Key>" in listing


def test_a_client_that_insists_on_virtual_hosts(bucket, hosts):
    """boto3 with addressing_style=virtual: the name is resolved for it, as DNS would."""
    s3 = client("s3", s3={"addressing_style": "virtual"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
