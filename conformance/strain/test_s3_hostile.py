"""Requests that are slow, huge, malformed or hostile, many at once: the service answers others meanwhile, and stays small."""

import time

import hostile
from hostile import Meanwhile, authorization, connect, endless, send

MOST_MIB = 100
# With 1,000 bodies in their midst: 16 MiB gathered for files, 18 read, what small objects have of their records, and what the
# allocator keeps of all that.
MOST_MIB_OF_BODIES = 128
# Uploads that have stopped in their midst, as long as these by turns: some that go to their record, some to a file.
SLOW_BODIES = 1_000
SLOW_BYTES = [1 << 10, 60 << 10, 300 << 10, 900 << 10, 3 << 20]
AUTHORIZATION = authorization("s3")


def head(line, headers=""):
    return hostile.head("s3", line, headers)


def document(line, body):
    return hostile.document("s3", line, body)


def test_hostile_requests_cost_little_and_harm_nobody(s3):
    # Nothing of it is asked to wait for a minute.
    service = s3(idle_timeout_secs=3, body_timeout_secs=3)
    client = service.client()
    client.create_bucket(Bucket="b")

    def put_and_get():
        client.put_object(Bucket="b", Key="good", Body=b"x" * 1000)
        assert client.get_object(Bucket="b", Key="good")["Body"].read() == b"x" * 1000

    peaks = {}
    with Meanwhile(put_and_get) as meanwhile:
        for part in (huge, malformed, slow_heads, slow_bodies):
            part(service)
            peaks[part] = service.peak_mib()
            print(f"\n{part.__name__}: at most {peaks[part]:.1f} MiB resident", end="")
    print(f"\n{meanwhile.times} good puts and gets meanwhile, the slowest took {meanwhile.slowest * 1000:.0f} ms")
    assert meanwhile.times > 50 and meanwhile.slowest < 5
    assert peaks[slow_heads] < MOST_MIB
    assert peaks[slow_bodies] < MOST_MIB_OF_BODIES
    assert service.process.poll() is None
    keys = [one["Key"] for one in client.list_objects_v2(Bucket="b")["Contents"]]
    assert sorted(keys) == ["../../etc/passwd", "good"], keys


def slow_heads(service):
    """1,000 connections that begin a head and never end it."""
    slow = [connect(service.url) for _ in range(1_000)]
    for number, connection in enumerate(slow):
        connection.sendall(f"PUT /b/slow-{number} HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".encode())
    end = time.monotonic() + 20
    while slow and time.monotonic() < end:
        still = []
        for connection in slow:
            try:
                connection.sendall(b"z")
                still.append(connection)
            except OSError:
                connection.close()
        slow = still
        time.sleep(0.5)
    assert not slow, f"{len(slow)} connections are still taken"


def slow_bodies(service):
    """Uploads that say 100 MiB, send some of it and stop."""
    slow = [connect(service.url) for _ in range(SLOW_BODIES)]
    for number, connection in enumerate(slow):
        connection.sendall(head(f"PUT /b/stuck-{number}", f"Content-Length: {100 << 20}\r\n") + b"x" * SLOW_BYTES[number % len(SLOW_BYTES)])
    for connection in slow:
        connection.settimeout(20)
        text = connection.recv(4096)
        assert text == b"" or b" 400 " in text, text
        connection.close()
    time.sleep(0.5)
    assert not service.blobs(), "nothing of an upload that stopped is left"


def huge(service):
    status, text = send(service.url, head("PUT /b/beyond", f"Content-Length: {6 << 40}\r\n"))
    assert status == "400" and "EntityTooLarge" in text, text
    chunked = "Transfer-Encoding: chunked\r\n"
    status, text = send(service.url, head("PUT /b?tagging", chunked), endless())
    assert status in ("501", "closed"), text
    status, text = send(service.url, head("POST /b?delete", chunked), endless())
    assert status in ("400", "413", "closed"), text
    # An object of unknown length is no object of S3's.
    status, text = send(service.url, head("PUT /b/unknown", chunked), endless(times=100))
    assert status in ("501", "closed"), text
    many = "".join(f"X-Header-{number}: v\r\n" for number in range(100_000))
    status, _ = send(service.url, head("GET /b", many))
    assert status in ("431", "400", "closed")
    status, _ = send(service.url, head("GET /" + "y" * 4_000_000))
    assert status in ("431", "414", "400", "closed")


def malformed(service):
    laughs = "<!DOCTYPE Tagging [<!ENTITY a0 \"ha\">" + "".join(f"<!ENTITY a{n} \"{f'&a{n - 1};' * 10}\">" for n in range(1, 30))
    tags = "<Tagging><TagSet><Tag><Key>k</Key><Value>{}</Value></Tag></TagSet></Tagging>"
    documents = {
        "entities of entities": laughs + "]>" + tags.format("&a29;"),
        "a file": '<!DOCTYPE T [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + tags.format("&f;"),
        "depth": "<Tagging>" + "<TagSet>" * 60_000,
        "no end": "<Tagging><TagSet",
        "nothing": "\x00" * 1000,
    }
    for what, text in documents.items():
        status, answer = send(service.url, document("PUT /b?tagging", text.encode()))
        assert status == "400" and "MalformedXML" in answer, f"{what}: {answer}"
        assert "root:" not in answer
    chunks = "X-Amz-Decoded-Content-Length: 5\r\nContent-Encoding: aws-chunked\r\n"
    streaming = AUTHORIZATION.replace("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    for body in (b"zz\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\nhello\r\n", b"5\r\nhelloworld\r\n0\r\n\r\n", b"5;" + b"e" * 100_000 + b"\r\nhello\r\n0\r\n\r\n"):
        line = f"PUT /b/chunked HTTP/1.1\r\nHost: localhost\r\n{streaming}{chunks}Content-Length: {len(body)}\r\n\r\n".encode()
        status, answer = send(service.url, line + body)
        assert status.startswith("4") or status == "closed", answer
    for line in ("GET /b/%ff%fe", "GET /b/" + "k" * 1025, "GET /\xff\xfe"):
        status, answer = send(service.url, head(line))
        assert status.startswith("4") or status == "closed", answer
    status, answer = send(service.url, head("PUT /b/..%2F..%2Fetc%2Fpasswd", "Content-Length: 1\r\nConnection: close\r\n") + b"x")
    assert status == "200", answer
    for junk in (b"\x16\x03\x01\x02\x00\x01", b"\r\n\r\n /// HTTP/9.9\r\n\r\n", b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"):
        status, answer = send(service.url, junk, patience=5)
        assert status in ("400", "closed"), answer
