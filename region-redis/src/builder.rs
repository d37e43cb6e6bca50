use std::time::Duration;

use region_core::{Error, ErrorKind, Result};

use crate::net::backoff::Backoff;
use crate::server::Server;
use crate::settings::{Acknowledgement, LONGEST_WAIT, OnInvalidationFailure, OnTimeout, Settings};
use crate::store::RedisStore;

/// The most bytes that Redis takes as one value.
const LARGEST_ENTRY: usize = 512 * 1024 * 1024;

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
    settings: Settings,
}

impl RedisStoreBuilder {
    pub(crate) fn new(primary: Server) -> Self {
        Self { settings: Settings::new(primary) }
    }

    /// Adds a read replica, with an address and credentials of its own. Where several are given, reads
    /// take turns.
    ///
    /// # Errors
    /// When the URL is wrong.
    pub fn replica(mut self, url: &str) -> Result<Self> {
        self.settings.replicas.push(Server::parse(url)?);
        Ok(self)
    }

    /// The longest that a call takes, waiting for a connection included. 500 milliseconds by default.
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.settings.call = limit;
        self
    }

    /// The longest that opening a connection takes. One second by default.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect = limit;
        self
    }

    /// How often each server is asked for a sign of life, and how long it may take to give one before
    /// its connections are dropped. Half a second each by default.
    pub fn watch(mut self, every: Duration, silence: Duration) -> Self {
        self.settings.watch = every;
        self.settings.silence = silence;
        self
    }

    /// What happens to the connections when a call times out. They are kept by default, if the server
    /// gives a sign of life.
    pub fn on_timeout(mut self, on_timeout: OnTimeout) -> Self {
        self.settings.on_timeout = on_timeout;
        self
    }

    /// How long to wait between attempts to connect. From 100 milliseconds to 10 seconds by default.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// The most calls that wait for one server's answers; more wait for these, within their own limit.
    /// 8192 by default.
    pub fn max_in_flight(mut self, calls: usize) -> Self {
        self.settings.in_flight = calls;
        self
    }

    /// From how many bytes on an entry goes over a connection of its own, so that small ones need not
    /// wait behind it. 64 KiB by default.
    pub fn large_entries(mut self, bytes: usize) -> Self {
        self.settings.large = bytes;
        self
    }

    /// The most bytes an entry may have. 64 MiB by default; the server takes up to 512 MiB.
    pub fn max_entry_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_entry = bytes;
        self
    }

    /// How far a replica may be behind; one that is further is passed over. Five seconds by default.
    pub fn max_lag(mut self, lag: Duration) -> Self {
        self.settings.max_lag = lag;
        self
    }

    /// What becomes of an invalidation that cannot reach the server. An error by default.
    pub fn on_invalidation_failure(
        mut self,
        on_invalidation_failure: OnInvalidationFailure,
    ) -> Self {
        self.settings.on_invalidation_failure = on_invalidation_failure;
        self
    }

    /// The most regions whose invalidations are queued; when it is full, further ones are errors.
    /// 10,000 by default.
    pub fn max_queued(mut self, regions: usize) -> Self {
        self.settings.queue = regions;
        self
    }

    /// Makes each invalidation wait until `replicas` replicas have it, so that a failover to one of
    /// them does not undo it. If fewer have it after `within`, that is an error whose repetition is
    /// harmless; the primary has done it all the same.
    pub fn wait_for_replicas(mut self, replicas: u32, within: Duration) -> Self {
        self.settings.acknowledgement = Some(Acknowledgement { replicas, within });
        self
    }

    /// Leaves it to other processes to free what invalidations leave behind.
    pub fn without_reclaimer(mut self) -> Self {
        self.settings.reclaim = false;
        self
    }

    /// The name that the connections show in the server's `CLIENT LIST`. `region-cache` by default.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.settings.client_name = name.into();
        self
    }

    /// Makes the store; it connects in the background. Calls wait for that, within their limits.
    ///
    /// # Errors
    /// When a setting is out of range, or there is no Tokio runtime.
    pub fn build(self) -> Result<RedisStore> {
        self.check()?;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Err(refused("there is no Tokio runtime to keep the connections on"));
        };
        Ok(RedisStore::over(self.settings, runtime))
    }

    /// Makes the store and waits until it is connected to the primary. Replicas are connected to in
    /// the background: until they are, the primary answers for them.
    ///
    /// # Errors
    /// When a setting is out of range, or the primary cannot be reached or refuses.
    pub async fn connect(self) -> Result<RedisStore> {
        let store = self.build()?;
        store.first_attempt().await?;
        Ok(store)
    }

    fn check(&self) -> Result<()> {
        let settings = &self.settings;
        let mut waits = vec![
            ("call_timeout", settings.call),
            ("connect_timeout", settings.connect),
            ("watch: every", settings.watch),
            ("watch: silence", settings.silence),
            ("max_lag", settings.max_lag),
        ];
        waits.extend(settings.acknowledgement.map(|wanted| ("wait_for_replicas", wanted.within)));
        for (name, wait) in waits {
            if wait < Duration::from_millis(1) || wait > LONGEST_WAIT {
                let why = format!("{name} of {wait:?}: it must be from 1 ms to {LONGEST_WAIT:?}");
                return Err(refused(&why));
            }
        }
        if settings.max_lag < settings.watch * 2 {
            return Err(refused("max_lag must be at least twice as long as watch: every"));
        }
        if settings.in_flight == 0 || settings.in_flight > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(refused("max_in_flight must be from 1 to what a semaphore holds"));
        }
        if settings.max_entry == 0 || settings.max_entry > LARGEST_ENTRY {
            return Err(refused("max_entry_bytes must be from 1 byte to 512 MiB"));
        }
        if settings.large == 0 {
            return Err(refused("large_entries must not begin at 0 bytes"));
        }
        let name = &settings.client_name;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused("client_name must be of visible ASCII characters, without spaces"));
        }
        Ok(())
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
        assert!(builder().check().is_ok());
        let odd = [
            builder().call_timeout(ms(0)),
            builder().connect_timeout(Duration::MAX),
            builder().watch(ms(0), ms(1)),
            builder().watch(ms(1), ms(0)),
            builder().max_lag(ms(999)),
            builder().max_in_flight(0),
            builder().max_in_flight(usize::MAX),
            builder().max_entry_bytes(0),
            builder().max_entry_bytes(LARGEST_ENTRY + 1),
            builder().large_entries(0),
            builder().wait_for_replicas(1, ms(0)),
            builder().client_name(""),
            builder().client_name("two words"),
        ];
        for (n, builder) in odd.into_iter().enumerate() {
            let error = builder.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{n}");
        }
    }

    #[test]
    fn a_store_needs_a_runtime() {
        assert_eq!(builder().build().unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
}
