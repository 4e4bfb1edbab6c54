"""An object of 5 GiB: uploaded in parts of 64 MiB, several at once, and downloaded whole and by ranges; one of 10,000 parts; one that is
more than a copy may have."""

import hashlib
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

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


def test_ten_thousand_parts_become_one_object(s3):
    client = s3(min_part_bytes=1).client()
    client.create_bucket(Bucket="many")
    upload = {"Bucket": "many", "Key": "object"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    numbers = range(1, 10_001)

    def send(number):
        return {"PartNumber": number, "ETag": client.upload_part(**upload, PartNumber=number, Body=b"%05d" % number)["ETag"]}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = list(pool.map(send, numbers))
    begun = time.perf_counter()
    done = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    print(f"\n10,000 parts completed in {time.perf_counter() - begun:.3f} s")
    assert done["ETag"].endswith('-10000"')
    assert client.get_object(Bucket="many", Key="object")["Body"].read() == b"".join(b"%05d" % number for number in numbers)
    last = client.get_object(Bucket="many", Key="object", PartNumber=10_000)
    assert (last["PartsCount"], last["Body"].read()) == (10_000, b"10000")


def test_a_copy_has_five_gibibytes_at_most(s3):
    """The object is made of copies of one part, which take no room of their own."""
    client = s3().client()
    client.create_bucket(Bucket="large")
    client.put_object(Bucket="large", Key="part", Body=part(1))
    upload = {"Bucket": "large", "Key": "object"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]

    def send(number):
        copied = client.upload_part_copy(**upload, PartNumber=number, CopySource="large/part")
        return {"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]}

    count = (5 << 30) // PART + 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = list(pool.map(send, range(1, count + 1)))
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert client.head_object(Bucket="large", Key="object")["ContentLength"] == count * PART
    with pytest.raises(ClientError) as failure:
        client.copy_object(Bucket="large", Key="copy", CopySource="large/object")
    error = failure.value.response["Error"]
    assert error["Code"] == "InvalidRequest"
    assert error["Message"] == "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
