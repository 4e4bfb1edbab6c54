"""fsspec's s3fs. It wants a botocore of its own, so it runs in an environment of its own."""

import pytest
import s3fs

from stack import client, endpoint, unique


@pytest.fixture
def bucket():
    s3, name = client("s3"), unique("data")
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for entry in page.get("Contents", []):
            s3.delete_object(Bucket=name, Key=entry["Key"])
    s3.delete_bucket(Bucket=name)


def files():
    return s3fs.S3FileSystem(key="test", secret="test", endpoint_url=endpoint(), skip_instance_cache=True)


def test_s3fs_is_a_file_system(bucket, tmp_path):
    fs = files()
    with fs.open(f"{bucket}/folder/a.txt", "w") as file:
        file.write("one\ntwo\n")
    with fs.open(f"{bucket}/folder/big.bin", "wb", block_size=5 * 1024 * 1024) as file:
        for _ in range(13):
            file.write(b"x" * 1024 * 1024)
    assert fs.info(f"{bucket}/folder/big.bin")["size"] == 13 * 1024 * 1024
    assert sorted(fs.ls(f"{bucket}/folder")) == [f"{bucket}/folder/a.txt", f"{bucket}/folder/big.bin"]
    assert fs.isdir(f"{bucket}/folder") and fs.exists(f"{bucket}/folder/a.txt")
    assert fs.cat_file(f"{bucket}/folder/a.txt", start=4, end=7) == b"two"
    with fs.open(f"{bucket}/folder/a.txt", "a") as file:
        file.write("three\n")
    assert fs.cat(f"{bucket}/folder/a.txt") == b"one\ntwo\nthree\n"
    fs.mv(f"{bucket}/folder/a.txt", f"{bucket}/moved/b.txt")
    assert fs.find(bucket) == [f"{bucket}/folder/big.bin", f"{bucket}/moved/b.txt"]
    assert fs.glob(f"{bucket}/**/*.txt") == [f"{bucket}/moved/b.txt"]
    fs.setxattr(f"{bucket}/moved/b.txt", attribute="kept")
    assert fs.getxattr(f"{bucket}/moved/b.txt", "attribute") == "kept"
    fs.put(str(tmp_path), f"{bucket}/nothing", recursive=True)
    fs.rm(f"{bucket}/folder", recursive=True)
    assert not fs.exists(f"{bucket}/folder")
    with pytest.raises(FileNotFoundError):
        fs.open(f"{bucket}/nothing-there", "rb").read()
