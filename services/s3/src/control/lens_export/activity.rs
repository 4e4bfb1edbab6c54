//! What is counted of requests, and the metrics that come of it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_metrics_glossary.html>

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::sizes;
use super::wanted::Categories;
use crate::metrics::{self, Request};

/// A row's metric and value.
pub type Row = (Cow<'static, str>, u64);

/// One count. Records keep them in this order: a new one goes to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    All,
    Get,
    Put,
    Head,
    Delete,
    List,
    Post,
    Select,
    SelectScannedBytes,
    SelectReturnedBytes,
    DownloadedBytes,
    UploadedBytes,
    ClientErrors,
    ServerErrors,
    Ok,
    PartialContent,
    BadRequest,
    Forbidden,
    NotFound,
    InternalError,
    Unavailable,
    OldSignature,
    SseKms,
    FirstByteMicros,
    TotalMicros,
    ObjectsAccessed,
}

/// Reads and writes by size stand behind the others.
const READS: usize = Count::ObjectsAccessed as usize + 1;
const WRITES: usize = READS + sizes::NAMES.len();

const ACTIVITY: [(Count, &str); 14] = [
    (Count::All, "AllRequests"),
    (Count::Get, "GetRequests"),
    (Count::Put, "PutRequests"),
    (Count::Head, "HeadRequests"),
    (Count::Delete, "DeleteRequests"),
    (Count::List, "ListRequests"),
    (Count::Post, "PostRequests"),
    (Count::Select, "SelectRequests"),
    (Count::SelectScannedBytes, "SelectScannedBytes"),
    (Count::SelectReturnedBytes, "SelectReturnedBytes"),
    (Count::DownloadedBytes, "BytesDownloaded"),
    (Count::UploadedBytes, "BytesUploaded"),
    (Count::ClientErrors, "4xxErrors"),
    (Count::ServerErrors, "5xxErrors"),
];

const STATUS_CODES: [(u16, Count, &str); 7] = [
    (200, Count::Ok, "200OKStatusCount"),
    (206, Count::PartialContent, "206PartialContentStatusCount"),
    (400, Count::BadRequest, "400BadRequestErrorCount"),
    (403, Count::Forbidden, "403ForbiddenErrorCount"),
    (404, Count::NotFound, "404NotFoundErrorCount"),
    (500, Count::InternalError, "500InternalServerErrorCount"),
    (503, Count::Unavailable, "503ServiceUnavailableErrorCount"),
];

/// Counts of requests. What is zero at the end is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    counts: Vec<u64>,
}

impl Activity {
    /// What one request counts for.
    pub fn of(request: &Request) -> Activity {
        let mut activity = Activity::default();
        activity.add(Count::All, 1);
        let kind = metrics::kind(request).and_then(|kind| ACTIVITY.iter().find(|(_, name)| *name == kind));
        if let Some((count, _)) = kind {
            activity.add(*count, 1);
        }
        if let Some((_, count, _)) = STATUS_CODES.iter().find(|(status, ..)| *status == request.status) {
            activity.add(*count, 1);
        }
        activity.add(Count::ClientErrors, u64::from((400..500).contains(&request.status)));
        activity.add(Count::ServerErrors, u64::from(request.status >= 500));
        activity.add(Count::DownloadedBytes, request.sent_bytes);
        activity.add(Count::UploadedBytes, request.received_bytes);
        activity.add(Count::OldSignature, u64::from(request.is_old_signature));
        activity.add(Count::SseKms, u64::from(request.names_kms));
        activity.add(Count::FirstByteMicros, u64::try_from(request.first_byte.as_micros()).unwrap_or(u64::MAX));
        activity.add(Count::TotalMicros, u64::try_from(request.total.as_micros()).unwrap_or(u64::MAX));
        match request.operation {
            _ if !(200..300).contains(&request.status) => {}
            "GetObject" => activity.add_at(READS + sizes::of_bytes(request.sent_bytes), 1),
            "PutObject" | "UploadPart" => activity.add_at(WRITES + sizes::of_bytes(request.received_bytes), 1),
            "CreateMultipartUpload" => activity.add_at(WRITES, 1),
            _ => {}
        }
        activity
    }

    pub fn add(&mut self, count: Count, more: u64) {
        self.add_at(count as usize, more);
    }

    fn add_at(&mut self, place: usize, more: u64) {
        if more == 0 {
            return;
        }
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] = self.counts[place].saturating_add(more);
    }

    pub fn merge(&mut self, other: &Activity) {
        for (place, more) in other.counts.iter().enumerate() {
            self.add_at(place, *more);
        }
    }

    fn at(&self, place: usize) -> u64 {
        self.counts.get(place).copied().unwrap_or(0)
    }

    fn get(&self, count: Count) -> u64 {
        self.at(count as usize)
    }

    /// The average of a sum of microseconds, in milliseconds.
    fn average_ms(&self, micros: Count) -> u64 {
        let requests = self.get(Count::All).max(1);
        (self.get(micros) / requests).saturating_add(500) / 1_000
    }

    /// The rows of the categories that are wanted.
    pub fn rows(&self, wanted: &Categories) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        if wanted.activity {
            rows.extend(ACTIVITY.map(|(count, name)| (name.into(), self.get(count))));
        }
        if wanted.status_codes {
            rows.extend(STATUS_CODES.map(|(_, count, name)| (name.into(), self.get(count))));
        }
        if wanted.protection {
            rows.push(("AllUnsupportedSignatureRequests".into(), self.get(Count::OldSignature)));
            // Nobody who takes TLS off for a service takes an older version than 1.2.
            rows.push(("AllUnsupportedTLSRequests".into(), 0));
            rows.push(("AllSSEKMSRequests".into(), self.get(Count::SseKms)));
        }
        if wanted.performance {
            rows.push(("AverageFirstByteLatency".into(), self.average_ms(Count::FirstByteMicros)));
            rows.push(("AverageTotalRequestLatency".into(), self.average_ms(Count::TotalMicros)));
            for (verb, first) in [("Read", READS), ("Write", WRITES)] {
                let named = sizes::NAMES.iter().enumerate();
                rows.extend(named.map(|(at, size)| (format!("{verb}{size}RequestCount").into(), self.at(first + at))));
            }
            // Writers of one object wait for each other here, and nobody is refused.
            rows.push(("ConcurrentPut503ErrorCount".into(), 0));
            rows.push(("UniqueObjectsAccessedDailyCount".into(), self.get(Count::ObjectsAccessed)));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request(operation: &'static str, method: http::Method, status: u16) -> Request {
        Request {
            operation,
            method,
            of_object: true,
            status,
            received_bytes: 0,
            sent_bytes: 0,
            first_byte: Duration::from_micros(2_600),
            total: Duration::from_millis(5),
            is_old_signature: false,
            names_kms: false,
        }
    }

    fn value(rows: &[Row], name: &str) -> u64 {
        rows.iter().find(|(metric, _)| metric == name).unwrap_or_else(|| panic!("no {name}")).1
    }

    #[test]
    fn requests_add_up_to_the_metrics_of_the_glossary() {
        let read = Request { sent_bytes: 200 << 10, ..request("GetObject", http::Method::GET, 206) };
        let mut sum = Activity::of(&read);
        let write = Request {
            received_bytes: 7,
            names_kms: true,
            is_old_signature: true,
            ..request("PutObject", http::Method::PUT, 200)
        };
        sum.merge(&Activity::of(&write));
        sum.merge(&Activity::of(&request("GetObject", http::Method::GET, 404)));
        sum.merge(&Activity::of(&request("CreateMultipartUpload", http::Method::POST, 503)));
        let all = Categories { activity: true, status_codes: true, cost: true, protection: true, performance: true };
        let rows = sum.rows(&all);
        for (name, expected) in [
            ("AllRequests", 4),
            ("GetRequests", 2),
            ("PutRequests", 1),
            ("PostRequests", 1),
            ("BytesDownloaded", 200 << 10),
            ("BytesUploaded", 7),
            ("4xxErrors", 1),
            ("5xxErrors", 1),
            ("200OKStatusCount", 1),
            ("206PartialContentStatusCount", 1),
            ("404NotFoundErrorCount", 1),
            ("503ServiceUnavailableErrorCount", 1),
            ("AllUnsupportedSignatureRequests", 1),
            ("AllSSEKMSRequests", 1),
            ("AverageFirstByteLatency", 3),
            ("AverageTotalRequestLatency", 5),
            ("Read128KBTo256KBRequestCount", 1),
            ("Read0KBRequestCount", 0),
            ("Write0KBTo128KBRequestCount", 1),
            ("Write0KBRequestCount", 0),
            ("ReadLargerThan4GBRequestCount", 0),
        ] {
            assert_eq!(value(&rows, name), expected, "{name}");
        }
        let only = Categories { status_codes: true, ..Categories::default() };
        assert_eq!(sum.rows(&only).len(), 7);
    }
}
