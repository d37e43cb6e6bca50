//! The conformance suite on Redis: the primary alone, and with a replica.

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
