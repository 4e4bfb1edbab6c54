//! STS's types, made from its model: see `shared/codegen`.

include!(concat!(env!("OUT_DIR"), "/sts.rs"));
