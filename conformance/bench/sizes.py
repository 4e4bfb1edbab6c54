"""Cost against size: the same request while more and more is stored."""

import statistics
import tempfile
import time

from operations import QUEUE, get_item, item, prepare, put_events, put_rules, query_of_ten
from programs import ROOT, SCALE, bare, dynamodb, load, need, s3, service, sqs
from record import interleaved, log, spread

# How much is stored, each in a process of its own: the runs on them are interleaved.
SIZES = [10**n for n in range(3, 9) if 10**n < SCALE] + [SCALE]


def fill(url, request, count, each=1, keys=None):
    """Sends until `count` are there: one by one where few are wanted; else what was on its way at the end of a pass, 32 requests, is more."""
    requests = -(-count // each)
    if requests <= 2_000:
        request.send_times(url, requests, keys)
        return count
    done, number = 0, 0
    while done < requests:
        number += 1
        left = requests - done
        done += min(left, load(url, request, min(10, max(1, left // 50_000)), connections=32, keys=keys and f"{keys}{number}", at_most=left)["requests"])
    return done * each


class Sizes:
    """A process of the service for each size, filled, and measured in turn."""

    def __init__(self, case, name, of, make):
        self.case, self.name, self.of, self.make, self.programs = case, name, of, make, {}

    def __enter__(self):
        try:
            for size in SIZES:
                self.programs[size] = service(self.name)
                self.make(self.programs[size].url, size)
                log(f"  {self.name}: {size:,} {self.of}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in self.programs.values():
            program.end()

    def measure(self, what, request, ceiling=None, connections=None):
        """The series of one request. Results by size, and "bare"."""
        runs = {size: lambda s, url=program.url: load(url, request, s, connections) for size, program in self.programs.items()}
        if ceiling:
            runs["bare"] = lambda s: load(ceiling.url, request, s, connections)
        found, _ = interleaved(runs)
        self.case.series(what, self.of, [(size, found[size]) for size in SIZES], found.get("bare"))
        return found

    def compare(self, what, found, little):
        """The most against a smaller number."""
        little = little if little in SIZES else SIZES[0]
        names = {"much": found[SIZES[-1]], "little": found[little]}
        self.case.against(what.format(much=f"{SIZES[-1]:,}", little=f"{little:,}"), names, "much", "little", 0.8)


def queues(case):
    need("sqs")
    entries = [{"Id": str(n), "MessageBody": "x" * 100} for n in range(10)]

    def make(url, size):
        sqs("CreateQueue", QueueName="q").send(url)
        fill(url, sqs("SendMessageBatch", QueueUrl=QUEUE, Entries=entries), size, each=10)

    with Sizes(case, "sqs", "messages waiting", make) as sizes:
        found = sizes.measure("SQS ReceiveMessage", sqs("ReceiveMessage", QueueUrl=QUEUE, VisibilityTimeout=0))
        sizes.compare("SQS ReceiveMessage, {much} waiting against {little}", found, 1_000)


def tables(case):
    """Tables with half of their items in one partition."""
    need("dynamodb")
    batches = [
        dynamodb("BatchWriteItem", RequestItems={"table": [{"PutRequest": {"Item": item(*key(n))}} for n in range(25)]})
        for key in (lambda n: (f"@KEY@-{n}", "1"), lambda n: ("p", f"@KEY@-{n}"))
    ]

    def make(url, size):
        prepare(url, ["dynamodb"])
        for batch in batches:
            fill(url, batch, size // 2, each=25, keys="k")

    with Sizes(case, "dynamodb", "items", make) as sizes, bare(2_900) as ceiling:
        for what, request in (("GetItem", get_item()), ("Query of 10", query_of_ten())):
            found = sizes.measure(f"DynamoDB {what}", request, ceiling if what != "GetItem" else None)
            sizes.compare(f"DynamoDB {what}, {{much}} items against {{little}}", found, 1_000)
            if "bare" in found:
                case.against(f"DynamoDB {what} out of {SCALE:,}, direct", {"much": found[SCALE], "bare": found["bare"]}, "much", "bare", 0.5)


def reopen(case):
    """A table of items of 1 KiB on disk: from the start of the process to its first answer, after it was killed."""
    need("dynamodb")
    whole = lambda n: {**item(f"@KEY@-{n}", "1"), "fill": {"S": "x" * 850}}  # noqa: E731
    batch = dynamodb("BatchWriteItem", RequestItems={"table": [{"PutRequest": {"Item": whole(n)}} for n in range(25)]})
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        program, took = service("dynamodb", folder), []
        try:
            prepare(program.url, ["dynamodb"])
            fill(program.url, batch, SCALE, each=25, keys="k")
            for _ in range(7):
                program.process.kill()
                program.process.wait()
                started = time.perf_counter()
                program = service("dynamodb", folder)
                get_item().send(program.url)
                took.append(time.perf_counter() - started)
            count = dynamodb("DescribeTable", TableName="table").send(program.url).decode().partition('"ItemCount":')[2].partition(",")[0]
        finally:
            program.end()
    p50 = statistics.median(took)
    detail = f"{spread([seconds * 1000 for seconds in took])} ms of {len(took)} starts after a SIGKILL; {int(count):,} items, what is read lies in the page cache"
    case.note(f"DynamoDB, a table of {SCALE:,} items of 1 KiB on disk: start to the first GetItem", round(p50 * 1000), "ms", "< 2000", p50 < 2, detail)


def buckets(case):
    need("s3")

    def make(url, size):
        s3("PUT", "/bucket").send(url)
        s3("PUT", "/bucket/a", b"s" * 1024).send(url)
        fill(url, s3("PUT", "/bucket/"), size - 1, keys="k")

    with Sizes(case, "s3", "keys", make) as sizes:
        sizes.measure("S3 GET 1 KiB", s3("GET", "/bucket/a"))
        found = sizes.measure("S3 ListObjectsV2, a page of 1,000", s3("GET", "/bucket?list-type=2&max-keys=1000"), connections=4)
        sizes.compare("S3 ListObjectsV2, a page of 1,000 out of {much} keys against {little}", found, 10_000)


def rules(case):
    """What more rules cost an event: ten events a request, each of which one rule matches."""
    need("events")
    request, programs = put_events(10, 10), {}
    try:
        for count in (10, 100, 1_000):
            programs[count] = service("events", rules_per_bus=1000)
            put_rules(programs[count].url, count)
        found, _ = interleaved({count: lambda s, url=program.url: load(url, request, s) for count, program in programs.items()})
    finally:
        for program in programs.values():
            program.end()
    case.series("EventBridge PutEvents of 10", "rules", list(found.items()))
    named = {"1,000 rules": found[1_000], "10 rules": found[10]}
    case.against("EventBridge PutEvents, 1,000 rules against 10", named, "1,000 rules", "10 rules", 0.8)
