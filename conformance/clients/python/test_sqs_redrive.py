"""Dead-letter queues and the way back out of them."""

import json

import pytest
from botocore.exceptions import ClientError

from stack import receive_until, wait_for


@pytest.fixture
def pair(sqs, queue_arn):
    """A queue whose messages go to the other after one receive."""
    from stack import unique

    dead = sqs.create_queue(QueueName=unique("dead"))["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": queue_arn(dead), "maxReceiveCount": 1})
    live = sqs.create_queue(QueueName=unique("live"), Attributes={"RedrivePolicy": policy})["QueueUrl"]
    yield live, dead
    sqs.delete_queue(QueueUrl=live)
    sqs.delete_queue(QueueUrl=dead)


def kill(sqs, live, count):
    """Lets `count` messages fail once, and once more, so that they are moved."""
    for number in range(count):
        sqs.send_message(QueueUrl=live, MessageBody=str(number), MessageAttributes={"a": {"DataType": "String", "StringValue": "v"}})
    seen = set()
    while len(seen) < count:
        for message in sqs.receive_message(QueueUrl=live, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", []):
            seen.add(message["Body"])
    wait_for(lambda: "Messages" not in sqs.receive_message(QueueUrl=live, MaxNumberOfMessages=10, VisibilityTimeout=0))


def test_too_many_receives_move_a_message(sqs, pair, queue_arn):
    live, dead = pair
    sent = sqs.send_message(QueueUrl=live, MessageBody="x")
    assert sqs.receive_message(QueueUrl=live, VisibilityTimeout=0)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=live)
    [message] = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=5, MessageSystemAttributeNames=["All"])["Messages"]
    assert message["MessageId"] == sent["MessageId"]
    assert message["Attributes"]["DeadLetterQueueSourceArn"] == queue_arn(live)
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [live]


def test_a_move_task_brings_them_back(sqs, pair, queue_arn):
    live, dead = pair
    kill(sqs, live, 12)
    task = sqs.start_message_move_task(SourceArn=queue_arn(dead))["TaskHandle"]
    assert task

    def done():
        [found] = sqs.list_message_move_tasks(SourceArn=queue_arn(dead))["Results"]
        return found if found["Status"] == "COMPLETED" else None

    result = wait_for(done)
    assert result["ApproximateNumberOfMessagesMoved"] == 12
    sqs.set_queue_attributes(QueueUrl=live, Attributes={"RedrivePolicy": ""})
    back = receive_until(sqs, live, 12, MessageAttributeNames=["All"])
    assert sorted(int(message["Body"]) for message in back) == list(range(12))
    assert all(message["MessageAttributes"]["a"]["StringValue"] == "v" for message in back)


def test_a_slow_task_can_be_cancelled(sqs, pair, queue_arn):
    live, dead = pair
    kill(sqs, live, 20)
    task = sqs.start_message_move_task(SourceArn=queue_arn(dead), MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    with pytest.raises(ClientError):
        sqs.start_message_move_task(SourceArn=queue_arn(dead))
    moved = sqs.cancel_message_move_task(TaskHandle=task)["ApproximateNumberOfMessagesMoved"]
    assert moved < 20

    def cancelled():
        [found] = sqs.list_message_move_tasks(SourceArn=queue_arn(dead))["Results"]
        return found["Status"] == "CANCELLED"

    wait_for(cancelled)


def test_redrive_policy_is_checked(sqs, queue, queue_arn):
    for policy in ("no json", json.dumps({"deadLetterTargetArn": "x"}), json.dumps({"deadLetterTargetArn": queue_arn(queue), "maxReceiveCount": 0})):
        with pytest.raises(ClientError) as failure:
            sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})
        assert failure.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_a_queue_that_is_nobodys_dead_letter_queue_has_no_task(sqs, queue, queue_arn):
    with pytest.raises(ClientError) as failure:
        sqs.start_message_move_task(SourceArn=queue_arn(queue))
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
