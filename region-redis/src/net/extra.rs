//! A further connection to the server that the main connection leads to, opened when it is needed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Pipeline;

use crate::error::{Concerns, Failure};
use crate::net::dialer::Dialer;
use crate::net::identity::Identity;
use crate::net::on_demand::{Closable, OnDemand, Opener};
use crate::net::transport::Transport;
use crate::server::Server;

/// A separate connection for calls that others should not wait behind. Its loss concerns no other connection.
pub(crate) type ExtraConnection = OnDemand<ExtraOpener>;

/// Opens a further connection.
pub(crate) struct ExtraOpener {
    pub(crate) dialer: Arc<Dialer>,
    /// The server that it has to lead to.
    pub(crate) server: Arc<Server>,
    pub(crate) identity: Identity,
    /// The longest that a command may block it on the server.
    pub(crate) blocked: Duration,
}

#[async_trait]
impl Opener for ExtraOpener {
    type Opened = Transport;

    fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    async fn open(&self) -> Result<Transport, Failure> {
        let (transport, identity) = self.dialer.dial(&self.server).await?;
        if identity.is_unknown() {
            return Err(self.unusable(
                "does not permit INFO, which tells whether two connections lead to one server",
            ));
        }
        if !identity.is_same_process(&self.identity) {
            // The address leads to another server than the main connection does.
            let failure = Failure::unavailable(&*self.server, "is another server than it was");
            return Err(Failure { concerns: Concerns::Server, ..failure });
        }
        Ok(transport)
    }

    async fn watch_over(&self, transport: &Arc<Transport>) {
        let settings = &self.dialer.settings;
        let mut ping = Pipeline::with_capacity(1);
        ping.cmd("PING");
        while !transport.is_closed() {
            tokio::time::sleep(settings.watch).await;
            let silence = settings.silence + self.blocked;
            let alive = transport.send_while_alive(&self.server, &ping, silence).await;
            if let Err(failure) = alive {
                let (server, error) = (&*self.server, &failure.error);
                tracing::debug!(%server, %error, "a further connection is closed");
                transport.close();
                return;
            }
        }
    }

    fn note_refused(&self, failure: &Failure) {
        let (server, error) = (&*self.server, &failure.error);
        if let Some(left_out) = self.dialer.refused_extra.pass() {
            tracing::warn!(%server, %error, left_out, "no further connection");
        }
    }

    /// A failure that says nothing of the main connection.
    fn unusable(&self, why: &str) -> Failure {
        let failure = Failure::unavailable(&*self.server, why);
        Failure { concerns: Concerns::ExtraConnection, ..failure }
    }
}

impl Closable for Transport {
    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn close(&self) {
        Self::close(self);
    }
}
