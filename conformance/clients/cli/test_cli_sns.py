"""Topics by the AWS CLI."""

import json
import os

import pytest

from stack import unique, wait_for
from test_cli import SETTINGS, sh

program = os.environ.get("FRACTUS_PROGRAM")
missing = bool(program) and not os.path.exists(os.path.join(os.path.dirname(program), "fractus-sns"))
pytestmark = pytest.mark.skipif(missing, reason="fractus-sns is not built")


def test_a_topic_and_a_queue():
    name = unique("cli")
    endpoint = SETTINGS["AWS_ENDPOINT_URL"]
    topic = json.loads(sh(f"aws sns create-topic --name {name} --attributes DisplayName=Fractus --tags Key=a,Value=b"))["TopicArn"]
    assert topic == f"arn:aws:sns:us-east-1:000000000000:{name}"
    queue = json.loads(sh(f"aws sqs create-queue --queue-name {name} --endpoint-url {endpoint}"))["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    sh(f"aws sns subscribe --topic-arn {topic} --protocol sqs --notification-endpoint {arn} --attributes RawMessageDelivery=true")
    sh(f"aws sns publish --topic-arn {topic} --message hello --message-attributes '{{\"a\":{{\"DataType\":\"String\",\"StringValue\":\"b\"}}}}'")

    def received():
        answer = sh(f"aws sqs receive-message --queue-url {queue} --wait-time-seconds 2 --message-attribute-names All --endpoint-url {endpoint}")
        return json.loads(answer or "{}").get("Messages")

    [message] = wait_for(received)
    assert message["Body"] == "hello" and message["MessageAttributes"]["a"]["StringValue"] == "b"
    assert json.loads(sh("aws sns list-tags-for-resource --resource-arn " + topic))["Tags"] == [{"Key": "a", "Value": "b"}]
    sh(f"aws sns delete-topic --topic-arn {topic}")
    assert "NotFound" in sh(f"aws sns get-topic-attributes --topic-arn {topic}", fails=True)
