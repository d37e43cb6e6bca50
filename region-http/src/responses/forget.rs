//! Forgetting responses that a request has made out of date: RFC 9111, section 4.4.

use axum::http::StatusCode;
use axum::http::request::Parts;
use region_core::{Region, RegionHandle};
use tokio::runtime::Handle;

use super::cacheable::Sender;
use super::key;

/// Removes what is stored for the target of a request that may change it: once that has succeeded, or in the
/// background if nobody waits for its end any more.
pub(super) struct Forget(Option<Target>);

struct Target {
    region: RegionHandle,
    keys: [String; 2],
}

impl Forget {
    pub(super) fn new(region: RegionHandle, parts: &Parts) -> Self {
        let keys =
            [Sender::Anonymous, Sender::Identified].map(|sender| key::of_target(parts, sender));
        Self(Some(Target { region, keys }))
    }

    /// Removes it, unless the status says that the request has failed.
    pub(super) async fn after(mut self, status: StatusCode) {
        let has_succeeded = status.is_success() || status.is_redirection();
        if let Some(target) = self.0.as_ref().filter(|_| has_succeeded) {
            target.remove().await;
        }
        self.0 = None;
    }
}

impl Target {
    /// Removes what is stored; a load that is under way is fenced by that.
    async fn remove(&self) {
        let keys = self.keys.each_ref().map(String::as_str);
        if let Err(error) = self.region.remove_many(&keys).await {
            let (kind, region) = (error.kind(), self.region.path());
            tracing::warn!(?kind, %region, "a stored response may be out of date");
        }
    }
}

impl Drop for Forget {
    fn drop(&mut self) {
        // The service may have changed something before the request was dropped.
        if let Some(target) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move { target.remove().await });
        }
    }
}
