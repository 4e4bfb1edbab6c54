//! The MD5 of one body.

use std::future::poll_fn;

use bytes::Bytes;

use crate::pool::{LaneHandle, Pool, Stopped};
use crate::state::{Digest, Md5State};

/// Bodies up to this length are hashed where they are read: a way to a worker and back takes longer.
const SHORT_BYTES: u64 = 64 * 1024;

/// The MD5 of a body that comes chunk by chunk. Dropped before its end, it leaves nothing.
#[derive(Debug)]
pub struct BodyMd5 {
    pool: Pool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Short(Md5State),
    Long(LaneHandle),
}

impl BodyMd5 {
    pub fn new(pool: &Pool) -> Self {
        BodyMd5 { pool: pool.clone(), kind: Kind::Short(Md5State::default()) }
    }

    /// Takes in a chunk. It is kept, not copied, until it is hashed; where much waits already, this waits as well.
    pub async fn update(&mut self, chunk: Bytes) -> Result<(), Stopped> {
        if let Kind::Short(state) = &mut self.kind {
            if state.length_bytes() + chunk.len() as u64 <= SHORT_BYTES {
                state.update(&chunk);
                return Ok(());
            }
            self.kind = Kind::Long(self.pool.open(std::mem::take(state)));
        }
        let Kind::Long(lane) = &self.kind else { return Ok(()) };
        lane.put(chunk)?;
        poll_fn(|cx| lane.poll_room(cx)).await
    }

    /// The digest of all chunks.
    pub async fn finish(self) -> Result<Digest, Stopped> {
        match self.kind {
            Kind::Short(state) => Ok(state.finish()),
            Kind::Long(lane) => Ok(poll_fn(|cx| lane.poll_end(cx)).await?.finish()),
        }
    }
}
