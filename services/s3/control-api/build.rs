fn main() -> Result<(), fractus_codegen::CodegenError> {
    fractus_codegen::build("s3control")
}
