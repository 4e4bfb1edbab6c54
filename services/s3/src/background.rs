//! Work that no request waits for: giving back the room of bytes that nothing refers to.

use std::time::Duration;

use fractus_clock::Clock;
use fractus_store::BlobRef;
use tokio::sync::mpsc;

use crate::operations::annotations;
use crate::service::S3;

/// How often what crashes and interrupted uploads left behind is looked for, in real time.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Blobs that are still being read are looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Starts to give back room.
pub fn start(s3: &S3, mut freed: mpsc::UnboundedReceiver<BlobRef>) {
    let service = s3.clone();
    s3.host.spawn("blob room", async move {
        let draining = service.host.draining();
        let mut held: Vec<BlobRef> = Vec::new();
        loop {
            let pause = if held.is_empty() { SWEEP_EVERY } else { LOOK_AGAIN };
            tokio::select! {
                () = draining.cancelled() => return,
                blob = freed.recv() => match blob {
                    Some(blob) => give_back(&service, blob, &mut held).await,
                    None => return,
                },
                () = Clock::real().sleep(pause) => {
                    if held.is_empty() {
                        sweep(&service).await;
                        if let Err(error) = annotations::sweep(&service).await {
                            let error = &error as &dyn std::error::Error;
                            tracing::warn!(error, "annotations of what has gone could not be removed");
                        }
                    }
                    for blob in std::mem::take(&mut held) {
                        give_back(&service, blob, &mut held).await;
                    }
                }
            }
        }
    });
}

async fn give_back(s3: &S3, blob: BlobRef, held: &mut Vec<BlobRef>) {
    if s3.readers.hold(&blob) {
        held.push(blob);
    } else if let Err(error) = s3.store.discard(&blob).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "bytes nobody refers to could not be removed");
    }
}

/// The most pieces one look takes, and the age before which a piece may belong to an upload that still runs.
const PIECES_AT_ONCE: usize = 1_000;
const MIN_AGE: Duration = Duration::from_secs(3_600);

async fn sweep(s3: &S3) {
    let mut after = String::new();
    loop {
        match s3.store.sweep_blobs(&after, PIECES_AT_ONCE, MIN_AGE).await {
            Ok(Some(next)) => after = next,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "looking for forgotten bytes failed");
                return;
            }
        }
    }
}
