//! What a schedule may call.
//!
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html>

use fractus_aws::Arn;
use fractus_scheduler_api::Target;

use super::universal::Universal;
use crate::error::{Error, Result};

/// A templated target: the operation that is called on a resource of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// The service part of the ARN.
    pub arn_service: &'static str,
    /// What the resource part begins with.
    resource: &'static str,
    /// Who consumes the delivery.
    pub service: &'static str,
    /// The operation, as IAM writes it.
    pub action: &'static str,
    /// Whether the Input has to be JSON.
    json: bool,
}

const fn template(
    arn_service: &'static str,
    resource: &'static str,
    service: &'static str,
    action: &'static str,
    json: bool,
) -> Template {
    Template { arn_service, resource, service, action, json }
}

const TEMPLATES: [Template; 12] = [
    template("codebuild", "project/", "codebuild", "codebuild:StartBuild", false),
    template("codepipeline", "", "codepipeline", "codepipeline:StartPipelineExecution", false),
    template("ecs", "cluster/", "ecs", "ecs:RunTask", false),
    template("events", "event-bus/", "events", "events:PutEvents", true),
    template("firehose", "deliverystream/", "firehose", "firehose:PutRecord", false),
    template("inspector", "target/", "inspector", "inspector:StartAssessmentRun", false),
    template("kinesis", "stream/", "kinesis", "kinesis:PutRecord", false),
    template("lambda", "function:", "lambda", "lambda:InvokeFunction", true),
    template("sagemaker", "pipeline/", "sagemaker", "sagemaker:StartPipelineExecution", false),
    template("sns", "", "sns", "sns:Publish", false),
    template("sqs", "", "sqs", "sqs:SendMessage", false),
    template("states", "stateMachine:", "stepfunctions", "states:StartExecution", true),
];

/// A target, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Templated(Template),
    Universal(Universal),
}

/// The longest Input: the payload size limit of an invocation.
///
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html>
const MAX_INPUT_BYTES: usize = 256 * 1024;

/// Takes a target's ARN apart.
pub fn kind(text: &str) -> Result<(Arn, Kind)> {
    let malformed = || Error::validation("Provided Arn is not in correct format.");
    let arn: Arn = text.parse().map_err(|_| malformed())?;
    if arn.service == "scheduler" {
        let universal = Universal::parse(&arn)?;
        return Ok((arn, Kind::Universal(universal)));
    }
    let Some(template) = TEMPLATES.iter().find(|template| template.arn_service == arn.service) else {
        return Err(Error::validation(format!("{} is not a supported service for a target.", arn.service)));
    };
    let is_whole = arn.resource.strip_prefix(template.resource).is_some_and(|name| !name.is_empty());
    let has_account = arn.account.len() == 12 && arn.account.bytes().all(|byte| byte.is_ascii_digit());
    if !is_whole || !has_account || arn.region.is_empty() {
        return Err(malformed());
    }
    Ok((arn, Kind::Templated(*template)))
}

/// Checks what the model does not say of a target. What a universal target's Input must hold is asked by whoever has
/// the models.
pub fn check(target: &Target) -> Result<(Arn, Kind)> {
    let (arn, kind) = kind(&target.arn)?;
    if let Some(input) = &target.input {
        if input.len() > MAX_INPUT_BYTES {
            return Err(Error::validation(format!("Input must not be larger than {MAX_INPUT_BYTES} bytes.")));
        }
        let must_be_json = match &kind {
            Kind::Templated(template) => template.json,
            Kind::Universal(_) => true,
        };
        if must_be_json && serde_json::from_str::<serde_json::Value>(input).is_err() {
            return Err(Error::validation("Invalid RequestJson provided. Reason Input is not a well-formed JSON."));
        }
    }
    check_parameters(target, &kind)?;
    Ok((arn, kind))
}

/// Each kind of parameters belongs to one kind of target, and some targets cannot do without theirs.
fn check_parameters(target: &Target, kind: &Kind) -> Result<()> {
    let service = match kind {
        Kind::Templated(template) => template.arn_service,
        Kind::Universal(_) => "",
    };
    let on_a_bus = [
        target.event_bridge_parameters.is_some(),
        target.event_bridge_put_events_v2_parameters.is_some(),
        target.event_bridge_put_raw_events_parameters.is_some(),
    ];
    let given = [
        ("EcsParameters", target.ecs_parameters.is_some(), "ecs"),
        ("EventBridgeParameters", on_a_bus[0], "events"),
        ("EventBridgePutEventsV2Parameters", on_a_bus[1], "events"),
        ("EventBridgePutRawEventsParameters", on_a_bus[2], "events"),
        ("KinesisParameters", target.kinesis_parameters.is_some(), "kinesis"),
        ("SageMakerPipelineParameters", target.sage_maker_pipeline_parameters.is_some(), "sagemaker"),
        ("SqsParameters", target.sqs_parameters.is_some(), "sqs"),
    ];
    if let Some((name, ..)) = given.iter().find(|(_, given, of)| *given && *of != service) {
        return Err(Error::validation(format!("{name} is not supported for the target {}.", target.arn)));
    }
    let required = match service {
        "ecs" if target.ecs_parameters.is_none() => "EcsParameters",
        "events" if !on_a_bus.contains(&true) => "EventBridgeParameters",
        "kinesis" if target.kinesis_parameters.is_none() => "KinesisParameters",
        _ => "",
    };
    if !required.is_empty() {
        return Err(Error::validation(format!("{required} is required for the target {}.", target.arn)));
    }
    if on_a_bus.iter().filter(|given| **given).count() > 1 {
        return Err(Error::validation("A target has one kind of EventBridge parameters."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(target: Target) -> String {
        check(&target).unwrap_err().to_string()
    }

    fn target(arn: &str) -> Target {
        Target { arn: arn.to_owned(), ..Default::default() }
    }

    #[test]
    fn a_target_is_known_by_its_arn() {
        for (arn, action) in [
            ("arn:aws:sqs:us-east-1:000000000000:q.fifo", "sqs:SendMessage"),
            ("arn:aws:sns:us-east-1:000000000000:t", "sns:Publish"),
            ("arn:aws:lambda:us-east-1:000000000000:function:f:live", "lambda:InvokeFunction"),
            ("arn:aws:states:us-east-1:000000000000:stateMachine:m", "states:StartExecution"),
            ("arn:aws-cn:firehose:cn-north-1:000000000000:deliverystream/d", "firehose:PutRecord"),
        ] {
            let (_, Kind::Templated(template)) = check(&target(arn)).unwrap() else { panic!("{arn}") };
            assert_eq!(template.action, action);
        }
    }

    #[test]
    fn what_is_no_target() {
        for arn in [
            "queue",
            "arn:aws:sqs",
            "arn:aws:lambda:us-east-1:000000000000:layer:l",
            "arn:aws:sqs:us-east-1::q",
            "arn:aws:sqs::000000000000:q",
        ] {
            assert_eq!(refusal(target(arn)), "Provided Arn is not in correct format.", "{arn}");
        }
        // AWS's own words.
        assert_eq!(
            refusal(target("arn:aws:backup:us-east-1:000000000000:vault")),
            "backup is not a supported service for a target."
        );
    }

    #[test]
    fn parameters_belong_to_their_targets() {
        let bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
        assert!(refusal(target(bus)).starts_with("EventBridgeParameters is required"));
        assert!(
            refusal(target("arn:aws:kinesis:us-east-1:000000000000:stream/s"))
                .starts_with("KinesisParameters is required")
        );
        let sqs = Some(fractus_scheduler_api::SqsParameters { message_group_id: Some("g".into()) });
        let wrong = Target { sqs_parameters: sqs, ..target("arn:aws:sns:us-east-1:000000000000:t") };
        assert!(refusal(wrong).starts_with("SqsParameters is not supported"));
        let text = Target { input: Some("text".into()), ..target("arn:aws:lambda:us-east-1:000000000000:function:f") };
        assert!(refusal(text).starts_with("Invalid RequestJson provided."));
    }
}
