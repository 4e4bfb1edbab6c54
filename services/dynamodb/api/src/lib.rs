//! The types of DynamoDB and of DynamoDB Streams, made from their models: see `shared/codegen`.

include!(concat!(env!("OUT_DIR"), "/dynamodb.rs"));

/// DynamoDB Streams.
pub mod streams {
    include!(concat!(env!("OUT_DIR"), "/dynamodbstreams.rs"));
}
