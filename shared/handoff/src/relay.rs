//! The small rules of passing a request on, for the router's proxy and for a service's forwarder.

use http::header::{CONNECTION, HeaderMap, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::{Request, Response};
use hyper_util::rt::TokioIo;

/// Headers of one hop, not of the request (RFC 9110 §7.6.1). `Trailer` is kept: it announces what is passed on.
const HOP_HEADERS: [HeaderName; 4] =
    [HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection"), TE, TRANSFER_ENCODING];

/// Whether the request asks to leave HTTP (a WebSocket).
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        && headers.get_all(CONNECTION).iter().any(|value| {
            value.to_str().is_ok_and(|value| value.split(',').any(|one| one.trim().eq_ignore_ascii_case("upgrade")))
        })
}

/// Removes the headers of this hop, those that `Connection` names among them; an upgrade keeps its own.
pub fn strip_hop_headers(headers: &mut HeaderMap) {
    let upgrade = if is_upgrade(headers) { headers.get(UPGRADE).cloned() } else { None };
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    headers.remove(UPGRADE);
    for name in HOP_HEADERS {
        headers.remove(name);
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, http::HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

/// When the upstream has agreed to leave HTTP, copies bytes both ways until either side ends. `request` is the
/// caller's, `response` the upstream's; both must still be whole. Returns at once.
pub fn join_upgrades<A, B>(request: &mut Request<A>, response: &mut Response<B>) {
    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let (caller, upstream) = (hyper::upgrade::on(request), hyper::upgrade::on(response));
    crate::spawn(async move {
        let (caller, upstream) = match tokio::try_join!(caller, upstream) {
            Ok(both) => both,
            Err(error) => {
                tracing::debug!(%error, "an upgrade did not come about");
                return;
            }
        };
        let (mut caller, mut upstream) = (TokioIo::new(caller), TokioIo::new(upstream));
        // The end of either side is the ordinary end of a WebSocket, however it comes.
        let _ = tokio::io::copy_bidirectional(&mut caller, &mut upstream).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn what_connection_names_is_of_this_hop() {
        let mut given = headers(&[
            ("connection", "close, x-mine"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("host", "a"),
            ("upgrade", "h2c"),
        ]);
        strip_hop_headers(&mut given);
        assert_eq!(given, headers(&[("host", "a")]));
    }

    #[test]
    fn an_upgrade_is_kept() {
        let mut given =
            headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("keep-alive", "1")]);
        strip_hop_headers(&mut given);
        assert_eq!(given, headers(&[("connection", "upgrade"), ("upgrade", "websocket")]));
    }
}
