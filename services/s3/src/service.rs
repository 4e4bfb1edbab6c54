//! S3's state in memory, and how it differs from other services at the edge.

use std::borrow::Cow;
use std::sync::Arc;

use fractus_aws::{Arn, Lane, Region, World};
use fractus_bus::contracts::Credential;
use fractus_bus::outbox::Outbox;
use fractus_host::{Access, CallerKind, Context, Host, Prepared, RequestUuid, ResourceFacts, Service};
use fractus_store::{BlobRef, Store};
use fractus_wire::validation::Violation;
use fractus_wire::{ByteStream, Failure, HeaderMarks, ServiceSchema};
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::control;
use crate::control::jobs::work::Jobs;
use crate::control::lens_export::Lens;
use crate::control::outposts::place;
use crate::destinations::Destinations;
use crate::error::{ANONYMOUS, Error};
use crate::keys::Keys;
use crate::lifecycle::Lifecycle;
use crate::logging::lists;
use crate::metadata::catalog;
use crate::object_lambda::lambda::Functions;
use crate::object_lambda::waiting::Waiting;
use crate::operations::{archive, form};
use crate::readers::Readers;
use crate::replication::Replication;
use crate::restores::Restores;
use crate::schedule::Schedule;
use crate::store::Object;
use crate::{addressing, checks, directory, heads, metrics, permissions, terms, watch, web, website};

/// What every handler works on; clones share it.
#[derive(Clone)]
pub struct S3 {
    pub store: Store,
    pub host: Host,
    pub config: Config,
    pub outbox: Outbox,
    pub readers: Readers,
    pub lifecycle: Lifecycle,
    pub replication: Replication,
    pub restores: Restores,
    pub schedule: Schedule,
    pub jobs: Jobs,
    pub lens: Lens,
    pub destinations: Destinations,
    pub waiting: Waiting,
    pub functions: Functions,
    pub keys: Keys,
    /// Blobs that were released and may be given back.
    pub freed: mpsc::UnboundedSender<BlobRef>,
    /// `x-amz-id-2` of every answer.
    pub host_id: Arc<str>,
}

impl S3 {
    /// Has done what follows an object that was put: its replication begins.
    pub fn changed(&self, object: &Object) {
        if object.extras.as_ref().is_some_and(|extras| extras.replication.is_some()) {
            self.replication.wake();
        }
    }

    /// Gives back the room of blobs that a finished transaction released, when nobody reads them any more.
    pub fn free(&self, blobs: impl IntoIterator<Item = BlobRef>) {
        for blob in blobs {
            // Without the background task (it has ended: the process is draining) the next start's sweep does it.
            let _ = self.freed.send(blob);
        }
    }
}

/// Operations that the model gives a 200 and AWS answers 204.
fn has_no_content(operation: &str) -> bool {
    matches!(operation, "PutBucketTagging" | "PutBucketPolicy")
}

impl Service for S3 {
    /// A bucket in the host name goes into the path; a browser's form upload is no operation of the model.
    fn prepare(&self, head: &mut http::request::Parts, host: &str) -> Prepared {
        if self.schedule.may_watch() {
            head.extensions.insert(lists::Needed::default());
        }
        if catalog::is_for_tables(head) {
            head.extensions.insert(catalog::OfTables);
            return Prepared::Raw;
        }
        if control::is_control(head, host) {
            head.extensions.insert(control::Controlled);
            return control::check_account_header(head).map_or_else(Prepared::Refuse, |()| Prepared::Identify);
        }
        // Of this one request the host's first label is a route, and no bucket.
        if head.uri.path() == "/WriteGetObjectResponse" {
            return Prepared::Identify;
        }
        if head.uri.path() == metrics::PAGE {
            return Prepared::Raw;
        }
        let path_and_query = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let named = Some(host).filter(|host| !addressing::names_nothing(host));
        let website = named.and_then(addressing::website_bucket);
        let point = named.and_then(control::names::of_host);
        let bucket = || named.and_then(addressing::bucket_of_host);
        let rewritten = match website.or(point.as_deref()).or_else(bucket) {
            Some(bucket) => {
                head.extensions.insert(control::routing::InHost);
                Some(addressing::into_path(bucket, path_and_query))
            }
            None => addressing::arn_in_path(path_and_query),
        };
        if let Some(rewritten) = rewritten {
            match rewritten.parse() {
                Ok(uri) => head.uri = uri,
                Err(_) => {
                    return Prepared::Refuse(Failure::new("InvalidURI", 400, "Couldn't parse the specified URI."));
                }
            }
        }
        if website.is_some() {
            head.extensions.insert(website::WebsiteRequest);
            return Prepared::Raw;
        }
        if web::is_preflight(&head.method) || form::is_form(head) {
            return Prepared::Raw;
        }
        let sent = HeaderMarks::of(&head.headers);
        if let Some(header) = checks::unsupported(head, &sent) {
            return Prepared::Refuse(Error::NotImplemented { header: header.to_owned() }.into());
        }
        directory::name_listing(head, host);
        if let Err(failure) = heads::check(head, &sent) {
            return Prepared::Refuse(failure);
        }
        let refused = directory::refuses(&head.method, &head.uri, addressing::is_subresource)
            .or_else(|| addressing::unknown_subresource(&head.method, &head.uri))
            .or_else(|| form::no_form(head))
            .or_else(|| checks::redirect(&head.headers, &sent));
        match refused {
            Some(failure) => Prepared::Refuse(failure),
            None => Prepared::Identify,
        }
    }

    /// Both APIs' paths begin with what could be a bucket.
    fn serves(&self, api: &'static ServiceSchema, head: &http::request::Parts) -> bool {
        let is_control = std::ptr::eq(api, &fractus_s3control_api::MODEL);
        is_control == head.extensions.get::<control::Controlled>().is_some()
    }

    /// An access point's bucket takes the access point's place.
    fn resolve<'a>(
        &'a self,
        world: &'a World,
        region: &'a Region,
        head: &'a mut http::request::Parts,
    ) -> Option<BoxFuture<'a, Result<(), Failure>>> {
        if head.extensions.get::<control::Controlled>().is_some() {
            let checked = control::check_account(head, world);
            return Some(Box::pin(std::future::ready(checked)));
        }
        let names = control::routing::Names::of(head)?;
        Some(Box::pin(names.resolve(self, world, region, head)))
    }

    fn raw<'a>(&'a self, cx: &'a Context, request: Request<ByteStream>) -> BoxFuture<'a, Response<ByteStream>> {
        Box::pin(async move {
            if request.extensions().get::<catalog::OfTables>().is_some() {
                catalog::answer(self, cx).await
            } else if request.extensions().get::<website::WebsiteRequest>().is_some() {
                website::answer(self, cx).await
            } else if request.uri().path() == metrics::PAGE {
                metrics::page(self, cx).await
            } else if web::is_preflight(request.method()) {
                web::preflight(self, cx).await
            } else {
                form::upload(self, cx, request).await
            }
        })
    }

    /// A bucket may be open to everybody; its policy says so.
    fn takes_anonymous(&self) -> bool {
        true
    }

    fn evaluates_anonymous(&self) -> bool {
        true
    }

    fn resource_facts<'a>(
        &'a self,
        cx: &'a Context,
        access: &'a Access,
        resource: &'a Arn,
    ) -> BoxFuture<'a, ResourceFacts> {
        Box::pin(permissions::facts(self, cx, access, resource))
    }

    fn verified(&self, head: &mut http::request::Parts) {
        addressing::take_in_headers(head);
    }

    fn check_body(&self, cx: &Context, body: &[u8]) -> Result<(), Failure> {
        let reads = matches!(*cx.method(), http::Method::GET | http::Method::HEAD);
        if body.is_empty() && reads {
            return Ok(());
        }
        if !body.is_empty() {
            self.body_has_come(cx);
        }
        Ok(checks::body(cx, body)?)
    }

    fn invalid(&self, cx: &Context, violations: &[Violation]) -> Result<(), Failure> {
        if cx.extensions().get::<control::Controlled>().is_some() {
            return control::refuse(cx, violations);
        }
        checks::lacking(violations)?;
        fractus_host::invalid(cx, violations)?;
        checks::refuse(cx, violations)
    }

    /// Sessions of directory buckets sign by their own name, and so does what goes through Object Lambda.
    fn other_signing_names(&self) -> &'static [&'static str] {
        &["s3express", "s3-object-lambda", "s3-outposts", catalog::SIGNING_NAME]
    }

    fn look_up_credential<'a>(
        &'a self,
        lane: &'a Lane,
        access_key_id: &'a str,
    ) -> Option<BoxFuture<'a, Option<Credential>>> {
        Some(Box::pin(directory::find_session(self, lane, access_key_id)))
    }

    /// Who has not signed is told no reasons, and nobody by which name a bucket on an Outpost is kept.
    fn failure(&self, cx: &Context, mut failure: Failure) -> Failure {
        for (_, value) in &mut failure.details {
            *value = place::shown(std::mem::take(value));
        }
        let is_anonymous = cx.caller.kind == CallerKind::Anonymous && !failure.message.starts_with(ANONYMOUS);
        if failure.code == "AccessDenied" && is_anonymous {
            failure.message = "Access Denied".to_owned();
        }
        if cx.extensions().get::<control::Controlled>().is_some() { failure } else { heads::tell(cx, failure) }
    }

    /// The model says 200 of every read; a part of an object is 206. Browsers are told what the bucket's rules allow.
    fn finish<'a>(&'a self, cx: &'a Context, response: &'a mut Response<ByteStream>) -> Option<BoxFuture<'a, ()>> {
        response.headers_mut().insert(http::header::SERVER, http::HeaderValue::from_static("AmazonS3"));
        if response.status() == StatusCode::OK && response.headers().contains_key(http::header::CONTENT_RANGE) {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        // Their paths name no bucket.
        if cx.extensions().get::<control::Controlled>().is_some()
            || cx.extensions().get::<catalog::OfTables>().is_some()
        {
            return None;
        }
        if response.status() == StatusCode::OK
            && cx.operation().is_some_and(|called| has_no_content(called.schema.name))
        {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        let restores = cx.operation().is_some_and(|called| called.schema.name == "RestoreObject");
        let path = if restores { response.headers().get("x-amz-restore-output-path") } else { None };
        if path.is_some_and(|path| path == archive::ACCEPTED) {
            // A restore that has begun is accepted, one that was there already is done.
            response.headers_mut().remove("x-amz-restore-output-path");
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        let asks = cx.header("origin").is_some() && !web::is_preflight(cx.method());
        let (pays, watched) = (terms::may_be_charged(cx), self.schedule.may_watch());
        (asks || pays || watched).then(|| {
            Box::pin(async move {
                if asks {
                    web::add_headers(self, cx, response).await;
                }
                if pays {
                    terms::add_charged(self, cx, response).await;
                }
                if watched {
                    watch::tell(self, cx, response).await;
                }
            }) as BoxFuture<'a, ()>
        })
    }

    fn forget<'a>(&'a self) -> BoxFuture<'a, ()> {
        // What a reset has taken, another KMS does not open.
        self.keys.forget_all();
        self.schedule.watches_now();
        self.schedule.wake();
        Box::pin(std::future::ready(()))
    }

    fn host_id<'a>(&'a self, _cx: &'a Context) -> Option<&'a str> {
        Some(&self.host_id)
    }

    /// A bucket on an Outpost stands there as its callers name it.
    fn resource<'a>(&self, cx: &'a Context) -> Cow<'a, str> {
        place::shown_path(cx.uri().path())
    }

    fn request_id(&self, uuid: RequestUuid) -> String {
        uuid.short()
    }
}
