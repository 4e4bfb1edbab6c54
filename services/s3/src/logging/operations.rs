//! What access logs call a request: `REST.GET.OBJECT`, the method and what it was about.

use fractus_host::Context;

use crate::web;
use crate::website::WebsiteRequest;

pub fn of_request(cx: &Context) -> String {
    let method = cx.method();
    if cx.extensions().get::<WebsiteRequest>().is_some() {
        return format!("WEBSITE.{method}.OBJECT");
    }
    match cx.operation() {
        Some(called) => of_operation(called.schema.name, called.schema.http.uri, method.as_str()),
        None if web::is_preflight(method) => "REST.OPTIONS.PREFLIGHT".to_owned(),
        // A browser's form.
        None => format!("REST.{method}.OBJECT"),
    }
}

/// By the operation's name, or else by the sub-resource of its URI.
fn of_operation(name: &str, uri: &str, method: &str) -> String {
    let by_name = match name {
        "CopyObject" => "COPY.OBJECT",
        "UploadPart" => "PUT.PART",
        "UploadPartCopy" => "COPY.PART",
        "CreateMultipartUpload" => "POST.UPLOADS",
        "CompleteMultipartUpload" => "POST.UPLOAD",
        "AbortMultipartUpload" => "DELETE.UPLOAD",
        "ListParts" => "GET.UPLOAD",
        "DeleteObjects" => "POST.MULTI_OBJECT_DELETE",
        "ListObjects" | "ListObjectsV2" => "GET.BUCKET",
        "ListObjectVersions" => "GET.BUCKETVERSIONS",
        _ => "",
    };
    if !by_name.is_empty() {
        return format!("REST.{by_name}");
    }
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let subresource = query.split(['&', '=']).next().unwrap_or_default();
    let subject = match (subresource, path.contains("{Key+}")) {
        ("", true) => "OBJECT".to_owned(),
        ("", false) => "BUCKET".to_owned(),
        ("tagging", true) => "OBJECT_TAGGING".to_owned(),
        ("attributes", _) => "OBJECT_ATTRIBUTES".to_owned(),
        ("policy", _) => "BUCKETPOLICY".to_owned(),
        ("logging", _) => "LOGGING_STATUS".to_owned(),
        ("object-lock", _) => "OBJECT_LOCK_CONFIGURATION".to_owned(),
        ("retention", _) => "OBJECT_LOCK_RETENTION".to_owned(),
        ("legal-hold", _) => "OBJECT_LOCK_LEGALHOLD".to_owned(),
        (other, _) => in_capitals(other),
    };
    format!("REST.{method}.{subject}")
}

/// `publicAccessBlock` to `PUBLIC_ACCESS_BLOCK`.
fn in_capitals(name: &str) -> String {
    let mut capitals = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            capitals.push('_');
        }
        capitals.push(if letter == '-' { '_' } else { letter.to_ascii_uppercase() });
    }
    capitals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html> and the names that logs of AWS have.
    #[test]
    fn operations_have_the_names_of_aws_logs() {
        for (name, uri, method, expected) in [
            ("GetObject", "/{Bucket}/{Key+}", "GET", "REST.GET.OBJECT"),
            ("GetBucketPolicy", "/{Bucket}?policy", "GET", "REST.GET.BUCKETPOLICY"),
            ("GetBucketPolicyStatus", "/{Bucket}?policyStatus", "GET", "REST.GET.POLICY_STATUS"),
            ("PutBucketLogging", "/{Bucket}?logging", "PUT", "REST.PUT.LOGGING_STATUS"),
            ("GetPublicAccessBlock", "/{Bucket}?publicAccessBlock", "GET", "REST.GET.PUBLIC_ACCESS_BLOCK"),
            ("GetBucketRequestPayment", "/{Bucket}?requestPayment", "GET", "REST.GET.REQUEST_PAYMENT"),
            ("GetObjectTagging", "/{Bucket}/{Key+}?tagging", "GET", "REST.GET.OBJECT_TAGGING"),
            ("GetBucketTagging", "/{Bucket}?tagging", "GET", "REST.GET.TAGGING"),
            (
                "ListBucketIntelligentTieringConfigurations",
                "/{Bucket}?intelligent-tiering",
                "GET",
                "REST.GET.INTELLIGENT_TIERING",
            ),
            ("UploadPartCopy", "/{Bucket}/{Key+}", "PUT", "REST.COPY.PART"),
            ("RestoreObject", "/{Bucket}/{Key+}?restore", "POST", "REST.POST.RESTORE"),
        ] {
            assert_eq!(of_operation(name, uri, method), expected);
        }
    }
}
