//! Bodies of any length, in any chunks, together or alone, some of them given up: each digest is what the reference says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use fractus_md5::{BodyMd5, Digest, Md5State, Pool};
use proptest::prelude::*;

fn reference(bytes: &[u8]) -> Digest {
    use md5::Digest as _;
    md5::Md5::digest(bytes).into()
}

/// Bytes that differ from body to body and from place to place.
fn bytes(seed: u8, length: usize) -> Bytes {
    (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8) ^ seed).collect()
}

/// Some of a body's bytes, cut into chunks, and whether it is given up before its end.
#[derive(Clone, Debug)]
struct Body {
    bytes: Bytes,
    cuts: Vec<usize>,
    given_up: bool,
}

fn body() -> impl Strategy<Value = Body> {
    let length = prop_oneof![0usize..300, 60_000usize..70_000, 0usize..3_000_000];
    (any::<u8>(), length, proptest::collection::vec(0usize..3_000_000, 0..8), proptest::bool::weighted(0.2)).prop_map(
        |(seed, length, cuts, given_up)| {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(length)).collect();
            cuts.sort_unstable();
            Body { bytes: bytes(seed, length), cuts, given_up }
        },
    )
}

async fn hash(pool: Pool, body: Body) -> Option<Digest> {
    let mut md5 = BodyMd5::new(&pool);
    let mut rest = body.bytes;
    let mut at = 0;
    for cut in body.cuts {
        md5.update(rest.split_to(cut - at)).await.unwrap();
        at = cut;
        tokio::task::yield_now().await;
    }
    if body.given_up {
        return None;
    }
    md5.update(rest).await.unwrap();
    Some(md5.finish().await.unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_body_gets_its_own_digest(bodies in proptest::collection::vec(body(), 1..20)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let digests = runtime.block_on(async {
            let pool = Pool::default();
            let tasks: Vec<_> =
                bodies.iter().map(|body| tokio::spawn(hash(pool.clone(), body.clone()))).collect();
            let mut digests = Vec::new();
            for task in tasks {
                digests.push(task.await.unwrap());
            }
            digests
        });
        for (body, digest) in bodies.iter().zip(digests) {
            prop_assert_eq!(digest, (!body.given_up).then(|| reference(&body.bytes)));
        }
    }

    #[test]
    fn a_state_takes_any_cuts(seed in any::<u8>(), length in 0usize..1_000, cuts in proptest::collection::vec(0usize..1_000, 0..6)) {
        let whole = bytes(seed, length);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(length)).collect();
        cuts.sort_unstable();
        cuts.push(length);
        let (mut state, mut at) = (Md5State::default(), 0);
        for cut in cuts {
            state.update(&whole[at..cut]);
            at = cut;
        }
        prop_assert_eq!(state.length_bytes(), length as u64);
        prop_assert_eq!(state.finish(), reference(&whole));
    }
}

#[tokio::test]
async fn a_silent_body_does_not_hold_up_others() {
    let pool = Pool::default();
    let mut silent = BodyMd5::new(&pool);
    silent.update(bytes(1, 100_000)).await.unwrap();
    let other = bytes(2, 10_000_000);
    let mut md5 = BodyMd5::new(&pool);
    for at in (0..other.len()).step_by(200_000) {
        md5.update(other.slice(at..at + 200_000)).await.unwrap();
    }
    assert_eq!(md5.finish().await.unwrap(), reference(&other));
    assert_eq!(silent.finish().await.unwrap(), reference(&bytes(1, 100_000)));
}

#[test]
fn a_body_may_outlive_its_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let pool = Pool::default();
    let mut md5 = BodyMd5::new(&pool);
    runtime.block_on(md5.update(bytes(3, 500_000))).unwrap();
    drop(runtime);
    let another = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(another.block_on(md5.finish()).unwrap(), reference(&bytes(3, 500_000)));
}

#[tokio::test]
async fn bodies_that_fall_silent_hold_no_more_than_the_pool_may_and_go_on_when_they_come_back() {
    let pool = Pool::default();
    pool.hold_at_most(1_000_000);
    let mut silent = Vec::new();
    for seed in 0..200 {
        // Above what is hashed at once, and of what is left then below what is worth a worker's way.
        let mut md5 = BodyMd5::new(&pool);
        md5.update(bytes(seed, 70_000)).await.unwrap();
        md5.update(bytes(seed, 20_000)).await.unwrap();
        assert!(pool.held_bytes() <= 1_000_000, "{}", pool.held_bytes());
        silent.push(md5);
    }
    for (seed, md5) in (0..).zip(silent) {
        let whole = [bytes(seed, 70_000), bytes(seed, 20_000)].concat();
        assert_eq!(md5.finish().await.unwrap(), reference(&whole));
    }
    assert_eq!(pool.held_bytes(), 0);
}

#[tokio::test]
async fn a_pool_that_may_hold_nothing_hashes_chunk_by_chunk() {
    let pool = Pool::default();
    pool.hold_at_most(0);
    let whole = bytes(4, 1_000_000);
    let mut md5 = BodyMd5::new(&pool);
    for at in (0..whole.len()).step_by(1_000) {
        md5.update(whole.slice(at..at + 1_000)).await.unwrap();
        assert_eq!(pool.held_bytes(), 0);
    }
    assert_eq!(md5.finish().await.unwrap(), reference(&whole));
    let mut given_up = BodyMd5::new(&pool);
    pool.hold_at_most(1_000_000);
    given_up.update(whole).await.unwrap();
    drop(given_up);
    assert_eq!(pool.held_bytes(), 0);
}
