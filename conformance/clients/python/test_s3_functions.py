"""Functions that S3 calls, where Lambda points elsewhere: here, to a server of the test's own that runs Python."""

import http.server
import json
import threading
import urllib.parse
import urllib.request

import pytest
from stack import client, unique, wait_for

ACCOUNT = "000000000000"
REGION = "us-east-1"
pytestmark = pytest.mark.usefixtures("hosts")


class Functions:
    """Lambda's Invoke, and no more of it: functions by their names."""

    def __init__(self):
        functions = self
        self.named = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                arn = urllib.parse.unquote(self.path.split("/")[3])
                function = functions.named.get(arn.split(":")[6])
                if function is None:
                    self.send_response(404)
                    self.send_header("x-amzn-errortype", "ResourceNotFoundException")
                    answer = json.dumps({"Message": f"Function not found: {arn}"}).encode()
                else:
                    answer = json.dumps(function(event)).encode()
                    self.send_response(202 if self.headers["x-amz-invocation-type"] == "Event" else 200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def arn(self, name, function):
        self.named[name] = function
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


@pytest.fixture
def functions():
    made = Functions()
    yield made
    made.server.shutdown()


def clients(stack):
    """Routes and accounts stand before the host's name."""
    at = stack.url.replace("127.0.0.1", "localhost")
    return client("s3", at=at), client("s3control", at=at)


def test_a_function_of_python_stands_before_an_object(own_stack, functions):
    here = own_stack("--target", f"lambda={functions.url}", services=("s3",))
    s3, control = clients(here)
    bucket = unique("b")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"in small letters")

    def upper(event):
        context = event["getObjectContext"]
        with urllib.request.urlopen(context["inputS3Url"], timeout=20) as original:
            body = original.read().upper()
        s3.write_get_object_response(RequestRoute=context["outputRoute"], RequestToken=context["outputToken"], Body=body, ContentType="text/upper")
        return {"statusCode": 200}

    control.create_access_point(AccountId=ACCOUNT, Name="behind", Bucket=bucket)
    made = control.create_access_point_for_object_lambda(
        AccountId=ACCOUNT,
        Name="before",
        Configuration={
            "SupportingAccessPoint": f"arn:aws:s3:{REGION}:{ACCOUNT}:accesspoint/behind",
            "TransformationConfigurations": [
                {"Actions": ["GetObject"], "ContentTransformation": {"AwsLambda": {"FunctionArn": functions.arn("upper", upper)}}}
            ],
        },
    )
    answer = s3.get_object(Bucket=made["Alias"]["Value"], Key="k")
    assert answer["Body"].read() == b"IN SMALL LETTERS" and answer["ContentType"] == "text/upper"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"in small letters"


def test_functions_are_told_of_uploads_and_do_the_tasks_of_jobs(own_stack, functions):
    here = own_stack("--target", f"lambda={functions.url}", services=("s3",))
    s3, control = clients(here)
    bucket, told = unique("b"), []
    s3.create_bucket(Bucket=bucket)
    configuration = {"LambdaFunctionArn": functions.arn("told", lambda event: told.append(event)), "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [configuration]})
    keys = {f"k{number}" for number in range(20)}
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    wait_for(lambda: {event["Records"][0]["s3"]["object"]["key"] for event in list(told)} >= keys)

    def work(event):
        [task] = event["tasks"]
        s3.put_object_tagging(Bucket=task["s3Bucket"], Key=task["s3Key"], Tagging={"TagSet": [{"Key": "by", "Value": "a function"}]})
        result = {"taskId": task["taskId"], "resultCode": "Succeeded", "resultString": "tagged"}
        return {"invocationSchemaVersion": "2.0", "treatMissingKeysAs": "PermanentFailure", "invocationId": event["invocationId"], "results": [result]}

    job = control.create_job(
        AccountId=ACCOUNT,
        ConfirmationRequired=False,
        ClientRequestToken=unique("token"),
        Priority=1,
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/batch",
        Operation={"LambdaInvoke": {"FunctionArn": functions.arn("work", work), "InvocationSchemaVersion": "2.0"}},
        Report={"Enabled": False},
        ManifestGenerator={
            "S3JobManifestGenerator": {"SourceBucket": f"arn:aws:s3:::{bucket}", "EnableManifestOutput": False, "Filter": {"KeyNameConstraint": {"MatchAnyPrefix": ["k1"]}}}
        },
    )["JobId"]
    wait_for(lambda: control.describe_job(AccountId=ACCOUNT, JobId=job)["Job"]["Status"] == "Complete")
    tagged = {key for key in keys if s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}
    assert tagged == {key for key in keys if key.startswith("k1")}
