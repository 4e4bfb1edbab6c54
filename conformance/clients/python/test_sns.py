"""Topics: boto3 as users write it, with queues, an HTTP endpoint and OpenSSL beside it."""

import base64
import http.server
import json
import os
import signal
import subprocess
import threading
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError

import stack
from stack import KEYS, REGION, receive_until, unique, wait_for


def program_is_missing():
    program = os.environ.get("FRACTUS_PROGRAM")
    return program and not os.path.exists(os.path.join(os.path.dirname(program), "fractus-sns"))


pytestmark = pytest.mark.skipif(bool(program_is_missing()), reason="fractus-sns is not built")


@pytest.fixture(scope="session")
def sns():
    return stack.client("sns")


@pytest.fixture
def topic(sns):
    arn = sns.create_topic(Name=unique("t"))["TopicArn"]
    yield arn
    sns.delete_topic(TopicArn=arn)


@pytest.fixture
def hook():
    """An HTTP endpoint on this machine: its URL, what it got, and the statuses it is to answer with."""
    got, statuses = [], []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((dict(self.headers), body))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got, statuses
    server.shutdown()


def envelopes(sqs, queue, count):
    return [json.loads(message["Body"]) for message in receive_until(sqs, queue, count)]


def test_fan_out_with_attributes_and_filters(sns, sqs, topic, queue, queue_arn):
    other = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(queue))
    policy = json.dumps({"kind": ["order"], "size": [{"numeric": [">", 10]}]})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(other), Attributes={"FilterPolicy": policy, "RawMessageDelivery": "true"})
    attributes = {"kind": {"DataType": "String", "StringValue": "order"}, "size": {"DataType": "Number", "StringValue": "11"}}
    published = sns.publish(TopicArn=topic, Message="large", MessageAttributes=attributes)
    sns.publish(TopicArn=topic, Message="small", MessageAttributes={**attributes, "size": {"DataType": "Number", "StringValue": "9"}})
    got = envelopes(sqs, queue, 2)
    assert {one["Message"] for one in got} == {"large", "small"}
    [large] = [one for one in got if one["Message"] == "large"]
    assert large["MessageId"] == published["MessageId"]
    assert large["MessageAttributes"]["size"] == {"Type": "Number", "Value": "11"}
    [raw] = receive_until(sqs, other, 1)
    assert raw["Body"] == "large"
    sqs.delete_queue(QueueUrl=other)


def test_a_batch_to_a_fifo_topic_keeps_its_order(sns, sqs, fifo, queue_arn):
    topic = sns.create_topic(Name=unique("t") + ".fifo", Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"})["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(fifo), Attributes={"RawMessageDelivery": "true"})
    entries = [{"Id": str(n), "Message": f"m{n}", "MessageGroupId": "g"} for n in range(10)]
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    numbers = [one["SequenceNumber"] for one in answer["Successful"]]
    assert len(numbers) == 10 and numbers == sorted(numbers)
    assert [message["Body"] for message in receive_until(sqs, fifo, 10)] == [f"m{n}" for n in range(10)]
    sns.delete_topic(TopicArn=topic)


def verify(certificate_url, version, text, signature, tmp_path):
    """As a receiver does it, with OpenSSL."""
    (tmp_path / "cert.pem").write_bytes(urllib.request.urlopen(certificate_url).read())
    (tmp_path / "text").write_text(text)
    (tmp_path / "signature").write_bytes(base64.b64decode(signature))
    key = subprocess.run(["openssl", "x509", "-pubkey", "-noout", "-in", tmp_path / "cert.pem"], capture_output=True, check=True).stdout
    (tmp_path / "key.pem").write_bytes(key)
    digest = {"1": "-sha1", "2": "-sha256"}[version]
    command = ["openssl", "dgst", digest, "-verify", tmp_path / "key.pem", "-signature", tmp_path / "signature", tmp_path / "text"]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "Verified OK"


def signed(message, names):
    return "".join(f"{name}\n{message[name]}\n" for name in names if name in message)


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_http_endpoint_confirms_verifies_and_leaves(sns, topic, hook, version, tmp_path):
    url, got, _ = hook
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue=version)
    answer = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url)
    assert answer["SubscriptionArn"] == "pending confirmation"
    wait_for(lambda: got)
    headers, body = got[0]
    assert headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    asked = json.loads(body)
    names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    verify(asked["SigningCertURL"], version, signed(asked, names), asked["Signature"], tmp_path)
    arn = sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])["SubscriptionArn"]
    sns.publish(TopicArn=topic, Subject="s", Message="hello")
    wait_for(lambda: len(got) > 1)
    headers, body = got[1]
    assert headers["x-amz-sns-subscription-arn"] == arn
    message = json.loads(body)
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    verify(message["SigningCertURL"], version, signed(message, names), message["Signature"], tmp_path)
    urllib.request.urlopen(message["UnsubscribeURL"]).read()
    wait_for(lambda: len(got) > 2)
    assert got[2][0]["x-amz-sns-message-type"] == "UnsubscribeConfirmation"
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


def test_a_bucket_tells_a_topic(sns, sqs, s3, topic, queue, queue_arn, bucket):
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(queue))
    configuration = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    [test] = envelopes(sqs, queue, 1)
    assert json.loads(test["Message"])["Event"] == "s3:TestEvent"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    [told] = envelopes(sqs, queue, 1)
    assert json.loads(told["Message"])["Records"][0]["s3"]["object"]["key"] == "k"


def test_sms_is_in_the_ledger(sns):
    number = "+1555555" + str(int(unique("n")[2:6], 16) % 10000).zfill(4)
    sns.publish(PhoneNumber=number, Message="hello")
    url = f"{stack.endpoint()}/_aws/sns/sent?protocol=sms&endpoint={urllib.parse.quote(number, safe='')}"
    [sent] = json.load(urllib.request.urlopen(url))["sent"]
    assert sent["message"] == "hello"


def test_errors_are_the_clients_own_exceptions(sns, topic):
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.publish(TopicArn=topic + "x", Message="x")
    with pytest.raises(sns.exceptions.InvalidParameterException) as failure:
        sns.publish(TopicArn=topic, Message="")
    assert failure.value.response["Error"]["Message"] == "Invalid parameter: Empty message"
    with pytest.raises(sns.exceptions.InvalidParameterValueException):
        sns.publish(TopicArn=topic, Message="x", MessageAttributes={"n": {"DataType": "Number", "StringValue": "one"}})
    with pytest.raises(sns.exceptions.BatchEntryIdsNotDistinctException):
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "a", "Message": "x"}] * 2)
    with pytest.raises(ClientError):
        sns.subscribe(TopicArn=topic, Protocol="pigeon", Endpoint="x")


def test_no_acknowledged_message_is_lost_when_sns_is_killed(own_stack, tmp_path):
    own = own_stack("--data-dir", str(tmp_path / "data"), "--eager", services=("sqs", "sns"))
    make = lambda service: boto3.client(service, endpoint_url=own.url, region_name=REGION, **KEYS)
    sns, sqs = make("sns"), make("sqs")
    topic = sns.create_topic(Name="t")["TopicArn"]
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    ended, errors, acknowledged = threading.Event(), [], set()

    def load(number):
        client, count = make("sns"), 0
        try:
            while not ended.is_set():
                body = f"{number}-{count}"
                client.publish(TopicArn=topic, Message=body)
                acknowledged.add(body)
                count += 1
        except Exception as error:  # noqa: BLE001: whatever a client sees is what this test is about
            errors.append(error)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = len(acknowledged)
        wait_for(lambda: errors or len(acknowledged) > before + 100)
        pid = wait_for(lambda: own.pid_of("fractus-sns"))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: own.pid_of("fractus-sns") not in (None, pid))
    before = len(acknowledged)
    wait_for(lambda: errors or len(acknowledged) > before + 100)
    ended.set()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    arrived = set()

    def all_arrived():
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            arrived.add(message["Body"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return acknowledged <= arrived

    wait_for(all_arrived, 120)
