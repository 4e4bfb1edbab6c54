//! Answers that begin before their end is known.
//!
//! S3 sends the status 200 and then white space while it copies or assembles an object, so that the connection stays
//! open; the document, a result or an error, follows when the work is done.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>

use bytes::Bytes;
use futures::future::{Either, select};
use futures::{Future, Stream, StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::StreamBody;

use crate::body::{BodyError, ByteStream};
use crate::failure::Failure;
use crate::http_binding;
use crate::protocol::{Answer, Call};
use crate::schema::{OperationSchema, Protocol, ServiceSchema};
use crate::shape::{Shape, WriteError};

use super::body::XmlBody;
use super::{append_ids, errors};

const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// What the late part of an answer needs to know.
#[derive(Clone, Debug)]
pub struct Late {
    pub service: &'static ServiceSchema,
    pub operation: &'static OperationSchema,
    pub request_id: String,
    pub host_id: Option<String>,
    pub resource: Option<String>,
    /// Of the answer; what the output binds to headers comes too late for them.
    pub headers: HeaderMap,
}

impl Late {
    fn answer(&self) -> Answer<'_> {
        Answer {
            request_id: &self.request_id,
            host_id: self.host_id.as_deref(),
            resource: self.resource.as_deref(),
            ..Answer::default()
        }
    }

    /// The document without its declaration.
    fn document<O: Shape>(&self, outcome: Result<O, Failure>) -> Vec<u8> {
        let written = outcome
            .and_then(|mut output| self.write(&mut output).map_err(|error| Failure::internal(error.to_string())));
        let document =
            written.unwrap_or_else(|failure| errors::write_failure_document(self.service, &failure, &self.answer()));
        document.strip_prefix(DECLARATION).map(<[u8]>::to_vec).unwrap_or(document)
    }

    fn write(&self, output: &mut dyn Shape) -> Result<Vec<u8>, WriteError> {
        let call = Call { protocol: Protocol::RestXml, service: self.service, operation: self.operation };
        let response = http_binding::write_response(&XmlBody::of(self.service), &call, output)?;
        match response.into_body() {
            ByteStream::Whole(document) => Ok(document.into()),
            ByteStream::Streaming { .. } => {
                Err(WriteError::new(self.operation.name.to_owned(), "its answer is a stream"))
            }
        }
    }
}

/// What is still to come.
enum Rest<T, F> {
    Working { ticks: T, outcome: F },
    Done,
}

/// An answer with status 200 whose body says a blank at each of `ticks` until `outcome` is there.
pub fn late_response<O: Shape>(
    late: Late,
    ticks: impl Stream<Item = ()> + Send + Unpin + 'static,
    outcome: impl Future<Output = Result<O, Failure>> + Send + Unpin + 'static,
) -> Response<ByteStream> {
    let mut headers = late.headers.clone();
    append_ids(&mut headers, late.service, &late.answer());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    let first = stream::once(async { Bytes::from_static(DECLARATION) });
    let ticks = ticks.chain(stream::pending());
    let rest = stream::unfold((Rest::Working { ticks, outcome }, late), |(rest, late)| async move {
        let Rest::Working { mut ticks, outcome } = rest else { return None };
        match select(outcome, ticks.next()).await {
            Either::Left((outcome, _)) => {
                let document = Bytes::from(late.document(outcome));
                Some((document, (Rest::Done, late)))
            }
            Either::Right((_, outcome)) => Some((Bytes::from_static(b" "), (Rest::Working { ticks, outcome }, late))),
        }
    });
    let pieces = first.chain(rest).map(|piece| Ok::<_, BodyError>(Frame::data(piece)));
    let mut response = Response::new(ByteStream::from_body(StreamBody::new(pieces), None));
    *response.headers_mut() = headers;
    response
}
