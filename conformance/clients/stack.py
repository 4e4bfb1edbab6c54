"""The stack under test: where it is, clients of it, and how to wait for something in it."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.config import Config

REGION = "us-east-1"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


def endpoint():
    return os.environ.get("FRACTUS_ENDPOINT", "http://localhost:4566").rstrip("/")


def client(service, *, at=None, lane=None, region=REGION, keys=None, **options):
    """A stock boto3 client. `lane`: every request says that it is of this world."""
    made = boto3.client(
        service,
        endpoint_url=at or endpoint(),
        region_name=region,
        config=Config(retries={"max_attempts": 2}, **options),
        **(keys or KEYS),
    )
    if lane:
        made.meta.events.register("before-sign", lambda request, **_: request.headers.add_header("x-fractus-lane", lane))
    return made


def resource(service, *, region=REGION):
    """boto3's object-oriented face of a service."""
    return boto3.resource(service, endpoint_url=endpoint(), region_name=region, **KEYS)


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def admin(path, body=None, *, at=None, method=None):
    """One of the stack's own paths: its status and what it says."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request((at or endpoint()) + path, data=data, method=method or ("GET" if body is None else "POST"))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def wait_for(what, seconds=20.0, pause=0.02):
    """The first truthy value of `what()`; fails when none comes in time."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"nothing came within {seconds} s"
        time.sleep(pause)


def receive_until(sqs, queue, count, seconds=20.0, **options):
    """Receives and deletes until there are `count` messages (or more, if more come)."""
    found, end = [], time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} messages came within {seconds} s"
        got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, **options).get("Messages", [])
        if got:
            entries = [{"Id": str(at), "ReceiptHandle": one["ReceiptHandle"]} for at, one in enumerate(got)]
            assert not sqs.delete_message_batch(QueueUrl=queue, Entries=entries).get("Failed")
        found += got
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class OwnStack:
    """A stack of a test's own, so that its processes may be ended."""

    def __init__(self, *arguments, services=("sqs", "s3"), log=None, port=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = open(log, "wb") if log else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [os.environ["FRACTUS_PROGRAM"], "up", *services, "--port", str(self.port), *arguments],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        for line in self.process.stdout:
            if line.strip() == "Ready.":
                return
        raise AssertionError(f"the stack ended with {self.process.wait()} before it was ready")

    def pid_of(self, program):
        """The process of that name among this stack's descendants."""
        waiting = [self.process.pid]
        while waiting:
            pid = waiting.pop()
            try:
                threads = os.listdir(f"/proc/{pid}/task")
                for thread in threads:
                    with open(f"/proc/{pid}/task/{thread}/children") as children:
                        waiting += [int(child) for child in children.read().split()]
                with open(f"/proc/{pid}/cmdline", "rb") as line:
                    name = os.path.basename(line.read().split(b"\0")[0].decode())
            except (FileNotFoundError, ProcessLookupError):
                continue
            if name == program:
                return pid
        return None

    def end(self):
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
