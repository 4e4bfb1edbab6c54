//! Object Lambda access points: the record that S3 Control writes and requests through them read.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-create.html>

use fractus_aws::{Arn, Partition};
use fractus_clock::Timestamp;
use fractus_s3control_api as api;
use fractus_store::{Collection, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::control::errors::no_access_point;
use crate::control::store::{ALIASES, Alias};
use crate::error::{Error, Result};

/// Points by account, region and name.
pub const POINTS: Collection<(String, String, String), Point> = Collection::new("control.object-lambda");

/// By what name policies and signatures know Object Lambda.
pub const SIGNING_NAME: &str = "s3-object-lambda";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub name: String,
    pub account: String,
    pub region: String,
    pub created_at: Timestamp,
    /// `name-...--ol-s3`: takes the place of a bucket's name.
    pub alias: String,
    pub configuration: Configuration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// What stands behind a point, and which functions stand before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The ARN of the access point behind it.
    pub supporting: String,
    #[serde(default)]
    pub metrics_enabled: Option<bool>,
    /// `GetObject-Range`, `GetObject-PartNumber` ...
    #[serde(default)]
    pub allowed_features: Option<Vec<String>>,
    pub transformations: Vec<Transformation>,
}

/// A function, and the operations that it stands before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transformation {
    /// `GetObject`, `HeadObject` ...
    pub actions: Vec<String>,
    pub function: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

impl Configuration {
    /// From the API's shape, which names at least one transformation, each by a function.
    ///
    /// # Errors
    /// `MalformedXML` where it names none.
    pub fn of(given: api::ObjectLambdaConfiguration) -> Result<Configuration> {
        let transformations = given.transformation_configurations.into_iter().map(|one| {
            let api::ObjectLambdaContentTransformation::AwsLambda(lambda) = one.content_transformation else {
                return Err(Error::MalformedXml);
            };
            let actions = one.actions.iter().map(|action| action.as_str().to_owned()).collect();
            Ok(Transformation { actions, function: lambda.function_arn, payload: lambda.function_payload })
        });
        let transformations = transformations.collect::<Result<Vec<_>>>()?;
        if transformations.is_empty() {
            return Err(Error::MalformedXml);
        }
        let names = |features: Vec<api::ObjectLambdaAllowedFeature>| {
            features.iter().map(|feature| feature.as_str().to_owned()).collect()
        };
        Ok(Configuration {
            supporting: given.supporting_access_point,
            metrics_enabled: given.cloud_watch_metrics_enabled,
            allowed_features: given.allowed_features.map(names),
            transformations,
        })
    }

    pub fn shown(self) -> api::ObjectLambdaConfiguration {
        let transformations =
            self.transformations.into_iter().map(|one| api::ObjectLambdaTransformationConfiguration {
                actions: one.actions.iter().map(|action| action.as_str().into()).collect(),
                content_transformation: api::ObjectLambdaContentTransformation::AwsLambda(
                    api::AwsLambdaTransformation { function_arn: one.function, function_payload: one.payload },
                ),
            });
        let features = |features: Vec<String>| features.iter().map(|feature| feature.as_str().into()).collect();
        api::ObjectLambdaConfiguration {
            supporting_access_point: self.supporting,
            cloud_watch_metrics_enabled: self.metrics_enabled,
            allowed_features: self.allowed_features.map(features),
            transformation_configurations: transformations.collect(),
        }
    }

    pub fn transformation(&self, action: &str) -> Option<&Transformation> {
        self.transformations.iter().find(|one| one.actions.iter().any(|known| known == action))
    }

    pub fn allows(&self, feature: &str) -> bool {
        self.allowed_features.iter().flatten().any(|allowed| allowed == feature)
    }
}

impl Point {
    pub fn arn(&self, partition: Partition) -> Arn {
        Arn::new(partition, SIGNING_NAME, &self.region, &self.account, format!("accesspoint/{}", self.name))
    }

    fn place(&self) -> (&str, &str, &str) {
        (&self.account, &self.region, &self.name)
    }
}

/// Keeps a point, and whose its alias is.
pub fn put(tx: &mut Transaction<'_>, scope: &Scope, point: &Point) -> Result<()> {
    tx.put(&POINTS, scope, &point.place(), point)?;
    let (account, region, name) = point.place();
    let stands_for =
        Alias::ObjectLambda { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
    Ok(tx.put(&ALIASES, scope, &(point.alias.as_str(),), &stands_for)?)
}

pub fn remove(tx: &mut Transaction<'_>, scope: &Scope, point: &Point) -> Result<()> {
    tx.delete(&ALIASES, scope, &(point.alias.as_str(),))?;
    Ok(tx.delete(&POINTS, scope, &point.place())?)
}

/// # Errors
/// `NoSuchAccessPoint`.
pub fn find(snapshot: &Snapshot<'_>, scope: &Scope, account: &str, region: &str, name: &str) -> Result<Point> {
    snapshot.get(&POINTS, scope, &(account, region, name))?.ok_or_else(|| no_access_point(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_shown_as_they_were_given() {
        let lambda = api::AwsLambdaTransformation { function_arn: "f".into(), function_payload: Some("p".into()) };
        let given = api::ObjectLambdaConfiguration {
            supporting_access_point: "arn".into(),
            cloud_watch_metrics_enabled: Some(false),
            allowed_features: Some(vec![api::ObjectLambdaAllowedFeature::GetObjectRange]),
            transformation_configurations: vec![api::ObjectLambdaTransformationConfiguration {
                actions: vec![api::ObjectLambdaTransformationConfigurationAction::HeadObject],
                content_transformation: api::ObjectLambdaContentTransformation::AwsLambda(lambda),
            }],
        };
        let kept = Configuration::of(given.clone()).unwrap();
        assert!(kept.allows("GetObject-Range") && !kept.allows("GetObject-PartNumber"));
        assert!(kept.transformation("HeadObject").is_some() && kept.transformation("GetObject").is_none());
        assert_eq!(kept.shown(), given);
        assert!(Configuration::of(api::ObjectLambdaConfiguration::default()).is_err(), "no transformation");
    }
}
