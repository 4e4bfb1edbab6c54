//! A delivery to a function is an asynchronous invocation.

use fractus_bus::contracts::Delivery;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Call, Impossible};

/// `Invoke` with the type `Event`, of the function that the ARN names, its version or alias included:
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
pub fn call(delivery: &Delivery, _: Option<&str>) -> Result<Call, Impossible> {
    let function = delivery.target.to_string();
    Ok(Call {
        signing_name: "lambda",
        path: format!("/2015-03-31/functions/{}/invocations", utf8_percent_encode(&function, NON_ALPHANUMERIC)),
        headers: vec![("content-type", "application/json"), ("x-amz-invocation-type", "Event")],
        body: delivery.body.bytes().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use fractus_aws::{AccountId, Lane};
    use fractus_bus::contracts::{Body, Source};
    use fractus_clock::Timestamp;

    use super::*;

    #[test]
    fn a_function_is_invoked_by_its_arn() {
        let account = AccountId::default_account();
        let source = Source { principal: "s3.amazonaws.com".to_owned(), arn: None, account, role: None };
        let target = "arn:aws:lambda:eu-west-1:123456789012:function:f:live".parse().unwrap();
        let body = Body::text("{\"Records\":[]}");
        let delivery = Delivery::new("d", Lane::main(), target, body, source, Timestamp::from_secs(1));
        let call = call(&delivery, None).unwrap();
        let arn = "arn%3Aaws%3Alambda%3Aeu%2Dwest%2D1%3A123456789012%3Afunction%3Af%3Alive";
        assert_eq!(call.path, format!("/2015-03-31/functions/{arn}/invocations"));
        assert_eq!(call.body, b"{\"Records\":[]}");
        assert!(call.headers.contains(&("x-amz-invocation-type", "Event")));
    }
}
