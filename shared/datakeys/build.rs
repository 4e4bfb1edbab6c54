//! What is asked of KMS, which has no api crate yet.

fn main() -> Result<(), fractus_codegen::CodegenError> {
    fractus_codegen::build_part("kms", &["GenerateDataKey", "Decrypt"])
}
