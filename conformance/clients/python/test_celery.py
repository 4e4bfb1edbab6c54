"""Celery with SQS as its broker: workers are processes of their own; what their tasks did is read from a bucket."""

import os
import pathlib
import signal
import subprocess
import sys

import kombu
import pytest

import celery_tasks
import stack
from stack import unique, wait_for

HERE = pathlib.Path(__file__).parent.parent


class World:
    """An application of a test's own, its workers and its bucket."""

    def __init__(self, prefix, bucket, folder, visibility_timeout=60):
        self.prefix, self.bucket, self.folder, self.visibility_timeout = prefix, bucket, folder, visibility_timeout
        self.app = celery_tasks.application(prefix, visibility_timeout)
        self.workers = []

    def worker(self, name, *options):
        log = self.folder / f"{name}.log"
        settings = {"CELERY_PREFIX": self.prefix, "CELERY_VISIBILITY_TIMEOUT": str(self.visibility_timeout), "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "-n", f"{name}@here", "-l", "info", *options]
        with open(log, "wb") as out:
            process = subprocess.Popen(command, env={**os.environ, **settings}, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.workers.append(process)

        def is_ready():
            assert process.poll() is None, log.read_text()
            return " ready." in log.read_text()

        wait_for(is_ready, 60)
        return process

    def send(self, task, *arguments, **options):
        self.app.send_task(f"celery_tasks.{task}", args=[self.bucket, *arguments], **options)

    def keys(self, prefix=""):
        return [one["Key"] for one in stack.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])]

    def read(self, key):
        return stack.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read().decode()

    def topics(self):
        pages = stack.client("sns").get_paginator("list_topics").paginate()
        return [topic["TopicArn"] for page in pages for topic in page["Topics"] if f":{self.prefix}-" in topic["TopicArn"]]

    def end(self):
        """Ends the workers as a service manager does; what did not want to end is killed."""
        left = [process for process in self.workers if process.poll() is None]
        for process in left:
            process.terminate()
        try:
            return [process.wait(20) for process in left]
        finally:
            for process in left:
                process.kill()
            self.app.close()


@pytest.fixture
def world(sqs, bucket, tmp_path):
    made = []

    def make(**options):
        made.append(World(unique("celery"), bucket, tmp_path, **options))
        return made[-1]

    yield make
    sns = stack.client("sns")
    for one in made:
        one.end()
        for url in sqs.list_queues(QueueNamePrefix=one.prefix).get("QueueUrls", []):
            sqs.delete_queue(QueueUrl=url)
        for topic in one.topics():
            sns.delete_topic(TopicArn=topic)


def counts(sqs, prefix):
    url = sqs.get_queue_url(QueueName=f"{prefix}-{celery_tasks.QUEUE}")["QueueUrl"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return [told[name] for name in ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")]


def test_tasks_are_done_and_retried_and_their_messages_go(world, sqs):
    mine = world()
    for number in range(20):
        mine.send("add", f"sum/{number:02}", number, 100)
    assert counts(sqs, mine.prefix) == ["20", "0", "0"]
    mine.worker("one", "--concurrency", "2", "--without-gossip", "--without-mingle")
    mine.send("flaky", "flaky")
    wait_for(lambda: len(mine.keys("sum/")) == 20 and mine.keys("flaky"), 60)
    assert [mine.read(key) for key in mine.keys("sum/")] == [str(number + 100) for number in range(20)]
    assert mine.read("flaky") == "2"
    wait_for(lambda: counts(sqs, mine.prefix) == ["0", "0", "0"])
    assert mine.end() == [0]


def test_what_a_killed_worker_had_begun_is_done_by_another(world, sqs):
    mine = world(visibility_timeout=5)
    options = ["--pool", "solo", "--without-gossip", "--without-mingle"]
    first = mine.worker("first", *options)
    mine.send("slow", "task")
    assert wait_for(lambda: mine.keys("task/begun/"), 60) == [f"task/begun/{first.pid}"]
    assert counts(sqs, mine.prefix) == ["0", "1", "0"]
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = mine.worker("second", *options)
    assert wait_for(lambda: mine.keys("task/ended/"), 60) == [f"task/ended/{second.pid}"]
    wait_for(lambda: counts(sqs, mine.prefix) == ["0", "0", "0"])
    assert mine.end() == [0]


def test_a_fan_out_exchange_is_a_topic(world):
    """kombu makes an SNS topic of a fan-out exchange, and subscribes the queues that are bound to it."""
    mine = world()
    exchange = kombu.Exchange("news", type="fanout")
    queues = [kombu.Queue(name, exchange) for name in ("one", "two")]
    with mine.app.connection_for_write() as connection:
        got = {}

        def take(body, message):
            got.setdefault(message.delivery_info["sqs_queue"].rsplit("-", 1)[1], []).append(body)
            message.ack()

        with connection.Consumer(queues, callbacks=[take], accept=["json"]):
            [topic] = mine.topics()
            subscriptions = stack.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
            assert sorted(one["Endpoint"].rsplit("-", 1)[1] for one in subscriptions) == ["one", "two"]
            with connection.Producer() as producer:
                for number in range(3):
                    producer.publish({"n": number}, exchange=exchange, serializer="json")

            def all_came():
                try:
                    connection.drain_events(timeout=2)
                except TimeoutError:
                    pass
                return sum(map(len, got.values())) >= 6

            wait_for(all_came)
    assert {queue: sorted(body["n"] for body in bodies) for queue, bodies in got.items()} == {"one": [0, 1, 2], "two": [0, 1, 2]}
