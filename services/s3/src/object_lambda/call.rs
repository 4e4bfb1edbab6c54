//! The function that a request has before it, and having it called.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_host::{Access, Context};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::addressing;
use crate::control::routing::Through;
use crate::error::{Error, Result};
use crate::object_lambda::points::{Point, SIGNING_NAME, Transformation};
use crate::service::S3;

/// How long a function has, by the lane's clock.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// What was asked for by way of a function.
pub struct Asked<'a> {
    pub through: &'a Through,
    pub point: &'a Point,
    pub transformation: &'a Transformation,
}

impl<'a> Asked<'a> {
    /// The function that stands before an operation where this request came, with its point and the way behind that.
    pub fn of(cx: &'a Context, operation: &str) -> Option<Asked<'a>> {
        let through = cx.extensions().get::<Arc<Through>>()?;
        let point = through.lambda.as_deref()?;
        let transformation = point.configuration.transformation(operation)?;
        Some(Asked { through, point, transformation })
    }

    /// Where a function answers, a request reaches for the point alone: whether the original may be read is asked when
    /// the function reads it.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-policies.html>
    pub fn access(&self, cx: &Context, action: &str) -> Vec<Access> {
        vec![Access::to(&self.point.arn(cx.world.partition)).by(format!("{SIGNING_NAME}:{action}"))]
    }

    /// Ranges and parts are refused unless the point's configuration says that its function can.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/range-get-olap.html>
    pub fn check_features(&self, cx: &Context, operation: &str, range: bool, part: bool) -> Result<()> {
        let query = cx.uri().query().unwrap_or_default();
        let range = range || addressing::names_parameter(query, "Range");
        let allows = |feature: &str| self.point.configuration.allows(&format!("{operation}-{feature}"));
        if range && !allows("Range") {
            return Err(Error::NotImplemented { header: "Range".into() });
        }
        if part && !allows("PartNumber") {
            return Err(Error::NotImplemented { header: "partNumber".into() });
        }
        Ok(())
    }

    /// Has the function called in a task of its own: who asked may go, and the function goes on after it has answered.
    pub fn call(&self, s3: &S3, cx: &Context, event: &Value) -> oneshot::Receiver<Result<Bytes>> {
        let (ended, end) = oneshot::channel();
        let invoked = s3.functions.invoke(cx, &self.transformation.function, event);
        s3.host.spawn("object lambda", async move {
            // Nobody may be there any more.
            let _ = ended.send(invoked.await);
        });
        end
    }
}
