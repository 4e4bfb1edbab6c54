"""boto3's resources: objects that make calls of their own."""

import io

import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from stack import resource, unique


def test_a_buckets_objects():
    bucket = resource("s3").Bucket(unique("bucket"))
    bucket.create()
    bucket.wait_until_exists()
    for number in range(5):
        bucket.put_object(Key=f"p/{number}", Body=str(number).encode())
    assert [one.key for one in bucket.objects.filter(Prefix="p/").page_size(2)] == [f"p/{number}" for number in range(5)]
    copy = bucket.Object("copy")
    copy.copy({"Bucket": bucket.name, "Key": "p/3"})
    assert copy.get()["Body"].read() == b"3" and copy.content_length == 1
    target = io.BytesIO()
    bucket.download_fileobj("copy", target)
    assert target.getvalue() == b"3"
    bucket.objects.all().delete()
    assert list(bucket.objects.all()) == []
    bucket.delete()
    bucket.wait_until_not_exists()


def test_versions_of_an_object():
    bucket = resource("s3").Bucket(unique("bucket"))
    bucket.create()
    bucket.Versioning().enable()
    first = bucket.put_object(Key="k", Body=b"1").version_id
    bucket.put_object(Key="k", Body=b"2")
    assert bucket.Object("k").get(VersionId=first)["Body"].read() == b"1"
    bucket.Object("k").delete()
    assert len(list(bucket.object_versions.filter(Prefix="k"))) == 3
    bucket.object_versions.delete()
    bucket.delete()


def test_the_transfer_manager_tells_its_progress():
    """Threads, parts and callbacks; a short file in one piece."""
    bucket = resource("s3").Bucket(unique("bucket"))
    bucket.create()
    content = bytes(range(256)) * (13 << 12)
    seen = []
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=3)
    bucket.upload_fileobj(io.BytesIO(content), "big", Config=config, Callback=seen.append, ExtraArgs={"ContentType": "text/x", "ChecksumAlgorithm": "CRC32C"})
    assert sum(seen) == len(content)
    big = bucket.Object("big")
    assert big.content_type == "text/x" and big.e_tag.endswith('-3"')
    target = io.BytesIO()
    big.download_fileobj(target, Config=config)
    assert target.getvalue() == content
    bucket.objects.all().delete()
    bucket.delete()


def test_a_queues_messages():
    queue = resource("sqs").create_queue(QueueName=unique("q"), Attributes={"VisibilityTimeout": "60"})
    queue.send_messages(Entries=[{"Id": str(number), "MessageBody": str(number)} for number in range(3)])
    got = []
    for _ in range(10):
        got += queue.receive_messages(MaxNumberOfMessages=10, WaitTimeSeconds=1)
        if len(got) == 3:
            break
    assert sorted(message.body for message in got) == ["0", "1", "2"]
    got[0].change_visibility(VisibilityTimeout=120)
    assert not queue.delete_messages(Entries=[{"Id": message.message_id, "ReceiptHandle": message.receipt_handle} for message in got]).get("Failed")
    queue.load()
    assert queue.attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
    queue.delete()


def test_a_tables_items():
    dynamodb = resource("dynamodb")
    table = dynamodb.create_table(
        TableName=unique("t"),
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table.wait_until_exists()
    table.put_item(Item={"p": "a", "n": 1}, ConditionExpression=Attr("p").not_exists())
    with pytest.raises(ClientError, match="ConditionalCheckFailedException"):
        table.put_item(Item={"p": "a"}, ConditionExpression=Attr("p").not_exists())
    new = table.update_item(Key={"p": "a"}, UpdateExpression="SET n = n + :one", ExpressionAttributeValues={":one": 1}, ReturnValues="ALL_NEW")
    assert new["Attributes"] == {"p": "a", "n": 2}
    assert table.scan(FilterExpression=Attr("n").gt(1) & Key("p").eq("a"))["Count"] == 1
    assert dynamodb.batch_get_item(RequestItems={table.name: {"Keys": [{"p": "a"}]}})["Responses"][table.name][0]["n"] == 2
    table.delete()
    table.wait_until_not_exists()
