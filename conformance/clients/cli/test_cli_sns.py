"""Topics by the AWS CLI."""

import json
import os
import subprocess

import pytest

from stack import endpoint, unique, wait_for

SETTINGS = {
    "AWS_ENDPOINT_URL": endpoint(),
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_PAGER": "",
}

program = os.environ.get("FRACTUS_PROGRAM")
missing = bool(program) and not os.path.exists(os.path.join(os.path.dirname(program), "fractus-sns"))
pytestmark = pytest.mark.skipif(missing, reason="fractus-sns is not built")


def sh(line, fails=False):
    """Runs a line of bash; what it wrote to standard output, or to standard error where it has to fail."""
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", line], env={**os.environ, **SETTINGS}, capture_output=True, text=True, timeout=120)
    assert (done.returncode != 0) == fails, f"{line}\n{done.stdout}{done.stderr}"
    return done.stderr if fails else done.stdout


def test_a_topic_and_a_queue():
    name, at = unique("cli"), endpoint()
    topic = json.loads(sh(f"aws sns create-topic --name {name} --attributes DisplayName=Fractus --tags Key=a,Value=b"))["TopicArn"]
    assert topic == f"arn:aws:sns:us-east-1:000000000000:{name}"
    queue = json.loads(sh(f"aws sqs create-queue --queue-name {name} --endpoint-url {at}"))["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    sh(f"aws sns subscribe --topic-arn {topic} --protocol sqs --notification-endpoint {arn} --attributes RawMessageDelivery=true")
    sh(f"aws sns publish --topic-arn {topic} --message hello --message-attributes '{{\"a\":{{\"DataType\":\"String\",\"StringValue\":\"b\"}}}}'")

    def received():
        answer = sh(f"aws sqs receive-message --queue-url {queue} --wait-time-seconds 2 --message-attribute-names All --endpoint-url {at}")
        return json.loads(answer or "{}").get("Messages")

    [message] = wait_for(received)
    assert message["Body"] == "hello" and message["MessageAttributes"]["a"]["StringValue"] == "b"
    assert json.loads(sh("aws sns list-tags-for-resource --resource-arn " + topic))["Tags"] == [{"Key": "a", "Value": "b"}]
    sh(f"aws sns delete-topic --topic-arn {topic}")
    assert "NotFound" in sh(f"aws sns get-topic-attributes --topic-arn {topic}", fails=True)
