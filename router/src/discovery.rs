//! Replicas that announce themselves on NATS, for services that the launcher does not run itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fractus_bus::Directory;
use fractus_bus::contracts::{Presence, Status};

use crate::admin::control::{self, Told};
use crate::router::Router;

/// Keeps the targets as the directory says; services in `managed` are left to the launcher.
pub async fn follow(router: Arc<Router>, directory: Directory, managed: BTreeSet<String>) {
    let mut changes = directory.changes();
    let mut seen = BTreeSet::new();
    loop {
        let all = changes.borrow_and_update().clone();
        for service in all.keys().filter(|service| !managed.contains(*service)) {
            seen.insert(service.clone());
        }
        for service in &seen {
            let present = all.get(service).map(Vec::as_slice).unwrap_or_default();
            let ready: Vec<&Presence> =
                present.iter().filter(|one| one.status == Status::Ready && !one.url.is_empty()).collect();
            let known = router.targets.get(service).replicas();
            let new = ready.iter().map(|one| url_of(one)).filter(|url| !known.iter().any(|known| known.url == *url));
            let mut new: Vec<(String, Told)> = new.map(|url| (url, Told::default())).collect();
            for (url, told) in &mut new {
                control::bring_up_to_date(&router, url, told).await;
            }
            router.targets.set_replicas(service, ready.into_iter().map(|one| (url_of(one), handoff_of(one))).collect());
            for (url, told) in &mut new {
                control::bring_up_to_date(&router, url, told).await;
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// The socket for hand-overs where it is on this machine, or in a folder that containers share.
fn handoff_of(presence: &Presence) -> Option<PathBuf> {
    presence.metadata.get("handoff").map(PathBuf::from).filter(|path| path.exists())
}

/// The Unix socket where it is on this machine, which is quicker; else the URL.
fn url_of(presence: &Presence) -> String {
    match &presence.socket {
        Some(socket) if Path::new(socket).exists() => format!("unix:{socket}"),
        _ => presence.url.clone(),
    }
}
