import socket

import pytest

import stack


@pytest.fixture(scope="session")
def sqs():
    return stack.client("sqs")


@pytest.fixture(scope="session")
def s3():
    return stack.client("s3")


@pytest.fixture(scope="session")
def sts():
    return stack.client("sts")


@pytest.fixture
def queue(sqs):
    """A fresh standard queue's URL."""
    url = sqs.create_queue(QueueName=stack.unique("q"))["QueueUrl"]
    yield url
    try:
        sqs.delete_queue(QueueUrl=url)
    except sqs.exceptions.QueueDoesNotExist:
        pass


@pytest.fixture
def fifo(sqs):
    url = sqs.create_queue(QueueName=stack.unique("q") + ".fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def bucket(s3):
    """A fresh bucket, emptied and deleted afterwards."""
    name = stack.unique("bucket")
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        objects = [{"Key": one["Key"]} for one in page.get("Contents", [])]
        if objects:
            s3.delete_objects(Bucket=name, Delete={"Objects": objects})
    for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    s3.delete_bucket(Bucket=name)


@pytest.fixture
def queue_arn(sqs):
    return lambda url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


@pytest.fixture
def hosts(monkeypatch):
    """Accounts, access points and buckets stand in hosts, whose names below `localhost` not every machine resolves."""
    real = socket.getaddrinfo

    def resolve(host, *rest, **options):
        return real("localhost" if str(host).endswith(".localhost") else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def own_stack(tmp_path):
    """Starts stacks of the test's own."""
    import os

    if "FRACTUS_PROGRAM" not in os.environ:
        pytest.skip("an endpoint was given: its processes are not ours to end")
    running = []

    def start(*arguments, **options):
        running.append(stack.OwnStack(*arguments, log=tmp_path / f"stack{len(running)}.log", **options))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.end()
