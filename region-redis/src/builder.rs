use std::time::Duration;

use region_core::{Error, ErrorKind, Result};

use crate::backoff::Backoff;
use crate::server::Server;
use crate::servers::Servers;
use crate::settings::{
    Acknowledgement, OnInvalidationFailure, OnTimeout, ROWS, Settings, StoreSetting, each_setting,
};
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
    /// Every setting that has a default.
    pub const SETTINGS: &'static [StoreSetting] = ROWS;

    fn new(servers: Servers) -> Self {
        Self {
            settings: Settings::new(servers),
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

    /// Adds a read replica, with an address and credentials of its own. Several replicas take turns. Sentinels
    /// and clusters know the replicas themselves.
    ///
    /// # Errors
    /// When the URL is wrong, or the store is one of sentinels or of a cluster.
    pub fn replica(mut self, url: &str) -> Result<Self> {
        if !matches!(self.settings.servers, Servers::Fixed(_)) {
            let why =
                format!("a replica of {}, which knows its replicas itself", self.settings.servers);
            return Err(refused(&why));
        }
        self.settings.replicas.push(Server::parse(url)?);
        Ok(self)
    }

    /// Adds a read replica as [`replica`](Self::replica) does, whose credentials are not part of its URL.
    ///
    /// # Errors
    /// As [`replica`](Self::replica), and as [`credentials`](Self::credentials).
    pub fn replica_with_credentials(
        self,
        url: &str,
        user: Option<&str>,
        password: &str,
    ) -> Result<Self> {
        let mut this = self.replica(url)?;
        if let Some(server) = this.settings.replicas.last_mut() {
            server.set_credentials(user, password)?;
        }
        Ok(this)
    }

    /// Sets the user and the password of the primary, where they are not part of the URL. Sentinels have others;
    /// what they name, and all nodes of a cluster, have these. Nothing prints the password.
    ///
    /// ```
    /// use region_redis::RedisStore;
    ///
    /// # fn main() -> region_core::Result<()> {
    /// let password = "from a secret's file: no character needs to be encoded /?#@";
    /// let builder = RedisStore::builder("redis://cache-primary")?.credentials(Some("app"), password)?;
    /// assert!(!format!("{builder:?}").contains("from a secret"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the URL has a password, or `password` is empty.
    pub fn credentials(mut self, user: Option<&str>, password: &str) -> Result<Self> {
        self.settings.servers.set_credentials(user, password)?;
        Ok(self)
    }

    /// Sets the user and the password of the sentinels, where they are not part of the URL.
    ///
    /// # Errors
    /// When the URL names no sentinels, has a password for them, or `password` is empty.
    pub fn sentinel_credentials(mut self, user: Option<&str>, password: &str) -> Result<Self> {
        self.settings.servers.set_sentinel_credentials(user, password)?;
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

    /// Checks the settings as [`build`](Self::build) does, without a runtime, and without reading a file.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn check(&self) -> Result<()> {
        self.settings.check()
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
        RedisStore::over(this.settings, &runtime)
    }

    #[cfg(feature = "tls")]
    fn with_tls_set_up(mut self) -> Result<Self> {
        let mut configs = Configs::new(self.tls.as_ref());
        let Settings { servers, replicas, .. } = &mut self.settings;
        servers.set_up_tls(&mut configs)?;
        for server in replicas {
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
    /// Connects to the servers that `url` names, with the default settings of the [builder](Self::builder).
    ///
    /// # Errors
    /// When the URL is wrong, or the primary cannot be found or reached, or refuses.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder(url)?.connect().await
    }

    /// Returns a builder of a store on the servers that `url` names: the primary itself (see [`Server`]), sentinels
    /// that know it, or nodes of a cluster.
    ///
    /// # Sentinel
    /// `redis-sentinel://[[user]:password@]host[:port][,host[:port]..]/name[/database]`
    ///
    /// `name` is the name that the sentinels have for the primary, and a sentinel's port is 26379 unless it is given.
    /// User and password are for the primary and its replicas; those for the sentinels are the parameters
    /// `sentinel_user` and `sentinel_password`. With `rediss-sentinel://` all connections are over TLS, with the
    /// parameters of [`Server`]: certificates have to name what the sentinels report, often an address, or the
    /// parameter `server_name` says which name they have.
    ///
    /// The store asks for the primary before each attempt to connect, and so follows it to another server. It waits
    /// for the sentinels no longer than for a part of `connect_timeout`; if none is of use, that is an outage like any
    /// other. Name all sentinels: the more of them answer, the less can one be wrong. Sentinels report the addresses
    /// that they know. Where these cannot be reached from here, as behind address translation or from outside of a
    /// container network, set `replica-announce-ip` on the servers and `sentinel announce-ip` on the sentinels.
    ///
    /// ```no_run
    /// use region_redis::RedisStore;
    ///
    /// # async fn run() -> region_core::Result<()> {
    /// let url = "redis-sentinel://:secret@s1,s2,s3/main?sentinel_password=other";
    /// let store = RedisStore::builder(url)?.connect().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Cluster
    /// `redis-cluster://[[user]:password@]host[:port][,host[:port]..][?anchor=1&replicas=read]`
    ///
    /// The nodes named are asked which node has which slot; one that answers is enough, and they need not be all. User
    /// and password are for all nodes, and `rediss-cluster://` is as above. With `replicas=read` the nodes' replicas are
    /// read from, as those of a single primary are. A cluster has no databases.
    ///
    /// A root and all below it lie in one slot: so every promise holds as it does on a single server, an invalidation
    /// is one step, and different roots spread over the nodes. Choose roots so: one for each tenant, say.
    ///
    /// A root that is too large for one slot is spread by `anchor=2`, or a higher number: then a region lies in
    /// the slot of its path's first two segments, `shop.org:42`, with all below it, and a region that is less deep
    /// in that of its root. An invalidation is one step all the same, whatever lies below. What it costs, and the
    /// two things that differ:
    /// - A read below an anchor also asks the slot of the root, at the same time, unless what is above is trusted
    ///   near. What writes there asks that slot before: two round trips. The root's node gets a small read for each
    ///   of these calls.
    /// - `touch` reaches the regions above after those below: a retry completes one that failed in between.
    /// - An expiration above is judged by the clocks of both nodes, as far as they are known to differ.
    ///
    /// All processes must name the same number: it is a part of the layout. A root remembers that of the process
    /// which created it, and calls with another fail, as [`ErrorKind::InvalidConfig`]. To change it, invalidate the
    /// roots, stop all processes and start them anew.
    ///
    /// - If a primary fails, its slots are an outage until a replica has taken over; the new primary is told of
    ///   recent changes before anything is read from it. The nodes' own setting `cluster-require-full-coverage`
    ///   decides whether other slots are served meanwhile: with its default, `yes`, they are not.
    /// - While a slot is moved to another node, the server refuses what concerns keys on both: calls try again until
    ///   their limit, then they fail as in an outage. Then the store follows; late writes of this process may become
    ///   misses. What others change there shows near no later than the sum of the two times of
    ///   [`watch`](RedisStoreBuilder::watch).
    /// - All roots on one node share its connections: one, and up to five more for large entries and waits; with
    ///   `replicas=read` as many to each replica. A slot in use takes about 20 KiB of this process. If there are more
    ///   than 1,024, those unused for half a minute are given up.
    ///
    /// # Errors
    /// When the URL is wrong.
    pub fn builder(url: &str) -> Result<RedisStoreBuilder> {
        Servers::parse(url).map(RedisStoreBuilder::new)
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
    fn the_words_of_choices_are_read() {
        let on_timeout = |word: &str| serde_json::from_value::<OnTimeout>(word.into()).unwrap();
        assert_eq!([on_timeout("drop"), on_timeout("ask")], [OnTimeout::Drop, OnTimeout::Ask]);
        let on_failure =
            |word: &str| serde_json::from_value::<OnInvalidationFailure>(word.into()).unwrap();
        assert_eq!(on_failure("error"), OnInvalidationFailure::Error);
        assert_eq!(on_failure("queue"), OnInvalidationFailure::Queue);
    }

    #[test]
    fn a_store_needs_a_runtime() {
        assert_eq!(builder().build().unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
}
