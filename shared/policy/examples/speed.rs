//! How many requests a second are judged: `cargo run --release -p fractus-policy --example speed`.

use fractus_clock::Stopwatch;
use fractus_policy::{Attached, Context, Policies, Policy, Principal, Request, ResourcePolicy};

const IDENTITY: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"]},
    {"Effect": "Allow", "Action": "sqs:*", "Resource": "arn:aws:sqs:*:111111111111:${aws:username}-*",
     "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "Bool": {"aws:SecureTransport": "false"}}},
    {"Effect": "Deny", "NotAction": "sqs:*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}}]}"#;
const RESOURCE: &str = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*",
    "Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::111111111111:user/*"}}}}"#;

fn main() -> Result<(), fractus_policy::MalformedPolicy> {
    let (identity, resource) = (Policy::parse(IDENTITY)?, Policy::parse(RESOURCE)?);
    let identity = [Attached::new("identity", &identity)];
    let resource = ResourcePolicy::Policy(Attached::new("resource", &resource));
    let policies = Policies { identity: &identity, boundary: Some(identity[0]), resource, ..Policies::default() };
    let principal = Principal::user("arn:aws:iam::111111111111:user/ann", "111111111111");
    let mut context = Context::new()
        .with("aws:SourceIp", "10.1.2.3")
        .with("aws:SecureTransport", "false")
        .with("aws:RequestedRegion", "eu-west-1");
    principal.describe(&mut context);
    let request = Request {
        principal: &principal,
        action: "sqs:SendMessage",
        resource: "arn:aws:sqs:eu-west-1:111111111111:ann-q",
        resource_account: Some("111111111111"),
        context: &context,
    };
    let watch = Stopwatch::start();
    let rounds = 1_000_000;
    let allowed = (0..rounds).filter(|_| policies.evaluate(std::hint::black_box(&request)).is_allowed()).count();
    let each = watch.elapsed() / rounds;
    #[allow(clippy::print_stdout)] // the program's whole purpose
    {
        println!("{allowed} of {rounds} allowed, {each:?} each");
    }
    Ok(())
}
