"""The hot operations, and what they work on."""

import json
import urllib.parse

from programs import dynamodb, events, s3, scheduler, sns, sqs, sts

QUEUE = "http://localhost/000000000000/q"
TOPIC = "arn:aws:sns:us-east-1:000000000000:t"
# In place of the part wanted through the router: there it is not measured. None: measured, and nothing is wanted of it.
DIRECT_ONLY = "direct only"
SCHEDULE = {
    "ScheduleExpression": "rate(1 hours)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "State": "DISABLED",
    "Target": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": "arn:aws:iam::000000000000:role/r"},
}


def prepare(url, services, peer=False):
    """Makes what the operations work on. The names it goes by there: of another endpoint's the account and the host differ."""
    names = {"queue": QUEUE, "waiting": QUEUE[:-1] + "r", "topic": TOPIC}
    if "sqs" in services:
        names["queue"] = json.loads(sqs("CreateQueue", QueueName="q").send(url))["QueueUrl"]
        names["waiting"] = json.loads(sqs("CreateQueue", QueueName="r").send(url))["QueueUrl"]
        entries = [{"Id": str(n), "MessageBody": "x" * 100} for n in range(10)]
        for _ in range(100):
            sqs("SendMessageBatch", QueueUrl=names["waiting"], Entries=entries).send(url)
    if "events" in services:
        account = "000000000000"
        if peer:  # which may refuse an event that it cannot deliver
            account = urllib.parse.urlsplit(json.loads(sqs("CreateQueue", QueueName="q0").send(url))["QueueUrl"]).path.split("/")[1]
        elif "sqs" in services:
            sqs("CreateQueue", QueueName="q0").send(url)
        put_rules(url, 10, account)
    if "sns" in services:
        # A topic that nobody listens to: with subscriptions, what is measured is the bus and the queues.
        answer = sns("CreateTopic", Name="t").send(url).decode()
        names["topic"] = answer.partition("<TopicArn>")[2].partition("</TopicArn>")[0]
    if "s3" in services:
        s3("PUT", "/bucket").send(url)
        s3("PUT", "/bucket/small", b"s" * 1024).send(url)
        s3("PUT", "/bucket/large", b"l" * (8 << 20)).send(url)
        # wrk waits for as many bytes as the answer to a HEAD says the object has: so one that has none.
        s3("PUT", "/bucket/empty").send(url)
    if "dynamodb" in services:
        table(url)
        dynamodb("PutItem", TableName="table", Item=item("a", "1")).send(url)
        for sort in range(10):
            dynamodb("PutItem", TableName="table", Item=item("p", f"wanted-{sort}")).send(url)
    if "scheduler" in services:
        scheduler("POST", "s", **SCHEDULE).send(url)
    return names


def put_rules(url, count, account="000000000000", queues=None):
    """Rules each with a pattern and a target of its own, or one of so many queues."""
    for n in range(count):
        pattern = json.dumps({"source": ["bench"], "detail": {"kind": [f"kind-{n}"], "size": [{"numeric": [">", n]}]}})
        events("PutRule", Name=f"r{n}", EventPattern=pattern).send(url)
        events("PutTargets", Rule=f"r{n}", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:{account}:q{n % queues if queues else n}"}]).send(url)


def put_events(count, kinds, source="bench"):
    """A request of `count` events, each of which one rule matches, or none where they have another source."""
    detail = [json.dumps({"kind": f"kind-{n % kinds}", "size": 5_000, "text": "x" * 100}) for n in range(count)]
    return events("PutEvents", Entries=[{"Source": source, "DetailType": "measured", "Detail": one} for one in detail])


def table(url):
    names = ("pk", "sk")
    dynamodb(
        "CreateTable", TableName="table", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"))],
    ).send(url)


def item(partition, sort):
    """Some 200 bytes, of several types."""
    return {
        "pk": {"S": partition}, "sk": {"S": sort}, "name": {"S": "x" * 60}, "count": {"N": "12345"}, "on": {"BOOL": True},
        "tags": {"SS": ["one", "two"]}, "address": {"M": {"street": {"S": "y" * 30}, "number": {"N": "7"}}},
    }


def get_item():
    return dynamodb("GetItem", TableName="table", Key={"pk": {"S": "a"}, "sk": {"S": "1"}})


def query_of_ten():
    return dynamodb("Query", TableName="table", KeyConditionExpression="pk = :p AND begins_with(sk, :s)", ExpressionAttributeValues={":p": {"S": "p"}, ":s": {"S": "wanted-"}})


def transaction_of_four():
    return dynamodb("TransactWriteItems", TransactItems=[{"Put": {"TableName": "table", "Item": item("t", f"{n}")}} for n in range(4)])


def operations(names=None):
    """Name: service, request, answer bytes of the bare server, parts wanted of it direct and through the router."""
    names = {"queue": QUEUE, "waiting": QUEUE[:-1] + "r", "topic": TOPIC, **(names or {})}
    return {
        "STS GetCallerIdentity": ("sts", sts("GetCallerIdentity"), 400, 0.70, 0.50),
        "SQS SendMessage": ("sqs", sqs("SendMessage", QueueUrl=names["queue"], MessageBody="x" * 100), 120, 0.60, 0.42),
        "SQS ReceiveMessage": ("sqs", sqs("ReceiveMessage", QueueUrl=names["waiting"], VisibilityTimeout=0), 400, 0.60, 0.42),
        # Of a service alone nothing is delivered. Through the router there is a bus, and while this is measured the same
        # processors bring each event to its queue, which takes as long again: what is wanted there is of an event that no
        # rule wants.
        "EventBridge PutEvents": ("events", put_events(1, 1), 110, 0.50, None),
        "EventBridge PutEvents, of no rule": ("events", put_events(1, 1, source="other"), 110, 0.50, 0.35),
        "SNS Publish": ("sns", sns("Publish", TopicArn=names["topic"], Message="x" * 100), 330, 0.50, 0.35),
        "Scheduler GetSchedule": ("scheduler", scheduler("GET", "s"), 560, None, None),
        "DynamoDB GetItem": ("dynamodb", get_item(), 320, 0.65, 0.45),
        "DynamoDB PutItem": ("dynamodb", dynamodb("PutItem", TableName="table", Item=item("put", "1")), 2, 0.60, 0.42),
        "DynamoDB Query of 10": ("dynamodb", query_of_ten(), 2_900, 0.50, 0.35),
        "DynamoDB TransactWriteItems of 4": ("dynamodb", transaction_of_four(), 2, 0.40, 0.28),
        "S3 GET 1 KiB": ("s3", s3("GET", "/bucket/small"), 1024, 0.65, 0.45),
        "S3 PUT 1 KiB": ("s3", s3("PUT", "/bucket/put", b"p" * 1024), 0, 0.55, 0.38),
        "S3 HEAD": ("s3", s3("HEAD", "/bucket/empty"), 0, 0.65, 0.45),
        "S3 GET 8 MiB": ("s3", s3("GET", "/bucket/large"), 8 << 20, 0.90, DIRECT_ONLY),
        "S3 PUT 8 MiB": ("s3", s3("PUT", "/bucket/put", b"p" * (8 << 20)), 0, 0.60, DIRECT_ONLY),
    }
