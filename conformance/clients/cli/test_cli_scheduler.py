"""EventBridge Scheduler by the AWS CLI."""

import json
import time

import pytest

from shell import receive, sh
from stack import unique, wait_for

ROLE = "arn:aws:iam::000000000000:role/scheduler"


@pytest.fixture
def group():
    name = unique("cli")
    sh(f"aws scheduler create-schedule-group --name {name} --tags Key=team,Value=a")
    yield name
    sh(f"aws scheduler delete-schedule-group --name {name}")


def create(group, name, expression, target, more="", **options):
    return sh(
        f"aws scheduler create-schedule --name {name} --group-name {group} --schedule-expression '{expression}' --flexible-time-window Mode=OFF "
        f"--target '{json.dumps(target)}' --query ScheduleArn --output text {more}",
        **options,
    ).strip()


def test_schedules_fire(group, queue):
    url, arn = queue
    told = create(group, "often", "rate(1 day)", {"Arn": arn, "RoleArn": ROLE, "Input": "<aws.scheduler.schedule-arn>"})
    assert told == f"arn:aws:scheduler:us-east-1:000000000000:schedule/{group}/often"
    assert receive(url)[0]["Body"] == told
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3))
    call = {"Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", "RoleArn": ROLE, "Input": json.dumps({"QueueUrl": url, "MessageBody": "<aws.scheduler.scheduled-time>"})}
    create(group, "once", f"at({at})", call, "--action-after-completion DELETE")
    assert receive(url)[0]["Body"] == f"{at}Z"
    wait_for(lambda: sh(f"aws scheduler list-schedules --group-name {group} --query 'Schedules[].Name' --output text").strip() == "often")


def test_what_is_made_is_told_and_changed(group, queue):
    _, arn = queue
    target = {"Arn": arn, "RoleArn": ROLE}
    create(group, "nightly", "cron(30 2 * * ? *)", target, "--schedule-expression-timezone Europe/Berlin --state DISABLED --start-date 2099-01-01T00:00:00Z")
    told = json.loads(sh(f"aws scheduler get-schedule --name nightly --group-name {group}"))
    assert (told["ScheduleExpressionTimezone"], told["State"]) == ("Europe/Berlin", "DISABLED")
    # Version 1 prints a time as it came on the wire.
    assert told["StartDate"] == 4070908800
    sh(
        f"aws scheduler update-schedule --name nightly --group-name {group} --schedule-expression 'rate(5 minutes)' --state DISABLED "
        f"--flexible-time-window Mode=FLEXIBLE,MaximumWindowInMinutes=2 --target '{json.dumps(target)}'"
    )
    told = json.loads(sh(f"aws scheduler get-schedule --name nightly --group-name {group}"))
    assert told["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 2} and "StartDate" not in told
    assert told["ScheduleExpressionTimezone"] == "UTC", "what an update does not name has its default again"
    arn = sh(f"aws scheduler get-schedule-group --name {group} --query Arn --output text").strip()
    assert json.loads(sh(f"aws scheduler list-tags-for-resource --resource-arn {arn}"))["Tags"] == [{"Key": "team", "Value": "a"}]
    for name in ("a", "b"):
        create(group, name, "rate(1 day)", target, "--state DISABLED")
    names = sh(f"aws scheduler list-schedules --group-name {group} --page-size 1 --query 'Schedules[].Name' --output text").split()
    assert names == ["a", "b", "nightly"], "the CLI goes through the pages by itself"


def test_errors_read_as_on_aws(group, queue):
    _, arn = queue
    assert "(ResourceNotFoundException)" in sh(f"aws scheduler get-schedule --name nobody --group-name {group}", fails=True)
    refused = create(group, "bad", "rate(30 seconds)", {"Arn": arn, "RoleArn": ROLE}, fails=True)
    assert "(ValidationException)" in refused and "Invalid Schedule Expression rate(30 seconds)." in refused
    create(group, "twice", "rate(1 day)", {"Arn": arn, "RoleArn": ROLE}, "--state DISABLED")
    assert "(ConflictException)" in create(group, "twice", "rate(1 day)", {"Arn": arn, "RoleArn": ROLE}, fails=True)
