//! Whether a topic's policy lets another service publish.
//!
//! Calls are judged by the host. A delivery has no caller: the service that sends it is the principal, with the resource it
//! sends for as `aws:SourceArn`.
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html>

use fractus_aws::Arn;
use fractus_bus::contracts::Source;
use fractus_clock::Timestamp;
use fractus_policy::{Attached, Context, Layer, Policies, Policy, Principal, Request, ResourcePolicy, Verdict};

use crate::error::{Error, Result};
use crate::store::Place;

const ACTION: &str = "sns:Publish";

/// Refuses a delivery that the topic's policy does not allow.
pub fn check_delivery(source: &Source, place: &Place, policy: &str, now: Timestamp) -> Result<()> {
    let principal = match &source.role {
        None => Principal::service(source.principal.as_str()),
        Some(role) => Principal::role_session(session_of(role, source), role.to_string(), role.account.as_str()),
    };
    let mut context = Context::new();
    principal.describe(&mut context);
    context.insert("aws:CurrentTime", now.to_secs_precision().date_time());
    context.insert("aws:EpochTime", now.secs().to_string());
    context.insert("aws:SecureTransport", "true");
    context.insert("aws:RequestedRegion", place.region.as_str());
    context.insert("aws:SourceAccount", source.account.as_str());
    if let Some(arn) = &source.arn {
        context.insert("aws:SourceArn", arn.to_string());
    }
    let arn = place.arn().to_string();
    let request = Request {
        principal: &principal,
        action: ACTION,
        resource: &arn,
        resource_account: Some(place.world.account.as_str()),
        context: &context,
    };
    let policy =
        Policy::parse(policy).map_err(|error| Error::Authorization(format!("The policy cannot be read: {error}")))?;
    let resource = ResourcePolicy::Policy(Attached::new(&arn, &policy));
    let verdict = Policies { resource, ..Policies::default() }.evaluate(&request);
    // What a role's own policies say is asked for by whoever assumed it.
    let by_the_role = source.role.is_some() && verdict == Verdict::NotAllowed(Layer::Identity);
    match verdict.message(&request) {
        Some(message) if !by_the_role => Err(Error::Authorization(message)),
        _ => Ok(()),
    }
}

/// The session that a service makes of the role it acts as.
fn session_of(role: &Arn, source: &Source) -> String {
    let name = role.resource.rsplit('/').next().unwrap_or_default();
    let service = source.principal.split('.').next().unwrap_or_default();
    format!("arn:{}:sts::{}:assumed-role/{name}/{service}", role.partition, role.account)
}

#[cfg(test)]
mod tests {
    use fractus_aws::{AccountId, Region, World};
    use serde_json::json;

    use super::*;
    use crate::model::topic::default_policy;

    #[test]
    fn a_service_needs_to_be_named() {
        let place = Place { world: World::default_world(), region: Region::us_east_1(), name: "t".into() };
        let source = Source {
            principal: "s3.amazonaws.com".into(),
            arn: Some("arn:aws:s3:::b".parse().unwrap()),
            account: AccountId::default_account(),
            role: None,
        };
        let allow = |bucket: &str| {
            json!({"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "SNS:Publish", "Resource": place.arn().to_string(),
                "Condition": {"ArnLike": {"aws:SourceArn": bucket}},
            }]})
            .to_string()
        };
        let check = |policy: &str| check_delivery(&source, &place, policy, Timestamp::EPOCH);
        check(&allow("arn:aws:s3:::b")).unwrap();
        for policy in [default_policy(&place), allow("arn:aws:s3:::other")] {
            assert_eq!(check(&policy).unwrap_err().code(), "AuthorizationError");
        }
    }
}
