//! Batch Operations: one operation on every object of a list, done in the background.
//!
//! [`create`] takes a job, [`manage`] shows and steers it, [`work`] has it done step by step: [`prepare`], with [`manifest`] and [`generate`],
//! give its tasks, [`tasks`] does one ([`functions`] has a function do it), [`report`] tells how they went, and [`told`] which
//! states a job comes to. Every step is written down before the next, so that a
//! job goes on where it was when the process starts again.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops.html>

pub mod create;
pub mod functions;
pub mod generate;
pub mod job;
pub mod manage;
pub mod manifest;
pub mod prepare;
pub mod report;
pub mod tasks;
pub mod told;
pub mod work;
