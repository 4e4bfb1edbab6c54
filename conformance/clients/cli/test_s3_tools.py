"""Programs that people keep their files in S3 with: rclone, restic, s3cmd. Each is called as its manual says."""

import json
import os
import shutil
import subprocess
from urllib.parse import urlparse

import pytest

from shell import make_tree, tree
from stack import client, endpoint, unique

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def run(*command, fails=False, **settings):
    environment = {**os.environ, **KEYS, "HOME": settings.pop("home", "/nonexistent"), **settings}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def bucket():
    s3, name = client("s3"), unique("tool")
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for entry in page.get("Contents", []):
            s3.delete_object(Bucket=name, Key=entry["Key"])
    for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    s3.delete_bucket(Bucket=name)


def rclone(*arguments, fails=False):
    settings = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_F_TYPE": "s3",
        "RCLONE_CONFIG_F_PROVIDER": "Other",
        "RCLONE_CONFIG_F_ENV_AUTH": "true",
        "RCLONE_CONFIG_F_ENDPOINT": endpoint(),
        "RCLONE_CONFIG_F_REGION": "us-east-1",
        "RCLONE_CONFIG_F_CHUNK_SIZE": "5Mi",
        "RCLONE_CONFIG_F_UPLOAD_CUTOFF": "5Mi",
    }
    return run("rclone", *arguments, fails=fails, **settings)


@needs("rclone")
def test_rclone_syncs_checks_moves_and_purges(bucket, tmp_path):
    # Older ones name the list `private` with everything they write, which buckets refuse that have no lists.
    client("s3").put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})
    source = make_tree(tmp_path / "source")
    (source / "big").write_bytes(os.urandom(12 * 1024 * 1024))
    rclone("sync", str(source), f"f:{bucket}/tree")
    rclone("check", str(source), f"f:{bucket}/tree")
    rclone("sync", f"f:{bucket}/tree", str(tmp_path / "back"))
    assert tree(tmp_path / "back") == tree(source)
    rclone("moveto", f"f:{bucket}/tree/a.txt", f"f:{bucket}/moved/ä ö.txt")
    assert rclone("lsf", f"f:{bucket}/moved").strip() == "ä ö.txt"
    assert rclone("cat", f"f:{bucket}/moved/ä ö.txt") == "a.txt" * 7
    (source / "a.txt").unlink()
    rclone("check", str(source), f"f:{bucket}/tree")
    rclone("purge", f"f:{bucket}/tree")
    assert rclone("lsf", "-R", "--files-only", f"f:{bucket}").split("\n")[:-1] == ["moved/ä ö.txt"]


@needs("restic")
def test_restic_backs_up_checks_forgets_and_restores(bucket, tmp_path):
    source = make_tree(tmp_path / "source")
    (source / "big").write_bytes(os.urandom(9 * 1024 * 1024))
    repository = f"s3:{endpoint()}/{bucket}/backup"

    def restic(*arguments):
        return run("restic", "-r", repository, "--no-cache", *arguments, RESTIC_PASSWORD="secret", home=str(tmp_path))

    restic("init")
    restic("backup", str(source))
    (source / "a.txt").write_text("changed")
    restic("backup", str(source))
    restic("check", "--read-data")
    restic("restore", "latest", "--target", str(tmp_path / "back"))
    assert tree(tmp_path / "back" / str(source).lstrip("/")) == tree(source)
    restic("forget", "--keep-last", "1", "--prune")
    assert len(json.loads(restic("snapshots", "--json"))) == 1


@needs("s3cmd")
def test_s3cmd_makes_puts_syncs_and_removes(tmp_path):
    place = urlparse(endpoint())
    config = tmp_path / "s3cfg"
    config.write_text("[default]\n")
    name = unique("s3cmd")

    def s3cmd(*arguments, fails=False):
        secure = [] if place.scheme == "https" else ["--no-ssl"]
        known = ["--config", str(config), "--host", place.netloc, "--host-bucket", place.netloc, "--region", "us-east-1"]
        keys = ["--access_key", "test", "--secret_key", "test"]
        return run("s3cmd", *known, *keys, *secure, "--no-progress", *arguments, fails=fails, home=str(tmp_path))

    source = make_tree(tmp_path / "source")
    big = tmp_path / "big"
    big.write_bytes(os.urandom(17 * 1024 * 1024))
    s3cmd("mb", f"s3://{name}")
    assert f"s3://{name}" in s3cmd("ls")
    s3cmd("sync", f"{source}/", f"s3://{name}/tree/")
    s3cmd("sync", f"s3://{name}/tree/", f"{tmp_path}/back/")
    assert tree(tmp_path / "back") == tree(source)
    s3cmd("put", "--multipart-chunk-size-mb=5", str(big), f"s3://{name}/big")
    s3cmd("get", f"s3://{name}/big", f"{tmp_path}/big-back")
    assert (tmp_path / "big-back").read_bytes() == big.read_bytes()
    s3cmd("cp", f"s3://{name}/tree/a.txt", f"s3://{name}/copied")
    s3cmd("mv", f"s3://{name}/copied", f"s3://{name}/moved")
    assert "moved" in s3cmd("ls", f"s3://{name}/")
    assert "File size: 35" in s3cmd("info", f"s3://{name}/moved")
    s3cmd("setpolicy", write_policy(tmp_path, name), f"s3://{name}")
    s3cmd("delpolicy", f"s3://{name}")
    s3cmd("del", "--recursive", "--force", f"s3://{name}/")
    s3cmd("rb", f"s3://{name}")
    assert f"s3://{name}" not in s3cmd("ls")


def write_policy(folder, name):
    path = folder / "policy.json"
    path.write_text(
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"},'
        f' "Action": "s3:GetObject", "Resource": "arn:aws:s3:::{name}/*"}}]}}'
    )
    return str(path)
