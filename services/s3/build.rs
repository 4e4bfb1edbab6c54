//! What S3 calls of services that have no api crate yet.

fn main() -> Result<(), fractus_codegen::CodegenError> {
    fractus_codegen::build_part("lambda", &["Invoke"])
}
