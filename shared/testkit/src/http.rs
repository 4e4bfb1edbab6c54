//! HTTP as it is, for what a well-behaved client would not send.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Answers and ends of connections are waited for no longer.
const AT_MOST: Duration = Duration::from_secs(20);

/// Sends one request on a connection of its own; the URI says where to.
///
/// # Panics
/// When there is no answer.
pub async fn send(request: Request<Bytes>) -> Response<Bytes> {
    exchange(request).await.expect("an answer")
}

/// The same, for requests that may get no answer.
pub async fn exchange(request: Request<Bytes>) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut head, body) = request.into_parts();
    let address = address(&head.uri);
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    if !head.headers.contains_key(http::header::HOST) {
        head.headers.insert(http::header::HOST, address.parse()?);
    }
    head.uri = head.uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
    let answer =
        tokio::time::timeout(AT_MOST, sender.send_request(Request::from_parts(head, Full::new(body)))).await??;
    let (head, body) = answer.into_parts();
    let body = tokio::time::timeout(AT_MOST, body.collect()).await??.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// `GET`, and the answer's JSON.
///
/// # Panics
/// When the answer is no JSON.
pub async fn get_json(url: &str) -> (u16, serde_json::Value) {
    json(Request::get(url).body(Bytes::new()).unwrap()).await
}

/// `POST` of a JSON value, and the answer's.
///
/// # Panics
/// When the answer is no JSON.
pub async fn post_json(url: &str, value: &serde_json::Value) -> (u16, serde_json::Value) {
    json(Request::post(url).body(value.to_string().into()).unwrap()).await
}

async fn json(request: Request<Bytes>) -> (u16, serde_json::Value) {
    let answer = send(request).await;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// Writes bytes as they are and reads until the peer closes the connection, or for as long as `for_at_most`. A peer that
/// closes before everything is written is no error.
pub async fn raw(url: &str, bytes: &[u8], for_at_most: Duration) -> Vec<u8> {
    let mut stream = connect(url).await;
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let writing = async {
        let _ = writer.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let reading = async {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(length) = reader.read(&mut piece).await {
            if length == 0 {
                return;
            }
            answer.extend_from_slice(&piece[..length]);
        }
    };
    let _ = tokio::time::timeout(for_at_most, async {
        tokio::select! { () = writing => {}, () = reading => {} }
    })
    .await;
    answer
}

/// A connection to a service, to be written to by hand.
///
/// # Panics
/// When nobody listens.
pub async fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(address(&url.parse().expect("a URL"))).await.expect("somebody listens");
    stream.set_nodelay(true).expect("a TCP connection");
    stream
}

fn address(uri: &Uri) -> String {
    uri.authority().map(ToString::to_string).expect("the URL names a host")
}
