//! One line per case: a request's head, and the service that it is for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails by panicking, as the test does")]

use fractus_handoff::{Depth, RouteFacts};
use fractus_router::route::{Routing, is_bearer, read_form, route, route_form};

/// A head as text: `METHOD target`, then headers, one a line.
fn route_head(head: &str) -> Routing {
    let mut lines = head.lines().map(str::trim).filter(|line| !line.is_empty());
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let value_of = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_bytes());
    let named = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let facts = RouteFacts::of(method, None, target, named);
    let preflight = method == "OPTIONS" && value_of("access-control-request-method").is_some();
    route(&facts, preflight, is_bearer(value_of("authorization")))
}

fn check(head: &str, service: &str) {
    match route_head(head) {
        Routing::Service(found, _) => assert_eq!(found, service, "{head}"),
        other => panic!("{other:?} instead of {service}: {head}"),
    }
}

fn signed(scope: &str) -> String {
    format!(
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{scope}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

#[test]
fn the_scope_of_a_signature_decides_whatever_host_and_path_say() {
    for (scope, service) in [
        ("sqs", "sqs"),
        ("sns", "sns"),
        ("s3", "s3"),
        ("s3express", "s3"),
        ("s3-object-lambda", "s3"),
        ("s3tables", "s3"),
        ("dynamodb", "dynamodb"),
        ("states", "stepfunctions"),
        ("monitoring", "cloudwatch"),
        ("email", "ses"),
        ("ses", "ses"),
        ("elasticloadbalancing", "elbv2"),
        ("events", "events"),
        ("scheduler", "scheduler"),
        ("lambda", "lambda"),
        ("iam", "iam"),
        ("sts", "sts"),
        ("ssm", "ssm"),
        ("secretsmanager", "secretsmanager"),
        ("logs", "logs"),
        ("kms", "kms"),
        ("cloudformation", "cloudformation"),
        ("cognito-idp", "cognito-idp"),
        ("cognito-identity", "cognito-identity"),
        ("kinesis", "kinesis"),
        ("rds", "rds"),
        ("rds-data", "rds"),
        ("elasticache", "elasticache"),
        ("ecr", "ecr"),
        ("ecs", "ecs"),
        ("cloudfront", "cloudfront"),
        ("cloudfront-keyvaluestore", "cloudfront"),
        ("route53", "route53"),
        ("wafv2", "wafv2"),
        ("application-autoscaling", "application-autoscaling"),
        ("athena", "athena"),
        ("acm", "acm"),
        ("firehose", "firehose"),
        ("glue", "glue"),
        ("bedrock", "bedrock"),
        ("ec2", "ec2"),
    ] {
        check(&format!("POST /\nHost: localhost:4566\n{}", signed(scope)), service);
    }
    check(&format!("GET /b/k\nHost: b.s3.localhost:4566\n{}", signed("sqs")), "sqs");
    check("GET /b/k?X-Amz-Credential=test%2F20260101%2Fus-east-1%2Fs3%2Faws4_request\nHost: localhost:4566", "s3");
    check(
        "GET /?Action=GetCallerIdentity&X-Amz-Credential=t%2F20260101%2Fus-east-1%2Fsts%2Faws4_request\nHost: localhost",
        "sts",
    );
}

#[test]
fn a_scope_that_several_share_is_decided_by_host_or_path() {
    for (head, service) in [
        ("GET /foundation-models\nHost: localhost", "bedrock"),
        ("POST /model/amazon.nova/invoke\nHost: localhost", "bedrock-runtime"),
        ("POST /model/arn%3Aaws%3Abedrock/converse-stream\nHost: localhost", "bedrock-runtime"),
        ("PUT /agents/\nHost: localhost", "bedrock-agent"),
        ("POST /knowledgebases/KB/retrieve\nHost: localhost", "bedrock-agent-runtime"),
        ("GET /anything\nHost: bedrock-runtime.us-east-1.amazonaws.com", "bedrock-runtime"),
        ("GET /anything\nHost: bedrock-agent.us-east-1.localhost:4566", "bedrock-agent"),
    ] {
        check(&format!("{head}\n{}", signed("bedrock")), service);
    }
    for (head, service) in [
        ("GET /restapis\nHost: localhost", "apigateway"),
        ("GET /v2/apis\nHost: localhost", "apigatewayv2"),
        ("GET /tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Fa\nHost: localhost", "apigateway"),
        ("GET /tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapis%2Fa\nHost: localhost", "apigatewayv2"),
    ] {
        check(&format!("{head}\n{}", signed("apigateway")), service);
    }
    check(&format!("POST /prod/@connections/abc\nHost: localhost\n{}", signed("execute-api")), "apigatewayv2");
}

#[test]
fn a_target_decides_without_a_signature() {
    for (target, service) in [
        ("AmazonSQS.SendMessage", "sqs"),
        ("DynamoDB_20120810.PutItem", "dynamodb"),
        ("DynamoDBStreams_20120810.GetRecords", "dynamodb"),
        ("AWSStepFunctions.StartExecution", "stepfunctions"),
        ("AWSCognitoIdentityProviderService.InitiateAuth", "cognito-idp"),
        ("AWSCognitoIdentityService.GetId", "cognito-identity"),
        ("Logs_20140328.PutLogEvents", "logs"),
        ("GraniteServiceVersion20100801.PutMetricData", "cloudwatch"),
        ("TrentService.Encrypt", "kms"),
        ("AWSWAF_20190729.ListWebACLs", "wafv2"),
        ("secretsmanager.GetSecretValue", "secretsmanager"),
    ] {
        check(&format!("POST /\nHost: localhost:4566\nX-Amz-Target: {target}"), service);
    }
    check(
        "POST /service/GraniteServiceVersion20100801/operation/PutMetricData\nHost: localhost\nsmithy-protocol: rpc-v2-cbor",
        "cloudwatch",
    );
}

#[test]
fn query_requests_are_known_by_version_and_action() {
    check("GET /?Action=AssumeRoleWithWebIdentity&Version=2011-06-15\nHost: localhost:4566", "sts");
    check("GET /000000000000/q?Action=ReceiveMessage&Version=2012-11-05\nHost: localhost:4566", "sqs");
    check("GET /?Action=ReceiveMessage\nHost: localhost:4566", "sqs");
    let form = "POST /\nHost: localhost:4566\nContent-Type: application/x-www-form-urlencoded; charset=utf-8";
    assert_eq!(route_head(form), Routing::Form);
    for (body, service) in [
        ("Action=AssumeRoleWithSAML&Version=2011-06-15&RoleArn=x", "sts"),
        ("Version=2010-03-31&Action=Publish", "sns"),
        ("Action=ListUsers&Version=2010-05-08", "iam"),
        ("Action=CreateStack&Version=2010-05-15", "cloudformation"),
        ("Action=SendEmail&Version=2010-12-01", "ses"),
        ("Action=DescribeDBInstances&Version=2014-10-31", "rds"),
        ("Action=DescribeCacheClusters&Version=2015-02-02", "elasticache"),
        ("Action=DescribeLoadBalancers&Version=2015-12-01", "elbv2"),
        ("Action=PutMetricData&Version=2010-08-01", "cloudwatch"),
        ("Action=SendMessage", "sqs"),
        ("grant_type=client_credentials", "s3"),
    ] {
        let facts = RouteFacts::of("POST", Some("localhost"), "/", std::iter::empty());
        let routed = route_form(&facts, &read_form(body.as_bytes(), true));
        assert_eq!(routed, Routing::Service(service.into(), Depth::Once), "{body}");
    }
}

#[test]
fn hosts_name_services_in_every_style() {
    for (host, service) in [
        ("b.s3.localhost:4566", "s3"),
        ("b.s3.us-west-2.localhost:4566", "s3"),
        ("s3.localhost", "s3"),
        ("my.dotted.bucket.s3.localhost", "s3"),
        ("sqs.s3.localhost", "s3"),
        ("my-bucket.localhost:4566", "s3"),
        ("b.s3.amazonaws.com", "s3"),
        ("b.s3.eu-central-1.amazonaws.com", "s3"),
        ("b.s3-us-west-2.amazonaws.com", "s3"),
        ("b.s3-website-us-east-1.amazonaws.com", "s3"),
        ("b.s3-website.eu-central-1.localhost", "s3"),
        ("b.s3.dualstack.us-east-1.amazonaws.com", "s3"),
        ("B.S3.LOCALHOST", "s3"),
        ("000000000000.s3-control.us-east-1.localhost", "s3"),
        ("name-000000000000.s3-accesspoint.us-east-1.amazonaws.com", "s3"),
        ("abc.mrap.accesspoint.s3-global.amazonaws.com", "s3"),
        ("b.s3.localhost.localstack.cloud:4566", "s3"),
        ("sqs.us-east-1.localhost:4566", "sqs"),
        ("sqs.us-east-1.localhost.localstack.cloud:4566", "sqs"),
        ("sqs.cn-north-1.amazonaws.com.cn", "sqs"),
        ("us-east-1.queue.amazonaws.com", "sqs"),
        ("sqs-fips.us-east-1.amazonaws.com", "sqs"),
        ("queue.localhost.localstack.cloud", "sqs"),
        ("streams.dynamodb.us-east-1.amazonaws.com", "dynamodb"),
        ("dynamodb.localhost", "dynamodb"),
        ("sync-states.us-east-1.amazonaws.com", "stepfunctions"),
        ("stream-logs.us-east-1.localhost", "logs"),
        ("monitoring.us-east-1.amazonaws.com", "cloudwatch"),
        ("email.us-east-1.amazonaws.com", "ses"),
        ("abc123.execute-api.localhost:4566", "apigateway"),
        ("abc123.execute-api.us-east-1.amazonaws.com", "apigateway"),
        ("xyz.lambda-url.us-east-1.localhost.localstack.cloud", "lambda"),
        ("xyz.lambda-url.us-east-1.on.aws", "lambda"),
        ("d111111abcdef8.cloudfront.net", "cloudfront"),
        ("d111111abcdef8.cloudfront.localhost:4566", "cloudfront"),
        ("000000000000.dkr.ecr.us-east-1.localhost:4566", "ecr"),
        ("000000000000.dkr.ecr.us-east-1.amazonaws.com", "ecr"),
        ("api.ecr.us-east-1.amazonaws.com", "ecr"),
        ("my-domain.auth.us-east-1.amazoncognito.com", "cognito-idp"),
        ("cognito-idp.us-east-1.localhost", "cognito-idp"),
        ("lb-1.us-east-1.elb.amazonaws.com", "elbv2"),
        ("elasticloadbalancing.us-east-1.amazonaws.com", "elbv2"),
    ] {
        check(&format!("GET /some/path\nHost: {host}"), service);
    }
}

#[test]
fn paths_name_services_where_nothing_else_does() {
    for (request, service) in [
        ("POST /000000000000/my-queue", "sqs"),
        ("GET /queue/us-east-1/000000000000/my-queue", "sqs"),
        ("GET /_aws/sqs/messages?QueueUrl=x", "sqs"),
        ("GET /_aws/ses", "ses"),
        ("GET /_aws/execute-api/abc/prod/x", "apigateway"),
        ("GET /restapis/abc/prod/_user_request_/pets", "apigateway"),
        ("GET /v2/", "ecr"),
        ("GET /v2/my/image/manifests/latest", "ecr"),
        ("GET /us-east-1_AbCdEf/.well-known/jwks.json", "cognito-idp"),
        ("GET /oauth2/authorize?client_id=1", "cognito-idp"),
        ("POST /2015-03-31/functions/f/invocations", "lambda"),
        ("GET /2013-04-01/hostedzone", "route53"),
        ("GET /2020-05-31/distribution", "cloudfront"),
        ("GET /bucket/key", "s3"),
        ("GET /", "s3"),
        ("GET /model/x/invoke", "s3"),
        ("PUT /bucket/.well-known/x", "s3"),
        ("GET /000000000000", "s3"),
        ("GET /2015-03-31/anything/else", "s3"),
    ] {
        for host in
            ["localhost:4566", "127.0.0.1:4566", "[::1]:4566", "fractus:4566", "localhost.localstack.cloud:4566"]
        {
            check(&format!("{request}\nHost: {host}"), service);
        }
    }
    check("POST /model/x/invoke\nHost: localhost:4566\nAuthorization: Bearer bedrock-api-key-abc", "bedrock-runtime");
    check("GET /bucket/key\nHost: localhost:4566\nAuthorization: AWS AKID:c2lnbmF0dXJl", "s3");
}

#[test]
fn the_stacks_own_paths_are_the_routers() {
    for path in ["/_fractus/health", "/_localstack/health", "/_localstack/init/ready"] {
        assert_eq!(route_head(&format!("GET {path}\nHost: b.s3.localhost\n{}", signed("s3"))), Routing::Reserved);
    }
}

#[test]
fn a_preflight_at_the_shared_path_is_the_routers() {
    let asks = "Access-Control-Request-Method: POST\nOrigin: http://localhost:3000";
    assert_eq!(route_head(&format!("OPTIONS /\nHost: localhost:4566\n{asks}")), Routing::Preflight);
    check(&format!("OPTIONS /bucket/key\nHost: localhost:4566\n{asks}"), "s3");
    check(&format!("OPTIONS /\nHost: b.s3.localhost:4566\n{asks}"), "s3");
}

proptest::proptest! {
    #[test]
    fn every_head_has_a_way(method in "[A-Z]{1,7}", host in "[a-zA-Z0-9.:_\\[\\]-]{0,60}", target in "/[ -~]{0,80}", name in "authorization|x-amz-target|content-type", value in "[ -~]{0,120}") {
        let headers = [("host", host.as_bytes()), (name.as_str(), value.as_bytes())];
        let facts = RouteFacts::of(&method, None, &target, headers.into_iter());
        let _ = route(&facts, false, false);
    }
}
