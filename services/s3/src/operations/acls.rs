//! Access control lists of buckets and objects.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_wire::Failure;

use crate::configurations::{self, Kind, of};
use crate::error::{Error, Result};
use crate::extras::Extras;
use crate::model::acl::{self, Acl, Given, On};
use crate::notify::{Happening, announce};
use crate::objects::sequencer_of_change;
use crate::operations::policy::blocked;
use crate::permissions::{bucket_acl, canonical_user};
use crate::service::S3;
use crate::store::{Bucket, Object};
use crate::{replication, versions};

pub fn not_supported() -> Error {
    Error::Other(Box::new(Failure::new("AccessControlListNotSupported", 400, "The bucket does not allow ACLs")))
}

/// A request that should give a list and gives none.
pub fn nothing_given() -> Error {
    let failure = Failure::new("MissingSecurityHeader", 400, "Your request was missing a required header");
    Error::Other(Box::new(failure.with_detail("MissingHeaderName", "x-amz-acl")))
}

pub async fn put_bucket(s3: &S3, cx: &Context, input: api::PutBucketAclInput) -> Result<api::PutBucketAclOutput> {
    let given = Given {
        canned: input.acl.as_ref().map(api::BucketCannedACL::as_str),
        full_control: input.grant_full_control.as_deref(),
        read: input.grant_read.as_deref(),
        read_acp: input.grant_read_acp.as_deref(),
        write: input.grant_write.as_deref(),
        write_acp: input.grant_write_acp.as_deref(),
    };
    let xml = input.access_control_policy.clone();
    if xml.is_some() && !given.is_nothing() {
        let message = "This request does not support content";
        return Err(Error::Other(Box::new(Failure::new("UnexpectedContent", 400, message))));
    }
    configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        let owner = canonical_user(&bucket.account);
        let list = match xml.clone() {
            Some(xml) => acl::of_xml(xml, &owner)?,
            None => given.list(On::Bucket, &owner, &owner)?.ok_or_else(nothing_given)?,
        };
        let ownership = configurations::ownership(tx, scope, bucket)?;
        let harmless = given.is_harmless(&owner) && list == Acl::private(&owner);
        if ownership == api::ObjectOwnership::BucketOwnerEnforced && !harmless {
            return Err(not_supported());
        }
        if list.is_public() && configurations::public_access_block(tx, scope, bucket)?.block_public_acls {
            let what = "public access control lists (ACLs)";
            return Err(blocked(cx, &bucket.name, "s3:PutBucketAcl", what, "BlockPublicAcls"));
        }
        let text = serde_json::to_string(&list).map_err(|_| Error::MalformedXml)?;
        configurations::set_text(tx, scope, bucket, Kind::Acl, "", &text)
    })
    .await?;
    Ok(api::PutBucketAclOutput::default())
}

pub async fn get_bucket(s3: &S3, cx: &Context, input: api::GetBucketAclInput) -> Result<api::GetBucketAclOutput> {
    let acl = configurations::look(s3, cx, of!(input), |snapshot, scope, bucket| {
        if configurations::ownership(snapshot, scope, bucket)? == api::ObjectOwnership::BucketOwnerEnforced {
            return Ok(Acl::private(&canonical_user(&bucket.account)));
        }
        bucket_acl(snapshot, scope, bucket)
    })
    .await?;
    Ok(api::GetBucketAclOutput {
        grants: Some(acl.shown_grants()),
        owner: Some(api::Owner { id: Some(acl.owner), display_name: None }),
    })
}

/// The list of an object: its own, or that its bucket's owner may do everything.
fn object_acl(object: &Object, bucket: &Bucket) -> Acl {
    let own = object.extras.as_ref().and_then(|extras| extras.acl.clone());
    own.unwrap_or_else(|| Acl::private(&canonical_user(&bucket.account)))
}

pub async fn put_object(s3: &S3, cx: &Context, input: api::PutObjectAclInput) -> Result<api::PutObjectAclOutput> {
    let given = Given {
        canned: input.acl.as_ref().map(api::ObjectCannedACL::as_str),
        full_control: input.grant_full_control.as_deref(),
        read: input.grant_read.as_deref(),
        read_acp: input.grant_read_acp.as_deref(),
        write: input.grant_write.as_deref(),
        write_acp: input.grant_write_acp.as_deref(),
    };
    let xml = input.access_control_policy.clone();
    if xml.is_some() && !given.is_nothing() {
        let message = "This request does not support content";
        return Err(Error::Other(Box::new(Failure::new("UnexpectedContent", 400, message))));
    }
    let now = cx.now();
    let _sent = configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        let bucket_owner = canonical_user(&bucket.account);
        let ownership = configurations::ownership(tx, scope, bucket)?;
        let block = configurations::public_access_block(tx, scope, bucket)?;
        let object = versions::rewrite(tx, scope, bucket, &input.key, input.version_id.as_deref(), |object| {
            let owner = object_acl(object, bucket).owner;
            let list = match xml.clone() {
                Some(xml) => acl::of_xml(xml, &owner)?,
                None => given.list(On::Object, &owner, &bucket_owner)?.ok_or_else(nothing_given)?,
            };
            if ownership == api::ObjectOwnership::BucketOwnerEnforced {
                let harmless = given.is_harmless(&bucket_owner) && list == Acl::private(&bucket_owner);
                return if harmless { Ok(()) } else { Err(not_supported()) };
            }
            if list.is_public() && block.block_public_acls {
                let what = "public access control lists (ACLs)";
                return Err(blocked(cx, &bucket.name, "s3:PutObjectAcl", what, "BlockPublicAcls"));
            }
            let mut extras = object.extras.take().map_or_else(Extras::default, |extras| *extras);
            extras.acl = Some(list);
            object.extras = extras.boxed();
            Ok(())
        })?;
        replication::enqueue_change(tx, scope, bucket, &input.key, &object)?;
        let happening = Happening::new(cx, "s3:ObjectAcl:Put", now);
        announce(tx, s3, bucket, &input.key, Some(&object), sequencer_of_change(&object, now), &happening)
    })
    .await?;
    s3.replication.wake();
    Ok(api::PutObjectAclOutput::default())
}

pub async fn get_object(s3: &S3, cx: &Context, input: api::GetObjectAclInput) -> Result<api::GetObjectAclOutput> {
    let acl = configurations::look(s3, cx, of!(input), |snapshot, scope, bucket| {
        let object = versions::object(snapshot, scope, bucket, &input.key, input.version_id.as_deref())?;
        if configurations::ownership(snapshot, scope, bucket)? == api::ObjectOwnership::BucketOwnerEnforced {
            return Ok(Acl::private(&canonical_user(&bucket.account)));
        }
        Ok(object_acl(&object, bucket))
    })
    .await?;
    Ok(api::GetObjectAclOutput {
        grants: Some(acl.shown_grants()),
        owner: Some(api::Owner { id: Some(acl.owner), display_name: None }),
        request_charged: None,
    })
}
