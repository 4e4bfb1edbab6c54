//! Operations on objects as they lie: restoring them from an archive, encrypting them anew, and torrents, of which S3 has
//! none any more.

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::BlobRef;

use crate::configurations::{self, of};
use crate::error::{Error, Result};
use crate::extras::Extras;
use crate::ingest::{Expected, Keeping, ingest};
use crate::keys::{self, Need};
use crate::metadata::changes::{self, About, What};
use crate::model::archive::{self, Requested};
use crate::model::encryption::{Encryption, is_twice};
use crate::notify::{Happening, announce};
use crate::objects::{self, NewContent, sequencer_of_change};
use crate::operations::{annotations, get};
use crate::sealing::Secret;
use crate::service::S3;
use crate::store::Object;
use crate::{restores, tiering, versions};

/// In the header that only restores with a query have, until the answer's status is set by it.
pub const ACCEPTED: &str = "accepted";

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html>
pub async fn restore(s3: &S3, cx: &Context, input: api::RestoreObjectInput) -> Result<api::RestoreObjectOutput> {
    let request = input.restore_request.as_ref().ok_or(Error::MalformedXml)?;
    if request.r#type.is_some() || request.select_parameters.is_some() || request.output_location.is_some() {
        // Queries as a part of a restore were ended by AWS for everybody.
        return Err(Error::MethodNotAllowed { method: "POST".into(), resource: "OBJECT" });
    }
    let tier = request.glacier_job_parameters.as_ref().map(|job| &job.tier).or(request.tier.as_ref());
    let tier = tier.map_or("Standard", api::Tier::as_str);
    let now = cx.now();
    let (begun, _sent) = configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        let mut begun = false;
        let current = versions::object(tx, scope, bucket, &input.key, input.version_id.as_deref())?;
        let running = current.extras.as_ref().and_then(|extras| extras.restore);
        if running.is_some_and(|running| now < running.ready_at) {
            return Err(archive::in_progress());
        }
        let from_tier = tiering::tier(tx, scope, bucket, &input.key, &current, now)?;
        let object = versions::rewrite(tx, scope, bucket, &input.key, input.version_id.as_deref(), |object| {
            let requested = match &from_tier {
                Some(from) => Requested::Begun(tiering::restore(from, tier, request.days, now)?),
                None => archive::request(object, request.days, tier, now)?,
            };
            begun = matches!(requested, Requested::Begun(_));
            let (Requested::Begun(restore) | Requested::Extended(restore)) = requested;
            let mut extras = object.extras.take().map_or_else(Extras::default, |extras| *extras);
            extras.restore = Some(restore);
            object.extras = extras.boxed();
            Ok(())
        })?;
        if !begun {
            return Ok((false, Vec::new()));
        }
        if let Some(restore) = object.extras.as_ref().and_then(|extras| extras.restore) {
            restores::enqueue(tx, scope, bucket, &input.key, &object, restore)?;
        }
        let happening = Happening::new(cx, "s3:ObjectRestore:Post", now);
        let sequencer = sequencer_of_change(&object, now);
        Ok((true, announce(tx, s3, bucket, &input.key, Some(&object), sequencer, &happening)?))
    })
    .await?;
    s3.restores.wake();
    Ok(api::RestoreObjectOutput { restore_output_path: begun.then(|| ACCEPTED.to_owned()), request_charged: None })
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html>
pub async fn update_encryption(
    s3: &S3,
    cx: &Context,
    input: api::UpdateObjectEncryptionInput,
) -> Result<api::UpdateObjectEncryptionOutput> {
    let api::ObjectEncryption::Ssekms(wanted) = &input.object_encryption else { return Err(Error::MalformedXml) };
    if !wanted.kms_key_arn.starts_with("arn:") || !wanted.kms_key_arn.contains(":kms:") {
        let message = "The KMS key must be named by its ARN";
        return Err(Error::invalid_argument("KMSKeyArn", wanted.kms_key_arn.clone(), message));
    }
    let target = get::Target {
        bucket: &input.bucket,
        key: &input.key,
        version_id: input.version_id.as_deref(),
        owner: input.expected_bucket_owner.as_deref(),
    };
    let need = Need {
        key: wanted.kms_key_arn.clone(),
        bucket_key: wanted.bucket_key_enabled.unwrap_or(false),
        context: None,
        twice: false,
    };
    let granted = s3.keys.grant(cx, &need, &input.bucket, &input.key).await?;
    let data_key = granted.of(need.clone())?;
    let resealed = reseal(s3, cx, target, granted.secret()).await?;
    let (new_id, now) = (cx.random().u64(), cx.now());
    let changed = configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        let kept = match &resealed {
            None => None,
            Some(Resealed { source, blob, secret }) => {
                let current = versions::object(tx, scope, bucket, &input.key, input.version_id.as_deref())?;
                if current.sequencer != source.sequencer || current.encryption() != source.encryption() {
                    let key = input.key.clone();
                    return Err(Error::ConditionalRequestConflict { condition: "x-amz-version-id", key });
                }
                let version = (&*bucket, input.key.as_str(), current.sequencer);
                let sealing = annotations::Sealing { from: secret.as_ref(), to: granted.secret(), random: cx.random() };
                annotations::carry(tx, scope, version, version, sealing)?;
                Some(NewContent::of_blob(blob.clone(), new_id).keep(tx, scope, Some(&current.content))?)
            }
        };
        let (content, freed) = kept.unzip();
        let changed = versions::rewrite(tx, scope, bucket, &input.key, input.version_id.as_deref(), |object| {
            let asked = match object.encryption() {
                Some(Encryption::Customer { .. }) => None,
                Some(Encryption::Kms { algorithm, .. }) if is_twice(algorithm) => None,
                _ => Some(Encryption::Kms {
                    algorithm: "aws:kms".to_owned(),
                    key: need.key.clone(),
                    bucket_key: need.bucket_key,
                    context: None,
                    data_key: data_key.clone(),
                }),
            };
            let encryption =
                asked.ok_or_else(|| Error::invalid_request("The encryption type of the object cannot be updated."))?;
            if content.is_none() && object.encryption().is_some_and(Encryption::is_sealed) {
                // What is sealed stays under its key while no KMS gives another.
                return Err(keys::unavailable());
            }
            let mut extras = object.extras.take().map_or_else(Extras::default, |extras| *extras);
            extras.encryption = Some(encryption);
            object.extras = extras.boxed();
            if let Some(content) = content {
                object.content = content;
            }
            Ok(())
        })?;
        let about = About {
            cx,
            what: What::UpdateMetadata,
            key: &input.key,
            version_id: changed.version_id.as_deref(),
            sequencer: sequencer_of_change(&changed, now),
            object: Some(&changed),
            now,
        };
        changes::record(tx, bucket, &about)?;
        Ok(freed.flatten())
    })
    .await;
    match changed {
        Ok(freed) => s3.free(freed),
        Err(error) => {
            s3.free(resealed.map(|resealed| resealed.blob));
            return Err(error);
        }
    }
    Ok(api::UpdateObjectEncryptionOutput::default())
}

/// An object whose bytes are sealed anew.
struct Resealed {
    source: Object,
    blob: BlobRef,
    /// What they were sealed with before.
    secret: Option<Secret>,
}

/// The object and its bytes as they are under a new data key, segment by segment; nothing where there is none, and where
/// the object's own encryption cannot be changed anyway.
async fn reseal(
    s3: &S3,
    cx: &Context,
    target: get::Target<'_>,
    new_secret: Option<&Secret>,
) -> Result<Option<Resealed>> {
    let Some(new_secret) = new_secret else { return Ok(None) };
    let (source, readable) = match get::stored(s3, cx, target).await {
        Ok(found) => found,
        // Said by the transaction, where it is said of every object.
        Err(Error::InvalidRequest { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let (mut from, mut blobs) = (0, Vec::new());
    for length in objects::segments(&source) {
        let body = readable.clone().into_body(s3, from, from + length);
        let keeping = Keeping::new(&s3.store, s3.config.small_object_bytes).sealed(Some(new_secret), cx.random())?;
        match ingest(keeping, body, &Expected::default()).await {
            Ok(ingested) => blobs.push(ingested.blob),
            Err(error) => {
                s3.free(blobs);
                return Err(error);
            }
        }
        from += length;
    }
    Ok(Some(Resealed { source, blob: BlobRef::concat(&blobs), secret: readable.secret().cloned() }))
}

/// S3 has no torrents since 2022.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTorrent.html>
pub async fn torrent(s3: &S3, cx: &Context, input: api::GetObjectTorrentInput) -> Result<api::GetObjectTorrentOutput> {
    configurations::look(s3, cx, of!(input), |snapshot, scope, bucket| {
        versions::object(snapshot, scope, bucket, &input.key, None).map(drop)
    })
    .await?;
    Err(Error::MethodNotAllowed { method: "GET".into(), resource: "TORRENT" })
}
