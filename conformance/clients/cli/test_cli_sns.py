"""Topics by the AWS CLI."""

import json

import pytest

from shell import receive, sh
from stack import unique


@pytest.fixture
def topic():
    arn = json.loads(sh(f"aws sns create-topic --name {unique('cli')} --attributes DisplayName=Fractus --tags Key=a,Value=b"))["TopicArn"]
    yield arn
    sh(f"aws sns delete-topic --topic-arn {arn}")
    assert "(NotFound)" in sh(f"aws sns get-topic-attributes --topic-arn {arn}", fails=True)


def test_a_topic_and_a_queue(topic, queue):
    url, arn = queue
    assert topic.startswith("arn:aws:sns:us-east-1:000000000000:cli-")
    sh(f"aws sns subscribe --topic-arn {topic} --protocol sqs --notification-endpoint {arn} --attributes RawMessageDelivery=true")
    sh(f"aws sns publish --topic-arn {topic} --message hello --message-attributes '{{\"a\":{{\"DataType\":\"String\",\"StringValue\":\"b\"}}}}'")
    [message] = receive(url)
    assert message["Body"] == "hello" and message["MessageAttributes"]["a"]["StringValue"] == "b"
    assert json.loads(sh("aws sns list-tags-for-resource --resource-arn " + topic))["Tags"] == [{"Key": "a", "Value": "b"}]
    assert sh(f"aws sns get-topic-attributes --topic-arn {topic} --query Attributes.[DisplayName,SubscriptionsConfirmed] --output text").split() == ["Fractus", "1"]


def test_a_filter_and_a_text_for_each_protocol(topic, queue, tmp_path):
    url, arn = queue
    subscription = sh(f"aws sns subscribe --topic-arn {topic} --protocol sqs --notification-endpoint {arn} --return-subscription-arn --output text").strip()
    (tmp_path / "policy.json").write_text(json.dumps({"kind": [{"anything-but": "noise"}]}))
    sh(f"aws sns set-subscription-attributes --subscription-arn {subscription} --attribute-name FilterPolicy --attribute-value file://policy.json", cwd=tmp_path)
    (tmp_path / "text.json").write_text(json.dumps({"default": "for all", "sqs": "for queues"}))
    publish = f"aws sns publish --topic-arn {topic} --message-structure json --message file://text.json --subject s --message-attributes"
    sh(f"{publish} 'kind={{DataType=String,StringValue=noise}}'", cwd=tmp_path)
    sent = json.loads(sh(f"{publish} 'kind={{DataType=String,StringValue=news}}'", cwd=tmp_path))
    envelope = json.loads(receive(url)[0]["Body"])
    assert (envelope["MessageId"], envelope["Message"], envelope["Subject"]) == (sent["MessageId"], "for queues", "s")
    sh(f"aws sns unsubscribe --subscription-arn {subscription}")
    assert "(NotFound)" in sh(f"aws sns get-subscription-attributes --subscription-arn {subscription}", fails=True)


def test_a_batch_and_pages(topic, tmp_path):
    entries = [{"Id": "a", "Message": "x"}, {"Id": "b", "Message": "x", "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "one"}}}]
    (tmp_path / "entries.json").write_text(json.dumps(entries))
    answer = json.loads(sh(f"aws sns publish-batch --topic-arn {topic} --publish-batch-request-entries file://entries.json", cwd=tmp_path))
    assert [[one["Id"] for one in answer[kind]] for kind in ("Successful", "Failed")] == [["a"], ["b"]]
    assert topic in sh("aws sns list-topics --query 'Topics[].TopicArn' --output text").split()
    assert "(InvalidParameter)" in sh(f"aws sns publish --topic-arn {topic} --message ''", fails=True)
