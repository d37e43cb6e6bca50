use std::time::Duration;

use region_core::{Error, ErrorKind, Result};

use crate::backoff::Backoff;
use crate::server::Server;
use crate::servers::Servers;
use crate::settings::{Acknowledgement, OnInvalidationFailure, OnTimeout, Settings, each_setting};
use crate::store::RedisStore;
#[cfg(feature = "tls")]
use crate::tls::{Configs, Tls};

/// Settings of a [`RedisStore`], each with a default that suits a server nearby.
///
/// ```no_run
/// use std::time::Duration;
/// use region_redis::{OnInvalidationFailure, RedisStore};
///
/// # async fn run() -> region_core::Result<()> {
/// let store = RedisStore::builder("redis://cache-primary")?
///     .replica("redis://cache-replica-1")?
///     .replica("redis://cache-replica-2")?
///     .call_timeout(Duration::from_millis(250))
///     .on_invalidation_failure(OnInvalidationFailure::Queue)
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisStoreBuilder {
    pub(crate) settings: Settings,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

/// Declares a method for each plain setting.
macro_rules! declare_methods {
    (
        plain { $($(#[doc = $doc:literal])+ $field:ident by $method:ident($value:ident: $taken:ty): $type:ty = $default:expr, $words:literal, $check:path;)* }
        own { $($own:tt)* }
    ) => {
        impl RedisStoreBuilder {
            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!("Default: ", $words, ".")]
                pub fn $method(mut self, $value: $taken) -> Self {
                    self.settings.$field = $value.into();
                    self
                }
            )*
        }
    };
}

each_setting!(declare_methods);

impl RedisStoreBuilder {
    fn new(primary: Server) -> Self {
        Self {
            settings: Settings::new(primary),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets the settings of connections over TLS, for all servers whose URL begins with `rediss://` or `valkeys://` and
    /// says no more of TLS.
    ///
    /// Default: [`Tls::new`].
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Adds a read replica, with an address and credentials of its own. Several replicas take turns.
    ///
    /// # Errors
    /// When the URL is wrong.
    pub fn replica(mut self, url: &str) -> Result<Self> {
        self.settings.replicas.push(Server::parse(url)?);
        Ok(self)
    }

    /// Sets the time between two requests for a sign of life from each connection, and the longest silence
    /// before the connection is replaced. What was read over it is trusted no longer than the two together after
    /// its last sign of life.
    ///
    /// Default: 500 ms each.
    pub fn watch(mut self, every: Duration, silence: Duration) -> Self {
        self.settings.watch = every;
        self.settings.silence = silence;
        self
    }

    /// Makes each invalidation wait until `replicas` replicas have it, so that a failover to one of them
    /// does not undo it. If fewer have it after `within`, the call fails although the primary has done it;
    /// it is safe to retry.
    pub fn wait_for_replicas(mut self, replicas: u32, within: Duration) -> Self {
        self.settings.acknowledgement = Some(Acknowledgement { replicas, within });
        self
    }

    /// Turns the reclaimer off: other processes free the memory of invalidated regions.
    pub fn without_reclaimer(mut self) -> Self {
        self.settings.reclaim = false;
        self
    }

    /// Opens all connections by `connector` rather than by the operating system.
    #[cfg(feature = "testing")]
    pub fn connector(mut self, connector: std::sync::Arc<dyn crate::testing::Connect>) -> Self {
        self.settings.connector = crate::testing::Connector(Some(connector));
        self
    }

    /// Makes the store, which connects in the background. Calls wait for the connection, within their limits.
    ///
    /// # Errors
    /// When a setting is out of range, a certificate cannot be read, there is no Tokio runtime, or it has no timers.
    pub fn build(self) -> Result<RedisStore> {
        self.settings.check()?;
        #[cfg(feature = "tls")]
        let this = self.with_tls_set_up()?;
        #[cfg(not(feature = "tls"))]
        let this = self;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Err(refused("there is no Tokio runtime to keep the connections on"));
        };
        if !region_core::has_timers() {
            let why = "the Tokio runtime has no timers: build it with enable_time and enable_io";
            return Err(refused(why));
        }
        Ok(RedisStore::over(this.settings, &runtime))
    }

    #[cfg(feature = "tls")]
    fn with_tls_set_up(mut self) -> Result<Self> {
        let mut configs = Configs::new(self.tls.as_ref());
        let Settings { primary, replicas, .. } = &mut self.settings;
        for server in std::iter::once(primary).chain(replicas) {
            server.set_up_tls(&mut configs)?;
        }
        configs.finish()?;
        Ok(self)
    }

    /// Makes the store and waits until it is connected to the primary. Replicas are connected in the
    /// background: until then the primary answers all reads.
    ///
    /// # Errors
    /// When a setting is out of range, or the primary cannot be reached or refuses.
    pub async fn connect(self) -> Result<RedisStore> {
        let store = self.build()?;
        store.first_attempt().await?;
        Ok(store)
    }
}

impl RedisStore {
    /// Connects to the primary at `url` (see [`Server`]) with the default settings of the
    /// [builder](Self::builder).
    ///
    /// # Errors
    /// When the URL is wrong, or the server cannot be reached or refuses.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder(url)?.connect().await
    }

    /// Returns a builder of a store whose primary is at `url` (see [`Server`]).
    ///
    /// # Errors
    /// When the URL is wrong.
    pub fn builder(url: &str) -> Result<RedisStoreBuilder> {
        match Servers::parse(url)? {
            Servers::Fixed(primary) => Ok(RedisStoreBuilder::new(primary)),
            servers @ (Servers::Sentinel(_) | Servers::Cluster(_)) => {
                let why = format!("{servers}: Sentinel and Redis Cluster are not supported");
                Err(refused(&why))
            }
        }
    }
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> RedisStoreBuilder {
        RedisStore::builder("redis://localhost").unwrap()
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let ms = Duration::from_millis;
        assert!(builder().settings.check().is_ok());
        let odd = [
            builder().call_timeout(ms(0)),
            builder().connect_timeout(Duration::MAX),
            builder().watch(ms(0), ms(1)),
            builder().watch(ms(1), ms(0)),
            builder().max_lag(ms(999)),
            builder().max_in_flight(0),
            builder().max_in_flight(usize::MAX),
            builder().max_entry_bytes(0),
            builder().max_entry_bytes(512 * 1024 * 1024 + 1),
            builder().large_entries(0),
            builder().wait_for_replicas(1, ms(0)),
            builder().client_name(""),
            builder().client_name("two words"),
        ];
        for (n, builder) in odd.into_iter().enumerate() {
            let error = builder.settings.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{n}");
        }
    }

    #[test]
    fn a_store_needs_a_runtime() {
        assert_eq!(builder().build().unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
}
