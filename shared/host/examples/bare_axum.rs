//! The ceiling that services are measured against: an axum server that reads the whole body and answers a fixed one.
//!
//! `bare_axum [address] [answer bytes]` prints `ready http://...` and serves until it is ended.

use axum::body::Bytes;
use axum::routing::any;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let length: usize = arguments.next().map_or(Ok(300), |length| length.parse())?;
    let answer = Bytes::from(vec![b'a'; length]);
    let answering = move |body: Bytes| async move {
        drop(body);
        answer
    };
    // Axum's own bound on bodies would refuse large ones.
    let app = axum::Router::new().fallback(any(answering)).layer(axum::extract::DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind(address).await?;
    listener.local_addr().map(|address| {
        #[allow(clippy::print_stdout)]
        {
            println!("ready http://{address}");
        }
    })?;
    use axum::serve::ListenerExt;
    axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), app).await?;
    Ok(())
}
