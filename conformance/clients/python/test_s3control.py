"""S3 Control by boto3, as it comes: accounts in hosts, access points by ARN and alias, jobs, grants."""

import io
import json
import ssl
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

import stack

ACCOUNT = "000000000000"
pytestmark = pytest.mark.usefixtures("hosts")


@pytest.fixture
def control():
    return stack.client("s3control")


@pytest.fixture
def point(control, bucket):
    """A fresh access point: its name, ARN and alias."""
    name = stack.unique("ap")
    made = control.create_access_point(AccountId=ACCOUNT, Name=name, Bucket=bucket)
    yield name, made["AccessPointArn"], made["Alias"]
    control.delete_access_point(AccountId=ACCOUNT, Name=name)


def code_of(raised):
    return raised.value.response["Error"]["Code"]


def test_an_access_point_by_arn_and_by_alias(control, s3, bucket, point):
    name, arn, alias = point
    found = control.get_access_point(AccountId=ACCOUNT, Name=name)
    assert (found["Bucket"], found["NetworkOrigin"], found["Alias"]) == (bucket, "Internet", alias)
    s3.put_object(Bucket=arn, Key="a b/c", Body=b"through")
    assert s3.get_object(Bucket=bucket, Key="a b/c")["Body"].read() == b"through"
    assert s3.get_object(Bucket=alias, Key="a b/c")["Body"].read() == b"through"
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": arn, "Key": "a b/c"})
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=arn)["Contents"]] == ["a b/c", "copy"]
    with pytest.raises(ClientError) as raised:
        s3.put_bucket_versioning(Bucket=alias, VersioningConfiguration={"Status": "Enabled"})
    assert code_of(raised) == "MethodNotAllowed"


def test_policies_and_pages(control, bucket, point):
    name, arn, _ = point
    with pytest.raises(ClientError) as raised:
        control.get_access_point_policy(AccountId=ACCOUNT, Name=name)
    assert code_of(raised) == "NoSuchAccessPointPolicy"
    statement = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:GetObject", "Resource": f"{arn}/object/*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    control.put_access_point_policy(AccountId=ACCOUNT, Name=name, Policy=json.dumps(policy))
    assert json.loads(control.get_access_point_policy(AccountId=ACCOUNT, Name=name)["Policy"]) == policy
    listed = control.list_access_points(AccountId=ACCOUNT, Bucket=bucket)["AccessPointList"]
    assert [one["Name"] for one in listed] == [name]


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    """boto3 reaches Outposts by HTTPS, whatever its endpoint says: it trusts the stack's authority."""
    try:
        with urllib.request.urlopen(stack.endpoint() + "/_fractus/ca.pem", timeout=30) as answer:
            (tmp_path / "ca.pem").write_bytes(answer.read())
    except urllib.error.HTTPError:
        pytest.skip("the endpoint has no authority of its own")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    return ssl.create_default_context(cafile=tmp_path / "ca.pem")


def test_a_bucket_on_an_outpost(control, trusted):
    outpost, name = "op-01ac5d28a6a232904", stack.unique("b")
    arn = control.create_bucket(Bucket=name, OutpostId=outpost)["BucketArn"]
    vpc = {"VpcId": "vpc-1a2b3c4d"}
    made = control.create_access_point(AccountId=ACCOUNT, Name=name, Bucket=arn, VpcConfiguration=vpc)
    point, alias = made["AccessPointArn"], made["Alias"]
    assert control.get_access_point(AccountId=ACCOUNT, Name=point)["Bucket"] == name
    assert [one["Name"] for one in control.list_access_points(AccountId=ACCOUNT, Bucket=arn)["AccessPointList"]] == [name]
    listed = control.list_regional_buckets(AccountId=ACCOUNT, OutpostId=outpost)["RegionalBucketList"]
    assert arn in [one["BucketArn"] for one in listed]
    control.put_bucket_tagging(AccountId=ACCOUNT, Bucket=arn, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert control.get_bucket_tagging(AccountId=ACCOUNT, Bucket=arn)["TagSet"] == [{"Key": "a", "Value": "b"}]

    objects = stack.client("s3")
    objects.put_object(Bucket=point, Key="a b/c+d", Body=b"through")
    read = objects.get_object(Bucket=alias, Key="a b/c+d")
    assert (read["Body"].read(), read["StorageClass"]) == (b"through", "OUTPOSTS")
    objects.copy_object(Bucket=point, Key="copy", CopySource={"Bucket": point, "Key": "a b/c+d"})
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    objects.upload_fileobj(io.BytesIO(b"x" * (6 << 20)), point, "large", Config=parts)
    assert objects.head_object(Bucket=alias, Key="large")["ETag"].endswith('-2"')
    assert [one["Key"] for one in objects.list_objects_v2(Bucket=point)["Contents"]] == ["a b/c+d", "copy", "large"]
    url = objects.generate_presigned_url("get_object", Params={"Bucket": point, "Key": "copy"})
    assert urllib.request.urlopen(url, context=trusted).read() == b"through"
    with pytest.raises(ClientError) as raised:
        objects.get_object_acl(Bucket=point, Key="copy")
    assert code_of(raised) == "UnsupportedOperation"
    with pytest.raises(ClientError) as raised:
        control.delete_bucket(AccountId=ACCOUNT, Bucket=arn)
    assert code_of(raised) == "BucketNotEmpty"
    gone = {"Objects": [{"Key": key} for key in ["a b/c+d", "copy", "large"]]}
    assert len(objects.delete_objects(Bucket=point, Delete=gone)["Deleted"]) == 3
    control.delete_access_point(AccountId=ACCOUNT, Name=point)
    control.delete_bucket(AccountId=ACCOUNT, Bucket=arn)
    with pytest.raises(ClientError) as raised:
        control.get_bucket(AccountId=ACCOUNT, Bucket=arn)
    assert code_of(raised) == "NoSuchBucket"


def test_another_account_is_refused(control):
    with pytest.raises(ClientError) as raised:
        control.list_access_points(AccountId="111122223333")
    assert code_of(raised) == "AccessDenied"
    with pytest.raises(ClientError) as raised:
        control.get_access_point(AccountId=ACCOUNT, Name="there-is-none")
    assert code_of(raised) == "NoSuchAccessPoint"


def test_a_job_copies_and_reports(control, s3, bucket):
    keys = [f"k {number}" for number in range(20)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    lines = "".join(f"{bucket},{key.replace(' ', '+')}\n" for key in keys)
    etag = s3.put_object(Bucket=bucket, Key="list.csv", Body=lines)["ETag"]
    job = control.create_job(
        AccountId=ACCOUNT,
        ConfirmationRequired=False,
        Operation={"S3PutObjectCopy": {"TargetResource": f"arn:aws:s3:::{bucket}", "TargetKeyPrefix": "copies"}},
        Report={"Bucket": f"arn:aws:s3:::{bucket}", "Format": "Report_CSV_20180820", "Enabled": True, "Prefix": "reports", "ReportScope": "AllTasks"},
        Manifest={
            "Spec": {"Format": "S3BatchOperations_CSV_20180820", "Fields": ["Bucket", "Key"]},
            "Location": {"ObjectArn": f"arn:aws:s3:::{bucket}/list.csv", "ETag": etag},
        },
        Priority=1,
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/batch",
    )["JobId"]

    def done():
        found = control.describe_job(AccountId=ACCOUNT, JobId=job)["Job"]
        return found if found["Status"] in ("Complete", "Failed") else None

    found = stack.wait_for(done)
    assert found["Status"] == "Complete", found.get("FailureReasons")
    assert found["ProgressSummary"]["NumberOfTasksSucceeded"] == len(keys)
    for key in keys:
        assert s3.get_object(Bucket=bucket, Key=f"copies/{key}")["Body"].read() == key.encode()
    report = json.loads(s3.get_object(Bucket=bucket, Key=f"reports/job-{job}/manifest.json")["Body"].read())
    rows = s3.get_object(Bucket=bucket, Key=report["Results"][0]["Key"])["Body"].read().decode().splitlines()
    assert rows[0] == f"{bucket},k+0,,succeeded,200,,Successful" and len(rows) == len(keys)


def test_grants_give_keys(control, s3, bucket):
    try:
        control.create_access_grants_instance(AccountId=ACCOUNT)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessGrantsInstanceAlreadyExists"
    location = control.create_access_grants_location(
        AccountId=ACCOUNT, LocationScope=f"s3://{bucket}", IAMRoleArn=f"arn:aws:iam::{ACCOUNT}:role/location"
    )["AccessGrantsLocationId"]
    grant = control.create_access_grant(
        AccountId=ACCOUNT,
        AccessGrantsLocationId=location,
        AccessGrantsLocationConfiguration={"S3SubPrefix": "in/*"},
        Grantee={"GranteeType": "IAM", "GranteeIdentifier": f"arn:aws:iam::{ACCOUNT}:root"},
        Permission="READ",
    )
    assert grant["GrantScope"] == f"s3://{bucket}/in/*"
    given = control.get_data_access(AccountId=ACCOUNT, Target=f"s3://{bucket}/in/*", Permission="READ", DurationSeconds=900)
    keys = given["Credentials"]
    assert keys["Expiration"].timestamp() > time.time()
    s3.put_object(Bucket=bucket, Key="in/key", Body=b"inside")
    reader = stack.client(
        "s3",
        keys={
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        },
    )
    assert reader.get_object(Bucket=bucket, Key="in/key")["Body"].read() == b"inside"
    control.delete_access_grant(AccountId=ACCOUNT, AccessGrantId=grant["AccessGrantId"])
    control.delete_access_grants_location(AccountId=ACCOUNT, AccessGrantsLocationId=location)


def test_the_account_s_block(control):
    control.put_public_access_block(AccountId=ACCOUNT, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    block = control.get_public_access_block(AccountId=ACCOUNT)["PublicAccessBlockConfiguration"]
    assert block == {"BlockPublicAcls": False, "IgnorePublicAcls": False, "BlockPublicPolicy": True, "RestrictPublicBuckets": False}
    control.delete_public_access_block(AccountId=ACCOUNT)
    with pytest.raises(ClientError) as raised:
        control.get_public_access_block(AccountId=ACCOUNT)
    assert code_of(raised) == "NoSuchPublicAccessBlockConfiguration"


def test_an_object_lambda_access_point_leads_to_its_bucket(control, bucket, point):
    name, own = stack.unique("ol"), {"AccountId": ACCOUNT}
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"

    def configuration(action):
        lambda_ = {"AwsLambda": {"FunctionArn": function}}
        return {
            "SupportingAccessPoint": point[1],
            "TransformationConfigurations": [{"Actions": [action], "ContentTransformation": lambda_}],
        }

    made = control.create_access_point_for_object_lambda(**own, Name=name, Configuration=configuration("HeadObject"))
    arn, alias = made["ObjectLambdaAccessPointArn"], made["Alias"]["Value"]
    s3 = stack.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"as it is")
    # By its ARN boto3 asks the host `name-account.`, signed for Object Lambda.
    for place in (arn, alias):
        assert s3.get_object(Bucket=place, Key="k")["Body"].read() == b"as it is"
    control.put_access_point_configuration_for_object_lambda(**own, Name=name, Configuration=configuration("GetObject"))
    with pytest.raises(ClientError) as raised:
        s3.get_object(Bucket=arn, Key="k")
    assert code_of(raised) == "LambdaInvocationFailed"
    control.delete_access_point_for_object_lambda(**own, Name=name)
    with pytest.raises(ClientError) as raised:
        s3.get_object(Bucket=arn, Key="k")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_a_multi_region_access_point_is_signed_for_every_region(control, s3, bucket):
    """botocore sends such ARNs to AWS's global host alone, signed by its CRT: the request goes here under that host's name."""
    name, own = stack.unique("mrap"), {"AccountId": ACCOUNT}
    s3.put_object(Bucket=bucket, Key="k", Body=b"wherever it is")
    control.create_multi_region_access_point(
        **own, ClientToken=name, Details={"Name": name, "Regions": [{"Bucket": bucket}]}
    )

    def ready():
        point = control.get_multi_region_access_point(**own, Name=name)["AccessPoint"]
        return point if point["Status"] == "READY" else None

    alias = stack.wait_for(ready, seconds=40, pause=0.5)["Alias"]
    sent = []

    def here(request, **_):
        asked = urlsplit(request.url)
        sent.append((asked.netloc, dict(request.headers)))
        request.headers["Host"] = asked.netloc
        query = f"?{asked.query}" if asked.query else ""
        request.url = f"{stack.endpoint()}{asked.path}{query}"

    reader = stack.client("s3")
    reader.meta.events.register("before-send.s3", here)
    arn = f"arn:aws:s3::{ACCOUNT}:accesspoint/{alias}"
    assert reader.get_object(Bucket=arn, Key="k")["Body"].read() == b"wherever it is"
    host, headers = sent[0]
    assert host == f"{alias}.accesspoint.s3-global.amazonaws.com"
    text = {key.lower(): value.decode() if isinstance(value, bytes) else value for key, value in headers.items()}
    assert text["authorization"].startswith("AWS4-ECDSA-P256-SHA256 ")
    assert text["x-amz-region-set"] == "*"
    control.delete_multi_region_access_point(**own, ClientToken=stack.unique("t"), Details={"Name": name})
