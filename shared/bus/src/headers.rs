//! The headers that every message carries.

use async_nats::{HeaderMap, HeaderValue};
use fractus_aws::Lane;

use crate::contracts::Cause;

pub(crate) const LANE: &str = "Fractus-Lane";
const TRACE: &str = "Fractus-Trace";
const PARENT: &str = "Fractus-Parent";
const ORIGIN: &str = "Fractus-Origin";
/// The NATS service protocol's headers for a failed request.
pub(crate) const ERROR: &str = "Nats-Service-Error";
pub(crate) const ERROR_CODE: &str = "Nats-Service-Error-Code";

pub(crate) fn of(lane: Option<&Lane>, cause: &Cause) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(lane) = lane {
        put(&mut headers, LANE, lane.as_str());
    }
    put(&mut headers, TRACE, &cause.trace_id);
    put(&mut headers, PARENT, &cause.parent);
    put(&mut headers, ORIGIN, &cause.origin);
    headers
}

/// Sets a header; a text that cannot stand in one (a line break) loses what follows it, an empty one is left out.
pub(crate) fn put(headers: &mut HeaderMap, name: &'static str, text: &str) {
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    if line.is_empty() {
        return;
    }
    if let Ok(value) = line.parse::<HeaderValue>() {
        headers.insert(name, value);
    }
}

pub(crate) fn cause(headers: Option<&HeaderMap>) -> Cause {
    let text = |name| get(headers, name).unwrap_or_default().to_owned();
    Cause { trace_id: text(TRACE), parent: text(PARENT), origin: text(ORIGIN) }
}

pub(crate) fn get<'a>(headers: Option<&'a HeaderMap>, name: &'static str) -> Option<&'a str> {
    headers?.get(name).map(HeaderValue::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_survives_its_headers_and_line_breaks_do_not() {
        let cause = Cause::root("t-1", "ann\r\nEvil: yes").child("r-1");
        let headers = of(Some(&Lane::main()), &cause);
        let read = super::cause(Some(&headers));
        assert_eq!(read, Cause { trace_id: "t-1".into(), parent: "r-1".into(), origin: "ann".into() });
        assert_eq!(get(Some(&headers), LANE), Some("main"));
        assert_eq!(get(Some(&headers), "Evil"), None);
    }
}
