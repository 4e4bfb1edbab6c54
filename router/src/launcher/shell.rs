//! What a shell needs for its AWS clients to go to a stack.

/// Sets what every SDK and tool reads; boto3 and version 1 of the AWS CLI read the region from the older of the two names.
pub fn exports(url: &str) -> String {
    let url = url.trim_end_matches('/').replace("://127.0.0.1:", "://localhost:");
    format!(
        "export AWS_ENDPOINT_URL={url} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1"
    )
}

/// [`exports`], and the endpoint as an option for the versions of the AWS CLI that pass over the variable: 2 before 2.13 for every
/// service, 1 for SQS (its own table of host names goes first).
pub fn lines(url: &str) -> String {
    format!("{}\naws() {{ command aws --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"; }}\n", exports(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bucket's own host is one of `*.localhost`, and there is none of an address.
    #[test]
    fn a_stack_on_this_machine_is_called_by_name() {
        assert!(exports("http://127.0.0.1:4566/").starts_with("export AWS_ENDPOINT_URL=http://localhost:4566 AWS_"));
        assert!(exports("https://stack:1").starts_with("export AWS_ENDPOINT_URL=https://stack:1 "));
    }

    #[test]
    fn a_shell_takes_the_lines() {
        let script = format!(
            "PATH=$1; {}\ncommand() {{ echo \"$@\"; }}\naws sqs list-queues; sh -c 'echo $AWS_REGION $AWS_DEFAULT_REGION'",
            lines("http://localhost:1")
        );
        let path = std::env::var("PATH").unwrap();
        let output = std::process::Command::new("bash").args(["-c", &script, "bash", &path]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, "aws --endpoint-url http://localhost:1 sqs list-queues\nus-east-1 us-east-1\n");
    }
}
