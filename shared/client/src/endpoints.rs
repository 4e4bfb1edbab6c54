//! Where a service is.

use std::collections::HashMap;
use std::sync::Arc;

use fractus_aws::Region;
use fractus_wire::ServiceSchema;
use http::Uri;

/// Finds a service: the router, the service itself, or nowhere.
pub trait Resolve: Send + Sync + 'static {
    /// The base URL of the service; a path in it goes before the operation's own.
    fn resolve(&self, service: &'static ServiceSchema, region: &Region) -> Option<Uri>;
}

impl<F> Resolve for F
where
    F: Fn(&'static ServiceSchema, &Region) -> Option<Uri> + Send + Sync + 'static,
{
    fn resolve(&self, service: &'static ServiceSchema, region: &Region) -> Option<Uri> {
        self(service, region)
    }
}

impl Resolve for Arc<dyn Resolve> {
    fn resolve(&self, service: &'static ServiceSchema, region: &Region) -> Option<Uri> {
        self.as_ref().resolve(service, region)
    }
}

/// An endpoint that cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("{name} is no URL: {value:?}")]
    NotAUrl { name: String, value: String },
    #[error("{name} must begin with http://: {value:?} (the router speaks TLS to the world)")]
    NotHttp { name: String, value: String },
}

/// Fixed endpoints: one for all services, and those of single services before it.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    all: Option<Uri>,
    /// By the service id as environment variables spell it: `SQS`, `API_GATEWAY`.
    single: HashMap<String, Uri>,
}

impl Endpoints {
    /// All services at one place: the router.
    pub fn at(endpoint: Uri) -> Self {
        Endpoints { all: Some(endpoint), single: HashMap::new() }
    }

    /// One service at a place of its own, by its service id (`SQS`, `API Gateway`).
    #[must_use]
    pub fn with(mut self, service_id: &str, endpoint: Uri) -> Self {
        self.single.insert(variable_part(service_id), endpoint);
        self
    }

    /// From `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`, as the SDKs read them
    /// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, EndpointError> {
        const PREFIX: &str = "AWS_ENDPOINT_URL";
        let mut endpoints = Endpoints::default();
        let mut ignored = false;
        for (name, value) in variables {
            ignored |= name == "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" && value.eq_ignore_ascii_case("true");
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            if value.is_empty() {
                continue;
            }
            match rest.strip_prefix('_') {
                None if rest.is_empty() => endpoints.all = Some(base_url(&name, &value)?),
                Some(service) => {
                    endpoints.single.insert(service.to_owned(), base_url(&name, &value)?);
                }
                None => {}
            }
        }
        Ok(if ignored { Endpoints::default() } else { endpoints })
    }
}

impl Resolve for Endpoints {
    fn resolve(&self, service: &'static ServiceSchema, _region: &Region) -> Option<Uri> {
        let single = (!self.single.is_empty()).then(|| self.single.get(&variable_part(service.service_id))).flatten();
        single.or(self.all.as_ref()).cloned()
    }
}

/// A service id as it stands in a variable's name: upper case, an underscore for what is no letter or digit.
fn variable_part(service_id: &str) -> String {
    service_id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn base_url(name: &str, value: &str) -> Result<Uri, EndpointError> {
    let (name, value) = (name.to_owned(), value.to_owned());
    match value.parse::<Uri>() {
        Ok(uri) if uri.scheme_str() == Some("http") && uri.host().is_some() => Ok(uri),
        Ok(uri) if uri.scheme_str() == Some("https") => Err(EndpointError::NotHttp { name, value }),
        _ => Err(EndpointError::NotAUrl { name, value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Result<Endpoints, EndpointError> {
        Endpoints::from_variables(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_services_own_endpoint_goes_before_the_one_for_all() {
        let endpoints = variables(&[
            ("AWS_ENDPOINT_URL", "http://localhost:4566"),
            ("AWS_ENDPOINT_URL_SQS", "http://localhost:9324/base"),
            ("AWS_ENDPOINT_URL_S3", ""),
            ("HOME", "/root"),
        ])
        .unwrap();
        let region = Region::us_east_1();
        let at = |service| endpoints.resolve(service, &region).unwrap().to_string();
        assert_eq!(at(&fractus_sqs_api::MODEL), "http://localhost:9324/base");
        assert_eq!(at(&fractus_s3_api::MODEL), "http://localhost:4566/");
    }

    #[test]
    fn endpoints_may_be_ignored_or_wrong() {
        let ignored = variables(&[("AWS_ENDPOINT_URL", "http://a"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]);
        assert!(ignored.unwrap().resolve(&fractus_sqs_api::MODEL, &Region::us_east_1()).is_none());
        assert!(matches!(variables(&[("AWS_ENDPOINT_URL", "localhost")]), Err(EndpointError::NotAUrl { .. })));
        assert!(matches!(variables(&[("AWS_ENDPOINT_URL_STS", "https://sts")]), Err(EndpointError::NotHttp { .. })));
        assert_eq!(variable_part("API Gateway"), "API_GATEWAY");
    }
}
