//! The API of S3 Tables, as far as the tables of S3 Metadata and Storage Lens need it. Of its operations there are ListTableBuckets, GetTableBucket,
//! ListNamespaces, GetNamespace, ListTables, GetTable, GetTableMetadataLocation and DeleteTable.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_S3_Tables.html>

use std::borrow::Cow;

use fractus_clock::Timestamp;
use http::{Method, StatusCode};
use serde_json::{Value as Json, json};

use crate::error::Result;
use crate::metadata::catalog::Answer;
use crate::metadata::tables::{Asked, Deleted, TableBucket, Tables, id_of, parameter, version_token};

const MAX_LISTED: usize = 1_000;

impl Tables<'_> {
    /// A request to the API of S3 Tables.
    pub async fn api(&self, parts: &[&str]) -> Result<Answer> {
        let method = self.cx.method();
        let (arn, asked) = match (method.as_str(), parts) {
            ("GET", ["buckets"]) => ("*".to_owned(), Asked::Bucket("s3tables:ListTableBuckets")),
            ("GET", ["buckets", arn]) => ((*arn).to_owned(), Asked::Bucket("s3tables:GetTableBucket")),
            ("GET", ["namespaces", arn]) => ((*arn).to_owned(), Asked::Bucket("s3tables:ListNamespaces")),
            ("GET", ["namespaces", arn, _]) => ((*arn).to_owned(), Asked::Bucket("s3tables:GetNamespace")),
            ("GET", ["tables", arn]) => ((*arn).to_owned(), Asked::Bucket("s3tables:ListTables")),
            ("GET", ["get-table"]) => (self.named_bucket(), Asked::Table("s3tables:GetTable", "", "")),
            ("GET", ["tables", arn, _, _]) => ((*arn).to_owned(), Asked::Table("s3tables:GetTable", "", "")),
            ("GET", ["tables", arn, _, _, "metadata-location"]) => {
                ((*arn).to_owned(), Asked::Table("s3tables:GetTableMetadataLocation", "", ""))
            }
            ("DELETE", ["tables", arn, _, _]) => ((*arn).to_owned(), Asked::Table("s3tables:DeleteTable", "", "")),
            _ => return Ok(not_here()),
        };
        if let Err(failure) = self.authorize(asked.action(), &asked.resource(&arn)).await {
            return Ok(error(StatusCode::FORBIDDEN, "AccessDeniedException".into(), &failure.message));
        }
        if parts == ["buckets"] {
            return self.list_buckets().await;
        }
        let Some(bucket) = TableBucket::of(self.cx, &arn) else {
            return Ok(error(StatusCode::BAD_REQUEST, "BadRequestException".into(), "The specified ARN is not valid."));
        };
        let Some(created_at) = self.namespaces(&bucket, "", 1).await?.first().map(|(_, at)| *at) else {
            let message = "The specified bucket does not exist.";
            return Ok(error(StatusCode::NOT_FOUND, "NotFoundException".into(), message));
        };
        match parts {
            ["buckets", _] => Ok(Answer::of(bucket.shown(self.cx, created_at))),
            ["namespaces", _] => self.list_namespaces(&bucket).await,
            ["namespaces", _, namespace] => Ok(match self.namespace(&bucket, namespace).await? {
                Some(at) => Answer::of(self.shown_namespace(&bucket, namespace, at)),
                None => {
                    error(StatusCode::NOT_FOUND, "NotFoundException".into(), "The specified namespace does not exist.")
                }
            }),
            ["tables", _] => self.list_tables(&bucket).await,
            ["get-table"] => {
                let (namespace, name) = (parameter(self.cx, "namespace"), parameter(self.cx, "name"));
                match (namespace, name) {
                    (Some(namespace), Some(name)) => self.show(&bucket, &namespace, &name, false).await,
                    _ => self.show_by_id(&bucket).await,
                }
            }
            ["tables", _, namespace, name] if *method == Method::DELETE => {
                let version = parameter(self.cx, "versionToken");
                Ok(match self.delete(&bucket, namespace, name, version.as_deref()).await? {
                    Deleted::Done => Answer::empty(),
                    Deleted::Missing => no_table(),
                    Deleted::Changed => {
                        let message = "The version token does not match the version of the table.";
                        error(StatusCode::CONFLICT, "ConflictException".into(), message)
                    }
                })
            }
            ["tables", _, namespace, name] => self.show(&bucket, namespace, name, false).await,
            ["tables", _, namespace, name, _] => self.show(&bucket, namespace, name, true).await,
            _ => Ok(not_here()),
        }
    }

    /// The table bucket that GetTable names, by itself or in a table's ARN.
    fn named_bucket(&self) -> String {
        parameter(self.cx, "tableBucketARN").unwrap_or_else(|| {
            let arn = parameter(self.cx, "tableArn").unwrap_or_default();
            arn.split("/table/").next().unwrap_or_default().to_owned()
        })
    }

    /// How much a page has, where it begins, and what names begin with.
    fn paging(&self, size: &str) -> (usize, String, String) {
        let size = parameter(self.cx, size).and_then(|size| size.parse().ok()).unwrap_or(MAX_LISTED);
        let after = parameter(self.cx, "continuationToken").unwrap_or_default();
        (size.clamp(1, MAX_LISTED), after, parameter(self.cx, "prefix").unwrap_or_default())
    }

    async fn list_buckets(&self) -> Result<Answer> {
        let (size, after, prefix) = self.paging("maxBuckets");
        let kind = parameter(self.cx, "type");
        let found = self.buckets(&after, size).await?;
        let token = found.last().filter(|_| found.len() == size).map(|(bucket, _)| bucket.name.clone());
        let fits = |bucket: &TableBucket| {
            bucket.name.starts_with(&prefix) && kind.as_deref().is_none_or(|kind| kind == bucket.kind())
        };
        let shown = found.iter().filter(|(bucket, _)| fits(bucket)).map(|(bucket, at)| bucket.shown(self.cx, *at));
        Ok(Answer::of(page("tableBuckets", shown.collect(), token)))
    }

    fn shown_namespace(&self, bucket: &TableBucket, namespace: &str, at: Timestamp) -> Json {
        json!({
            "namespace": [namespace],
            "createdAt": at.date_time_millis(),
            "createdBy": self.cx.world.account.as_str(),
            "ownerAccountId": self.cx.world.account.as_str(),
            "namespaceId": id_of(&[&bucket.arn, namespace]),
            "tableBucketId": bucket.id(),
        })
    }

    async fn list_namespaces(&self, bucket: &TableBucket) -> Result<Answer> {
        let (size, after, prefix) = self.paging("maxNamespaces");
        let found = self.namespaces(bucket, &after, size).await?;
        let token = found.last().filter(|_| found.len() == size).map(|(namespace, _)| namespace.clone());
        let fitting = found.iter().filter(|(namespace, _)| namespace.starts_with(&prefix));
        let shown = fitting.map(|(namespace, at)| self.shown_namespace(bucket, namespace, *at)).collect();
        Ok(Answer::of(page("namespaces", shown, token)))
    }

    async fn list_tables(&self, bucket: &TableBucket) -> Result<Answer> {
        let (size, after, prefix) = self.paging("maxTables");
        let namespace = parameter(self.cx, "namespace");
        let after = after.split_once('/').unwrap_or((namespace.as_deref().unwrap_or_default(), ""));
        let found = self.tables(bucket, namespace.as_deref(), after, size).await?;
        let token = found.last().filter(|_| found.len() == size).map(|(place, _)| format!("{}/{}", place.3, place.4));
        let fitting = found.iter().filter(|(place, _)| place.4.starts_with(&prefix));
        let shown = fitting.map(|(place, kept)| {
            json!({
                "namespace": [place.3],
                "name": place.4,
                "type": bucket.kind(),
                "tableARN": format!("{}/table/{}", bucket.arn, kept.id),
                "createdAt": kept.created_at.date_time_millis(),
                "modifiedAt": kept.modified_at.date_time_millis(),
                "managedByService": kept.kind.managed_by(),
                "namespaceId": id_of(&[&bucket.arn, &place.3]),
                "tableBucketId": bucket.id(),
            })
        });
        Ok(Answer::of(page("tables", shown.collect(), token)))
    }

    async fn show_by_id(&self, bucket: &TableBucket) -> Result<Answer> {
        let id = parameter(self.cx, "tableArn").unwrap_or_default();
        let id = id.rsplit('/').next().unwrap_or_default();
        let mut after = (String::new(), String::new());
        loop {
            let found = self.tables(bucket, None, (&after.0, &after.1), MAX_LISTED).await?;
            if let Some((place, _)) = found.iter().find(|(_, kept)| kept.id == id) {
                return self.show(bucket, &place.3, &place.4, false).await;
            }
            let Some((place, _)) = found.last() else { return Ok(no_table()) };
            after = (place.3.clone(), place.4.clone());
        }
    }

    async fn show(&self, bucket: &TableBucket, namespace: &str, name: &str, location: bool) -> Result<Answer> {
        let Some(kept) = self.table(bucket, namespace, name).await? else { return Ok(no_table()) };
        let mut shown = json!({
            "versionToken": version_token(&kept),
            "metadataLocation": kept.table.metadata_location(),
            "warehouseLocation": kept.table.location,
        });
        if location {
            return Ok(Answer::of(shown));
        }
        let account = self.cx.world.account.as_str();
        let more = json!({
            "name": name,
            "type": bucket.kind(),
            "tableARN": format!("{}/table/{}", bucket.arn, kept.id),
            "namespace": [namespace],
            "namespaceId": id_of(&[&bucket.arn, namespace]),
            "createdAt": kept.created_at.date_time_millis(),
            "createdBy": account,
            "managedByService": kept.kind.managed_by(),
            "modifiedAt": kept.modified_at.date_time_millis(),
            "modifiedBy": account,
            "ownerAccountId": account,
            "format": "ICEBERG",
            "tableBucketId": bucket.id(),
        });
        if let (Some(shown), Json::Object(more)) = (shown.as_object_mut(), more) {
            shown.extend(more);
        }
        Ok(Answer::of(shown))
    }
}

fn page(name: &str, shown: Vec<Json>, token: Option<String>) -> Json {
    let mut page = json!({ name: shown });
    if let Some(token) = token {
        page["continuationToken"] = Json::from(token);
    }
    page
}

pub fn error(status: StatusCode, kind: Cow<'static, str>, message: &str) -> Answer {
    Answer { status, body: Some(json!({ "message": message })), error: Some(kind) }
}

fn no_table() -> Answer {
    error(StatusCode::NOT_FOUND, "NotFoundException".into(), "The specified table does not exist.")
}

fn not_here() -> Answer {
    let message = "This operation of S3 Tables is not here: tables are those of S3 Metadata and Storage Lens, and are read and deleted.";
    error(StatusCode::NOT_IMPLEMENTED, "NotImplementedException".into(), message)
}
