"""FIFO queues."""

import pytest
from botocore.exceptions import ClientError

from stack import receive_until, unique


def send(sqs, queue, body, group, dedup=None):
    return sqs.send_message(QueueUrl=queue, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=dedup or unique("d"))


def receive(sqs, queue, count=10):
    answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=count, MessageSystemAttributeNames=["All"])
    return answer.get("Messages", [])


def test_a_repeated_send_answers_the_first_message(sqs, fifo):
    first = send(sqs, fifo, "one", "g", "same")
    second = send(sqs, fifo, "another body", "g", "same")
    assert second["MessageId"] == first["MessageId"]
    assert second["SequenceNumber"] == first["SequenceNumber"]
    assert [message["Body"] for message in receive(sqs, fifo)] == ["one"]


def test_content_based_deduplication(sqs, fifo):
    with pytest.raises(ClientError) as failure:
        sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g")
    assert failure.value.response["Error"]["Code"] == "InvalidParameterValue"
    sqs.set_queue_attributes(QueueUrl=fifo, Attributes={"ContentBasedDeduplication": "true"})
    ids = {sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g")["MessageId"] for _ in range(3)}
    assert len(ids) == 1
    [message] = receive(sqs, fifo)
    assert message["Attributes"]["MessageDeduplicationId"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def test_a_group_in_flight_blocks_its_later_messages_alone(sqs, fifo):
    for body in ("a1", "a2"):
        send(sqs, fifo, body, "a")
    [first] = receive(sqs, fifo, 1)
    assert first["Body"] == "a1"
    assert receive(sqs, fifo) == [], "a2 waits for a1"
    send(sqs, fifo, "b1", "b")
    [other] = receive(sqs, fifo)
    assert other["Body"] == "b1", "another group does not"
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"])
    [second] = receive(sqs, fifo)
    assert second["Body"] == "a2"


def test_one_receive_takes_several_of_a_group_in_order(sqs, fifo):
    for number in range(15):
        send(sqs, fifo, str(number), "g")
    batch = receive(sqs, fifo)
    assert [message["Body"] for message in batch] == [str(number) for number in range(10)]
    sequence = [int(message["Attributes"]["SequenceNumber"]) for message in batch]
    assert sequence == sorted(set(sequence))
    assert {message["Attributes"]["MessageGroupId"] for message in batch} == {"g"}


def test_a_retried_receive_takes_the_same_messages(sqs, fifo):
    send(sqs, fifo, "x", "g")
    first = sqs.receive_message(QueueUrl=fifo, ReceiveRequestAttemptId="try")["Messages"]
    again = sqs.receive_message(QueueUrl=fifo, ReceiveRequestAttemptId="try")["Messages"]
    assert [one["MessageId"] for one in again] == [one["MessageId"] for one in first]


def test_order_within_each_group_holds_to_the_end(sqs, fifo):
    for number in range(40):
        send(sqs, fifo, f"{number % 4}:{number:02}", f"g{number % 4}")
    bodies = [message["Body"] for message in receive_until(sqs, fifo, 40)]
    for group in range(4):
        mine = [body for body in bodies if body.startswith(f"{group}:")]
        assert len(mine) == 10 and mine == sorted(mine)


def test_name_and_parameters_of_fifo(sqs, fifo, queue):
    with pytest.raises(ClientError):
        sqs.create_queue(QueueName=unique("no"), Attributes={"FifoQueue": "true"})
    with pytest.raises(ClientError) as failure:
        sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageDeduplicationId="d")
    assert failure.value.response["Error"]["Code"] == "MissingParameter"
    with pytest.raises(ClientError) as failure:
        sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d", DelaySeconds=1)
    assert failure.value.response["Error"]["Code"] == "InvalidParameterValue"
    with pytest.raises(ClientError) as failure:
        sqs.send_message(QueueUrl=queue, MessageBody="x", MessageDeduplicationId="d")
    assert failure.value.response["Error"]["Code"] == "InvalidParameterValue"
