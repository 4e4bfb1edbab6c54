"""EventBridge Scheduler by boto3: schedules that call SQS, by templated and by universal targets."""

import json
import time

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

import stack
from stack import receive_until, unique, wait_for

ROLE = "arn:aws:iam::000000000000:role/scheduler"
OFF = {"Mode": "OFF"}


@pytest.fixture(scope="module")
def scheduler():
    client = stack.client("scheduler")
    try:
        client.list_schedule_groups()
    except (ClientError, EndpointConnectionError) as missing:
        pytest.skip(f"the stack runs no scheduler: {missing}")
    return client


@pytest.fixture
def group(scheduler):
    name = unique("g")
    scheduler.create_schedule_group(Name=name, Tags=[{"Key": "team", "Value": "a"}])
    yield name
    scheduler.delete_schedule_group(Name=name)


def code_of(failure):
    return failure.value.response["Error"]["Code"]


def test_a_rate_begins_at_once(scheduler, sqs, queue, queue_arn, group):
    arn = scheduler.create_schedule(
        Name="s",
        GroupName=group,
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow=OFF,
        Target={"Arn": queue_arn(queue), "RoleArn": ROLE, "Input": "from <aws.scheduler.schedule-arn>"},
    )["ScheduleArn"]
    [message] = receive_until(sqs, queue, 1)
    assert message["Body"] == f"from {arn}"
    told = scheduler.get_schedule(Name="s", GroupName=group)
    assert told["State"] == "ENABLED" and told["ScheduleExpressionTimezone"] == "UTC"
    assert told["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


def test_a_one_time_schedule_comes_in_time_and_is_deleted(scheduler, sqs, queue, queue_arn, group):
    at = time.time() + 2
    scheduler.create_schedule(
        Name="once",
        GroupName=group,
        ScheduleExpression=time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime(at)),
        ActionAfterCompletion="DELETE",
        FlexibleTimeWindow=OFF,
        Target={"Arn": queue_arn(queue), "RoleArn": ROLE, "Input": "<aws.scheduler.scheduled-time>"},
    )
    [message] = receive_until(sqs, queue, 1)
    assert message["Body"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    assert time.time() < at + 2
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException) as gone:
        scheduler.get_schedule(Name="once", GroupName=group)
    assert gone.value.response["Error"]["Message"] == "Schedule once does not exist."


def test_a_universal_target_calls_the_operation(scheduler, sqs, queue, group):
    scheduler.create_schedule(
        Name="universal",
        GroupName=group,
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow=OFF,
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
            "RoleArn": ROLE,
            "Input": json.dumps({"QueueUrl": queue, "MessageBody": "hello"}),
        },
    )
    assert receive_until(sqs, queue, 1)[0]["Body"] == "hello"


def test_a_dead_letter_tells_why(scheduler, sqs, queue, queue_arn, group):
    nowhere = queue_arn(queue).rsplit(":", 1)[0] + ":" + unique("nowhere")
    arn = scheduler.create_schedule(
        Name="lost",
        GroupName=group,
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow=OFF,
        Target={"Arn": nowhere, "RoleArn": ROLE, "Input": "lost", "DeadLetterConfig": {"Arn": queue_arn(queue)}},
    )["ScheduleArn"]
    [letter] = receive_until(sqs, queue, 1, MessageAttributeNames=["All"])
    told = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert told["ERROR_CODE"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert (told["SCHEDULE_ARN"], told["TARGET_ARN"], letter["Body"]) == (arn, nowhere, "lost")


def test_paginators_and_groups(scheduler, queue_arn, queue, group):
    target = {"Arn": queue_arn(queue), "RoleArn": ROLE}
    for index in range(5):
        scheduler.create_schedule(
            Name=f"s{index}", GroupName=group, ScheduleExpression="rate(1 day)", State="DISABLED", FlexibleTimeWindow=OFF, Target=target
        )
    pages = list(scheduler.get_paginator("list_schedules").paginate(GroupName=group, PaginationConfig={"PageSize": 2}))
    assert [len(page["Schedules"]) for page in pages] == [2, 2, 1]
    arn = scheduler.get_schedule_group(Name=group)["Arn"]
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "x"}])
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "x"}]


def test_a_deleted_group_goes(scheduler, queue_arn, queue):
    name = unique("g")
    scheduler.create_schedule_group(Name=name)
    scheduler.create_schedule(
        Name="s",
        GroupName=name,
        ScheduleExpression="rate(1 day)",
        State="DISABLED",
        FlexibleTimeWindow=OFF,
        Target={"Arn": queue_arn(queue), "RoleArn": ROLE},
    )
    scheduler.delete_schedule_group(Name=name)
    assert scheduler.get_schedule_group(Name=name)["State"] == "DELETING"

    def is_gone():
        try:
            scheduler.get_schedule_group(Name=name)
        except scheduler.exceptions.ResourceNotFoundException:
            return True

    wait_for(is_gone)
    assert not [one for one in scheduler.list_schedules()["Schedules"] if one["GroupName"] == name]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"ScheduleExpression": "rate(30 seconds)"}, "Invalid Schedule Expression rate(30 seconds)."),
        ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "Invalid ScheduleExpressionTimezone Mars/Olympus."),
        ({"Target": {"Arn": "arn:aws:backup:us-east-1:000000000000:x", "RoleArn": ROLE}}, "backup is not a supported service for a target."),
    ],
)
def test_refusals(scheduler, change, message):
    asked = {
        "Name": unique("s"),
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": OFF,
        "Target": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": ROLE},
    }
    with pytest.raises(ClientError) as refused:
        scheduler.create_schedule(**{**asked, **change})
    assert code_of(refused) == "ValidationException"
    assert refused.value.response["Error"]["Message"] == message
