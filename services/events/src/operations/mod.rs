//! The API's handlers, a file for each family of operations.

pub mod api_destinations;
pub mod archives;
pub mod buses;
pub mod connections;
pub mod endpoints;
pub mod event_sources;
pub mod partner_sources;
pub mod permissions;
pub mod put_events;
pub mod replays;
pub mod rules;
pub mod tags;
pub mod targets;
pub mod test_pattern;
