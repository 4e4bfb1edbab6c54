"""A disk that is full: what was acknowledged stays, what finds no room is refused in words, and the services go on."""

import subprocess

import pytest
from botocore.exceptions import ClientError

from conftest import Service

ROOM = "24m"
SMALL = 64 << 10  # what is kept beside its record


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder]).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("durability", ["process", "full"])
def test_a_full_disk_refuses_in_words_and_keeps_what_was_acknowledged(small_disk, durability):
    service = Service(str(small_disk), durability=durability)
    try:
        client = service.client()
        client.create_bucket(Bucket="full")
        kept, refused = fill(client)
        assert kept and refused
        assert all("no room is left on the disk" in words for words in refused), set(refused)
        assert_kept(client, kept)
        large = [key for key in kept if len(kept[key]) > SMALL]
        for key in large:
            client.delete_object(Bucket="full", Key=key)
            del kept[key]
        client.put_object(Bucket="full", Key="after", Body=b"after")
        kept["after"] = b"after"
        service.kill()
        service = Service(str(small_disk), durability=durability)
        assert_kept(service.client(), kept)
    finally:
        service.end()


def fill(client):
    """Puts objects large and small until each kind was refused; a few more find what is left."""
    kept, refused = {}, []
    for number in range(100):
        for size in (SMALL // 2, 400_000):
            key, body = f"{size}/{number}", bytes([number]) * size
            try:
                client.put_object(Bucket="full", Key=key, Body=body)
                kept[key] = body
            except ClientError as error:
                refused.append(str(error))
    return kept, refused


def assert_kept(client, kept):
    listed = {entry["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket="full") for entry in page["Contents"]}
    assert listed == set(kept)
    for key, body in kept.items():
        assert client.get_object(Bucket="full", Key=key)["Body"].read() == body, key
