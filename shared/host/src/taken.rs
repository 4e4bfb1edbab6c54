//! Which deliveries were taken, so that one that comes twice does what it does once.
//!
//! A process that is killed between taking a delivery and saying so gets it again some seconds later, whatever becomes of its
//! lane's clock meanwhile: what was taken is remembered in real time.

use std::time::Duration;

use fractus_clock::Clock;
use fractus_store::{Collection, Scope, Store, StoreError, Transaction};

/// By the delivery's id.
pub(crate) type Ids = Collection<(String,), ()>;

const TAKEN: Ids = Collection::new("host.taken");

/// How long the bus may bring one again: its queue drops what is sent twice within two minutes, and what is not settled goes
/// to another replica within seconds.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Takes a delivery with the writes that it leads to; false where it was taken before.
pub fn take(tx: &mut Transaction<'_>, id: &str) -> Result<bool, StoreError> {
    enter(tx, &TAKEN, id)
}

/// Whether it was taken.
pub async fn is_taken(store: &Store, id: &str) -> Result<bool, StoreError> {
    is_among(store, &TAKEN, id).await
}

/// Enters an id among `ids`; false where it is there already.
pub(crate) fn enter(tx: &mut Transaction<'_>, ids: &Ids, id: &str) -> Result<bool, StoreError> {
    let scope = Scope::in_real_time();
    if tx.contains(ids, &scope, &(id,))? {
        return Ok(false);
    }
    tx.put_until(ids, &scope, &(id,), &(), Clock::real().now().plus(REMEMBERED))?;
    Ok(true)
}

pub(crate) async fn is_among(store: &Store, ids: &Ids, id: &str) -> Result<bool, StoreError> {
    store.read(|snapshot| snapshot.contains(ids, &Scope::in_real_time(), &(id,))).await
}
