"""Lanes, accounts, regions, the clock, reset, and what the stack says of itself."""

import time

import pytest

from stack import admin, client, receive_until, unique


def test_a_lane_is_a_world_of_its_own(sqs):
    name = unique("same")
    here = sqs.create_queue(QueueName=name)["QueueUrl"]
    other = client("sqs", lane=unique("lane"))
    with pytest.raises(other.exceptions.QueueDoesNotExist):
        other.get_queue_url(QueueName=name)
    there = other.create_queue(QueueName=name)["QueueUrl"]
    other.send_message(QueueUrl=there, MessageBody="of the lane")
    assert "Messages" not in sqs.receive_message(QueueUrl=here)
    assert [message["Body"] for message in receive_until(other, there, 1)] == ["of the lane"]
    sqs.delete_queue(QueueUrl=here)
    assert other.get_queue_url(QueueName=name)["QueueUrl"]


def test_bucket_names_are_free_in_another_lane(s3, bucket):
    other = client("s3", lane=unique("lane"))
    other.create_bucket(Bucket=bucket)
    other.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_key_of_12_digits_is_the_account():
    name = unique("mine")
    one = client("sqs", keys={"aws_access_key_id": "111122223333", "aws_secret_access_key": "x"})
    two = client("sqs", keys={"aws_access_key_id": "444455556666", "aws_secret_access_key": "x"})
    url = one.create_queue(QueueName=name)["QueueUrl"]
    assert "/111122223333/" in url
    with pytest.raises(two.exceptions.QueueDoesNotExist):
        two.get_queue_url(QueueName=name)
    one.delete_queue(QueueUrl=url)


def test_regions_are_apart(sqs):
    name = unique("here")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    other = client("sqs", region="eu-west-1")
    with pytest.raises(other.exceptions.QueueDoesNotExist):
        other.get_queue_url(QueueName=name)
    sqs.delete_queue(QueueUrl=url)


def test_15_minutes_of_visibility_pass_by_the_clock():
    lane = unique("lane")
    sqs = client("sqs", lane=lane)
    queue = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "900"})["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    sqs.send_message(QueueUrl=queue, MessageBody="delayed", DelaySeconds=800)
    assert len(sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    started = time.monotonic()
    status, clock = admin("/_fractus/clock", {"lane": lane, "action": "advance", "seconds": 901})
    assert status == 200, clock
    bodies = [message["Body"] for message in receive_until(sqs, queue, 2)]
    assert sorted(bodies) == ["delayed", "x"]
    assert time.monotonic() - started < 10
    assert admin(f"/_fractus/clock?lane={lane}", {"action": "reset", "lane": lane})[0] == 200


def test_a_waiting_receive_wakes_when_the_clock_moves():
    import threading

    lane = unique("lane")
    sqs = client("sqs", lane=lane)
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=900)
    got = []
    waiting = threading.Thread(target=lambda: got.extend(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages", [])))
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    assert admin("/_fractus/clock", {"lane": lane, "action": "freeze"})[0] == 200
    started = time.monotonic()
    assert admin("/_fractus/clock", {"lane": lane, "action": "advance", "seconds": 900})[0] == 200
    waiting.join(10)
    assert [message["Body"] for message in got] == ["x"]
    assert time.monotonic() - started < 5


def test_reset_of_a_lane_leaves_the_others(sqs, queue):
    lane = unique("lane")
    other = client("sqs", lane=lane)
    other.create_queue(QueueName="q")
    status, answer = admin(f"/_fractus/reset?lane={lane}", {}, method="POST")
    assert status == 200, answer
    with pytest.raises(other.exceptions.QueueDoesNotExist):
        other.get_queue_url(QueueName="q")
    assert sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]


def test_health_and_ready(sqs, s3, queue, bucket):
    status, health = admin("/_fractus/health")
    assert status == 200
    for service in ("sqs", "s3"):
        assert health["services"][service]["status"] == "ready"
        assert health["services"][service]["url"].startswith("http")
    status, ready = admin("/_fractus/ready")
    assert status == 200 and ready["ready"] is True
    status, health = admin("/_localstack/health")
    assert status == 200 and health["services"]["sqs"] in ("running", "available")


def test_answers_say_how_true_they_are(sqs, queue):
    answer = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-fractus-fidelity"] == "real"
    assert answer["ResponseMetadata"]["RequestId"]


def test_a_service_that_is_not_here_says_so():
    with pytest.raises(Exception) as failure:
        client("kinesis").list_streams()
    assert "kinesis" in str(failure.value).lower()
