//! Waiting on a condition.

use std::time::Duration;

use fractus_clock::{Clock, Stopwatch};

/// A busy machine takes its time; only what fails waits so long.
const AT_MOST: Duration = Duration::from_secs(60);

/// Asks again and again until the condition gives a value; for what happens elsewhere (a delivery, an event) and cannot
/// be waited on otherwise. Real time, since what is waited for may be another thread.
///
/// # Panics
/// When a minute has passed.
pub async fn wait_for<T, F, Fut>(what: &str, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let watch = Stopwatch::start();
    let real = Clock::real();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(watch.elapsed() < AT_MOST, "not within {AT_MOST:?}: {what}");
        real.sleep(Duration::from_millis(2)).await;
    }
}
