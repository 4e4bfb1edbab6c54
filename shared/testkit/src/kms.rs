//! A KMS for tests of services that keep things under a customer's key.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fractus_datakeys::kms::{
    Decrypt, DecryptInput, DecryptOutput, GenerateDataKey, GenerateDataKeyInput, GenerateDataKeyOutput, MODEL,
};
use fractus_host::{App, Context, Host, Operations, Service};
use fractus_wire::Failure;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use crate::wait_for;

/// What somebody asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub operation: &'static str,
    pub caller: String,
    pub context: BTreeMap<String, String>,
}

/// One key by its ARN, bound to contexts as KMS binds keys: what was made under one context opens under no other. The test
/// has it refuse, and looks at what it was asked. Clones are the same KMS.
#[derive(Clone, Default)]
pub struct Kms {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    asked: Mutex<Vec<Asked>>,
    refusal: Mutex<Option<(&'static str, u16, String)>>,
}

impl Service for Kms {}

impl Kms {
    /// The key there is.
    pub const KEY: &'static str = "arn:aws:kms:us-east-1:000000000000:key/there";

    /// Starts it in a stack, under the name `kms`.
    pub fn start(&self) -> impl Fn(Host) -> BoxFuture<'static, Result<App, String>> + Send + Sync + 'static {
        let kms = self.clone();
        move |_| {
            let table = Operations::new(&[&MODEL]).on(GenerateDataKey, made).on(Decrypt, opened);
            let app = App::new(Arc::new(kms.clone()), table);
            Box::pin(async move { Ok(app) })
        }
    }

    /// From now on it refuses so; with nothing it works again.
    pub fn refuse(&self, refusal: Option<(&'static str, u16, &str)>) {
        *self.inner.refusal.lock() = refusal.map(|(code, status, message)| (code, status, message.to_owned()));
    }

    pub fn taken(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.inner.asked.lock())
    }

    /// Waits until `ask` has led to a question, which is when a service has heard of this KMS.
    pub async fn heard<F: Future>(&self, mut ask: impl FnMut() -> F) {
        wait_for("KMS is asked", || {
            let asking = ask();
            async move {
                asking.await;
                (!self.taken().is_empty()).then_some(())
            }
        })
        .await;
    }

    fn note(
        &self,
        cx: &Context,
        operation: &'static str,
        context: Option<HashMap<String, String>>,
    ) -> Result<String, Failure> {
        let context: BTreeMap<_, _> = context.unwrap_or_default().into_iter().collect();
        let bound = format!("{context:?}");
        self.inner.asked.lock().push(Asked { operation, caller: cx.caller.arn.clone(), context });
        match &*self.inner.refusal.lock() {
            Some((code, status, message)) => Err(Failure::new(*code, *status, message.as_str())),
            None => Ok(bound),
        }
    }
}

async fn made(kms: &Kms, cx: &Context, input: GenerateDataKeyInput) -> Result<GenerateDataKeyOutput, Failure> {
    let context = input.encryption_context.map(|context| context.into_iter().collect());
    let bound = kms.note(cx, "GenerateDataKey", context)?;
    if input.key_id != Kms::KEY {
        return Err(Failure::new("NotFoundException", 400, format!("Key '{}' does not exist", input.key_id)));
    }
    Ok(GenerateDataKeyOutput {
        plaintext: Some(Bytes::from_static(&[7; 32])),
        ciphertext_blob: Some(Bytes::from(format!("{}/{bound}", cx.random().uuid()))),
        key_id: Some(Kms::KEY.into()),
        ..Default::default()
    })
}

async fn opened(kms: &Kms, cx: &Context, input: DecryptInput) -> Result<DecryptOutput, Failure> {
    let context = input.encryption_context.map(|context| context.into_iter().collect());
    let bound = kms.note(cx, "Decrypt", context)?;
    let wrapped = input.ciphertext_blob.unwrap_or_default();
    let is_bound =
        std::str::from_utf8(&wrapped).ok().and_then(|text| text.split_once('/')).is_some_and(|(_, to)| to == bound);
    if !is_bound {
        return Err(Failure::new("InvalidCiphertextException", 400, ""));
    }
    Ok(DecryptOutput { plaintext: Some(Bytes::from_static(&[7; 32])), ..Default::default() })
}
