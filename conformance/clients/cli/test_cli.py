"""The AWS CLI, called as a person calls it: AWS_ENDPOINT_URL and nothing else."""

import json
import os
import time
import urllib.request

from shell import SQS, sh
from stack import unique


def test_cp_there_and_back(bucket, tmp_path):
    (tmp_path / "a").write_bytes(os.urandom(100_000))
    sh(f"aws s3 cp a 's3://{bucket}/dir/a b+ü' --metadata colour=blue --content-type text/x", cwd=tmp_path)
    sh(f"aws s3 cp 's3://{bucket}/dir/a b+ü' back", cwd=tmp_path)
    assert (tmp_path / "back").read_bytes() == (tmp_path / "a").read_bytes()
    head = json.loads(sh(f"aws s3api head-object --bucket {bucket} --key 'dir/a b+ü'"))
    assert (head["ContentType"], head["Metadata"]) == ("text/x", {"colour": "blue"})
    sh(f"aws s3 mv 's3://{bucket}/dir/a b+ü' s3://{bucket}/moved")
    assert sh(f"aws s3 ls --recursive s3://{bucket}").split()[2:] == ["100000", "moved"]


def test_cp_of_a_large_file(bucket, tmp_path):
    (tmp_path / "big").write_bytes(os.urandom(20 << 20))
    sh(f"aws s3 cp --no-progress big s3://{bucket}/big && aws s3 cp --no-progress s3://{bucket}/big back && cmp big back", cwd=tmp_path)
    copied = sh(f"aws s3 cp --no-progress s3://{bucket}/big s3://{bucket}/copy && aws s3api head-object --bucket {bucket} --key copy --query ContentLength")
    assert copied.splitlines()[-1] == str(20 << 20)


def test_sync_both_ways_and_rm(bucket, tmp_path):
    for name in ("a.txt", "sub/b.txt", "sub/deep/c.log"):
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        # S3 tells whole seconds: a file of the second in which it is copied would count as newer than its copy.
        os.utime(path, (time.time() - 60, time.time() - 60))
    sh(f"aws s3 sync here s3://{bucket}/there --exclude '*.log'", cwd=tmp_path)
    assert [line.split()[3] for line in sh(f"aws s3 ls --recursive s3://{bucket}").splitlines()] == ["there/a.txt", "there/sub/b.txt"]
    assert "PRE sub/" in sh(f"aws s3 ls s3://{bucket}/there/")
    assert sh(f"aws s3 sync here s3://{bucket}/there --exclude '*.log'", cwd=tmp_path) == "", "nothing is left to copy"
    (tmp_path / "here/a.txt").unlink()
    sh(f"aws s3 sync here s3://{bucket}/there --delete", cwd=tmp_path)
    assert "there/a.txt" not in sh(f"aws s3 ls --recursive s3://{bucket}")
    sh(f"aws s3 sync s3://{bucket}/there back && diff -r here back", cwd=tmp_path)
    sh(f"aws s3 rm --recursive s3://{bucket}/there")
    assert sh(f"aws s3 ls --recursive s3://{bucket} || true") == ""


def test_presign(bucket):
    sh(f"echo hello | aws s3 cp - s3://{bucket}/k")
    url = sh(f"aws s3 presign s3://{bucket}/k --expires-in 60").strip()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"hello\n"


def test_errors_read_as_on_aws():
    missing = unique("missing")
    assert "(NoSuchBucket)" in sh(f"aws s3 ls s3://{missing}", fails=True)
    assert "(AWS.SimpleQueueService.NonExistentQueue)" in sh(f"{SQS} get-queue-url --queue-name {missing}", fails=True)
    assert "(404)" in sh(f"aws s3api head-bucket --bucket {missing}", fails=True)


def test_a_queue_from_beginning_to_end():
    name = unique("cli")
    url = json.loads(sh(f"{SQS} create-queue --queue-name {name}.fifo --attributes FifoQueue=true,ContentBasedDeduplication=true --tags a=1"))["QueueUrl"]
    sent = json.loads(sh(f"{SQS} send-message --queue-url {url} --message-body hello --message-group-id g"))
    assert sent["SequenceNumber"]
    got = json.loads(sh(f"{SQS} receive-message --queue-url {url} --attribute-names All --wait-time-seconds 2"))["Messages"][0]
    assert got["MessageId"] == sent["MessageId"] and got["Attributes"]["MessageGroupId"] == "g"
    sh(f"{SQS} delete-message --queue-url {url} --receipt-handle '{got['ReceiptHandle']}'")
    facts = json.loads(sh(f"{SQS} get-queue-attributes --queue-url {url} --attribute-names All"))["Attributes"]
    assert facts["ApproximateNumberOfMessages"] == "0" and facts["FifoQueue"] == "true"
    assert json.loads(sh(f"{SQS} list-queue-tags --queue-url {url}"))["Tags"] == {"a": "1"}
    assert url in sh(f"{SQS} list-queues --queue-name-prefix {name}")
    sh(f"{SQS} delete-queue --queue-url {url}")


def test_hosts_below_localhost_without_a_resolver(bucket):
    """S3 Control's account and an access point's name stand in the host. Asked as a proxy, the stack needs no resolver for them."""
    name, proxied = unique("ap"), "HTTP_PROXY=$AWS_ENDPOINT_URL NO_PROXY= no_proxy= aws"
    made = json.loads(sh(f"{proxied} s3control create-access-point --account-id 000000000000 --name {name} --bucket {bucket}"))
    sh(f"echo through | {proxied} s3 cp - s3://{made['AccessPointArn']}/k")
    assert sh(f"aws s3 cp s3://{bucket}/k -") == "through\n"
    listed = sh(f"{proxied} s3control list-access-points --account-id 000000000000 --bucket {bucket} --query AccessPointList[].Name --output text")
    assert listed.strip() == name
    sh(f"{proxied} s3control delete-access-point --account-id 000000000000 --name {name}")
