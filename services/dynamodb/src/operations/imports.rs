//! Imports from S3: begun, described, listed.

use std::time::Duration;

use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Collection, Order, Range, Scope, Snapshot};

use super::backups::own_place;
use super::begun::{self, Begun, Tokens};
use super::restores::Birth;
use super::table_shape::defined;
use crate::backups::timed_id;
use crate::error::{Error, Result};
use crate::import::read::{Compression, Format};
use crate::import::{IMPORTS, Import};
use crate::jobs::{self, Job, Work};
use crate::service::{DynamoDb, place, scope};
use crate::shapes::to_json;

/// What clients' tokens have begun.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ImportTable.html>
const TOKENS: Tokens = Collection::new("import-tokens");

const MAX_IMPORTS: usize = 25;
/// A page's token is hex, of at least so many digits, in groups of sixteen.
const MIN_TOKEN_DIGITS: usize = 112;
const TOKEN_GROUP: usize = 16;

fn format_of(input: &api::ImportTableInput) -> Result<Format> {
    let options = input.input_format_options.as_ref().and_then(|options| options.csv.as_ref());
    match &input.input_format {
        api::InputFormat::Csv => {}
        _ if options.is_some() => {
            return Err(Error::validation("InputFormatOptions.Csv can only be specified when InputFormat is CSV"));
        }
        api::InputFormat::Ion => return Ok(Format::Ion),
        _ => return Ok(Format::DynamoDbJson),
    }
    let delimiter = options.and_then(|options| options.delimiter.as_deref());
    let delimiter = delimiter.and_then(|own| own.bytes().next()).unwrap_or(b',');
    let header = options.and_then(|options| options.header_list.clone());
    let definitions = &input.table_creation_parameters.attribute_definitions;
    let kinds = definitions.iter().map(|own| (own.attribute_name.clone(), own.attribute_type.as_str().to_owned()));
    Ok(Format::Csv { delimiter, header, kinds: kinds.collect() })
}

fn compression_of(input: &api::ImportTableInput) -> Compression {
    match input.input_compression_type {
        Some(api::InputCompressionType::Gzip) => Compression::Gzip,
        Some(api::InputCompressionType::Zstd) => Compression::Zstd,
        _ => Compression::None,
    }
}

/// The table as CreateTable would be asked for it.
fn creation(parameters: &api::TableCreationParameters) -> api::CreateTableInput {
    api::CreateTableInput {
        table_name: parameters.table_name.clone(),
        attribute_definitions: Some(parameters.attribute_definitions.clone()),
        key_schema: Some(parameters.key_schema.clone()),
        billing_mode: parameters.billing_mode.clone(),
        provisioned_throughput: parameters.provisioned_throughput.clone(),
        on_demand_throughput: parameters.on_demand_throughput.clone(),
        sse_specification: parameters.sse_specification.clone(),
        global_secondary_indexes: parameters.global_secondary_indexes.clone(),
        vector_indexes: parameters.vector_indexes.clone(),
        ..Default::default()
    }
}

fn repeated(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    token: &str,
    request: &str,
) -> Result<Option<api::ImportTableDescription>> {
    let conflict = |what: &str| {
        Error::answer(api::ImportConflictException::new(format!("There was a conflict with another import: {what}")))
    };
    let Some(begun) = begun::before(snapshot, (&TOKENS, scope), (token, request), conflict)? else { return Ok(None) };
    let import = snapshot.get(&IMPORTS, scope, &(begun.table.as_str(), begun.id.as_str()))?;
    import.map(|import| import.described_at(snapshot.now(scope))).transpose()
}

pub async fn begin(dynamodb: &DynamoDb, cx: &Context, input: api::ImportTableInput) -> Result<api::ImportTableOutput> {
    let (scope, format, birth) = (scope(cx), format_of(&input)?, Birth::new(dynamodb, cx));
    let shape = defined(cx, &creation(&input.table_creation_parameters))?;
    let (chance, request) = (cx.random().u64(), to_json(&input)?);
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    let begun = dynamodb.store.write(|tx| {
        let token = input.client_token.as_deref().unwrap_or_default();
        if let Some(description) = repeated(tx, &scope, token, &request)? {
            return Ok(description);
        }
        let (now, mut table) = (tx.now(&scope), shape.clone());
        let name = table.name.clone();
        birth.begin(tx, &scope, &mut table).map_err(|error| match error {
            Error::Answer(_) => Error::TableExists(name.clone()),
            other => other,
        })?;
        let id = timed_id(now, chance);
        let table_arn = own_place(cx).arn(format_args!("table/{name}"));
        let description = api::ImportTableDescription {
            import_arn: Some(format!("{table_arn}/import/{id}")),
            import_status: Some(api::ImportStatus::InProgress),
            table_arn: Some(table_arn),
            table_id: Some(table.uuid.clone()),
            client_token: input.client_token.clone(),
            s3_bucket_source: Some(input.s3_bucket_source.clone()),
            error_count: Some(0),
            input_format: Some(input.input_format.clone()),
            input_format_options: input.input_format_options.clone(),
            input_compression_type: Some(
                input.input_compression_type.clone().unwrap_or(api::InputCompressionType::None),
            ),
            table_creation_parameters: Some(input.table_creation_parameters.clone()),
            start_time: Some(now),
            processed_size_bytes: Some(0),
            processed_item_count: Some(0),
            imported_item_count: Some(0),
            ..Default::default()
        };
        let import = Import {
            description: to_json(&description)?,
            table: table.id,
            format: format.clone(),
            compression: compression_of(&input),
            not_before: now.plus(transition),
        };
        let work = Work::Import { table: name.clone(), import: id.clone() };
        jobs::begin(tx, &scope, &format!("import/{id}"), &Job { source: None, work, from: None, files: 0 })?;
        tx.put(&IMPORTS, &scope, &(name.as_str(), id.as_str()), &import)?;
        let begun = Begun { table: name, id, request: request.clone() };
        begun::remember(tx, (&TOKENS, &scope), token, &begun)?;
        Ok::<_, Error>(description)
    });
    let description = begun.await?;
    dynamodb.jobs.wake();
    Ok(api::ImportTableOutput { import_table_description: description })
}

fn parts_of(arn: &str) -> Option<(&str, &str)> {
    arn.split_once(":table/").and_then(|(_, rest)| rest.split_once("/import/"))
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeImportInput,
) -> Result<api::DescribeImportOutput> {
    let arn = &input.import_arn;
    let not_found = || Error::answer(api::ImportNotFoundException::new(format!("Import not found: {arn}")));
    let (scope, key) = (scope(cx), parts_of(arn).ok_or_else(not_found)?);
    let import = dynamodb.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&IMPORTS, &scope, &key)?)).await?;
    let import = import.ok_or_else(not_found)?;
    Ok(api::DescribeImportOutput { import_table_description: import.described_at(cx.now())? })
}

/// A place in the list as its page's token, and back.
fn token_of((table, id): (&str, &str)) -> String {
    let mut token: String = format!("{table}\0{id}").bytes().map(|byte| format!("{byte:02x}")).collect();
    while token.len() < MIN_TOKEN_DIGITS || !token.len().is_multiple_of(TOKEN_GROUP) {
        token.push('0');
    }
    token
}

fn of_token(token: &str) -> Option<(String, String)> {
    let bytes: Option<Vec<u8>> =
        (0..token.len() / 2).map(|at| u8::from_str_radix(token.get(at * 2..at * 2 + 2)?, 16).ok()).collect();
    let text = String::from_utf8(bytes?).ok()?;
    let (table, id) = text.split_once('\0')?;
    Some((table.to_owned(), id.trim_end_matches('\0').to_owned()))
}

pub async fn list(dynamodb: &DynamoDb, cx: &Context, input: api::ListImportsInput) -> Result<api::ListImportsOutput> {
    let (scope, name) = match &input.table_arn {
        Some(arn) => {
            let (scope, name) = place(cx, arn);
            (scope, Some(name))
        }
        None => (scope(cx), None),
    };
    let limit = input.page_size.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_IMPORTS);
    let mut range = match name {
        Some(name) => Range::prefix(&(name,)),
        None => Range::all(),
    };
    if let Some(token) = &input.next_token {
        let (table, id) = of_token(token).ok_or_else(|| Error::validation("Invalid NextToken"))?;
        range = range.after(&(table, id));
    }
    let found = dynamodb.store.read(|snapshot| {
        let imports = snapshot.range(&IMPORTS, &scope, range, Order::Ascending)?.take(limit + 1);
        let described = imports.map(|record| {
            let (key, import) = record?;
            Ok((key, import.described_at(snapshot.now(&scope))?))
        });
        described.collect::<Result<Vec<_>>>()
    });
    let mut found = found.await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|((table, id), _)| token_of((table, id)));
    let summary = |(_, described): (_, api::ImportTableDescription)| api::ImportSummary {
        import_arn: described.import_arn,
        import_status: described.import_status,
        table_arn: described.table_arn,
        s3_bucket_source: described.s3_bucket_source,
        cloud_watch_log_group_arn: described.cloud_watch_log_group_arn,
        input_format: described.input_format,
        start_time: described.start_time,
        end_time: described.end_time,
    };
    Ok(api::ListImportsOutput { import_summary_list: Some(found.into_iter().map(summary).collect()), next_token: next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_hex_in_groups_and_comes_back() {
        let token = token_of(("a-table", "01658528578619-c4d4e311"));
        assert!(token.len() >= 112 && token.len().is_multiple_of(16), "{token}");
        assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
        assert_eq!(of_token(&token), Some(("a-table".into(), "01658528578619-c4d4e311".into())));
        assert_eq!(of_token("zz"), None);
        assert_eq!(of_token("€"), None);
    }
}
