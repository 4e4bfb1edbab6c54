"""An object of 5 GiB: uploaded in parts of 64 MiB, several at once, and downloaded whole and by ranges."""

import hashlib
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

PART = 64 << 20
BYTES = int(os.environ.get("STRAIN_BYTES", 5 << 30))
PARTS = max(2, BYTES // PART)
AT_ONCE = 6
MOST_MIB = 100


def part(number):
    """Bytes that no other part has, and that are not the same at any two places a MiB apart."""
    block = random.Random(number).randbytes(1 << 20)
    return b"".join(block[at:] + block[:at] for at in range(PART >> 20))


def test_a_large_object_there_and_back_in_little_memory(s3):
    service = s3()
    client = service.client()
    client.create_bucket(Bucket="large")
    upload = {"Bucket": "large", "Key": "object"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]

    def send(number):
        body = part(number)
        digest = hashlib.md5(body)
        answer = client.upload_part(**upload, PartNumber=number, Body=body)
        assert answer["ETag"] == f'"{digest.hexdigest()}"'
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]}, digest.digest()

    begun = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = list(pool.map(send, range(1, PARTS + 1)))
    uploaded = time.perf_counter()
    done = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [one for one, _ in sent]})
    completed = time.perf_counter()
    assert done["ETag"] == f'"{hashlib.md5(b"".join(digest for _, digest in sent)).hexdigest()}-{PARTS}"'
    peak = service.peak_mib()
    print(f"\n{PARTS * PART / 2**30:.1f} GiB up in {uploaded - begun:.1f} s, completed in {completed - uploaded:.3f} s; at most {peak:.1f} MiB resident")
    assert peak < MOST_MIB

    digests = {number: digest for number, (_, digest) in enumerate(sent, 1)}
    whole = client.get_object(Bucket="large", Key="object")
    assert whole["ContentLength"] == PARTS * PART
    for number in range(1, PARTS + 1):
        assert hashlib.md5(whole["Body"].read(PART)).digest() == digests[number], f"part {number} of the whole"
    assert whole["Body"].read(1) == b""
    downloaded = time.perf_counter()

    def fetch(number):
        # From the middle of one part into the next one.
        start = (number - 1) * PART + PART // 2
        body = client.get_object(Bucket="large", Key="object", Range=f"bytes={start}-{start + PART - 1}")["Body"].read()
        return body[: PART // 2] == part(number)[PART // 2 :] and body[PART // 2 :] == part(number + 1)[: PART // 2]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert all(pool.map(fetch, range(1, PARTS)))
    ranges = time.perf_counter()
    peak = service.peak_mib()
    print(f"down in {downloaded - completed:.1f} s, by ranges in {ranges - downloaded:.1f} s; at most {peak:.1f} MiB resident")
    assert peak < MOST_MIB
