//! Requests about multi-region access points, which are worked off in the background and asked after by a token.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_DescribeMultiRegionAccessPointOperation.html>

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::{Collection, Scope, Transaction};
use fractus_wire::Shape;
use serde::{Deserialize, Serialize};

use crate::control::errors::refused;
use crate::control::kept::{from_json, to_json};
use crate::control::mrap::WORKS;
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;

/// Requests by the last part of their token: (account, id).
const REQUESTS: Collection<(String, String), Kept> = Collection::new("control.multi-region-requests");
/// The token that a client's own token has led to: (account, client token).
const CLIENT_TOKENS: Collection<(String, String), String> = Collection::new("control.multi-region-tokens");

/// Multi-region access points are controlled in one region.
const HOME: &str = "us-west-2";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    /// `create`, `delete`, `put-policy`.
    verb: String,
    created_at: Timestamp,
    /// JSON of what was asked.
    details: String,
    regions: Vec<String>,
}

/// A request that comes in.
pub struct Request<'a> {
    account: &'a str,
    verb: &'static str,
    client_token: &'a str,
    details: String,
    id: String,
    arn: String,
    now: Timestamp,
}

impl<'a> Request<'a> {
    pub fn new(cx: &'a Context, verb: &'static str, client_token: &'a str, details: &dyn Shape) -> Result<Request<'a>> {
        let id = cx.random().uuid().replace('-', "");
        let account = cx.world.account.as_str();
        let arn = format!("arn:{}:s3:{HOME}:{account}:async-request/mrap/{verb}/{id}", cx.world.partition);
        let now = cx.now().to_millis_precision();
        Ok(Request { account, verb, client_token, details: to_json(details)?, id, arn, now })
    }

    /// Does what it asks for in a transaction that keeps it, unless the same request came before; gives its token. `work` gives
    /// the regions that are concerned.
    pub async fn once(
        &self,
        s3: &S3,
        scope: &Scope,
        work: impl Fn(&mut Transaction<'_>) -> Result<Vec<String>> + Send + Sync,
    ) -> Result<String> {
        s3.store
            .write(|tx| match self.repeated(tx, scope)? {
                Some(token) => Ok(token),
                None => {
                    let regions = work(tx)?;
                    self.keep(tx, scope, regions)
                }
            })
            .await
    }

    /// The token of the same request that came before; a token of the client's is for one request.
    fn repeated(&self, tx: &Transaction<'_>, scope: &Scope) -> Result<Option<String>> {
        let Some(arn) = tx.get(&CLIENT_TOKENS, scope, &(self.account, self.client_token))? else { return Ok(None) };
        let known = tx.get(&REQUESTS, scope, &(self.account, id_in(&arn)))?;
        if known.is_some_and(|known| known.verb == self.verb && known.details == self.details) {
            return Ok(Some(arn));
        }
        let message = "The client token was used by another request";
        Err(refused("IdempotencyParameterMismatch", 400, message))
    }

    fn keep(&self, tx: &mut Transaction<'_>, scope: &Scope, regions: Vec<String>) -> Result<String> {
        let kept = Kept { verb: self.verb.to_owned(), created_at: self.now, details: self.details.clone(), regions };
        tx.put(&REQUESTS, scope, &(self.account, self.id.as_str()), &kept)?;
        tx.put(&CLIENT_TOKENS, scope, &(self.account, self.client_token), &self.arn)?;
        Ok(self.arn.clone())
    }
}

fn id_in(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

pub async fn describe(
    s3: &S3,
    cx: &Context,
    input: api::DescribeMultiRegionAccessPointOperationInput,
) -> Result<api::DescribeMultiRegionAccessPointOperationOutput> {
    let scope = scope(cx);
    let at = (cx.world.account.as_str(), id_in(&input.request_token_arn));
    let found = s3.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&REQUESTS, &scope, &at)?)).await?;
    let message = "The specified async request does not exist";
    let kept = found.ok_or_else(|| refused("NoSuchAsyncRequest", 404, message))?;
    let status = if cx.now() < kept.created_at.plus(WORKS) { "INPROGRESS" } else { "SUCCEEDED" };
    let mut parameters = api::AsyncRequestParameters::default();
    let operation = match kept.verb.as_str() {
        "create" => {
            parameters.create_multi_region_access_point_request = Some(from_json(&kept.details)?);
            api::AsyncOperationName::CreateMultiRegionAccessPoint
        }
        "delete" => {
            parameters.delete_multi_region_access_point_request = Some(from_json(&kept.details)?);
            api::AsyncOperationName::DeleteMultiRegionAccessPoint
        }
        _ => {
            parameters.put_multi_region_access_point_policy_request = Some(from_json(&kept.details)?);
            api::AsyncOperationName::PutMultiRegionAccessPointPolicy
        }
    };
    let regions = kept.regions.into_iter().map(|name| api::MultiRegionAccessPointRegionalResponse {
        name: Some(name),
        request_status: Some(status.to_owned()),
    });
    let details = api::MultiRegionAccessPointsAsyncResponse { regions: Some(regions.collect()) };
    let async_operation = api::AsyncOperation {
        creation_time: Some(kept.created_at),
        operation: Some(operation),
        request_token_arn: Some(input.request_token_arn),
        request_parameters: Some(parameters),
        request_status: Some(status.to_owned()),
        response_details: Some(api::AsyncResponseDetails {
            multi_region_access_point_details: Some(details),
            error_details: None,
        }),
    };
    Ok(api::DescribeMultiRegionAccessPointOperationOutput { async_operation: Some(async_operation) })
}
