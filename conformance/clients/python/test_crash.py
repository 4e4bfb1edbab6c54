"""Processes that end badly."""

import collections
import datetime
import json
import os
import signal

from botocore.exceptions import BotoCoreError, ClientError

from stack import admin, client, receive_until, wait_for


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


def attempted(call):
    """The answer of a call that may meet a service just killed; none where it did."""
    try:
        return call()
    except (BotoCoreError, ClientError):
        return None


def queue_of(sqs, name):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def drained(sqs, queue, read, wanted):
    """Receives until everything that is wanted has come; what has come how often."""
    came = collections.Counter()

    def all_there():
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            came[read(message["Body"])] += 1
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return wanted <= came.keys()

    wait_for(all_there, seconds=120)
    return came


def test_sns_killed_while_messages_are_published(own_stack, tmp_path):
    """What was accepted arrives, wherever it was when the process died."""
    stack = own_stack("--data-dir", str(tmp_path / "data"), services=("sqs", "sns"))
    sqs, sns = client("sqs", at=stack.url), client("sns", at=stack.url)
    queue, arn = queue_of(sqs, "messages")
    topic = sns.create_topic(Name="topic")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    accepted = set()
    for number in range(600):
        if number in (100, 350):
            kill(stack, "fractus-sns")
        if attempted(lambda: sns.publish(TopicArn=topic, Message=str(number))):
            accepted.add(str(number))
    assert len(accepted) > 500
    drained(sqs, queue, str, accepted)


def test_events_killed_while_events_are_put(own_stack, tmp_path):
    stack = own_stack("--data-dir", str(tmp_path / "data"), services=("sqs", "events"))
    sqs, events = client("sqs", at=stack.url), client("events", at=stack.url)
    queue, arn = queue_of(sqs, "events")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["app"]}))
    assert not events.put_targets(Rule="all", Targets=[{"Id": "q", "Arn": arn}])["FailedEntryCount"]
    accepted = set()
    for number in range(600):
        if number in (100, 350):
            kill(stack, "fractus-events")
        entry = {"Source": "app", "DetailType": "t", "Detail": json.dumps({"n": number})}
        answer = attempted(lambda: events.put_events(Entries=[entry]))
        if answer and not answer["FailedEntryCount"]:
            accepted.add(number)
    assert len(accepted) > 500
    drained(sqs, queue, lambda body: json.loads(body)["detail"]["n"], accepted)


def test_scheduler_killed_while_schedules_fire(own_stack, tmp_path):
    """Each schedule fires, and none fires twice."""
    stack = own_stack("--data-dir", str(tmp_path / "data"), services=("sqs", "scheduler"))
    sqs, scheduler = client("sqs", at=stack.url), client("scheduler", at=stack.url)
    queue, arn = queue_of(sqs, "fired")
    for number in range(300):
        at = datetime.datetime(2040, 1, 1) + datetime.timedelta(seconds=number)
        scheduler.create_schedule(
            Name=f"s{number}",
            ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": arn, "RoleArn": "arn:aws:iam::000000000000:role/r", "Input": str(number)},
        )
    for second in (0, 120, 240):
        moment = datetime.datetime(2040, 1, 1) + datetime.timedelta(seconds=second)
        change = {"action": "set", "to": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
        # The one that was killed before may still be known: then it cannot be told, and its successor is when it starts.
        status, said = admin("/_fractus/clock", change, at=stack.url)
        assert status in (200, 502), said
        kill(stack, "fractus-scheduler")
        back(lambda: scheduler.list_schedules(MaxResults=1))
    admin("/_fractus/clock", {"action": "advance", "seconds": 300}, at=stack.url)
    came = drained(sqs, queue, int, set(range(300)))
    assert came == collections.Counter(range(300))
