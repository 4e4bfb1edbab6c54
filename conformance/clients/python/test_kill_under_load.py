"""A service killed under load: boto3 with its default retries sees no error."""

import os
import signal
import threading

import boto3

from stack import KEYS, REGION, wait_for


def default_client(service, url):
    """As users make it: no retry setting."""
    return boto3.client(service, endpoint_url=url, region_name=REGION, **KEYS)


def test_no_client_sees_an_error(own_stack, tmp_path):
    stack = own_stack("--data-dir", str(tmp_path / "data"), "--eager")
    queue = default_client("sqs", stack.url).create_queue(QueueName="q")["QueueUrl"]
    default_client("s3", stack.url).create_bucket(Bucket="bucket")
    ended, errors, done = threading.Event(), [], [0, 0]

    def load(number):
        sqs, s3 = default_client("sqs", stack.url), default_client("s3", stack.url)
        try:
            while not ended.is_set():
                sqs.send_message(QueueUrl=queue, MessageBody=str(number))
                done[0] += 1
                s3.put_object(Bucket="bucket", Key=f"k{number}", Body=b"x" * 1000)
                assert s3.get_object(Bucket="bucket", Key=f"k{number}")["Body"].read() == b"x" * 1000
                done[1] += 1
        except Exception as error:  # noqa: BLE001: whatever a client sees is what this test is about
            errors.append(error)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for round_ in range(3):
        for at, program in enumerate(("fractus-sqs", "fractus-s3")):
            before = done[at]
            # Under load again after the death before.
            wait_for(lambda: errors or done[at] > before + 40)
            pid = wait_for(lambda: stack.pid_of(program))
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: stack.pid_of(program) not in (None, pid))
    before = list(done)
    wait_for(lambda: errors or (done[0] > before[0] + 20 and done[1] > before[1] + 20))
    ended.set()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    assert min(done) > 100
