//! Every operation's input and output, with every member set, goes through its generated types and comes back.

use fractus_scheduler_api::*;
use fractus_testkit::operations_come_back;

include!(concat!(env!("OUT_DIR"), "/scheduler_operations.rs"));
for_each_operation!(operations_come_back);
