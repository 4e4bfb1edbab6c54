//! The AWS SDK for Rust against a Fractus stack: what its tests share.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::Credentials;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns};

/// Answers every name with this machine, as systemd-resolved and macOS answer `bucket.localhost` (RFC 6761); glibc's plain
/// resolver does not know such names. So the suite judges the stack and not the machine; the request is the same.
#[derive(Clone, Debug)]
struct Here;

impl ResolveDns for Here {
    fn resolve_dns<'a>(&'a self, _name: &'a str) -> DnsFuture<'a> {
        DnsFuture::ready(Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]))
    }
}

/// Where the stack is.
pub fn endpoint() -> String {
    std::env::var("FRACTUS_ENDPOINT").unwrap_or_else(|_| "http://localhost:4566".to_owned())
}

/// The SDK's own defaults, but for where it sends to.
pub async fn config() -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_with_resolver(Here);
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .endpoint_url(endpoint())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .load()
        .await
}

pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{:012x}", RandomState::new().hash_one(prefix) >> 16)
}
