"""A service that points elsewhere: requests go there, and so do the events of the services here."""

import json

from stack import client, receive_until

ACCOUNT = "000000000000"


def test_a_notification_reaches_a_queue_elsewhere(own_stack):
    there = own_stack(services=("sqs",))
    here = own_stack("--target", f"sqs={there.url}", services=("s3",))
    # Through the router here, the queue is made there.
    queue = client("sqs", at=here.url).create_queue(QueueName="events")["QueueUrl"]
    [kept] = client("sqs", at=there.url).list_queues()["QueueUrls"]
    assert kept.endswith(f"/{ACCOUNT}/events") and queue.endswith(f"/{ACCOUNT}/events")

    s3 = client("s3", at=here.url)
    s3.create_bucket(Bucket="bucket")
    configuration = {"QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:events", "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket="bucket", NotificationConfiguration={"QueueConfigurations": [configuration]})
    sqs = client("sqs", at=there.url)
    [test] = receive_until(sqs, kept, 1)
    assert json.loads(test["Body"])["Event"] == "s3:TestEvent"
    for number in range(20):
        s3.put_object(Bucket="bucket", Key=f"k{number}", Body=b"")
    keys = {json.loads(message["Body"])["Records"][0]["s3"]["object"]["key"] for message in receive_until(sqs, kept, 20)}
    assert keys == {f"k{number}" for number in range(20)}


def test_events_wait_for_a_stack_elsewhere_that_is_away(own_stack, tmp_path):
    data = ("--data-dir", str(tmp_path / "there"))
    there = own_stack(*data, services=("sqs",))
    here = own_stack("--target", f"sqs={there.url}", services=("s3",))
    sqs, s3 = client("sqs", at=there.url), client("s3", at=here.url)
    queue = sqs.create_queue(QueueName="events")["QueueUrl"]
    s3.create_bucket(Bucket="bucket")
    configuration = {"QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:events", "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket="bucket", NotificationConfiguration={"QueueConfigurations": [configuration]})
    receive_until(sqs, queue, 1)
    assert there.end() == 0
    s3.put_object(Bucket="bucket", Key="kept", Body=b"")
    own_stack(*data, services=("sqs",), port=there.port)
    [message] = receive_until(sqs, queue, 1, seconds=60)
    assert json.loads(message["Body"])["Records"][0]["s3"]["object"]["key"] == "kept"
