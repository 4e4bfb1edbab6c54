//! Targets: what PutTargets asks of them, and which service and operation each kind stands for.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html>

use fractus_aws::Arn;
use fractus_events_api as api;
use serde_json::{Value, json};

use super::json::object;
use super::path::Path;
use super::transform::{Input, Template, TemplateFlaw};
use crate::error::{Error, Result};

/// What sort of resource a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bus,
    ApiDestination,
    /// An archive's own rule sends to `arn:aws:events:region:::`.
    Archive,
    Queue,
    Topic,
    Function,
    StateMachine,
    Stream,
    DeliveryStream,
    LogGroup,
    Cluster,
    JobQueue,
    RunCommand,
    Automation,
    RedshiftCluster,
    RedshiftWorkgroup,
    Pipeline,
    RestApi,
    Build,
    CodePipeline,
    GraphApi,
    Other,
}

impl Kind {
    pub fn of(arn: &Arn) -> Kind {
        let resource = arn.resource.as_str();
        match arn.service.as_str() {
            "events" if resource.starts_with("event-bus/") => Kind::Bus,
            "events" if resource.starts_with("api-destination/") => Kind::ApiDestination,
            "sqs" => Kind::Queue,
            "sns" => Kind::Topic,
            "lambda" => Kind::Function,
            "states" => Kind::StateMachine,
            "kinesis" => Kind::Stream,
            "firehose" => Kind::DeliveryStream,
            "logs" => Kind::LogGroup,
            "ecs" => Kind::Cluster,
            "batch" => Kind::JobQueue,
            "ssm" if resource.starts_with("automation-definition/") => Kind::Automation,
            "ssm" => Kind::RunCommand,
            "redshift" => Kind::RedshiftCluster,
            "redshift-serverless" => Kind::RedshiftWorkgroup,
            "sagemaker" => Kind::Pipeline,
            "execute-api" => Kind::RestApi,
            "codebuild" => Kind::Build,
            "codepipeline" => Kind::CodePipeline,
            "appsync" => Kind::GraphApi,
            _ => Kind::Other,
        }
    }

    /// The service that consumes it, by its directory's name, and the operation that a delivery stands for.
    pub fn service_and_action(self, arn: &Arn) -> (String, &'static str) {
        let (service, action) = match self {
            Kind::Bus => ("events", "events:PutEvents"),
            Kind::ApiDestination => ("events", "events:InvokeApiDestination"),
            Kind::Queue => ("sqs", "sqs:SendMessage"),
            Kind::Topic => ("sns", "sns:Publish"),
            Kind::Function => ("lambda", "lambda:InvokeFunction"),
            Kind::StateMachine => ("stepfunctions", "states:StartExecution"),
            Kind::Stream => ("kinesis", "kinesis:PutRecord"),
            Kind::DeliveryStream => ("firehose", "firehose:PutRecord"),
            Kind::LogGroup => ("logs", "logs:PutLogEvents"),
            Kind::Cluster => ("ecs", "ecs:RunTask"),
            Kind::JobQueue => ("batch", "batch:SubmitJob"),
            Kind::RunCommand => ("ssm", "ssm:SendCommand"),
            Kind::Automation => ("ssm", "ssm:StartAutomationExecution"),
            Kind::RedshiftCluster | Kind::RedshiftWorkgroup => ("redshift-data", "redshift-data:ExecuteStatement"),
            Kind::Pipeline => ("sagemaker", "sagemaker:StartPipelineExecution"),
            Kind::RestApi => ("apigateway", "execute-api:Invoke"),
            Kind::Build => ("codebuild", "codebuild:StartBuild"),
            Kind::CodePipeline => ("codepipeline", "codepipeline:StartPipelineExecution"),
            Kind::GraphApi => ("appsync", "appsync:GraphQL"),
            Kind::Archive | Kind::Other => (arn.service.as_str(), ""),
        };
        (service.to_owned(), action)
    }

    /// Whether EventBridge reaches it by a role alone.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-identity-based.html>
    fn needs_role(self) -> bool {
        matches!(
            self,
            Kind::ApiDestination
                | Kind::StateMachine
                | Kind::Stream
                | Kind::DeliveryStream
                | Kind::Cluster
                | Kind::JobQueue
                | Kind::RunCommand
                | Kind::Automation
                | Kind::RedshiftCluster
                | Kind::RedshiftWorkgroup
                | Kind::Pipeline
                | Kind::Build
                | Kind::CodePipeline
        )
    }
}

/// The ARN of a target or of a dead-letter queue.
pub fn parse_arn(text: &str) -> Result<Arn> {
    let wrong = || Error::parameter(text, "Provided Arn is not in correct format.");
    text.parse().map_err(|_| wrong())
}

/// What PutTargets asks of a target.
pub fn check(target: &api::Target, rule_role: Option<&str>) -> Result<()> {
    let arn = parse_arn(&target.arn)?;
    let kind = Kind::of(&arn);
    input(target)?;
    if kind.needs_role() && target.role_arn.is_none() && rule_role.is_none() {
        return Err(Error::validation(format!("RoleArn is required for target {}.", target.arn)));
    }
    let missing = |what: &str| {
        Err(Error::validation(format!("Parameter(s) {what} must be specified for target: {}.", target.id)))
    };
    match kind {
        Kind::Queue if arn.resource.ends_with(".fifo") => {
            let group = target.sqs_parameters.as_ref().and_then(|parameters| parameters.message_group_id.as_deref());
            if group.is_none_or(str::is_empty) {
                return missing("MessageGroupId");
            }
        }
        Kind::Cluster if target.ecs_parameters.is_none() => return missing("EcsParameters"),
        Kind::JobQueue if target.batch_parameters.is_none() => return missing("BatchParameters"),
        Kind::RunCommand if target.run_command_parameters.is_none() => return missing("RunCommandParameters"),
        Kind::RedshiftCluster | Kind::RedshiftWorkgroup if target.redshift_data_parameters.is_none() => {
            return missing("RedshiftDataParameters");
        }
        Kind::GraphApi if target.app_sync_parameters.is_none() => return missing("AppSyncParameters"),
        _ => {}
    }
    if let Some(path) = target.kinesis_parameters.as_ref().map(|parameters| parameters.partition_key_path.as_str())
        && Path::parse(path).is_none()
    {
        return Err(Error::parameter("KinesisParameters.PartitionKeyPath", "It is not a valid JSON path."));
    }
    let dead_letter = target.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref());
    dead_letter.map_or(Ok(()), check_dead_letter)
}

/// Only standard queues take dead letters.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
pub fn check_dead_letter(text: &str) -> Result<()> {
    let arn = parse_arn(text)?;
    if arn.service != "sqs" || arn.resource.ends_with(".fifo") {
        return Err(Error::parameter(
            "DeadLetterConfig.Arn",
            "The dead-letter queue must be a standard Amazon SQS queue.",
        ));
    }
    Ok(())
}

/// What a target says of its input.
pub fn input(target: &api::Target) -> Result<Input> {
    let id = &target.id;
    let given = [target.input.is_some(), target.input_path.is_some(), target.input_transformer.is_some()];
    if given.into_iter().filter(|is_given| *is_given).count() > 1 {
        return Err(Error::validation(format!(
            "Only one of Input, InputPath, or InputTransformer must be provided for target {id}."
        )));
    }
    if let Some(text) = target.input.as_deref().filter(|text| !text.is_empty()) {
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|_| Error::validation(format!("Input for target {id} is not a valid JSON text.")))?;
        return Ok(Input::Constant(text.to_owned()));
    }
    if let Some(text) = target.input_path.as_deref().filter(|text| !text.is_empty()) {
        let path = Path::parse(text).ok_or_else(|| Error::parameter("InputPath", "It is not a valid JSON path."))?;
        return Ok(Input::Part(path));
    }
    let Some(transformer) = &target.input_transformer else { return Ok(Input::Whole) };
    let paths = transformer.input_paths_map.as_ref();
    if let Some((name, _)) = paths.and_then(|paths| paths.iter().find(|(name, _)| name.starts_with("aws."))) {
        return Err(Error::parameter("InputPathsMap", format!("The variable name {name} is reserved.")));
    }
    let path_of = |name: &str| paths.and_then(|paths| paths.get(name)).map(String::as_str);
    let text = &transformer.input_template;
    let template = Template::parse(text, path_of).map_err(|flaw| match flaw {
        TemplateFlaw::Placeholder(name) => {
            Error::validation(format!("InputTemplate for target {id} contains invalid placeholder {name}."))
        }
        TemplateFlaw::NotJson { line, column } => Error::validation(format!(
            "Invalid InputTemplate for target {id} : [Source: (String)\"{text}\"; line: {line}, column: {column}]."
        )),
    })?;
    Ok(Input::Template(template))
}

/// What the target's operation is given beside its body: the members of that operation's input, by its model's names.
pub fn parameters(kind: Kind, arn: &Arn, target: &Value) -> Value {
    let part = |name: &str| target.get(name).cloned();
    let of = |part: &str, name: &str| target.get(part).and_then(|part| part.get(name)).cloned();
    let last = || arn.resource.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    match kind {
        Kind::LogGroup => {
            let group = arn.resource.strip_prefix("log-group:").unwrap_or(&arn.resource);
            json!({"logGroupName": group.strip_suffix(":*").unwrap_or(group)})
        }
        Kind::StateMachine => json!({"stateMachineArn": arn.to_string()}),
        Kind::Function => json!({"FunctionName": arn.to_string(), "InvocationType": "Event"}),
        Kind::DeliveryStream => json!({"DeliveryStreamName": last()}),
        Kind::Stream => json!({"StreamARN": arn.to_string()}),
        Kind::Cluster => ecs(arn, target),
        Kind::JobQueue => object([
            ("jobQueue", Some(Value::String(arn.to_string()))),
            ("jobDefinition", of("BatchParameters", "JobDefinition")),
            ("jobName", of("BatchParameters", "JobName")),
            ("arrayProperties", of("BatchParameters", "ArrayProperties").map(|size| json!({"size": size["Size"]}))),
            (
                "retryStrategy",
                of("BatchParameters", "RetryStrategy").map(|tries| json!({"attempts": tries["Attempts"]})),
            ),
        ]),
        Kind::RunCommand => object([
            ("DocumentName", Some(Value::String(last()))),
            ("Targets", of("RunCommandParameters", "RunCommandTargets")),
        ]),
        Kind::Automation => json!({"DocumentName": arn.resource.split(['/', ':']).nth(1)}),
        Kind::RedshiftCluster | Kind::RedshiftWorkgroup => object([
            (
                if kind == Kind::RedshiftCluster { "ClusterIdentifier" } else { "WorkgroupName" },
                Some(Value::String(last())),
            ),
            ("Database", of("RedshiftDataParameters", "Database")),
            ("DbUser", of("RedshiftDataParameters", "DbUser")),
            ("SecretArn", of("RedshiftDataParameters", "SecretManagerArn")),
            ("Sql", of("RedshiftDataParameters", "Sql")),
            ("Sqls", of("RedshiftDataParameters", "Sqls")),
            ("StatementName", of("RedshiftDataParameters", "StatementName")),
            ("WithEvent", of("RedshiftDataParameters", "WithEvent")),
        ]),
        Kind::Pipeline => object([
            ("PipelineName", Some(Value::String(last()))),
            ("PipelineParameters", of("SageMakerPipelineParameters", "PipelineParameterList")),
        ]),
        Kind::RestApi | Kind::ApiDestination => part("HttpParameters").unwrap_or(Value::Null),
        Kind::Build => json!({"projectName": last()}),
        Kind::CodePipeline => json!({"name": last()}),
        Kind::GraphApi => object([("query", of("AppSyncParameters", "GraphQLOperation"))]),
        Kind::Bus | Kind::Archive | Kind::Queue | Kind::Topic | Kind::Other => Value::Null,
    }
}

/// `RunTask` has the same members with a small first letter.
fn ecs(arn: &Arn, target: &Value) -> Value {
    let mut members = serde_json::Map::new();
    members.insert("cluster".to_owned(), Value::String(arn.to_string()));
    for (name, value) in target.get("EcsParameters").and_then(Value::as_object).into_iter().flatten() {
        let name = match name.as_str() {
            "TaskDefinitionArn" => "taskDefinition".to_owned(),
            "TaskCount" => "count".to_owned(),
            "EnableECSManagedTags" => "enableECSManagedTags".to_owned(),
            other => other[..1].to_ascii_lowercase() + &other[1..],
        };
        let value = if name == "tags" { lower_keys(value) } else { value.clone() };
        members.insert(name, value);
    }
    Value::Object(members)
}

/// ECS writes a tag as `key` and `value`.
fn lower_keys(tags: &Value) -> Value {
    let tags = tags.as_array().into_iter().flatten();
    Value::Array(tags.map(|tag| json!({"key": tag["Key"], "value": tag["Value"]})).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(arn: &str) -> api::Target {
        api::Target { id: "t".into(), arn: arn.into(), ..Default::default() }
    }

    fn refusal(target: &api::Target) -> String {
        check(target, None).unwrap_err().to_string()
    }

    #[test]
    fn targets_are_checked() {
        assert_eq!(
            refusal(&target("nonsense")),
            "Parameter nonsense is not valid. Reason: Provided Arn is not in correct format."
        );
        let fifo = target("arn:aws:sqs:us-east-1:000000000000:q.fifo");
        assert_eq!(refusal(&fifo), "Parameter(s) MessageGroupId must be specified for target: t.");
        let stream = target("arn:aws:kinesis:us-east-1:000000000000:stream/s");
        assert_eq!(refusal(&stream), "RoleArn is required for target arn:aws:kinesis:us-east-1:000000000000:stream/s.");
        assert!(check(&stream, Some("arn:aws:iam::000000000000:role/r")).is_ok());
        let queue = target("arn:aws:sqs:us-east-1:000000000000:q");
        check(&queue, None).unwrap();
        let both = api::Target { input: Some("1".into()), input_path: Some("$".into()), ..queue.clone() };
        assert!(refusal(&both).starts_with("Only one of Input"));
        let no_json = api::Target { input: Some("{".into()), ..queue.clone() };
        assert_eq!(refusal(&no_json), "Input for target t is not a valid JSON text.");
        let letters = api::DeadLetterConfig { arn: Some("arn:aws:sns:us-east-1:000000000000:t".into()) };
        assert!(refusal(&api::Target { dead_letter_config: Some(letters), ..queue }).contains("DeadLetterConfig.Arn"));
    }

    #[test]
    fn a_task_has_its_operation_s_members() {
        let arn: Arn = "arn:aws:ecs:us-east-1:000000000000:cluster/c".parse().unwrap();
        let given = json!({"EcsParameters": {
            "TaskDefinitionArn": "arn:task", "TaskCount": 2, "LaunchType": "FARGATE", "EnableECSManagedTags": true,
            "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["s"]}}, "Tags": [{"Key": "k", "Value": "v"}],
        }});
        assert_eq!(
            parameters(Kind::of(&arn), &arn, &given),
            json!({
                "cluster": "arn:aws:ecs:us-east-1:000000000000:cluster/c", "taskDefinition": "arn:task", "count": 2,
                "launchType": "FARGATE", "enableECSManagedTags": true,
                "networkConfiguration": {"awsvpcConfiguration": {"Subnets": ["s"]}},
                "tags": [{"key": "k", "value": "v"}],
            })
        );
    }

    #[test]
    fn every_kind_knows_its_service() {
        let service = |text: &str| {
            let arn: Arn = text.parse().unwrap();
            Kind::of(&arn).service_and_action(&arn)
        };
        assert_eq!(
            service("arn:aws:states:us-east-1:000000000000:stateMachine:m"),
            ("stepfunctions".to_owned(), "states:StartExecution")
        );
        assert_eq!(service("arn:aws:execute-api:us-east-1:000000000000:a/s/GET/p").0, "apigateway");
        assert_eq!(service("arn:aws:events:us-east-1:000000000000:api-destination/d/u").0, "events");
        assert_eq!(service("arn:aws:inspector:us-east-1:000000000000:target/x"), ("inspector".to_owned(), ""));
    }
}
