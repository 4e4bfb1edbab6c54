"""Starting what is measured, and loading it."""

import http.client
import json
import os
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = os.environ.get("FRACTUS_PROGRAMS", "")
SECONDS = float(os.environ.get("SECONDS_EACH", "5"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
CONNECTIONS = int(os.environ.get("CONNECTIONS", "32"))
SCALE = int(os.environ.get("SCALE", "1000000"))
# The services whose operations are measured, as far as they are built.
NAMES = ("sqs", "s3", "sts", "sns", "events", "dynamodb", "scheduler")
# Every service there is: their starts and their memory are measured.
SERVICES = sorted(name for name in os.listdir(os.path.join(ROOT, "services")) if os.path.exists(os.path.join(ROOT, "services", name, "src", "main.rs")))
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request, SignedHeaders=host;x-amz-date, "
    "Signature=" + "0" * 64
)


class Failed(Exception):
    """Something could not be measured, which says nothing about the rest."""


def has(name):
    return os.path.exists(os.path.join(PROGRAMS, f"fractus-{name}"))


def need(*names):
    missing = [f"fractus-{name}" for name in names if not has(name)]
    if missing:
        raise Failed(f"not built: {', '.join(missing)}")


def kib(pid, what):
    """A size of a process's memory, as the kernel tells it."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what))


class Program:
    """A process that prints a line with its URL when it is ready."""

    def __init__(self, command, environment=None, ready="ready "):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FRACTUS_") or name == "FRACTUS_NATS_SERVER"}
        if not os.access(command[0], os.X_OK):
            raise Failed(f"not built: {os.path.basename(command[0])}")
        self.process = subprocess.Popen(
            command, env={**kept, "FRACTUS_LOG": "error", **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = None
        for line in self.process.stdout:
            if line.startswith(ready):
                self.url = line[len("ready ") :].strip()
                return
        raise Failed(f"{os.path.basename(command[0])} ended with {self.process.wait()} before it was ready")

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    __enter__ = lambda self: self

    def __exit__(self, *_):
        self.end()

    def processes(self):
        """The process and all that it started, by their ids."""
        waiting = [self.process.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children") as children:
                    waiting += [int(child) for child in children.read().split()]

    def resident_kib(self):
        """Of the process and all that it started."""
        return sum(kib(pid, "VmRSS") for pid in self.processes())


def service(name, data_dir=None, **settings):
    environment = {"FRACTUS_LISTEN": "127.0.0.1:0", **{f"FRACTUS_{key.upper()}": str(value) for key, value in settings.items()}}
    if data_dir:
        environment["FRACTUS_DATA_DIR"] = data_dir
    return Program([os.path.join(PROGRAMS, f"fractus-{name}")], environment)


def bare(answer_bytes=300):
    return Program([os.environ.get("FRACTUS_BARE_AXUM", "bare_axum"), "127.0.0.1:0", str(answer_bytes)])


class Stack(Program):
    def __init__(self, *arguments, services=NAMES, **settings):
        import socket

        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        names = [name for name in services if has(name)]
        environment = {f"FRACTUS_{key.upper()}": str(value) for key, value in settings.items()}
        super().__init__([os.path.join(PROGRAMS, "fractus"), "up", *names, "--port", str(port), *arguments], environment, ready="Ready.")
        self.url = f"http://127.0.0.1:{port}"


class Request:
    def __init__(self, service, method, path, body=b"", **headers):
        self.method, self.path, self.body = method, path, body
        self.headers = {"Authorization": AUTHORIZATION.format(service), "X-Amz-Date": "20260101T000000Z"}
        self.headers.update({name.replace("_", "-"): value for name, value in headers.items()})

    def send(self, url):
        request = urllib.request.Request(url + self.path, data=self.body or None, headers=self.headers, method=self.method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            if any(there in text for there in ("ResourceInUse", "BucketAlreadyOwnedByYou", "ConflictException")):
                return text.encode()  # made by an earlier run against the same endpoint
            raise Failed(f"{self} was answered {error.code} {text[:200]}") from None
        except OSError as error:
            raise Failed(f"{self}: {error}") from None

    def __str__(self):
        return self.headers.get("X-Amz-Target") or f"{self.method} {self.path}"

    def keyed(self, key):
        """The same with a key of its own, as request.lua makes them."""
        body = self.body.encode() if isinstance(self.body, str) else self.body
        one = Request("", self.method, self.path, body.replace(b"@KEY@", key.encode()))
        if b"@KEY@" not in body:
            one.path += key
        one.headers = self.headers
        return one

    def send_times(self, url, times, keys=None):
        """Exactly so often, over one connection."""
        at = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
        for number in range(times):
            one = self.keyed(f"{keys}-{number}") if keys else self
            connection.request(one.method, one.path, one.body, one.headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise Failed(f"{self} was answered {answer.status} {text[:200]!r}")
        connection.close()


def sqs(action, **members):
    body = json.dumps(members).encode()
    return Request("sqs", "POST", "/", body, X_Amz_Target=f"AmazonSQS.{action}", Content_Type="application/x-amz-json-1.0")


def dynamodb(action, **members):
    body = json.dumps(members).encode()
    return Request("dynamodb", "POST", "/", body, X_Amz_Target=f"DynamoDB_20120810.{action}", Content_Type="application/x-amz-json-1.0")


def s3(method, path, body=b""):
    kind = {"Content_Type": "application/octet-stream"} if body else {}
    return Request("s3", method, path, body, X_Amz_Content_Sha256="UNSIGNED-PAYLOAD", **kind)


def events(action, **members):
    body = json.dumps(members).encode()
    return Request("events", "POST", "/", body, X_Amz_Target=f"AWSEvents.{action}", Content_Type="application/x-amz-json-1.1")


def sts(action):
    form = f"Action={action}&Version=2011-06-15".encode()
    return Request("sts", "POST", "/", form, Content_Type="application/x-www-form-urlencoded; charset=utf-8")


def sns(action, **members):
    form = urllib.parse.urlencode({"Action": action, "Version": "2010-03-31", **members}).encode()
    return Request("sns", "POST", "/", form, Content_Type="application/x-www-form-urlencoded; charset=utf-8")


def scheduler(method, name, **members):
    return Request("scheduler", method, f"/schedules/{name}", json.dumps(members).encode() if members else b"", Content_Type="application/json")


def load(url, request, seconds=None, connections=None, keys=None, at_most=None):
    """Runs wrk; what it counted. With `at_most` its two threads end when that many are answered, or little more."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("method", request.method), ("path", request.path), ("body", request.body)):
            content = content.encode() if isinstance(content, str) else content
            if content:
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(content)
        with open(os.path.join(folder, "headers"), "w") as file:
            file.writelines(f"{name}: {value}\n" for name, value in request.headers.items())
        connections = connections or (8 if len(request.body) > 1 << 20 else CONNECTIONS)
        environment = {**os.environ, "BENCH_REQUEST": folder}
        if keys:
            environment["BENCH_KEYS"] = keys
        if at_most:
            environment["BENCH_AT_MOST"] = str(-(-at_most // 2))
        seconds = max(1, round(seconds or SECONDS))
        command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", os.path.join(HERE, "request.lua"), url]
        try:
            output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
        except subprocess.SubprocessError as error:
            raise Failed(f"{request}: {str(error)[:60]} {(error.stderr or '')[-200:]}") from None
    result = json.loads(next(line for line in output.splitlines() if line.startswith("RESULT "))[len("RESULT ") :])
    if result["failed"] > result["requests"] * 0.001:
        raise Failed(f"{request}: {result['failed']} failures in {result['requests']} requests")
    result["per_second"] = result["requests"] / (result["us"] / 1e6)
    return result
