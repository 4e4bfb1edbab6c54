"""Standard queues."""

import hashlib
import threading
import time

import pytest
from botocore.exceptions import ClientError

from stack import receive_until, unique


def code_of(failure):
    return failure.value.response["Error"]["Code"]


def test_message_goes_and_comes_with_its_attributes(sqs, queue):
    sent = sqs.send_message(
        QueueUrl=queue,
        MessageBody="héllo <&>\n\t",
        MessageAttributes={
            "text": {"DataType": "String", "StringValue": "v"},
            "number": {"DataType": "Number.int", "StringValue": "42"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}},
    )
    assert sent["MD5OfMessageBody"] == hashlib.md5("héllo <&>\n\t".encode()).hexdigest()
    [message] = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"])["Messages"]
    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == "héllo <&>\n\t"
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["MessageAttributes"]["bytes"]["BinaryValue"] == b"\x00\xff"
    assert message["MessageAttributes"]["number"] == {"DataType": "Number.int", "StringValue": "42"}
    facts = message["Attributes"]
    assert facts["ApproximateReceiveCount"] == "1"
    assert facts["AWSTraceHeader"].startswith("Root=1-")
    assert abs(int(facts["SentTimestamp"]) / 1000 - time.time()) < 60
    assert facts["SenderId"]


def test_only_the_attributes_asked_for(sqs, queue):
    sqs.send_message(
        QueueUrl=queue,
        MessageBody="x",
        MessageAttributes={name: {"DataType": "String", "StringValue": name} for name in ("a.one", "a.two", "b")},
    )
    [message] = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["a.*"])["Messages"]
    assert sorted(message["MessageAttributes"]) == ["a.one", "a.two"]
    assert "Attributes" not in message


def test_visibility_timeout_hides_and_zero_shows(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    [first] = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    [second] = sqs.receive_message(QueueUrl=queue, MessageSystemAttributeNames=["ApproximateReceiveCount"])["Messages"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"])  # deleting twice is no error


def test_batch_answers_entry_by_entry(sqs, queue):
    answer = sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "good", "MessageBody": "x"},
            {"Id": "late", "MessageBody": "x", "DelaySeconds": 901},
            {"Id": "typed", "MessageBody": "x", "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "no"}}},
        ],
    )
    assert [one["Id"] for one in answer["Successful"]] == ["good"]
    failed = {one["Id"]: one for one in answer["Failed"]}
    assert set(failed) == {"late", "typed"}
    assert failed["late"]["Code"] == "InvalidParameterValue" and failed["late"]["SenderFault"] is True
    [message] = receive_until(sqs, queue, 1)
    assert message["MessageId"] == answer["Successful"][0]["MessageId"]
    answer = sqs.delete_message_batch(QueueUrl=queue, Entries=[{"Id": "a", "ReceiptHandle": "nonsense"}])
    assert answer["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"
    answer = sqs.change_message_visibility_batch(
        QueueUrl=queue, Entries=[{"Id": "a", "ReceiptHandle": "nonsense", "VisibilityTimeout": 1}]
    )
    assert answer["Failed"][0]["Id"] == "a"


@pytest.mark.parametrize(
    "entries, code",
    [
        ([], "AWS.SimpleQueueService.EmptyBatchRequest"),
        ([{"Id": "a", "MessageBody": "x"}, {"Id": "a", "MessageBody": "y"}], "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
        ([{"Id": "a b", "MessageBody": "x"}], "AWS.SimpleQueueService.InvalidBatchEntryId"),
        ([{"Id": str(n), "MessageBody": "x"} for n in range(11)], "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
    ],
)
def test_batch_as_a_whole_is_refused(sqs, queue, entries, code):
    with pytest.raises(ClientError) as failure:
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert code_of(failure) == code


def test_long_poll_wakes_at_once(sqs, queue):
    got = {}

    def wait():
        got["messages"] = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages")
        got["at"] = time.monotonic()

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(1)
    assert waiting.is_alive(), "an empty queue makes it wait"
    sent_at = time.monotonic()
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    waiting.join(10)
    assert not waiting.is_alive()
    assert len(got["messages"]) == 1
    assert got["at"] - sent_at < 1


def test_short_wait_ends_empty_in_its_time(sqs, queue):
    started = time.monotonic()
    assert "Messages" not in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)
    assert 0.9 < time.monotonic() - started < 5


def test_attributes_are_kept_and_counted(sqs, queue):
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "7", "MaximumMessageSize": "2048"})
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(3)])
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=900)
    sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=1)
    facts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert facts["VisibilityTimeout"] == "7"
    assert facts["MaximumMessageSize"] == "2048"
    assert facts["MessageRetentionPeriod"] == "345600"
    assert facts["QueueArn"] == "arn:aws:sqs:us-east-1:000000000000:" + queue.rsplit("/", 1)[1]
    assert facts["ApproximateNumberOfMessages"] == "2"
    assert facts["ApproximateNumberOfMessagesNotVisible"] == "1"
    assert facts["ApproximateNumberOfMessagesDelayed"] == "1"
    with pytest.raises(ClientError) as failure:
        sqs.send_message(QueueUrl=queue, MessageBody="x" * 2049)
    assert code_of(failure) == "InvalidParameterValue"
    with pytest.raises(ClientError) as failure:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"NoSuchThing": "1"})
    assert code_of(failure) == "InvalidAttributeName"
    with pytest.raises(ClientError) as failure:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "43201"})
    assert code_of(failure) == "InvalidAttributeValue"


def test_a_message_of_1_mib(sqs, queue):
    body = "m" * (1 << 20)
    sqs.send_message(QueueUrl=queue, MessageBody=body)
    [message] = receive_until(sqs, queue, 1)
    assert message["Body"] == body
    with pytest.raises(ClientError) as failure:
        sqs.send_message(QueueUrl=queue, MessageBody=body + "m")
    assert code_of(failure) == "InvalidParameterValue"


def test_what_is_no_text_of_xml_is_refused(sqs, queue):
    with pytest.raises(ClientError) as failure:
        sqs.send_message(QueueUrl=queue, MessageBody="bell \x07")
    assert code_of(failure) == "InvalidMessageContents"


def test_tags(sqs, queue):
    sqs.tag_queue(QueueUrl=queue, Tags={"team": "a", "stage": "dev"})
    sqs.tag_queue(QueueUrl=queue, Tags={"team": "b"})
    assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"team": "b", "stage": "dev"}
    sqs.untag_queue(QueueUrl=queue, TagKeys=["stage", "unknown"])
    assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"team": "b"}


def test_permissions_become_the_policy(sqs, queue):
    import json

    sqs.add_permission(QueueUrl=queue, Label="share", AWSAccountIds=["111122223333"], Actions=["SendMessage"])
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]["Policy"])
    [statement] = policy["Statement"]
    assert statement["Sid"] == "share" and statement["Effect"] == "Allow"
    assert statement["Action"] == "SQS:SendMessage"
    sqs.remove_permission(QueueUrl=queue, Label="share")
    facts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"]).get("Attributes", {})
    assert "share" not in facts.get("Policy", "")


def test_purge(sqs, queue):
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(10)])
    sqs.purge_queue(QueueUrl=queue)
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    with pytest.raises(ClientError) as failure:
        sqs.purge_queue(QueueUrl=queue)
    assert code_of(failure) == "AWS.SimpleQueueService.PurgeQueueInProgress"


def test_creating_again(sqs):
    name = unique("again")
    url = sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "5"})["QueueUrl"]
    assert sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "5"})["QueueUrl"] == url
    with pytest.raises(ClientError) as failure:
        sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "6"})
    assert code_of(failure) in ("QueueAlreadyExists", "QueueNameExists")
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as failure:
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert code_of(failure) == "AWS.SimpleQueueService.NonExistentQueue"


def test_listing_in_pages(sqs):
    prefix = unique("list")
    urls = [sqs.create_queue(QueueName=f"{prefix}-{n}")["QueueUrl"] for n in range(5)]
    first = sqs.list_queues(QueueNamePrefix=prefix, MaxResults=2)
    assert len(first["QueueUrls"]) == 2 and first["NextToken"]
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2})
    assert sorted(url for page in pages for url in page.get("QueueUrls", [])) == sorted(urls)
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


@pytest.mark.parametrize("count", [0, 11])
def test_receive_takes_1_to_10(sqs, queue, count):
    with pytest.raises(ClientError) as failure:
        sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=count)
    assert code_of(failure) == "InvalidParameterValue"


def test_every_message_arrives_once_under_many_hands(sqs, queue):
    """Eight senders, eight receivers: nothing lost, nothing twice."""
    import collections
    import concurrent.futures

    def send(hand):
        for start in range(0, 50, 10):
            entries = [{"Id": str(n), "MessageBody": f"{hand}-{n}"} for n in range(start, start + 10)]
            assert not sqs.send_message_batch(QueueUrl=queue, Entries=entries).get("Failed")

    found, lock = collections.Counter(), threading.Lock()

    def receive(_):
        while True:
            with lock:
                if sum(found.values()) >= 400:
                    return
            messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            with lock:
                found.update(message["Body"] for message in messages)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(send, hand) for hand in range(8)] + [pool.submit(receive, hand) for hand in range(8)]
        for future in futures:
            future.result(60)
    assert found == collections.Counter(f"{hand}-{n}" for hand in range(8) for n in range(50))
