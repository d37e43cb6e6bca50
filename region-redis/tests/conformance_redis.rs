//! The conformance suite on Redis: the primary alone, with a replica, and by sentinels.

mod kit;

use kit::{OnServers, Replicas};
use servers::Flavor;

mod primary {
    use super::*;
    region_core::conformance!(OnServers::new(Flavor::Redis, Replicas::None));
}

mod with_replica {
    use super::*;
    region_core::conformance!(OnServers::new(Flavor::Redis, Replicas::One));
}

/// Over TLS, as a user with the least permissions.
#[cfg(feature = "tls")]
mod secured {
    use super::*;
    region_core::conformance!(OnServers::by(kit::Way::Secured, Flavor::Redis, Replicas::One));
}

mod by_sentinels {
    use super::*;
    region_core::conformance!(OnServers::by(kit::Way::Sentinel, Flavor::Redis, Replicas::Two));
}
