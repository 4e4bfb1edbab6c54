fn main() -> Result<(), fractus_codegen::CodegenError> {
    fractus_codegen::build("dynamodb")?;
    fractus_codegen::build("dynamodbstreams")
}
