//! LambdaInvoke: a function does the task, and says how it went.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_client::CallError;
use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_wire::Failure;
use serde::Deserialize;
use serde_json::{Value, json};

use super::job::Task;
use super::tasks::Outcome;
use crate::control::errors::invalid;
use crate::error::Result;
use crate::model::encoding::form_encode;
use crate::service::S3;

/// How many functions a job has at work at once.
pub const AT_ONCE: usize = 10;

/// What a job says of its function.
pub fn check(asked: &api::LambdaInvokeOperation) -> Result<()> {
    if asked.function_arn.is_none() {
        return Err(invalid("A LambdaInvoke operation needs a FunctionArn"));
    }
    let version = asked.invocation_schema_version.as_deref().unwrap_or("1.0");
    if !matches!(version, "1.0" | "2.0") {
        return Err(invalid("The InvocationSchemaVersion must be 1.0 or 2.0"));
    }
    if version == "1.0" && asked.user_arguments.as_ref().is_some_and(|given| !given.is_empty()) {
        return Err(invalid("UserArguments need the InvocationSchemaVersion 2.0"));
    }
    Ok(())
}

/// The names of one call, by which its answer is known.
struct Call {
    invocation: String,
    task: String,
}

/// Has the function do a task.
pub async fn run(s3: &S3, cx: &Context, job: &str, asked: &api::LambdaInvokeOperation, task: &Task) -> Outcome {
    let call = Call { invocation: token(cx), task: token(cx) };
    let event = event(job, asked, task, &call);
    let function = asked.function_arn.as_deref().unwrap_or_default();
    match s3.functions.call(cx, function, &event).await {
        Ok(output) if output.function_error.is_some() => {
            let told = String::from_utf8_lossy(output.payload.as_deref().unwrap_or_default()).into_owned();
            permanent(format!("Lambda returned function error: {told}"))
        }
        Ok(output) => read(&output.payload.unwrap_or_default(), &call),
        Err(CallError::Failure(failure)) => {
            let again = failure.status >= 500 || failure.status == 429;
            Outcome { again, ..Outcome::of(failure) }
        }
        Err(error) => {
            let message = format!("The function could not be invoked: no Lambda answers ({error})");
            Outcome::of(Failure::new("ServiceUnavailable", 503, message))
        }
    }
}

fn token(cx: &Context) -> String {
    STANDARD.encode(cx.random().bytes::<32>())
}

/// Version 2.0 names the bucket where version 1.0 has its ARN, and passes the job's arguments on. Keys are as in
/// manifests: URL-encoded.
fn event(job: &str, asked: &api::LambdaInvokeOperation, task: &Task, call: &Call) -> Value {
    let version = asked.invocation_schema_version.as_deref().unwrap_or("1.0");
    let mut about = json!({
        "taskId": call.task,
        "s3Key": form_encode(&task.key),
        "s3VersionId": task.version_id,
    });
    let mut of_job = json!({ "id": job });
    if version == "1.0" {
        about["s3BucketArn"] = json!(format!("arn:aws:s3:::{}", task.bucket));
    } else {
        about["s3Bucket"] = json!(task.bucket);
        of_job["userArguments"] = json!(asked.user_arguments.clone().unwrap_or_default());
    }
    json!({
        "invocationSchemaVersion": version,
        "invocationId": call.invocation,
        "job": of_job,
        "tasks": [about],
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    invocation_id: String,
    #[serde(default)]
    treat_missing_keys_as: Option<String>,
    #[serde(default)]
    results: Vec<ResultOfTask>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResultOfTask {
    task_id: String,
    result_code: String,
    #[serde(default)]
    result_string: Option<String>,
}

/// How a task went, as its function says.
fn read(payload: &Bytes, call: &Call) -> Outcome {
    let answer: Answer = match serde_json::from_slice(payload) {
        Ok(answer) => answer,
        Err(error) => return permanent(format!("Lambda returned an invalid response: {error}")),
    };
    if answer.invocation_id != call.invocation {
        return permanent("Lambda returned an invalid response: its invocationId is another's".to_owned());
    }
    let of_task = answer.results.into_iter().find(|result| result.task_id == call.task);
    let (code, told) = match of_task {
        Some(result) => (result.result_code, result.result_string.unwrap_or_default()),
        None => {
            let code = answer.treat_missing_keys_as.unwrap_or_else(|| "PermanentFailure".to_owned());
            (code, "Lambda returned no result for the task".to_owned())
        }
    };
    match code.as_str() {
        "Succeeded" => Outcome::done(told),
        "TemporaryFailure" => Outcome { again: true, code: code.clone(), ..permanent(told) },
        "PermanentFailure" => permanent(told),
        _ => permanent(format!("Lambda returned an invalid response: {code} is no resultCode")),
    }
}

/// The call itself has succeeded, which is what its status says.
fn permanent(message: String) -> Outcome {
    Outcome { failed: true, again: false, code: "PermanentFailure".to_owned(), http_status: 200, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call { invocation: "i".into(), task: "t".into() }
    }

    #[test]
    fn both_forms_of_the_event() {
        let task = Task::new("b", "a key/+", Some("v".into()));
        let mut asked = api::LambdaInvokeOperation::default();
        let expected = json!({
            "invocationSchemaVersion": "1.0", "invocationId": "i", "job": {"id": "j"},
            "tasks": [{"taskId": "t", "s3Key": "a+key/%2B", "s3VersionId": "v", "s3BucketArn": "arn:aws:s3:::b"}],
        });
        assert_eq!(event("j", &asked, &task, &call()), expected);
        asked.invocation_schema_version = Some("2.0".into());
        asked.user_arguments = Some([("k".to_owned(), "v".to_owned())].into_iter().collect());
        let expected = json!({
            "invocationSchemaVersion": "2.0", "invocationId": "i", "job": {"id": "j", "userArguments": {"k": "v"}},
            "tasks": [{"taskId": "t", "s3Key": "k", "s3VersionId": null, "s3Bucket": "b"}],
        });
        assert_eq!(event("j", &asked, &Task::new("b", "k", None), &call()), expected);
    }

    #[test]
    fn what_functions_say() {
        let read = |answer: Value| read(&Bytes::from(answer.to_string()), &call());
        let of = |code: &str| json!({"invocationId": "i", "results": [{"taskId": "t", "resultCode": code, "resultString": "s"}]});
        assert_eq!(read(of("Succeeded")), Outcome::done("s"));
        assert!(read(of("TemporaryFailure")).again);
        assert_eq!(read(of("PermanentFailure")), permanent("s".into()));
        assert_eq!(read(of("Perhaps")).code, "PermanentFailure");
        let none = |missing: &str| json!({"invocationId": "i", "treatMissingKeysAs": missing, "results": []});
        assert!(!read(none("Succeeded")).failed && read(none("TemporaryFailure")).again);
        assert!(read(json!({"invocationId": "i", "results": []})).failed);
        assert!(read(json!({"invocationId": "other", "results": []})).message.contains("invocationId"));
        assert!(read(json!("nonsense")).failed);
    }

    #[test]
    fn what_a_job_must_say_of_its_function() {
        let mut asked = api::LambdaInvokeOperation::default();
        assert!(check(&asked).is_err());
        asked.function_arn = Some("f".into());
        assert!(check(&asked).is_ok());
        asked.user_arguments = Some([("k".to_owned(), "v".to_owned())].into_iter().collect());
        assert!(check(&asked).is_err());
        asked.invocation_schema_version = Some("2.0".into());
        assert!(check(&asked).is_ok());
        asked.invocation_schema_version = Some("3.0".into());
        assert!(check(&asked).is_err());
    }
}
