//! The operation table of S3 Control.

use fractus_aws::Arn;
use fractus_host::{Access, Context, Operations};
use fractus_s3control_api as api;

use crate::control::grants::{grant, identity_center, instance, location};
use crate::control::jobs::{create, manage};
use crate::control::outposts::place::{self, Place};
use crate::control::outposts::{buckets, points, settings};
use crate::control::{
    access_point_policy, access_points, account_block, data_access, grants, lens, mrap, mrap_requests, mrap_routes,
    object_lambda, tags,
};
use crate::error::Error;
use crate::service::S3;

/// An action on an access point of the caller's.
fn to_point(cx: &Context, name: &str, action: &str) -> Result<Vec<Access>, Error> {
    if let Some(outpost) = place::outpost_of_point(cx, name)? {
        return Ok(vec![place::access_to_point(cx, outpost, name, action)]);
    }
    let resource = format!("accesspoint/{}", access_points::name_of(name));
    let arn = Arn::new(cx.world.partition, "s3", cx.region.as_str(), cx.world.account.as_str(), resource);
    Ok(vec![Access::to(&arn).by(action)])
}

macro_rules! on_point {
    ($action:literal) => {
        |cx, input| to_point(cx, &input.name, $action)
    };
}

/// An action that knows no resources.
macro_rules! on_all {
    ($action:literal) => {
        |_, _| Ok::<_, Error>(vec![Access::to_all().by($action)])
    };
}

/// An action on the access grants instance that the request names.
macro_rules! on_own {
    ($action:literal) => {
        |cx, input| {
            let arn = grants::instance_arn(cx, &input.account_id);
            let arn: Arn = arn.parse().map_err(|_| Error::AccessDenied)?;
            Ok::<_, Error>(vec![Access::to(&arn).by($action)])
        }
    };
}

/// Adds every operation of S3 Control.
pub fn operations(table: Operations<S3>) -> Operations<S3> {
    access_grants(lens(jobs(on_outposts(lambda(multi_region(points(account(table))))))))
}

/// An action on a job of the caller's.
fn to_job(cx: &Context, id: &str) -> Result<Vec<Access>, Error> {
    let resource = format!("job/{id}");
    let arn = Arn::new(cx.world.partition, "s3", cx.region.as_str(), cx.world.account.as_str(), resource);
    Ok(vec![Access::to(&arn)])
}

fn jobs(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::CreateJob, create::create)
        .access(api::CreateJob, |_, input| Ok::<_, Error>(create::access(input)))
        .on(api::DescribeJob, manage::describe)
        .access(api::DescribeJob, |cx, input| to_job(cx, &input.job_id))
        .on(api::ListJobs, manage::list)
        .on(api::UpdateJobPriority, manage::update_priority)
        .access(api::UpdateJobPriority, |cx, input| to_job(cx, &input.job_id))
        .on(api::UpdateJobStatus, manage::update_status)
        .access(api::UpdateJobStatus, |cx, input| to_job(cx, &input.job_id))
        .on(api::PutJobTagging, manage::put_tags)
        .access(api::PutJobTagging, |cx, input| to_job(cx, &input.job_id))
        .on(api::GetJobTagging, manage::get_tags)
        .access(api::GetJobTagging, |cx, input| to_job(cx, &input.job_id))
        .on(api::DeleteJobTagging, manage::delete_tags)
        .access(api::DeleteJobTagging, |cx, input| to_job(cx, &input.job_id))
}

fn account(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::PutPublicAccessBlock, account_block::put)
        .access(api::PutPublicAccessBlock, on_all!("s3:PutAccountPublicAccessBlock"))
        .on(api::GetPublicAccessBlock, account_block::get)
        .access(api::GetPublicAccessBlock, on_all!("s3:GetAccountPublicAccessBlock"))
        .on(api::DeletePublicAccessBlock, account_block::delete)
        .access(api::DeletePublicAccessBlock, on_all!("s3:PutAccountPublicAccessBlock"))
        .on(api::TagResource, tags::tag)
        .on(api::UntagResource, tags::untag)
        .on(api::ListTagsForResource, tags::list)
}

fn points(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::CreateAccessPoint, access_points::create)
        .access(api::CreateAccessPoint, |cx, input| match points::place_named(cx, &input.bucket)? {
            Some(place) => Ok(vec![place::access_to_point(cx, &place.outpost, &input.name, "s3:CreateAccessPoint")]),
            None => to_point(cx, &input.name, "s3:CreateAccessPoint"),
        })
        .on(api::GetAccessPoint, access_points::get)
        .access(api::GetAccessPoint, |cx, input| match place::outpost_of_point(cx, &input.name)? {
            Some(_) => to_point(cx, &input.name, "s3:GetAccessPoint"),
            None => Ok(vec![Access::to_all().by("s3:GetAccessPoint")]),
        })
        .on(api::DeleteAccessPoint, access_points::delete)
        .access(api::DeleteAccessPoint, on_point!("s3:DeleteAccessPoint"))
        .on(api::ListAccessPoints, access_points::list)
        .access(api::ListAccessPoints, |cx, input| {
            let named = input.bucket.as_deref().map(|bucket| points::place_named(cx, bucket)).transpose()?.flatten();
            let action = if named.is_some() { "s3-outposts:ListAccessPoints" } else { "s3:ListAccessPoints" };
            Ok::<_, Error>(vec![Access::to_all().by(action)])
        })
        .on(api::ListAccessPointsForDirectoryBuckets, access_points::list_of_directories)
        .on(api::PutAccessPointPolicy, access_point_policy::put)
        .access(api::PutAccessPointPolicy, on_point!("s3:PutAccessPointPolicy"))
        .on(api::GetAccessPointPolicy, access_point_policy::get)
        .access(api::GetAccessPointPolicy, on_point!("s3:GetAccessPointPolicy"))
        .on(api::DeleteAccessPointPolicy, access_point_policy::delete)
        .access(api::DeleteAccessPointPolicy, on_point!("s3:DeleteAccessPointPolicy"))
        .on(api::GetAccessPointPolicyStatus, access_point_policy::status)
        .access(api::GetAccessPointPolicyStatus, on_point!("s3:GetAccessPointPolicyStatus"))
        .on(api::PutAccessPointScope, access_point_policy::put_scope)
        .access(api::PutAccessPointScope, on_point!("s3express:PutAccessPointScope"))
        .on(api::GetAccessPointScope, access_point_policy::get_scope)
        .access(api::GetAccessPointScope, on_point!("s3express:GetAccessPointScope"))
        .on(api::DeleteAccessPointScope, access_point_policy::delete_scope)
        .access(api::DeleteAccessPointScope, on_point!("s3express:DeleteAccessPointScope"))
}

fn multi_region(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::CreateMultiRegionAccessPoint, mrap::create)
        .on(api::DeleteMultiRegionAccessPoint, mrap::delete)
        .on(api::GetMultiRegionAccessPoint, mrap::get)
        .on(api::ListMultiRegionAccessPoints, mrap::list)
        .on(api::PutMultiRegionAccessPointPolicy, mrap::put_policy)
        .on(api::GetMultiRegionAccessPointPolicy, mrap::get_policy)
        .on(api::GetMultiRegionAccessPointPolicyStatus, mrap::policy_status)
        .on(api::GetMultiRegionAccessPointRoutes, mrap_routes::get_routes)
        .on(api::SubmitMultiRegionAccessPointRoutes, mrap_routes::submit_routes)
        .on(api::DescribeMultiRegionAccessPointOperation, mrap_requests::describe)
}

fn lens(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::PutStorageLensConfiguration, lens::put)
        .on(api::GetStorageLensConfiguration, lens::get)
        .on(api::DeleteStorageLensConfiguration, lens::delete)
        .on(api::ListStorageLensConfigurations, lens::list)
        .on(api::PutStorageLensConfigurationTagging, lens::put_tags)
        .on(api::GetStorageLensConfigurationTagging, lens::get_tags)
        .on(api::DeleteStorageLensConfigurationTagging, lens::delete_tags)
        .on(api::CreateStorageLensGroup, lens::groups::create_group)
        .on(api::GetStorageLensGroup, lens::groups::get_group)
        .on(api::UpdateStorageLensGroup, lens::groups::update_group)
        .on(api::DeleteStorageLensGroup, lens::groups::delete_group)
        .on(api::ListStorageLensGroups, lens::groups::list_groups)
}

fn access_grants(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::CreateAccessGrantsInstance, instance::create)
        .on(api::GetAccessGrantsInstance, instance::get)
        .on(api::DeleteAccessGrantsInstance, instance::delete)
        .on(api::ListAccessGrantsInstances, instance::list)
        .on(api::PutAccessGrantsInstanceResourcePolicy, instance::put_policy)
        .on(api::GetAccessGrantsInstanceResourcePolicy, instance::get_policy)
        .on(api::DeleteAccessGrantsInstanceResourcePolicy, instance::delete_policy)
        .on(api::CreateAccessGrantsLocation, location::create)
        .access(api::CreateAccessGrantsLocation, |cx, input| grants::with_role(cx, &input.iam_role_arn))
        .on(api::GetAccessGrantsLocation, location::get)
        .on(api::UpdateAccessGrantsLocation, location::update)
        .access(api::UpdateAccessGrantsLocation, |cx, input| grants::with_role(cx, &input.iam_role_arn))
        .on(api::DeleteAccessGrantsLocation, location::delete)
        .on(api::ListAccessGrantsLocations, location::list)
        .on(api::CreateAccessGrant, grant::create)
        .on(api::GetAccessGrant, grant::get)
        .on(api::DeleteAccessGrant, grant::delete)
        .on(api::ListAccessGrants, grant::list)
        .on(api::GetDataAccess, data_access::get)
        .access(api::GetDataAccess, on_own!("s3:GetDataAccess"))
        .on(api::ListCallerAccessGrants, data_access::list)
        .access(api::ListCallerAccessGrants, on_own!("s3:ListCallerAccessGrants"))
        .on(api::GetAccessGrantsInstanceForPrefix, data_access::instance_for_prefix)
        .access(api::GetAccessGrantsInstanceForPrefix, on_own!("s3:GetAccessGrantsInstanceForPrefix"))
        .on(api::AssociateAccessGrantsIdentityCenter, identity_center::associate)
        .on(api::DissociateAccessGrantsIdentityCenter, identity_center::dissociate)
}

fn lambda(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::CreateAccessPointForObjectLambda, object_lambda::create)
        .on(api::GetAccessPointForObjectLambda, object_lambda::get)
        .on(api::DeleteAccessPointForObjectLambda, object_lambda::delete)
        .on(api::ListAccessPointsForObjectLambda, object_lambda::list)
        .on(api::PutAccessPointConfigurationForObjectLambda, object_lambda::put_configuration)
        .on(api::GetAccessPointConfigurationForObjectLambda, object_lambda::get_configuration)
        .on(api::PutAccessPointPolicyForObjectLambda, object_lambda::put_policy)
        .on(api::GetAccessPointPolicyForObjectLambda, object_lambda::get_policy)
        .on(api::DeleteAccessPointPolicyForObjectLambda, object_lambda::delete_policy)
        .on(api::GetAccessPointPolicyStatusForObjectLambda, object_lambda::policy_status)
}

/// An action on the bucket on an Outpost that the request names.
fn to_placed(cx: &Context, bucket: &str, action: &str) -> Result<Vec<Access>, Error> {
    Ok(vec![place::access(cx, &Place::asked(cx, bucket)?, None, action)])
}

macro_rules! on_placed {
    ($action:literal) => {
        |cx, input| to_placed(cx, &input.bucket, $action)
    };
}

fn on_outposts(table: Operations<S3>) -> Operations<S3> {
    table
        .on(api::ListRegionalBuckets, buckets::list)
        .access(api::ListRegionalBuckets, on_all!("s3-outposts:ListRegionalBuckets"))
        .on(api::CreateBucket, buckets::create)
        .access(api::CreateBucket, on_placed!("s3-outposts:CreateBucket"))
        .on(api::DeleteBucket, buckets::delete)
        .access(api::DeleteBucket, on_placed!("s3-outposts:DeleteBucket"))
        .on(api::GetBucket, buckets::get)
        .access(api::GetBucket, on_placed!("s3-outposts:GetBucket"))
        .on(api::DeleteBucketLifecycleConfiguration, settings::delete_lifecycle)
        .access(api::DeleteBucketLifecycleConfiguration, on_placed!("s3-outposts:PutLifecycleConfiguration"))
        .on(api::GetBucketLifecycleConfiguration, settings::get_lifecycle)
        .access(api::GetBucketLifecycleConfiguration, on_placed!("s3-outposts:GetLifecycleConfiguration"))
        .on(api::PutBucketLifecycleConfiguration, settings::put_lifecycle)
        .access(api::PutBucketLifecycleConfiguration, on_placed!("s3-outposts:PutLifecycleConfiguration"))
        .on(api::DeleteBucketPolicy, settings::delete_policy)
        .access(api::DeleteBucketPolicy, on_placed!("s3-outposts:DeleteBucketPolicy"))
        .on(api::GetBucketPolicy, settings::get_policy)
        .access(api::GetBucketPolicy, on_placed!("s3-outposts:GetBucketPolicy"))
        .on(api::PutBucketPolicy, settings::put_policy)
        .access(api::PutBucketPolicy, on_placed!("s3-outposts:PutBucketPolicy"))
        .on(api::DeleteBucketReplication, settings::delete_replication)
        .access(api::DeleteBucketReplication, on_placed!("s3-outposts:PutReplicationConfiguration"))
        .on(api::GetBucketReplication, settings::get_replication)
        .access(api::GetBucketReplication, on_placed!("s3-outposts:GetReplicationConfiguration"))
        .on(api::PutBucketReplication, settings::put_replication)
        .access(api::PutBucketReplication, on_placed!("s3-outposts:PutReplicationConfiguration"))
        .on(api::DeleteBucketTagging, settings::delete_tagging)
        .access(api::DeleteBucketTagging, on_placed!("s3-outposts:PutBucketTagging"))
        .on(api::GetBucketTagging, settings::get_tagging)
        .access(api::GetBucketTagging, on_placed!("s3-outposts:GetBucketTagging"))
        .on(api::PutBucketTagging, settings::put_tagging)
        .access(api::PutBucketTagging, on_placed!("s3-outposts:PutBucketTagging"))
        .on(api::GetBucketVersioning, settings::get_versioning)
        .access(api::GetBucketVersioning, on_placed!("s3-outposts:GetBucketVersioning"))
        .on(api::PutBucketVersioning, settings::put_versioning)
        .access(api::PutBucketVersioning, on_placed!("s3-outposts:PutBucketVersioning"))
}
