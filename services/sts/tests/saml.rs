//! SAML through the wire: signed responses are taken, wrapped and changed ones refused.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_sts::Config;
use fractus_sts::saml::canonical::Canonical;
use fractus_sts::saml::tree::Tree;
use fractus_sts_api::*;
use fractus_testkit::{Client, Stack};
use fractus_wire::Failure;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

const PROVIDER: &str = "arn:aws:iam::444455556666:saml-provider/idp";
const ROLE: &str = "arn:aws:iam::444455556666:role/sso";

struct Idp {
    key: EcdsaKeyPair,
    certificate: String,
}

impl Idp {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["idp".into()]).unwrap().self_signed(&pair).unwrap();
        let pkcs8 = pair.serialize_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &SystemRandom::new()).unwrap();
        Idp { key, certificate: STANDARD.encode(certificate.der()) }
    }

    fn metadata(&self) -> String {
        format!(
            r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.com/saml">
  <md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing">
    <ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>
      {}
    </ds:X509Certificate></ds:X509Data></ds:KeyInfo>
  </md:KeyDescriptor></md:IDPSSODescriptor></md:EntityDescriptor>"#,
            self.certificate
        )
    }

    /// Signs the element with this id, of which `document` has the one `<!--signature of id-->` where it goes.
    fn sign(&self, document: &str, id: &str) -> String {
        let place = format!("<!--signature of {id}-->");
        let tree = Tree::parse(&document.replace(&place, "")).unwrap();
        let signed = tree.ids().find(|at| tree.attribute(*at, "ID") == Some(id)).unwrap();
        let canonical = Canonical::of(&tree).write(signed);
        let digest = STANDARD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let info = format!(
            r##"<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"></ds:SignatureMethod><ds:Reference URI="#{id}"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"##
        );
        let value = STANDARD.encode(self.key.sign(&SystemRandom::new(), info.as_bytes()).unwrap());
        let signature = format!(
            r#"<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"#
        );
        document.replace(&place, &signature)
    }
}

fn assertion(id: &str, session_name: &str) -> String {
    format!(
        r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="2026-01-01T00:00:00Z">
<saml:Issuer>https://idp.example.com/saml</saml:Issuer><!--signature of {id}-->
<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">ann &amp; co</saml:NameID>
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="2026-01-01T00:05:00Z" Recipient="https://signin.aws.amazon.com/saml"/></saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="2025-12-31T23:59:00Z" NotOnOrAfter="2026-01-01T00:05:00Z"><saml:AudienceRestriction><saml:Audience>urn:amazon:webservices</saml:Audience></saml:AudienceRestriction></saml:Conditions>
<saml:AttributeStatement>
<saml:Attribute Name="https://aws.amazon.com/SAML/Attributes/Role"><saml:AttributeValue>{ROLE},{PROVIDER}</saml:AttributeValue></saml:Attribute>
<saml:Attribute Name="https://aws.amazon.com/SAML/Attributes/RoleSessionName"><saml:AttributeValue>{session_name}</saml:AttributeValue></saml:Attribute>
<saml:Attribute Name="https://aws.amazon.com/SAML/Attributes/PrincipalTag:team"><saml:AttributeValue>a</saml:AttributeValue></saml:Attribute>
</saml:AttributeStatement></saml:Assertion>"#
    )
}

fn response(inner: &str) -> String {
    format!(
        r#"<?xml version="1.0"?><samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="r1" Version="2.0"><!--signature of r1--><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>{inner}</samlp:Response>"#
    )
}

struct Scene {
    stack: Stack,
    idp: Idp,
    _metadata: tempfile::NamedTempFile,
}

impl Scene {
    async fn new() -> Self {
        let idp = Idp::new();
        let metadata = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(metadata.path(), idp.metadata()).unwrap();
        let path = metadata.path().to_string_lossy().into_owned();
        let config = Config { saml_providers: BTreeMap::from([(PROVIDER.to_owned(), path)]), ..Config::default() };
        let start = move |host| fractus_sts::start(config.clone(), host);
        let stack = Stack::new().frozen_at("2026-01-01T00:01:00Z").with("sts", start).start().await;
        Scene { stack, idp, _metadata: metadata }
    }

    fn client(&self) -> Client {
        self.stack.client("sts").api(&MODEL).unsigned()
    }

    async fn assume(&self, response: &str) -> Result<AssumeRoleWithSAMLOutput, Failure> {
        let input = AssumeRoleWithSAMLInput {
            role_arn: ROLE.into(),
            principal_arn: PROVIDER.into(),
            saml_assertion: STANDARD.encode(response),
            ..Default::default()
        };
        self.client().call(AssumeRoleWithSAML, input).await
    }

    async fn refused(&self, response: &str) -> String {
        let failure = self.assume(response).await.unwrap_err();
        format!("{}: {}", failure.code, failure.message)
    }
}

#[tokio::test]
async fn a_signed_assertion_or_response_is_taken() {
    let scene = Scene::new().await;
    let signed = scene.idp.sign(&response(&assertion("a1", "ann")), "a1");
    let output = scene.assume(&signed).await.unwrap();
    assert_eq!(output.assumed_role_user.unwrap().arn, "arn:aws:sts::444455556666:assumed-role/sso/ann");
    assert_eq!(output.subject.as_deref(), Some("ann & co"));
    assert_eq!(output.subject_type.as_deref(), Some("persistent"));
    assert_eq!(output.issuer.as_deref(), Some("https://idp.example.com/saml"));
    assert_eq!(output.audience.as_deref(), Some("https://signin.aws.amazon.com/saml"));
    assert!(output.name_qualifier.is_some_and(|qualifier| qualifier.len() == 28));
    let signed = scene.idp.sign(&response(&assertion("a1", "ann")), "r1");
    scene.assume(&signed).await.unwrap();
    let both = scene.idp.sign(&scene.idp.sign(&response(&assertion("a1", "ann")), "a1"), "r1");
    scene.assume(&both).await.unwrap();
}

#[tokio::test]
async fn what_is_changed_or_unsigned_or_of_others_is_refused() {
    let scene = Scene::new().await;
    let bad = "InvalidIdentityToken: Response signature invalid";
    let signed = scene.idp.sign(&response(&assertion("a1", "ann")), "a1");
    assert_eq!(scene.refused(&signed.replace(">ann<", ">bob<")).await, bad);
    assert_eq!(scene.refused(&response(&assertion("a1", "ann"))).await, bad);
    let foreign = Idp::new().sign(&response(&assertion("a1", "ann")), "a1");
    assert_eq!(scene.refused(&foreign).await, bad);
    // A signed assertion does not excuse a response whose own signature is wrong.
    let outer = Idp::new().sign(&scene.idp.sign(&response(&assertion("a1", "ann")), "a1"), "r1");
    assert_eq!(scene.refused(&outer).await, bad);
    assert_eq!(scene.refused("<a/>").await, "InvalidIdentityToken: Invalid SAML response");
    let bomb = format!("<!DOCTYPE r [<!ENTITY a \"{}\">]>{signed}", "x".repeat(100));
    assert_eq!(scene.refused(&bomb).await, "InvalidIdentityToken: Invalid SAML response");
}

/// The eight ways of "On Breaking SAML" come down to these: a forged assertion stands where it is read, and the signed
/// one stands elsewhere so that the signature still verifies.
#[tokio::test]
async fn a_wrapped_signature_is_refused() {
    let scene = Scene::new().await;
    let signed = scene.idp.sign(&assertion("a1", "ann"), "a1");
    let forged = assertion("a2", "admin").replace("<!--signature of a2-->", "");
    let same_id = assertion("a1", "admin").replace("<!--signature of a1-->", "");
    let signature_at = signed.find("<ds:Signature ").unwrap();
    let signature_end = signed.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let signature = &signed[signature_at..signature_end];
    let original = signed.replace(signature, "");
    let holding = |inner: &str, id: &str| assertion(id, "admin").replace(&format!("<!--signature of {id}-->"), inner);
    let with_object =
        signature.replace("</ds:Signature>", &format!("<ds:Object>{original}</ds:Object></ds:Signature>"));
    for (name, wrapped) in [
        ("forged before signed", response(&format!("{forged}{signed}"))),
        ("forged after signed", response(&format!("{signed}{forged}"))),
        ("same id before", response(&format!("{same_id}{signed}"))),
        ("signed within forged", response(&holding(&signed, "a2"))),
        ("original within the moved signature", response(&holding(&with_object, "a2"))),
        ("the moved signature, original beside", response(&format!("{}{original}", holding(signature, "a2")))),
        ("signed in extensions", response(&format!("<samlp:Extensions>{signed}</samlp:Extensions>{forged}"))),
        ("the signature alone on forged", response(&holding(signature, "a1"))),
    ] {
        let refused = scene.refused(&wrapped).await;
        assert!(refused.starts_with("InvalidIdentityToken"), "{name}: {refused}");
    }
    scene.assume(&response(&signed)).await.unwrap();
}

#[tokio::test]
async fn what_is_signed_is_judged() {
    let scene = Scene::new().await;
    let with = |from: &str, to: &str| {
        let changed = response(&assertion("a1", "ann")).replace(from, to);
        scene.idp.sign(&changed, "a1")
    };
    for (signed, expected) in [
        (
            with("urn:amazon:webservices", "urn:others"),
            "InvalidIdentityToken: Response does not contain the required audience.",
        ),
        (
            with("https://idp.example.com/saml", "https://x"),
            "InvalidIdentityToken: Issuer not present in specified provider",
        ),
        (
            with(ROLE, "arn:aws:iam::444455556666:role/other"),
            "AccessDenied: Not authorized to perform sts:AssumeRoleWithSAML",
        ),
        (
            with(">ann<", ">a/b<"),
            "InvalidIdentityToken: RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}",
        ),
        (with(">ann<", "><"), "InvalidIdentityToken: RoleSessionName is required in AuthnResponse"),
        (with("00:05:00Z", "00:01:00Z"), "ExpiredTokenException: Token must be redeemed within 5 minutes of issuance"),
    ] {
        assert_eq!(scene.refused(&signed).await, expected);
    }
    let input = AssumeRoleWithSAMLInput {
        role_arn: ROLE.into(),
        principal_arn: "arn:aws:iam::444455556666:saml-provider/nobody".into(),
        saml_assertion: STANDARD.encode(with("x", "x")),
        ..Default::default()
    };
    let failure = scene.client().call(AssumeRoleWithSAML, input).await.unwrap_err();
    assert_eq!(failure.message, "Specified provider doesn't exist.");
}
