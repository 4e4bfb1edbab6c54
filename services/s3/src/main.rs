//! The S3 process.
