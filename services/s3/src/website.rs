//! Static websites: requests to website hosts are answered as a web server would, from a bucket's objects.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteEndpoints.html>

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_wire::{ByteStream, Failure};
use http::{Method, Response, header};

use crate::access;
use crate::configurations::{self, Kind, Of};
use crate::error::{Error, Result};
use crate::model::archive;
use crate::model::conditions::ReadConditions;
use crate::model::encryption::{GivenKey, check_read};
use crate::model::{range, website};
use crate::objects::{self, Readable, scope};
use crate::service::S3;
use crate::store::Object;

/// Marks a request that came to a website's host.
#[derive(Clone, Copy, Debug)]
pub struct WebsiteRequest;

/// One request to a website.
struct Visit<'a> {
    s3: &'a S3,
    cx: &'a Context,
    bucket: String,
    /// The path without its first slash, decoded.
    path: String,
}

pub async fn answer(s3: &S3, cx: &Context) -> Response<ByteStream> {
    let whole = cx.uri().path().strip_prefix('/').unwrap_or_default();
    let (bucket, path) = whole.split_once('/').unwrap_or((whole, ""));
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    let visit = Visit { s3, cx, bucket: bucket.to_owned(), path };
    let mut response = match visit.answer().await {
        Ok(response) => response,
        Err(error) => visit.error_page(&error.into(), None),
    };
    if cx.method() == Method::HEAD {
        *response.body_mut() = ByteStream::default();
    }
    response
}

impl Visit<'_> {
    async fn answer(&self) -> Result<Response<ByteStream>> {
        let (s3, cx) = (self.s3, self.cx);
        if cx.method() != Method::GET && cx.method() != Method::HEAD {
            let method = cx.method().to_string();
            return Err(Error::MethodNotAllowed { method, resource: "OBJECT" });
        }
        let of = Of { bucket: &self.bucket, owner: None };
        let website: Option<api::WebsiteConfiguration> = configurations::get(s3, cx, of, Kind::Website, "").await?;
        let Some(website) = website else {
            let message = "The specified bucket does not have a website configuration";
            let failure = Failure::new("NoSuchWebsiteConfiguration", 404, message);
            return Err(Error::Other(Box::new(failure.with_detail("BucketName", self.bucket.clone()))));
        };
        if let Some(target) = &website.redirect_all_requests_to {
            let scheme = target.protocol.as_ref().map_or(cx.scheme(), api::Protocol::as_str);
            let path = website::encoded_path(&self.path);
            return Ok(redirect(301, &format!("{scheme}://{}/{path}", target.host_name)));
        }
        let rules = website.routing_rules.as_deref().unwrap_or_default();
        if let Some(rule) = website::route(rules, &self.path, None) {
            return Ok(self.routed(rule));
        }
        let index = website.index_document.as_ref().map_or("index.html", |index| index.suffix.as_str());
        let key = website::key_of(&self.path, index);
        match self.object(&key).await {
            Ok((object, readable)) => self.page(object, readable, 200),
            Err(error) => self.missing(&website, rules, index, error).await,
        }
    }

    fn routed(&self, rule: &api::RoutingRule) -> Response<ByteStream> {
        let (code, location) = website::location(rule, &self.path, self.cx.scheme(), self.cx.authority());
        redirect(code, &location)
    }

    /// An object that everybody may read.
    async fn object(&self, key: &str) -> Result<(Object, Readable)> {
        let wanted = access::to_object(self.cx, &self.bucket, key, "s3:GetObject");
        self.cx.authorize(&wanted).await.map_err(|_| Error::AccessDenied)?;
        let scope = scope(self.cx);
        let found = self
            .s3
            .store
            .read(|snapshot| {
                let bucket = objects::bucket(snapshot, &scope, &self.bucket, None)?;
                let object = objects::object(snapshot, &scope, &bucket, key)?;
                check_read(object.encryption(), GivenKey::default())?;
                archive::check_readable(&object, self.cx.now())?;
                let readable = objects::readable(snapshot, &scope, &object.content)?;
                Ok::<_, Error>((object, readable))
            })
            .await?;
        let (object, readable) = found;
        let secret = self.s3.keys.open(self.cx, object.encryption()).await?;
        let readable = readable.opened(&object, secret);
        Ok((object, readable))
    }

    /// A folder without its slash is sent there; then come the rules for errors, the error document, and last a page
    /// of S3's own.
    async fn missing(
        &self,
        website: &api::WebsiteConfiguration,
        rules: &[api::RoutingRule],
        index: &str,
        error: Error,
    ) -> Result<Response<ByteStream>> {
        if !self.path.is_empty()
            && !self.path.ends_with('/')
            && self.object(&format!("{}/{index}", self.path)).await.is_ok()
        {
            return Ok(redirect(302, &format!("/{}/", website::encoded_path(&self.path))));
        }
        let failure: Failure = error.into();
        if let Some(rule) = website::route(rules, &self.path, Some(failure.status)) {
            return Ok(self.routed(rule));
        }
        let document = website.error_document.as_ref().filter(|_| (400..500).contains(&failure.status));
        let Some(document) = document else { return Ok(self.error_page(&failure, None)) };
        match self.object(&document.key).await {
            Ok((object, readable)) => self.page(object, readable, failure.status),
            Err(error) => Ok(self.error_page(&failure, Some(&error.into()))),
        }
    }

    fn page(&self, object: Object, readable: Readable, status: u16) -> Result<Response<ByteStream>> {
        if let Some(target) = &object.headers.website_redirect_location {
            return Ok(redirect(301, target));
        }
        let header = |name: &str| self.cx.header(name).map(str::to_owned);
        let date = |name: &str| Timestamp::parse_http_date(self.cx.header(name)?).ok();
        if status == 200 {
            let conditions = ReadConditions {
                if_match: header("if-match"),
                if_none_match: header("if-none-match"),
                if_modified_since: date("if-modified-since"),
                if_unmodified_since: date("if-unmodified-since"),
            };
            if let Err(error) = conditions.check_read(&object.etag, object.last_modified) {
                let failure: Failure = error.into();
                let mut response = Response::new(ByteStream::default());
                set_status(&mut response, failure.status);
                insert(&mut response, header::ETAG, &object.etag);
                return Ok(response);
            }
        }
        let range = match self.cx.header("range").filter(|_| status == 200) {
            Some(header) => range::requested(header, object.size)?,
            None => None,
        };
        let (from, to) = range.as_ref().map_or((0, object.size), |range| (range.first, range.last + 1));
        let mut response = Response::new(readable.into_body(self.s3, from, to));
        set_status(&mut response, if range.is_some() { 206 } else { status });
        if let Some(range) = &range {
            insert(&mut response, header::CONTENT_RANGE, &range.content_range(object.size));
        }
        let headers = &object.headers;
        insert(&mut response, header::CONTENT_TYPE, headers.content_type.as_deref().unwrap_or("binary/octet-stream"));
        insert(&mut response, header::CONTENT_LENGTH, &(to - from).to_string());
        insert(&mut response, header::ETAG, &object.etag);
        insert(&mut response, header::LAST_MODIFIED, &object.last_modified.http_date());
        for (name, value) in [
            (header::CACHE_CONTROL, &headers.cache_control),
            (header::CONTENT_ENCODING, &headers.content_encoding),
            (header::CONTENT_LANGUAGE, &headers.content_language),
            (header::CONTENT_DISPOSITION, &headers.content_disposition),
            (header::EXPIRES, &headers.expires),
        ] {
            if let Some(value) = value {
                insert(&mut response, name, value);
            }
        }
        for (name, value) in &headers.metadata {
            if let Ok(name) = http::HeaderName::try_from(format!("x-amz-meta-{name}")) {
                insert(&mut response, name, value);
            }
        }
        Ok(response)
    }

    /// S3's own page for an error; and for the error document, where that could not be read either.
    fn error_page(&self, failure: &Failure, of_document: Option<&Failure>) -> Response<ByteStream> {
        let status = http::StatusCode::from_u16(failure.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
        let ids = [("RequestId", self.cx.request_id.as_str()), ("HostId", &self.s3.host_id)];
        let items = list(failure, &ids);
        let document = of_document.map_or_else(String::new, |failure| {
            let title = "An Error Occurred While Attempting to Retrieve a Custom Error Document";
            format!("<h3>{title}</h3>\n<ul>\n{}</ul>\n", list(failure, &[]))
        });
        let page = format!(
            "<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n{items}</ul>\n{document}<hr/>\n</body>\n</html>\n"
        );
        let mut response = Response::new(ByteStream::from(Bytes::from(page)));
        *response.status_mut() = status;
        insert(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
        // What a HEAD, which has no page, can be told by.
        insert(&mut response, http::HeaderName::from_static("x-amz-error-code"), &failure.code);
        insert(&mut response, http::HeaderName::from_static("x-amz-error-message"), &failure.message);
        for (name, value) in &failure.details {
            if let Ok(name) = http::HeaderName::try_from(format!("x-amz-error-detail-{name}")) {
                insert(&mut response, name, value);
            }
        }
        response
    }
}

/// The items of an error's list.
fn list(failure: &Failure, more: &[(&str, &str)]) -> String {
    let own = [("Code", failure.code.as_ref()), ("Message", failure.message.as_str())];
    let details = failure.details.iter().map(|(name, value)| (*name, value.as_str()));
    let items = own.into_iter().chain(details).chain(more.iter().copied());
    let escape = |text: &str| quick_xml::escape::escape(text).into_owned();
    items.map(|(name, value)| format!("<li>{}: {}</li>\n", escape(name), escape(value))).collect()
}

fn set_status(response: &mut Response<ByteStream>, status: u16) {
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
}

fn insert(response: &mut Response<ByteStream>, name: http::HeaderName, value: &str) {
    if let Ok(value) = http::HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn redirect(status: u16, location: &str) -> Response<ByteStream> {
    let mut response = Response::new(ByteStream::default());
    set_status(&mut response, status);
    insert(&mut response, header::LOCATION, location);
    response
}
