"""What a newcomer types first, in Python."""

import io
import urllib.request

from boto3.dynamodb.conditions import Key
from stack import endpoint, resource, unique


def test_sts_get_caller_identity(sts):
    identity = sts.get_caller_identity()
    assert identity["Account"] == "000000000000"
    assert identity["Arn"].startswith("arn:aws:")
    assert identity["UserId"]


def test_upload_file_of_50_mb(s3, bucket, tmp_path):
    """Multipart, threads, checksums, Expect: 100-continue: boto3's defaults."""
    source = tmp_path / "50MB.bin"
    block = bytes(range(256)) * 4096
    with source.open("wb") as file:
        for number in range(50):
            file.write(number.to_bytes(4, "big") + block[4:])
    s3.upload_file(str(source), bucket, "big")
    head = s3.head_object(Bucket=bucket, Key="big")
    assert head["ContentLength"] == 50 << 20
    assert head["ETag"].endswith('-7"'), "7 parts of 8 MiB"
    copy = tmp_path / "copy.bin"
    s3.download_file(bucket, "big", str(copy))
    assert copy.read_bytes() == source.read_bytes()


# What a bucket takes whose owner owns all that is in it, as every new one does.
OWNERS = "bucket-owner-full-control"


def test_generate_presigned_post(s3, bucket):
    form = s3.generate_presigned_post(bucket, "k", Fields={"acl": OWNERS}, Conditions=[{"acl": OWNERS}])
    assert post_form(form, b"from a browser") == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"from a browser"


def post_form(form, content):
    boundary = unique("boundary")
    body = io.BytesIO()
    for name, value in form["fields"].items():
        body.write(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    body.write(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n'.encode())
    body.write(content + f"\r\n--{boundary}--\r\n".encode())
    request = urllib.request.Request(
        form["url"], data=body.getvalue(), headers={"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )
    with urllib.request.urlopen(request) as answer:
        return answer.status


def test_range_of_an_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789abcdef")
    answer = s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-9")
    assert answer["Body"].read() == b"0123456789"
    assert answer["ContentRange"] == "bytes 0-9/16"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_waiters_and_paginators(s3, sqs, bucket, queue):
    s3.get_waiter("bucket_exists").wait(Bucket=bucket, WaiterConfig={"Delay": 1, "MaxAttempts": 3})
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key="k", WaiterConfig={"Delay": 1, "MaxAttempts": 3})
    name = queue.rsplit("/", 1)[1]
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=name)
    assert [url for page in pages for url in page["QueueUrls"]] == [queue]


def test_queue_url_is_of_the_callers_host(sqs, queue):
    name = queue.rsplit("/", 1)[1]
    assert queue == f"{endpoint()}/000000000000/{name}"
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == queue


def test_query_of_a_table():
    dynamodb = resource("dynamodb")
    table = dynamodb.create_table(
        TableName=unique("t"),
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "s", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table.wait_until_exists()
    with table.batch_writer() as batch:
        for number in range(30):
            batch.put_item(Item={"p": "a", "s": number, "data": {"list": [number, None, b"\0"]}})
    answer = dynamodb.Table(table.name).query(KeyConditionExpression=Key("p").eq("a") & Key("s").between(10, 19), ScanIndexForward=False)
    assert [int(item["s"]) for item in answer["Items"]] == list(range(19, 9, -1))
    assert answer["Items"][0]["data"]["list"][1:] == [None, b"\0"]
    table.delete()
    table.wait_until_not_exists()
