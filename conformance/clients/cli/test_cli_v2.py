"""Version 2 of the AWS CLI: what it says differently from version 1.

FRACTUS_AWS_CLI_V2 names it. Older ones of version 2 (Debian 12 has 2.9) do not read AWS_ENDPOINT_URL, so every line gives the
endpoint.
"""

import base64
import json
import os

import pytest

from shell import sh
from stack import endpoint, unique

PROGRAM = os.environ.get("FRACTUS_AWS_CLI_V2")
pytestmark = pytest.mark.skipif(not PROGRAM, reason="there is no AWS CLI of version 2: Debian's awscli is one")


def v2(line, **options):
    # Its Python is the system's, whatever environment the tests run in.
    return sh(f"aws() {{ env -u PYTHONPATH -u VIRTUAL_ENV {PROGRAM} --endpoint-url {endpoint()} \"$@\"; }}; {line}", **options)


def test_it_is_version_2():
    assert v2("aws --version").startswith("aws-cli/2")


def test_objects(tmp_path):
    bucket = unique("v2")
    (tmp_path / "big").write_bytes(os.urandom(9 << 20))
    v2(f"aws s3 mb s3://{bucket} && aws s3 cp --no-progress big s3://{bucket}/big && aws s3 cp --no-progress s3://{bucket}/big back && cmp big back", cwd=tmp_path)
    v2(f"aws s3 sync . s3://{bucket}/all --exclude back --no-progress", cwd=tmp_path)
    # Version 2 copies properties and tags along.
    v2(f"aws s3api put-object-tagging --bucket {bucket} --key big --tagging 'TagSet=[{{Key=a,Value=1}}]' && aws s3 cp s3://{bucket}/big s3://{bucket}/copy --copy-props default")
    tags = json.loads(v2(f"aws s3api get-object-tagging --bucket {bucket} --key copy"))["TagSet"]
    assert tags == [{"Key": "a", "Value": "1"}]
    assert v2(f"aws s3 presign s3://{bucket}/big | xargs curl -s -o here -w '%{{http_code}}'; cmp here big", cwd=tmp_path) == "200"
    v2(f"aws s3 rb --force s3://{bucket}")


def test_a_queue_by_yaml(tmp_path):
    """--cli-input-yaml is version 2's alone; so is YAML as output."""
    name = unique("v2")
    (tmp_path / "queue.yaml").write_text(f"QueueName: {name}\nAttributes: {{VisibilityTimeout: '7'}}\n")
    url = v2("aws sqs create-queue --cli-input-yaml file://queue.yaml --output text", cwd=tmp_path).strip()
    assert f"VisibilityTimeout: '7'" in v2(f"aws sqs get-queue-attributes --queue-url {url} --attribute-names All --output yaml")
    # A blob in an argument is base64 in version 2.
    attributes = json.dumps({"b": {"DataType": "Binary", "BinaryValue": base64.b64encode(b"\0\xff").decode()}})
    v2(f"aws sqs send-message --queue-url {url} --message-body x --message-attributes '{attributes}'")
    got = json.loads(v2(f"aws sqs receive-message --queue-url {url} --message-attribute-names All --wait-time-seconds 2"))["Messages"][0]
    assert base64.b64decode(got["MessageAttributes"]["b"]["BinaryValue"]) == b"\0\xff"
    raw = json.dumps({"b": {"DataType": "Binary", "BinaryValue": "raw"}})
    v2(f"aws sqs send-message --cli-binary-format raw-in-base64-out --queue-url {url} --message-body y --message-attributes '{raw}'")
    got = json.loads(v2(f"aws sqs receive-message --queue-url {url} --message-attribute-names All --wait-time-seconds 2"))["Messages"][0]
    assert base64.b64decode(got["MessageAttributes"]["b"]["BinaryValue"]) == b"raw"
    v2(f"aws sqs delete-queue --queue-url {url}")


def test_a_table_by_ddb():
    """`aws ddb` is version 2's alone: YAML in and out."""
    table = unique("v2")
    v2(
        f"aws dynamodb create-table --table-name {table} --attribute-definitions AttributeName=p,AttributeType=S "
        f"--key-schema AttributeName=p,KeyType=HASH --billing-mode PAY_PER_REQUEST && aws dynamodb wait table-exists --table-name {table}"
    )
    v2(f"aws ddb put {table} '{{p: a, n: 1, list: [x, 2]}}'")
    v2(f"aws ddb put {table} '[{{p: b}}, {{p: c}}]'")
    assert "Count: 3" in v2(f"aws ddb select {table}")
    found = v2(f"aws ddb select {table} --key-condition 'p = \"a\"'")
    assert "Count: 1" in found and "n: 1" in found and "- x" in found, found
    # A blob in an argument is base64 in version 2, and the raw text in version 1.
    for program, told in [("aws", "AAH/"), ("command aws", base64.b64encode(b"AAH/").decode())]:
        at = "" if program == "aws" else f"--endpoint-url {endpoint()}"
        got = v2(
            f"""{program} dynamodb put-item {at} --table-name {table} --item '{{"p": {{"S": "blob"}}, "b": {{"B": "AAH/"}}}}' """
            f"""&& {program} dynamodb get-item {at} --table-name {table} --key '{{"p": {{"S": "blob"}}}}' --output json"""
        )
        assert json.loads(got)["Item"]["b"] == {"B": told}
    v2(f"aws dynamodb delete-table --table-name {table}")


def test_identity_by_the_regional_endpoint():
    assert json.loads(v2("aws sts get-caller-identity"))["Account"] == "000000000000"
    assumed = json.loads(v2("aws sts assume-role --role-arn arn:aws:iam::000000000000:role/reader --role-session-name me"))
    # Version 2 prints times in ISO 8601 with their offset.
    assert assumed["Credentials"]["Expiration"].endswith("+00:00")
