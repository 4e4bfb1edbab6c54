//! The first steps of every service, as a service writes them.

use bytes::Bytes;
use fractus_aws::{Region, World};
use fractus_clock::Clocks;
use fractus_store::{Collection, Order, Range, Scope, Store, StoreError, Transaction};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Queue {
    name: String,
    body: Bytes,
}

const QUEUES: Collection<(String,), Queue> = Collection::new("queues");
const OBJECTS: Collection<(String, String), u64> = Collection::new("objects");

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("exists")]
    Exists,
}

fn helper(tx: &mut Transaction<'_>, scope: &Scope) -> Result<(), Error> {
    if tx.get(&QUEUES, scope, &("a",))?.is_some() {
        return Err(Error::Exists);
    }
    tx.put(&QUEUES, scope, &("a",), &Queue { name: "a".into(), body: Bytes::from_static(b"x") })?;
    Ok(())
}

#[tokio::test]
async fn put_get_scan() {
    let store = Store::memory(Clocks::default());
    let scope = Scope::regional(&World::default_world(), &Region::us_east_1());
    let handle = tokio::spawn({
        let (store, scope) = (store.clone(), scope.clone());
        async move { store.write(|tx| helper(tx, &scope)).await }
    });
    handle.await.unwrap().unwrap();
    assert!(matches!(store.write(|tx| helper(tx, &scope)).await, Err(Error::Exists)));
    let names = ["a/1", "a/2", "a", "b", "b/1", "a\u{0}", "a\u{1}"];
    store
        .write(|tx| {
            for (n, name) in names.iter().enumerate() {
                tx.put(&OBJECTS, &scope, &("bucket", *name), &(n as u64))?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let keys = |range: Range<(String, String)>, order| {
        let (store, scope) = (store.clone(), scope.clone());
        async move {
            store
                .read(|snap| {
                    let items = snap.range(&OBJECTS, &scope, range, order)?;
                    items.map(|item| item.map(|((_, name), _)| name)).collect::<Result<Vec<_>, StoreError>>()
                })
                .await
                .unwrap()
        }
    };
    let in_order = ["a", "a\u{0}", "a\u{1}", "a/1", "a/2", "b", "b/1"];
    assert_eq!(keys(Range::all(), Order::Ascending).await, in_order);
    assert_eq!(keys(Range::starts_with(&("bucket", "a/")), Order::Descending).await, ["a/2", "a/1"]);
    assert_eq!(keys(Range::prefix(&("bucket",)).after(&("bucket", "b")), Order::Ascending).await, ["b/1"]);
    assert_eq!(keys(Range::all().from(&("bucket", "b")), Order::Ascending).await, ["b", "b/1"]);
    assert_eq!(keys(Range::all().to(&("bucket", "a\u{0}")), Order::Ascending).await, ["a"]);
    assert_eq!(keys(Range::all().through(&("bucket", "a\u{0}")), Order::Ascending).await, ["a", "a\u{0}"]);
    assert_eq!(keys(Range::all().after(&("bucket",)), Order::Ascending).await, Vec::<String>::new());
    assert_eq!(keys(Range::prefix(&("bucke",)), Order::Ascending).await, Vec::<String>::new());
}
