"""Prints requests signed by botocore, one JSON object a line, for tests/botocore.rs to verify."""

import io
import json
import sys

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum

ACCESS_KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "FwoGZXIvYXdzE+/=="
S3 = "https://bucket.s3.eu-west-1.amazonaws.com"


def send(kind, request, body=b""):
    prepared = request.prepare()
    headers = [[name, value if isinstance(value, str) else value.decode()] for name, value in prepared.headers.items()]
    print(json.dumps({"kind": kind, "method": prepared.method, "url": prepared.url, "headers": headers,
                      "body": body.decode("latin-1")}))


def credentials(token):
    return Credentials(ACCESS_KEY, SECRET, TOKEN if token else None)


def main():
    for token in (False, True):
        for method, path, headers, body in [
            ("GET", "/key", {}, b""),
            ("GET", "/a%20b/%C3%BC/%28x%29//y/../z", {"range": "bytes=0-9"}, b""),
            ("GET", "/?list-type=2&prefix=a%2Fb%20c&delimiter=%2F", {}, b""),
            ("PUT", "/k%2B1", {"x-amz-meta-a": "  some   text ", "content-type": "text/plain"}, b"hello"),
            ("POST", "/k?uploads", {}, b""),
        ]:
            request = AWSRequest(method, S3 + path, headers, body)
            auth.S3SigV4Auth(credentials(token), "s3", "eu-west-1").add_auth(request)
            send("header", request, body)
            request = AWSRequest(method, S3 + path, headers)
            auth.S3SigV4QueryAuth(credentials(token), "s3", "eu-west-1", 600).add_auth(request)
            send("presigned", request, body)
            for signer in (auth.HmacV1Auth, auth.HmacV1QueryAuth):
                request = AWSRequest(method, S3 + path, dict(headers), body, auth_path="/bucket" + path.split("?")[0])
                signer(credentials(token)).add_auth(request)
                send("v2", request, body)
        request = AWSRequest("PUT", S3 + "/stream", {"x-amz-trailer": "x-amz-checksum-crc32"}, b"")
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
        auth.S3SigV4Auth(credentials(token), "s3", "eu-west-1").add_auth(request)
        send("streaming", request)
        for service, path, body in [
            ("sqs", "/", b'{"QueueName": "q"}'),
            ("lambda", "/2015-03-31/functions/arn%3Aaws%3Alambda/invocations?Qualifier=%24LATEST", b"{}"),
            ("execute-api", "/stage//a/./b/../c%20d?x=1&x=0&y", b""),
        ]:
            url = f"https://{service}.eu-west-1.amazonaws.com{path}"
            request = AWSRequest("POST", url, {"content-type": "application/x-amz-json-1.0"}, body)
            auth.SigV4Auth(credentials(token), service, "eu-west-1").add_auth(request)
            send("header", request, body)
        request = AWSRequest("GET", "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15")
        auth.SigV4QueryAuth(credentials(token), "sts", "eu-west-1", 60).add_auth(request)
        send("presigned", request)
        for signer in (auth.S3SigV4PostAuth(credentials(token), "s3", "eu-west-1"), auth.HmacV1PostAuth(credentials(token))):
            request = AWSRequest("POST", S3)
            request.context["s3-presign-post-fields"] = {"key": "uploads/a", "acl": "private"}
            conditions = [{"bucket": "bucket"}, ["starts-with", "$key", "uploads/"], {"acl": "private"},
                          ["content-length-range", 1, 10]]
            request.context["s3-presign-post-policy"] = {"expiration": "2099-01-01T00:00:00Z", "conditions": conditions}
            signer.add_auth(request)
            fields = [[name, value] for name, value in request.context["s3-presign-post-fields"].items()]
            print(json.dumps({"kind": "post", "fields": fields}))
    for size in (0, 1, 100_000):
        data = bytes(index % 251 for index in range(size))
        wrapper = AwsChunkedWrapper(io.BytesIO(data), Crc32Checksum, "x-amz-checksum-crc32", chunk_size=16 * 1024)
        print(json.dumps({"kind": "chunked", "size": size, "body": wrapper.read().decode("latin-1")}))


sys.exit(main())
