//! The answer of ListObjectVersions as AWS writes it: versions and delete markers among each other, by key, newest first.
//!
//! The generated output has a list of each, which is what readers make of it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>

use fractus_s3_api as api;
use fractus_wire::generated::put;
use fractus_wire::{Operation, OperationSchema, ReadError, Reader, Schema, ServiceSchema, Shape, WriteError, Writer};

/// Entries of one kind that follow each other.
enum Run {
    Versions(Vec<api::ObjectVersion>),
    Markers(Vec<api::DeleteMarkerEntry>),
}

/// The answer: what stands around the entries, and the entries in their order.
#[derive(Default)]
pub struct Answer {
    /// Without versions and delete markers.
    around: api::ListObjectVersionsOutput,
    runs: Vec<Run>,
}

impl Answer {
    pub fn new(around: api::ListObjectVersionsOutput) -> Self {
        Answer { around, runs: Vec::new() }
    }

    pub fn push_version(&mut self, version: api::ObjectVersion) {
        match self.runs.last_mut() {
            Some(Run::Versions(versions)) => versions.push(version),
            _ => self.runs.push(Run::Versions(vec![version])),
        }
    }

    pub fn push_marker(&mut self, marker: api::DeleteMarkerEntry) {
        match self.runs.last_mut() {
            Some(Run::Markers(markers)) => markers.push(marker),
            _ => self.runs.push(Run::Markers(vec![marker])),
        }
    }
}

impl Shape for Answer {
    fn schema(&self) -> &'static Schema {
        api::ListObjectVersions::SCHEMA.output
    }

    fn read_member(&mut self, _: usize, _: &mut dyn Reader) -> Result<(), ReadError> {
        Ok(())
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        self.around.write_members(writer)?;
        let members = self.schema().members.as_slice();
        let named = |name: &str| members.iter().find(|member| member.name == name);
        let (Some(version), Some(marker)) = (named("Versions"), named("DeleteMarkers")) else { return Ok(()) };
        self.runs.iter().try_for_each(|run| match run {
            Run::Versions(versions) => put(versions, version, writer),
            Run::Markers(markers) => put(markers, marker, writer),
        })
    }
}

/// The operation with such an answer.
#[derive(Clone, Copy, Debug)]
pub struct ListObjectVersions;

impl Operation for ListObjectVersions {
    type Input = api::ListObjectVersionsInput;
    type Output = Answer;
    type Error = api::Error;
    const SCHEMA: &'static OperationSchema = api::ListObjectVersions::SCHEMA;
    const SERVICE: &'static ServiceSchema = api::ListObjectVersions::SERVICE;
}
