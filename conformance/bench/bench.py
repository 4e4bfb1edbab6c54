"""The cases of scripts/bench."""

import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from programs import CONNECTIONS, NAMES, ROUNDS, SECONDS, Stack, bare, dynamodb, events, has, load, s3, service, sns, sqs, sts

SCALE = int(os.environ.get("SCALE", "1000000"))
QUEUE = "http://localhost/000000000000/q"
TOPIC = "arn:aws:sns:us-east-1:000000000000:t"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
results = []


def log(text):
    print(text, file=sys.stderr, flush=True)


def note(what, value, unit, wanted=None, met=None, detail=""):
    results.append({"what": what, "value": value, "unit": unit, "wanted": wanted, "met": met, "detail": detail})
    log(f"  {what}: {value} {unit} {detail}")


def spread(values):
    return f"{min(values):,.0f} to {max(values):,.0f}"


def interleaved(runs):
    """Each of the runs in turn, ROUNDS times: what else the machine does hits all alike. Results by name."""
    found = {name: [] for name in runs}
    for name in runs:
        runs[name](1)  # warm
    for _ in range(ROUNDS):
        for name, run in runs.items():
            found[name].append(run(None))
    return found


def median(results, member="per_second"):
    return statistics.median(result[member] for result in results)


def against(what, found, one, other, wanted):
    """The speed of `one` as a part of the speed of `other`, in the median of the rounds."""
    parts = [a["per_second"] / b["per_second"] for a, b in zip(found[one], found[other])]
    part = statistics.median(parts)
    detail = f"{median(found[one]):,.0f}/s ({spread([r['per_second'] for r in found[one]])}) of {median(found[other]):,.0f}/s ({spread([r['per_second'] for r in found[other]])})"
    note(what, round(part, 2), "of " + other, f"≥ {wanted:.2f}", part >= wanted, detail)


def prepare(url, services):
    if "sqs" in services:
        sqs("CreateQueue", QueueName="q").send(url)
        sqs("CreateQueue", QueueName="r").send(url)
        entries = [{"Id": str(n), "MessageBody": "x" * 100} for n in range(10)]
        for _ in range(100):
            sqs("SendMessageBatch", QueueUrl=QUEUE[:-1] + "r", Entries=entries).send(url)
    if "events" in services:
        put_rules(url, 10)
    if "sns" in services:
        # A topic that nobody listens to: with subscriptions, what is measured is the bus and the queues.
        sns("CreateTopic", Name="t").send(url)
    if "s3" in services:
        s3("PUT", "/bucket").send(url)
        s3("PUT", "/bucket/small", b"s" * 1024).send(url)
        s3("PUT", "/bucket/large", b"l" * (8 << 20)).send(url)
    if "dynamodb" in services:
        table(url)
        dynamodb("PutItem", TableName="t", Item=item("a", "1")).send(url)
        for sort in range(10):
            dynamodb("PutItem", TableName="t", Item=item("p", f"wanted-{sort}")).send(url)


def put_rules(url, count):
    """Rules each with a pattern and a target of its own."""
    for n in range(count):
        pattern = json.dumps({"source": ["bench"], "detail": {"kind": [f"kind-{n}"], "size": [{"numeric": [">", n]}]}})
        events("PutRule", Name=f"r{n}", EventPattern=pattern).send(url)
        events("PutTargets", Rule=f"r{n}", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:000000000000:q{n}"}]).send(url)


def put_events(count, kinds):
    """A request of `count` events, each of which one rule matches."""
    detail = [json.dumps({"kind": f"kind-{n % kinds}", "size": 5_000, "text": "x" * 100}) for n in range(count)]
    return events("PutEvents", Entries=[{"Source": "bench", "DetailType": "measured", "Detail": one} for one in detail])


def table(url):
    names = ("pk", "sk")
    dynamodb(
        "CreateTable", TableName="t", BillingMode="PAY_PER_REQUEST",
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
    return dynamodb("GetItem", TableName="t", Key={"pk": {"S": "a"}, "sk": {"S": "1"}})


def query_of_ten():
    return dynamodb("Query", TableName="t", KeyConditionExpression="pk = :p AND begins_with(sk, :s)", ExpressionAttributeValues={":p": {"S": "p"}, ":s": {"S": "wanted-"}})


def transaction_of_four():
    return dynamodb("TransactWriteItems", TransactItems=[{"Put": {"TableName": "t", "Item": item("t", f"{n}")}} for n in range(4)])


# Name: service, request, answer bytes of the bare server, parts wanted of it direct and through the router.
def operations():
    return {
        "STS GetCallerIdentity": ("sts", sts("GetCallerIdentity"), 400, 0.70, 0.50),
        "SQS SendMessage": ("sqs", sqs("SendMessage", QueueUrl=QUEUE, MessageBody="x" * 100), 120, 0.60, 0.42),
        "SQS ReceiveMessage": ("sqs", sqs("ReceiveMessage", QueueUrl=QUEUE[:-1] + "r", VisibilityTimeout=0), 400, 0.60, 0.42),
        "EventBridge PutEvents": ("events", put_events(1, 1), 110, 0.50, 0.35),
        "SNS Publish": ("sns", sns("Publish", TopicArn=TOPIC, Message="x" * 100), 330, 0.50, 0.35),
        "DynamoDB GetItem": ("dynamodb", get_item(), 320, 0.65, 0.45),
        "DynamoDB PutItem": ("dynamodb", dynamodb("PutItem", TableName="t", Item=item("put", "1")), 2, 0.60, 0.42),
        "DynamoDB Query of 10": ("dynamodb", query_of_ten(), 2_900, 0.50, 0.35),
        "DynamoDB TransactWriteItems of 4": ("dynamodb", transaction_of_four(), 2, 0.40, 0.28),
        "S3 GET 1 KiB": ("s3", s3("GET", "/bucket/small"), 1024, 0.65, 0.45),
        "S3 PUT 1 KiB": ("s3", s3("PUT", "/bucket/put", b"p" * 1024), 0, 0.55, 0.38),
        "S3 GET 8 MiB": ("s3", s3("GET", "/bucket/large"), 8 << 20, 0.90, None),
        "S3 PUT 8 MiB": ("s3", s3("PUT", "/bucket/put", b"p" * (8 << 20)), 0, 0.60, None),
    }


def speed(with_direct, with_router):
    with Stack("--eager") as stack:
        up = [name for name in NAMES if has(name)]
        if with_router:
            prepare(stack.url, up)
        for what, (name, request, answer, of_direct, of_router) in operations().items():
            if not has(name):
                note(what, None, "", detail=f"fractus-{name} is not built")
                continue
            with bare(answer) as ceiling, service(name) as alone:
                prepare(alone.url, [name])
                runs = {"bare": lambda s: load(ceiling.url, request, s)}
                if with_direct or with_router:
                    runs["direct"] = lambda s: load(alone.url, request, s)
                if with_router and of_router:
                    runs["router"] = lambda s: load(stack.url, request, s)
                log(what)
                found = interleaved(runs)
                if with_direct:
                    against(f"{what}, direct", found, "direct", "bare", of_direct)
                if "router" in runs:
                    against(f"{what}, through the router", found, "router", "bare", of_router)
                    # Few connections: the time of a request and not of its waiting in line.
                    p50 = {name: load(at, request, 2, connections=2)["p50_us"] for name, at in (("direct", alone.url), ("router", stack.url))}
                    more = (p50["router"] - p50["direct"]) / 1000
                    note(f"{what}, p50 of the router over direct", round(more, 3), "ms", "< 0.3", more < 0.3, f"{p50['router']} µs over {p50['direct']} µs, 2 connections")


def engines():
    request = sqs("SendMessage", QueueUrl=QUEUE, MessageBody="x" * 100)
    with tempfile.TemporaryDirectory(dir=ROOT) as folder, service("sqs") as memory, service("sqs", folder) as disk:
        for one in (memory, disk):
            prepare(one.url, ["sqs"])
        found = interleaved({"disk": lambda s: load(disk.url, request, s), "memory": lambda s: load(memory.url, request, s)})
        against("SQS SendMessage, disk engine", found, "disk", "memory", 0.6)


def fill(url, request, count, each=1, keys=None):
    """Sends until `count` are there."""
    done, number = 0, 0
    while done < count:
        number += 1
        done += load(url, request, min(10, max(1, (count - done) // 50_000)), connections=32, keys=keys and f"{keys}{number}")["requests"] * each
    return done


def scale_dynamodb():
    """A table of SCALE items, half of them in one partition, against one of a thousand."""
    batches = [
        dynamodb("BatchWriteItem", RequestItems={"t": [{"PutRequest": {"Item": item(*key(n))}} for n in range(25)]})
        for key in (lambda n: (f"@KEY@-{n}", "1"), lambda n: ("p", f"@KEY@-{n}"))
    ]
    with service("dynamodb") as small, service("dynamodb") as large, bare(2_900) as ceiling:
        for one, count in ((small, 1_000), (large, SCALE)):
            prepare(one.url, ["dynamodb"])
            for batch in batches:
                if count == 1_000:
                    for number in range(20):
                        body = batch.body.replace(b"@KEY@", b"small%d" % number)
                        type(batch)("dynamodb", "POST", "/", body, **{name.replace("-", "_"): value for name, value in batch.headers.items()}).send(one.url)
                else:
                    log(f"  {fill(one.url, batch, count // 2, each=25, keys='k'):,} items")
        for what, request in (("GetItem", get_item()), ("Query of 10", query_of_ten())):
            runs = {"much": lambda s: load(large.url, request, s), "little": lambda s: load(small.url, request, s)}
            if what != "GetItem":
                runs["bare"] = lambda s: load(ceiling.url, request, s)
            found = interleaved(runs)
            against(f"DynamoDB {what}, {SCALE:,} items against 1,000", found, "much", "little", 0.8)
            if "bare" in found:
                against(f"DynamoDB {what} out of {SCALE:,}, direct", found, "much", "bare", 0.5)


def scale():
    entries = [{"Id": str(n), "MessageBody": "x" * 100} for n in range(10)]
    receive = sqs("ReceiveMessage", QueueUrl=QUEUE, VisibilityTimeout=0)
    with service("sqs") as small, service("sqs") as large:
        for one, count in ((small, 1000), (large, SCALE)):
            sqs("CreateQueue", QueueName="q").send(one.url)
            batch = sqs("SendMessageBatch", QueueUrl=QUEUE, Entries=entries)
            if count == 1000:
                for _ in range(100):
                    batch.send(one.url)
            else:
                log(f"  {fill(one.url, batch, count, each=10):,} messages wait")
        found = interleaved({"much": lambda s: load(large.url, receive, s), "little": lambda s: load(small.url, receive, s)})
        against(f"SQS ReceiveMessage, {SCALE:,} waiting against 1,000", found, "much", "little", 0.8)
    scale_dynamodb()
    page = s3("GET", "/bucket?list-type=2&max-keys=1000")
    with service("s3") as small, service("s3") as large:
        for one, count in ((small, 10_000), (large, SCALE)):
            s3("PUT", "/bucket").send(one.url)
            log(f"  {fill(one.url, s3('PUT', '/bucket/'), count, keys='k'):,} keys")
        found = interleaved({"much": lambda s: load(large.url, page, s, 4), "little": lambda s: load(small.url, page, s, 4)})
        against(f"S3 ListObjectsV2, a page of 1,000 out of {SCALE:,} keys against 10,000", found, "much", "little", 0.8)


def rules():
    """What more rules cost an event: ten events a request, each of which one rule matches."""
    if not has("events"):
        note("EventBridge rules", None, "", detail="fractus-events is not built")
        return
    with service("events", rules_per_bus=1000) as few, service("events", rules_per_bus=1000) as many:
        put_rules(few.url, 10)
        put_rules(many.url, 1000)
        request = put_events(10, 10)
        found = interleaved({"1,000 rules": lambda s: load(many.url, request, s), "10 rules": lambda s: load(few.url, request, s)})
        against("EventBridge PutEvents, 1,000 rules against 10", found, "1,000 rules", "10 rules", 0.8)


def latency():
    import http.client
    import threading
    import urllib.parse

    with Stack("--eager") as stack:
        at = urllib.parse.urlsplit(stack.url)
        sqs("CreateQueue", QueueName="q").send(stack.url)
        s3("PUT", "/bucket").send(stack.url)
        s3(
            "PUT",
            "/bucket?notification",
            b"<NotificationConfiguration><QueueConfiguration><Queue>arn:aws:sqs:us-east-1:000000000000:q</Queue>"
            b"<Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>",
        ).send(stack.url)
        receive = sqs("ReceiveMessage", QueueUrl=QUEUE, WaitTimeSeconds=20)
        receive.send(stack.url)  # the test event
        came, go = [], threading.Semaphore(0)
        asked = threading.Semaphore(0)

        def receiver():
            connection = http.client.HTTPConnection(at.hostname, at.port)
            while go.acquire() and not stop:
                connection.request(receive.method, receive.path, receive.body, receive.headers)
                asked.release()
                assert b"ObjectCreated" in connection.getresponse().read()
                came.append(time.perf_counter())
                done.release()

        stop, done, took = False, threading.Semaphore(0), []
        thread = threading.Thread(target=receiver, daemon=True)
        thread.start()
        connection = http.client.HTTPConnection(at.hostname, at.port)
        put = s3("PUT", "/bucket/k", b"x")
        for _ in range(220):
            go.release()
            asked.acquire()
            time.sleep(0.005)  # the receive is waiting in the service by now
            started = time.perf_counter()
            connection.request(put.method, put.path, put.body, put.headers)
            connection.getresponse().read()
            if not done.acquire(timeout=20):
                raise SystemExit("an event did not arrive within 20 s")
            took.append((came[-1] - started) * 1000)
        stop = True
        go.release()
        took = sorted(took[20:])
        p50 = statistics.median(took)
        note("S3 PutObject to its SQS message, both through the router", round(p50, 2), "ms", "< 5", p50 < 5, f"median of {len(took)}; p90 {took[len(took) * 9 // 10]:.2f} ms")


def process():
    for name in NAMES:
        if not has(name):
            continue
        took = []
        for _ in range(15):
            started = time.perf_counter()
            one = service(name)
            took.append((time.perf_counter() - started) * 1000)
            resident = one.resident_kib()
            one.end()
        p50 = statistics.median(took)
        note(f"{name}: process start to ready", round(p50, 1), "ms", "< 50", p50 < 50, f"{spread(took)} in 15 starts")
        note(f"{name}: idle memory", round(resident / 1024, 1), "MiB", "< 10", resident < 10 * 1024, "resident, as started")
    with Stack() as stack:
        time.sleep(2)  # what it does once at its start is over
        resident = stack.resident_kib() / 1024
        note("fractus up, all services idle, NATS included", round(resident, 1), "MiB", "< 60", resident < 60, "resident")
    prefix, tag = os.environ.get("FRACTUS_IMAGE_PREFIX", "fractus"), os.environ.get("FRACTUS_TAG", "latest")
    for name in ("router", *NAMES, "all"):
        command = ["docker", "image", "inspect", "-f", "{{.Size}}", f"{prefix}/{name}:{tag}"]
        try:
            size = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        except (OSError, subprocess.CalledProcessError):
            continue
        service_image = name not in ("all", "router")
        note(f"image {name}", round(size / 1e6, 1), "MB", "< 15" if service_image else None, size < 15e6 if service_image else None)


def write():
    processors = os.cpu_count()
    busy = os.getloadavg()[1]
    when = datetime.datetime.now(datetime.timezone.utc)
    with open(os.path.join(ROOT, ".run", "bench.json"), "w") as file:
        json.dump({"at": when.isoformat(), "processors": processors, "load_average": busy, "seconds": SECONDS, "rounds": ROUNDS, "results": results}, file, indent=1)
    lines = [
        "# Measured",
        "",
        f"By `scripts/bench` on {when:%Y-%m-%d}: {processors} processors, which wrk shares; load average {busy:.1f}; {CONNECTIONS} connections (8 for 8 MiB bodies sent), "
        f"{SECONDS:g} s a measurement, {ROUNDS} interleaved rounds, medians. \"bare\" is an axum server that reads the body and answers a fixed one (`shared/host/examples/bare_axum.rs`).",
        "",
        "| what | measured | wanted | met | |",
        "|---|---|---|---|---|",
    ]
    for one in results:
        value = "" if one["value"] is None else f"{one['value']:,} {one['unit']}"
        met = {True: "yes", False: "**no**", None: ""}[one["met"]]
        lines.append(f"| {one['what']} | {value} | {one['wanted'] or ''} | {met} | {one['detail']} |")
    with open(os.path.join(ROOT, "conformance", "bench", "RESULTS.md"), "w") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))


def main():
    cases = {"direct": None, "router": None, "engines": engines, "scale": scale, "rules": rules, "latency": latency, "process": process}
    chosen = sys.argv[1:] or list(cases)
    unknown = set(chosen) - set(cases)
    if unknown:
        raise SystemExit(f"no case {', '.join(sorted(unknown))}; there are: {', '.join(cases)}")
    os.makedirs(os.path.join(ROOT, ".run"), exist_ok=True)
    if "direct" in chosen or "router" in chosen:
        speed("direct" in chosen, "router" in chosen)
    for name in chosen:
        if cases[name]:
            log(name)
            cases[name]()
    write()


main()
