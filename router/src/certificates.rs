//! The local certificate authority and the certificates it makes for the names that clients ask for.
//!
//! The authority is made once and kept in the data folder, so that a client who trusts it trusts every later start.
//! Clients fetch it at `/_fractus/ca.pem`. Certificates for names are made when first asked for and are kept in memory
//! only.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates kept for names that were asked for; when there are more, all are made anew as they are needed.
const MAX_CERTIFICATES: usize = 256;

/// The names of the certificate that answers clients who name none.
const OWN_NAMES: [&str; 10] = [
    "localhost",
    "*.localhost",
    "*.s3.localhost",
    "*.execute-api.localhost",
    "*.lambda-url.localhost",
    "localhost.localstack.cloud",
    "*.localhost.localstack.cloud",
    "*.s3.localhost.localstack.cloud",
    "*.amazonaws.com",
    "*.s3.amazonaws.com",
];

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("the certificate authority at {} cannot be read or kept", .path.display())]
    Storage { path: PathBuf, source: io::Error },
    #[error("a certificate cannot be made")]
    Making(#[from] rcgen::Error),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Makes everything on first use: most clients never speak TLS, and starting must be quick.
#[derive(Debug, Default)]
pub struct Certificates {
    folder: Option<PathBuf>,
    authority: OnceLock<Arc<Authority>>,
    config: OnceLock<Arc<ServerConfig>>,
    making: Mutex<()>,
}

#[derive(Debug)]
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    own: OnceLock<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Keeps the authority in `folder`, or in memory.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Certificates { folder, ..Self::default() }
    }

    /// The authority's certificate, for clients to trust.
    pub fn authority_pem(&self) -> Result<String, CertificateError> {
        Ok(self.authority()?.pem.clone())
    }

    pub fn server_config(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let authority = self.authority()?;
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(authority);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(self.config.get_or_init(|| Arc::new(config)).clone())
    }

    fn authority(&self) -> Result<Arc<Authority>, CertificateError> {
        if let Some(authority) = self.authority.get() {
            return Ok(authority.clone());
        }
        let _making = self.making.lock();
        if let Some(authority) = self.authority.get() {
            return Ok(authority.clone());
        }
        let (pem, key) = match &self.folder {
            Some(folder) => kept_authority(folder)?,
            None => (None, KeyPair::generate()?),
        };
        // Made from the same key and names, the certificate is the same authority to every client.
        let issuer = CertifiedIssuer::self_signed(authority_params(), key)?;
        let pem = pem.unwrap_or_else(|| issuer.pem());
        if let Some(folder) = &self.folder {
            keep_certificate(folder, &pem)?;
        }
        let authority = Arc::new(Authority { issuer, pem, made: Mutex::default(), own: OnceLock::new() });
        Ok(self.authority.get_or_init(|| authority).clone())
    }
}

impl Authority {
    fn certificate(&self, name: Option<&str>) -> Result<Arc<CertifiedKey>, CertificateError> {
        let Some(name) = name else {
            if let Some(own) = self.own.get() {
                return Ok(own.clone());
            }
            let own = self.make(&OWN_NAMES, "localhost")?;
            return Ok(self.own.get_or_init(|| own).clone());
        };
        if let Some(made) = self.made.lock().get(name) {
            return Ok(made.clone());
        }
        let certificate = self.make(&[name], name)?;
        let mut made = self.made.lock();
        if made.len() >= MAX_CERTIFICATES {
            made.clear();
        }
        made.insert(name.to_owned(), certificate.clone());
        Ok(certificate)
    }

    fn make(&self, names: &[&str], common_name: &str) -> Result<Arc<CertifiedKey>, CertificateError> {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        params.distinguished_name = named(&common_name.chars().take(64).collect::<String>());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Python 3.13 and newer refuse certificates that do not name their authority's key.
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, LEAF_YEARS);
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let chain = vec![leaf.der().clone(), CertificateDer::from(self.issuer.der().to_vec())];
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = rustls::crypto::ring::sign::any_supported_type(&private)?;
        Ok(Arc::new(CertifiedKey::new(chain, signing)))
    }
}

impl ResolvesServerCert for Authority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self.certificate(hello.server_name()) {
            Ok(certificate) => Some(certificate),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no certificate for a client");
                None
            }
        }
    }
}

const AUTHORITY_YEARS: i32 = 20;
/// Apple's and Chromium's bound on a leaf is 825 and 398 days only for public roots; two years is taken by all.
const LEAF_YEARS: i32 = 2;

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name = named("Fractus local authority");
    set_validity(&mut params, AUTHORITY_YEARS);
    params
}

fn set_validity(params: &mut CertificateParams, years: i32) {
    let now = fractus_clock::Clock::real().now().date_time();
    let year: i32 = now.get(..4).and_then(|year| year.parse().ok()).unwrap_or(2026);
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + years, 1, 1);
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name.push(DnType::OrganizationName, "Fractus");
    name
}

/// The certificate, if it is kept, and the key, made and kept now if there is none.
fn kept_authority(folder: &Path) -> Result<(Option<String>, KeyPair), CertificateError> {
    let key_path = folder.join("ca-key.pem");
    let storage = |path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::Storage { path, source }
    };
    match std::fs::read_to_string(&key_path) {
        Ok(text) => {
            let certificate = std::fs::read_to_string(folder.join("ca.pem")).ok();
            Ok((certificate, KeyPair::from_pem(&text)?))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate()?;
            std::fs::create_dir_all(folder).map_err(storage(folder))?;
            write_private(&key_path, &key.serialize_pem()).map_err(storage(&key_path))?;
            Ok((None, key))
        }
        Err(error) => Err(storage(&key_path)(error)),
    }
}

fn keep_certificate(folder: &Path, pem: &str) -> Result<(), CertificateError> {
    let path = folder.join("ca.pem");
    if path.exists() {
        return Ok(());
    }
    std::fs::write(&path, pem).map_err(|source| CertificateError::Storage { path, source })
}

/// Readable by its owner alone from the first moment on.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
