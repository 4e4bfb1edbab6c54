"""What a newcomer types first into a shell."""

import json
import os
import shutil

import pytest

from shell import sh
from stack import endpoint, unique


def test_the_first_line_for_sts():
    assert json.loads(sh("aws sts get-caller-identity"))["Account"] == "000000000000"


def test_the_first_lines_for_s3():
    """`b` may be there already from the line typed before."""
    listing = sh("aws s3 mb s3://b || true; echo hi | aws s3 cp - s3://b/k && aws s3 ls s3://b")
    assert listing.splitlines()[-1].split()[2:] == ["3", "k"]
    assert shutil.which("curl"), "the line needs curl"
    assert sh("aws s3 presign s3://b/k | xargs curl -s") == "hi\n"


# Version 1 of the CLI, which PyPI has, reads its region from AWS_DEFAULT_REGION alone, and in the regions that its table of
# old certificates names (awscli/customizations/overridesslcommonname.py) it sends SQS calls to AWS whatever
# AWS_ENDPOINT_URL says. So the lines are tried unchanged in a region that the table does not name, and with
# --endpoint-url in us-east-1. Version 2 has neither habit.
@pytest.mark.parametrize("region, option", [("eu-central-2", ""), ("us-east-1", "--endpoint-url $AWS_ENDPOINT_URL")])
def test_the_first_lines_for_sqs(region, option):
    before = f"export AWS_DEFAULT_REGION={region} AWS_REGION={region}; aws() {{ command aws {option} \"$@\"; }}; "
    sent = sh(
        before + "aws sqs create-queue --queue-name q; aws sqs send-message --queue-url "
        '"$(aws sqs get-queue-url --queue-name q --query QueueUrl --output text)" --message-body x'
    )
    assert '"MD5OfMessageBody": "9dd4e461268c8034f5c8564e155c67a6"' in sent
    got = json.loads(
        sh(before + 'aws sqs receive-message --wait-time-seconds 5 --queue-url "$(aws sqs get-queue-url --queue-name q --query QueueUrl --output text)"')
    )
    assert got["Messages"][0]["Body"] == "x"
    sh(before + 'aws sqs delete-queue --queue-url "$(aws sqs get-queue-url --queue-name q --query QueueUrl --output text)"')


def test_what_fractus_env_prints_is_enough_for_a_shell():
    """Every version of the CLI, in a region that version 1 has a host name of its own for."""
    program = os.environ.get("FRACTUS_PROGRAM")
    if not program:
        pytest.skip("the stack's own program is not at hand")
    url = endpoint()
    lines = f'for name in $(compgen -e AWS_); do unset "$name"; done; eval "$({program} env --endpoint {url})"; '
    name = unique("shell")
    sh(lines + f"aws sqs create-queue --queue-name {name}")
    assert json.loads(sh(lines + f"aws sqs get-queue-url --queue-name {name}"))["QueueUrl"].startswith(url)
    assert json.loads(sh(lines + "aws sts get-caller-identity"))["Account"] == "000000000000"
    sh(lines + f'aws sqs delete-queue --queue-url "{url}/000000000000/{name}"')


def test_the_first_lines_for_dynamodb():
    table = unique("cli")
    sh(
        f"aws dynamodb create-table --table-name {table} --attribute-definitions AttributeName=p,AttributeType=S AttributeName=s,AttributeType=N "
        "--key-schema AttributeName=p,KeyType=HASH AttributeName=s,KeyType=RANGE --billing-mode PAY_PER_REQUEST "
        f"&& aws dynamodb wait table-exists --table-name {table}"
    )
    sh(f"""aws dynamodb put-item --table-name {table} --item '{{"p": {{"S": "a"}}, "s": {{"N": "1"}}}}'""")
    got = json.loads(sh(f"""aws dynamodb get-item --table-name {table} --key '{{"p": {{"S": "a"}}, "s": {{"N": "1"}}}}'"""))
    assert got["Item"] == {"p": {"S": "a"}, "s": {"N": "1"}}
    query = f"""aws dynamodb query --table-name {table} --key-condition-expression 'p = :p' --expression-attribute-values '{{":p": {{"S": "a"}}}}' --query Count"""
    assert sh(query).strip() == "1"
    sh(f"aws dynamodb delete-table --table-name {table} && aws dynamodb wait table-not-exists --table-name {table}")
