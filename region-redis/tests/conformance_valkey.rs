//! The conformance suite on Valkey: the primary alone, with a replica, and by sentinels.

mod kit;

use kit::{OnServers, Replicas};
use servers::Flavor;

mod primary {
    use super::*;
    region_core::conformance!(OnServers::new(Flavor::Valkey, Replicas::None));
}

mod with_replica {
    use super::*;
    region_core::conformance!(OnServers::new(Flavor::Valkey, Replicas::One));
}

/// Over TLS, as a user with the least permissions.
#[cfg(feature = "tls")]
mod secured {
    use super::*;
    region_core::conformance!(OnServers::by(kit::Way::Secured, Flavor::Valkey, Replicas::One));
}

mod by_sentinels {
    use super::*;
    region_core::conformance!(OnServers::by(kit::Way::Sentinel, Flavor::Valkey, Replicas::Two));
}
