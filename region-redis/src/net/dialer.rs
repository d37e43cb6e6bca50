//! Opening connections to servers.

use std::sync::Arc;

use redis::Cmd;
use tokio::runtime::Handle;

use crate::error::Failure;
use crate::net::identity::Identity;
use crate::net::origin::Place;
use crate::net::outage::LogLimit;
use crate::net::pushes::Pushes;
use crate::net::transport::Transport;
use crate::server::Server;
use crate::settings::Settings;

/// Opens connections, and has the parts that all of them need.
pub(crate) struct Dialer {
    pub(crate) settings: Arc<Settings>,
    pub(crate) pushes: Arc<Pushes>,
    /// The runtime that the store was made on. It runs all tasks of the store.
    pub(crate) runtime: Handle,
    pub(crate) refused_extra: LogLimit,
    /// The command that each connection begins with.
    pub(crate) opening: Option<Cmd>,
}

impl Dialer {
    /// Opens connections to servers in a place of this kind.
    pub(crate) fn new(
        settings: &Arc<Settings>,
        pushes: &Arc<Pushes>,
        runtime: &Handle,
        place: Place,
    ) -> Self {
        Self {
            settings: Arc::clone(settings),
            pushes: Arc::clone(pushes),
            runtime: runtime.clone(),
            refused_extra: LogLimit::default(),
            opening: place.opening_command(),
        }
    }

    /// Opens a connection, names this client, and asks who the server is. The caller must limit the time.
    pub(crate) async fn dial(&self, server: &Server) -> Result<(Transport, Identity), Failure> {
        let transport = Transport::open(server, &self.settings, &self.pushes).await?;
        let identity =
            Identity::ask(server, &self.settings, self.opening.as_ref(), &transport).await?;
        Ok((transport, identity))
    }
}
