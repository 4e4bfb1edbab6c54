"""The same operations by AWS's Query protocol, signed by botocore's signer, beside the JSON of today's clients."""

import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stack import REGION, endpoint, unique

NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"


def query(url, **parameters):
    body = urllib.parse.urlencode({"Version": "2012-11-05", **parameters}).encode()
    request = AWSRequest("POST", url, headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, data=body)
    SigV4Auth(Credentials("test", "test"), "sqs", REGION).add_auth(request)
    sent = urllib.request.Request(url, data=body, headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, xml.fromstring(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, xml.fromstring(error.read())


def text(document, path):
    found = document.find("/".join(NAMESPACE + part if part not in (".", "..", "") else part for part in path.split("/")))
    assert found is not None, xml.tostring(document)
    return found.text


def test_a_message_by_query(sqs):
    name = unique("query")
    status, answer = query(endpoint() + "/", Action="CreateQueue", QueueName=name, **{"Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "33"})
    assert status == 200, xml.tostring(answer)
    url = text(answer, "CreateQueueResult/QueueUrl")
    assert answer.tag == NAMESPACE + "CreateQueueResponse"
    assert text(answer, "ResponseMetadata/RequestId")
    facts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    assert facts == {"VisibilityTimeout": "33"}, "one queue, two protocols"
    status, answer = query(
        url,
        Action="SendMessage",
        MessageBody="a <b> & c",
        **{"MessageAttribute.1.Name": "n", "MessageAttribute.1.Value.DataType": "String", "MessageAttribute.1.Value.StringValue": "v"},
    )
    assert status == 200, xml.tostring(answer)
    sent = text(answer, "SendMessageResult/MessageId")
    status, answer = query(url, Action="ReceiveMessage", **{"MessageAttributeName.1": "All", "AttributeName.1": "All"})
    assert text(answer, "ReceiveMessageResult/Message/MessageId") == sent
    assert text(answer, "ReceiveMessageResult/Message/Body") == "a <b> & c"
    assert text(answer, "ReceiveMessageResult/Message/MessageAttribute/Value/StringValue") == "v"
    receipt = text(answer, "ReceiveMessageResult/Message/ReceiptHandle")
    assert query(url, Action="DeleteMessage", ReceiptHandle=receipt)[0] == 200
    assert query(url, Action="DeleteQueue")[0] == 200


def test_batch_by_query(queue):
    entries = {}
    for number in (1, 2):
        entries |= {f"SendMessageBatchRequestEntry.{number}.Id": f"m{number}", f"SendMessageBatchRequestEntry.{number}.MessageBody": "x"}
    status, answer = query(queue, Action="SendMessageBatch", **entries)
    assert status == 200, xml.tostring(answer)
    ids = [found.findtext(NAMESPACE + "Id") for found in answer.iter(NAMESPACE + "SendMessageBatchResultEntry")]
    assert ids == ["m1", "m2"]


def test_errors_by_query():
    status, answer = query(endpoint() + "/", Action="GetQueueUrl", QueueName=unique("missing"))
    assert status == 400
    assert text(answer, "Error/Code") == "AWS.SimpleQueueService.NonExistentQueue"
    assert text(answer, "Error/Type") == "Sender"
    status, answer = query(endpoint() + "/", Action="NoSuchAction")
    assert status == 400
    assert text(answer, "Error/Code") == "InvalidAction"


def test_errors_by_json_carry_the_query_code():
    import json

    request = urllib.request.Request(
        endpoint() + "/",
        data=json.dumps({"QueueName": unique("missing")}).encode(),
        headers={"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.GetQueueUrl"},
    )
    try:
        urllib.request.urlopen(request)
        raise AssertionError("an unknown queue was found")
    except urllib.error.HTTPError as error:
        assert error.code == 400
        assert error.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
        assert json.loads(error.read())["__type"].split("#")[-1] == "QueueDoesNotExist"
