"""Slow, huge, malformed and hostile requests to SQS and S3, direct and on every way through the router: AWS's error or a closed
connection, no process that dies or grows, and a client that behaves is served all the while."""

import json
import os
import time
import urllib.parse
import urllib.request

import pytest

import programs
from hostile import Meanwhile, authorization, connect, document, endless, head, send

MOST_MIB = 100
SLOW = 400
# What is asked to wait for is less here than by default; the router gives a head 10 s.
SETTINGS = {"idle_timeout_secs": 3, "body_timeout_secs": 3}
WAYS = ["direct", "router", "kept", "tls"]
GOOD = {
    "sqs": document("sqs", "POST /", b"{}", "X-Amz-Target: AmazonSQS.ListQueues\r\nContent-Type: application/x-amz-json-1.0\r\n"),
    "s3": head("s3", "GET /b?list-type=2"),
}
JSON = "X-Amz-Target: AmazonSQS.SendMessage\r\nContent-Type: application/x-amz-json-1.0\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"


def sqs_json(body):
    return document("sqs", "POST /", body, JSON)


def huge_headers(service):
    many = "".join(f"X-Header-{number}: v\r\n" for number in range(100_000))
    return head(service, "GET /", many)


def aws_chunked(body, decoded=5):
    line = authorization("s3").replace("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    lengths = f"X-Amz-Decoded-Content-Length: {decoded}\r\nContent-Encoding: aws-chunked\r\nContent-Length: {len(body)}\r\n"
    return f"PUT /b/chunked HTTP/1.1\r\nHost: localhost\r\n{line}{lengths}\r\n".encode() + body


LAUGHS = "<!DOCTYPE Tagging [<!ENTITY a0 \"ha\">" + "".join(f"<!ENTITY a{n} \"{f'&a{n - 1};' * 10}\">" for n in range(1, 30)) + "]>"
TAGS = "<Tagging><TagSet><Tag><Key>k</Key><Value>{}</Value></Tag></TagSet></Tagging>"


def tagging(text):
    return document("s3", "PUT /b?tagging", text if isinstance(text, bytes) else text.encode())


# What is sent, what is sent after it as long as it is taken, and what the answer has to say where there is one.
CASES = {
    "sqs": {
        "100,000 headers": (huge_headers("sqs"), (), ""),
        "a head of 4 MB": (head("sqs", "GET /" + "y" * 4_000_000), (), ""),
        "an endless body": (head("sqs", "POST /", JSON + CHUNKED), endless, ""),
        "an endless form": (head("sqs", "POST /", FORM + CHUNKED), endless, ""),
        "an endless form of nobody's": (f"POST / HTTP/1.1\r\nHost: localhost\r\n{FORM}{CHUNKED}\r\n".encode(), endless, ""),
        "a body of 6 TiB": (head("sqs", "POST /", JSON + f"Content-Length: {6 << 40}\r\n"), (), ""),
        "deep JSON": (sqs_json(b'{"QueueUrl":' + b"[" * 100_000 + b"1" + b"]" * 100_000 + b"}"), (), ""),
        "deep JSON without an end": (sqs_json(b'{"QueueUrl":' * 80_000), (), ""),
        "JSON cut short": (sqs_json(b'{"QueueUrl":"'), (), "SerializationException"),
        "bad UTF-8": (sqs_json(b'{"QueueUrl":"\xff\xfe"}'), (), "SerializationException"),
        "half a surrogate": (sqs_json(b'{"QueueUrl":"\\ud800"}'), (), ""),
        "a form of junk": (document("sqs", "POST /", b"%%%=%zz&&&=&=" * 1000, FORM), (), ""),
        "a form with a list of indexes beyond all": (
            document("sqs", "POST /", b"Action=SendMessageBatch&Version=2012-11-05&QueueUrl=x&SendMessageBatchRequestEntry.4294967296.Id=a", FORM), (), "",
        ),
        "broken chunks": (head("sqs", "POST /", JSON + CHUNKED) + b"zz\r\nhello\r\n", (), ""),
        "a chunk beyond all numbers": (head("sqs", "POST /", JSON + CHUNKED) + b"ffffffffffffffffff\r\nhello\r\n", (), ""),
        "a way back in the path": (head("sqs", "GET /000000000000/../../etc/passwd?Action=ReceiveMessage"), (), ""),
        "bytes that are no text in the path": (head("sqs", "GET /000000000000/%ff%fe?Action=ReceiveMessage"), (), ""),
        "two lengths": (b"POST / HTTP/1.1\r\nHost: localhost\r\n" + (authorization("sqs") + JSON).encode() + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", (), ""),
    },
    "s3": {
        "100,000 headers": (huge_headers("s3"), (), ""),
        "a head of 4 MB": (head("s3", "GET /b/" + "y" * 4_000_000), (), ""),
        "an endless document": (head("s3", "POST /b?delete", CHUNKED), endless, ""),
        "an endless object": (head("s3", "PUT /b/unknown", CHUNKED), endless, ""),
        "an object of 6 TiB": (head("s3", "PUT /b/beyond", f"Content-Length: {6 << 40}\r\n"), (), "EntityTooLarge"),
        "entities of entities": (tagging(LAUGHS + TAGS.format("&a29;")), (), "MalformedXML"),
        "a file as an entity": (tagging('<!DOCTYPE T [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + TAGS.format("&f;")), (), "MalformedXML"),
        "depth": (tagging("<Tagging>" + "<TagSet>" * 60_000), (), "MalformedXML"),
        "bad UTF-8": (tagging(b"<Tagging><TagSet><Tag><Key>\xff\xfe</Key>"), (), "MalformedXML"),
        "bad UTF-8 in a key": (head("s3", "GET /b/%ff%fe"), (), ""),
        "a key of 1,025 bytes": (document("s3", "PUT /b/" + "k" * 1025, b"x"), (), "KeyTooLong"),
        "broken chunks": (head("s3", "POST /b?delete", CHUNKED) + b"zz\r\nhello\r\n", (), ""),
        "broken chunks of AWS's": (aws_chunked(b"zz\r\nhello\r\n0\r\n\r\n"), (), ""),
        "a chunk of AWS's beyond all numbers": (aws_chunked(b"fffffffffffffffff\r\nhello\r\n"), (), ""),
        "a chunk's head without an end": (aws_chunked(b"5;" + b"e" * 100_000 + b"\r\nhello\r\n0\r\n\r\n"), (), ""),
        "a way back to another bucket": (head("s3", "GET /b/../other/key"), (), ""),
    },
}


class Scene:
    def __init__(self, stack):
        self.stack = stack
        self.processes = self.running()

    def health(self):
        with urllib.request.urlopen(self.stack.url + "/_fractus/health", timeout=20) as answer:
            return json.load(answer)["services"]

    def running(self):
        """Every process of the stack that is ours: its id and name."""
        found = {}
        for pid in self.stack.processes():
            with open(f"/proc/{pid}/cmdline") as command:
                name = os.path.basename(command.read().split("\0")[0])
            if name.startswith("fractus"):
                found[pid] = name
        return found

    def peaks(self):
        """The most that each was ever resident, in MiB."""
        return {name: programs.kib(pid, "VmHWM") / 1024 for pid, name in self.processes.items()}

    def url(self, way, service):
        if way == "direct":
            return self.health()[service]["url"]
        return self.stack.url.replace("http:", "https:") if way == "tls" else self.stack.url

    def before(self, way, service):
        """On a connection that another service has been given already."""
        return GOOD["s3" if service == "sqs" else "sqs"] if way == "kept" else b""

    def goes_on(self):
        for service in GOOD:
            for way in ("direct", "router"):
                status, text = send(self.url(way, service), GOOD[service])
                assert status == "200", text
        assert self.running() == self.processes, "a process is another one"


@pytest.fixture(scope="module")
def scene():
    with programs.Stack("--eager", services=("sqs", "s3"), **SETTINGS) as stack:
        programs.s3("PUT", "/b").send(stack.url)
        yield Scene(stack)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("service", CASES)
def test_each_is_refused_and_the_stack_goes_on(scene, service, way):
    url = scene.url(way, service)
    for what, (first, more, expected) in CASES[service].items():
        begun = time.monotonic()
        status, text = send(url, first, more() if more else (), before=scene.before(way, service))
        # What does not exist is 404, what nobody may send 4xx, what S3 has not 501; a broken-off connection is an answer, too.
        assert status == "closed" or status.startswith("4") or status == "501", f"{what}: {text[:500]}"
        assert status == "closed" or expected in text, f"{what}: {text[:500]}"
        assert "root:" not in text, what
        assert time.monotonic() - begun < 60, f"{what} took {time.monotonic() - begun:.0f} s"
        scene.goes_on()
    peaks = scene.peaks()
    print(f"\n{service}, {way}: at most", ", ".join(f"{name} {peak:.1f} MiB" for name, peak in sorted(peaks.items())))
    assert all(peak < MOST_MIB for peak in peaks.values()), peaks


@pytest.mark.parametrize("way", WAYS)
def test_keys_that_look_like_paths_are_keys(scene, way):
    url = scene.url(way, "s3")
    for path, key in (("..%2F..%2Fetc%2Fpasswd", "../../etc/passwd"), ("%2Fetc%2Fpasswd", "/etc/passwd"), ("a%2F.%2F%2Fb", "a/.//b"), ("c%5C..%5Cd", "c\\..\\d")):
        status, text = send(url, document("s3", f"PUT /b/{path}", way.encode()), before=scene.before(way, "s3"))
        assert status == "200", text
        status, text = send(url, head("s3", f"GET /b/{path}"))
        assert status == "200" and text.endswith(way), text
        _, listing = send(url, head("s3", f"GET /b?list-type=2&prefix={urllib.parse.quote(key, safe='')}"))
        assert f"<Key>{key}</Key>" in listing, listing


def both_answer(url):
    for good in GOOD.values():
        status, text = send(url, good, patience=30)
        assert status == "200", text


def heads(service, number):
    return f"PUT /b/slow-{number} HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".encode()


def bodies(service, number):
    first = head(service, "POST /", JSON) if service == "sqs" else head(service, f"PUT /b/stuck-{number}")
    return first[:-2] + f"Content-Length: {1 << 19}\r\n\r\n".encode() + b"x" * 5000


def forms(_service, _number):
    """Nobody can tell whose they are."""
    return f"POST / HTTP/1.1\r\nHost: localhost\r\n{FORM}Content-Length: 100\r\n\r\nMessage".encode()


# The longest that the router (a head 10 s, 60 s over TLS; a form 30 s and 10 before it) and a service wait, with some patience.
@pytest.mark.parametrize("beginning, patience", [(heads, 90), (bodies, 45), (forms, 90)])
@pytest.mark.parametrize("way", ["direct", "router", "tls"])
def test_slow_ones_are_given_up_and_others_are_served_meanwhile(scene, beginning, patience, way):
    with Meanwhile(lambda: both_answer(scene.stack.url)) as meanwhile:
        slow, urls = [], {service: scene.url(way, service) for service in GOOD}
        # A handshake costs more than all the rest.
        for number in range(SLOW if way != "tls" else SLOW // 4):
            service = ("sqs", "s3")[number % 2]
            slow.append(connect(urls[service]))
            slow[-1].sendall(beginning(service, number))
        end = time.monotonic() + patience
        while slow and time.monotonic() < end:
            slow = [connection for connection in slow if is_open(connection, drips=beginning is heads)]
            time.sleep(0.5)
        assert not slow, f"{len(slow)} connections are still taken"
    assert meanwhile.times > 5 and meanwhile.slowest < 20, (meanwhile.times, meanwhile.slowest)
    peaks = scene.peaks()
    print(f"\n{way}, {beginning.__name__}: {meanwhile.times} good requests, the slowest {meanwhile.slowest:.2f} s; at most {peaks}")
    assert all(peak < MOST_MIB for peak in peaks.values()), peaks
    scene.goes_on()


def is_open(connection, drips):
    """Whether the other side still takes it; one that drips sends a byte more each time."""
    connection.settimeout(0.001)
    try:
        if drips:
            connection.sendall(b"z")
        while said := connection.recv(4096):
            assert b" 4" in said[:10] or not said.startswith(b"HTTP"), said
        connection.close()
        return False
    except TimeoutError:
        return True
    except OSError:
        connection.close()
        return False
