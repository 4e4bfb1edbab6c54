//! Object Lambda: a function between an object and who reads it.
//!
//! A request to an Object Lambda access point ([`points`]) calls the function that is configured for its operation with an
//! event that says where the original lies ([`event`], [`lambda`]). The function answers with a call of its own,
//! WriteGetObjectResponse, which is matched with the request that waits by a route and a token ([`waiting`]); its body goes on
//! to the reader as it comes. `operations/object_lambda.rs` puts them together. Functions before HeadObject and the listings
//! answer by what they return ([`answers`]).
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/transforming-objects.html>

pub mod answers;
pub mod call;
pub mod event;
pub mod lambda;
pub mod points;
pub mod waiting;
