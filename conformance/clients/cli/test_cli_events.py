"""EventBridge by the AWS CLI."""

import json
import time

import pytest

from shell import receive, sh
from stack import unique, wait_for


@pytest.fixture
def bus():
    name = unique("cli")
    assert sh(f"aws events create-event-bus --name {name} --query EventBusArn --output text").strip() == f"arn:aws:events:us-east-1:000000000000:event-bus/{name}"
    yield name
    for rule in sh(f"aws events list-rules --event-bus-name {name} --query 'Rules[].Name' --output text").split():
        ids = sh(f"aws events list-targets-by-rule --rule {rule} --event-bus-name {name} --query 'Targets[].Id' --output text").strip()
        if ids:
            sh(f"aws events remove-targets --rule {rule} --event-bus-name {name} --ids {ids}")
        sh(f"aws events delete-rule --name {rule} --event-bus-name {name}")
    sh(f"aws events delete-event-bus --name {name}")


def bodies(url, *how_many, **how_long):
    return [json.loads(message["Body"]) for message in receive(url, *how_many, **how_long)]


def hours(count):
    """A time so many hours from now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600 * count))


def put(tmp_path, bus, *details, Time="2024-02-29T12:34:56Z"):
    entries = [{"EventBusName": bus, "Source": "shop", "DetailType": "order placed", "Detail": json.dumps(detail), "Time": Time} for detail in details]
    (tmp_path / "entries.json").write_text(json.dumps([{name: value for name, value in entry.items() if value} for entry in entries]))
    return json.loads(sh("aws events put-events --entries file://entries.json", cwd=tmp_path))


def test_a_rule_sends_what_its_pattern_lets_pass(bus, queue, tmp_path):
    url, arn = queue
    (tmp_path / "pattern.json").write_text(json.dumps({"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}]}}))
    told = sh(f"aws events put-rule --name large --event-bus-name {bus} --event-pattern file://pattern.json --query RuleArn --output text", cwd=tmp_path)
    assert told.strip() == f"arn:aws:events:us-east-1:000000000000:rule/{bus}/large"
    transformer = {"InputPathsMap": {"total": "$.detail.total"}, "InputTemplate": '{"total": <total>, "rule": <aws.events.rule-name>}'}
    (tmp_path / "targets.json").write_text(json.dumps([{"Id": "whole", "Arn": arn}, {"Id": "made", "Arn": arn, "InputTransformer": transformer}]))
    sh(f"aws events put-targets --rule large --event-bus-name {bus} --targets file://targets.json", cwd=tmp_path)
    answer = put(tmp_path, bus, {"total": 99}, {"total": 101})
    assert answer["FailedEntryCount"] == 0
    got = bodies(url, 2)
    [made] = [one for one in got if "rule" in one]
    [event] = [one for one in got if "rule" not in one]
    assert made == {"total": 101, "rule": "large"}
    assert (event["id"], event["time"], event["detail"]) == (answer["Entries"][1]["EventId"], "2024-02-29T12:34:56Z", {"total": 101})
    # Pages by the CLI's own options, and the rule as text.
    sh(f"aws events put-rule --name other --event-bus-name {bus} --event-pattern '{{\"source\":[\"x\"]}}' --state DISABLED")
    page = json.loads(sh(f"aws events list-rules --event-bus-name {bus} --max-items 1"))
    assert [one["Name"] for one in page["Rules"]] == ["large"] and page["NextToken"]
    rest = json.loads(sh(f"aws events list-rules --event-bus-name {bus} --starting-token {page['NextToken']}"))
    assert [(one["Name"], one["State"]) for one in rest["Rules"]] == [("other", "DISABLED")]


@pytest.fixture
def archive(bus):
    """An archive's name and ARN, and the ARN of its bus, where the rule `again` waits for replayed events."""
    name, source = unique("cli"), f"arn:aws:events:us-east-1:000000000000:event-bus/{bus}"
    yield name, sh(f"aws events create-archive --archive-name {name} --event-source-arn {source} --retention-days 1 --query ArchiveArn --output text").strip(), source
    # The archive's rule goes with it.
    sh(f"aws events delete-archive --archive-name {name}")


def replay(archive, bus, arn, begin, end):
    """Replays what is archived to the queue of that ARN; the replay's name, when it has ended."""
    _, source, destination = archive
    name = unique("replay")
    sh(f"aws events put-rule --name again --event-bus-name {bus} --event-pattern '{{\"replay-name\":[{{\"exists\":true}}]}}'")
    sh(f"aws events put-targets --rule again --event-bus-name {bus} --targets Id=q,Arn={arn}")
    sh(f"aws events start-replay --replay-name {name} --event-source-arn {source} --destination Arn={destination} --event-start-time {begin} --event-end-time {end}")
    wait_for(lambda: sh(f"aws events describe-replay --replay-name {name} --query State --output text").strip() == "COMPLETED")
    return name


def test_an_archive_is_replayed(bus, archive, queue, tmp_path):
    url, arn = queue
    answer = put(tmp_path, bus, {"n": 1}, {"n": 2}, Time=None)
    name = replay(archive, bus, arn, hours(-1), hours(1))
    got = bodies(url, 2)
    assert sorted(one["id"] for one in got) == sorted(entry["EventId"] for entry in answer["Entries"])
    assert {one["replay-name"] for one in got} == {name}
    assert sh(f"aws events describe-archive --archive-name {archive[0]} --query EventCount --output text").strip() == "2"


def test_a_replay_goes_by_the_time_in_the_event(bus, archive, queue, tmp_path):
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_StartReplay.html"""
    url, arn = queue
    put(tmp_path, bus, {"n": 1}, Time=hours(-12))
    replay(archive, bus, arn, hours(-13), hours(-11))
    assert [one["detail"] for one in bodies(url, 1, seconds=5)] == [{"n": 1}]


def test_patterns_are_tested_and_errors_read_as_on_aws():
    event = json.dumps({"id": "1", "account": "0", "source": "x", "time": "2024-01-01T00:00:00Z", "region": "r", "resources": [], "detail-type": "d", "detail": {"name": "a.png"}})
    tested = "aws events test-event-pattern --output text --query Result --event '{}' --event-pattern '{}'"
    assert sh(tested.format(event, '{"detail":{"name":[{"wildcard":"*.png"}]}}')).strip() == "True"
    assert sh(tested.format(event, '{"detail":{"name":[{"anything-but":{"suffix":".png"}}]}}')).strip() == "False"
    assert "(InvalidEventPatternException)" in sh(tested.format(event, '{"source":"x"}'), fails=True)
    assert "(ResourceNotFoundException)" in sh(f"aws events describe-rule --name {unique('nobody')}", fails=True)
