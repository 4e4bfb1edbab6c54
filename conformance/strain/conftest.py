"""One service by itself, on the disk engine, in a folder that is removed afterwards."""

import os
import shutil
import tempfile
import time

import boto3
import pytest
from botocore.config import Config

import programs

ROOM = os.environ.get("STRAIN_DIR") or os.path.join(programs.ROOT, ".run")


def processor_time(service):
    """Seconds that all its threads have run: what else the machine does is not in it."""
    with open(f"/proc/{service.process.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Service(programs.Program):
    """A service's program with its state in a folder."""

    def __init__(self, folder, service="s3", **settings):
        self.started = time.perf_counter()
        environment = {"FRACTUS_LISTEN": "127.0.0.1:0", "FRACTUS_DATA_DIR": folder}
        environment.update({f"FRACTUS_{name.upper()}": str(value) for name, value in settings.items()})
        super().__init__([os.path.join(programs.PROGRAMS, f"fractus-{service}")], environment)
        self.folder = folder

    def client(self, connections=32):
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=connections, retries={"total_max_attempts": 1}, read_timeout=300),
        )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def peak_mib(self):
        """The most memory that was ever resident."""
        return programs.kib(self.process.pid, "VmHWM") / 1024

    def blobs(self):
        """The files of bytes that are no small object's: path and size."""
        found = {}
        for at, _, names in os.walk(self.folder):
            if "blobs" in at.split(os.sep):
                for name in names:
                    path = os.path.join(at, name)
                    try:
                        found[path] = os.path.getsize(path)
                    except FileNotFoundError:
                        continue
        return found


def started(name):
    os.makedirs(ROOM, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="strain-", dir=ROOM)
    running = []

    def start(**settings):
        running.append(Service(folder, name, **settings))
        return running[-1]

    yield start
    for service in running:
        if service.process.poll() is None:
            service.end()
    shutil.rmtree(folder)


@pytest.fixture
def s3():
    """Starts the service, again and again if wanted, on one folder."""
    yield from started("s3")


@pytest.fixture
def dynamodb():
    """The same with DynamoDB."""
    yield from started("dynamodb")
