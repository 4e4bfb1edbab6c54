"""A million items of 1 KiB on the disk engine, half of them in one partition."""

import http.client
import os
import time
import urllib.parse

import operations
import programs
import sizes
from conftest import processor_time

ITEMS = int(os.environ.get("STRAIN_KEYS", 1_000_000))
FEW = 1_000
# So long is asked that what the clock of processes counts in steps is far below it.
SPENT_SECONDS = 2


def whole(pk, sk):
    return {**operations.item(pk, sk), "fill": {"S": "x" * 850}}


def fill(url, count):
    operations.prepare(url, ["dynamodb"])
    for key in (lambda n: (f"@KEY@-{n}", "1"), lambda n: ("p", f"@KEY@-{n}")):
        batch = [{"PutRequest": {"Item": whole(*key(n))}} for n in range(25)]
        sizes.fill(url, programs.dynamodb("BatchWriteItem", RequestItems={"table": batch}), count // 2, each=25, keys="k")


def cost(service, request, of):
    """Processor time of a request, in microseconds."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(service.url).netloc, timeout=60)
    before, asked = processor_time(service), 0
    while processor_time(service) - before < SPENT_SECONDS:
        for _ in range(50):
            connection.request("POST", "/", request.body, request.headers)
            answer = connection.getresponse().read()
            assert answer.count(of) >= 1, answer[:300]
            asked += 1
    connection.close()
    return (processor_time(service) - before) / asked * 1e6


def test_a_million_items_are_opened_again_and_read_as_a_thousand_are(dynamodb, tmp_path_factory):
    begun = time.perf_counter()
    many = dynamodb(log="warn")
    fill(many.url, ITEMS)
    print(f"\n{ITEMS:,} items put in {time.perf_counter() - begun:.0f} s; {many.peak_mib():.0f} MiB resident at most")

    for end in (many.end, many.kill):
        end()
        many = dynamodb()
        ready = time.perf_counter() - many.started
        operations.get_item().send(many.url)
        took = time.perf_counter() - many.started
        print(f"opened again in {ready * 1000:.0f} ms, first item after {took * 1000:.0f} ms ({end.__name__}); {many.peak_mib():.0f} MiB resident")
        assert took < 2

    with programs.service("dynamodb", str(tmp_path_factory.mktemp("few"))) as few:
        fill(few.url, FEW)
        for what, request, of in (("GetItem", operations.get_item(), b'"Item"'), ("Query of 10", operations.query_of_ten(), b'"Count":10')):
            least = lambda service: min(cost(service, request, of) for _ in range(3))  # noqa: E731
            costs = [least(service) for service in (few, many)]
            print(f"{what}: {costs[1]:.0f} us of processor time among {ITEMS:,}, {costs[0]:.0f} us among {FEW:,}")
            assert costs[1] < costs[0] * 1.5
