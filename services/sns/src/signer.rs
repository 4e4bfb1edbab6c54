//! Where the key that messages are signed with comes from: the store, or the first who asks.

use std::sync::Arc;

use fractus_aws::Lane;
use fractus_host::Host;
use fractus_store::Store;
use tokio::sync::OnceCell;

use crate::error::{Error, Result};
use crate::model::signing::{self, Signer};
use crate::store::{ONLY, SIGNING_KEY, lane_scope};

/// The key of the store; clones share it.
#[derive(Clone)]
pub struct SignerSource {
    store: Store,
    host: Host,
    base: Option<String>,
    known: Arc<OnceCell<Arc<Signer>>>,
}

impl SignerSource {
    /// `base`: what certificates' URLs begin with, where that is not the origin of each subscription.
    pub fn new(host: &Host, base: Option<String>) -> Self {
        SignerSource { store: host.store().clone(), host: host.clone(), base, known: Arc::default() }
    }

    /// The key; it is read or made when it is first asked for.
    pub async fn get(&self) -> Result<Arc<Signer>> {
        self.known.get_or_try_init(|| self.load()).await.cloned()
    }

    /// Has the key made in the background, so that the first message need not wait for it.
    pub fn prepare(&self) {
        if self.known.initialized() {
            return;
        }
        let source = self.clone();
        self.host.spawn("signing key", async move {
            if let Err(error) = source.get().await {
                tracing::warn!(%error, "the signing key cannot be made; it is tried again when it is needed");
            }
        });
    }

    async fn load(&self) -> Result<Arc<Signer>> {
        let scope = lane_scope(&Lane::main());
        let known = self.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&SIGNING_KEY, &scope, &(ONLY,))?)).await?;
        let record = match known {
            Some(record) => record,
            None => {
                let random = self.host.random().clone();
                // Requests go on meanwhile.
                let made = tokio::task::spawn_blocking(move || signing::make(&random)).await;
                let made = made.map_err(|error| Error::Internal(error.to_string()))??;
                self.store
                    .write(|tx| match tx.get(&SIGNING_KEY, &scope, &(ONLY,))? {
                        Some(first) => Ok::<_, Error>(first),
                        None => {
                            tx.put(&SIGNING_KEY, &scope, &(ONLY,), &made)?;
                            Ok(made.clone())
                        }
                    })
                    .await?
            }
        };
        Ok(Arc::new(Signer::new(record, self.base.clone())?))
    }

    /// After a reset: the key is the store's, and messages signed with it are about.
    pub async fn keep(&self) {
        let Some(signer) = self.known.get() else { return };
        let scope = lane_scope(&Lane::main());
        let kept = self
            .store
            .write(|tx| {
                if !tx.contains(&SIGNING_KEY, &scope, &(ONLY,))? {
                    tx.put(&SIGNING_KEY, &scope, &(ONLY,), &signer.record)?;
                }
                Ok::<_, Error>(())
            })
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "the signing key is not kept");
        }
    }
}
