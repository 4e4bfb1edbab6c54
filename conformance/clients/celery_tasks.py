"""The Celery application of python/test_celery.py, as its worker processes import it: broker SQS, fan-out by SNS. Tasks leave what
they did in a bucket."""

import os
import time

from celery import Celery

import stack

QUEUE = "work"


def application(prefix, visibility_timeout=60):
    """An application whose queues' and topics' names begin with `prefix`."""
    app = Celery("celery_tasks", broker=stack.endpoint().replace("http://", "sqs://test:test@"))
    app.conf.update(
        broker_transport_options={
            "region": stack.REGION,
            "is_secure": False,
            "queue_name_prefix": f"{prefix}-",
            "visibility_timeout": visibility_timeout,
            "wait_time_seconds": 1,
            "polling_interval": 0,
            "supports_fanout": True,
        },
        broker_connection_retry_on_startup=True,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
    )
    return app


app = application(os.environ["CELERY_PREFIX"], int(os.environ["CELERY_VISIBILITY_TIMEOUT"])) if "CELERY_PREFIX" in os.environ else Celery()
s3 = stack.client("s3")


def leave(bucket, key, body):
    s3.put_object(Bucket=bucket, Key=key, Body=str(body).encode())


@app.task
def add(bucket, key, one, other):
    leave(bucket, key, one + other)


@app.task(bind=True, max_retries=2)
def flaky(self, bucket, key):
    """Succeeds with its third attempt."""
    if self.request.retries < 2:
        raise self.retry(countdown=1)
    leave(bucket, key, self.request.retries)


@app.task
def slow(bucket, key):
    """Takes long for the worker that begins it first."""
    leave(bucket, f"{key}/begun/{os.getpid()}", "")
    if s3.list_objects_v2(Bucket=bucket, Prefix=f"{key}/begun/")["KeyCount"] == 1:
        time.sleep(600)
    leave(bucket, f"{key}/ended/{os.getpid()}", "")
