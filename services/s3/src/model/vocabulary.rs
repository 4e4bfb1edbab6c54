//! The words of S3's policies: which actions there are, on what, and which keys conditions may ask about.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>

use crate::condition_keys::HEADER_KEYS;

/// Actions on objects, without `s3:`, in lower case as all of these.
const ON_OBJECTS: [&str; 42] = [
    "abortmultipartupload",
    "bypassgovernanceretention",
    "deleteobject",
    "deleteobjectannotation",
    "deleteobjecttagging",
    "deleteobjectversion",
    "deleteobjectversionannotation",
    "deleteobjectversiontagging",
    "getobject",
    "getobjectacl",
    "getobjectannotation",
    "getobjectattributes",
    "getobjectlegalhold",
    "getobjectretention",
    "getobjecttagging",
    "getobjecttorrent",
    "getobjectversion",
    "getobjectversionacl",
    "getobjectversionannotation",
    "getobjectversionattributes",
    "getobjectversionforreplication",
    "getobjectversiontagging",
    "getobjectversiontorrent",
    "initiatereplication",
    "listmultipartuploadparts",
    "listobjectannotations",
    "listobjectversionannotations",
    "objectowneroverridetobucketowner",
    "putobject",
    "putobjectacl",
    "putobjectannotation",
    "putobjectlegalhold",
    "putobjectretention",
    "putobjecttagging",
    "putobjectversionacl",
    "putobjectversionannotation",
    "putobjectversiontagging",
    "replicatedelete",
    "replicateobject",
    "replicatetags",
    "restoreobject",
    "updateobjectencryption",
];

const ON_BUCKETS: [&str; 61] = [
    "createbucket",
    "createbucketmetadatatableconfiguration",
    "deletebucket",
    "deletebucketmetadatatableconfiguration",
    "deletebucketpolicy",
    "deletebucketwebsite",
    "getaccelerateconfiguration",
    "getanalyticsconfiguration",
    "getbucketabac",
    "getbucketacl",
    "getbucketcors",
    "getbucketlocation",
    "getbucketlogging",
    "getbucketmetadatatableconfiguration",
    "getbucketnotification",
    "getbucketobjectlockconfiguration",
    "getbucketownershipcontrols",
    "getbucketpolicy",
    "getbucketpolicystatus",
    "getbucketpublicaccessblock",
    "getbucketrequestpayment",
    "getbuckettagging",
    "getbucketversioning",
    "getbucketwebsite",
    "getencryptionconfiguration",
    "getintelligenttieringconfiguration",
    "getinventoryconfiguration",
    "getlifecycleconfiguration",
    "getmetricsconfiguration",
    "getreplicationconfiguration",
    "listbucket",
    "listbucketmultipartuploads",
    "listbucketversions",
    "listtagsforresource",
    "pausereplication",
    "putaccelerateconfiguration",
    "putanalyticsconfiguration",
    "putbucketabac",
    "putbucketacl",
    "putbucketcors",
    "putbucketlogging",
    "putbucketnotification",
    "putbucketobjectlockconfiguration",
    "putbucketownershipcontrols",
    "putbucketpolicy",
    "putbucketpublicaccessblock",
    "putbucketrequestpayment",
    "putbuckettagging",
    "putbucketversioning",
    "putbucketwebsite",
    "putencryptionconfiguration",
    "putintelligenttieringconfiguration",
    "putinventoryconfiguration",
    "putlifecycleconfiguration",
    "putmetricsconfiguration",
    "putreplicationconfiguration",
    "tagresource",
    "untagresource",
    "updatebucketmetadataannotationtableconfiguration",
    "updatebucketmetadatainventorytableconfiguration",
    "updatebucketmetadatajournaltableconfiguration",
];

/// S3's own condition keys without `s3:`, beside those of headers; those that end with `/` are of tags.
const KEYS: [&str; 42] = [
    "accessgrantscope",
    "accessgrantsinstancearn",
    "accesspointnetworkorigin",
    "accesspointtag/",
    "authtype",
    "buckettag/",
    "dataaccesspointaccount",
    "dataaccesspointarn",
    "delimiter",
    "destinationregion",
    "existingjoboperation",
    "existingjobpriority",
    "existingobjecttag/",
    "inventoryaccessibleoptionalfields",
    "isreplicationpauserequest",
    "jobsuspendedcause",
    "locationconstraint",
    "max-keys",
    "object-lock-event-hold",
    "object-lock-event-hold-duration-days",
    "object-lock-event-hold-duration-years",
    "object-lock-legal-hold",
    "object-lock-mode",
    "object-lock-remaining-retention-days",
    "object-lock-retain-until-date",
    "objectcreationoperation",
    "prefix",
    "requestjoboperation",
    "requestjobpriority",
    "requestobjecttag/",
    "requestobjecttagkeys",
    "resourceaccount",
    "signatureage",
    "signatureversion",
    "tlsversion",
    "versionid",
    "x-amz-bucket-namespace",
    "x-amz-content-sha256",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
];

/// Keys that only listings have.
const OF_LISTINGS: [&str; 3] = ["delimiter", "max-keys", "prefix"];
const LISTINGS: [&str; 2] = ["listbucket", "listbucketversions"];

/// What an action of a statement may be on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct On {
    pub buckets: bool,
    pub objects: bool,
}

/// What is behind `s3:`, in lower case; `*` is everything.
fn own(word: &str) -> Option<String> {
    let word = word.to_ascii_lowercase();
    if word == "*" { Some(word) } else { word.strip_prefix("s3:").map(str::to_owned) }
}

/// Which things the actions that a word means are on; neither where it means none.
pub fn on(action: &str) -> On {
    let Some(action) = own(action) else { return On::default() };
    let means = |known: &[&str]| known.iter().any(|name| fits(&action, name));
    On { buckets: means(&ON_BUCKETS), objects: means(&ON_OBJECTS) }
}

/// Whether a text fits a pattern of policies.
fn fits(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // Where to go on when what stood behind the last star does not fit.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                star = Some((rest, text));
                pattern = rest;
            }
            (Some((wanted, rest)), Some((found, more))) if wanted == found || *wanted == b'?' => {
                (pattern, text) = (rest, more);
            }
            (None, None) => return true,
            _ => {
                let Some((rest, [_, more @ ..])) = star else { return false };
                star = Some((rest, more));
                (pattern, text) = (rest, more);
            }
        }
    }
}

/// Whether S3 knows a condition key. Keys of others are theirs to judge.
pub fn knows_key(key: &str) -> bool {
    let Some(key) = own(key).filter(|key| key != "*") else { return true };
    KEYS.iter()
        .chain(&HEADER_KEYS)
        .any(|known| if known.ends_with('/') { key.starts_with(known) } else { *known == key })
}

/// Whether a condition can bear on any of the actions.
pub fn bears_on<'a>(key: &str, mut actions: impl Iterator<Item = &'a str>) -> bool {
    let of_listings = own(key).is_some_and(|key| OF_LISTINGS.contains(&key.as_str()));
    let lists = |action: &str| own(action).is_some_and(|action| LISTINGS.iter().any(|name| fits(&action, name)));
    !of_listings || actions.any(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_actions_on_buckets_and_objects() {
        let both = On { buckets: true, objects: true };
        assert_eq!(on("s3:ListBucket"), On { buckets: true, objects: false });
        assert_eq!(on("s3:replicateDELETE"), On { buckets: false, objects: true });
        assert_eq!((on("s3:*"), on("*"), on("s3:Get*")), (both, both, both));
        assert_eq!(on("s3:GetObject?cl"), On { buckets: false, objects: true });
        for nothing in ["s3:NoSuchThing", "s3:NoSuch*", "sqs:SendMessage", "GetObject", "s3:"] {
            assert_eq!(on(nothing), On::default(), "{nothing}");
        }
    }

    #[test]
    fn patterns_fit_from_end_to_end() {
        for (pattern, text, expected) in [
            ("get*", "getobject", true),
            ("*object", "getobject", true),
            ("*b*t", "getobject", true),
            ("g?tobject", "getobject", true),
            ("get", "getobject", false),
            ("*x*", "getobject", false),
            ("", "", true),
            ("?", "", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn conditions_ask_what_s3_knows() {
        assert!(knows_key("s3:ExistingObjectTag/a") && knows_key("s3:PREFIX") && knows_key("aws:SourceIp"));
        assert!(!knows_key("s3:nope") && !knows_key("s3:ExistingObjectTag"));
        assert!(bears_on("s3:prefix", ["s3:GetObject", "s3:List*"].into_iter()));
        assert!(!bears_on("s3:prefix", ["s3:GetObject"].into_iter()));
        assert!(bears_on("s3:x-amz-acl", ["s3:GetObject"].into_iter()));
    }
}
