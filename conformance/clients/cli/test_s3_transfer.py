"""The AWS CLI's transfers: sync, mv, rm --recursive, presigned URLs, uploads in parts."""

import os
import urllib.request

from shell import digest, make_tree, sh, tree
from stack import unique


def test_sync_there_and_back_and_what_has_gone(bucket, tmp_path):
    source = make_tree(tmp_path / "source")
    sh(f"aws s3 sync '{source}' s3://{bucket}/tree")
    sh(f"aws s3 sync s3://{bucket}/tree '{tmp_path}/back'")
    assert tree(tmp_path / "back") == tree(source)
    assert sh(f"aws s3 sync '{source}' s3://{bucket}/tree").strip() == "", "nothing has changed"
    (source / "a.txt").unlink()
    (source / "sub" / "b.txt").write_text("another, longer text")
    lines = sh(f"aws s3 sync '{source}' s3://{bucket}/tree --delete").splitlines()
    assert any(line.startswith("delete:") and "a.txt" in line for line in lines)
    assert any(line.startswith("upload:") and "b.txt" in line for line in lines)
    sh(f"aws s3 sync s3://{bucket}/tree '{tmp_path}/back' --delete")
    assert tree(tmp_path / "back") == tree(source)


def test_move_copy_and_remove_recursively(bucket, tmp_path):
    source = make_tree(tmp_path / "source")
    sh(f"aws s3 cp --recursive '{source}' s3://{bucket}/one")
    sh(f"aws s3 mv --recursive s3://{bucket}/one s3://{bucket}/two")
    assert "one/" not in sh(f"aws s3 ls s3://{bucket}")
    listed = sh(f"aws s3 ls --recursive --summarize s3://{bucket}/two")
    assert "Total Objects: 5" in listed
    sh(f"aws s3 rm --recursive --exclude '*' --include '*.txt' s3://{bucket}/two")
    assert sh(f"aws s3 ls --recursive s3://{bucket}").split()[-1] == "two/empty"


def test_a_presigned_url_is_enough(bucket):
    sh(f"printf secret | aws s3 cp - s3://{bucket}/key")
    url = sh(f"aws s3 presign s3://{bucket}/key --expires-in 60").strip()
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"secret"


def test_an_upload_in_parts_is_whole(bucket, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(os.urandom(20 * 1024 * 1024 + 17))
    sh(f"aws s3 cp '{big}' s3://{bucket}/big")
    etag = sh(f"aws s3api head-object --bucket {bucket} --key big --query ETag --output text").strip()
    assert etag.endswith('-3"'), etag
    sh(f"aws s3 cp s3://{bucket}/big '{tmp_path}/back'")
    assert digest(tmp_path / "back") == digest(big)
    sh(f"aws s3 cp s3://{bucket}/big s3://{bucket}/{unique('copy')}")


def test_requester_pays_by_its_flag(bucket):
    sh(f"printf x | aws s3 cp - s3://{bucket}/key")
    sh(f"aws s3api put-bucket-request-payment --bucket {bucket} --request-payment-configuration Payer=Requester")
    other = "AWS_ACCESS_KEY_ID=444455556666"
    assert "403" in sh(f"{other} aws s3api head-object --bucket {bucket} --key key", fails=True)
    answer = sh(f"{other} aws s3api get-object --bucket {bucket} --key key --request-payer requester /dev/null")
    assert '"RequestCharged": "requester"' in answer
