"""Processes that end badly."""

import json
import os
import signal

from botocore.exceptions import ClientError

from stack import client, receive_until, wait_for


def notified(own_stack, tmp_path):
    stack = own_stack("--data-dir", str(tmp_path / "data"))
    sqs, s3 = client("sqs", at=stack.url), client("s3", at=stack.url)
    queue = sqs.create_queue(QueueName="events")["QueueUrl"]
    s3.create_bucket(Bucket="bucket")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket="bucket", NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    )
    [test] = receive_until(sqs, queue, 1)
    assert json.loads(test["Body"])["Event"] == "s3:TestEvent"
    return stack, sqs, s3, queue


def kill(stack, program):
    pid = wait_for(lambda: stack.pid_of(program))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: stack.pid_of(program) != pid)
    return pid


def back(call):
    """Waits until a killed service answers: the router may say that it is not running until its death is noticed."""

    def answers():
        try:
            return call()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ServiceUnavailable"
            return None

    wait_for(answers)


def test_sqs_killed_while_1000_objects_are_put(own_stack, tmp_path):
    """Every event arrives: none is lost, wherever it was when the process died."""
    stack, sqs, s3, queue = notified(own_stack, tmp_path)
    for number in range(1000):
        if number in (100, 500):
            kill(stack, "fractus-sqs")
        s3.put_object(Bucket="bucket", Key=f"k{number}", Body=b"")
    back(sqs.list_queues)
    keys = set()

    def all_there():
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            keys.update(record["s3"]["object"]["key"] for record in json.loads(message["Body"])["Records"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(keys) == 1000

    wait_for(all_there, seconds=120)
    assert keys == {f"k{number}" for number in range(1000)}


def test_messages_and_objects_survive_kill_9_and_a_new_stack(own_stack, tmp_path):
    stack, sqs, s3, queue = notified(own_stack, tmp_path)
    sent = {sqs.send_message(QueueUrl=queue, MessageBody=str(number))["MessageId"] for number in range(50)}
    kill(stack, "fractus-sqs")
    back(sqs.list_queues)
    assert {message["MessageId"] for message in receive_until(sqs, queue, 50)} == sent
    s3.put_object(Bucket="bucket", Key="kept", Body=b"kept")
    receive_until(sqs, queue, 1)
    kill(stack, "fractus-s3")
    back(s3.list_buckets)
    assert s3.get_object(Bucket="bucket", Key="kept")["Body"].read() == b"kept"
    assert stack.end() == 0
    again = own_stack("--data-dir", str(tmp_path / "data"))
    assert client("s3", at=again.url).get_object(Bucket="bucket", Key="kept")["Body"].read() == b"kept"
    assert client("sqs", at=again.url).get_queue_url(QueueName="events")["QueueUrl"]
