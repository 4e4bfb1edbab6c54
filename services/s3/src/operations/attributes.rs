//! GetObjectAttributes.

use fractus_host::Context;
use fractus_s3_api as api;

use crate::error::{Error, Result};
use crate::model::encryption::{check_read, given_key};
use crate::objects::{self, scope};
use crate::operations::checksums::{self, show};
use crate::operations::list::{max_entries, part_marker};
use crate::service::S3;
use crate::store::{Checksum, Object};
use crate::versions;

/// What is said of a request that asks for nothing.
pub fn none_named() -> Error {
    Error::invalid_request(
        "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
    )
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetObjectAttributesInput,
) -> Result<api::GetObjectAttributesOutput> {
    if input.object_attributes.is_empty() {
        return Err(none_named());
    }
    let max = max_entries(input.max_parts, "x-amz-max-parts")?;
    let marker = part_marker(input.part_number_marker, "x-amz-part-number-marker")?;
    let scope = scope(cx);
    let (object, version_id) = s3
        .store
        .read(|snapshot| {
            let bucket = objects::open(cx, snapshot, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let object = versions::object(snapshot, &scope, &bucket, &input.key, input.version_id.as_deref())?;
            let version_id = versions::shown_id(&bucket, &object);
            Ok::<_, Error>((object, version_id))
        })
        .await?;
    check_read(object.encryption(), given_key!(input))?;
    let wants = |name: &str| input.object_attributes.iter().any(|wanted| wanted.as_str() == name);
    let checksum = object.checksum.as_ref().filter(|_| wants("Checksum")).map(|own| {
        let mut shown = api::Checksum { checksum_type: Some(checksums::shown_type(own.kind)), ..Default::default() };
        // How many parts a composite one is of is told elsewhere.
        let value = own.value.split('-').next().unwrap_or_default().to_owned();
        show!(shown, Some(Checksum { value, ..own.clone() }));
        shown
    });
    Ok(api::GetObjectAttributesOutput {
        last_modified: Some(object.last_modified.to_secs_precision()),
        // Here, alone of all answers, the entity tag has no quotes.
        e_tag: wants("ETag").then(|| object.etag.trim_matches('"').to_owned()),
        checksum,
        object_parts: (wants("ObjectParts") && !object.parts.is_empty()).then(|| parts(&object, marker, max)),
        storage_class: wants("StorageClass").then(|| object.storage_class().into()),
        object_size: wants("ObjectSize").then_some(object.size as i64),
        version_id,
        ..Default::default()
    })
}

/// A page of the object's parts. Their checksums are shown only where the whole is a checksum of checksums.
fn parts(object: &Object, marker: u64, max: usize) -> api::GetObjectAttributesParts {
    let composite = object.checksum.as_ref().is_some_and(|own| own.kind == crate::store::ChecksumType::Composite);
    let after: Vec<_> = object.parts.iter().filter(|part| u64::from(part.number) > marker).collect();
    let page: Vec<api::ObjectPart> = after
        .iter()
        .take(max)
        .map(|part| {
            let mut shown = api::ObjectPart {
                part_number: Some(part.number as i32),
                size: Some(part.size as i64),
                ..Default::default()
            };
            if composite {
                show!(shown, &part.checksum);
            }
            shown
        })
        .collect();
    api::GetObjectAttributesParts {
        total_parts_count: Some(object.parts.len() as i32),
        part_number_marker: Some(marker as i32),
        next_part_number_marker: page.last().and_then(|part| part.part_number).or(Some(0)),
        max_parts: Some(max as i32),
        is_truncated: Some(after.len() > page.len()),
        parts: composite.then_some(page),
    }
}
