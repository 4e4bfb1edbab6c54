"""From service to service, over the bus: how long a topic takes to its hundred queues, and events through rules to theirs."""

import contextlib
import json
import select
import socket
import statistics
import threading
import time
import urllib.parse

from operations import put_rules
from programs import ROUNDS, Failed, Stack, events, need, sns, sqs
from record import spread

ACCOUNT = "000000000000"
# Messages that a queue is asked for, and events that a request puts.
TEN = 10


def queue_url(name):
    return f"http://localhost/{ACCOUNT}/{name}"


def queue_arn(name):
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


class Line:
    """One connection on which a request is written and its answer waited for apart."""

    def __init__(self, url):
        at = urllib.parse.urlsplit(url)
        self.host = f"{at.hostname}:{at.port}"
        self.socket = socket.create_connection((at.hostname, at.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def bytes_of(self, request):
        body = request.body.encode() if isinstance(request.body, str) else request.body
        headers = {**request.headers, "Host": self.host, "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{request.method} {request.path} HTTP/1.1\r\n{head}\r\n".encode() + body

    def read(self):
        """What has come; the body of the answer once that is whole."""
        more = self.socket.recv(1 << 20)
        if not more:
            raise Failed("a connection was closed")
        self.buffer += more
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        if len(body) < length:
            return None
        if not head.startswith(b"HTTP/1.1 200"):
            raise Failed(f"an answer was {head[:40]!r} {body[:200]!r}")
        self.buffer = body[length:]
        return body[:length]

    def ask(self, written):
        self.socket.sendall(written)
        while (answer := self.read()) is None:
            pass
        return answer


# ---- a topic and its queues


def fanout(case, queues=100, rounds=30, warm=5):
    """Publish, until each queue's message has been received by a request that waits for it."""
    need("sns", "sqs")
    with Stack("--eager", services=("sns", "sqs")) as stack:
        for n in range(queues):
            sqs("CreateQueue", QueueName=f"f{n}", Attributes={"VisibilityTimeout": "43200"}).send(stack.url)
        for form, attributes in (("raw", {"Attributes.entry.1.key": "RawMessageDelivery", "Attributes.entry.1.value": "true"}), ("enveloped", {})):
            topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:{form}"
            sns("CreateTopic", Name=form).send(stack.url)
            for n in range(queues):
                sns("Subscribe", TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(f"f{n}"), **attributes).send(stack.url)
            lines = [Line(stack.url) for _ in range(queues)]
            publisher = Line(stack.url)
            took, last = [], []
            for round_ in range(rounds + warm):
                each = one_publish(lines, publisher, topic, f"message {round_}")
                if round_ >= warm:
                    took += each
                    last.append(max(each))
            p50, p99 = statistics.median(took), sorted(took)[len(took) * 99 // 100]
            whole = statistics.median(last)
            detail = f"p99 {p99:.1f} ms, the last of them {whole:.1f} ms in the median; {rounds} messages, all {len(took)} delivered"
            case.note(f"SNS Publish to each of {queues} SQS queues, {form}", round(p50, 1), "ms", "< 50", p50 < 50, detail)


def one_publish(lines, publisher, topic, text):
    """Milliseconds from the request to Publish until each queue's message is in the receiver's hands."""
    for n, line in enumerate(lines):
        line.socket.sendall(line.bytes_of(sqs("ReceiveMessage", QueueUrl=queue_url(f"f{n}"), WaitTimeSeconds=20)))
    time.sleep(0.05)  # the receives are waiting in the service by now
    poll, by_number = select.epoll(), {line.socket.fileno(): line for line in lines}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    publish = publisher.bytes_of(sns("Publish", TopicArn=topic, Message=text))
    started, took = time.perf_counter(), []
    publisher.socket.sendall(publish)
    while len(took) < len(lines):
        ready = poll.poll(20)
        if not ready:
            raise Failed(f"{len(took)} of {len(lines)} messages came within 20 s")
        for number, _ in ready:
            answer = by_number[number].read()
            if answer is None:
                continue
            if text.encode() not in answer:
                raise Failed(f"a queue gave something else: {answer[:200]!r}")
            took.append((time.perf_counter() - started) * 1000)
    poll.close()
    while publisher.read() is None:
        pass
    return took


# ---- events and their rules


def rules_to_queues(case, total=100_000):
    """Events that each match one rule of many, until each is in its queue, and each is there once; a part of them in each round."""
    need("events", "sqs")
    counts, rates = (10, 1_000), {10: [], 1_000: []}
    # More rounds than elsewhere, in turns of changing order: three programs share the processors, and what else is done there.
    rounds = max(ROUNDS, 6)
    part = total // rounds
    with contextlib.ExitStack() as ends:
        stacks = {count: ends.enter_context(Stack("--eager", services=("events", "sqs"), rules_per_bus=1000)) for count in counts}
        for count, stack in stacks.items():
            for n in range(TEN):
                sqs("CreateQueue", QueueName=f"q{n}").send(stack.url)
            put_rules(stack.url, count, queues=TEN)
        for round_ in range(rounds):
            first, last = round_ * part, total if round_ == rounds - 1 else (round_ + 1) * part
            for count, stack in sorted(stacks.items(), reverse=round_ % 2 == 1):
                started = time.perf_counter()
                put_all(stack.url, count, first, last)
                while (there := sum(waiting(stack.url, n) for n in range(TEN))) < last:
                    if time.perf_counter() - started > 300:
                        raise Failed(f"{there:,} of {last:,} events were delivered within 300 s")
                    time.sleep(0.02)
                rates[count].append((last - first) / (time.perf_counter() - started))
        for count, stack in stacks.items():
            found = drain(stack.url, total)
            lost, twice = total - len(set(found)), len(found) - len(set(found))
            case.note(
                f"EventBridge, {total:,} events through {count:,} rules to {TEN} queues", round(statistics.median(rates[count])), "events/s",
                "none lost, none twice", lost == 0 and twice == 0, f"{lost} lost, {twice} twice; rounds of {spread(rates[count])} events/s",
            )
    part = statistics.median(much / little for much, little in zip(rates[1_000], rates[10]))
    of = [f"{statistics.median(rates[count]):,.0f}/s ({spread(rates[count])})" for count in (1_000, 10)]
    case.note("EventBridge to queues, 1,000 rules against 10", round(part, 2), "of 10 rules", "≥ 0.80", part >= 0.8, " of ".join(of))


def put_all(url, rules, first_of_all, total, connections=4):
    """Puts events `first_of_all` to `total`, each matched by the rule of its number; what was not taken is put again."""
    failures = []

    def put(first):
        try:
            line = Line(url)
            for start in range(first_of_all + first * TEN, total, connections * TEN):
                numbers = list(range(start, min(start + TEN, total)))
                while numbers:
                    details = [json.dumps({"kind": f"kind-{n % rules}", "size": 5_000, "n": n}) for n in numbers]
                    entries = [{"Source": "bench", "DetailType": "measured", "Detail": one} for one in details]
                    answer = json.loads(line.ask(line.bytes_of(events("PutEvents", Entries=entries))))
                    numbers = [n for n, entry in zip(numbers, answer["Entries"]) if "EventId" not in entry]
                    if numbers:
                        time.sleep(0.05)  # more wait for the bus than it holds
        except (Failed, OSError, ValueError) as error:
            failures.append(error)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Failed(f"PutEvents: {failures[0]}")


def waiting(url, n):
    answer = sqs("GetQueueAttributes", QueueUrl=queue_url(f"q{n}"), AttributeNames=["ApproximateNumberOfMessages"]).send(url)
    return int(json.loads(answer)["Attributes"]["ApproximateNumberOfMessages"])


def drain(url, total):
    """The numbers of all events in the queues."""
    line, found = Line(url), []
    for n in range(TEN):
        receive = line.bytes_of(sqs("ReceiveMessage", QueueUrl=queue_url(f"q{n}"), MaxNumberOfMessages=TEN, VisibilityTimeout=43200))
        while messages := json.loads(line.ask(receive)).get("Messages"):
            found += [json.loads(message["Body"])["detail"]["n"] for message in messages]
            if len(found) > 2 * total:
                raise Failed(f"more than {2 * total:,} events are in the queues")
    return found
