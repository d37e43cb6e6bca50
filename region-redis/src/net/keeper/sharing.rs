//! Keeping connections that a node watches.

use std::sync::Arc;
use std::time::Duration;

use redis::Pipeline;
use tokio::time::Instant;

use super::Keeper;
use crate::error::{Concerns, Failure};
use crate::net::connections::Connections;
use crate::net::node::{Node, NodeUser};
use crate::net::role::Upkeep;

/// The time between two looks at a count of writes that nothing is due for.
const REST: Duration = Duration::from_secs(60);

impl Keeper {
    /// Uses connections that the node watches. Returns when they must be replaced, or prepared anew.
    pub(super) async fn share(&mut self, node: &Node, connections: &Arc<Connections>) {
        let began = Instant::now();
        if let Some(sign) = node.latest() {
            self.shared.hear(connections.membership(), &sign);
        }
        while self.shared.are_usable(connections) && self.is_counted(connections).await {
            self.rest(connections).await;
        }
        // As many as a link with connections of its own would have had answers.
        let watch = self.shared.origin.dialer.settings.watch;
        let watches = began.elapsed().as_nanos() / watch.as_nanos().max(1);
        self.attempt = self.attempt.saturating_sub(u32::try_from(watches).unwrap_or(u32::MAX));
    }

    /// Keeps the count of writes alive, if that is due. Returns whether the connections may be used as they are.
    async fn is_counted(&self, connections: &Arc<Connections>) -> bool {
        let shared = &self.shared;
        match self.refresh_count(connections).await {
            Ok(Upkeep::Done) => return true,
            Ok(Upkeep::Writable) => shared.renew_count(connections),
            Ok(Upkeep::Lost) => shared.distrust(connections),
            Err(failure) if failure.concerns != Concerns::Call => {
                shared.lose(connections, &failure.error);
            }
            Err(failure) => {
                tracing::debug!(server = %connections.server, error = %failure.error, "a count is not kept");
                return true;
            }
        }
        false
    }

    async fn refresh_count(&self, connections: &Connections) -> Result<Upkeep, Failure> {
        let (role, settings) = (&self.shared.role, &self.shared.origin.dialer.settings);
        let Some(command) = role.upkeep_command(connections, settings) else {
            return Ok(Upkeep::Done);
        };
        let mut commands = Pipeline::with_capacity(1);
        commands.add_command(command);
        let (server, limit) = (&*connections.server, settings.silence);
        let answers = connections.main().send_while_alive(server, &commands, limit).await?;
        let answer = answers.into_iter().next().unwrap_or_default();
        Ok(role.read_upkeep_reply(connections, &answer))
    }

    /// Waits until the count may have to be looked after, or something has happened.
    async fn rest(&self, connections: &Connections) {
        let (role, settings) = (&self.shared.role, &self.shared.origin.dialer.settings);
        let has_more = role.upkeep_command(connections, settings).is_some();
        tokio::select! {
            biased;
            () = tokio::time::sleep(if has_more { settings.watch } else { REST }) => {}
            () = self.shared.trouble.notified() => {}
        }
    }
}
