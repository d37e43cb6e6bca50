//! A program's configuration.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use region_core::ErrorKind;

use super::input::Input;
use crate::backoff::Backoff;
use crate::server::{Access, Server};
use crate::servers::Servers;
use crate::session::recovery::count_lifetime;
use crate::settings::{LONGEST_WAIT, OnInvalidationFailure, OnTimeout, Settings};
use crate::store::RedisStore;

/// A password that stands in no other part of a URL.
const PASSWORD: &str = "s3cr3t";

/// The parts that URLs are made of.
#[cfg(test)]
pub(super) const PIECES: &[&str] = &[
    "redis",
    "rediss",
    "valkey+unix",
    "unix",
    "redis-sentinel",
    "redis-cluster",
    "rediss+sentinel",
    "sentinel_user",
    "sentinel_password",
    "anchor",
    "replicas",
    "read",
    ",",
    "main",
    "://",
    ":",
    "@",
    "/",
    "?",
    "&",
    "#",
    "=",
    "db",
    "user",
    "ca",
    "cert",
    "key",
    "server_name",
    "pass",
    "h",
    "[::1]",
    "6379",
    "1",
    "%",
    "%23",
    "\\",
    PASSWORD,
];

/// Reads the URL of a server, with a password where the text has a `\0`, and where its authority has one.
///
/// # Panics
/// When a message, or what is printed, contains the password.
pub fn url(text: &str) {
    let with_password = text.replace('\0', PASSWORD);
    check(&with_password);
    if let Some((scheme, rest)) = text.split_once("://") {
        let user_and = |text: &str| format!("{scheme}://app:{text}@h:6379");
        // A password may contain anything; what has to be encoded in it often is not.
        check(&user_and(&format!("{rest}{PASSWORD}")));
        check(&format!("{}/main", user_and(&format!("{rest}{PASSWORD}"))));
        check(&format!("{scheme}://{rest},h/main?sentinel_password={rest}{PASSWORD}"));
        check(&format!("{scheme}:///s?db=1&pass={rest}{PASSWORD}"));
    }
}

fn check(url: &str) {
    let is_password = |text: &str| text.contains(PASSWORD);
    let servers = match Servers::parse(url) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            let shown = format!("{error} {error:?}");
            assert!(!is_password(&shown), "{shown}");
            return;
        }
        Ok(servers) => servers,
    };
    let (all, access, service) = match &servers {
        Servers::Fixed(server) => (std::slice::from_ref(server), None, None),
        Servers::Sentinel(found) => {
            (&found.sentinels[..], Some(&found.access), Some(&found.service))
        }
        Servers::Cluster(found) => (&found.nodes[..], Some(&found.access), None),
    };
    assert!(!all.is_empty());
    // What a user or a host is called is shown, even if it is called as the password.
    let settings = all.iter().map(Server::settings).chain(access.map(Access::settings));
    let users = settings.filter_map(|settings| settings.username().map(str::to_owned));
    let addresses = all.iter().map(|server| format!("{:?}", server.address()));
    let named = users.chain(addresses).chain(service.cloned()).any(|name| is_password(&name));
    let shown = match &servers {
        Servers::Fixed(server) => {
            format!("{server} {server:?} {:?}", Settings::new(servers.clone()))
        }
        _ => String::new(),
    };
    let builder = RedisStore::builder(url);
    let shown = format!("{shown} {servers} {servers:?} {builder:?}");
    assert!(named || !is_password(&shown), "{shown}");
}

/// Checks settings made of `bytes`. Those that pass can be used.
pub fn settings(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Ok(builder) = RedisStore::builder("redis://h") else { return };
    let backoff = Backoff::new(duration(&mut input), duration(&mut input));
    let builder = builder
        .call_timeout(duration(&mut input))
        .connect_timeout(duration(&mut input))
        .watch(duration(&mut input), duration(&mut input))
        .wait_for_replicas(u32::from(input.byte()), duration(&mut input))
        .max_lag(duration(&mut input))
        .max_in_flight(size(&mut input))
        .large_entries(size(&mut input))
        .max_entry_bytes(size(&mut input))
        .max_queued(size(&mut input))
        .on_timeout(OnTimeout::Drop)
        .on_invalidation_failure(OnInvalidationFailure::Queue)
        .client_name(input.text())
        .backoff(backoff.unwrap_or_default());
    let checked = builder.settings.check();
    // Without a runtime no settings make a store.
    let error = builder.clone().build().err();
    assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::InvalidConfig));
    if checked.is_ok() {
        let settings = &builder.settings;
        assert!(settings.call <= LONGEST_WAIT && settings.max_lag >= settings.watch * 2);
        assert!(
            !settings.client_name.contains([' ', '\n'])
                && count_lifetime(settings) > LONGEST_WAIT / 3600
        );
        let mut rng = SmallRng::seed_from_u64(input.number());
        let delay = settings.backoff.delay(u32::from(input.byte()), &mut rng);
        assert!(delay <= settings.backoff.longest());
    }
}

fn duration(input: &mut Input<'_>) -> Duration {
    match input.byte() % 4 {
        0 => Duration::from_millis(u64::from(input.byte())),
        1 => Duration::from_nanos(input.number()),
        2 => Duration::from_secs(u64::from(input.byte()) * 60),
        _ => Duration::MAX,
    }
}

fn size(input: &mut Input<'_>) -> usize {
    match input.byte() % 3 {
        0 => usize::from(input.byte()),
        1 => input.number() as usize,
        _ => 1 << (input.byte() % 64),
    }
}
