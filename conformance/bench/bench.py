"""The cases of scripts/bench."""

import argparse
import contextlib
import http.client
import os
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse

import page
import sizes
from operations import DIRECT_ONLY, QUEUE, operations, prepare
from programs import HERE, NAMES, ROOT, ROUNDS, SECONDS, SERVICES, Failed, Stack, bare, has, load, need, s3, service, sqs
from record import Case, interleaved, keep, log, spread


def prepared_peers(peers):
    """The services that each peer has, and what the operations are there. One that refuses a service is measured at the others."""
    found = {}
    for peer, url in peers.items():
        log(f"preparing {peer}")
        names, services = {}, []
        for name in NAMES:
            try:
                made = prepare(url, [name], peer=True)
            except (Failed, ValueError, KeyError) as error:
                log(f"  {peer}: {name} is not measured: {error}")
                continue
            services.append(name)
            names.update({key: made[key] for key in {"sqs": ("queue", "waiting"), "sns": ("topic",)}.get(name, ())})
        found[peer] = (services, operations(names))
    return found


def speed(direct, router, peers):
    """The operations. `direct` and `router` are the cases asked for, or None."""
    with contextlib.ExitStack() as ends:
        stack, theirs = None, prepared_peers(peers)
        if router:
            try:
                stack = ends.enter_context(Stack("--eager"))
                prepare(stack.url, [name for name in NAMES if has(name)])
            except Failed as error:
                router.note("Operations through the router", None, "", detail=f"not measured: {error}")
        for what, of in operations().items():
            try:
                one_operation(what, of, direct, router if stack else None, stack, peers, theirs)
            except Failed as error:
                (direct or router).note(what, None, "", detail=f"not measured: {error}")


def one_operation(what, of, direct, router, stack, peers, theirs):
    name, request, answer, of_direct, of_router = of
    if of_router == DIRECT_ONLY:
        router = None
    if not direct and not router:
        return
    need(name)
    log(what)
    with bare(answer) as ceiling, service(name) as alone:
        prepare(alone.url, [name])
        ours = len(request.send(alone.url))
        runs = {"bare": lambda s: load(ceiling.url, request, s), "direct": lambda s: load(alone.url, request, s)}
        if router:
            runs["router"] = lambda s: load(stack.url, request, s)
        able = [peer for peer, (services, _) in theirs.items() if name in services]
        for peer in able:
            runs[peer] = lambda s, url=peers[peer], one=theirs[peer][1][what][1]: load_peer(url, one, s, ours)
        found, failed = interleaved(runs, able)
        for case, mine, wanted, told in ((direct, "direct", of_direct, "direct"), (router, "router", of_router, "through the router")):
            if not case:
                continue
            case.measured(what, {column: results for column, results in found.items() if column not in ("direct", "router") or column == mine})
            case.against(f"{what}, {told}", found, mine, "bare", wanted)
            for peer in peers:
                if peer in found:
                    case.against(f"{what}, {told}, beside {peer}", found, mine, peer, unit=f"times {peer}")
                else:
                    case.note(f"{what}, {told}, beside {peer}", None, "", detail=failed.get(peer, f"{peer} could not be prepared for it"))
        if router:
            # Few connections: the time of a request and not of its waiting in line.
            p50 = {name: load(at, request, 2, connections=2)["p50_us"] for name, at in (("direct", alone.url), ("router", stack.url))}
            more = (p50["router"] - p50["direct"]) / 1000
            router.note(f"{what}, p50 of the router over direct", round(more, 3), "ms", "< 0.3", more < 0.3, f"{p50['router']} µs over {p50['direct']} µs, 2 connections")


def load_peer(url, request, seconds, least):
    """As `load`, of an endpoint that may answer something else, and that works on after wrk has gone."""
    if seconds:
        answer = request.send(url)
        if len(answer) * 2 < least:
            raise Failed(f"{request} is answered with {len(answer):,} bytes, ours with {least:,}: not the same work")
    usual = answers_in(url)
    result = load(url, request, seconds)
    for _ in range(100):
        if answers_in(url) < 2 * usual + 0.005:
            break
        time.sleep(0.1)
    return result


def answers_in(url):
    """The seconds until anything at all is answered."""
    at, started = urllib.parse.urlsplit(url), time.perf_counter()
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=20)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"nothing answers at {url}: {error}") from None
    finally:
        connection.close()
    return time.perf_counter() - started


def engines(case):
    for what, part in (("SQS SendMessage", 0.6), ("DynamoDB PutItem", None), ("S3 PUT 1 KiB", None)):
        name, request = operations()[what][:2]
        if not has(name):
            case.note(f"{what}, disk engine", None, "", detail=f"not built: fractus-{name}")
            continue
        with tempfile.TemporaryDirectory(dir=ROOT) as folder, service(name) as memory, service(name, folder) as disk:
            for one in (memory, disk):
                prepare(one.url, [name])
            found, _ = interleaved({"disk": lambda s: load(disk.url, request, s), "memory": lambda s: load(memory.url, request, s)})
            case.measured(what, found)
            case.against(f"{what}, disk engine", found, "disk", "memory", part)


def scale(case):
    for part in (sizes.queues, sizes.tables, sizes.buckets):
        try:
            part(case)
        except Failed as error:
            case.note(f"Cost against size, {part.__name__}", None, "", detail=f"not measured: {error}")


def latency(case):
    need("s3", "sqs")
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
                raise Failed("an event did not arrive within 20 s")
            took.append((came[-1] - started) * 1000)
        stop = True
        go.release()
        took = sorted(took[20:])
        p50 = statistics.median(took)
        case.note("S3 PutObject to its SQS message, both through the router", round(p50, 2), "ms", "< 5", p50 < 5, f"median of {len(took)}; p90 {took[len(took) * 9 // 10]:.2f} ms")


def process(case):
    for name in SERVICES:
        if not has(name):
            case.note(f"{name}: start and memory", None, "", detail=f"not built: fractus-{name}")
            continue
        took = []
        for _ in range(15):
            started = time.perf_counter()
            one = service(name)
            took.append((time.perf_counter() - started) * 1000)
            with one:
                resident = one.resident_kib()
        p50 = statistics.median(took)
        case.note(f"{name}: process start to ready", round(p50, 1), "ms", "< 50", p50 < 50, f"{spread(took)} in 15 starts")
        case.note(f"{name}: idle memory", round(resident / 1024, 1), "MiB", "< 10", resident < 10 * 1024, "resident, as started")
    with Stack(services=SERVICES) as stack:
        time.sleep(2)  # what it does once at its start is over
        resident = stack.resident_kib() / 1024
        case.note("fractus up, all services idle, NATS included", round(resident, 1), "MiB", "< 60", resident < 60, "resident")
    prefix, tag = os.environ.get("FRACTUS_IMAGE_PREFIX", "fractus"), os.environ.get("FRACTUS_TAG", "latest")
    for name in ("router", *SERVICES, "all"):
        command = ["docker", "image", "inspect", "-f", "{{.Size}}", f"{prefix}/{name}:{tag}"]
        try:
            size = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        except (OSError, subprocess.CalledProcessError):
            continue
        service_image = name not in ("all", "router")
        case.note(f"image {name}", round(size / 1e6, 1), "MB", "< 15" if service_image else None, size < 15e6 if service_image else None)


CASES = {"direct": None, "router": None, "engines": engines, "scale": scale, "reopen": sizes.reopen, "rules": sizes.rules, "latency": latency, "process": process}


def plan(chosen, peers):
    """How many seconds each part takes, by counting its measurements. What is sent to fill, and starts, are taken as they usually are."""
    each = lambda columns: columns * (1 + ROUNDS * max(1, round(SECONDS)))  # noqa: E731 - a warming second, then the rounds
    stored = sum(sizes.SIZES)
    found, none = {}, not any(has(name) for name in SERVICES)
    built = lambda name: none or has(name)  # noqa: E731 - nothing is built yet: all will be
    if "direct" in chosen or "router" in chosen:
        routed = "router" in chosen
        every = [of for of in operations().values() if built(of[0]) and ("direct" in chosen or of[4] != DIRECT_ONLY)]
        through = sum(routed and of[4] != DIRECT_ONLY for of in every)
        found["operations"] = each(len(every) * (2 + len(peers)) + through) + 4 * through + 2 * len(every)
    found["engines"] = 3 * (each(2) + 3)
    # Receive, get, query beside bare, get, list; messages are stored at 150,000 a second, items at 50,000, keys at 20,000.
    found["scale"] = each(5 * len(sizes.SIZES) + 1) + stored / 150_000 + stored / 50_000 + stored / 20_000 + 10
    # Items of 1 KiB reach the disk at 15,000 a second.
    found["reopen"] = sizes.SCALE / 15_000 + 10
    found["rules"] = each(3) + 5
    found["latency"] = 10
    found["process"] = 15 * 0.1 * sum(built(name) for name in SERVICES) + 5
    return {name: round(seconds) for name, seconds in found.items() if name in chosen or name == "operations"}


def peer(text):
    """NAME=URL of this machine: load goes nowhere else."""
    name, _, url = text.partition("=")
    at = urllib.parse.urlsplit(url)
    if not name.replace("-", "").replace("_", "").isalnum() or name in ("bare", "direct", "router"):
        raise argparse.ArgumentTypeError(f"{text}: a peer is NAME=URL, its name of letters and digits")
    if at.scheme != "http" or at.hostname not in ("127.0.0.1", "localhost") or at.path.strip("/") or at.query or "@" in at.netloc:
        raise argparse.ArgumentTypeError(f"{url}: only http://127.0.0.1:PORT and http://localhost:PORT are loaded")
    return name, url.rstrip("/")


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures the stack beside a bare axum server, in one run.")
    parser.add_argument("case", nargs="*", help=f"of {', '.join(CASES)}; all where none is named")
    parser.add_argument("--peer", type=peer, action="append", default=[], metavar="NAME=URL", help="another endpoint of this machine, as a column of the operations")
    parser.add_argument("--out", default=HERE, metavar="FOLDER", help="where results.json, RESULTS.md and the plots are written")
    parser.add_argument("--plan", action="store_true", help="says how long it takes, and measures nothing")
    parser.add_argument("--page", action="store_true", help="makes RESULTS.md and the plots anew from results.json, and measures nothing")
    given = parser.parse_args()
    unknown = set(given.case) - set(CASES)
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; there are: {', '.join(CASES)}")
    given.case = [name for name in CASES if name in given.case or not given.case]
    given.peer = dict(given.peer)
    return given


def main():
    given = arguments()
    if given.page:
        page.write(given.out)
        return
    seconds = plan(given.case, given.peer)
    log(f"takes about {sum(seconds.values()) / 60:.0f} minutes: " + ", ".join(f"{name} {each} s" for name, each in seconds.items()))
    if given.plan:
        return
    try:
        for url in given.peer.values():
            answers_in(url)
    except Failed as error:
        raise SystemExit(str(error)) from None
    os.makedirs(given.out, exist_ok=True)
    done = {name: Case(name, given.peer if name in ("direct", "router") else {}) for name in given.case}
    if "direct" in done or "router" in done:
        speed(done.get("direct"), done.get("router"), given.peer)
        keep(given.out, [done[name] for name in ("direct", "router") if name in done])
    for name, run in CASES.items():
        if name not in done or not run:
            continue
        log(name)
        done[name] = case = Case(name, {})
        try:
            run(case)
        except Failed as error:
            case.note(f"Case {name}", None, "", detail=f"not measured: {error}")
        keep(given.out, [case])
    print(page.write(given.out))


main()
