//! The evaluation logic: within an account, between accounts, with every limiting layer; the explanations; and what
//! must hold whatever the policies are.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use fractus_policy::{
    Attached, Context, Layer, Outcome, Policies, Policy, Principal, Request, ResourcePolicy, StatementRef, Verdict,
};
use proptest::prelude::*;

const QUEUE: &str = "arn:aws:sqs:eu-west-1:111111111111:q";
const ANN: &str = "arn:aws:iam::111111111111:user/ann";
const ROLE: &str = "arn:aws:iam::111111111111:role/app";
const SESSION: &str = "arn:aws:sts::111111111111:assumed-role/app/run";

fn policy(statements: &str) -> Policy {
    Policy::parse(&format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#)).unwrap()
}

fn federated(by: &str) -> Principal {
    let (session, issuer) = ("arn:aws:sts::111111111111:federated-user/bob", format!("arn:aws:iam::111111111111:{by}"));
    Principal::federated_user(session, issuer, "111111111111")
}

fn ann() -> Principal {
    Principal::user(ANN, "111111111111").with_unique_id("AIDAEXAMPLEEXAMPLEANN")
}

fn session() -> Principal {
    Principal::role_session(SESSION, ROLE, "111111111111")
}

/// What bears on a request, as statements.
#[derive(Clone, Copy, Default)]
struct Setup<'a> {
    identity: Option<&'a str>,
    resource: Option<&'a str>,
    boundary: Option<&'a str>,
    session: Option<&'a str>,
    scp: Option<&'a str>,
    rcp: Option<&'a str>,
    endpoint: Option<&'a str>,
    required: bool,
}

const ALLOW: &str = r#"{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}"#;
const DENY: &str = r#"{"Effect": "Deny", "Action": "sqs:SendMessage", "Resource": "*"}"#;
const OTHER: &str = r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#;

fn grant(principal: &str) -> String {
    format!(r#"{{"Effect": "Allow", "Principal": {principal}, "Action": "sqs:SendMessage", "Resource": "{QUEUE}"}}"#)
}

fn outcome(setup: Setup<'_>, principal: &Principal, owner: &str) -> String {
    let compile = |statements: Option<&str>| statements.map(policy);
    let (identity, resource) = (compile(setup.identity), compile(setup.resource));
    let (boundary, session) = (compile(setup.boundary), compile(setup.session));
    let (scp, rcp, endpoint) = (compile(setup.scp), compile(setup.rcp), compile(setup.endpoint));
    fn attached(policy: &Option<Policy>) -> Vec<Attached<'_>> {
        policy.iter().map(|policy| Attached::new("p", policy)).collect()
    }
    let (identity, session, scp, rcp) = (attached(&identity), attached(&session), attached(&scp), attached(&rcp));
    let (scps, rcps) = ([scp.as_slice()], [rcp.as_slice()]);
    let resource = match attached(&resource).first() {
        Some(policy) if setup.required => ResourcePolicy::Trust(*policy),
        Some(policy) => ResourcePolicy::Policy(*policy),
        None => ResourcePolicy::None,
    };
    let policies = Policies {
        service_control: if scp.is_empty() { &[] } else { &scps },
        resource_control: if rcp.is_empty() { &[] } else { &rcps },
        vpc_endpoint: attached(&endpoint).first().copied(),
        identity: &identity,
        resource,
        boundary: attached(&boundary).first().copied(),
        session: (!session.is_empty()).then_some(&session),
    };
    let context = Context::new();
    let request = Request {
        principal,
        action: "sqs:SendMessage",
        resource: QUEUE,
        resource_account: Some(owner),
        context: &context,
    };
    let explanation = policies.explain(&request);
    assert_eq!(explanation.verdict, policies.evaluate(&request));
    match explanation.message {
        None => "allowed".into(),
        Some(message) => {
            let start = format!(
                "User: {} is not authorized to perform: sqs:SendMessage on resource: {QUEUE} ",
                principal.name()
            );
            message.strip_prefix(&start).unwrap_or(&message).to_owned()
        }
    }
}

fn no(kind: &str) -> String {
    format!("because no {kind} allows the sqs:SendMessage action")
}

#[test]
fn within_an_account() {
    let own = |setup, principal: &Principal| outcome(setup, principal, "111111111111");
    let to = |principal: &str| grant(principal);
    let everyone = to("\"*\"");
    let to_ann = to(&format!("{{\"AWS\": \"{ANN}\"}}"));
    let to_id = to("{\"AWS\": \"AIDAEXAMPLEEXAMPLEANN\"}");
    let to_account = to("{\"AWS\": \"111111111111\"}");
    let to_role = to(&format!("{{\"AWS\": [\"{ROLE}\"]}}"));
    let to_session = to(&format!("{{\"AWS\": \"{SESSION}\"}}"));
    let none = Setup::default();
    let root = Principal::root("arn:aws:iam::111111111111:root", "111111111111");
    let with = |resource| Setup { resource: Some(resource), ..none };
    let rows: Vec<(Setup<'_>, Principal, String)> = vec![
        (none, ann(), no("identity-based policy")),
        (none, root.clone(), "allowed".into()),
        (Setup { identity: Some(ALLOW), ..none }, ann(), "allowed".into()),
        (Setup { identity: Some(OTHER), ..none }, ann(), no("identity-based policy")),
        (with(&everyone), ann(), "allowed".into()),
        (with(&to_ann), ann(), "allowed".into()),
        (with(&to_id), ann(), "allowed".into()),
        (with(&to_ann), session(), no("identity-based policy")),
        // The account is named: it decides by its own policies.
        (with(&to_account), ann(), no("identity-based policy")),
        (Setup { identity: Some(ALLOW), ..with(&to_account) }, ann(), "allowed".into()),
        (with(&to_role), session(), "allowed".into()),
        (with(&to_session), session(), "allowed".into()),
        // A boundary limits what the role is granted, not what the user or session itself is.
        (Setup { boundary: Some(OTHER), ..with(&to_role) }, session(), no("permissions boundary")),
        (Setup { session: Some(OTHER), ..with(&to_role) }, session(), no("session policy")),
        (Setup { boundary: Some(OTHER), ..with(&to_session) }, session(), "allowed".into()),
        (Setup { session: Some(OTHER), ..with(&to_session) }, session(), "allowed".into()),
        (Setup { boundary: Some(OTHER), ..with(&to_ann) }, ann(), "allowed".into()),
        (Setup { identity: Some(ALLOW), boundary: Some(OTHER), ..none }, ann(), no("permissions boundary")),
        (Setup { identity: Some(ALLOW), boundary: Some(ALLOW), ..none }, ann(), "allowed".into()),
        (Setup { boundary: Some(ALLOW), ..none }, ann(), no("identity-based policy")),
        (Setup { identity: Some(ALLOW), session: Some(OTHER), ..none }, session(), no("session policy")),
        (Setup { session: Some(ALLOW), ..none }, session(), no("identity-based policy")),
        (Setup { identity: Some(ALLOW), scp: Some(OTHER), ..none }, ann(), no("service control policy")),
        (Setup { identity: Some(ALLOW), rcp: Some(OTHER), ..none }, ann(), no("resource control policy")),
        (Setup { identity: Some(ALLOW), endpoint: Some(OTHER), ..none }, ann(), no("VPC endpoint policy")),
        (Setup { scp: Some(OTHER), ..none }, root, no("service control policy")),
        // Whom the root has federated may do what the session's policies say; whom a user has, what both say.
        (Setup { session: Some(ALLOW), ..none }, federated("root"), "allowed".into()),
        (Setup { session: Some(OTHER), ..none }, federated("root"), no("session policy")),
        (Setup { session: Some(ALLOW), ..none }, federated("user/ann"), no("identity-based policy")),
        // A trust policy must allow, whatever the identity's policies say.
        (Setup { identity: Some(ALLOW), required: true, ..with(OTHER) }, ann(), no("role trust policy")),
        (Setup { required: true, ..with(&to_ann) }, ann(), "allowed".into()),
        (Setup { required: true, ..with(&to_account) }, ann(), no("identity-based policy")),
    ];
    for (index, (setup, principal, expected)) in rows.into_iter().enumerate() {
        assert_eq!(own(setup, &principal), expected, "row {index}");
    }
}

#[test]
fn between_accounts_and_without_one() {
    let other = |setup, principal: &Principal| outcome(setup, principal, "222222222222");
    let to_account = grant("{\"AWS\": \"arn:aws:iam::111111111111:root\"}");
    let to_ann = grant(&format!("{{\"AWS\": \"{ANN}\"}}"));
    let to_sns = grant("{\"Service\": \"sns.amazonaws.com\"}");
    let everyone = grant("{\"AWS\": \"*\"}");
    let not_sns =
        r#"{"Effect": "Deny", "NotPrincipal": {"Service": "sns.amazonaws.com"}, "Action": "*", "Resource": "*"}"#;
    let sns_alone = format!("{to_sns}, {not_sns}");
    let none = Setup::default();
    let (sns, events) = (Principal::service("sns.amazonaws.com"), Principal::service("events.amazonaws.com"));
    let root = Principal::root("arn:aws:iam::111111111111:root", "111111111111");
    let with = |resource| Setup { resource: Some(resource), ..none };
    for (index, (setup, principal, expected)) in [
        (Setup { identity: Some(ALLOW), ..none }, ann(), no("resource-based policy")),
        (with(&to_ann), ann(), no("identity-based policy")),
        (Setup { identity: Some(ALLOW), ..with(&to_ann) }, ann(), "allowed".into()),
        (Setup { identity: Some(ALLOW), ..with(&to_account) }, ann(), "allowed".into()),
        (Setup { identity: Some(ALLOW), boundary: Some(OTHER), ..with(&to_ann) }, ann(), no("permissions boundary")),
        (with(&to_account), root, "allowed".into()),
        (with(&to_sns), sns.clone(), "allowed".into()),
        (with(&to_sns), events.clone(), no("resource-based policy")),
        (with(&sns_alone), sns, "allowed".into()),
        (with(&sns_alone), events, "with an explicit deny in a resource-based policy".into()),
        (with(&everyone), Principal::anonymous(), "allowed".into()),
        (none, Principal::anonymous(), no("resource-based policy")),
        (with(&to_account), Principal::anonymous(), no("resource-based policy")),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(other(setup, &principal), expected, "row {index}");
    }
}

#[test]
fn denials_and_their_words() {
    let deny_named = r#"{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}"#;
    let all = Setup { identity: Some(ALLOW), ..Setup::default() };
    let both = format!("{ALLOW}, {DENY}");
    for (setup, expected) in [
        (Setup { identity: Some(&both), ..all }, "with an explicit deny in an identity-based policy"),
        (Setup { resource: Some(deny_named), ..all }, "with an explicit deny in a resource-based policy"),
        (Setup { boundary: Some(&both), ..all }, "with an explicit deny in a permissions boundary"),
        (Setup { session: Some(&both), ..all }, "with an explicit deny in a session policy"),
        (Setup { scp: Some(&both), ..all }, "with an explicit deny in a service control policy"),
        (Setup { rcp: Some(&both), ..all }, "with an explicit deny in a resource control policy"),
        (Setup { endpoint: Some(&both), ..all }, "with an explicit deny in a VPC endpoint policy"),
        (Setup { resource: Some(deny_named), required: true, ..all }, "with an explicit deny in the role trust policy"),
    ] {
        assert_eq!(outcome(setup, &ann(), "111111111111"), expected);
    }
}

#[test]
fn a_managed_policy_is_named() {
    let deny = policy(DENY);
    let attached = [Attached::new("arn:aws:iam::111111111111:policy/no-sending", &deny)];
    let policies = Policies { identity: &attached, ..Policies::default() };
    let (principal, context) = (ann(), Context::new());
    let request = Request {
        principal: &principal,
        action: "sqs:SendMessage",
        resource: QUEUE,
        resource_account: None,
        context: &context,
    };
    assert_eq!(
        policies.evaluate(&request).message(&request).unwrap(),
        format!(
            "User: {ANN} is not authorized to perform: sqs:SendMessage on resource: {QUEUE} with an explicit deny in an \
             identity-based policy: arn:aws:iam::111111111111:policy/no-sending"
        )
    );
}

#[test]
fn negated_elements_and_conditions() {
    let statement = r#"{"Sid": "Own", "Effect": "Allow", "NotAction": ["sqs:Delete*", "iam:*"],
        "NotResource": "arn:aws:sqs:*:*:secret-*",
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "${aws:PrincipalTag/team, 'none'}"},
                      "IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}, "NumericLessThan": {"s3:max-keys": 10}}}"#;
    let policy = policy(statement);
    let attached = [Attached::new("inline", &policy)];
    let policies = Policies { identity: &attached, ..Policies::default() };
    let context =
        Context::new().with("AWS:SourceIP", "10.1.2.3").with("aws:PrincipalTag/team", "red").with("s3:max-keys", "9");
    let principal = ann();
    let request = Request {
        principal: &principal,
        action: "SQS:sendmessage",
        resource: QUEUE,
        resource_account: None,
        context: &context,
    };
    let statement = StatementRef { layer: Layer::Identity, policy: "inline", index: 0, sid: Some("Own") };
    assert_eq!(policies.evaluate(&request), Verdict::Allowed(Some(statement)));
    let denied = |request: &Request<'_>| policies.explain(request).considered[0].outcome.clone();
    assert_eq!(denied(&Request { action: "sqs:DeleteQueue", ..request }), Outcome::OtherAction);
    let secret = "arn:aws:sqs:eu-west-1:111111111111:secret-1";
    assert_eq!(denied(&Request { resource: secret, ..request }), Outcome::OtherResource);
    let elsewhere = context.clone().with("aws:SourceIp", "192.168.0.1");
    let request = Request { context: &elsewhere, ..request };
    let explanation = policies.explain(&request);
    assert_eq!(
        explanation.considered[0].to_string(),
        "identity-based policy inline, statement 1 (Own) allows it only if IpAddress aws:SourceIp [\"10.0.0.0/8\"], but \
         aws:SourceIp is [\"192.168.0.1\"]"
    );
    let message = explanation.authorization_message(&request);
    assert_eq!((&message["allowed"], &message["explicitDeny"]), (&false.into(), &false.into()));
}

#[test]
fn principals_describe_themselves() {
    let mut context = Context::new();
    session().with_unique_id("AROAEXAMPLE").with_unique_id("AROAEXAMPLE:run").describe(&mut context);
    assert_eq!(context.single("aws:PrincipalArn"), Some(ROLE));
    assert_eq!(context.single("aws:userid"), Some("AROAEXAMPLE:run"));
    assert_eq!(context.single("aws:PrincipalType"), Some("AssumedRole"));
    let mut context = Context::new();
    ann().describe(&mut context);
    assert_eq!(context.single("aws:username"), Some("ann"));
    assert_eq!(context.single("aws:PrincipalIsAWSService"), Some("false"));
}

fn statement(effect: &'static str) -> impl Strategy<Value = String> {
    let action =
        prop_oneof![Just("sqs:*"), Just("sqs:SendMessage"), Just("*"), Just("s3:GetObject"), Just("sqs:Send?essage")];
    let resource = prop_oneof![Just(QUEUE), Just("*"), Just("arn:aws:sqs:*:*:*"), Just("arn:aws:sqs:*:*:other")];
    let condition = prop_oneof![
        Just("{}"),
        Just(r#"{"StringEquals": {"aws:username": "ann"}}"#),
        Just(r#"{"StringNotEquals": {"aws:username": "ann"}}"#),
        Just(r#"{"Null": {"aws:username": "true"}}"#),
    ];
    (action, resource, condition, any::<bool>(), any::<bool>()).prop_map(
        move |(action, resource, condition, not_action, not_resource)| {
            let (a, r) = (
                if not_action { "NotAction" } else { "Action" },
                if not_resource { "NotResource" } else { "Resource" },
            );
            format!(r#"{{"Effect": "{effect}", "{a}": "{action}", "{r}": "{resource}", "Condition": {condition}}}"#)
        },
    )
}

fn statements() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof![3 => statement("Allow"), 1 => statement("Deny")], 0..5)
        .prop_map(|statements| statements.join(","))
}

fn verdict(identity: &[&Policy], boundary: Option<&Policy>) -> Result<bool, Layer> {
    let identity: Vec<Attached<'_>> = identity.iter().map(|policy| Attached::new("p", policy)).collect();
    let boundary = boundary.map(|policy| Attached::new("b", policy));
    let policies = Policies { identity: &identity, boundary, ..Policies::default() };
    let principal = ann();
    let context = Context::new().with("aws:username", "ann");
    let request = Request {
        principal: &principal,
        action: "sqs:SendMessage",
        resource: QUEUE,
        resource_account: None,
        context: &context,
    };
    match policies.evaluate(&request) {
        Verdict::Allowed(_) => Ok(true),
        Verdict::ExplicitDeny(_) => Ok(false),
        Verdict::NotAllowed(layer) => Err(layer),
    }
}

proptest! {
    #[test]
    fn a_matching_denial_always_wins(first in statements(), second in statements(), boundary in any::<bool>()) {
        let (first, second, deny) = (policy(&first), policy(&second), policy(DENY));
        let limit = if boundary { Some(&second) } else { None };
        prop_assert_eq!(verdict(&[&first, &deny, &second], limit), Ok(false));
        prop_assert_eq!(verdict(&[&first], Some(&deny)), Ok(false));
    }

    #[test]
    fn an_unrelated_statement_changes_nothing(some in statements(), allow in any::<bool>()) {
        let effect = if allow { "Allow" } else { "Deny" };
        let unrelated = policy(&format!(r#"{{"Effect": "{effect}", "Action": "dynamodb:*", "Resource": "*"}}"#));
        let some = policy(&some);
        prop_assert_eq!(verdict(&[&some], None), verdict(&[&some, &unrelated], None));
        prop_assert_eq!(verdict(&[&some], None), verdict(&[&unrelated, &some], None));
    }

    #[test]
    fn another_allowance_never_takes_away(some in statements(), more in statement("Allow")) {
        let (some, more) = (policy(&some), policy(&more));
        if verdict(&[&some], None) == Ok(true) {
            prop_assert_eq!(verdict(&[&some, &more], None), Ok(true));
        }
    }

    #[test]
    fn no_document_upsets_the_parser(text in "\\PC{0,60}", version in "[ -~]{0,12}", name in "[A-Za-z:]{0,20}") {
        let _ = Policy::parse(&text);
        let _ = Policy::parse(&format!(r#"{{"Version": "{version}", "Statement": {text}}}"#));
        let _ = Policy::parse(&format!(r#"{{"Statement": {{"Effect": "Allow", "Action": {text}, "Condition": {{"{name}": {{"k": {text}}}}}}}}}"#));
    }
}
