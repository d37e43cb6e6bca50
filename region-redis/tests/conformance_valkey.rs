//! The conformance suite on Valkey: the primary alone, and with a replica.

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
