"""EventBridge killed under load: every event that was accepted arrives, whatever process died meanwhile."""

import json
import os
import signal
import threading

import boto3
import pytest

from stack import KEYS, REGION, receive_until, wait_for


def default_client(service, url):
    """As users make it: no retry setting."""
    return boto3.client(service, endpoint_url=url, region_name=REGION, **KEYS)


def test_no_accepted_event_is_lost(own_stack, tmp_path):
    programs = os.path.dirname(os.environ.get("FRACTUS_PROGRAM", ""))
    if not os.path.exists(os.path.join(programs, "fractus-events")):
        pytest.skip("fractus-events is not built")
    stack = own_stack("--data-dir", str(tmp_path / "data"), "--eager", services=("sqs", "events"))
    sqs, events = default_client("sqs", stack.url), default_client("events", stack.url)
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="r", EventPattern='{"source":["load"]}')
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn}])
    ended, errors, accepted = threading.Event(), [], []

    def load(number):
        client = default_client("events", stack.url)
        try:
            while not ended.is_set():
                entries = [{"Source": "load", "DetailType": "d", "Detail": json.dumps({"n": n})} for n in range(5)]
                answer = client.put_events(Entries=entries)
                accepted.extend(entry["EventId"] for entry in answer["Entries"] if "EventId" in entry)
        except Exception as error:  # noqa: BLE001: whatever a client sees is what this test is about
            errors.append(error)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for program in ("fractus-events", "fractus-sqs", "fractus-events"):
        before = len(accepted)
        wait_for(lambda: errors or len(accepted) > before + 200)
        pid = wait_for(lambda: stack.pid_of(program))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: stack.pid_of(program) not in (None, pid))
    before = len(accepted)
    wait_for(lambda: errors or len(accepted) > before + 100)
    ended.set()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    wanted, found = set(accepted), set()
    # An event whose answer was lost with the process is there besides; none of those that were answered is missing.
    while not wanted <= found:
        found |= {json.loads(message["Body"])["id"] for message in receive_until(sqs, queue, 1)}
