"""A change of an object reaches the queue that asked for it."""

import json
import statistics
import time

import pytest
from botocore.exceptions import ClientError

from stack import receive_until


@pytest.fixture
def events(sqs, queue):
    """Receives the records of `count` events, in the order they came."""

    def take(count):
        messages = [json.loads(message["Body"]) for message in receive_until(sqs, queue, count)]
        return [record for message in messages for record in message.get("Records", [message])]

    return take


def configure(s3, bucket, arn, events, **filters):
    entry = {"Id": "mine", "QueueArn": arn, "Events": events}
    if filters:
        entry["Filter"] = {"Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in filters.items()]}}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [entry]})


def test_created_and_removed_with_a_filter(s3, bucket, queue, queue_arn, events):
    configure(s3, bucket, queue_arn(queue), ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"], prefix="in/", suffix=".jpg")
    [test] = events(1)
    assert test["Event"] == "s3:TestEvent" and test["Bucket"] == bucket and test["Service"] == "Amazon S3"
    s3.put_object(Bucket=bucket, Key="out/a.jpg", Body=b"no")
    s3.put_object(Bucket=bucket, Key="in/a.png", Body=b"no")
    put = s3.put_object(Bucket=bucket, Key="in/a b+ü.jpg", Body=b"yes")
    [record] = events(1)
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["eventSource"] == "aws:s3"
    assert record["awsRegion"] == "us-east-1"
    assert record["s3"]["configurationId"] == "mine"
    assert record["s3"]["bucket"]["name"] == bucket
    assert record["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{bucket}"
    assert record["s3"]["object"]["key"] == "in/a+b%2B%C3%BC.jpg", "form-encoded, as S3 does"
    assert record["s3"]["object"]["size"] == 3
    assert record["s3"]["object"]["eTag"] == put["ETag"].strip('"')
    s3.copy_object(Bucket=bucket, Key="in/b.jpg", CopySource=f"{bucket}/out/a.jpg")
    assert events(1)[0]["eventName"] == "ObjectCreated:Copy"
    s3.delete_object(Bucket=bucket, Key="in/b.jpg")
    assert events(1)[0]["eventName"] == "ObjectRemoved:Delete"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="in/c.jpg")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="in/c.jpg", UploadId=upload, PartNumber=1, Body=b"part")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(Bucket=bucket, Key="in/c.jpg", UploadId=upload, MultipartUpload={"Parts": parts})
    assert events(1)[0]["eventName"] == "ObjectCreated:CompleteMultipartUpload"


def test_configuration_comes_back(s3, bucket, queue, queue_arn):
    configure(s3, bucket, queue_arn(queue), ["s3:ObjectCreated:*"], prefix="in/")
    [kept] = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert kept["QueueArn"] == queue_arn(queue)
    assert kept["Events"] == ["s3:ObjectCreated:*"]
    assert [rule["Value"] for rule in kept["Filter"]["Key"]["FilterRules"]] == ["in/"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


def test_a_queue_that_is_not_there_is_refused(s3, bucket, queue, queue_arn):
    with pytest.raises(ClientError) as failure:
        configure(s3, bucket, queue_arn(queue) + "-missing", ["s3:ObjectCreated:*"])
    assert failure.value.response["Error"]["Code"] == "InvalidArgument"


def test_latency(s3, sqs, bucket, queue, queue_arn, events, record_property):
    configure(s3, bucket, queue_arn(queue), ["s3:ObjectCreated:*"])
    events(1)
    import threading

    took = []
    for number in range(50):
        arrived = {}

        def wait():
            [message] = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
            arrived["at"] = time.perf_counter()
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

        receiver = threading.Thread(target=wait)
        receiver.start()
        started = time.perf_counter()
        s3.put_object(Bucket=bucket, Key=str(number), Body=b"")
        receiver.join(30)
        took.append(arrived["at"] - started)
    median = statistics.median(took)
    record_property("put_to_message_median_ms", round(median * 1000, 2))
    # boto3 itself takes most of this; scripts/bench measures it closely.
    assert median < 0.25, f"{median * 1000:.1f} ms"
