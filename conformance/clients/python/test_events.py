"""EventBridge with a stock boto3 client: what applications do with it."""

import datetime
import json

import botocore.exceptions
import pytest

import stack


@pytest.fixture(scope="module")
def events():
    client = stack.client("events")
    try:
        client.list_event_buses(Limit=1)
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
        pytest.skip(f"EventBridge is not served here: {error}")
    return client


@pytest.fixture
def bus(events):
    name = stack.unique("bus")
    events.create_event_bus(Name=name)
    yield name
    events.delete_event_bus(Name=name)


def wire(events, bus, arn, pattern, **target):
    """A rule for `pattern` that sends to the queue."""
    name = stack.unique("rule")
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
    answer = events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "q", "Arn": arn, **target}])
    assert answer["FailedEntryCount"] == 0
    return name


def put(events, bus, *details, source="shop", kind="order placed"):
    entries = [{"Source": source, "DetailType": kind, "Detail": json.dumps(detail), "EventBusName": bus} for detail in details]
    answer = events.put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 0
    return [entry["EventId"] for entry in answer["Entries"]]


def test_an_event_goes_through_rule_and_target(events, sqs, bus, queue, queue_arn):
    wire(events, bus, queue_arn(queue), {"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}]}})
    ids = put(events, bus, {"total": 50}, {"total": 150})
    [message] = stack.receive_until(sqs, queue, 1)
    event = json.loads(message["Body"])
    assert event["id"] == ids[1]
    assert event["detail"] == {"total": 150}
    assert event["detail-type"] == "order placed"
    assert set(event) == {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}


def test_a_transformer_fills_its_template(events, sqs, bus, queue, queue_arn):
    transformer = {"InputPathsMap": {"who": "$.detail.who"}, "InputTemplate": '{"greeting": "Hello <who>", "who": <who>, "rule": <aws.events.rule-name>}'}
    rule = wire(events, bus, queue_arn(queue), {"source": ["shop"]}, InputTransformer=transformer)
    put(events, bus, {"who": "Ann"})
    [message] = stack.receive_until(sqs, queue, 1)
    assert json.loads(message["Body"]) == {"greeting": "Hello Ann", "who": "Ann", "rule": rule}


def test_a_fifo_queue_gets_its_events_in_order(events, sqs, bus, queue_arn):
    url = sqs.create_queue(QueueName=stack.unique("q") + ".fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})["QueueUrl"]
    with pytest.raises(events.exceptions.ClientError) as refused:
        wire(events, bus, queue_arn(url), {"source": ["shop"]})
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    wire(events, bus, queue_arn(url), {"source": ["shop"]}, SqsParameters={"MessageGroupId": "$.detail.group"})
    for n in range(10):
        put(events, bus, {"group": "g", "n": n})
    messages = stack.receive_until(sqs, url, 10)
    assert [json.loads(message["Body"])["detail"]["n"] for message in messages] == list(range(10))
    sqs.delete_queue(QueueUrl=url)


def test_lists_are_paged_by_paginators(events, bus):
    for n in range(5):
        events.put_rule(Name=f"r{n}", EventBusName=bus, EventPattern='{"source":["x"]}')
    pages = events.get_paginator("list_rules").paginate(EventBusName=bus, PaginationConfig={"PageSize": 2})
    assert [rule["Name"] for page in pages for rule in page["Rules"]] == [f"r{n}" for n in range(5)]


def test_errors_are_the_client_s_own(events, bus):
    with pytest.raises(events.exceptions.ResourceNotFoundException):
        events.describe_rule(Name="nobody", EventBusName=bus)
    with pytest.raises(events.exceptions.InvalidEventPatternException):
        events.put_rule(Name="r", EventBusName=bus, EventPattern='{"source": "x"}')
    with pytest.raises(events.exceptions.ResourceAlreadyExistsException):
        events.create_event_bus(Name=bus)
    with pytest.raises(events.exceptions.IllegalStatusException):
        raise_of_ended_replay(events, bus)


def archive_of(events, bus):
    arn = events.describe_event_bus(Name=bus)["Arn"]
    name = stack.unique("archive")
    return arn, name, events.create_archive(ArchiveName=name, EventSourceArn=arn)["ArchiveArn"]


def replay(events, archive, bus_arn):
    name, day = stack.unique("replay"), datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    events.start_replay(ReplayName=name, EventSourceArn=archive, EventStartTime=now - day, EventEndTime=now + day, Destination={"Arn": bus_arn})
    stack.wait_for(lambda: events.describe_replay(ReplayName=name)["State"] == "COMPLETED")
    return name


def raise_of_ended_replay(events, bus):
    arn, name, archive = archive_of(events, bus)
    try:
        events.cancel_replay(ReplayName=replay(events, archive, arn))
    finally:
        events.delete_archive(ArchiveName=name)


def test_an_archive_is_replayed(events, sqs, bus, queue, queue_arn):
    arn, name, archive = archive_of(events, bus)
    ids = put(events, bus, *({"n": n} for n in range(10)))
    assert events.describe_archive(ArchiveName=name)["EventCount"] == 10
    wire(events, bus, queue_arn(queue), {"source": ["shop"]})
    replayed = replay(events, archive, arn)
    found = [json.loads(message["Body"]) for message in stack.receive_until(sqs, queue, 10)]
    assert {event["id"] for event in found} == set(ids)
    assert {event["replay-name"] for event in found} == {replayed}
    events.delete_archive(ArchiveName=name)


def test_what_a_bucket_tells_is_an_event(events, s3, sqs, bucket, queue, queue_arn):
    rule = wire(events, "default", queue_arn(queue), {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}})
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    s3.delete_object(Bucket=bucket, Key="k")
    found = [json.loads(message["Body"]) for message in stack.receive_until(sqs, queue, 2)]
    assert {event["detail-type"] for event in found} == {"Object Created", "Object Deleted"}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    s3.put_object(Bucket=bucket, Key="unheard", Body=b"")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    s3.put_object(Bucket=bucket, Key="heard", Body=b"")
    [last] = [json.loads(message["Body"]) for message in stack.receive_until(sqs, queue, 1)]
    assert last["detail"]["object"]["key"] == "heard", "and nothing of what happened while it was off"
    events.remove_targets(Rule=rule, Ids=["q"])
    events.delete_rule(Name=rule)
