import pytest

from shell import SQS, sh
from stack import unique


@pytest.fixture
def queue():
    """A queue's URL and ARN."""
    name = unique("cli")
    url = sh(f"{SQS} create-queue --queue-name {name} --output text").strip()
    yield url, f"arn:aws:sqs:us-east-1:000000000000:{name}"
    sh(f"{SQS} delete-queue --queue-url {url}")


@pytest.fixture
def bucket():
    name = unique("cli")
    sh(f"aws s3 mb s3://{name}")
    yield name
    sh(f"aws s3 rb --force s3://{name}")
