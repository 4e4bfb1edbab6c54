"""SNS and Scheduler killed under load: every message that was accepted arrives, and arrives once, whatever process died meanwhile.
EventBridge has its own file."""

import os
import signal
import threading
import time

import boto3
import pytest

from stack import KEYS, REGION, admin, receive_until, wait_for

ROLE = "arn:aws:iam::000000000000:role/scheduler"
WRITERS = 4


def default_client(service, url):
    """As users make it: no retry setting."""
    return boto3.client(service, endpoint_url=url, region_name=REGION, **KEYS)


def needs(*services):
    programs = os.path.dirname(os.environ.get("FRACTUS_PROGRAM", ""))
    for service in services:
        if not os.path.exists(os.path.join(programs, f"fractus-{service}")):
            pytest.skip(f"fractus-{service} is not built")


def kill(running, program):
    """Ends a process as a power cut would, and waits for the next one of its name."""
    pid = wait_for(lambda: running.pid_of(program))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: running.pid_of(program) not in (None, pid))


def queue_of(sqs, name, **attributes):
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "43200", **attributes})["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


class Load:
    """Writers that go on until they are told to end; what they were promised."""

    def __init__(self, write):
        self.ended, self.errors, self.accepted = threading.Event(), [], []
        self.threads = [threading.Thread(target=self._run, args=(write, number)) for number in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def _run(self, write, number):
        try:
            once = write(number)
            turn = 0
            while not self.ended.is_set():
                self.accepted.extend(once(turn))
                turn += 1
        except Exception as error:  # noqa: BLE001: whatever a client sees is what this test is about
            self.errors.append(error)

    def more(self, count):
        before = len(self.accepted)
        wait_for(lambda: self.errors or len(self.accepted) > before + count, 60)

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(60)
        assert not self.errors, self.errors
        return self.accepted


def all_bodies(sqs, queue, wanted):
    """The bodies in a queue: at least the wanted ones, and then whatever is there besides."""
    found, end = [], time.monotonic() + 60

    def take():
        got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", [])
        found.extend(message["Body"] for message in got)
        return got

    while missing := wanted - set(found):
        assert time.monotonic() < end, f"{len(missing)} of {len(wanted)} are missing: {sorted(missing)[:10]}"
        take()
    # What was written and not answered, because the process was gone, may be there besides; and nothing else.
    while take():
        pass
    return found


def test_sns_loses_no_message_and_delivers_none_twice(own_stack, tmp_path):
    needs("sns", "sqs")
    running = own_stack("--data-dir", str(tmp_path / "data"), "--eager", services=("sqs", "sns"))
    sqs, sns = default_client("sqs", running.url), default_client("sns", running.url)
    topic = sns.create_topic(Name="t")["TopicArn"]
    queues = []
    for number in range(3):
        url, arn = queue_of(sqs, f"q{number}")
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        queues.append(url)

    def write(number):
        client = default_client("sns", running.url)

        def once(turn):
            entries = [{"Id": str(n), "Message": f"{number}/{turn}/{n}"} for n in range(5)]
            done = {one["Id"] for one in client.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)["Successful"]}
            return [one["Message"] for one in entries if one["Id"] in done]

        return once

    load = Load(write)
    for program in ("fractus-sns", "fractus-sqs", "fractus-sns"):
        load.more(200)
        kill(running, program)
    load.more(100)
    accepted = load.end()
    assert len(accepted) == len(set(accepted))
    for queue in queues:
        found = all_bodies(sqs, queue, set(accepted))
        # A client that had no answer sends again, which is another message with the same text: at most what its writers had
        # under way when a process died.
        assert len(found) - len(accepted) <= 3 * WRITERS * 5, (len(found), len(accepted))
        assert set(found) - set(accepted) == set()


def test_fifo_topics_keep_their_order_over_a_death(own_stack, tmp_path):
    needs("sns", "sqs")
    running = own_stack("--data-dir", str(tmp_path / "data"), "--eager", services=("sqs", "sns"))
    sqs, sns = default_client("sqs", running.url), default_client("sns", running.url)
    topic = sns.create_topic(Name="t.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    url, arn = queue_of(sqs, "q.fifo", FifoQueue="true", FifoThroughputLimit="perMessageGroupId", DeduplicationScope="messageGroup")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    def write(number):
        client = default_client("sns", running.url)

        def once(turn):
            text = f"{number}/{turn}"
            client.publish(TopicArn=topic, Message=text, MessageGroupId=str(number), MessageDeduplicationId=text)
            return [text]

        return once

    load = Load(write)
    for program in ("fractus-sns", "fractus-sqs", "fractus-sns"):
        load.more(60)
        kill(running, program)
    load.more(40)
    accepted = load.end()
    # With ids that are deduplicated, what is sent again is one message: exactly those, each once, each group in its order.
    found = [message["Body"] for message in receive_until(sqs, url, len(accepted), 60)]
    assert sorted(found) == sorted(accepted)
    for number in range(WRITERS):
        turns = [int(body.split("/")[1]) for body in found if body.startswith(f"{number}/")]
        assert turns == list(range(len(turns)))


def test_scheduler_fires_each_time_once(own_stack, tmp_path):
    needs("scheduler", "sqs")
    running = own_stack("--data-dir", str(tmp_path / "data"), "--eager", services=("sqs", "scheduler"))
    sqs, scheduler = default_client("sqs", running.url), default_client("scheduler", running.url)
    clock = lambda **change: admin("/_fractus/clock", change, at=running.url)  # noqa: E731
    assert clock(action="freeze", to="2026-11-23T12:00:00Z")[0] == 200
    url, arn = queue_of(sqs, "q")
    schedules, minutes = 20, 60
    for number in range(schedules):
        target = {"Arn": arn, "RoleArn": ROLE, "Input": f"{number} <aws.scheduler.scheduled-time>"}
        scheduler.create_schedule(Name=f"s{number}", ScheduleExpression="cron(* * * * ? *)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target)
    # Twenty at 12:00, and so many each minute; a process dies within every ten.
    for ten in range(minutes // 10):
        for _ in range(10):
            assert clock(action="advance", seconds=60)[0] == 200
        kill(running, ("fractus-scheduler", "fractus-sqs")[ten % 2])
    wanted = {f"{number} 2026-11-23T{12 + minute // 60}:{minute % 60:02}:00Z" for number in range(schedules) for minute in range(minutes + 1)}
    found = all_bodies(sqs, url, wanted)
    assert sorted(found) == sorted(wanted)
    assert admin("/_fractus/clock", at=running.url)[1]["frozen"]
