//! S3 Control's types, made from its model: see `shared/codegen`.

include!(concat!(env!("OUT_DIR"), "/s3control.rs"));
