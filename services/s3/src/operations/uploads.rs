//! ListMultipartUploads.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Order, Range, Scan, Scope, Snapshot};

use crate::control::outposts::place;
use crate::error::{Error, Result};
use crate::model::list::{self, Entry, From, Keys, Listing};
use crate::objects::{self, scope};
use crate::operations::checksums::shown_type;
use crate::operations::list::{Encoding, Owners, max_entries};
use crate::service::S3;
use crate::store::{Bucket, UPLOADS, Upload};

/// Stands between key and upload id in the walk's texts; no key contains it at that place twice.
const BETWEEN: char = '\u{0}';

/// A bucket's uploads as a source of texts `key NUL upload-id`, which sort as the listing does.
struct Uploads<'s, 't> {
    snapshot: &'s Snapshot<'t>,
    scope: &'s Scope,
    bucket: &'s Bucket,
    prefix: &'s str,
    scan: Option<Scan<'s, 't, (u64, String, String), Upload>>,
}

impl Keys<Upload, Error> for Uploads<'_, '_> {
    fn seek(&mut self, from: From<'_>) -> Result<()> {
        let whole = Range::starts_with(&(self.bucket.id, self.prefix));
        let range = match from {
            From::Start => whole,
            From::After(text) => match text.split_once(BETWEEN) {
                Some((key, upload_id)) => whole.after(&(self.bucket.id, key, upload_id)),
                // A key alone: all its uploads are behind.
                None => whole.after(&(self.bucket.id, text)),
            },
            From::AfterPrefix(prefix) => whole.after_starting_with(&(self.bucket.id, prefix)),
        };
        self.scan = Some(self.snapshot.range(&UPLOADS, self.scope, range, Order::Ascending)?);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(String, Upload)>> {
        let Some(scan) = &mut self.scan else { return Ok(None) };
        let next = scan.next().transpose()?;
        Ok(next.map(|((_, key, upload_id), upload)| (format!("{key}{BETWEEN}{upload_id}"), upload)))
    }
}

pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListMultipartUploadsInput,
) -> Result<api::ListMultipartUploadsOutput> {
    let encoding = Encoding::asked(input.encoding_type.as_ref())?;
    let max = max_entries(input.max_uploads, "max-uploads")?;
    let after = match (input.key_marker.as_deref().unwrap_or_default(), input.upload_id_marker.as_deref()) {
        ("", _) => String::new(),
        (key, None | Some("")) => key.to_owned(),
        (key, Some(upload_id)) => format!("{key}{BETWEEN}{upload_id}"),
    };
    let listing = Listing {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        after: &after,
        max_entries: max,
    };
    let scope = scope(cx);
    let (owners, page) = s3
        .store
        .read(|snapshot| {
            let bucket = objects::open(cx, snapshot, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let mut keys = Uploads { snapshot, scope: &scope, bucket: &bucket, prefix: listing.prefix, scan: None };
            let page = list::page(&listing, &mut keys)?;
            drop(keys);
            Ok::<_, Error>((Owners::of(snapshot, &scope, &bucket)?, page))
        })
        .await?;
    // Where the page ends is told of the last one, too.
    let next = page.entries.last().map_or(("", ""), |last| match last {
        Entry::Key(text, _) | Entry::CommonPrefix(text) => text.split_once(BETWEEN).unwrap_or((text, "")),
    });
    let (next_key, next_upload) = (next.0.to_owned(), next.1.to_owned());
    let is_truncated = page.is_truncated;
    let (mut uploads, mut common_prefixes) = (Vec::new(), Vec::new());
    for entry in page.entries {
        match entry {
            Entry::CommonPrefix(prefix) => {
                common_prefixes.push(api::CommonPrefix { prefix: Some(encoding.write(prefix)) });
            }
            Entry::Key(text, upload) => {
                let (key, upload_id) = text.split_once(BETWEEN).unwrap_or((&text, ""));
                uploads.push(api::MultipartUpload {
                    upload_id: Some(upload_id.to_owned()),
                    key: Some(encoding.write(key.to_owned())),
                    initiated: Some(upload.initiated_at.to_millis_precision()),
                    storage_class: Some(upload.storage_class.as_deref().unwrap_or("STANDARD").into()),
                    owner: Some(owners.shown(upload.extras.as_ref().and_then(|extras| extras.owner()))),
                    initiator: Some(api::Initiator { id: Some(upload.initiator), display_name: None }),
                    checksum_algorithm: upload.checksum_algorithm.as_deref().map(Into::into),
                    checksum_type: upload.checksum_type.map(shown_type),
                    ..Default::default()
                });
            }
        }
    }
    Ok(api::ListMultipartUploadsOutput {
        bucket: Some(place::shown(input.bucket)),
        key_marker: Some(encoding.write(input.key_marker.unwrap_or_default())),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        next_key_marker: Some(encoding.write(next_key)),
        prefix: input.prefix.map(|text| encoding.write(text)),
        delimiter: input.delimiter.map(|text| encoding.write(text)),
        next_upload_id_marker: Some(next_upload),
        max_uploads: Some(max as i32),
        is_truncated: Some(is_truncated),
        uploads: Some(uploads),
        common_prefixes: Some(common_prefixes),
        encoding_type: encoding.shown(),
        request_charged: None,
    })
}
