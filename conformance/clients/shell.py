"""Lines of bash, run as a person runs them: AWS_ENDPOINT_URL and credentials in the environment, and nothing else; and trees of
files to move about."""

import hashlib
import json
import os
import subprocess
import time

from stack import endpoint, wait_for

SETTINGS = {
    "AWS_ENDPOINT_URL": endpoint(),
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_PAGER": "",
}

# Version 1 sends SQS's requests in us-east-1 to a host of its own table unless the line itself gives the endpoint.
SQS = "aws --endpoint-url $AWS_ENDPOINT_URL sqs"


def sh(line, cwd=None, fails=False):
    """Runs a line of bash; what it wrote to standard output."""
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", line], env={**os.environ, **SETTINGS}, cwd=cwd, capture_output=True, text=True, timeout=120)
    if fails:
        assert done.returncode != 0, done.stdout
        return done.stderr
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def receive(url, count=1, seconds=20):
    """So many messages of a queue, deleted."""
    got = []

    def received():
        answer = sh(f"{SQS} receive-message --queue-url {url} --wait-time-seconds 2 --max-number-of-messages 10 --message-attribute-names All")
        for message in json.loads(answer or "{}").get("Messages", []):
            sh(f"{SQS} delete-message --queue-url {url} --receipt-handle '{message['ReceiptHandle']}'")
            got.append(message)
        return len(got) >= count

    wait_for(received, seconds)
    return got


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def tree(folder):
    """Every file below a folder by its name, as a digest."""
    return {
        os.path.relpath(os.path.join(at, name), folder): digest(os.path.join(at, name))
        for at, _, names in os.walk(folder)
        for name in names
    }


def make_tree(folder):
    """Files whose names are no easy ones."""
    for name in ["a.txt", "sub/b.txt", "sub/deep er/c+d.txt", "sub/é.txt", "empty"]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if name == "empty" else name * 7)
    # S3 tells whole seconds: a file of the second in which it is copied would count as newer than its copy.
    then = time.time() - 60
    for path in folder.rglob("*"):
        os.utime(path, (then, then))
    return folder
