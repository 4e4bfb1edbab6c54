//! SNS's types, made from its model: see `shared/codegen`.

include!(concat!(env!("OUT_DIR"), "/sns.rs"));
