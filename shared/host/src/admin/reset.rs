//! `/_fractus/reset`: state is forgotten; all of it, or a lane's, an account's, an account's in one region.

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use serde_json::json;

use fractus_aws::{AccountId, InvalidName, Lane, Region};
use fractus_bus::contracts::ResetScope;

use super::{Answer, failed, json_answer, query, read_json, wrong};
use crate::control;
use crate::serve::Server;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    lane: Option<String>,
    account: Option<String>,
    region: Option<String>,
}

pub(super) async fn answer(server: &Server, head: &Parts, body: &Bytes) -> Answer {
    let asked: Asked = match read_json(body) {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let from_query = |name| query(head, name).map(str::to_owned);
    let asked = Asked {
        lane: asked.lane.or(from_query("lane")),
        account: asked.account.or(from_query("account")),
        region: asked.region.or(from_query("region")),
    };
    let scope = match scope(asked) {
        Ok(scope) => scope,
        Err(error) => return wrong(&error.to_string()),
    };
    if let Err(error) = control::reset_here(&server.host, &scope).await {
        return failed(&error.to_string());
    }
    control::tell_reset(&server.host, scope.clone());
    json_answer(StatusCode::OK, &json!({ "reset": scope }))
}

fn scope(asked: Asked) -> Result<ResetScope, InvalidName> {
    let Asked { lane, account, region } = asked;
    if lane.is_none() && account.is_none() && region.is_none() {
        return Ok(ResetScope::All);
    }
    let lane = lane.map_or_else(|| Ok(Lane::main()), Lane::new)?;
    let account = account.map(AccountId::new).transpose()?;
    Ok(match (account, region) {
        (None, None) => ResetScope::Lane { lane },
        (Some(account), None) => ResetScope::Account { lane, account },
        (account, Some(region)) => {
            let account = account.unwrap_or_else(AccountId::default_account);
            ResetScope::Region { lane, account, region: Region::new(region)? }
        }
    })
}
