//! The ledger of messages to people and devices: SMS, push notifications and e-mail as they were sent, for tests to look at.
//!
//! `GET /_aws/sns/sent` lists them, the oldest first: `?protocol=`, `?endpoint=`, `?topic_arn=`, `?account=`, `?region=` narrow
//! it. The latest 1,000 of an account and region are kept.

use fractus_aws::{Region, World};
use fractus_store::{Order, Range, Scope, Transaction};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::service::Sns;
use crate::store::{LAST_SENT, ONLY, SENT, Sent};

const KEPT: u64 = 1_000;

/// Adds a message; the oldest beyond what is kept is forgotten.
pub fn put(tx: &mut Transaction<'_>, world: &World, region: &Region, sent: &Sent) -> Result<()> {
    let scope = Scope::regional(world, region);
    let number = tx.get(&LAST_SENT, &scope, &(ONLY,))?.unwrap_or(0) + 1;
    tx.put(&LAST_SENT, &scope, &(ONLY,), &number)?;
    tx.put(&SENT, &scope, &(number,), sent)?;
    if number > KEPT {
        tx.delete(&SENT, &scope, &(number - KEPT,))?;
    }
    Ok(())
}

/// What of the ledger is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub protocol: Option<String>,
    pub endpoint: Option<String>,
    pub topic_arn: Option<String>,
}

impl Wanted {
    fn takes(&self, sent: &Sent) -> bool {
        let fits = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        fits(&self.protocol, &sent.protocol)
            && fits(&self.endpoint, &sent.endpoint)
            && fits(&self.topic_arn, sent.topic_arn.as_deref().unwrap_or_default())
    }
}

/// The messages of an account in a region, as JSON.
pub async fn list(sns: &Sns, world: &World, region: &Region, wanted: &Wanted) -> Result<Value> {
    let scope = Scope::regional(world, region);
    let sent: Vec<Value> = sns
        .store
        .read(|snapshot| {
            let mut list = Vec::new();
            for entry in snapshot.range(&SENT, &scope, Range::all(), Order::Ascending)? {
                let (_, sent) = entry?;
                if wanted.takes(&sent) {
                    list.push(shown(&sent));
                }
            }
            Ok::<_, Error>(list)
        })
        .await?;
    Ok(json!({ "sent": sent }))
}

fn shown(sent: &Sent) -> Value {
    json!({
        "protocol": sent.protocol,
        "endpoint": sent.endpoint,
        "message_id": sent.message_id,
        "topic_arn": sent.topic_arn,
        "subject": sent.subject,
        "message": sent.message,
        "attributes": sent.attributes,
        "sent_at": sent.sent_at.date_time_millis(),
    })
}
