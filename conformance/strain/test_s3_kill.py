"""kill -9 while many clients upload at once."""

import hashlib
import os
import random
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

UPLOADS = int(os.environ.get("STRAIN_UPLOADS", 200))
ROUNDS = int(os.environ.get("STRAIN_ROUNDS", 3))
SIZES = [1 << 10, 100 << 10, 700 << 10, 3 << 20]
PART = 5 << 20
SMALL = 64 << 10  # what is kept beside its record


class Uploader(threading.Thread):
    """Uploads one object after another until the service is gone. The key `…/same` is written again and again."""

    def __init__(self, client, name, go):
        super().__init__()
        self.client, self.name, self.go = client, name, go
        self.acknowledged, self.tried, self.problem = {}, {}, None

    def run(self):
        self.go.wait()
        number = 0
        try:
            while True:
                key = f"{self.name}/same" if number % 3 == 2 else f"{self.name}/{number}"
                self.upload(key, random.Random(f"{self.name} {number}"), number)
                number += 1
        except BotoCoreError:
            pass  # the service is gone
        except ClientError as error:
            self.problem = error

    def upload(self, key, chance, number):
        if (number + len(self.name)) % 7 == 6:
            bodies = [chance.randbytes(PART), chance.randbytes(100_000)]
        else:
            bodies = [chance.randbytes(SIZES[number % len(SIZES)])]
        digest = hashlib.md5(b"".join(bodies)).digest()
        self.tried.setdefault(key, []).append(digest)
        if len(bodies) == 1:
            self.client.put_object(Bucket="b", Key=key, Body=bodies[0])
        else:
            upload = {"Bucket": "b", "Key": key}
            upload["UploadId"] = self.client.create_multipart_upload(**upload)["UploadId"]
            etags = [self.client.upload_part(**upload, PartNumber=at, Body=body)["ETag"] for at, body in enumerate(bodies, 1)]
            parts = [{"PartNumber": at, "ETag": etag} for at, etag in enumerate(etags, 1)]
            self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        self.acknowledged[key] = len(self.tried[key]) - 1


def forget(service):
    """What the last process left behind is as old as the service wants it to be before it is taken for lost."""
    for path in service.blobs():
        os.utime(path, (0, 0))


def until(seconds, check):
    end = time.monotonic() + seconds
    while not check() and time.monotonic() < end:
        time.sleep(0.5)
    return check()


def test_kill_during_uploads(s3):
    service = s3()
    service.client().create_bucket(Bucket="b")
    for number in range(ROUNDS):
        client, go = service.client(UPLOADS), threading.Event()
        uploaders = [Uploader(client, f"{number}-{name}", go) for name in range(UPLOADS)]
        for uploader in uploaders:
            uploader.start()
        go.set()
        until(120, lambda: all(uploader.acknowledged for uploader in uploaders))
        under_way = sum(sum(map(len, uploader.tried.values())) for uploader in uploaders)
        time.sleep(random.Random(number).random())
        service.kill()
        for uploader in uploaders:
            uploader.join()
        assert not [uploader.problem for uploader in uploaders if uploader.problem], "nothing but the end of the service is a failure"
        left = sum(service.blobs().values())
        service = s3()
        whole, size = look(service.client(), uploaders, f"{number}-")
        print(f"\nround {number + 1}: killed after {under_way} uploads; {whole} acknowledged objects are whole, {left / 2**20:.0f} MiB of bytes lay there")
        assert whole >= UPLOADS
    clean_up(service)


def look(client, uploaders, prefix):
    """Every acknowledged object is there, whole; whatever else is there is whole, too."""
    seen, size = {}, 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="b", Prefix=prefix):
        for entry in page.get("Contents", []):
            body = client.get_object(Bucket="b", Key=entry["Key"])["Body"].read()
            assert len(body) == entry["Size"]
            seen[entry["Key"]], size = hashlib.md5(body).digest(), size + len(body)
    tried = {key: digests for uploader in uploaders for key, digests in uploader.tried.items()}
    for key, digest in seen.items():
        assert digest in tried.get(key, []), f"{key} is nothing that was uploaded"
    whole = 0
    for uploader in uploaders:
        for key, last in uploader.acknowledged.items():
            assert key in seen, f"{key} was acknowledged and is gone"
            assert seen[key] in uploader.tried[key][last:], f"{key} is older than what was acknowledged"
            whole += 1
    return whole, size


def clean_up(service):
    """Uploads that nobody will complete are aborted; then no byte is there but the objects', and without them none at all."""
    client = service.client()
    uploads = [one for page in client.get_paginator("list_multipart_uploads").paginate(Bucket="b") for one in page.get("Uploads", [])]
    for upload in uploads:
        client.abort_multipart_upload(Bucket="b", Key=upload["Key"], UploadId=upload["UploadId"])
    objects = [one for page in client.get_paginator("list_objects_v2").paginate(Bucket="b") for one in page.get("Contents", [])]
    wanted = sum(one["Size"] for one in objects if one["Size"] > SMALL)
    before = sum(service.blobs().values())
    forget(service)
    assert until(90, lambda: sum(service.blobs().values()) == wanted), f"{sum(service.blobs().values()) - wanted} bytes are nobody's"
    print(f"{len(uploads)} uploads aborted, {before - wanted} bytes of nobody's removed, {wanted} bytes of {len(objects)} objects are left")
    for at in range(0, len(objects), 1000):
        batch = [{"Key": one["Key"]} for one in objects[at : at + 1000]]
        assert not client.delete_objects(Bucket="b", Delete={"Objects": batch, "Quiet": True}).get("Errors")
    assert until(20, lambda: not service.blobs()), service.blobs()
    client.delete_bucket(Bucket="b")
